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
	"slices"
	"sort"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// A slot whose offers were spent may keep a prediction: what the ACCEPT leaves over is
// free again at once, and the agent's next offer will have it. Pods whose Want.Predicted
// is set may reserve on that, and the youngest of a batch with more than MaxTasks stay
// behind there. They are members of a batch without offers, which is not
// open: it is neither flushed nor complete. When the offer came, its resources are shared
// out among them, and those that find a place are an ordinary open batch, as old as its
// first member.
//
//	             ┌──the agent's next offer──> open batch; those too many are broken
//	prediction ──┼──PredictedWait───────────> members broken
//	             └──Unpredict, Withhold, SetNode, RemoveAgent, Reset, Drop──> members broken
//
// Only plain unreserved amounts are predicted, and nothing of agents that are kept for
// pods with GPUs.

// prediction is what there is about a slot's prediction beside its pools, which have
// what is left of it.
type prediction struct {
	slot  int32
	until time.Time
}

// predictions are those of a role; the cache's lock guards them.
type predictions struct {
	// list is in no order; a slot knows its place in it.
	list []prediction
	// until is not after the end of any of them.
	until time.Time
	// members counts the reservations on them.
	members int
}

// predicts tells that the slot has a prediction.
func (s *slot) predicts() bool { return s.predicted > 0 }

// predict makes what is left of what slot i's ACCEPT leaves over its prediction; its
// members have the rest already. The cache's lock is held.
func (r *Role) predict(i int32, left resources.Vector, until time.Time) {
	s, p := r.slots[i], &r.predictions
	s.unreserved = resources.Bundle{Vector: left}
	if len(p.list) == 0 || until.Before(p.until) {
		p.until = until
	}
	p.list = append(p.list, prediction{i, until})
	s.predicted = int32(len(p.list))
	p.members += len(s.members)
	r.predicted.Store(int64(len(p.list)))
}

// forget takes slot i's prediction off the list; its members and pools are the caller's
// to see to. The cache's lock is held.
func (r *Role) forget(i int32) {
	s, p := r.slots[i], &r.predictions
	at, last := int(s.predicted)-1, len(p.list)-1
	if at < last {
		p.list[at] = p.list[last]
		r.slots[p.list[at].slot].predicted = int32(at + 1)
	}
	p.list = p.list[:last]
	s.predicted = 0
	p.members -= len(s.members)
	r.predicted.Store(int64(last))
}

// unpredict ends slot i's prediction, if it has one, and returns its members, which are
// broken, youngest first. The slot has no offer. The cache's lock is held.
func (r *Role) unpredict(i int32) (broken []string) {
	s := r.slots[i]
	if s == nil || !s.predicts() {
		return nil
	}
	r.forget(i)
	for n := range s.members {
		delete(r.cache.byMember, s.members[n].id)
		broken = append(broken, s.members[n].id)
	}
	slices.Reverse(broken)
	r.waiting.Add(-int32(len(broken)))
	s.members, s.unreserved = nil, resources.Bundle{}
	r.publish(i)
	return broken
}

// arrive replaces slot i's prediction by the offer that just came. It returns the members
// that do not fit, youngest first. The cache's lock is held.
func (r *Role) arrive(i int32) (broken []string) {
	r.forget(i)
	s := r.slots[i]
	broken = s.refill(&r.cache.agents[i].withheld)
	for _, id := range broken {
		delete(r.cache.byMember, id)
	}
	r.waiting.Add(-int32(len(broken)))
	if len(s.members) > 0 {
		at := sort.Search(len(r.open), func(n int) bool { return s.openedAt.Before(r.slots[r.open[n]].openedAt) })
		r.open = slices.Insert(r.open, at, i)
	}
	return broken
}

// expire ends the predictions that are due. The cache's lock is held.
func (r *Role) expire(now time.Time) (broken []string) {
	p := &r.predictions
	if len(p.list) == 0 || now.Before(p.until) {
		return nil
	}
	var next time.Time
	for n := 0; n < len(p.list); {
		switch at := p.list[n]; {
		case !now.Before(at.until):
			// Another takes its place in the list.
			broken = append(broken, r.unpredict(at.slot)...)
			continue
		case next.IsZero() || at.until.Before(next):
			next = at.until
		}
		n++
	}
	p.until = next
	return broken
}

// Unpredict ends the prediction for an agent and role: the ACCEPT that was to leave it
// over failed, or nobody knows. It returns the reservations on it, which are void.
func (c *Cache) Unpredict(agentID, role string) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	if r := (*c.roles.Load())[role]; ok && r != nil {
		return r.unpredict(i)
	}
	return nil
}

// unpredict ends the predictions of slot i in all roles. The lock is held.
func (c *Cache) unpredict(i int32) (broken []string) {
	c.each(func(r *Role) { broken = append(broken, r.unpredict(i)...) })
	return broken
}

// Predicted returns how many agents are expected to offer again what an ACCEPT left
// over, and how many reservations wait for those offers.
func (r *Role) Predicted() (slots, members int) {
	if r.predicted.Load() == 0 {
		return 0, 0
	}
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	return len(r.predictions.list), r.predictions.members
}

// PredictedOf returns what is left of the slot's prediction, and false if it has none.
func (r *Role) PredictedOf(slot int32) (Free, bool) {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	if slot < 0 || int(slot) >= len(r.slots) {
		return Free{}, false
	}
	s, a := r.slots[slot], r.cache.agent(slot)
	if a == nil || s == nil || !s.predicts() || r.cache.hides(a) {
		return Free{}, false
	}
	free := s.freeUnreserved(&a.withheld)
	return Free{AgentID: a.id, Regular: free, All: free}, true
}

// scanPredicted is the part of Select that looks for predictions which the want fits,
// from the start-th on. It holds the lock for some at a time.
func (r *Role) scanPredicted(want *Want, start, limit int, sel *Selection) {
	seen, of, full := 0, 1, false
	for seen < of && !full {
		seen, of = r.scanPredictedPart(want, max(start, 0), seen, limit, sel)
		full = limit > 0 && len(sel.Slots) >= limit
	}
	sel.Predicted = len(sel.Slots) > 0
	if full && seen < of {
		*sel = Selection{Slots: sel.Slots, Predicted: true, More: true, Next: (max(start, 0) + seen) % of}
	}
}

// scanPredictedPart looks at some predictions, of which so many were seen, and returns
// how many now are, and how many there are.
func (r *Role) scanPredictedPart(want *Want, start, seen, limit int, sel *Selection) (now, of int) {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	list := r.predictions.list
	for end := min(seen+sweepSlots, len(list)); seen < end && (limit == 0 || len(sel.Slots) < limit); seen++ {
		if i := list[(start+seen)%len(list)].slot; r.fitsPrediction(i, want) {
			sel.Slots = append(sel.Slots, i)
		}
	}
	return seen, len(list)
}

// fitsPrediction tells whether the want, which is plain, fits slot i's prediction. The
// lock is held.
func (r *Role) fitsPrediction(i int32, want *Want) bool {
	s, a := r.slots[i], r.cache.agent(i)
	if a.leavesBefore(want) || r.cache.kept(a, want) {
		return false
	}
	_, short := want.Need.Vector.FirstShort(s.freeUnreserved(&a.withheld))
	return !short
}
