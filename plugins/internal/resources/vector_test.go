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
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"testing/quick"
)

func TestVectorFits(t *testing.T) {
	tests := []struct {
		name  string
		need  Vector
		free  Vector
		short Kind
		fits  bool
	}{
		{name: "nothing fits nothing", fits: true},
		{name: "equal fits", need: Vector{500, 128, 1, 1}, free: Vector{500, 128, 1, 1}, fits: true},
		{name: "cpu one short", need: Vector{501, 128}, free: Vector{500, 128}, short: CPU},
		{name: "memory one short", need: Vector{500, 129}, free: Vector{500, 128}, short: Memory},
		{name: "disk missing", need: Vector{0, 0, 1}, free: Vector{500, 128}, short: Disk},
		{name: "gpu missing", need: Vector{0, 0, 0, 1000}, free: Vector{500, 128, 7, 999}, short: GPU},
		{name: "first of several", need: Vector{2, 2, 2, 2}, free: Vector{2, 1, 1, 1}, short: Memory},
		{name: "not needed, negative", need: Vector{500, 128}, free: Vector{500, 128, -1, -1}, fits: true},
		{name: "needed, negative", need: Vector{500, 1}, free: Vector{500, -1}, short: Memory},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.need.Fits(tt.free); got != tt.fits {
				t.Errorf("Fits = %t, want %t", got, tt.fits)
			}
			short, isShort := tt.need.FirstShort(tt.free)
			if isShort == tt.fits || short != tt.short {
				t.Errorf("FirstShort = %v, %t, want %v, %t", short, isShort, tt.short, !tt.fits)
			}
		})
	}
}

func TestVectorString(t *testing.T) {
	tests := []struct {
		v    Vector
		want string
	}{
		{Vector{}, "{}"},
		{Vector{1500, 128000}, "cpus:1.5;mem:128"},
		{Vector{1, 10, 100, 1000}, "cpus:0.001;mem:0.01;disk:0.1;gpus:1"},
		{Vector{0, 0, 1010}, "disk:1.01"},
		{Vector{-500, -1000}, "cpus:-0.5;mem:-1"},
		{Vector{math.MaxInt64, math.MinInt64}, "cpus:9223372036854775.807;mem:-9223372036854775.808"},
	}
	for _, tt := range tests {
		if got := tt.v.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

// clamp is the saturation rule, computed in a way that shares nothing with the
// code under test.
func clamp(x *big.Int) int64 {
	switch {
	case x.Cmp(big.NewInt(math.MaxInt64)) > 0:
		return math.MaxInt64
	case x.Cmp(big.NewInt(math.MinInt64)) < 0:
		return math.MinInt64
	}
	return x.Int64()
}

func TestVectorArithmeticIsExactOrSaturated(t *testing.T) {
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	check := func(a, b int64) bool {
		left, right := big.NewInt(a), big.NewInt(b)
		va, vb := Vector{Memory: a}, Vector{Memory: b}
		sum := clamp(new(big.Int).Add(left, right))
		difference := clamp(new(big.Int).Sub(left, right))
		return va.Add(vb) == Vector{Memory: sum} && va.Sub(vb) == Vector{Memory: difference}
	}
	for _, a := range edges {
		for _, b := range edges {
			if !check(a, b) {
				t.Errorf("Add or Sub of %d and %d: got %v and %v", a, b,
					Vector{Memory: a}.Add(Vector{Memory: b}), Vector{Memory: a}.Sub(Vector{Memory: b}))
			}
		}
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

func TestVectorProperties(t *testing.T) {
	// Halved operands cannot overflow, so equations hold exactly.
	halve := func(v Vector) Vector {
		for k := range v {
			v[k] /= 4
		}
		return v
	}
	properties := map[string]any{
		"Sub undoes Add": func(a, b Vector) bool {
			a, b = halve(a), halve(b)
			return a.Add(b).Sub(b) == a && a.Sub(b).Add(b) == a
		},
		"Add commutes": func(a, b Vector) bool { return a.Add(b) == b.Add(a) },
		"Max and Min bound both, and are one of both": func(a, b Vector) bool {
			upper, lower := a.Max(b), a.Min(b)
			for k := range a {
				if upper[k] < a[k] || upper[k] < b[k] || lower[k] > a[k] || lower[k] > b[k] {
					return false
				}
			}
			return halve(upper).Add(halve(lower)) == halve(a).Add(halve(b))
		},
		"What fits leaves nothing negative of what was needed": func(a, b Vector) bool {
			need, free := halve(a).Max(Vector{}), halve(b).Max(Vector{})
			return need.Fits(free) == !free.Sub(need).AnyNegative()
		},
		"FirstShort agrees with Fits": func(a, b Vector) bool {
			_, short := a.FirstShort(b)
			return short != a.Fits(b)
		},
		"IsZero means equal to nothing": func(a Vector) bool {
			return a.IsZero() == (a == Vector{}) && a.Sub(a).IsZero()
		},
		"String reads back": func(a Vector) bool {
			got, err := parseVector(a.String())
			return err == nil && got == a
		},
	}
	for name, property := range properties {
		t.Run(name, func(t *testing.T) {
			if err := quick.Check(property, &quick.Config{MaxCount: 1000}); err != nil {
				t.Error(err)
			}
		})
	}
}

// parseVector reads what Vector.String wrote.
func parseVector(s string) (Vector, error) {
	var v Vector
	if s == "{}" {
		return v, nil
	}
	for entry := range strings.SplitSeq(s, ";") {
		name, amount, _ := strings.Cut(entry, ":")
		kind, _ := KindOfMesos(name)
		whole, fraction, _ := strings.Cut(amount, ".")
		milli, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
		if err != nil {
			return v, err
		}
		v[kind] = milli
	}
	return v, nil
}

func BenchmarkVectorFits(b *testing.B) {
	need, free := Vector{500, 128000}, Vector{4000, 8192000, 1}
	for b.Loop() {
		if !need.Fits(free) {
			b.Fatal("does not fit")
		}
	}
}
