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

package reservations

import (
	"cmp"
	"slices"
	"time"
)

// States of reservations, as metrics count them.
const (
	// StateKept is one whose owner lives, or has not been judged.
	StateKept = "kept"
	// StateReleasing is one that is being given back.
	StateReleasing = "releasing"
	// StateStuck is one that has been for longer than StuckAfter.
	StateStuck = "stuck"
	// StateUnreadable is one with labels like ours that do not name an owner.
	StateUnreadable = "unreadable"
	// StateForeign is one of another framework, or of ours under another id.
	StateForeign = "foreign"
)

// Status is one reservation with labels of single pods, for people.
type Status struct {
	AgentID string `json:"agentID"`
	Role    string `json:"role"`
	// Name is what ReleaseNow takes.
	Name  string `json:"name"`
	State string `json:"state"`
	// Labels describes the reservation in full.
	Labels string `json:"labels"`
	// Amount is how much is reserved, InUse how much of it a task uses.
	Amount string `json:"amount"`
	InUse  string `json:"inUse"`
	// Reason and Since say why and since when it is being given back; "" and zero if
	// it is not.
	Reason Reason    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Stuck lists what was not given back in time, what cannot be read, and what
// another framework reserved under labels like ours: ordered by agent.
func (r *Registry) Stuck(now time.Time) []Status {
	return slices.DeleteFunc(r.All(now), func(s Status) bool { return s.State == StateKept || s.State == StateReleasing })
}

// All lists all reservations, ordered by agent.
func (r *Registry) All(now time.Time) []Status {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]Status, 0, len(r.records))
	for _, rec := range r.records {
		s := Status{AgentID: rec.agent, Role: rec.role, Name: rec.name(), State: r.state(rec, now), Labels: rec.flavour.String(),
			Amount: rec.total.String(), InUse: rec.used.String()}
		s.Reason, s.Since = r.why(rec)
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.AgentID, b.AgentID), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Counts returns how many reservations are in each state, for
// metrics.Gauges.Reservations.
func (r *Registry) Counts(now time.Time) map[string]int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	counts := map[string]int{StateKept: 0, StateReleasing: 0, StateStuck: 0, StateUnreadable: 0, StateForeign: 0}
	for _, rec := range r.records {
		counts[r.state(rec, now)]++
	}
	return counts
}

// state returns the state of a record. The lock is held.
func (r *Registry) state(rec *record, now time.Time) string {
	switch reason, since := r.why(rec); {
	case reason != "" && now.Sub(since) >= StuckAfter:
		return StateStuck
	case reason != "":
		return StateReleasing
	case rec.kind == foreign:
		return StateForeign
	case rec.kind == unreadable:
		return StateUnreadable
	}
	return StateKept
}

// Owners lists the owners of all known reservations of ours that fit, each once, in
// no order; all if fits is nil.
func (r *Registry) Owners(fits func(Owner) bool) []Owner {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []Owner
	for _, records := range r.byName {
		if rec := records[0]; rec.kind == ours && (fits == nil || fits(rec.owner)) {
			list = append(list, rec.owner)
		}
	}
	return list
}
