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

package allocator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Whatever happens, the books agree with what frameworks hold, nothing is held
// twice, and limits hold for what was not reserved.
func TestRandomEvents(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, Options{MinAllocatable: []Quantities{quantities(t, "cpus:0.01"), quantities(t, "mem:32")}})
		w.quota("lim", "", "cpus:9;mem:3000")
		w.quota("gold", "cpus:6", "cpus:12")
		roles := []string{"lim", "gold", "lim/sub", "eng/a", "eng/b", "ops"}
		var held []Offer
		take := func() (Offer, bool) {
			if len(held) == 0 {
				return Offer{}, false
			}
			i := rng.IntN(len(held))
			o := held[i]
			held = slices.Delete(held, i, i+1)
			return o, true
		}
		gone := func(match func(Offer) bool) { held = slices.DeleteFunc(held, match) }
		for step := range 400 {
			id, agent := fmt.Sprint("f", rng.IntN(6)), fmt.Sprint("a", rng.IntN(8))
			switch rng.IntN(14) {
			case 0, 1:
				gone(func(o Offer) bool { return o.Agent == agent })
				w.AddAgent(AgentInfo{ID: agent, Hostname: agent, Total: parse(t, "cpus:4;mem:1000;ports:[1-9]").Add(reserved(t, "cpus:2", roles[rng.IntN(len(roles))])).Add(revocable(t, "cpus:3"))})
			case 2:
				gone(func(o Offer) bool { return o.Agent == agent })
				w.RemoveAgent(agent)
			case 3, 4:
				w.framework(id, roles[rng.IntN(len(roles))]+",ops", revocableCapability)
			case 5:
				gone(func(o Offer) bool { return o.Framework == id })
				w.RemoveFramework(id)
			case 6:
				w.Deactivate(id)
			case 7:
				w.Revive(id, []string{"ops"})
			case 8, 9, 10, 11:
				if o, ok := take(); ok {
					w.decline(o, []time.Duration{0, time.Second, time.Minute}[rng.IntN(3)])
				}
			case 12:
				if o, ok := take(); ok {
					held = append(held, reserveOne(t, w, o))
				}
			case 13:
				w.SetActive(agent, rng.IntN(2) == 0)
			}
			if err := w.Check(); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			held = append(held, w.pass(time.Duration(rng.IntN(900))*time.Millisecond)...)
			checkHeld(t, w, held)
		}
	}
}

// reserveOne reserves a cpu of an offer, if it has a plain one.
func reserveOne(t *testing.T, w *world, o Offer) Offer {
	t.Helper()
	from, to := parse(t, "cpus:1").WithAlloc(o.Role), reserved(t, "cpus:1", o.Role).WithAlloc(o.Role)
	if !o.Resources.Contains(from) {
		return o
	}
	if err := w.Convert(o.Framework, o.Agent, from, to); err != nil {
		t.Fatal(err)
	}
	o.Resources = o.Resources.Sub(from).Add(to)
	return o
}

// checkHeld compares what was offered with the books and the quota.
func checkHeld(t *testing.T, w *world, held []Offer) {
	t.Helper()
	for _, on := range w.order {
		sum := on.Total.Sub(on.Total)
		for _, o := range held {
			if o.Agent == on.ID {
				sum = sum.Add(o.Resources.WithAlloc(""))
			}
		}
		if !sum.Contains(on.taken) || !on.taken.Contains(sum) || !on.Total.Contains(sum) {
			t.Fatalf("agent %s of %v: held are %v, booked %v", on.ID, on.Total, sum, on.taken)
		}
	}
	for _, role := range []string{"lim", "gold"} {
		var own Quantities
		for _, o := range held {
			if o.Role != role {
				continue
			}
			plain, _ := chargeable(o.Resources)
			own.grow(Scalars(plain))
		}
		if limits := w.Quota(role).Limits; !limits.Contain(own) {
			t.Fatalf("role %s has %v unreserved, its limits are %v", role, own, limits)
		}
	}
}
