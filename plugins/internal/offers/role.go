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
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// ErrNoOffer refuses a reservation on an agent that has no offer for us.
var ErrNoOffer = errors.New("the agent has no Mesos offer")

// ErrKept refuses a reservation on an agent that is kept for pods which need GPUs.
var ErrKept = errors.New("the agent is kept for pods that need GPUs")

// ErrLeaving refuses a reservation on an agent that is to go before the pod is sure to
// end.
var ErrLeaving = errors.New("the agent is to go down for maintenance")

// ShortError refuses a reservation that the agent's offers cannot hold.
type ShortError struct {
	// Lacks names what is short: a resource by Kind.String or its Mesos name, as the
	// case may be with "reserved " or "revocable " before it.
	Lacks string
	Need  resources.Bundle
	Free  resources.Vector
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("the agent's Mesos offers are short of %s: need %s, free %s", e.Lacks, e.Need, e.Free)
}

// Role is what is offered to one role, by agent. Its slots are those of the Cache.
type Role struct {
	name  string
	cache *Cache
	// cols and used are what the lock-free readers see.
	cols atomic.Pointer[columns]
	used atomic.Int32
	// states counts the used slots by state, as of their last publish.
	states [numSlotStates]atomic.Int32

	// waiting is how many reservations are in batches that were not sent, held how many
	// offers there are, predicted how many predictions.
	waiting         atomic.Int32
	held, predicted atomic.Int64

	// The rest is guarded by the cache's lock. slots holds nil for agents that never
	// offered to this role.
	slots []*slot
	// open lists the slots with an open batch, oldest first.
	open        []int32
	predictions predictions
}

// Name returns the role's name.
func (r *Role) Name() string { return r.name }

// Waiting returns how many reservations are in batches that were not sent yet. It
// takes no lock.
func (r *Role) Waiting() int { return int(r.waiting.Load()) }

// Reserve promises a part of the slot's offers to the reservation id and lets it
// join the slot's open batch. It is the only authority on what fits: the error
// is ErrNoOffer, ErrKept, ErrLeaving or a *ShortError. Reserving an id twice or less than
// nothing is refused with another error.
//
// The slot may have become another agent's since it was selected. So a caller
// that chose a node must see that NodeOf(slot) is still that node after Reserve,
// and Release the reservation if not.
//
// It returns what is taken of which flavour, as of now (see Member.Parts); nil if all
// is plain.
func (r *Role) Reserve(slot int32, id string, want *Want, now time.Time) ([]resources.Portion, error) {
	c := r.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.offers(slot, want) {
		return nil, ErrNoOffer
	}
	s, a := r.slots[slot], &c.agents[slot]
	if want.Need.AnyNegative() {
		return nil, fmt.Errorf("reservation %q needs a negative amount: %s", id, want.Need)
	}
	if _, double := c.byMember[id]; double {
		return nil, fmt.Errorf("reservation %q exists already", id)
	}
	switch {
	case a.leavesBefore(want):
		return nil, ErrLeaving
	case c.kept(a, want):
		return nil, ErrKept
	}
	simple, free := len(s.special) == 0 && want.plain(), s.freeRegular(&a.withheld)
	var parts []resources.Portion
	if simple {
		if kind, short := want.Need.Vector.FirstShort(free); short {
			return nil, &ShortError{Lacks: kind.String(), Need: want.Need, Free: free}
		}
	} else {
		var short string
		if parts, short = s.split(want, &a.withheld); short != "" {
			return nil, &ShortError{Lacks: short, Need: want.Need, Free: free}
		}
	}
	m := r.join(slot, id, want, parts, now)
	if !simple {
		r.publish(slot)
		return m.asked(), nil
	}
	if s.predicts() {
		return nil, nil
	}
	free = free.Sub(want.Need.Vector)
	r.cols.Load().take(slot, &free, &want.Need.Vector)
	return nil, nil
}

// offers tells that a slot, which need not be there, has something that a want may be
// reserved on. The cache's lock is held.
func (r *Role) offers(slot int32, want *Want) bool {
	if slot < 0 || int(slot) >= len(r.slots) || r.slots[slot] == nil {
		return false
	}
	s, a := r.slots[slot], r.cache.agent(slot)
	return a != nil && s.usable(a.node) && (len(s.offers) > 0 || s.predicts() && want.foresees())
}

// join adds a member, which takes these parts, to slot i's batch. The cache's lock is
// held; the member is good only as long.
func (r *Role) join(i int32, id string, want *Want, parts []resources.Portion, now time.Time) *member {
	s := r.slots[i]
	if len(s.members) == 0 {
		s.openedAt, s.batchNode = now, r.cache.agents[i].node
		if !s.predicts() {
			r.open = append(r.open, i)
		}
	}
	if s.predicts() {
		r.predictions.members++
	}
	s.members = append(s.members, member{id: id, want: *want, parts: parts})
	m := &s.members[len(s.members)-1]
	s.book(m, true)
	r.cache.byMember[id] = place{r, i}
	r.waiting.Add(1)
	return m
}

// kept tells whether the agent is kept from the want.
func (c *Cache) kept(a *agent, want *Want) bool {
	return a.gpus && c.cfg.KeepGPUs && want.Need.Vector[resources.GPU] == 0
}

// hides tells whether the agent is kept from pods that need no GPU, or from those that
// do not end before it goes: from ordinary ones.
func (c *Cache) hides(a *agent) bool { return a.leaving || a.gpus && c.cfg.KeepGPUs }

// leavesBefore tells whether the agent goes before the pod is sure to end.
func (a *agent) leavesBefore(want *Want) bool {
	return a.leaving && (want.Until.IsZero() || want.Until.After(a.leavesAt))
}

// append makes room for n slots in all. The cache's lock is held.
func (r *Role) append(n int) {
	r.slots = append(r.slots, nil)
	// After the columns: see Select.
	r.used.Store(int32(n))
	r.states[slotVacant].Add(1)
}

// leave takes a member out of slot i's batch. The cache's lock is held.
func (r *Role) leave(i int32, id string) {
	s := r.slots[i]
	at := 0
	for s.members[at].id != id {
		at++
	}
	s.book(&s.members[at], false)
	s.members = slices.Delete(s.members, at, at+1)
	r.waiting.Add(-1)
	if s.predicts() {
		r.predictions.members--
		return
	}
	if len(s.members) == 0 {
		r.closeBatch(i)
	}
}

func (r *Role) closeBatch(i int32) {
	if at := slices.Index(r.open, i); at >= 0 {
		r.open = slices.Delete(r.open, at, at+1)
	}
}

// publish writes slot i to the columns. The cache's lock is held.
func (r *Role) publish(i int32) {
	cols, s, a := r.cols.Load(), r.slots[i], r.cache.agent(i)
	before, state := slotState(cols.state[i].Load()), slotOffered
	switch {
	case a == nil || !s.usable(a.node):
		state = slotVacant
	case a.leaving:
		state = slotLeaving
	case s == nil || len(s.offers) == 0 && !s.inFlight && !s.predicts():
		state = slotNoOffer
	case s.predicts():
		state = slotPredicted
	case len(s.offers) == 0:
		state = slotInFlight
	case r.cache.hides(a):
		state = slotKept
	}
	if before != state {
		r.states[before].Add(-1)
		r.states[state].Add(1)
	}
	var free resources.Vector
	if state == slotOffered {
		free = s.freeRegular(&a.withheld)
	}
	cols.put(i, state, &free)
}
