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

package mesos

import (
	"errors"
	"fmt"
	"slices"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Every entry is in the post-refinement format: no role, the reservation stack in
// reservations, the role that the offer was allocated to in allocation_info.

// taskEntries lists what a task asks for. What the master would answer with a
// TASK_ERROR for that task alone, such as a part of a GPU, is its to refuse: an
// error here fails all tasks of the call.
func taskEntries(t Task, role, principal string) ([]mesosv1.Resource, error) {
	var out []mesosv1.Resource
	for i := range t.Parts {
		entries, err := portionEntries(out, &t.Parts[i], role, principal)
		if err != nil {
			return nil, fmt.Errorf("task %q: %w", t.ID, err)
		}
		out = entries
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("task %q needs nothing; the master answers such a task with TASK_ERROR", t.ID)
	}
	return out, nil
}

// reserveEntries lists the resources of one RESERVE. It refuses what the master
// would drop without a word (Mesos operation::validate).
func reserveEntries(p resources.Portion, role, principal string) ([]mesosv1.Resource, error) {
	made := p.Flavour.Reserved()
	switch {
	case made == nil || p.Flavour.Revocable:
		return nil, fmt.Errorf("%s resources cannot be what a RESERVE makes", p.Flavour)
	case !made.Dynamic:
		return nil, fmt.Errorf("a static reservation for role %q is made by the agent alone", made.Role)
	case made.Role != role:
		return nil, fmt.Errorf("offers of role %q cannot be reserved for role %q", role, made.Role)
	}
	return someEntries(&p, role, principal, "a reservation")
}

// unreserveEntries lists the resources of one UNRESERVE.
func unreserveEntries(p resources.Portion, role string) ([]mesosv1.Resource, error) {
	if made := p.Flavour.Reserved(); made == nil || !made.Dynamic {
		return nil, fmt.Errorf("%s resources cannot be unreserved, only what was reserved dynamically", p.Flavour)
	}
	return someEntries(&p, role, "", "the end of a reservation")
}

// someEntries lists a portion that must not be empty.
func someEntries(p *resources.Portion, role, principal, of string) ([]mesosv1.Resource, error) {
	entries, err := portionEntries(nil, p, role, principal)
	if err == nil && len(entries) == 0 {
		err = fmt.Errorf("%s of nothing", of)
	}
	return entries, err
}

// portionEntries appends the entries of one portion, only those above zero.
func portionEntries(out []mesosv1.Resource, p *resources.Portion, role, principal string) ([]mesosv1.Resource, error) {
	stack, err := reservationStack(p.Flavour, principal)
	if err != nil {
		return nil, err
	}
	allocation := &mesosv1.Resource_AllocationInfo{Role: &role}
	entry := func(name string, kind mesosv1.Value_Type) *mesosv1.Resource {
		out = append(out, mesosv1.Resource{Name: name, Type: &kind, AllocationInfo: allocation, Reservations: stack})
		r := &out[len(out)-1]
		if p.Flavour.IsRevocable() {
			r.Revocable = &mesosv1.Resource_RevocableInfo{}
		}
		return r
	}
	scalar := func(name string, milli int64) error {
		if milli < 0 {
			return fmt.Errorf("a negative amount of %s", name)
		}
		if milli > 0 {
			entry(name, mesosv1.SCALAR).Scalar = &mesosv1.Value_Scalar{Value: resources.ToMesosScalar(milli)}
		}
		return nil
	}
	out = slices.Grow(out, int(resources.NumKinds)+len(p.Bundle.Scalars))
	for k := range resources.NumKinds {
		if err := scalar(k.MesosName(), p.Bundle.Vector[k]); err != nil {
			return nil, err
		}
	}
	for _, s := range p.Bundle.Scalars {
		if err := scalar(s.Name, s.Milli); err != nil {
			return nil, err
		}
	}
	if len(p.Bundle.Ports) > 0 {
		entry(resources.PortsName, mesosv1.RANGES).Ranges = wireRanges(p.Bundle.Ports)
	}
	return out, nil
}

func wireRanges(ports resources.Ranges) *mesosv1.Value_Ranges {
	out := &mesosv1.Value_Ranges{Range: make([]mesosv1.Value_Range, len(ports))}
	for i, r := range ports {
		out.Range[i] = mesosv1.Value_Range{Begin: r.Begin, End: r.End}
	}
	return out
}

// reservationStack is the stack as the master sent it, or one made from our own
// description. A dynamic reservation that we make names our principal: the master
// refuses any other and none (contrary to labels, which are ours to choose), and
// tasks of the same call must name it too.
func reservationStack(f *resources.Flavour, principal string) ([]mesosv1.Resource_ReservationInfo, error) {
	if f == nil {
		return nil, nil
	}
	if f.Wire != "" {
		return parseStack(f.Wire)
	}
	stack := make([]mesosv1.Resource_ReservationInfo, len(f.Reservations))
	for i, r := range f.Reservations {
		kind := mesosv1.Resource_ReservationInfo_STATIC
		if r.Dynamic {
			kind = mesosv1.Resource_ReservationInfo_DYNAMIC
			if r.Principal == "" && i == len(f.Reservations)-1 {
				r.Principal = principal
			}
		}
		stack[i] = mesosv1.Resource_ReservationInfo{Type: &kind, Role: &r.Role, Principal: optional(r.Principal), Labels: wireReservationLabels(r.Labels)}
	}
	return stack, nil
}

func wireReservationLabels(labels []resources.Label) *mesosv1.Labels {
	if len(labels) == 0 {
		return nil
	}
	out := &mesosv1.Labels{Labels: make([]mesosv1.Label, len(labels))}
	for i, l := range labels {
		out.Labels[i] = mesosv1.Label{Key: l.Key, Value: &l.Value}
	}
	return out
}

// resourcePrefix is the required fields of a Resource, so that a stack alone reads
// as one: name "", type SCALAR.
const resourcePrefix = "\x0a\x00\x10\x00"

// parseStack reads a Flavour's Wire. The types tell absent texts from empty ones,
// so that nothing is lost on the way back.
func parseStack(wire string) ([]mesosv1.Resource_ReservationInfo, error) {
	var r mesosv1.Resource
	if err := r.Unmarshal([]byte(resourcePrefix + wire)); err != nil {
		return nil, fmt.Errorf("a reservation that cannot be sent back: %w", err)
	}
	if len(r.Reservations) == 0 {
		return nil, errors.New("a reservation that cannot be sent back: it has no entries")
	}
	return r.Reservations, nil
}
