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
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Verdict is what Fits answers about one node.
type Verdict uint8

const (
	// Fitting has at least the need.
	Fitting Verdict = iota
	// NoOffer has no offer for us now.
	NoOffer
	// InFlight had its offers just spent.
	InFlight
	// ShortOf lacks the resource that comes with the verdict.
	ShortOf
	// Kept is kept for pods that need GPUs.
	Kept
	// Leaving is to go before the pod is sure to end.
	Leaving
	// NotAgent is no usable agent.
	NotAgent
)

// Fits judges one slot. For ordinary wants it looks at the columns, without a lock
// or an allocation. lacks is "" but with ShortOf; see ShortError.
func (r *Role) Fits(slot int32, want *Want) (v Verdict, lacks string) {
	if !want.plain() {
		return r.judge(slot, want)
	}
	cols := r.cols.Load()
	if slot < 0 || int(slot) >= len(cols.state) {
		return NotAgent, ""
	}
	kind, short := cols.short(slot, &want.Need.Vector)
	switch {
	case !short:
		return Fitting, ""
	case want.Revocable == RevocableAllowed:
		return r.judge(slot, want)
	}
	switch slotState(cols.state[slot].Load()) {
	case slotOffered:
		return ShortOf, kindNames[kind]
	case slotNoOffer:
		return NoOffer, ""
	case slotInFlight:
		return InFlight, ""
	case slotPredicted:
		if want.Predicted {
			return r.judge(slot, want)
		}
		return InFlight, ""
	case slotKept:
		return Kept, ""
	case slotLeaving:
		return Leaving, ""
	}
	return NotAgent, ""
}

// kindNames is Kind.String, without a call.
var kindNames = func() (names [resources.NumKinds]string) {
	for k := range names {
		names[k] = resources.Kind(k).String()
	}
	return names
}()

// judge is Fits for any want.
func (r *Role) judge(slot int32, want *Want) (Verdict, string) {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	if slot < 0 || int(slot) >= len(r.slots) {
		return NotAgent, ""
	}
	return r.judgeSlot(slot, want)
}

// judgeSlot judges a slot that there is. The lock is held.
func (r *Role) judgeSlot(i int32, want *Want) (Verdict, string) {
	s, a := r.slots[i], r.cache.agent(i)
	switch {
	case a == nil || !s.usable(a.node):
		return NotAgent, ""
	case a.leavesBefore(want):
		return Leaving, ""
	case s == nil || len(s.offers) == 0 && !s.inFlight && !s.predicts():
		return NoOffer, ""
	case len(s.offers) == 0 && !(s.predicts() && want.foresees()):
		return InFlight, ""
	case r.cache.kept(a, want):
		return Kept, ""
	}
	if _, short := s.split(want, &a.withheld); short != "" {
		return ShortOf, short
	}
	return Fitting, ""
}

// search is Select for wants that the columns cannot judge: few pods have them. It
// holds the lock for a part of the slots at a time, and looks at no prediction.
func (r *Role) search(want *Want, start, limit int, buf []int32) Selection {
	offered := *want
	offered.Predicted = false
	want = &offered
	sel := Selection{Slots: buf[:0]}
	n := int(r.used.Load())
	if n == 0 {
		return sel
	}
	if start >= n || start < 0 {
		start = 0
	}
	seen := 0
	for seen < n && (limit == 0 || len(sel.Slots) < limit) {
		seen += r.searchPart(want, (start+seen)%n, min(sweepSlots, n-seen), n, limit, &sel)
	}
	sel.Next = start
	if limit > 0 && len(sel.Slots) >= limit {
		sel.More, sel.Next = seen < n, (start+seen)%n
	}
	if sel.More {
		return Selection{Slots: sel.Slots, More: true, Next: sel.Next}
	}
	return sel
}

// searchPart looks at count slots, of n in all, from one on, and returns how many
// it looked at.
func (r *Role) searchPart(want *Want, from, count, n, limit int, sel *Selection) (seen int) {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	for ; seen < count && (limit == 0 || len(sel.Slots) < limit); seen++ {
		i := int32((from + seen) % n)
		if int(i) >= len(r.slots) {
			continue
		}
		verdict, lacks := r.judgeSlot(i, want)
		switch verdict {
		case Fitting:
			sel.Slots = append(sel.Slots, i)
		case NoOffer:
			sel.NoOffer++
		case InFlight:
			sel.InFlight++
		case Kept:
			sel.Kept++
		case Leaving:
			sel.Leaving++
		case ShortOf:
			sel.lacking(lacks)
		}
	}
	return seen
}

// lacking counts a slot by what it is short of.
func (s *Selection) lacking(what string) {
	if kind, known := kindOf(what); known {
		s.Short[kind]++
		return
	}
	if s.Lacks == nil {
		s.Lacks = map[string]int{}
	}
	s.Lacks[what]++
}

// Free is what a slot has to give: to any pod, and to pods that may use everything.
type Free struct {
	Regular, All resources.Vector
	// AgentID is whose it is.
	AgentID string
}

// FreeOf returns what the slot has to give now, and false if it must not be chosen.
func (r *Role) FreeOf(slot int32) (Free, bool) {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	if slot < 0 || int(slot) >= len(r.slots) {
		return Free{}, false
	}
	s, a := r.slots[slot], r.cache.agent(slot)
	if a == nil || s == nil || len(s.offers) == 0 || !s.usable(a.node) {
		return Free{}, false
	}
	return r.free(s, a), true
}

// free returns what a slot has to give. The lock is held.
func (r *Role) free(s *slot, a *agent) Free {
	free := Free{AgentID: a.id, All: s.freeAll(&a.withheld)}
	switch {
	case r.cache.hides(a):
	case len(s.special) == 0:
		free.Regular = free.All
	default:
		free.Regular = s.freeRegular(&a.withheld)
	}
	return free
}

// Offered returns the slots that have offers of a usable node now.
func (r *Role) Offered() []int32 {
	cols := r.cols.Load()
	var slots []int32
	for i := range cols.state[:min(int(r.used.Load()), len(cols.state))] {
		if state := slotState(cols.state[i].Load()); state == slotOffered || state == slotKept || state == slotLeaving {
			slots = append(slots, int32(i))
		}
	}
	return slots
}

// Roles calls f for every role that anything is known of.
func (c *Cache) Roles(f func(*Role)) {
	for _, r := range *c.roles.Load() {
		f(r)
	}
}
