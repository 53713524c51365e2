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
	"slices"
	"strconv"
)

// Range is a closed interval of numbers, as in a RANGES resource.
type Range struct{ Begin, End uint64 }

// Ranges is a list of disjoint ranges in ascending order. Adjacent ranges may
// stay apart as an agent declared them; arithmetic joins them.
type Ranges []Range

// sortRanges orders ranges without joining any.
func sortRanges(r Ranges) Ranges {
	slices.SortFunc(r, func(a, b Range) int {
		if a.Begin < b.Begin {
			return -1
		}
		if a.Begin > b.Begin {
			return 1
		}
		return 0
	})
	return r
}

// Coalesce sorts and joins overlapping and adjacent ranges.
func Coalesce(in Ranges) Ranges {
	if in.coalesced() {
		return slices.Clip(in)
	}
	out := make(Ranges, 0, len(in))
	for _, r := range sortRanges(slices.Clone(in)) {
		if r.Begin > r.End {
			continue
		}
		if n := len(out); n > 0 && (out[n-1].End == ^uint64(0) || r.Begin <= out[n-1].End+1) {
			out[n-1].End = max(out[n-1].End, r.End)
			continue
		}
		out = append(out, r)
	}
	return out
}

// coalesced tells whether there is nothing to sort or join: the usual case.
func (r Ranges) coalesced() bool {
	for i := range r {
		if r[i].Begin > r[i].End || i > 0 && (r[i-1].End == ^uint64(0) || r[i].Begin <= r[i-1].End+1) {
			return false
		}
	}
	return true
}

// Union returns all numbers in r or s.
func (r Ranges) Union(s Ranges) Ranges {
	return Coalesce(append(slices.Clone(r), s...))
}

// Minus returns the numbers of r that are not in s.
func (r Ranges) Minus(s Ranges) Ranges {
	left := Coalesce(r)
	for _, cut := range Coalesce(s) {
		var next Ranges
		for _, x := range left {
			if cut.End < x.Begin || cut.Begin > x.End {
				next = append(next, x)
				continue
			}
			if x.Begin < cut.Begin {
				next = append(next, Range{x.Begin, cut.Begin - 1})
			}
			if x.End > cut.End {
				next = append(next, Range{cut.End + 1, x.End})
			}
		}
		left = next
	}
	return left
}

// Contains tells whether every number of s is in r.
func (r Ranges) Contains(s Ranges) bool {
	have := Coalesce(r)
	i := 0
	for _, want := range Coalesce(s) {
		for i < len(have) && have[i].End < want.Begin {
			i++
		}
		if i == len(have) || have[i].Begin > want.Begin || have[i].End < want.End {
			return false
		}
	}
	return true
}

// Count is how many numbers r holds.
func (r Ranges) Count() uint64 {
	var n uint64
	for _, x := range Coalesce(r) {
		n += x.End - x.Begin + 1
	}
	return n
}

// String renders r as Mesos does: "[31000-31005, 31007-31007]".
func (r Ranges) String() string {
	b := []byte{'['}
	for i, x := range r {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendUint(b, x.Begin, 10)
		b = append(b, '-')
		b = strconv.AppendUint(b, x.End, 10)
	}
	return string(append(b, ']'))
}
