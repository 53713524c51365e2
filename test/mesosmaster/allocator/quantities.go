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

package allocator

import (
	"slices"
	"strings"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Quantity is an amount of a resource by name alone, in thousandths.
type Quantity struct {
	Name  string
	Milli int64
}

// Quantities are amounts without any further identity (Mesos
// common/resource_quantities.hpp ResourceQuantities): in the order of their
// names, one entry for a name, all above zero.
type Quantities []Quantity

// QuantitiesOf makes quantities from a map of thousandths.
func QuantitiesOf(milli map[string]int64) Quantities {
	var q Quantities
	for name, n := range milli {
		q.add(name, n)
	}
	return q
}

// Scalars are the sums of the scalar resources by name (Mesos
// ResourceQuantities::fromScalarResources).
func Scalars(rs resource.Resources) Quantities {
	var q Quantities
	for i := range rs {
		if rs[i].Kind == resource.Scalar {
			q.add(rs[i].Name, rs[i].Milli)
		}
	}
	return q
}

// Counted are the scalars and, for ranges and sets, the numbers of their items
// (Mesos ResourceQuantities::fromResources).
func Counted(rs resource.Resources) Quantities {
	var q Quantities
	for i := range rs {
		q.add(rs[i].Name, counted(&rs[i]))
	}
	return q
}

func counted(r *resource.Resource) int64 {
	switch r.Kind {
	case resource.Scalar:
		return r.Milli
	case resource.RangeSet:
		return int64(r.Ranges.Count()) * 1000
	default:
		return int64(len(r.Items)) * 1000
	}
}

// Of is the amount of one name, zero if there is none.
func (q Quantities) Of(name string) int64 {
	for i := range q {
		if q[i].Name == name {
			return q[i].Milli
		}
	}
	return 0
}

// Contains tells whether there is as much of everything as in less.
func (q Quantities) Contains(less Quantities) bool {
	for i := range less {
		if q.Of(less[i].Name) < less[i].Milli {
			return false
		}
	}
	return true
}

// Plus and Minus are the sum and what is left; nothing falls below zero.
func (q Quantities) Plus(more Quantities) Quantities {
	sum := slices.Clone(q)
	sum.grow(more)
	return sum
}

// Minus is what is left of q without less; nothing falls below zero.
func (q Quantities) Minus(less Quantities) Quantities {
	rest := slices.Clone(q)
	rest.shrink(less)
	return rest
}

// String renders quantities as Mesos does: "cpus:1; mem:512".
func (q Quantities) String() string {
	if len(q) == 0 {
		return "{}"
	}
	return joinQuantities(q)
}

func joinQuantities(q []Quantity) string {
	var b strings.Builder
	for i := range q {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(q[i].Name + ":" + resource.FormatMilli(q[i].Milli))
	}
	return b.String()
}

func (q *Quantities) add(name string, milli int64) {
	if milli <= 0 {
		return
	}
	for i := range *q {
		switch have := &(*q)[i]; {
		case have.Name == name:
			have.Milli += milli
			return
		case have.Name > name:
			*q = slices.Insert(*q, i, Quantity{name, milli})
			return
		}
	}
	*q = append(*q, Quantity{name, milli})
}

func (q *Quantities) sub(name string, milli int64) {
	for i := range *q {
		if have := &(*q)[i]; have.Name == name {
			if have.Milli -= milli; have.Milli <= 0 {
				*q = slices.Delete(*q, i, i+1)
			}
			return
		}
	}
}

// grow and shrink change q in place.
func (q *Quantities) grow(more Quantities) {
	for i := range more {
		q.add(more[i].Name, more[i].Milli)
	}
}

func (q *Quantities) shrink(less Quantities) {
	for i := range less {
		q.sub(less[i].Name, less[i].Milli)
	}
}

// Limits are upper bounds by name, in the order of the names; a name without an
// entry is unbounded, an entry of zero forbids (Mesos ResourceLimits).
type Limits []Quantity

// LimitsOf makes limits from a map of thousandths.
func LimitsOf(milli map[string]int64) Limits {
	var l Limits
	for name, n := range milli {
		l = append(l, Quantity{name, n})
	}
	slices.SortFunc(l, func(a, b Quantity) int { return strings.Compare(a.Name, b.Name) })
	return l
}

// Of is the bound of one name.
func (l Limits) Of(name string) (milli int64, bounded bool) {
	for i := range l {
		if l[i].Name == name {
			return l[i].Milli, true
		}
	}
	return 0, false
}

// Contain tells whether quantities stay within the limits.
func (l Limits) Contain(q Quantities) bool {
	for i := range q {
		if bound, ok := l.Of(q[i].Name); ok && bound < q[i].Milli {
			return false
		}
	}
	return true
}

// String renders limits as Mesos does: "cpus:0.5".
func (l Limits) String() string {
	if len(l) == 0 {
		return "{}"
	}
	return joinQuantities(l)
}

// minus is what may still be used beside q, never below zero.
func (l Limits) minus(q Quantities) Limits {
	rest := slices.Clone(l)
	for i := range rest {
		rest[i].Milli = max(0, rest[i].Milli-q.Of(rest[i].Name))
	}
	return rest
}
