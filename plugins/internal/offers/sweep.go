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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Held describes one offer to the decision what to do with it.
type Held struct {
	ID, AgentID, Hostname, Role string
	// Node is "" for the offer of an agent that is no usable node.
	Node string
	// AgentFree is what any pod of the role could have of its agent when its first
	// offer was shown, AgentAll what pods could have that may use everything: the
	// same for all offers of the agent, so that a decision about the agent treats
	// them alike.
	AgentFree, AgentAll resources.Vector
	// Special is what of this offer is reserved or revocable.
	Special []resources.Portion
	Since   time.Time
	// UnavailableAt is the start of the agent's next maintenance window as the offer
	// announces it, zero if it announces none.
	UnavailableAt time.Time
}

// sweepSlots is how many slots Sweep looks at under one lock: few enough that a
// Reserve in between waits for some ten microseconds only.
const sweepSlots = 64

// Sweep shows every offer that no open batch needs and takes out those for
// which drop says so; it returns their ids, to be declined. It lets others in
// between, so of offers that come meanwhile it may show some. drop is called
// under the lock and must not call the cache.
func (c *Cache) Sweep(now time.Time, drop func(Held) bool) (ids []string) {
	for _, r := range *c.roles.Load() {
		for from, left := 0, true; left; from += sweepSlots {
			ids, left = r.sweepPart(from, now, drop, ids)
		}
	}
	return ids
}

// sweepPart sweeps the slots from index from on. It reports whether more follow.
func (r *Role) sweepPart(from int, now time.Time, drop func(Held) bool, ids []string) ([]string, bool) {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	end := min(from+sweepSlots, len(r.slots))
	for i := from; i < end; i++ {
		if s := r.slots[i]; s != nil && len(s.offers) > 0 && len(s.members) == 0 {
			ids = r.sweepSlot(int32(i), now, drop, ids)
		}
	}
	return ids, end < len(r.slots)
}

// sweepSlot sweeps slot i, which has no open batch. The lock is held.
func (r *Role) sweepSlot(i int32, now time.Time, drop func(Held) bool, ids []string) []string {
	s, a := r.slots[i], r.cache.agent(i)
	free := r.free(s, a)
	view := Held{AgentID: a.id, Hostname: a.hostname, Role: r.name, Node: a.node, AgentFree: free.Regular, AgentAll: free.All}
	kept, all := 0, (*pools)(nil)
	for n := range s.offers {
		h := &s.offers[n]
		view.ID, view.Since = h.id, h.since
		if h.rare != nil {
			view.Special, view.UnavailableAt = h.rare.special, h.rare.unavailable
		} else if n > 0 {
			view.Special, view.UnavailableAt = nil, time.Time{}
		}
		if !drop(view) {
			if kept < n {
				s.offers[kept] = *h
			}
			kept++
			continue
		}
		ids = append(ids, h.id)
		if all == nil {
			all = &pools{s.unreserved, slices.Clone(s.special)}
		}
		s.exit(h)
		r.end(h, Declined, now)
	}
	if kept < len(s.offers) {
		clear(s.offers[kept:])
		s.offers = s.offers[:kept]
		if kept == 0 {
			s.declined = all
		}
		r.publish(i)
	}
	return ids
}
