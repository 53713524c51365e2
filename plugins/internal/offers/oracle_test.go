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

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func (r *mixedRun) count(w *Want) {
	for _, sort := range []struct {
		name string
		is   bool
	}{
		{"plain", w.plain()}, {"foreseeing", w.foresees()}, {"ports", len(w.Need.Ports) > 0}, {"scalars", len(w.Need.Scalars) > 0}, {"gpus", w.Need.Vector[resources.GPU] > 0},
		{"riding", w.Revocable == RevocableRequired}, {"may ride", w.Revocable == RevocableAllowed}, {"reserved only", w.Order == ReservedOnly},
		{"owner", w.Owner != ""}, {"reserving", w.Reserve != nil}, {"owner reserving", w.Owner != "" && w.Reserve != nil},
	} {
		if sort.is {
			r.reserved[sort.name]++
		}
	}
}

// selects checks that Select tells the same of a slot as Fits.
func selects(of *Role, slot int32, want *Want, expected Verdict) error {
	sel := of.Select(want, 0, 0, nil)
	found := slices.Contains(sel.Slots, slot)
	if want.plain() {
		// Predictions are shown only if nothing else fits, whether they are wanted or not.
		with, without := *want, *want
		with.Predicted, without.Predicted = true, false
		foreseen, _ := of.Fits(slot, &with)
		offered, _ := of.Fits(slot, &without)
		switch onlyForeseen := foreseen == Fitting && offered != Fitting; {
		case sel.Predicted:
			if found != onlyForeseen {
				return fmt.Errorf("Select(%+v) shows the predictions %v, but of slot %d Fits says %d and %d", want, sel.Slots, slot, foreseen, offered)
			}
			return nil
		case onlyForeseen && len(sel.Slots) > 0:
			expected = InFlight
		}
	}
	// Who may ride is shown where he need not, if there is such a place.
	elsewhere := want.Revocable == RevocableAllowed && len(sel.Slots) > 0
	if found != (expected == Fitting) && (found || !elsewhere) {
		return fmt.Errorf("Select(%+v) = %v, but of slot %d Fits says %d", want, sel.Slots, slot, expected)
	}
	if part := of.Select(want, int(slot), 1, nil); len(part.Slots) != min(1, len(sel.Slots)) || part.More && part.NoOffer+part.InFlight+part.Kept+len(part.Lacks) > 0 {
		return fmt.Errorf("Select of one from %d = %+v, of all %v", slot, part, sel.Slots)
	}
	return nil
}

// oracle judges a want by what the audited books have left, name by name.
func (r *mixedRun) oracle(of *Role, slot int32, w *Want) (v Verdict, lacks bool) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	a, s := c.agent(slot), of.slots[slot]
	switch {
	case a == nil || a.node == "" || s != nil && len(s.members) > 0 && s.batchNode != a.node:
		return NotAgent, false
	case s == nil || len(s.offers) == 0 && !s.inFlight && !s.predicts():
		return NoOffer, false
	case len(s.offers) == 0 && !(s.predicts() && w.Predicted && w.plain()):
		return InFlight, false
	case c.cfg.KeepGPUs && a.gpus && w.Need.Vector[resources.GPU] == 0:
		return Kept, false
	}
	regular, revocable := resources.Bundle{}, resources.Bundle{}
	for i := range s.special {
		switch p := &s.special[i]; {
		case p.flavour.Reserved() != nil && p.flavour.IsRevocable():
		case p.flavour.IsRevocable():
			revocable = revocable.Add(p.free)
		case p.usable && p.owner != "" && p.owner == w.Owner, p.usable && p.owner == "" && w.Reserve == nil:
			regular = regular.Add(p.free)
		}
	}
	if w.Order != ReservedOnly {
		left := s.unreserved
		left.Vector = left.Vector.Sub(a.withheld).Max(resources.Vector{})
		regular = regular.Add(left)
	}
	if w.Revocable != RevocableRequired && w.Need.Fits(&regular) || w.Revocable != RevocableNever && rides(&w.Need, &revocable, &regular) {
		return Fitting, false
	}
	return ShortOf, true
}

// rides tells whether every name is there in one kind, cpus in the revocable one.
func rides(need, revocable, regular *resources.Bundle) bool {
	for k := range need.Vector {
		if need.Vector[k] > revocable.Vector[k] && (k == int(resources.CPU) || need.Vector[k] > regular.Vector[k]) {
			return false
		}
	}
	for _, s := range need.Scalars {
		if s.Milli > revocable.Scalars.Of(s.Name) && s.Milli > regular.Scalars.Of(s.Name) {
			return false
		}
	}
	return revocable.Ports.Contains(need.Ports) || regular.Ports.Contains(need.Ports)
}
