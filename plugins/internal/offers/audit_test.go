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
	"fmt"
	"slices"
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// audited is a *Cache or a single.
type audited interface{ audited() *Cache }

func (c *Cache) audited() *Cache { return c }

func mustAudit(t testing.TB, c audited) {
	t.Helper()
	if err := audit(c.audited()); err != nil {
		t.Fatalf("the cache contradicts itself: %v", err)
	}
}

// audit checks everything that must hold of a cache at any time when no writer
// is inside, whatever happened before. It returns the first violation.
func audit(c *Cache) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := auditor{c: c, roles: *c.roles.Load()}
	if err := a.registry(); err != nil {
		return err
	}
	for name, r := range a.roles {
		if name != r.name || r.cache != c {
			return fmt.Errorf("role %q is found as %q", r.name, name)
		}
		if err := a.role(r); err != nil {
			return fmt.Errorf("role %q: %w", name, err)
		}
	}
	if a.offers != len(c.byOffer) || a.members != len(c.byMember) {
		return fmt.Errorf("slots have %d offers and %d members, the maps %d and %d", a.offers, a.members, len(c.byOffer), len(c.byMember))
	}
	if a.total != c.total {
		return fmt.Errorf("offers sum up to %s, the total says %s", a.total, c.total)
	}
	return nil
}

type auditor struct {
	c               *Cache
	roles           map[string]*Role
	offers, members int
	total           resources.Vector
}

// registry checks the agents, which all roles share.
func (a *auditor) registry() error {
	names := *a.c.names.Load()
	known, vacant := 0, 0
	for i := range a.c.agents {
		agent := a.c.agent(int32(i))
		name := ""
		if at := names[i].Load(); at != nil {
			name = *at
		}
		if agent == nil {
			vacant++
			if !slices.Contains(a.c.vacant, int32(i)) || name != "" {
				return fmt.Errorf("slot %d is not listed as vacant or has the name %q", i, name)
			}
			continue
		}
		known++
		if at, ok := a.c.byAgent[agent.id]; !ok || at != int32(i) || name != agent.node {
			return fmt.Errorf("slot %d: agent %s is found at %d, its node %q has the name %q", i, agent.id, at, agent.node, name)
		}
		if agent.withheld.AnyNegative() {
			return fmt.Errorf("slot %d: less than nothing is withheld: %s", i, agent.withheld)
		}
	}
	if known != len(a.c.byAgent) || vacant != len(a.c.vacant) {
		return fmt.Errorf("%d agents and %d vacant slots, listed are %d and %d", known, vacant, len(a.c.byAgent), len(a.c.vacant))
	}
	return nil
}

func (a *auditor) role(r *Role) error {
	n, cols, names := len(a.c.agents), r.cols.Load(), *a.c.names.Load()
	if used := int(r.used.Load()); used != n || len(r.slots) != n || len(cols.state) != len(names) || n > len(names) {
		return fmt.Errorf("%d agents, %d slots, %d used, columns for %d, names for %d", n, len(r.slots), used, len(cols.state), len(names))
	}
	var states [numSlotStates]int32
	open, waiting, foreseen := 0, 0, 0
	held := a.offers
	for i, s := range r.slots {
		state, free := slotVacant, resources.Vector{}
		if agent := a.c.agent(int32(i)); agent != nil {
			state = a.state(s, agent)
			if s != nil {
				var err error
				if free, err = a.slot(r, int32(i), s); err != nil {
					return fmt.Errorf("slot %d: %w", i, err)
				}
				waiting += len(s.members)
				if s.predicts() {
					foreseen += len(s.members)
				} else if len(s.members) > 0 {
					open++
				}
				if err := auditPrediction(r, int32(i), s); err != nil {
					return fmt.Errorf("slot %d: %w", i, err)
				}
			}
		} else if s != nil {
			return fmt.Errorf("slot %d has no agent", i)
		}
		states[state]++
		if err := auditColumns(cols, int32(i), state, free); err != nil {
			return fmt.Errorf("slot %d: %w", i, err)
		}
	}
	for state := range states {
		if got := r.states[state].Load(); got != states[state] {
			return fmt.Errorf("%d slots are in state %d, %d are counted", states[state], state, got)
		}
	}
	if got := r.Waiting(); got != waiting {
		return fmt.Errorf("%d reservations wait, %d are counted", waiting, got)
	}
	if got := r.Held(); got != a.offers-held {
		return fmt.Errorf("%d offers are held, %d are counted", a.offers-held, got)
	}
	if p := &r.predictions; p.members != foreseen || int(r.predicted.Load()) != len(p.list) {
		return fmt.Errorf("%d reservations on predictions, %d are counted; %d predictions, %d are counted", foreseen, p.members, len(p.list), r.predicted.Load())
	}
	return auditOpen(r, open)
}

