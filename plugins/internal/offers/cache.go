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
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// ErrNoOffer refuses a reservation on an agent that has no offer for us.
var ErrNoOffer = errors.New("the agent has no Mesos offer")

// ShortError refuses a reservation that the agent's offers cannot hold.
type ShortError struct {
	Kind       resources.Kind
	Need, Free resources.Vector
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("the agent's Mesos offers are short of %s: need %s, free %s", e.Kind, e.Need, e.Free)
}

// slot is one agent with what it offered to us.
type slot struct {
	agent, hostname string
	// node is the Kubernetes node of this agent, "" if there is none that is
	// clearly its own.
	node    string
	offers  []held
	offered resources.Vector
	// members are the reservations of the open batch, in the order they joined.
	members  []member
	reserved resources.Vector
	openedAt time.Time
	// batchNode is the node that the members were promised. It differs from node
	// if the agent was matched anew while the batch was open.
	batchNode string
	inFlight  bool
	// declined is what the agent had for us when its offers were last given back,
	// zero if it has offers now or spent them.
	declined resources.Vector
}

type held struct {
	id          string
	free        resources.Vector
	since       time.Time
	unavailable time.Time
}

type member struct {
	id   string
	need resources.Vector
}

func (s *slot) free() resources.Vector { return s.offered.Sub(s.reserved) }

// usable reports whether a reservation may be made here, if only there is enough:
// the agent is a node, and the open batch, if any, is for that same node.
func (s *slot) usable() bool {
	return s.node != "" && (len(s.members) == 0 || s.batchNode == s.node)
}

// Cache holds the offers of one role.
type Cache struct {
	role string
	// cols and used are what the lock-free readers see.
	cols atomic.Pointer[columns]
	used atomic.Int32
	// states counts the used slots by state, as of their last publish.
	states [numSlotStates]atomic.Int32
	// version counts the offers taken in; see Version.
	version atomic.Uint64
	// maintained tells that an offer announced maintenance since the last Reset.
	maintained atomic.Bool

	mu sync.Mutex
	// slots by index; nil where vacant. vacant lists indices for reuse.
	slots   []*slot
	vacant  []int32
	byAgent map[string]int32
	byOffer map[string]int32
	// byMember finds the open batch of a reservation.
	byMember map[string]int32
	// open lists the slots with an open batch, oldest first.
	open  []int32
	total resources.Vector
}

// NewCache returns an empty cache for offers of the given role.
func NewCache(role string) *Cache {
	c := &Cache{role: role, byAgent: map[string]int32{}, byOffer: map[string]int32{}, byMember: map[string]int32{}}
	c.cols.Store(newColumns(64))
	return c
}

// Role returns the role whose offers the cache holds.
func (c *Cache) Role() string { return c.role }

// Slot returns the index of an agent's slot.
func (c *Cache) Slot(agentID string) (int32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	return i, ok
}

// Add takes in one offer, which must be of the cache's role: the caller has a
// cache for each. It returns the agent's slot, and false if the offer is known
// already. An agent seen for the first time has no node yet: nothing of it can be
// selected until SetNode.
func (c *Cache) Add(o *Offer, now time.Time) (int32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, known := c.byOffer[o.ID]; known {
		return i, false
	}
	i := c.slotOf(o.AgentID, o.Hostname)
	s := c.slots[i]
	s.offers = append(s.offers, held{id: o.ID, free: o.Unreserved.Vector, since: now, unavailable: o.UnavailableAt})
	s.offered = s.offered.Add(o.Unreserved.Vector)
	s.inFlight, s.declined = false, resources.Vector{}
	if !o.UnavailableAt.IsZero() {
		c.maintained.Store(true)
	}
	c.byOffer[o.ID] = i
	c.total = c.total.Add(o.Unreserved.Vector)
	c.publish(i)
	c.version.Add(1)
	return i, true
}

