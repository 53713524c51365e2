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

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

func TestParseResources(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"cpus:4;mem:16384;disk:100000;ports:[31000-32000]", "ports:[31000-32000]; cpus:4; mem:16384; disk:100000"},
		{"cpus:1.5; mem : 32 ", "cpus:1.5; mem:32"},
		{"cpus:0.0004;mem:0.0005", "cpus:0; mem:0.001"},
		{"ports:[5-6, 1-2,9]", "ports:[1-2, 5-6, 9-9]"},
		{"ports:[1-2, 3-4]", "ports:[1-2, 3-4]"}, // adjacent ranges stay as declared
		{"cpus:1;cpus:2", "cpus:3"},
		{"zones:{a,b}", "zones:{a, b}"},
		{"cpus:16;cpus(batch):2;cpus{REV}:4;ports:[1-9]", "ports:[1-9]; cpus(reservations: [(STATIC,batch)]):2; cpus{REV}:4; cpus:16"},
		{"cpus(*):2", "cpus:2"},
		{"", "{}"},
	} {
		rs, err := Parse(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if got := rs.String(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
	for _, in := range []string{"cpus", "cpus:", "cpus:-1", "cpus:x", "cpus:NaN", "cpus:1e16", ":1", "ports:[9-1]", "ports:[1-5,5-6]", "ports:[a]", "ports:[]", "cpus(a//b):1", "cpus:[1-"} {
		if _, err := Parse(in); err == nil {
			t.Errorf("%q must be refused", in)
		}
	}
}

func FuzzParseResources(f *testing.F) {
	f.Add("cpus:4;mem:16384;ports:[31000-32000]")
	f.Add("cpus(a):1;cpus{REV}:2;x:{a,b}")
	f.Fuzz(func(t *testing.T, in string) {
		rs, err := Parse(in)
		if err != nil {
			return
		}
		if !rs.Contains(rs) || !rs.Sub(rs).Empty() {
			t.Fatalf("%q: %s minus itself is %s", in, rs, rs.Sub(rs))
		}
		back := FromProtos(rs.ToProto(WireForm{Refined: true}))
		if !back.Contains(rs) || !rs.Contains(back) {
			t.Fatalf("%q: %s comes back from protobuf as %s", in, rs, back)
		}
	})
}

// Taking away and giving back in any order leaves exactly what was there.
func TestArithmeticBalances(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	total := parse(t, "cpus:100;mem:5000;ports:[1-200];cpus(batch):7;cpus{REV}:9;zones:{a,b,c}")
	for range 300 {
		left := total
		var taken []Resources
		for range 20 {
			var want Resources
			for _, r := range left {
				part := r
				switch r.Kind {
				case Scalar:
					part.Milli = rng.Int64N(r.Milli + 1)
				case RangeSet:
					x := r.Ranges[rng.IntN(len(r.Ranges))]
					lo := x.Begin + rng.Uint64N(x.End-x.Begin+1)
					part.Ranges = Ranges{{lo, min(x.End, lo+3)}}
				default:
					part.Items = r.Items[:1]
				}
				if rng.IntN(2) == 0 {
					want = want.Add(Resources{part})
				}
			}
			if !left.Contains(want) {
				t.Fatalf("%s does not contain its part %s", left, want)
			}
			left = left.Sub(want)
			taken = append(taken, want)
		}
		rng.Shuffle(len(taken), func(i, j int) { taken[i], taken[j] = taken[j], taken[i] })
		for _, x := range taken {
			left = left.Add(x)
		}
		if !left.Contains(total) || !total.Contains(left) {
			t.Fatalf("got back %s of %s", left, total)
		}
	}
}

func TestFlavorsDoNotMix(t *testing.T) {
	plain, reserved, revocable := parse(t, "cpus:1"), parse(t, "cpus(a):1"), parse(t, "cpus{REV}:1")
	for i, x := range []Resources{plain, reserved, revocable} {
		for j, y := range []Resources{plain, reserved, revocable} {
			if x.Contains(y) != (i == j) {
				t.Errorf("%s contains %s: %t", x, y, i != j)
			}
		}
	}
	if plain.WithAlloc("a").Contains(plain) || plain.Contains(plain.WithAlloc("a")) {
		t.Error("the allocation role is part of the identity")
	}
	f := reserved[0].Flavor
	for role, want := range map[string]bool{"a": true, "a/b": true, "a/b/c": true, "ab": false, "b": false, "*": false} {
		if f.AllocatableTo(role) != want {
			t.Errorf("reserved for a, offered to %s: want %t", role, want)
		}
	}
}

// Both formats of a reservation are the same thing.
func TestFormatsAgree(t *testing.T) {
	role, dyn, static := "batch", mesos.Resource_ReservationInfo_DYNAMIC, mesos.Resource_ReservationInfo_STATIC
	principal := "p"
	one := func(r mesos.Resource) mesos.Resource {
		r.Name, r.Type, r.Scalar = "cpus", ptrTo(mesos.SCALAR), &mesos.Value_Scalar{Value: 1}
		return r
	}
	for _, c := range []struct{ old, refined mesos.Resource }{
		{one(mesos.Resource{Role: ptrTo("*")}), one(mesos.Resource{})},
		{one(mesos.Resource{Role: &role}), one(mesos.Resource{Reservations: []mesos.Resource_ReservationInfo{{Type: &static, Role: &role}}})},
		{
			one(mesos.Resource{Role: &role, Reservation: &mesos.Resource_ReservationInfo{Principal: &principal}}),
			one(mesos.Resource{Reservations: []mesos.Resource_ReservationInfo{{Type: &dyn, Role: &role, Principal: &principal}}}),
		},
	} {
		a, b := FromProto(&c.old), FromProto(&c.refined)
		if !a.Same(&b) {
			t.Errorf("%s and %s must be the same", a.String(), b.String())
		}
		back := Resources{b}.ToProto(WireForm{})[0]
		if again := FromProto(&back); !again.Same(&b) {
			t.Errorf("%s comes back from the old format as %s", b.String(), again.String())
		}
	}
}

func TestInvalidResources(t *testing.T) {
	scalar, ranges := mesos.SCALAR, mesos.RANGES
	for _, c := range []struct {
		r    mesos.Resource
		want string
	}{
		{mesos.Resource{Type: &scalar, Scalar: &mesos.Value_Scalar{}}, "Empty resource name"},
		{mesos.Resource{Name: "cpus", Type: &scalar, Scalar: &mesos.Value_Scalar{Value: -1}}, "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0"},
		{mesos.Resource{Name: "mem", Type: &ranges, Scalar: &mesos.Value_Scalar{Value: 32}}, "Resource 'mem:[]' is invalid: Invalid ranges resource"},
		{mesos.Resource{Name: "cpus", Type: &scalar}, "Resource 'cpus:0' is invalid: Invalid scalar resource"},
		{mesos.Resource{Name: "cpus", Type: &scalar, Scalar: &mesos.Value_Scalar{}}, ""},
		{mesos.Resource{Name: "p", Type: &ranges, Ranges: &mesos.Value_Ranges{}}, ""},
	} {
		got := ""
		if err := Validate(&c.r); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestMilliOf(t *testing.T) {
	for in, want := range map[float64]int64{0.0005: 1, 0.00049: 0, 1.0005: 1001, -0.5: -500, math.Inf(1): math.MaxInt64 / 4, 2.3: 2300} {
		if got := MilliOf(in); got != want {
			t.Errorf("milliOf(%v) = %d, want %d", in, got, want)
		}
	}
	if MilliOf(math.NaN()) != 0 {
		t.Error("NaN must not count")
	}
}
func parse(t testing.TB, text string) Resources {
	t.Helper()
	rs, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func ptrTo[T any](v T) *T { return &v }
