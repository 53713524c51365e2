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

package resources

import (
	"cmp"
	"slices"
	"strings"
)

// Label is a key and a value of a reservation.
type Label struct{ Key, Value string }

// Reservation is one entry of a resource's reservation stack (v1/mesos.proto
// Resource.ReservationInfo).
type Reservation struct {
	// Role is for whom the resource is reserved.
	Role string
	// Dynamic reservations were made by a framework or an operator and can be taken
	// back; the others are the agent's own (static).
	Dynamic   bool
	Principal string
	Labels    []Label
}

// Flavour tells resources of one name apart that Mesos does not let stand in for
// one another: a task must ask for exactly the flavour that it was offered (Mesos
// source, common/resources.cpp, addable and subtractable). The nil Flavour is the
// plain one: unreserved and not revocable. Flavours are never changed.
type Flavour struct {
	// Revocable resources may be taken back at any time. They are never reserved.
	Revocable bool
	// Reservations is the stack, the outermost first; empty for unreserved ones.
	Reservations []Reservation
	// Wire is the stack as the master sent it, to be sent back unchanged: it also
	// tells absent texts from empty ones. "" for flavours that we made up.
	Wire string
}

// RevocableFlavour is the flavour of revocable resources.
var RevocableFlavour = &Flavour{Revocable: true}

// IsRevocable reports whether the resources may be taken back at any time.
func (f *Flavour) IsRevocable() bool { return f != nil && f.Revocable }

// Reserved returns the last entry of the reservation stack, the one that decides
// who may use the resource; nil for unreserved ones.
func (f *Flavour) Reserved() *Reservation {
	if f == nil || len(f.Reservations) == 0 {
		return nil
	}
	return &f.Reservations[len(f.Reservations)-1]
}

// Equal reports whether both are the same to Mesos. Flavours that came from a
// master are compared as they came, so one that we made up never equals them, be it
// reserved alike.
func (f *Flavour) Equal(other *Flavour) bool {
	switch {
	case f == other:
		return true
	case f.plain() || other.plain():
		return f.plain() && other.plain()
	}
	return f.Revocable == other.Revocable && f.Wire == other.Wire &&
		(f.Wire != "" || slices.EqualFunc(f.Reservations, other.Reservations, Reservation.equal))
}

// plain reports whether f is a way of writing the nil Flavour.
func (f *Flavour) plain() bool {
	return f == nil || !f.Revocable && f.Wire == "" && len(f.Reservations) == 0
}

// equal compares as the master does: labels in any order, each as often (Mesos
// source, common/type_utils.cpp, operator== of Labels).
func (r Reservation) equal(other Reservation) bool {
	return r.Role == other.Role && r.Dynamic == other.Dynamic && r.Principal == other.Principal &&
		slices.Equal(slices.SortedFunc(slices.Values(r.Labels), compareLabels), slices.SortedFunc(slices.Values(other.Labels), compareLabels))
}

func compareLabels(a, b Label) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
}

// Label returns the value of a label of the deciding reservation, "" if there is
// none.
func (r *Reservation) Label(key string) string {
	if r == nil {
		return ""
	}
	for _, l := range r.Labels {
		if l.Key == key {
			return l.Value
		}
	}
	return ""
}

// String describes the flavour for people: "unreserved", "revocable", or
// "reserved for eng (dynamic, kube-mesos.io/pod=web-0)".
func (f *Flavour) String() string {
	switch {
	case f.IsRevocable():
		return "revocable"
	case f.Reserved() == nil:
		return "unreserved"
	}
	var b strings.Builder
	for i, r := range f.Reservations {
		if i > 0 {
			b.WriteString(", refined ")
		}
		b.WriteString("reserved for " + r.Role)
		details := []string{"static"}
		if r.Dynamic {
			details[0] = "dynamic"
		}
		if r.Principal != "" {
			details = append(details, "by "+r.Principal)
		}
		for _, l := range r.Labels {
			details = append(details, l.Key+"="+l.Value)
		}
		b.WriteString(" (" + strings.Join(details, ", ") + ")")
	}
	return b.String()
}

// Portion is resources of one flavour.
type Portion struct {
	Flavour *Flavour
	Bundle  Bundle
}
