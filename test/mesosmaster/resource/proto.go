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

package resource

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Upgraded returns the reservation stack of a resource in either format: the
// stack itself, or the one that role and reservation of the older format mean.
func Upgraded(r *mesos.Resource) []mesos.Resource_ReservationInfo {
	if len(r.Reservations) > 0 {
		return r.Reservations
	}
	role := "*"
	if r.Role != nil {
		role = *r.Role
	}
	if role == "*" && r.Reservation == nil {
		return nil
	}
	if r.Reservation == nil {
		t := mesos.Resource_ReservationInfo_STATIC
		return []mesos.Resource_ReservationInfo{{Type: &t, Role: &role}}
	}
	t := mesos.Resource_ReservationInfo_DYNAMIC
	return []mesos.Resource_ReservationInfo{{
		Type: &t, Role: &role, Principal: r.Reservation.Principal, Labels: r.Reservation.Labels,
	}}
}

// FlavorOf extracts the flavour of a resource. Two resources have equal keys
// exactly if their canonical encodings without value and allocation are equal.
func FlavorOf(r *mesos.Resource) Flavor {
	stack := Upgraded(r)
	if len(stack) == 0 && r.Disk == nil && r.Revocable == nil && r.ProviderID == nil && r.Shared == nil {
		return Flavor{}
	}
	scalar := mesos.SCALAR
	tmpl := &mesos.Resource{
		Type: &scalar, Reservations: slices.Clone(stack), Disk: r.Disk,
		Revocable: r.Revocable, ProviderID: r.ProviderID, Shared: r.Shared,
	}
	key, err := tmpl.Marshal()
	if err != nil {
		return Flavor{key: fmt.Sprintf("unencodable %v", err), tmpl: tmpl}
	}
	return Flavor{key: string(key), tmpl: tmpl}
}

// FromProto converts without validating; [Validate] comes first for input.
func FromProto(r *mesos.Resource) Resource {
	out := Resource{Name: r.Name, Flavor: FlavorOf(r), Alloc: r.GetAllocationInfo().GetRole()}
	switch r.GetType() {
	case mesos.RANGES:
		out.Kind = RangeSet
		for _, x := range r.GetRanges().GetRange() {
			out.Ranges = append(out.Ranges, Range{x.Begin, x.End})
		}
		out.Ranges = sortRanges(out.Ranges)
	case mesos.SET:
		out.Kind = ItemSet
		out.Items = r.GetSet().GetItem()
	default:
		out.Milli = MilliOf(r.GetScalar().GetValue())
	}
	return out
}

// FromProtos converts a list; entries of the same identity are summed.
func FromProtos(list []mesos.Resource) Resources {
	var out Resources
	for i := range list {
		out = out.Add(Resources{FromProto(&list[i])})
	}
	return out
}

// Validate says why Mesos rejects the form of one resource, nil if it does not
// (Mesos common/resources.cpp Resources::validate).
func Validate(r *mesos.Resource) error {
	if r.Name == "" {
		return errors.New("Empty resource name")
	}
	err := invalidValue(r)
	if err == nil {
		err = invalidReservations(r)
	}
	if err == nil {
		err = invalidDisk(r)
	}
	if err == nil {
		return nil
	}
	res := FromProto(r)
	return fmt.Errorf("Resource '%s' is invalid: %w", res.String(), err)
}

func invalidValue(r *mesos.Resource) error {
	switch r.GetType() {
	case mesos.SCALAR:
		if r.Scalar == nil || r.Ranges != nil || r.Set != nil {
			return errors.New("Invalid scalar resource")
		}
		if r.Scalar.Value != 0 && MilliOf(r.Scalar.Value) <= 0 { // also if it rounds to zero
			return errors.New("Invalid scalar resource: value <= 0")
		}
	case mesos.RANGES:
		if r.Scalar != nil || r.Ranges == nil || r.Set != nil {
			return errors.New("Invalid ranges resource")
		}
		return invalidRanges(r.Ranges.Range)
	case mesos.SET:
		if r.Scalar != nil || r.Ranges != nil || r.Set == nil {
			return errors.New("Invalid set resource")
		}
		return invalidSet(r.Set.Item)
	default:
		return errors.New("Unsupported resource type")
	}
	return nil
}

// invalidReservations checks a reservation stack: no "*", and each reservation
// after the first dynamic and for a role below the one before.
func invalidReservations(r *mesos.Resource) error {
	outer := ""
	for i, x := range Upgraded(r) {
		role := x.GetRole()
		if role == "*" {
			return errors.New(`Invalid reservation: role "*" cannot be reserved`)
		}
		if err := ValidRole(role); err != nil {
			return fmt.Errorf("Invalid reservation: %w", err)
		}
		if i > 0 && x.GetType() == mesos.Resource_ReservationInfo_STATIC {
			return errors.New("Invalid refined reservation: A refined reservation cannot be STATIC")
		}
		if i > 0 && !strings.HasPrefix(role, outer+"/") {
			return fmt.Errorf("Invalid refined reservation: role '%s' is not a refined role of '%s'", role, outer)
		}
		outer = role
	}
	return nil
}

