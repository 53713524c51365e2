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
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// bitset is the naive model of Ranges: the integers from 0 to 63.
type bitset uint64

func bitsOf(t testing.TB, r Ranges) (b bitset) {
	t.Helper()
	for i, one := range r {
		if one.Begin > one.End || one.End > 63 {
			t.Fatalf("%v holds what was never put in", r)
		}
		if i > 0 && one.Begin-1 <= r[i-1].End {
			t.Fatalf("%v is not ascending or has ranges that touch", r)
		}
		for p := one.Begin; p <= one.End; p++ {
			b |= 1 << p
		}
	}
	return b
}

// spread returns the ranges one bit at a time, in no order.
func (b bitset) spread(rnd *rand.Rand) (list []Range) {
	for _, p := range rnd.Perm(64) {
		if b>>p&1 == 1 {
			list = append(list, Range{uint64(p), uint64(p)})
		}
	}
	return list
}

func (b bitset) count() (n uint64) {
	for ; b != 0; b &= b - 1 {
		n++
	}
	return n
}

// checkRanges compares every method with the model, for two sets.
func checkRanges(t testing.TB, a, b Ranges) {
	t.Helper()
	x, y := bitsOf(t, a), bitsOf(t, b)
	for _, got := range []struct {
		name string
		is   Ranges
		want bitset
	}{
		{"Add", a.Add(b), x | y},
		{"Sub", a.Sub(b), x &^ y},
		{"Intersect", a.Intersect(b), x & y},
	} {
		if is := bitsOf(t, got.is); is != got.want {
			t.Fatalf("%v %s %v = %v, want the bits %064b", a, got.name, b, got.is, got.want)
		}
	}
	if got := a.Contains(b); got != (y&^x == 0) {
		t.Fatalf("%v contains %v: %t", a, b, got)
	}
	if got := a.Count(); got != x.count() {
		t.Fatalf("%v counts %d, want %d", a, got, x.count())
	}
	if bitsOf(t, a) != x || bitsOf(t, b) != y {
		t.Fatalf("the operands were changed to %v and %v", a, b)
	}
}

func TestRangesModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		// Sparse, dense and mixed sets.
		x, y := bitset(rnd.Uint64()), bitset(rnd.Uint64())
		switch rnd.IntN(4) {
		case 0:
			x &= bitset(rnd.Uint64() & rnd.Uint64())
		case 1:
			y |= bitset(rnd.Uint64() | rnd.Uint64())
		case 2:
			y &= x
		}
		a, b := NewRanges(x.spread(rnd)...), NewRanges(y.spread(rnd)...)
		if bitsOf(t, a) != x {
			t.Fatalf("NewRanges = %v, want the bits %064b", a, x)
		}
		checkRanges(t, a, b)
	}
}

// FuzzRanges reads pairs of bytes as ranges of two sets, some of them upside down.
func FuzzRanges(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte{0, 63}, []byte{1, 1, 3, 3, 2, 2})
	f.Add([]byte{5, 9, 8, 12, 13, 13}, []byte{9, 5, 12, 63})
	f.Fuzz(func(t *testing.T, p, q []byte) {
		read := func(in []byte) Ranges {
			var list []Range
			var want bitset
			for ; len(in) >= 2; in = in[2:] {
				r := Range{uint64(in[0] % 64), uint64(in[1] % 64)}
				list = append(list, r)
				for n := r.Begin; n <= r.End; n++ {
					want |= 1 << n
				}
			}
			got := NewRanges(list...)
			if bitsOf(t, got) != want {
				t.Fatalf("NewRanges(%v) = %v", list, got)
			}
			return got
		}
		checkRanges(t, read(p), read(q))
	})
}

// TestRangesEnds checks what the model cannot hold: the largest integers.
func TestRangesEnds(t *testing.T) {
	const last = uint64(math.MaxUint64)
	all := NewRanges(Range{0, last})
	tests := []struct {
		name      string
		got, want any
	}{
		{"touching at the end", NewRanges(Range{last, last}, Range{0, last - 1}), all},
		{"overlapping at the end", NewRanges(Range{5, last}, Range{last, last}, Range{0, 3}), Ranges{{0, 3}, {5, last}}},
		{"a hole at the end", NewRanges(Range{last, last}, Range{0, last - 2}), Ranges{{0, last - 2}, {last, last}}},
		{"upside down", NewRanges(Range{last, 0}), Ranges(nil)},
		{"without the ends", all.Sub(NewRanges(Range{0, 0}, Range{last, last})), Ranges{{1, last - 1}}},
		{"without the middle", all.Sub(NewRanges(Range{7, 7})), Ranges{{0, 6}, {8, last}}},
		{"nothing left", all.Sub(all), Ranges(nil)},
		{"the last alone", all.Intersect(NewRanges(Range{last, last})), Ranges{{last, last}}},
		{"put together again", NewRanges(Range{0, 6}).Add(NewRanges(Range{7, last})), all},
		{"contains itself", all.Contains(all), true},
		{"contains the last", NewRanges(Range{0, last - 1}).Contains(NewRanges(Range{last, last})), false},
		{"all but one", NewRanges(Range{0, last - 1}).Count(), last},
		{"two halves", NewRanges(Range{0, 9}, Range{11, last}).Count(), last},
		{"one more than an uint64 counts", all.Count(), last},
		{"none", Ranges(nil).Count(), uint64(0)},
		{"text", NewRanges(Range{31100, 31100}, Range{31000, 31009}).String(), "[31000-31009, 31100-31100]"},
		{"no text", Ranges(nil).String(), "[]"},
	}
	for _, tt := range tests {
		if got, want := fmt.Sprintf("%T %[1]v", tt.got), fmt.Sprintf("%T %[1]v", tt.want); got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
}

func TestRangesContainsAllocates(t *testing.T) {
	free := NewRanges(Range{31000, 31499}, Range{31600, 32000})
	need := NewRanges(Range{31001, 31001}, Range{31700, 31701})
	if n := testing.AllocsPerRun(100, func() {
		if !free.Contains(need) {
			t.Fatal("does not contain")
		}
	}); n != 0 {
		t.Errorf("Contains allocates %v times", n)
	}
}
