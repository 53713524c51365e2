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
	"fmt"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// DynamicallyReserved tells whether the innermost reservation is a dynamic one.
func (f Flavor) DynamicallyReserved() bool {
	stack := f.Reservations()
	return len(stack) > 0 && stack[len(stack)-1].GetType() == mesos.Resource_ReservationInfo_DYNAMIC
}

// Principal is the principal of the innermost reservation; nil if there is none.
func (f Flavor) Principal() *string {
	stack := f.Reservations()
	if len(stack) == 0 {
		return nil
	}
	return stack[len(stack)-1].Principal
}

// PersistenceID is the id of the persistent volume this is, empty if it is none.
func (f Flavor) PersistenceID() string { return f.Disk().GetPersistence().GetID() }

// derived is the flavour of a changed copy of the template.
func (f Flavor) derived(change func(*mesos.Resource)) Flavor {
	if f.tmpl == nil {
		return f
	}
	tmpl := *f.tmpl
	change(&tmpl)
	return FlavorOf(&tmpl)
}

// popped is the flavour without its innermost reservation.
func (f Flavor) popped() Flavor {
	return f.derived(func(t *mesos.Resource) {
		if n := len(t.Reservations); n > 0 {
			t.Reservations = slices.Clip(t.Reservations[:n-1])
		}
	})
}

// withoutVolume is the flavour of the disk a persistent volume is made of.
func (f Flavor) withoutVolume() Flavor {
	return f.derived(func(t *mesos.Resource) {
		t.Shared = nil
		if t.Disk.GetSource() == nil {
			t.Disk = nil
			return
		}
		t.Disk = &mesos.Resource_DiskInfo{Source: t.Disk.Source}
	})
}

// PopReservation returns rs without the innermost reservation of each entry
// (Mesos Resources::popReservation).
func (rs Resources) PopReservation() Resources {
	return rs.reflavored(Flavor.popped)
}

// WithoutVolumes returns the plain disks that persistent volumes are made of
// (Mesos common/resources_utils.cpp getResourceConversions).
func (rs Resources) WithoutVolumes() Resources {
	return rs.reflavored(Flavor.withoutVolume)
}

func (rs Resources) reflavored(change func(Flavor) Flavor) Resources {
	var out Resources
	for i := range rs {
		r := rs[i]
		r.Flavor = change(r.Flavor)
		out = out.Add(Resources{r})
	}
	return out
}

// Conversion turns some resources into others: one RESERVE, UNRESERVE, CREATE or
// DESTROY (Mesos ResourceConversion).
type Conversion struct{ Consumed, Converted Resources }

// Apply makes a conversion in rs, which must hold what it consumes (Mesos
// Resources::apply).
func (rs Resources) Apply(c Conversion) (Resources, error) {
	if !rs.Contains(c.Consumed) {
		return nil, fmt.Errorf("%s does not contain %s", rs, c.Consumed)
	}
	return rs.Sub(c.Consumed).Add(c.Converted), nil
}

// Unallocated is the conversion without allocation roles, as agents and the
// allocator's totals see it.
func (c Conversion) Unallocated() Conversion {
	return Conversion{c.Consumed.WithAlloc(""), c.Converted.WithAlloc("")}
}
