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
	"slices"
	"strings"
)

// Scalar is an amount, in 1/1000 of its unit, of a Mesos scalar resource that no
// Vector counts.
type Scalar struct {
	Name  string
	Milli int64
}

// Scalars is amounts by name: ascending by name, each name once, no zeros. Values
// are never changed, so they may be shared.
type Scalars []Scalar

// NewScalars returns the given amounts in the order of Scalars. Amounts of one name
// are added up.
func NewScalars(list ...Scalar) Scalars {
	if len(list) == 0 {
		return nil
	}
	sorted := slices.SortedStableFunc(slices.Values(list), func(a, b Scalar) int { return strings.Compare(a.Name, b.Name) })
	sums := sorted[:0]
	for _, s := range sorted {
		if n := len(sums); n > 0 && sums[n-1].Name == s.Name {
			sums[n-1].Milli = addSaturated(sums[n-1].Milli, s.Milli)
		} else {
			sums = append(sums, s)
		}
	}
	sums = slices.DeleteFunc(sums, func(s Scalar) bool { return s.Milli == 0 })
	if len(sums) == 0 {
		return nil
	}
	return sums
}

// Of returns the amount of a name, 0 if there is none.
func (s Scalars) Of(name string) int64 {
	for i := range s {
		if s[i].Name == name {
			return s[i].Milli
		}
	}
	return 0
}

// Add returns the sum. A name that would overflow stays at the largest or smallest
// int64.
func (s Scalars) Add(other Scalars) Scalars { return s.combine(other, addSaturated) }

// Sub returns the difference, which may be negative.
func (s Scalars) Sub(other Scalars) Scalars { return s.combine(other, subSaturated) }

func (s Scalars) combine(other Scalars, by func(a, b int64) int64) Scalars {
	if len(other) == 0 {
		return s
	}
	sum := make(Scalars, 0, len(s)+len(other))
	put := func(name string, milli int64) {
		if milli != 0 {
			sum = append(sum, Scalar{name, milli})
		}
	}
	i, j := 0, 0
	for i < len(s) || j < len(other) {
		switch {
		case j == len(other) || i < len(s) && s[i].Name < other[j].Name:
			put(s[i].Name, s[i].Milli)
			i++
		case i == len(s) || other[j].Name < s[i].Name:
			put(other[j].Name, by(0, other[j].Milli))
			j++
		default:
			put(s[i].Name, by(s[i].Milli, other[j].Milli))
			i, j = i+1, j+1
		}
	}
	if len(sum) == 0 {
		return nil
	}
	return sum
}

// Bundle is everything that is counted of some resources: a Vector, and what few
// agents offer and few pods need beside it. The zero value is nothing. Bundles are
// values that are never changed in place, so their parts may be shared.
type Bundle struct {
	Vector Vector
	// Ports is what Mesos calls "ports".
	Ports Ranges
	// Scalars is scalar resources by other names.
	Scalars Scalars
}

// Add returns b + other.
func (b Bundle) Add(other Bundle) Bundle {
	return Bundle{Vector: b.Vector.Add(other.Vector), Ports: b.Ports.Add(other.Ports), Scalars: b.Scalars.Add(other.Scalars)}
}

// Sub returns b - other. Amounts may be negative; ports that b has not are ignored.
func (b Bundle) Sub(other Bundle) Bundle {
	return Bundle{Vector: b.Vector.Sub(other.Vector), Ports: b.Ports.Sub(other.Ports), Scalars: b.Scalars.Sub(other.Scalars)}
}

// Missing returns what have lacks of b, which is never negative.
func (b Bundle) Missing(have Bundle) Bundle { return b.Sub(have).positive() }

// Plain reports whether b is a Vector and nothing else.
func (b *Bundle) Plain() bool { return len(b.Ports) == 0 && len(b.Scalars) == 0 }

// IsZero reports whether b is nothing at all.
func (b *Bundle) IsZero() bool { return b.Plain() && b.Vector.IsZero() }

// Equal reports whether both are the same amounts.
func (b *Bundle) Equal(other *Bundle) bool {
	return b.Vector == other.Vector && slices.Equal(b.Ports, other.Ports) && slices.Equal(b.Scalars, other.Scalars)
}

// PortsName is the name of ports among the resources that are short.
const PortsName = "ports"

// FirstShort returns the name, as Kind.String or as Mesos names it, of the first
// resource of which free holds less than b needs: the kinds in their order, then
// ports, then the other scalars. It is "" exactly when b fits free. What is not
// needed never stands in the way.
func (b *Bundle) FirstShort(free *Bundle) string {
	if kind, short := b.Vector.FirstShort(free.Vector); short {
		return kind.String()
	}
	if !free.Ports.Contains(b.Ports) {
		return PortsName
	}
	for _, need := range b.Scalars {
		if need.Milli > 0 && free.Scalars.Of(need.Name) < need.Milli {
			return need.Name
		}
	}
	return ""
}

// Fits reports whether free holds b.
func (b *Bundle) Fits(free *Bundle) bool { return b.FirstShort(free) == "" }

// AnyNegative reports whether b is less than nothing of something.
func (b *Bundle) AnyNegative() bool {
	return b.Vector.AnyNegative() || slices.ContainsFunc(b.Scalars, func(s Scalar) bool { return s.Milli < 0 })
}

// String returns b as Mesos writes resources: "cpus:1.5;mem:128;ports:[31000-31000]".
// Nothing at all is "{}".
func (b Bundle) String() string {
	if b.Plain() {
		return b.Vector.String()
	}
	var parts []string
	if !b.Vector.IsZero() {
		parts = append(parts, b.Vector.String())
	}
	if len(b.Ports) > 0 {
		parts = append(parts, PortsName+":"+b.Ports.String())
	}
	for _, s := range b.Scalars {
		var text strings.Builder
		writeMilli(&text, s.Milli)
		parts = append(parts, s.Name+":"+text.String())
	}
	return strings.Join(parts, ";")
}
