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
	"math/rand/v2"
	"testing"
)

func TestParseBundle(t *testing.T) {
	for text, want := range map[string]Bundle{
		"{}":                                {},
		"cpus:1.5;mem:128":                  {Vector: Vector{CPU: 1500, Memory: 128000}},
		"mem:0.001":                         {Vector: Vector{Memory: 1}},
		"gpus:2;ports:[31000-31009, 5-5]":   {Vector: Vector{GPU: 2000}, Ports: NewRanges(Range{5, 5}, Range{31000, 31009})},
		"fpga:3;cpus:0.25":                  {Vector: Vector{CPU: 250}, Scalars: NewScalars(Scalar{"fpga", 3000})},
		"cpus:9223372036854775.807":         {Vector: Vector{CPU: math.MaxInt64}},
		"disk:10;ports:[];licence tokens:1": {Vector: Vector{Disk: 10000}, Scalars: NewScalars(Scalar{"licence tokens", 1000})},
	} {
		got, err := ParseBundle(text)
		if err != nil || !got.Equal(&want) {
			t.Errorf("ParseBundle(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "cpus", "cpus:", ":1", "cpus:-1", "cpus:+1", "cpus:1.", "cpus:.5", "cpus:1.2345", "cpus:1e3", "cpus:NaN", " cpus:1",
		"cpus:1;cpus:2", "cpus:1;", "cpus:9223372036854775.808", "cpus:9223372036854776", "cpus:99999999999999999999",
		"ports:31000", "ports:[2-1]", "ports:[1]", "ports:[1-2", "ports:[-1-2]", "ports:[1-2,]",
	} {
		if got, err := ParseBundle(text); err == nil {
			t.Errorf("ParseBundle(%q) = %v, want an error", text, got)
		}
	}
}

// What is written is read again as it was.
func TestBundlesSurviveTheirText(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	amount := func() int64 { return rnd.Int64N(1<<(1+rnd.IntN(62))) * int64(rnd.IntN(2)) }
	for range 2000 {
		var b Bundle
		for k := range b.Vector {
			b.Vector[k] = amount()
		}
		b.Scalars = NewScalars(Scalar{"fpga", amount()}, Scalar{"a", amount()})
		for range rnd.IntN(3) {
			begin := rnd.Uint64N(60000)
			b.Ports = b.Ports.Add(NewRanges(Range{begin, begin + rnd.Uint64N(100)}))
		}
		got, err := ParseBundle(b.String())
		if err != nil || !got.Equal(&b) {
			t.Fatalf("ParseBundle(%q) = %v, %v", b, got, err)
		}
	}
}

func TestMissing(t *testing.T) {
	need := Bundle{Vector: Vector{CPU: 3000, Memory: 10}, Ports: NewRanges(Range{1, 3}), Scalars: NewScalars(Scalar{"fpga", 2000}, Scalar{"a", 1})}
	have := Bundle{Vector: Vector{CPU: 1000, Memory: 20, Disk: 5}, Ports: NewRanges(Range{2, 9}), Scalars: NewScalars(Scalar{"a", 4})}
	want := Bundle{Vector: Vector{CPU: 2000}, Ports: NewRanges(Range{1, 1}), Scalars: NewScalars(Scalar{"fpga", 2000})}
	if got := need.Missing(have); !got.Equal(&want) {
		t.Errorf("missing %v, want %v", got, want)
	}
}
