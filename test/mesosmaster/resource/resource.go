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

// Package resource is the arithmetic of Mesos resources: scalars in thousandths,
// ranges and sets, kept apart by reservation, revocability and disk source, with
// their text form (agent flags, error texts) and their protobuf forms.
package resource

import (
	"math"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Kind is the value type of a resource.
type Kind uint8

// The kinds of Mesos resources.
const (
	Scalar Kind = iota
	RangeSet
	ItemSet
)

// Flavor is what, besides name, kind and allocation role, makes two resources
// different things: reservations, revocability, disk source, provider, sharing
// (Mesos common/resources.cpp, "addable"). The zero Flavor is a plain
// unreserved resource. Flavors are equal if their keys are.
type Flavor struct {
	key  string
	tmpl *mesos.Resource // immutable; nil for the plain flavour
}

// Resource is an amount of one named resource of one flavour.
type Resource struct {
	Name   string
	Kind   Kind
	Alloc  string // allocation role; empty while not allocated
	Flavor Flavor
	Milli  int64 // Scalar: thousandths, the precision Mesos calculates with
	Ranges Ranges
	Items  []string
}

// Resources is a list of resources; the arithmetic below keeps at most one entry
// per identity, and drops empty ones.
type Resources []Resource

// MilliOf rounds a scalar to the three decimals Mesos keeps
// (Mesos common/values.cpp).
func MilliOf(x float64) int64 {
	v := math.Round(x * 1000)
	switch {
	case math.IsNaN(v):
		return 0
	case v >= math.MaxInt64/4:
		return math.MaxInt64 / 4
	case v <= math.MinInt64/4:
		return math.MinInt64 / 4
	}
	return int64(v)
}

// Same tells whether two entries differ at most in their amount.
func (r *Resource) Same(o *Resource) bool {
	return r.Name == o.Name && r.Kind == o.Kind && r.Alloc == o.Alloc && r.Flavor.key == o.Flavor.key
}

// Empty tells whether there is nothing of the resource.
func (r *Resource) Empty() bool {
	switch r.Kind {
	case Scalar:
		return r.Milli <= 0
	case RangeSet:
		return len(r.Ranges) == 0
	default:
		return len(r.Items) == 0
	}
}

// Find is the index of the entry that is the same as want, -1 if there is none.
func (rs Resources) Find(want *Resource) int {
	for i := range rs {
		if rs[i].Same(want) {
			return i
		}
	}
	return -1
}

// Clone copies the list; ranges and items are shared, nothing changes them in
// place.
func (rs Resources) Clone() Resources { return slices.Clone(rs) }

// Add returns rs plus more.
func (rs Resources) Add(more Resources) Resources {
	out := rs.Clone()
	for i := range more {
		m := &more[i]
		if m.Empty() {
			continue
		}
		at := out.Find(m)
		if at < 0 {
			out = append(out, *m)
			continue
		}
		switch m.Kind {
		case Scalar:
			out[at].Milli += m.Milli
		case RangeSet:
			out[at].Ranges = out[at].Ranges.Union(m.Ranges)
		default:
			out[at].Items = unionItems(out[at].Items, m.Items)
		}
	}
	return out
}

// Sub returns rs minus less; what is not there is ignored.
func (rs Resources) Sub(less Resources) Resources {
	out := rs.Clone()
	for i := range less {
		l := &less[i]
		at := out.Find(l)
		if at < 0 || l.Empty() {
			continue
		}
		switch l.Kind {
		case Scalar:
			if out[at].Milli == l.Milli || l.Flavor.Divisible() {
				out[at].Milli -= l.Milli
			}
		case RangeSet:
			out[at].Ranges = out[at].Ranges.Minus(l.Ranges)
		default:
			out[at].Items = slices.DeleteFunc(slices.Clone(out[at].Items), func(s string) bool { return slices.Contains(l.Items, s) })
		}
	}
	return slices.DeleteFunc(out, func(r Resource) bool { return r.Empty() })
}

// distinct tells whether no entry is empty or the same as another.
func (rs Resources) distinct() bool {
	for i := range rs {
		if rs[i].Empty() || rs[:i].Find(&rs[i]) >= 0 {
			return false
		}
	}
	return true
}

// Contains tells whether all of want is in rs, identity by identity. Entries of
// want with the same identity are summed first.
func (rs Resources) Contains(want Resources) bool {
	sum := want
	if !want.distinct() {
		sum = Resources{}.Add(want)
	}
	for i := range sum {
		w := &sum[i]
		at := rs.Find(w)
		if at < 0 {
			return false
		}
		have := &rs[at]
		switch w.Kind {
		case Scalar:
			if have.Milli < w.Milli || have.Milli != w.Milli && !have.Flavor.Divisible() {
				return false
			}
		case RangeSet:
			if !have.Ranges.Contains(w.Ranges) {
				return false
			}
		default:
			if !containsItems(have.Items, w.Items) {
				return false
			}
		}
	}
	return true
}

// Empty tells whether nothing is left in rs.
func (rs Resources) Empty() bool {
	for i := range rs {
		if !rs[i].Empty() {
			return false
		}
	}
	return true
}

// WithAlloc returns rs allocated to role; an empty role removes the allocation.
func (rs Resources) WithAlloc(role string) Resources {
	out := make(Resources, len(rs))
	for i := range rs {
		out[i] = rs[i]
		out[i].Alloc = role
	}
	return out
}

// Scalar is the sum of all entries of that name, in thousandths.
func (rs Resources) Scalar(name string) int64 {
	var n int64
	for i := range rs {
		if rs[i].Name == name && rs[i].Kind == Scalar {
			n += rs[i].Milli
		}
	}
	return n
}

// Ranges is the union of all entries of that name.
func (rs Resources) Ranges(name string) Ranges {
	var out Ranges
	for i := range rs {
		if rs[i].Name == name && rs[i].Kind == RangeSet {
			out = out.Union(rs[i].Ranges)
		}
	}
	return out
}

// Revocable tells whether the flavour may be taken away at any time.
func (f Flavor) Revocable() bool { return f.tmpl != nil && f.tmpl.Revocable != nil }

// Divisible tells whether a part of it is of the same flavour: a disk with a file
// system of its own, and a volume, are taken whole (Mesos common/resources.cpp
// subtractable).
func (f Flavor) Divisible() bool {
	d := f.Disk()
	return d == nil || d.Persistence == nil && (d.Source == nil || d.Source.Type != mesos.Resource_DiskInfo_Source_MOUNT && d.Source.Type != mesos.Resource_DiskInfo_Source_BLOCK)
}

// Key is equal for equal flavours, and for no others.
func (f Flavor) Key() string { return f.key }

// Shared tells whether the flavour can be used by several tasks at once.
func (f Flavor) Shared() bool { return f.tmpl != nil && f.tmpl.Shared != nil }

// Reservations is the reservation stack, outermost first; nil for unreserved.
// It must not be changed.
func (f Flavor) Reservations() []mesos.Resource_ReservationInfo {
	if f.tmpl == nil {
		return nil
	}
	return f.tmpl.Reservations
}

// Disk is the source, persistence and volume of a disk; nil for a plain one. It
// must not be changed.
func (f Flavor) Disk() *mesos.Resource_DiskInfo {
	if f.tmpl == nil {
		return nil
	}
	return f.tmpl.Disk
}

// Plain tells whether the flavour is that of unreserved resources without
// further properties.
func (f Flavor) Plain() bool { return f.key == "" }

// Role is the role the flavour is reserved for, the innermost one of a stack;
// Empty for unreserved.
func (f Flavor) Role() string {
	if f.tmpl == nil || len(f.tmpl.Reservations) == 0 {
		return ""
	}
	return f.tmpl.Reservations[len(f.tmpl.Reservations)-1].GetRole()
}

// AllocatableTo tells whether a role may get the flavour: unreserved, or
// reserved for that role or an ancestor (Mesos Resources::isAllocatableTo).
func (f Flavor) AllocatableTo(role string) bool {
	r := f.Role()
	return r == "" || r == role || strings.HasPrefix(role, r+"/")
}

// String renders one resource as Mesos does in its error texts.
func (r *Resource) String() string {
	var b strings.Builder
	b.WriteString(r.Name)
	if r.Alloc != "" {
		b.WriteString("(allocated: " + r.Alloc + ")")
	}
	r.Flavor.write(&b)
	b.WriteByte(':')
	switch r.Kind {
	case Scalar:
		b.WriteString(FormatMilli(r.Milli))
	case RangeSet:
		b.WriteString(r.Ranges.String())
	default:
		b.WriteString("{" + strings.Join(r.Items, ", ") + "}")
	}
	return b.String()
}

func (f Flavor) write(b *strings.Builder) {
	if f.tmpl == nil {
		return
	}
	if len(f.tmpl.Reservations) > 0 {
		b.WriteString("(reservations: [")
		for i := range f.tmpl.Reservations {
			x := &f.tmpl.Reservations[i]
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("(" + x.GetType().String() + "," + x.GetRole())
			if x.Principal != nil {
				b.WriteString("," + x.GetPrincipal())
			}
			if x.Labels != nil {
				b.WriteString("," + labelText(x.Labels))
			}
			b.WriteString(")")
		}
		b.WriteString("])")
	}
	if f.tmpl.Disk != nil {
		b.WriteString("[" + diskText(f.tmpl.Disk) + "]")
	}
	if f.tmpl.Revocable != nil {
		b.WriteString("{REV}")
	}
	if f.tmpl.Shared != nil {
		b.WriteString("<SHARED>")
	}
}

func labelText(l *mesos.Labels) string {
	parts := make([]string, len(l.Labels))
	for i, x := range l.Labels {
		parts[i] = x.Key
		if x.Value != nil {
			parts[i] += ": " + *x.Value
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// String renders the list as Mesos does: entries separated by "; ".
func (rs Resources) String() string {
	if len(rs) == 0 {
		return "{}"
	}
	parts := make([]string, len(rs))
	for i := range rs {
		parts[i] = rs[i].String()
	}
	return strings.Join(parts, "; ")
}

// FormatMilli writes thousandths without trailing zeros.
func FormatMilli(m int64) string {
	return strconv.FormatFloat(float64(m)/1000, 'f', -1, 64)
}

func unionItems(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func containsItems(have, want []string) bool {
	for _, s := range want {
		if !slices.Contains(have, s) {
			return false
		}
	}
	return true
}
