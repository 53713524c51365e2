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
	sorted := make(Ranges, 0, len(list))
	for _, r := range list {
		if r.Begin <= r.End {
			sorted = append(sorted, r)
		}
	}
	slices.SortFunc(sorted, func(a, b Range) int {
		switch {
		case a.Begin < b.Begin:
			return -1
		case a.Begin > b.Begin:
			return 1
		}
		return 0
	})
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
		for _, o := range other {
			if o.End < begin || gone {
				continue
			}
			if o.Begin > whole.End {
				break
			}
			if o.Begin > begin {
				rest = append(rest, Range{begin, o.Begin - 1})
			}
			if gone = o.End >= whole.End; !gone {
				begin = o.End + 1
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
	if len(r) == 0 || len(other) == 0 {
		return nil
	}
	return r.Sub(r.Sub(other))
}

// Contains reports whether all of other is in r.
func (r Ranges) Contains(other Ranges) bool { return len(other) == 0 || len(other.Sub(r)) == 0 }

// Count returns how many integers there are, at most the largest uint64.
func (r Ranges) Count() (n uint64) {
	for _, one := range r {
		n += one.End - one.Begin + 1
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
