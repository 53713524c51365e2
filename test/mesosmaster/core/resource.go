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

package core

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

// milliOf rounds a scalar to the three decimals Mesos keeps
// (Mesos common/values.cpp).
func milliOf(x float64) int64 {
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

func (r *Resource) same(o *Resource) bool {
	return r.Name == o.Name && r.Kind == o.Kind && r.Alloc == o.Alloc && r.Flavor.key == o.Flavor.key
}

func (r *Resource) empty() bool {
	switch r.Kind {
	case Scalar:
		return r.Milli <= 0
	case RangeSet:
		return len(r.Ranges) == 0
	default:
		return len(r.Items) == 0
	}
}

func (rs Resources) find(want *Resource) int {
	for i := range rs {
		if rs[i].same(want) {
			return i
		}
	}
	return -1
}

// clone copies the list; ranges and items are shared, nothing changes them in
// place.
func (rs Resources) clone() Resources { return slices.Clone(rs) }

// add returns rs plus more.
func (rs Resources) add(more Resources) Resources {
	out := rs.clone()
	for i := range more {
		m := &more[i]
		if m.empty() {
			continue
		}
		at := out.find(m)
		if at < 0 {
			out = append(out, *m)
			continue
		}
		switch m.Kind {
		case Scalar:
			out[at].Milli += m.Milli
		case RangeSet:
			out[at].Ranges = out[at].Ranges.union(m.Ranges)
		default:
			out[at].Items = unionItems(out[at].Items, m.Items)
		}
	}
	return out
}

// sub returns rs minus less; what is not there is ignored.
func (rs Resources) sub(less Resources) Resources {
	out := rs.clone()
	for i := range less {
		l := &less[i]
		at := out.find(l)
		if at < 0 || l.empty() {
			continue
		}
		switch l.Kind {
		case Scalar:
			out[at].Milli -= l.Milli
		case RangeSet:
			out[at].Ranges = out[at].Ranges.minus(l.Ranges)
		default:
			out[at].Items = slices.DeleteFunc(slices.Clone(out[at].Items), func(s string) bool { return slices.Contains(l.Items, s) })
		}
	}
	return slices.DeleteFunc(out, func(r Resource) bool { return r.empty() })
}

// contains tells whether all of want is in rs, identity by identity. Entries of
// want with the same identity are summed first.
func (rs Resources) contains(want Resources) bool {
	sum := Resources{}.add(want)
	for i := range sum {
		w := &sum[i]
		at := rs.find(w)
		if at < 0 {
			return false
		}
		have := &rs[at]
		switch w.Kind {
		case Scalar:
			if have.Milli < w.Milli {
				return false
			}
		case RangeSet:
			if !have.Ranges.contains(w.Ranges) {
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

// empty tells whether nothing is left in rs.
func (rs Resources) empty() bool {
	for i := range rs {
		if !rs[i].empty() {
			return false
		}
	}
	return true
}

// withAlloc returns rs allocated to role; an empty role removes the allocation.
func (rs Resources) withAlloc(role string) Resources {
	out := make(Resources, len(rs))
	for i := range rs {
		out[i] = rs[i]
		out[i].Alloc = role
	}
	return out
}

// scalar is the sum of all entries of that name, in thousandths.
func (rs Resources) scalar(name string) int64 {
	var n int64
	for i := range rs {
		if rs[i].Name == name && rs[i].Kind == Scalar {
			n += rs[i].Milli
		}
	}
	return n
}

// ranges is the union of all entries of that name.
func (rs Resources) ranges(name string) Ranges {
	var out Ranges
	for i := range rs {
		if rs[i].Name == name && rs[i].Kind == RangeSet {
			out = out.union(rs[i].Ranges)
		}
	}
	return out
}

// revocable tells whether the flavour may be taken away at any time.
func (f Flavor) revocable() bool { return f.tmpl != nil && f.tmpl.Revocable != nil }

// role is the role the flavour is reserved for, the innermost one of a stack;
// empty for unreserved.
func (f Flavor) role() string {
	if f.tmpl == nil || len(f.tmpl.Reservations) == 0 {
		return ""
	}
	return f.tmpl.Reservations[len(f.tmpl.Reservations)-1].GetRole()
}

// allocatableTo tells whether a role may get the flavour: unreserved, or
// reserved for that role or an ancestor (Mesos Resources::isAllocatableTo).
func (f Flavor) allocatableTo(role string) bool {
	r := f.role()
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
		b.WriteString(formatMilli(r.Milli))
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

// formatMilli writes thousandths without trailing zeros.
func formatMilli(m int64) string {
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
