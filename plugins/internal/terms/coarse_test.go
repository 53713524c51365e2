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

package terms

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestCoarse(t *testing.T) {
	for _, tc := range []struct{ smallest, want resources.Vector }{
		{},
		{resources.Vector{1000, 1024_000, 0, 1000}, resources.Vector{1000, 1024_000, 0, 1000}},
		{resources.Vector{999, 1023_999, 127_999, 999}, resources.Vector{500, 512_000, 0, 0}},
		{resources.Vector{61, 31_999, 128_000, 3999}, resources.Vector{0, 0, 128_000, 2000}},
		{resources.Vector{100, 32_000, 200_000, 4000}, resources.Vector{62, 32_000, 128_000, 4000}},
		{resources.Vector{3700, 5000_000, 0, 0}, resources.Vector{2000, 4096_000, 0, 0}},
		{resources.Vector{-5, math.MinInt64, 0, 0}, resources.Vector{}},
	} {
		if got := Coarse(tc.smallest); got != tc.want {
			t.Errorf("Coarse(%v) = %v, want %v", tc.smallest, got, tc.want)
		}
	}
}

func TestCoarseIsAtMostWhatIsNeeded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		var v resources.Vector
		for k := range v {
			v[k] = rnd.Int64() >> rnd.IntN(63)
		}
		got := Coarse(v)
		if !got.Fits(v) || Coarse(got) != got {
			t.Fatalf("Coarse(%v) = %v, and of that %v", v, got, Coarse(got))
		}
		for k := range v {
			if got[k] == 0 && v[k] >= grids[k].floor || got[k] != 0 && got[k] < v[k]/2-1 {
				t.Fatalf("Coarse(%v) = %v: kind %d is too low", v, got, k)
			}
		}
	}
}