// auditPrediction checks that a slot and the list of predictions agree.
func auditPrediction(r *Role, i int32, s *slot) error {
	p, listed := &r.predictions, 0
	for _, of := range p.list {
		if of.slot == i {
			listed++
		}
		if of.until.Before(p.until) {
			return fmt.Errorf("a prediction ends at %s, before %s", of.until, p.until)
		}
	}
	switch {
	case !s.predicts():
		if listed > 0 {
			return fmt.Errorf("%d predictions are listed of a slot without", listed)
		}
	case listed != 1 || p.list[s.predicted-1].slot != i:
		return fmt.Errorf("the prediction is listed %d times, at %d is %v", listed, s.predicted-1, p.list)
	case len(s.offers) > 0 || len(s.special) > 0 || !s.unreserved.Plain() || s.unreserved.AnyNegative():
		return fmt.Errorf("a prediction with %d offers and %d flavours, left is %s", len(s.offers), len(s.special), s.unreserved)
	}
	return nil
}

// auditOpen checks the list of the open batches, of which there are so many.
func auditOpen(r *Role, open int) error {
	if len(r.open) != open {
		return fmt.Errorf("%d batches are open, listed are %v", open, r.open)
	}
	for n, i := range r.open {
		if slices.Contains(r.open[:n], i) || r.slots[i] == nil || len(r.slots[i].members) == 0 || r.slots[i].predicts() {
			return fmt.Errorf("open batch %d is listed twice or is none", i)
		}
		if n > 0 && r.slots[i].openedAt.Before(r.slots[r.open[n-1]].openedAt) {
			return fmt.Errorf("open batch %d is older than the one before it", i)
		}
	}
	return nil
}

// state says what the columns must tell of a slot that has an agent.
func (a *auditor) state(s *slot, agent *agent) slotState {
	switch {
	case agent.node == "", s != nil && len(s.members) > 0 && s.batchNode != agent.node:
		return slotVacant
	case agent.leaving:
		return slotLeaving
	case s != nil && len(s.offers) > 0 && agent.gpus && a.c.cfg.KeepGPUs:
		return slotKept
	case s != nil && len(s.offers) > 0:
		return slotOffered
	case s != nil && s.predicts():
		return slotPredicted
	case s != nil && s.inFlight:
		return slotInFlight
	}
	return slotNoOffer
}

// slot checks the books of a slot, and returns what any pod may have of it.
func (a *auditor) slot(r *Role, i int32, s *slot) (free resources.Vector, err error) {
	var offered, reserved books
	for j := range s.offers {
		h := &s.offers[j]
		if at, ok := a.c.byOffer[h.id]; !ok || at != (place{r, i}) {
			return free, fmt.Errorf("offer %s is found at %v", h.id, at)
		}
		offered.add(nil, h.unreserved)
		for _, p := range h.special() {
			offered.add(p.Flavour, p.Bundle)
		}
		a.total = a.total.Add(h.total())
	}
	for j := range s.members {
		m := &s.members[j]
		if at, ok := a.c.byMember[m.id]; !ok || at != (place{r, i}) {
			return free, fmt.Errorf("member %s is found at %v", m.id, at)
		}
		if err := reserved.take(m); err != nil {
			return free, fmt.Errorf("member %s: %w", m.id, err)
		}
	}
	a.offers, a.members = a.offers+len(s.offers), a.members+len(s.members)
	if s.predicts() {
		return free, nil
	}
	if len(s.members) > 0 && len(s.offers) == 0 {
		return free, fmt.Errorf("members %v without an offer", s.members)
	}
	return a.pools(i, s, offered, reserved)
}

