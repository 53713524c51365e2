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
	"testing"
	"testing/quick"
)

func TestFromMesosScalar(t *testing.T) {
	tests := []struct {
		name  string
		value float64
		milli int64
		ok    bool
	}{
		{"nothing", 0, 0, true},
		{"negative zero", math.Copysign(0, -1), 0, true},
		{"whole", 4, 4000, true},
		{"milli", 0.001, 1, true},
		{"half rounds away from zero", 0.0005, 1, true},
		{"below half rounds down", 0.00049, 0, true},
		{"not representable", 0.3, 300, true},
		{"error of a sum of doubles", 0.1 + 0.2, 300, true},
		{"error below", 1.1 - 0.8, 300, true},
		{"largest", float64(MaxScalar) / 1000, MaxScalar, true},
		{"beyond the largest", float64(MaxScalar)/1000 + 1, 0, false},
		{"overflow of the product", math.MaxFloat64, 0, false},
		{"smallest negative", -math.SmallestNonzeroFloat64, 0, false},
		{"negative", -0.001, 0, false},
		{"infinite", math.Inf(1), 0, false},
		{"infinitely negative", math.Inf(-1), 0, false},
		{"no number", math.NaN(), 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if milli, ok := FromMesosScalar(tt.value); milli != tt.milli || ok != tt.ok {
				t.Errorf("FromMesosScalar(%v) = %d, %t, want %d, %t", tt.value, milli, ok, tt.milli, tt.ok)
			}
		})
	}
}

func TestMesosScalarRoundTrip(t *testing.T) {
	exact := func(milli int64) bool {
		back, ok := FromMesosScalar(ToMesosScalar(milli))
		return ok && back == milli
	}
	for milli := range int64(100_000) {
		if !exact(milli) || !exact(MaxScalar-milli) {
			t.Fatalf("%d or %d does not survive", milli, MaxScalar-milli)
		}
	}
	if err := quick.Check(func(x uint64) bool { return exact(int64(x % uint64(MaxScalar+1))) },
		&quick.Config{MaxCount: 100_000}); err != nil {
		t.Error(err)
	}
}

func FuzzFromMesosScalar(f *testing.F) {
	for _, v := range []float64{0, 0.3, 1.0005, -1, math.NaN(), math.Inf(1), float64(MaxScalar) / 1000} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		milli, ok := FromMesosScalar(v)
		switch {
		case !ok && milli != 0:
			t.Errorf("FromMesosScalar(%v) = %d although it is not ok", v, milli)
		case !ok && v >= 0 && v <= float64(MaxScalar)/1000:
			t.Errorf("FromMesosScalar(%v) refused an amount", v)
		case ok && (milli < 0 || milli > MaxScalar):
			t.Errorf("FromMesosScalar(%v) = %d is out of range", v, milli)
		case ok && math.Abs(float64(milli)-v*1000) > 0.5:
			t.Errorf("FromMesosScalar(%v) = %d is not the nearest", v, milli)
		}
	})
}
