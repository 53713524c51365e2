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
	"math"
	"slices"
	"strconv"
	"strings"
)

// Range is the integers from Begin to End, both included.
type Range struct{ Begin, End uint64 }

// Ranges is a set of integers, as a rule ports: ascending, no two ranges overlap
// or touch. Values are never changed, so they may be shared. The nil slice is the
// empty set.
type Ranges []Range

// NewRanges returns the union of the given ranges. Those with Begin after End are
// left out.
func NewRanges(list ...Range) Ranges {
	if len(list) == 0 {
		return nil
	}
	sorted := make(Ranges, 0, len(list))
	for _, r := range list {
		if r.Begin <= r.End {
			sorted = append(sorted, r)
		}
	}
	slices.SortFunc(sorted, func(a, b Range) int { return cmp.Compare(a.Begin, b.Begin) })
	merged := sorted[:0]
	for _, r := range sorted {
		if n := len(merged); n > 0 && (r.Begin <= merged[n-1].End || r.Begin-merged[n-1].End == 1) {
			merged[n-1].End = max(merged[n-1].End, r.End)
		} else {
			merged = append(merged, r)
		}
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// Add returns the union.
func (r Ranges) Add(other Ranges) Ranges {
	switch {
	case len(other) == 0:
		return r
	case len(r) == 0:
		return other
	}
	return NewRanges(slices.Concat(r, other)...)
}

// Sub returns what is in r and not in other.
func (r Ranges) Sub(other Ranges) Ranges {
	if len(r) == 0 || len(other) == 0 {
		return r
	}
	var rest Ranges
	for _, whole := range r {
		begin, gone := whole.Begin, false
		for len(other) > 0 && !gone && other[0].Begin <= whole.End {
			o := other[0]
			if o.Begin > begin {
				rest = append(rest, Range{begin, o.Begin - 1})
			}
			// What ends later may cover some of the next range too. Never beyond the
			// largest uint64: begin is only moved where whole.End is larger still.
			if gone = o.End >= whole.End; !gone {
				begin = max(begin, o.End+1)
				other = other[1:]
			}
		}
		if !gone {
			rest = append(rest, Range{begin, whole.End})
		}
	}
	return rest
}

// Intersect returns what is in both.
func (r Ranges) Intersect(other Ranges) Ranges {
	var both Ranges
	for len(r) > 0 && len(other) > 0 {
		if begin, end := max(r[0].Begin, other[0].Begin), min(r[0].End, other[0].End); begin <= end {
			both = append(both, Range{begin, end})
		}
		if r[0].End < other[0].End {
			r = r[1:]
		} else {
			other = other[1:]
		}
	}
	return both
}

// Contains reports whether all of other is in r.
func (r Ranges) Contains(other Ranges) bool {
	for _, o := range other {
		for len(r) > 0 && r[0].End < o.Begin {
			r = r[1:]
		}
		// Ranges never touch, so that only one can hold all of o.
		if len(r) == 0 || r[0].Begin > o.Begin || r[0].End < o.End {
			return false
		}
	}
	return true
}

// Count returns how many integers there are, at most the largest uint64.
func (r Ranges) Count() (n uint64) {
	for _, one := range r {
		// Only all of the integers there are exceed it, by one.
		more := one.End - one.Begin
		if n += more; n != math.MaxUint64 {
			n++
		}
	}
	return n
}

// String returns the ranges as Mesos writes them: "[31000-31009, 31100-31100]".
func (r Ranges) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, one := range r {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatUint(one.Begin, 10))
		b.WriteByte('-')
		b.WriteString(strconv.FormatUint(one.End, 10))
	}
	b.WriteByte(']')
	return b.String()
}
