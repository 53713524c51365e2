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

// Batch is what goes out as one ACCEPT: all offers of one agent and role, and the
// reservations that share them.
type Batch struct {
	AgentID, Role string
	// Node is the node that the members were promised. That it still is the
	// agent's is for the caller to check.
	Node     string
	OfferIDs []string
	// Members are in the order they joined.
	Members []Member
	// Offered is the sum of the offers, Need the sum of the members' needs.
	Offered, Need resources.Vector
	// Predicted is what the agent is predicted to offer again, what is reserved of that
	// included; zero if there is no prediction.
	Predicted resources.Vector
	// OpenedAt is when the first member joined.
	OpenedAt time.Time
}

// Member is one reservation of a batch.
type Member struct {
	ID string
	// Parts is what it asks for, by flavour. They count, not those that Reserve
	// returned: offers may have gone in between.
	Parts []resources.Portion
	// Reserve is what of Parts is to be reserved before the launch.
	Reserve []resources.Portion
}

// IDs returns the members' reservation ids.
func (b *Batch) IDs() []string {
	ids := make([]string, 0, len(b.Members))
	for i := range b.Members {
		ids = append(ids, b.Members[i].ID)
	}
	return ids
}

// FlushPolicy says when an open batch is sent.
type FlushPolicy struct {
	// Linger is how long the scheduler must have been quiet (no new scheduling
	// cycle) before a batch is sent.
	Linger time.Duration
	// MaxLinger is the age at which a batch is sent in any case.
	MaxLinger time.Duration
	// MaxTasks is the size at which a batch is sent at once. If PredictedWait is set,
	// the youngest beyond it stay behind, as far as they take but unreserved amounts:
	// they are reservations on what the ACCEPT leaves over.
	MaxTasks int
	// Smallest is the smallest need among the pods of the role still to be placed; a
	// batch whose agent cannot hold even that is sent at once.
	Smallest resources.Vector
	// Drained tells that no pod of the role is left that could join.
	Drained bool
	// Predict lets pods reserve on what the ACCEPT leaves over, if that holds Smallest,
	// until it is offered again, for PredictedWait at most.
	Predict       bool
	PredictedWait time.Duration
}

// Flush takes out the batches that are due: their offers are spent. policy is asked
// for each role that has an open batch, under the lock, and must not call the cache.
// quietSince is when the last scheduling cycle started.
//
// Flush also ends the predictions whose time is up; broken are the reservations on them,
// which are void. next is when to ask again, zero if no batch is open and no prediction
// stands any more.
func (c *Cache) Flush(now, quietSince time.Time, policy func(role string) FlushPolicy) (due []Batch, broken []string, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each(func(r *Role) {
		broken = append(broken, r.expire(now)...)
		if len(r.open) > 0 {
			var again time.Time
			due, again = r.flush(now, quietSince, policy(r.name), due)
			next = sooner(next, again)
		}
		if len(r.predictions.list) > 0 {
			next = sooner(next, r.predictions.until)
		}
	})
	return due, broken, next
}

// sooner returns the sooner of two times; the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (r *Role) flush(now, quietSince time.Time, p FlushPolicy, due []Batch) (all []Batch, next time.Time) {
	quietAt := quietSince.Add(p.Linger)
	quiet := p.Drained || !now.Before(quietAt)
	keep := r.open[:0]
	for _, i := range r.open {
		s := r.slots[i]
		fullAt := s.openedAt.Add(p.MaxLinger)
		if quiet || !now.Before(fullAt) || s.complete(&p, &r.cache.agents[i].withheld) {
			due = append(due, r.spend(i, &p, now))
			continue
		}
		keep = append(keep, i)
		at := fullAt
		if quietAt.Before(at) {
			at = quietAt
		}
		next = sooner(next, at)
	}
	clear(r.open[len(keep):])
	r.open = keep
	return due, next
}

// complete tells that no pod can join the batch.
func (s *slot) complete(p *FlushPolicy, withheld *resources.Vector) bool {
	return len(s.members) >= p.MaxTasks || !p.Smallest.Fits(s.freeAll(withheld))
}

// Complete tells that the slot has an open batch which no pod can join: Flush would
// send it at once.
func (r *Role) Complete(slot int32, p FlushPolicy) bool {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	if slot < 0 || int(slot) >= len(r.slots) || r.slots[slot] == nil {
		return false
	}
	s := r.slots[slot]
	return len(s.members) > 0 && !s.predicts() && s.complete(&p, &r.cache.agents[slot].withheld)
}

