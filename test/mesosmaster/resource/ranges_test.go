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
	"math"
	"math/rand/v2"
	"testing"
)

// bitmap is the model ranges are tested against: numbers 0 to 63.
func bitmap(r Ranges) (b uint64) {
	for _, x := range r {
		for i := x.Begin; i <= x.End; i++ {
			b |= 1 << i
		}
	}
	return b
}

func randomRanges(rng *rand.Rand) (out Ranges) {
	for range rng.IntN(5) {
		lo := uint64(rng.IntN(64))
		out = append(out, Range{lo, min(63, lo+uint64(rng.IntN(10)))})
	}
	return out
}

func TestRangesAgainstBitmaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		a, b := randomRanges(rng), randomRanges(rng)
		x, y := bitmap(a), bitmap(b)
		if got := bitmap(a.Union(b)); got != x|y {
			t.Fatalf("%v union %v: %b, want %b", a, b, got, x|y)
		}
		if got := bitmap(a.Minus(b)); got != x&^y {
			t.Fatalf("%v minus %v: %b, want %b", a, b, got, x&^y)
		}
		if got := a.Contains(b); got != (x&y == y) {
			t.Fatalf("%v contains %v: %t", a, b, got)
		}
		for _, r := range []Ranges{a.Union(b), a.Minus(b)} {
			for i := 1; i < len(r); i++ {
				if r[i].Begin <= r[i-1].End+1 {
					t.Fatalf("%v is not in its shortest form", r)
				}
			}
		}
	}
}

func TestRangesAtTheEdges(t *testing.T) {
	all := Ranges{{0, math.MaxUint64}}
	if got := all.Minus(Ranges{{0, 0}, {math.MaxUint64, math.MaxUint64}}); got.String() != "[1-18446744073709551614]" {
		t.Errorf("got %s", got)
	}
	if got := (Ranges{{5, math.MaxUint64}}).Union(Ranges{{0, 9}}); got.String() != "[0-18446744073709551615]" {
		t.Errorf("got %s", got)
	}
	if (Ranges{}).Contains(Ranges{{1, 1}}) || !(Ranges{}).Contains(nil) {
		t.Error("nothing contains nothing, and nothing else")
	}
}
