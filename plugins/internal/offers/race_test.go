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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// TestConcurrentUse has one goroutine for the Mesos stream, one for the
// scheduler and several for Filter work on one cache, as in the real process.
// Each keeps its own books of what the cache told it; in the end they must add up.
func TestConcurrentUse(t *testing.T) {
	defer goleak.VerifyNone(t)
	const agents, events, filters = 150, 20000, 3
	c := newSingle()
	// Each side goes on until both have met what the test is about: how the
	// goroutines interleave is the machine's affair.
	var broken, scheduled atomic.Bool
	stream := streamSide{c: c, random: rand.New(rand.NewPCG(1, 0)), ended: map[string]int{}, broken: map[string]int{}}
	sched := schedulerSide{c: c, random: rand.New(rand.NewPCG(2, 0)), spent: map[string]int{}, ended: map[string]int{}}
	var all, readers sync.WaitGroup
	all.Go(func() {
		for n := 0; n < events || !scheduled.Load(); n++ {
			stream.event(agents)
			broken.Store(len(stream.broken) > 0)
		}
	})
	all.Go(func() {
		defer scheduled.Store(true)
		for n := 0; n < events || sched.made < 100 || len(sched.spent) == 0 || sched.foreseen == 0 || !broken.Load(); n++ {
			sched.cycle(t)
		}
	})
	var stop atomic.Bool
	for n := range filters {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(n)))
			for !stop.Load() {
				read(t, c, int32(random.IntN(agents+20)-10))
			}
		})
	}
	all.Wait()
	stop.Store(true)
	readers.Wait()
	mustAudit(t, c)
	settle(t, c, &stream, &sched)
	if sched.made == 0 || len(sched.spent) == 0 || len(stream.broken) == 0 || len(stream.ended) == 0 {
		t.Errorf("something never happened: %d reserved, %d spent, %d broken, %d ended",
			sched.made, len(sched.spent), len(stream.broken), len(stream.ended))
	}
}

// read checks what a reader may rely on while others write.
func read(t *testing.T, c single, slot int32) {
	need := cm(1, 1)
	v, _ := c.Fits(slot, &need)
	if v > NotAgent || slot < 0 && v != NotAgent {
		t.Errorf("Fits(%d) = %d", slot, v)
	}
	// What is offered is never negative, only hidden.
	for k, amount := range c.FreeOf(slot) {
		if amount < hidden {
			t.Errorf("slot %d has %d of %s", slot, amount, resources.Kind(k))
		}
	}
}

// streamSide is the goroutine of the Mesos stream.
type streamSide struct {
	c      single
	random *rand.Rand
	// live are the offers that it did not yet see end; the scheduler may have
	// spent them.
	live []string
	next int
	// ended counts rescinds and declines by offer, broken the broken reservations.
	ended, broken map[string]int
}

func (s *streamSide) event(agents int) {
	agent := nameOf("a", s.random.IntN(agents))
	switch s.random.IntN(12) {
	case 0, 1:
		s.count(s.broken, s.rescind())
	case 2:
		if s.random.IntN(20) > 0 {
			return
		}
		s.count(s.ended, s.c.Sweep(epoch, func(h Held) bool { return h.ID[len(h.ID)-1] == byte('0'+s.random.IntN(10)) }))
	case 3:
		s.count(s.broken, s.c.SetNode(agent, nodeOf(agent)))
	case 4:
		if s.random.IntN(8) == 0 {
			s.count(s.broken, s.c.SetNode(agent, ""))
		}
		s.c.Landed(agent)
		if s.random.IntN(8) == 0 {
			s.count(s.broken, s.c.Unpredict(agent, "web"))
		}
	default:
		s.c.AddAgent(agent, agent)
		s.count(s.broken, s.c.SetNode(agent, nodeOf(agent)))
		i, _ := s.c.Slot(agent)
		if s.c.FreeOf(i)[resources.CPU] > 8 {
			return
		}
		id := nameOf("o", s.next)
		s.next++
		s.live = append(s.live, id)
		// Less, at times, than is predicted.
		_, broken, _ := s.c.Add(offerOf(id, agent, cm(8, int64(s.random.IntN(9)))), epoch)
		s.count(s.broken, broken)
	}
}

// rescind takes out any offer that was added, wherever it may have gone since.
func (s *streamSide) rescind() []string {
	if len(s.live) == 0 {
		return nil
	}
	// A young one: those are most likely still there.
	at := len(s.live) - 1 - s.random.IntN(min(64, len(s.live)))
	id := s.live[at]
	s.live[at] = s.live[len(s.live)-1]
	s.live = s.live[:len(s.live)-1]
	return s.c.Remove(id, epoch)
}