// Owner returns the agent of a slot and the node it is, both "" if the slot is
// vacant.
func (c *Cache) Owner(slot int32) (agentID, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot < 0 || int(slot) >= len(c.slots) || c.slots[slot] == nil {
		return "", ""
	}
	return c.slots[slot].agent, c.slots[slot].node
}

// HasOffers tells whether offers of the agent are held.
func (c *Cache) HasOffers(agentID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	return ok && len(c.slots[i].offers) > 0
}

// Version changes with every offer taken in. A reader that found too little and
// then sees the same version knows that nothing came meanwhile.
func (c *Cache) Version() uint64 { return c.version.Load() }

// AddAgent makes an agent known that has no offer for us (yet), and returns its
// slot. Of an agent that is known it adds the hostname if that was "".
func (c *Cache) AddAgent(agentID, hostname string) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slotOf(agentID, hostname)
}

// SetNode says which node the agent is; "" withdraws it from selection. Offers
// and an open batch stay as they are: the batch is still for the node that its
// members were promised, and until it is sent or released nobody else joins it.
// Unknown agents are ignored.
func (c *Cache) SetNode(agentID, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.byAgent[agentID]; ok && c.slots[i].node != node {
		c.slots[i].node = node
		c.publish(i)
		c.version.Add(1)
	}
}

// Remove takes out one offer that is void (rescinded). It returns the
// reservations of the open batch that no longer fit, youngest first; they are
// out of the batch. Those that need nothing of what became short stay in it, but
// none stays when the agent has no offer left.
func (c *Cache) Remove(offerID string) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byOffer[offerID]
	if !ok {
		return nil
	}
	s := c.slots[i]
	s.offers = slices.DeleteFunc(s.offers, func(h held) bool {
		if h.id != offerID {
			return false
		}
		s.offered = s.offered.Sub(h.free)
		c.total = c.total.Sub(h.free)
		return true
	})
	delete(c.byOffer, offerID)
	for at := len(s.members) - 1; at >= 0; at-- {
		m := s.members[at]
		if len(s.offers) == 0 || overdrawn(s.free(), m.need) {
			c.leave(i, m.id)
			broken = append(broken, m.id)
		}
	}
	c.publish(i)
	return broken
}

// overdrawn reports whether free is negative of a kind that need has a part in.
func overdrawn(free, need resources.Vector) bool {
	for k := range free {
		if free[k] < 0 && need[k] > 0 {
			return true
		}
	}
	return false
}

// RemoveAgent forgets an agent with its offers. It returns the reservations of
// its open batch, which are void.
func (c *Cache) RemoveAgent(agentID string) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	if !ok {
		return nil
	}
	return c.drop(i)
}

// Reset voids everything and forgets all agents, as the end of a subscription
// does. It returns the reservations of all open batches.
func (c *Cache) Reset() (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maintained.Store(false)
	for i, s := range c.slots {
		if s != nil {
			broken = append(broken, c.drop(int32(i))...)
		}
	}
	return broken
}

// Reserve promises need of the slot's offers to the reservation id and lets it
// join the slot's open batch. It is the only authority on what fits: the error
// is ErrNoOffer or a *ShortError. Reserving an id twice or less than nothing is
// refused with another error.
//
// The slot may have become another agent's since it was selected. So a caller
// that chose a node must see that NodeOf(slot) is still that node after Reserve,
// and Release the reservation if not.
func (c *Cache) Reserve(slot int32, id string, need resources.Vector, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot < 0 || int(slot) >= len(c.slots) || c.slots[slot] == nil {
		return ErrNoOffer
	}
	s := c.slots[slot]
	if len(s.offers) == 0 || !s.usable() {
		return ErrNoOffer
	}
	if need.AnyNegative() {
		return fmt.Errorf("reservation %q needs a negative amount: %s", id, need)
	}
	if _, double := c.byMember[id]; double {
		return fmt.Errorf("reservation %q exists already", id)
	}
	if kind, short := need.FirstShort(s.free()); short {
		return &ShortError{Kind: kind, Need: need, Free: s.free()}
	}
	if len(s.members) == 0 {
		s.openedAt, s.batchNode = now, s.node
		c.open = append(c.open, slot)
	}
	s.members = append(s.members, member{id: id, need: need})
	s.reserved = s.reserved.Add(need)
	c.byMember[id] = slot
	free := s.free()
	c.cols.Load().take(slot, &free, &need)
	return nil
}

