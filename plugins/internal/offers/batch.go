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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Batch is what goes out as one ACCEPT: all offers of one agent and the
// reservations that share them.
type Batch struct {
	AgentID, Role string
	// Node is the node that the members were promised. That it still is the
	// agent's is for the caller to check.
	Node     string
	OfferIDs []string
	// Members are reservation ids in the order they joined.
	Members []string
	// Offered is the sum of the offers, Need the sum of the members' needs.
	Offered, Need resources.Vector
	// OpenedAt is when the first member joined.
	OpenedAt time.Time
}

// FlushPolicy says when an open batch is sent.
type FlushPolicy struct {
	// Linger is how long the scheduler must have been quiet (no new scheduling
	// cycle) before a batch is sent.
	Linger time.Duration
	// MaxLinger is the age at which a batch is sent in any case.
	MaxLinger time.Duration
	// MaxTasks is the size at which a batch is sent at once.
	MaxTasks int
	// Smallest is the smallest need among the pods still to be placed; a batch
	// whose agent cannot hold even that is sent at once.
	Smallest resources.Vector
	// Drained tells that no pod is left that could join: send everything.
	Drained bool
}

// Flush takes out the batches that are due: their offers are spent. quietSince
// is when the last scheduling cycle started. next is when to ask again, zero if
// no batch is open any more.
func (c *Cache) Flush(now, quietSince time.Time, p FlushPolicy) (due []Batch, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	quietAt := quietSince.Add(p.Linger)
	quiet := p.Drained || !now.Before(quietAt)
	keep := c.open[:0]
	for _, i := range c.open {
		s := c.slots[i]
		fullAt := s.openedAt.Add(p.MaxLinger)
		if quiet || !now.Before(fullAt) || s.complete(&p) {
			due = append(due, c.spend(i))
			continue
		}
		keep = append(keep, i)
		at := fullAt
		if quietAt.Before(at) {
			at = quietAt
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	clear(c.open[len(keep):])
	c.open = keep
	return due, next
}

// complete tells that no pod can join the batch.
func (s *slot) complete(p *FlushPolicy) bool {
	return len(s.members) >= p.MaxTasks || !p.Smallest.Fits(s.free())
}

// Complete tells that the slot has an open batch which no pod can join: Flush would
// send it at once.
func (c *Cache) Complete(slot int32, p FlushPolicy) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot < 0 || int(slot) >= len(c.slots) || c.slots[slot] == nil {
		return false
	}
	s := c.slots[slot]
	return len(s.members) > 0 && s.complete(&p)
}

// spend turns slot i's open batch into a Batch and its offers into nothing. The
// caller takes i off the open list. The lock is held.
func (c *Cache) spend(i int32) Batch {
	s := c.slots[i]
	b := Batch{
		AgentID: s.agent, Role: c.role, Node: s.batchNode, Offered: s.offered, Need: s.reserved, OpenedAt: s.openedAt,
		OfferIDs: make([]string, 0, len(s.offers)), Members: make([]string, 0, len(s.members)),
	}
	for _, h := range s.offers {
		b.OfferIDs = append(b.OfferIDs, h.id)
		delete(c.byOffer, h.id)
	}
	for _, m := range s.members {
		b.Members = append(b.Members, m.id)
		delete(c.byMember, m.id)
	}
	c.total = c.total.Sub(s.offered)
	s.offers, s.members = nil, nil
	s.offered, s.reserved = resources.Vector{}, resources.Vector{}
	s.inFlight, s.declined = true, resources.Vector{}
	c.publish(i)
	return b
}

// Landed tells that the ACCEPT of the agent's batch was answered or given up:
// from now on the agent merely has no offer.
func (c *Cache) Landed(agentID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.byAgent[agentID]; ok && c.slots[i].inFlight {
		c.slots[i].inFlight = false
		c.publish(i)
	}
}

// Held describes one offer to the decision what to do with it.
type Held struct {
	ID, AgentID, Hostname string
	// Node is "" for the offer of an agent that is no usable node.
	Node string
	// Free is the offer's own part, AgentFree all that its agent had to give when
	// its first offer was shown: the same for all offers of the agent, so that a
	// decision about the agent treats them alike.
	Free, AgentFree resources.Vector
	Since           time.Time
}

// sweepSlots is how many slots Sweep looks at under one lock: few enough that a
// Reserve in between waits for some ten microseconds only.
const sweepSlots = 64

// Sweep shows every offer that no open batch needs and takes out those for
// which drop says so; it returns their ids, to be declined. It lets others in
// between, so of offers that come meanwhile it may show some. drop is called
// under the lock and must not call the cache.
func (c *Cache) Sweep(drop func(Held) bool) (ids []string) {
	for from, left := 0, true; left; from += sweepSlots {
		ids, left = c.sweepPart(from, drop, ids)
	}
	return ids
}

// sweepPart sweeps the slots from index from on. It reports whether more follow.
func (c *Cache) sweepPart(from int, drop func(Held) bool, ids []string) ([]string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := min(from+sweepSlots, len(c.slots))
	for i := from; i < end; i++ {
		if s := c.slots[i]; s != nil && len(s.offers) > 0 && len(s.members) == 0 {
			ids = c.sweepSlot(int32(i), drop, ids)
		}
	}
	return ids, end < len(c.slots)
}

// sweepSlot sweeps slot i, which has no open batch. The lock is held.
func (c *Cache) sweepSlot(i int32, drop func(Held) bool, ids []string) []string {
	s := c.slots[i]
	view := Held{AgentID: s.agent, Hostname: s.hostname, Node: s.node, AgentFree: s.free()}
	kept := s.offers[:0]
	for _, h := range s.offers {
		view.ID, view.Free, view.Since = h.id, h.free, h.since
		if !drop(view) {
			kept = append(kept, h)
			continue
		}
		ids = append(ids, h.id)
		s.offered = s.offered.Sub(h.free)
		c.total = c.total.Sub(h.free)
		delete(c.byOffer, h.id)
	}
	if len(kept) < len(s.offers) {
		clear(s.offers[len(kept):])
		s.offers = kept
		if len(kept) == 0 {
			s.declined = view.AgentFree
		}
		c.publish(i)
	}
	return ids
}

// DeclinedShort counts the nodes that have no offer because what their agents had
// was given back and lacks something of need, by what: to tell who asks for too
// much from who merely has to wait.
func (c *Cache) DeclinedShort(need resources.Vector) (short [resources.NumKinds]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.slots {
		if s == nil || s.node == "" || len(s.offers) > 0 || s.inFlight || s.declined.IsZero() {
			continue
		}
		if kind, lacks := need.FirstShort(s.declined); lacks {
			short[kind]++
		}
	}
	return short
}

// Totals returns the number of offers held and the sum of their resources.
func (c *Cache) Totals() (count int, sum resources.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byOffer), c.total
}

