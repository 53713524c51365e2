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

// Explain looks at the nodes that a selection counts as not fitting. Those whose agents
// are too small for the want, all that they have for the role counted, it counts apart,
// and takes them out of the selection. Of the nodes without an offer whose agents had too little
// when their offers were last given back it counts what was lacking, or that they are
// kept, instead: to tell who asks for too much from who merely has to wait.
func (r *Role) Explain(want *Want, sel *Selection) (undersized Undersized) {
	seek := r.cache.anyTooSmall(want)
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	for i, s := range r.slots {
		if sel.NoOffer == 0 && !seek {
			break
		}
		slot := int32(i)
		a := r.cache.agent(slot)
		if !a.serves(want) {
			continue
		}
		if kind, short := r.tooSmall(slot, want); short && sel.uncount(r.judgeSlot(slot, want)) {
			undersized[kind]++
			continue
		}
		if s == nil || s.declined == nil || len(s.offers) > 0 || s.inFlight || sel.NoOffer == 0 {
			continue
		}
		if r.cache.kept(a, want) {
			sel.NoOffer--
			sel.Kept++
		} else if short := s.declined.shortOf(want, &a.withheld); short != "" {
			sel.NoOffer--
			sel.lacking(short)
		}
	}
	return undersized
}

// serves tells whether an agent, nil for none, is a node that stays for a pod.
func (a *agent) serves(want *Want) bool {
	return a != nil && a.node != "" && !a.leavesBefore(want)
}

// shortOf names what a want finds too little of, "" if there is enough.
func (s *pools) shortOf(want *Want, withheld *resources.Vector) string {
	if len(s.special) > 0 || !want.plain() {
		_, short := s.split(want, withheld)
		return short
	}
	if kind, lacks := want.Need.Vector.FirstShort(s.freeUnreserved(withheld)); lacks {
		return kindNames[kind]
	}
	return ""
}

// Totals returns the number of offers held and the sum of their resources.
func (c *Cache) Totals() (count int, sum resources.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byOffer), c.total
}

// AgentView is one agent, or what it offered to one role, for the debug page.
type AgentView struct {
	AgentID  string `json:"agentID"`
	Hostname string `json:"hostname"`
	Node     string `json:"node,omitempty"`
	// Role is "" for an agent that offers nothing to any role.
	Role     string           `json:"role,omitempty"`
	Offers   []string         `json:"offers,omitempty"`
	Offered  resources.Vector `json:"-"`
	Reserved resources.Vector `json:"-"`
	// Flavours is what is offered beside plain scalars.
	Flavours []resources.Portion `json:"-"`
	Withheld resources.Vector    `json:"-"`
	// Predicted is what the agent is predicted to offer again; Reserved is of that
	// then.
	Predicted resources.Vector `json:"-"`
	Batch     []string         `json:"batch,omitempty"`
	InFlight  bool             `json:"inFlight,omitempty"`
	HeldSince time.Time        `json:"heldSince,omitzero"`
}

// View copies the state of all agents, for people.
func (c *Cache) View() []AgentView {
	c.mu.Lock()
	defer c.mu.Unlock()
	views := make([]AgentView, 0, len(c.byAgent))
	for i, a := range c.agents {
		if !a.known {
			continue
		}
		v := AgentView{AgentID: a.id, Hostname: a.hostname, Node: a.node, Withheld: a.withheld}
		before := len(views)
		c.each(func(r *Role) {
			if s := r.slots[i]; s != nil && (len(s.offers) > 0 || s.inFlight || s.predicts()) {
				views = append(views, s.view(v, r.name))
			}
		})
		if len(views) == before {
			views = append(views, v)
		}
	}
	return views
}

func (s *slot) view(v AgentView, role string) AgentView {
	v.Role, v.Offered, v.Reserved, v.InFlight = role, s.offered(), s.reserved(), s.inFlight
	if s.predicts() {
		v.Predicted = s.unreserved.Vector.Add(v.Reserved)
	}
	var sum resources.Bundle
	for _, h := range s.offers {
		sum = sum.Add(h.unreserved)
		v.Flavours = addPortions(v.Flavours, h.special())
		v.Offers = append(v.Offers, h.id)
		if v.HeldSince.IsZero() || h.since.Before(v.HeldSince) {
			v.HeldSince = h.since
		}
	}
	if !sum.Plain() {
		sum.Vector = resources.Vector{}
		v.Flavours = append([]resources.Portion{{Bundle: sum}}, v.Flavours...)
	}
	for i := range s.members {
		v.Batch = append(v.Batch, s.members[i].id)
	}
	return v
}

// addPortions returns the sum of the portions, one of each flavour.
func addPortions(sum, more []resources.Portion) []resources.Portion {
	for _, p := range more {
		at := slices.IndexFunc(sum, func(of resources.Portion) bool { return of.Flavour.Equal(p.Flavour) })
		if at < 0 {
			sum = append(sum, p)
			continue
		}
		sum[at].Bundle = sum[at].Bundle.Add(p.Bundle)
	}
	return sum
}

// AnyUnavailable tells, without a lock, whether UnavailableAt is worth asking: it
// is false if no offer announced maintenance since the last Reset.
func (c *Cache) AnyUnavailable() bool { return c.maintained.Load() }

// UnavailableAt returns the earliest maintenance start that the offers of the
// slot's agent announce, zero if none.
func (c *Cache) UnavailableAt(slot int32) (at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot < 0 || int(slot) >= len(c.agents) {
		return at
	}
	c.each(func(r *Role) {
		if r.slots[slot] == nil {
			return
		}
		for _, h := range r.slots[slot].offers {
			if h.rare != nil && !h.rare.unavailable.IsZero() && (at.IsZero() || h.rare.unavailable.Before(at)) {
				at = h.rare.unavailable
			}
		}
	})
	return at
}
