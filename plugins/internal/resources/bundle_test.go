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
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// bag is the naive model of a Bundle: amounts by Mesos name, and ports one by one.
type bag struct {
	amounts map[string]*big.Int
	ports   map[uint64]bool
}

func bagOf(t testing.TB, b Bundle) bag {
	t.Helper()
	m := bag{amounts: map[string]*big.Int{}, ports: map[uint64]bool{}}
	for k, milli := range b.Vector {
		m.amounts[Kind(k).MesosName()] = big.NewInt(milli)
	}
	for i, s := range b.Scalars {
		if s.Milli == 0 || i > 0 && b.Scalars[i-1].Name >= s.Name {
			t.Fatalf("scalars %v hold a zero, or are not ascending", b.Scalars)
		}
		m.amounts[s.Name] = big.NewInt(s.Milli)
	}
	for p, x := uint64(0), bitsOf(t, b.Ports); p < 64; p++ {
		if x>>p&1 == 1 {
			m.ports[p] = true
		}
	}
	return m
}

func (m bag) of(name string) *big.Int {
	if amount, ok := m.amounts[name]; ok {
		return amount
	}
	return new(big.Int)
}

// combined applies by to every name of either, within the bounds of int64.
func (m bag) combined(other bag, by func(z, x, y *big.Int) *big.Int) map[string]*big.Int {
	out := map[string]*big.Int{}
	for name := range maps.Keys(m.amounts) {
		out[name] = nil
	}
	for name := range maps.Keys(other.amounts) {
		out[name] = nil
	}
	for name := range out {
		z := by(new(big.Int), m.of(name), other.of(name))
		switch {
		case z.Cmp(big.NewInt(math.MaxInt64)) > 0:
			z.SetInt64(math.MaxInt64)
		case z.Cmp(big.NewInt(math.MinInt64)) < 0:
			z.SetInt64(math.MinInt64)
		}
		out[name] = z
	}
	return out
}

func (m bag) equal(other bag) bool {
	for _, z := range m.combined(other, (*big.Int).Sub) {
		if z.Sign() != 0 {
			return false
		}
	}
	return maps.Equal(m.ports, other.ports)
}

// short returns the names of which free has less than m needs.
func (m bag) short(free bag) map[string]bool {
	names := map[string]bool{}
	for name, need := range m.amounts {
		if need.Sign() > 0 && need.Cmp(free.of(name)) > 0 {
			if kind, ok := KindOfMesos(name); ok {
				name = kind.String()
			}
			names[name] = true
		}
	}
	for p := range m.ports {
		if !free.ports[p] {
			names[PortsName] = true
		}
	}
	return names
}

// amountIn returns an amount of small, extreme and in-between ones, now and then
// negative.
func amountIn(rnd *rand.Rand) int64 {
	switch rnd.IntN(12) {
	case 0:
		return math.MaxInt64 - rnd.Int64N(2)
	case 1:
		return math.MinInt64 + rnd.Int64N(2)
	case 2:
		return int64(rnd.Uint64())
	case 3, 4:
		return -rnd.Int64N(4)
	}
	return rnd.Int64N(4)
}

func bundleIn(rnd *rand.Rand) (b Bundle) {
	for k := range b.Vector {
		b.Vector[k] = amountIn(rnd)
	}
	if rnd.IntN(2) == 0 {
		b.Ports = NewRanges(bitset(rnd.Uint64() & rnd.Uint64() & rnd.Uint64()).spread(rnd)...)
	}
	var list []Scalar
	for range rnd.IntN(4) {
		list = append(list, Scalar{string('a' + rune(rnd.IntN(4))), amountIn(rnd)})
	}
	b.Scalars = NewScalars(list...)
	return b
}

func checkBundles(t testing.TB, a, b Bundle) {
	t.Helper()
	x, y := bagOf(t, a), bagOf(t, b)
	ports := maps.Clone(x.ports)
	maps.Copy(ports, y.ports)
	if got, want := a.Add(b), (bag{x.combined(y, (*big.Int).Add), ports}); !bagOf(t, got).equal(want) {
		t.Fatalf("%v + %v = %v, want %v", a, b, got, want)
	}
	ports = maps.Clone(x.ports)
	maps.DeleteFunc(ports, func(p uint64, _ bool) bool { return y.ports[p] })
	if got, want := a.Sub(b), (bag{x.combined(y, (*big.Int).Sub), ports}); !bagOf(t, got).equal(want) {
		t.Fatalf("%v - %v = %v, want %v", a, b, got, want)
	}
	short := x.short(y)
	if got := a.FirstShort(&b); (got == "") != (len(short) == 0) || got != "" && !short[got] {
		t.Fatalf("%v of %v is short of %q, want one of %v", a, b, got, slices.Sorted(maps.Keys(short)))
	}
	if got := a.Fits(&b); got != (len(short) == 0) {
		t.Fatalf("%v fits %v: %t, but short are %v", a, b, got, slices.Sorted(maps.Keys(short)))
	}
	if got := a.Equal(&b); got != x.equal(y) {
		t.Fatalf("%v equals %v: %t", a, b, got)
	}
	if got := a.IsZero(); got != x.equal(bag{}) {
		t.Fatalf("%v is zero: %t", a, got)
	}
	if !bagOf(t, a).equal(x) || !bagOf(t, b).equal(y) {
		t.Fatalf("the operands were changed to %v and %v", a, b)
	}
	negative := false
	for _, amount := range x.amounts {
		negative = negative || amount.Sign() < 0
	}
	if got := a.AnyNegative(); got != negative {
		t.Fatalf("%v has something negative: %t", a, got)
	}
}

func TestBundleModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		a, b := bundleIn(rnd), bundleIn(rnd)
		if rnd.IntN(8) == 0 {
			b = Bundle{Vector: a.Vector, Ports: slices.Clone(a.Ports), Scalars: slices.Clone(a.Scalars)}
		}
		checkBundles(t, a, b)
	}
}

// FuzzBundle draws two bundles from the fuzzer's seed.
func FuzzBundle(f *testing.F) {
	f.Add(uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, p, q uint64) {
		rnd := rand.New(rand.NewPCG(p, q))
		checkBundles(t, bundleIn(rnd), bundleIn(rnd))
	})
}

func TestNewScalars(t *testing.T) {
	list := []Scalar{{"b", 2}, {"a", 1}, {"c", 5}, {"b", 3}, {"c", -5}, {"d", 0}, {"e", math.MaxInt64}, {"e", 1}}
	before := slices.Clone(list)
	want := Scalars{{"a", 1}, {"b", 5}, {"e", math.MaxInt64}}
	if got := NewScalars(list...); !slices.Equal(got, want) {
		t.Errorf("NewScalars = %v, want %v", got, want)
	}
	if !slices.Equal(list, before) {
		t.Errorf("the list was changed to %v", list)
	}
	if got := NewScalars(Scalar{"a", 0}); got != nil {
		t.Errorf("NewScalars of nothing = %v, want nil", got)
	}
}

func TestBundleString(t *testing.T) {
	ports := NewRanges(Range{31000, 31001})
	for want, b := range map[string]Bundle{
		"{}":                            {},
		"cpus:1.5":                      {Vector: Vector{CPU: 1500}},
		"ports:[31000-31001]":           {Ports: ports},
		"mem:1;ports:[31000-31001];a:2": {Vector: Vector{Memory: 1000}, Ports: ports, Scalars: Scalars{{"a", 2000}}},
		"a:-0.001;b:2":                  {Scalars: Scalars{{"a", -1}, {"b", 2000}}},
	} {
		if got := b.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}