func (s *streamSide) count(of map[string]int, ids []string) {
	for _, id := range ids {
		of[id]++
	}
}

// schedulerSide is the goroutine of the scheduling cycles.
type schedulerSide struct {
	c      single
	random *rand.Rand
	buf    []int32
	start  int
	made   int
	// foreseen counts those reserved where there was a prediction at first.
	foreseen int
	open     []string
	// spent counts offers by batch, ended the reservations that were sent or
	// released.
	spent, ended map[string]int
}

func (s *schedulerSide) cycle(t *testing.T) {
	now := epoch.Add(time.Duration(s.made) * time.Millisecond)
	need := cm(int64(1+s.random.IntN(12)), int64(s.random.IntN(4)))
	sel := s.c.Select(need, s.start, 8, s.buf)
	s.buf, s.start = sel.Slots, sel.Next
	for _, i := range sel.Slots {
		id := nameOf("p", s.made)
		_, err := s.c.r.Reserve(i, id, &Want{Need: bundleOf(need), Predicted: sel.Predicted}, now)
		var short *ShortError
		if err == nil {
			s.made++
			if sel.Predicted {
				s.foreseen++
			}
			s.open = append(s.open, id)
			break
		} else if !errors.Is(err, ErrNoOffer) && !errors.As(err, &short) {
			t.Errorf("Reserve: %v", err)
		}
	}
	if s.random.IntN(5) == 0 && len(s.open) > 0 {
		id := s.open[len(s.open)-1]
		s.open = s.open[:len(s.open)-1]
		if s.c.Release(id) {
			s.ended[id]++
		}
	}
	if s.random.IntN(10) == 0 {
		policy := FlushPolicy{Linger: time.Hour, MaxLinger: 100 * time.Millisecond, MaxTasks: 8, Predict: true, PredictedWait: 200 * time.Millisecond}
		due, broken, _ := s.c.Cache.Flush(now, now, func(string) FlushPolicy { return policy })
		s.take(t, due)
		for _, id := range broken {
			s.ended[id]++
		}
	}
}

func (s *schedulerSide) take(t *testing.T, due []Batch) {
	for _, b := range due {
		if len(b.OfferIDs) == 0 || len(b.Members) == 0 || b.Node != nodeOf(b.AgentID) || !b.Need.Fits(b.Offered) {
			t.Errorf("batch %+v must not be sent", b)
		}
		for _, id := range b.OfferIDs {
			s.spent[id]++
		}
		for _, id := range b.IDs() {
			s.ended[id]++
		}
	}
}

// settle flushes and sweeps what is left, and adds up both sides' books.
func settle(t *testing.T, c single, stream *streamSide, sched *schedulerSide) {
	t.Helper()
	end := epoch.Add(365 * 24 * time.Hour)
	due, broken, next := c.Cache.Flush(end, end, func(string) FlushPolicy { return FlushPolicy{Drained: true} })
	sched.take(t, due)
	stream.count(stream.broken, broken)
	if !next.IsZero() {
		t.Errorf("after the last Flush: next = %s", next)
	}
	stream.count(stream.ended, c.Sweep(epoch, func(Held) bool { return true }))
	mustAudit(t, c)
	if count, sum := c.Totals(); count != 0 || !sum.IsZero() {
		t.Errorf("left: %d offers, %s", count, sum)
	}
	for n := range sched.made {
		id := nameOf("p", n)
		if ends := sched.ended[id] + stream.broken[id]; ends != 1 {
			t.Errorf("reservation %s ended %d times (sent or released %d, broken %d)", id, ends, sched.ended[id], stream.broken[id])
		}
	}
	// Remove does not say whether the offer was still there, so of an offer only
	// this is known: it was not both spent and declined, nor either twice.
	for n := range stream.next {
		id := nameOf("o", n)
		if ends := sched.spent[id] + stream.ended[id]; ends > 1 {
			t.Errorf("offer %s was spent %d times and declined %d times", id, sched.spent[id], stream.ended[id])
		}
	}
	for _, id := range stream.live {
		if sched.spent[id]+stream.ended[id] != 1 {
			t.Errorf("offer %s was never rescinded, spent %d times, declined %d times", id, sched.spent[id], stream.ended[id])
		}
	}
}
