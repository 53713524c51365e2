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
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// The model of Split counts a few names in small units, and tries every way there is
// to divide them.
const (
	modelScalars = 3
	modelNames   = int(NumKinds) + modelScalars
	modelPorts   = 8
)

// amounts is what the model knows of a Bundle: units by name, the kinds before the
// scalars, and ports from 0 as bits.
type amounts struct {
	units [modelNames]int64
	ports uint8
}

func (a amounts) zero() bool { return a == amounts{} }

// scales are how much of each name is one unit of the model. Some are so large that
// the sum of the pools is no int64.
type scales [modelNames]int64

func (a amounts) bundle(scale *scales) (b Bundle) {
	var list []Scalar
	for i, n := range a.units {
		if i < int(NumKinds) {
			b.Vector[i] = n * scale[i]
		} else if n != 0 {
			list = append(list, Scalar{scalarName(i), n * scale[i]})
		}
	}
	b.Scalars = list
	var ports []Range
	for p := range uint64(modelPorts) {
		if a.ports>>p&1 == 1 {
			ports = append(ports, Range{31000 + p, 31000 + p})
		}
	}
	b.Ports = NewRanges(ports...)
	return b
}

func scalarName(i int) string { return string('a' + rune(i-int(NumKinds))) }

// nameOf returns what FirstShort calls a name of the model; modelNames is ports.
func nameOf(i int) string {
	switch {
	case i == modelNames:
		return PortsName
	case i < int(NumKinds):
		return Kind(i).String()
	}
	return scalarName(i)
}

// divide tries all ways to take need units from pools, those that take most of the
// first pools first, and returns the first that is exact.
func divide(need int64, pools []int64) ([]int64, bool) {
	if len(pools) == 0 {
		return nil, need == 0
	}
	for take := pools[0]; ; take-- {
		if take <= 0 {
			rest, ok := divide(need, pools[1:])
			return append([]int64{0}, rest...), ok
		}
		if take <= need {
			if rest, ok := divide(need-take, pools[1:]); ok {
				return append([]int64{take}, rest...), true
			}
		}
	}
}

// splitModel returns what of each pool a legal split takes, and the names for which
// there is none.
func splitModel(pools []amounts, need amounts) (taken []amounts, short []string) {
	taken = make([]amounts, len(pools))
	has := make([]int64, len(pools))
	for name := range need.units {
		if need.units[name] <= 0 {
			continue
		}
		for i := range pools {
			has[i] = pools[i].units[name]
		}
		parts, ok := divide(need.units[name], has)
		if !ok {
			short = append(short, nameOf(name))
			continue
		}
		for i := range parts {
			taken[i].units[name] = parts[i]
		}
	}
	for left := need.ports; left != 0; left &= left - 1 {
		port := left & -left
		i := slices.IndexFunc(pools, func(pool amounts) bool { return pool.ports&port != 0 })
		if i < 0 {
			short = append(short, PortsName)
			break
		}
		taken[i].ports |= port
	}
	return taken, short
}

// ridingModel tries each name of the need with revocable resources alone and, unless
// it is cpus, with regular ones alone. The first of taken is the revocable part.
func ridingModel(revocable amounts, regular []amounts, need amounts) (taken []amounts, short []string) {
	taken = make([]amounts, 1+len(regular))
	for name := range modelNames + 1 {
		var one amounts
		if name == modelNames {
			one.ports = need.ports
		} else {
			one.units[name] = need.units[name]
		}
		first, missing := splitModel([]amounts{revocable}, one)
		if len(missing) > 0 && name != int(CPU) {
			if first, missing = splitModel(regular, one); len(missing) == 0 {
				first = append([]amounts{{}}, first...)
			}
		}
		if short = append(short, missing...); len(missing) > 0 {
			continue
		}
		for i := range first {
			if name == modelNames {
				taken[i].ports = first[i].ports
			} else {
				taken[i].units[name] = first[i].units[name]
			}
		}
	}
	return taken, short
}

// splitCase is one thing to split.
type splitCase struct {
	scale     scales
	need      amounts
	pools     []amounts
	flavours  []*Flavour
	revocable amounts
	// split and rode are 1 if check found that it could be.
	split, rode int
}

var modelFlavours = []*Flavour{
	nil, nil, {},
	{Reservations: []Reservation{{Role: "eng"}}},
	{Reservations: []Reservation{{Role: "eng", Dynamic: true, Labels: []Label{{"pod", "web-0"}}}}, Wire: "x"},
	{Revocable: true},
}

// drawCase makes a case of choices: choose returns 0 to n-1.
func drawCase(choose func(n int) int) (c splitCase) {
	draw := func(largest, anything int) (a amounts) {
		for i := range a.units {
			if choose(4) < anything {
				a.units[i] = int64(choose(largest+2)) - 1
			}
		}
		a.ports = uint8(choose(256))
		a.ports &= uint8(choose(256))
		return a
	}
	for i := range c.scale {
		c.scale[i] = []int64{1, 1000, 1 << 60}[choose(3)]
	}
	c.need = draw(4, 2)
	if c.need.ports &= uint8(choose(256)); choose(2) == 0 {
		c.need.ports = 0
	}
	c.revocable = draw(5, 4)
	for range choose(6) {
		c.pools = append(c.pools, draw(3, 4))
		c.flavours = append(c.flavours, modelFlavours[choose(len(modelFlavours))])
	}
	return c
}

func (c *splitCase) portions() []Portion {
	pools := make([]Portion, len(c.pools))
	for i := range pools {
		pools[i] = Portion{c.flavours[i], c.pools[i].bundle(&c.scale)}
	}
	return pools
}