// AgentView is one agent for the debug page.
type AgentView struct {
	AgentID   string           `json:"agentID"`
	Hostname  string           `json:"hostname"`
	Node      string           `json:"node,omitempty"`
	Offers    []string         `json:"offers,omitempty"`
	Offered   resources.Vector `json:"-"`
	Reserved  resources.Vector `json:"-"`
	Batch     []string         `json:"batch,omitempty"`
	InFlight  bool             `json:"inFlight,omitempty"`
	HeldSince time.Time        `json:"heldSince,omitzero"`
}

// View copies the state of all agents, for people.
func (c *Cache) View() []AgentView {
	c.mu.Lock()
	defer c.mu.Unlock()
	views := make([]AgentView, 0, len(c.byAgent))
	for _, s := range c.slots {
		if s == nil {
			continue
		}
		v := AgentView{
			AgentID: s.agent, Hostname: s.hostname, Node: s.node,
			Offered: s.offered, Reserved: s.reserved, InFlight: s.inFlight,
		}
		for _, h := range s.offers {
			v.Offers = append(v.Offers, h.id)
			if v.HeldSince.IsZero() || h.since.Before(v.HeldSince) {
				v.HeldSince = h.since
			}
		}
		for _, m := range s.members {
			v.Batch = append(v.Batch, m.id)
		}
		views = append(views, v)
	}
	return views
}

// AnyUnavailable tells, without a lock, whether UnavailableAt is worth asking: it
// is false if no offer announced maintenance since the last Reset.
func (c *Cache) AnyUnavailable() bool { return c.maintained.Load() }

// UnavailableAt returns the earliest maintenance start that the slot's offers
// announce, zero if none.
func (c *Cache) UnavailableAt(slot int32) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	var at time.Time
	if slot < 0 || int(slot) >= len(c.slots) || c.slots[slot] == nil {
		return at
	}
	for _, h := range c.slots[slot].offers {
		if !h.unavailable.IsZero() && (at.IsZero() || h.unavailable.Before(at)) {
			at = h.unavailable
		}
	}
	return at
}