// pools compares the pools with the books.
func (a *auditor) pools(i int32, s *slot, offered, reserved books) (free resources.Vector, err error) {
	if err := auditPool(nil, &s.unreserved, offered, reserved); err != nil {
		return free, err
	}
	free = s.unreserved.Vector.Sub(a.c.agents[i].withheld).Max(resources.Vector{})
	listed := 1
	for j := range s.special {
		p := &s.special[j]
		if err := auditPool(p.flavour, &p.free, offered, reserved); err != nil {
			return free, err
		}
		owner, usable := "", p.flavour.Reserved() == nil
		if !p.flavour.IsRevocable() {
			owner, usable = a.c.cfg.Classify(p.flavour)
		}
		if p.owner != owner || p.usable != usable || p.offers != portions(s, p.flavour) || p.offers == 0 {
			return free, fmt.Errorf("pool of %s: owner %q, usable %t, %d portions", p.flavour, p.owner, p.usable, p.offers)
		}
		if usable && owner == "" && !p.flavour.IsRevocable() {
			free = free.Add(p.free.Vector)
		}
		listed++
	}
	if _, plain := offered.find(nil); !plain {
		offered = append(offered, resources.Portion{})
	}
	if listed != len(offered) {
		return free, fmt.Errorf("%d flavours were offered, there are %d pools", len(offered), listed)
	}
	for _, taken := range reserved {
		if _, ok := offered.find(taken.Flavour); !ok && !taken.Bundle.IsZero() {
			return free, fmt.Errorf("%s of %s was never offered", taken.Bundle, taken.Flavour)
		}
	}
	return free, nil
}

func auditPool(flavour *resources.Flavour, free *resources.Bundle, offered, reserved books) error {
	has, _ := offered.find(flavour)
	taken, _ := reserved.find(flavour)
	if !taken.Fits(&has) {
		return fmt.Errorf("%s: over-committed: offered %s, reserved %s", flavour, has, taken)
	}
	if rest := has.Sub(taken); !free.Equal(&rest) {
		return fmt.Errorf("%s: offered %s and reserved %s leave %s free", flavour, has, taken, free)
	}
	return nil
}

// portions counts the portions of a flavour that the slot's offers have.
func portions(s *slot, flavour *resources.Flavour) (n int) {
	for i := range s.offers {
		for _, p := range s.offers[i].special() {
			if p.Flavour.Equal(flavour) {
				n++
			}
		}
	}
	return n
}

// books are sums by flavour.
type books []resources.Portion

func (b books) find(f *resources.Flavour) (resources.Bundle, bool) {
	for _, p := range b {
		if p.Flavour.Equal(f) {
			return p.Bundle, true
		}
	}
	return resources.Bundle{}, false
}

func (b *books) add(f *resources.Flavour, amount resources.Bundle) {
	for i := range *b {
		if p := &(*b)[i]; p.Flavour.Equal(f) {
			p.Bundle = p.Bundle.Add(amount)
			return
		}
	}
	*b = append(*b, resources.Portion{Flavour: f, Bundle: amount})
}

// take adds what a member takes, which must be exactly what it needs, no port twice.
func (b *books) take(m *member) error {
	parts := m.parts
	if parts == nil {
		parts = []resources.Portion{{Bundle: m.want.Need}}
	}
	var sum resources.Bundle
	for _, p := range parts {
		if booked, _ := b.find(p.Flavour); len(booked.Ports.Intersect(p.Bundle.Ports)) > 0 {
			return fmt.Errorf("ports %s of %s are taken twice", p.Bundle.Ports, p.Flavour)
		}
		b.add(p.Flavour, p.Bundle)
		sum = sum.Add(p.Bundle)
	}
	if !sum.Equal(&m.want.Need) {
		return fmt.Errorf("needs %s and takes %s", m.want.Need, sum)
	}
	return nil
}

func auditColumns(cols *columns, i int32, state slotState, free resources.Vector) error {
	if got := slotState(cols.state[i].Load()); got != state {
		return fmt.Errorf("state column says %d, want %d", got, state)
	}
	for k := range free {
		want := free[k]
		if state != slotOffered {
			want = hidden
		}
		if got := cols.free[k][i].Load(); got != want {
			return fmt.Errorf("%s column says %d, want %d", resources.Kind(k), got, want)
		}
	}
	want := uint32(hiddenBriefly)
	if state == slotOffered {
		want = briefly(&free)
	}
	if got := uint32(cols.brief[i/2].Load()>>(uint(i%2)*32)) &^ uint32(guards&(1<<32-1)); got != want {
		return fmt.Errorf("the short amounts say %x, want %x", got, want)
	}
	return nil
}