func invalidDisk(r *mesos.Resource) error {
	switch {
	case r.Disk.GetPersistence() == nil:
		return nil
	case len(Upgraded(r)) == 0:
		return errors.New("Persistent volumes cannot be created from unreserved resources")
	case r.Revocable != nil:
		return errors.New("Persistent volumes cannot be created from revocable resources")
	case r.Disk.Volume == nil:
		return errors.New("Expecting 'volume' to be set for persistent volume")
	case r.Disk.Volume.HostPath != nil:
		return errors.New("Expecting 'host_path' to be unset for persistent volume")
	}
	return nil
}

func invalidSet(items []string) error {
	seen := map[string]bool{}
	for _, s := range items {
		if seen[s] {
			return errors.New("Invalid set resource: duplicated elements")
		}
		seen[s] = true
	}
	return nil
}

func invalidRanges(list []mesos.Value_Range) error {
	for i, x := range list {
		if x.Begin > x.End {
			return errors.New("Invalid ranges resource: begin > end")
		}
		for _, y := range list[:i] {
			if x.Begin <= y.End && y.Begin <= x.End {
				return errors.New("Invalid ranges resource: overlapping ranges")
			}
		}
	}
	return nil
}

// WireForm is how resources appear to one framework, by its capabilities.
type WireForm struct {
	Allocation bool // MULTI_ROLE: allocation_info is shown
	Refined    bool // RESERVATION_REFINEMENT: the reservation stack is shown
	Roles      bool // the pre-refinement role even where refined (operator endpoints)
}

// ToProto renders rs for the wire.
func (rs Resources) ToProto(form WireForm) []mesos.Resource {
	out := make([]mesos.Resource, len(rs))
	scalars := make([]mesos.Value_Scalar, len(rs))
	var info *mesos.Resource_AllocationInfo
	for i := range rs {
		if role := rs[i].Alloc; form.Allocation && role != "" {
			if info.GetRole() != role {
				info = &mesos.Resource_AllocationInfo{Role: &role}
			}
			out[i].AllocationInfo = info
		}
		rs[i].fill(&out[i], &scalars[i], form)
	}
	return out
}

var (
	scalarType = mesos.SCALAR
	rangesType = mesos.RANGES
	setType    = mesos.SET
	starRole   = "*"
)

func (r *Resource) fill(out *mesos.Resource, scalar *mesos.Value_Scalar, form WireForm) {
	out.Name = r.Name
	switch r.Kind {
	case Scalar:
		out.Type = &scalarType
		scalar.Value = float64(r.Milli) / 1000
		out.Scalar = scalar
	case RangeSet:
		out.Type = &rangesType
		out.Ranges = &mesos.Value_Ranges{Range: make([]mesos.Value_Range, len(r.Ranges))}
		for i, x := range r.Ranges {
			out.Ranges.Range[i] = mesos.Value_Range{Begin: x.Begin, End: x.End}
		}
	default:
		out.Type = &setType
		out.Set = &mesos.Value_Set{Item: r.Items}
	}
	if t := r.Flavor.tmpl; t != nil {
		out.Disk, out.Revocable, out.ProviderID, out.Shared = t.Disk, t.Revocable, t.ProviderID, t.Shared
	}
	r.fillReservation(out, form)
}

func (r *Resource) fillReservation(out *mesos.Resource, form WireForm) {
	t := r.Flavor.tmpl
	reserved := t != nil && len(t.Reservations) > 0
	if form.Refined {
		if reserved {
			out.Reservations = t.Reservations
		}
		if !form.Roles {
			return
		}
	}
	if form.Refined && reserved && len(t.Reservations) > 1 {
		return // a refined reservation has no older form
	}
	out.Role = &starRole
	if !reserved {
		return
	}
	last := &t.Reservations[len(t.Reservations)-1]
	out.Role = last.Role
	if last.GetType() == mesos.Resource_ReservationInfo_DYNAMIC {
		out.Reservation = &mesos.Resource_ReservationInfo{Principal: last.Principal, Labels: last.Labels}
	}
}

func diskText(d *mesos.Resource_DiskInfo) string {
	text := ""
	if s := d.Source; s != nil {
		text = s.Type.String()
		if s.Path != nil && s.Path.Root != nil {
			text += ":" + *s.Path.Root
		}
		if s.Mount != nil && s.Mount.Root != nil {
			text += ":" + *s.Mount.Root
		}
	}
	if p := d.Persistence; p != nil {
		if text != "" {
			text += ","
		}
		text += p.ID
		if d.Volume != nil {
			text += ":" + d.Volume.ContainerPath
		}
	}
	return text
}