// stay takes those members out of slot i's batch that are too many for one ACCEPT and
// may wait for what it leaves over. Their parts stay booked. The lock is held.
func (r *Role) stay(i int32, p *FlushPolicy) (stayed []member) {
	s := r.slots[i]
	if p.MaxTasks <= 0 || len(s.members) <= p.MaxTasks || !r.predictable(i, p) {
		return nil
	}
	sent := s.members[:p.MaxTasks:p.MaxTasks]
	for _, m := range s.members[p.MaxTasks:] {
		if m.want.plain() && m.unreserved() {
			m.parts = nil
			stayed = append(stayed, m)
		} else {
			sent = append(sent, m)
		}
	}
	s.members = sent
	return stayed
}

// unreserved tells that all that the member takes is neither reserved nor revocable.
func (m *member) unreserved() bool {
	return !slices.ContainsFunc(m.parts, func(p resources.Portion) bool { return p.Flavour != nil })
}

// predictable tells whether what slot i's ACCEPT leaves over may be reserved. The lock
// is held.
func (r *Role) predictable(i int32, p *FlushPolicy) bool {
	a := &r.cache.agents[i]
	return p.PredictedWait > 0 && !r.cache.hides(a) && a.node == r.slots[i].batchNode
}

// spend turns slot i's open batch into a Batch and its offers into nothing. The
// caller takes i off the open list. The lock is held.
func (r *Role) spend(i int32, p *FlushPolicy, now time.Time) Batch {
	c, s := r.cache, r.slots[i]
	stayed := r.stay(i, p)
	b := Batch{
		AgentID: c.agents[i].id, Role: r.name, Node: s.batchNode, Offered: s.offered(), Need: s.reserved(), OpenedAt: s.openedAt,
		OfferIDs: make([]string, 0, len(s.offers)), Members: make([]Member, 0, len(s.members)),
	}
	for _, h := range s.offers {
		b.OfferIDs = append(b.OfferIDs, h.id)
		delete(c.byOffer, h.id)
	}
	for i := range s.members {
		b.Members = append(b.Members, s.members[i].spent())
		delete(c.byMember, s.members[i].id)
	}
	c.leftOver(s.offers, b.Need, now)
	c.count(now)
	c.total = c.total.Sub(b.Offered)
	r.held.Add(-int64(len(s.offers)))
	r.waiting.Add(-int32(len(s.members)))
	free, was := s.freeUnreserved(&c.agents[i].withheld), *s
	predict := len(stayed) > 0 || p.Predict && !free.IsZero() && p.Smallest.Fits(free) && r.predictable(i, p)
	*s = slot{inFlight: true}
	if predict {
		s.members, s.openedAt, s.batchNode = stayed, was.openedAt, was.batchNode
		r.predict(i, was.unreserved.Vector, now.Add(p.PredictedWait))
		b.Predicted = was.unreserved.Vector.Add(s.reserved())
	}
	r.publish(i)
	return b
}

func (m *member) spent() Member {
	out := Member{ID: m.id, Parts: m.asked()}
	if m.want.Reserve == nil {
		return out
	}
	for i := range m.parts {
		if m.parts[i].Flavour == nil {
			out.Reserve = append(out.Reserve, out.Parts[i])
		}
	}
	return out
}

// asked returns what a task has to ask for: what is to be reserved has the flavour
// of the reservation.
func (m *member) asked() []resources.Portion {
	switch {
	case m.parts == nil:
		return []resources.Portion{{Bundle: m.want.Need}}
	case m.want.Reserve == nil:
		return m.parts
	}
	parts := slices.Clone(m.parts)
	for i := range parts {
		if parts[i].Flavour == nil {
			parts[i].Flavour = m.want.Reserve
		}
	}
	return parts
}

// Landed tells that the ACCEPT of the agent's batch was answered or given up:
// from now on the agent merely has no offer for the role.
func (c *Cache) Landed(agentID, role string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	r := (*c.roles.Load())[role]
	if ok && r != nil && r.slots[i] != nil && r.slots[i].inFlight {
		r.slots[i].inFlight = false
		r.publish(i)
	}
}
