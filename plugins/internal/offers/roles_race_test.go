/*
Copyright The Kube-Mesos Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package offers

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// TestRolesUnderReaders makes and drops roles, agents and offers of all flavours while
// others read, reserve and sweep in whatever role they happen to have.
func TestRolesUnderReaders(t *testing.T) {
	defer goleak.VerifyNone(t)
	const agents, events, readers = 200, 4000, 3
	c := NewCache(Config{Classify: byOwner, KeepGPUs: true})
	var stop atomic.Bool
	var reserved, flushed atomic.Int64
	var all sync.WaitGroup
	for n := range readers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 7))
			for at := n; !stop.Load(); at += readers {
				useRole(t, c, random, nameOf("p", at), &reserved)
			}
		})
	}
	all.Go(func() {
		for !stop.Load() {
			due, _, _ := c.Flush(epoch, epoch, drained)
			for _, b := range due {
				if len(b.OfferIDs) == 0 || len(b.Members) == 0 || !b.Need.Fits(b.Offered) {
					t.Errorf("batch %+v must not be sent", b)
				}
				c.Landed(b.AgentID, b.Role)
				flushed.Add(1)
			}
			c.View()
		}
	})
	random := rand.New(rand.NewPCG(1, 1))
	for n := 0; n < events || reserved.Load() < 100 || flushed.Load() < 100; n++ {
		agent, role := nameOf("a", random.IntN(min(agents, 1+n/4))), nameOf("r", random.IntN(5))
		switch random.IntN(12) {
		case 0:
			c.Drop(role)
		case 1:
			c.RemoveAgent(agent, epoch)
		case 2:
			c.Remove(nameOf("o", max(0, n-random.IntN(50))), epoch)
		case 3:
			c.Withhold(agent, cm(random.Int64N(3), 0))
		case 4:
			c.Sweep(epoch, func(h Held) bool { return h.Role == role && random.IntN(4) == 0 })
		default:
			addNodes(c, agent)
			o := rich()
			o.ID, o.AgentID, o.Role = nameOf("o", n), agent, role
			c.Add(o, epoch)
		}
	}
	stop.Store(true)
	all.Wait()
	mustAudit(t, c)
	c.Flush(epoch, epoch, drained)
	c.Sweep(epoch, func(Held) bool { return true })
	if count, sum := c.Totals(); count != 0 || !sum.IsZero() {
		t.Errorf("left: %d offers, %s", count, sum)
	}
	mustAudit(t, c)
}

// useRole does what scheduling cycles do, with a role that may be dropped meanwhile.
func useRole(t *testing.T, c *Cache, random *rand.Rand, id string, reserved *atomic.Int64) {
	r := c.Role(nameOf("r", random.IntN(6)))
	want := Plain(cm(random.Int64N(70), 1))
	want.Owner = [3]string{"", "", "web-0"}[random.IntN(3)]
	want.Revocable = Revocable(random.IntN(3))
	sel := r.Select(want, random.IntN(100), 4, nil)
	for _, i := range sel.Slots {
		v, lacks := r.Fits(i, want)
		if (lacks != "") != (v == ShortOf) {
			t.Errorf("Fits = %d, %q", v, lacks)
		}
		if free, ok := r.FreeOf(i); ok && (free.Regular.AnyNegative() || !free.Regular.Fits(free.All)) {
			t.Errorf("FreeOf = %v", free)
		}
		parts, err := r.Reserve(i, id, want, epoch)
		var short *ShortError
		if err == nil {
			reserved.Add(1)
			var sum resources.Bundle
			for _, p := range parts {
				sum = sum.Add(p.Bundle)
			}
			if !sum.Equal(&want.Need) {
				t.Errorf("needs %s, got %v", want.Need, parts)
			}
			break
		}
		if !errors.Is(err, ErrNoOffer) && !errors.As(err, &short) {
			t.Errorf("Reserve: %v", err)
		}
	}
	if random.IntN(2) == 0 {
		c.Release(id)
	}
	if random.IntN(50) == 0 {
		sel := Selection{NoOffer: 9}
		r.Explain(want, &sel)
		r.Complete(0, FlushPolicy{})
		if r.Count(want) < 0 || !slices.IsSorted(r.Offered()) {
			t.Error("Offered is not in order")
		}
	}
}