// check splits both ways and compares with the model.
func (c *splitCase) check() error {
	pools, need := c.portions(), c.need.bundle(&c.scale)
	var regular []amounts
	var flavours []*Flavour
	for i, flavour := range c.flavours {
		if flavour.IsRevocable() {
			continue
		}
		regular, flavours = append(regular, c.pools[i]), append(flavours, flavour)
	}
	taken, missing := splitModel(regular, c.need)
	if len(missing) == 0 {
		c.split = 1
	}
	parts, short := Split(pools, need)
	if err := c.compare(parts, short, taken, flavours, missing); err != nil {
		return fmt.Errorf("Split(%v, %v) = %v, %q: %w", pools, need, parts, short, err)
	}
	revocable := c.revocable.bundle(&c.scale)
	taken, missing = ridingModel(c.revocable, regular, c.need)
	if len(missing) == 0 {
		c.rode = 1
	}
	parts, short = SplitRiding(revocable, pools, need)
	if err := c.compare(parts, short, taken, append([]*Flavour{RevocableFlavour}, flavours...), missing); err != nil {
		return fmt.Errorf("SplitRiding(%v, %v, %v) = %v, %q: %w", revocable, pools, need, parts, short, err)
	}
	if after := c.need.bundle(&c.scale); !need.Equal(&after) {
		return fmt.Errorf("the need was changed from %v to %v", after, need)
	}
	for i, before := range c.portions() {
		if pools[i].Flavour != before.Flavour || !pools[i].Bundle.Equal(&before.Bundle) {
			return fmt.Errorf("a pool was changed from %v to %v", before, pools[i])
		}
	}
	return nil
}

// compare checks the rules of a split one by one, and then that it is the model's.
func (c *splitCase) compare(parts []Portion, short string, taken []amounts, flavours []*Flavour, missing []string) error {
	if len(missing) > 0 || short != "" {
		if !slices.Contains(missing, short) || len(parts) > 0 {
			return fmt.Errorf("want no parts and one of %q as short", missing)
		}
		return nil
	}
	need := c.need
	for i := range need.units {
		need.units[i] = max(need.units[i], 0)
	}
	var total, revocable, regular Bundle
	ports := 0
	for _, part := range parts {
		if part.Bundle.IsZero() || part.Bundle.AnyNegative() {
			return fmt.Errorf("part %v is not something", part)
		}
		total = total.Add(part.Bundle)
		ports += int(part.Bundle.Ports.Count())
		if part.Flavour.IsRevocable() {
			revocable = revocable.Add(part.Bundle)
		} else {
			regular = regular.Add(part.Bundle)
		}
	}
	if want := need.bundle(&c.scale); !total.Equal(&want) || ports != bits.OnesCount8(need.ports) {
		return fmt.Errorf("the parts are %v together, want %v", total, want)
	}
	if name := mixed(revocable, regular); name != "" {
		return fmt.Errorf("%s is revocable and regular at once", name)
	}
	var want []Portion
	for i := range taken {
		if !taken[i].zero() {
			want = append(want, Portion{flavours[i], taken[i].bundle(&c.scale)})
		}
	}
	if !slices.EqualFunc(parts, want, func(a, b Portion) bool { return a.Flavour == b.Flavour && a.Bundle.Equal(&b.Bundle) }) {
		return fmt.Errorf("want %v", want)
	}
	return nil
}

// mixed returns a name of which there is both.
func mixed(a, b Bundle) string {
	for k := range a.Vector {
		if a.Vector[k] != 0 && b.Vector[k] != 0 {
			return Kind(k).String()
		}
	}
	for _, s := range a.Scalars {
		if b.Scalars.Of(s.Name) != 0 {
			return s.Name
		}
	}
	if len(a.Ports) > 0 && len(b.Ports) > 0 {
		return PortsName
	}
	return ""
}

func TestSplitModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var plain, riding int
	for n := range 300_000 {
		c := drawCase(rnd.IntN)
		if err := c.check(); err != nil {
			t.Fatalf("case %d: %v", n, err)
		}
		plain += c.split
		riding += c.rode
	}
	// A run in which nearly all is short, or nearly nothing, tests little.
	for _, n := range []int{plain, riding} {
		if n < 60_000 || n > 240_000 {
			t.Errorf("%d could be split and %d ride, want plenty that could and could not", plain, riding)
		}
	}
}

// FuzzSplit makes the choices of a case of the fuzzer's bytes.
func FuzzSplit(f *testing.F) {
	f.Add([]byte{})
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 16 {
		seed := make([]byte, 80)
		for i := range seed {
			seed[i] = byte(rnd.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := drawCase(func(n int) int {
			if len(in) == 0 {
				return 0
			}
			b := in[0]
			in = in[1:]
			return int(b) % n
		})
		if err := c.check(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	unreserved := Portion{nil, Bundle{Vector: Vector{8000, 16384000, 100000000}, Ports: NewRanges(Range{31000, 32000})}}
	reserved := Portion{modelFlavours[3], Bundle{Vector: Vector{500, 1024000}}}
	need := Bundle{Vector: Vector{1000, 512000}}
	for name, run := range map[string]func() (int, string){
		"plain": func() (int, string) { parts, short := Split([]Portion{unreserved}, need); return len(parts), short },
		"mixed": func() (int, string) {
			parts, short := Split([]Portion{reserved, unreserved}, need)
			return len(parts), short
		},
		"riding": func() (int, string) {
			parts, short := SplitRiding(Bundle{Vector: Vector{4000}}, []Portion{reserved, unreserved}, need)
			return len(parts), short
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if parts, short := run(); short != "" || parts == 0 {
					b.Fatal(short)
				}
			}
		})
	}
}