// Release takes a reservation out of its open batch and gives its resources
// back. It reports false if the reservation is in no open batch: then it was
// sent, broken or never made.
func (c *Cache) Release(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byMember[id]
	if !ok {
		return false
	}
	c.leave(i, id)
	c.publish(i)
	return true
}

// slotOf finds or makes the slot of an agent. The lock is held.
func (c *Cache) slotOf(agentID, hostname string) int32 {
	if i, ok := c.byAgent[agentID]; ok {
		if s := c.slots[i]; s.hostname == "" {
			s.hostname = hostname
		}
		return i
	}
	var i int32
	if n := len(c.vacant); n > 0 {
		i, c.vacant = c.vacant[n-1], c.vacant[:n-1]
	} else {
		i = int32(len(c.slots))
		c.slots = append(c.slots, nil)
		if cols := c.cols.Load(); len(c.slots) > len(cols.state) {
			c.cols.Store(cols.grown())
		}
		// After the columns: see Select.
		c.used.Store(int32(len(c.slots)))
		c.states[slotVacant].Add(1)
	}
	c.slots[i] = &slot{agent: agentID, hostname: hostname}
	c.byAgent[agentID] = i
	c.publish(i)
	return i
}

// drop forgets slot i. The lock is held.
func (c *Cache) drop(i int32) (broken []string) {
	s := c.slots[i]
	for _, h := range s.offers {
		delete(c.byOffer, h.id)
	}
	c.total = c.total.Sub(s.offered)
	for _, m := range s.members {
		delete(c.byMember, m.id)
		broken = append(broken, m.id)
	}
	if len(s.members) > 0 {
		c.closeBatch(i)
	}
	delete(c.byAgent, s.agent)
	c.slots[i] = nil
	c.vacant = append(c.vacant, i)
	c.publish(i)
	return broken
}

// leave takes a member out of slot i's batch. The lock is held.
func (c *Cache) leave(i int32, id string) {
	s := c.slots[i]
	s.members = slices.DeleteFunc(s.members, func(m member) bool {
		if m.id != id {
			return false
		}
		s.reserved = s.reserved.Sub(m.need)
		return true
	})
	delete(c.byMember, id)
	if len(s.members) == 0 {
		c.closeBatch(i)
	}
}

func (c *Cache) closeBatch(i int32) {
	if at := slices.Index(c.open, i); at >= 0 {
		c.open = slices.Delete(c.open, at, at+1)
	}
}

// publish writes slot i to the columns. The lock is held.
func (c *Cache) publish(i int32) {
	cols, s := c.cols.Load(), c.slots[i]
	before, state := slotState(cols.state[i].Load()), slotOffered
	switch {
	case s == nil:
		state = slotVacant
	case !s.usable():
		state = slotVacant
	case len(s.offers) == 0 && s.inFlight:
		state = slotInFlight
	case len(s.offers) == 0:
		state = slotNoOffer
	}
	if before != state {
		c.states[before].Add(-1)
		c.states[state].Add(1)
	}
	if s == nil {
		cols.node[i].Store(nil)
		cols.put(i, state, nil)
		return
	}
	if name := cols.node[i].Load(); s.node == "" {
		cols.node[i].Store(nil)
	} else if name == nil || *name != s.node {
		node := s.node
		cols.node[i].Store(&node)
	}
	free := s.free()
	cols.put(i, state, &free)
}
