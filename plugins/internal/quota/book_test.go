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

package quota

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// of returns cores and MiB.
func of(cpus, mem int64) resources.Bundle {
	return resources.Bundle{Vector: resources.Vector{resources.CPU: cpus * 1000, resources.Memory: mem * 1000}}
}

func scalar(name string, units int64) resources.Bundle {
	return resources.Bundle{Scalars: resources.Scalars{{Name: name, Milli: units * 1000}}}
}

func limited(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, name := range names {
		m[name] = true
	}
	return m
}

// used returns a Usage of what roles hold.
func used(of map[string]resources.Bundle) *Usage {
	u := &Usage{}
	for role, b := range of {
		u.Add(role, &b)
	}
	return u
}

type held = map[string]resources.Bundle

func TestCheck(t *testing.T) {
	eng := Role{Name: "eng", Limit: of(4, 1024), Limited: limited("cpus", "mem"), Consumed: of(3, 100)}
	for _, test := range []struct {
		name string
		list []Role
		// then is what we held at the reading, now what we hold.
		then, now held
		role      string
		need      resources.Bundle
		lack      string
		explain   string
	}{
		{name: "no quota", role: "eng", need: of(1000, 0)},
		{name: "another role's quota", list: []Role{eng}, role: "engine/x", need: of(1000, 0)},
		{name: "fits", list: []Role{eng}, role: "eng", need: of(1, 924), explain: "Mesos quota of role eng: cpus 3 of 4 used, needs 1; mem 100 of 1024 used, needs 924"},
		{name: "short of cpu", list: []Role{eng}, role: "eng", need: of(2, 0), lack: "cpu", explain: "Mesos quota of role eng: cpus 3 of 4 used, needs 2"},
		{name: "short of memory below", list: []Role{eng}, role: "eng/ads/web", need: of(1, 925), lack: "memory", explain: "Mesos quota of role eng, which holds for eng/ads/web too: mem 100 of 1024 used, needs 925"},
		{name: "short of both", list: []Role{eng}, role: "eng", need: of(2, 925), lack: "cpu", explain: "Mesos quota of role eng: cpus 3 of 4 used, needs 2; mem 100 of 1024 used, needs 925"},
		{name: "our part of it, in two sub-roles", list: []Role{eng}, then: held{"eng/a": of(1, 0), "eng/b": of(1, 0), "engine": of(1, 0)}, now: held{"eng/a": of(1, 0), "engine": of(9, 0)}, role: "eng/b", need: of(2, 0), explain: "Mesos quota of role eng, which holds for eng/b too: cpus 2 of 4 used, needs 2"},
		{name: "claimed since", list: []Role{eng}, then: held{"eng/a": of(1, 0)}, now: held{"eng/a": of(2, 0)}, role: "eng/b", need: of(1, 0), lack: "cpu", explain: "Mesos quota of role eng, which holds for eng/b too: cpus 4 of 4 used, needs 1"},
		{name: "ours that the master did not count yet", list: []Role{eng}, then: held{"eng": of(9, 0)}, now: held{"eng": of(2, 0)}, role: "eng", need: of(2, 0), explain: "Mesos quota of role eng: cpus 2 of 4 used, needs 2"},
		{
			name: "above the limit", list: []Role{{Name: "eng", Limit: of(2, 1024), Limited: limited("cpus", "mem"), Consumed: of(3, 0)}},
			role: "eng", need: of(0, 5), explain: "Mesos quota of role eng: mem 0 of 1024 used, needs 5",
		},
		{name: "a limit of nothing", list: []Role{{Name: "eng", Limited: limited("gpus")}}, role: "eng", need: resources.Bundle{Vector: resources.Vector{resources.GPU: 1000}}, lack: "gpu", explain: "Mesos quota of role eng: gpus 0 of 0 used, needs 1"},
		{name: "a name not limited", list: []Role{{Name: "eng", Limit: of(1, 1), Limited: limited("cpus"), Consumed: of(0, 5)}}, role: "eng", need: of(0, 1000)},
		{name: "another scalar", list: []Role{{Name: "eng", Limit: scalar("fpgas", 2), Limited: limited("fpgas"), Consumed: scalar("fpgas", 2)}}, then: held{"eng": scalar("fpgas", 1)}, now: held{"eng": scalar("fpgas", 1)}, role: "eng", need: scalar("fpgas", 1), lack: "fpgas", explain: "Mesos quota of role eng: fpgas 2 of 2 used, needs 1"},
		{name: "another scalar fits", list: []Role{{Name: "eng", Limit: scalar("fpgas", 2), Limited: limited("fpgas"), Consumed: scalar("fpgas", 2)}}, then: held{"eng": scalar("fpgas", 1)}, role: "eng", need: scalar("fpgas", 1), explain: "Mesos quota of role eng: fpgas 1 of 2 used, needs 1"},
		{name: "nested roles have no quota of their own", list: []Role{{Name: "eng/ads", Limit: of(1, 1), Limited: limited("cpus")}}, role: "eng/ads", need: of(2, 0)},
		{name: "a guarantee limits nothing", list: []Role{{Name: "eng", Guarantee: of(1, 1), Consumed: of(5, 5)}}, role: "eng", need: of(2, 0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			var book Book
			book.Set(test.list, test.then, time.Unix(1, 0))
			ours := used(test.now)
			lack, ok := book.Check(test.role, &test.need, ours)
			if lack != test.lack || ok != (test.lack == "") {
				t.Errorf("lack is %q, %v, want %q", lack, ok, test.lack)
			}
			if got := book.Explain(test.role, &test.need, ours); got != test.explain {
				t.Errorf("explained %q, want %q", got, test.explain)
			}
			before := ours.OfTree(test.role)
			if reserved, ok := book.Reserve(test.role, &test.need, ours); reserved != test.lack || ok != (test.lack == "") {
				t.Errorf("Reserve lacks %q, %v, want %q", reserved, ok, test.lack)
			}
			want := before
			if test.lack == "" {
				want = before.Add(test.need)
			}
			if got := ours.OfTree(test.role); !got.Equal(&want) {
				t.Errorf("after Reserve we hold %v, want %v", got, want)
			}
		})
	}
}

func TestZeroBook(t *testing.T) {
	var book Book
	need := of(1, 1)
	if lack, ok := book.Check("eng", &need, &Usage{}); lack != "" || !ok || book.Any() || !book.ReadAt().IsZero() {
		t.Error("a Book that was told nothing refuses")
	}
	if book.Left("eng", &Usage{}) != nil || book.Explain("eng", &need, &Usage{}) != "" || book.Status([]string{"eng"}, &Names{}) != "" {
		t.Error("a Book that was told nothing knows of a quota")
	}
}

func TestLeft(t *testing.T) {
	var book Book
	limit := of(4, 100).Add(scalar("fpgas", 2))
	book.Set([]Role{{Name: "eng", Limit: limit, Limited: limited("cpus", "mem", "fpgas", "disk"), Consumed: of(1, 200)}}, nil, time.Unix(1, 0))
	got := book.Left("eng/x", used(held{"eng/y": of(1, 0), "eng": scalar("fpgas", 1)}))
	if diff := cmp.Diff(Limits{"cpus": 2000, "mem": 0, "fpgas": 1000, "disk": 0}, got); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if got := book.Left("ops", &Usage{}); got != nil {
		t.Errorf("%v is left of no quota", got)
	}
}

func TestRoomier(t *testing.T) {
	role := func(limit, consumed int64) Role {
		return Role{Name: "eng", Limit: of(limit, 0), Limited: limited("cpus"), Consumed: of(consumed, 0)}
	}
	both := Role{Name: "eng", Limit: of(4, 100), Limited: limited("cpus", "mem")}
	for name, test := range map[string]struct {
		was, is []Role
		ours    held
		want    []string
	}{
		"the same":           {was: []Role{role(4, 2)}, is: []Role{role(4, 2)}},
		"raised":             {was: []Role{role(4, 2)}, is: []Role{role(5, 2)}, want: []string{"eng"}},
		"others use less":    {was: []Role{role(4, 2)}, is: []Role{role(4, 1)}, want: []string{"eng"}},
		"others use more":    {was: []Role{role(4, 2)}, is: []Role{role(4, 3)}},
		"we use more":        {was: []Role{role(4, 2)}, is: []Role{role(4, 3)}, ours: held{"eng/a": of(1, 0)}},
		"gone":               {was: []Role{role(4, 2)}, want: []string{"eng"}},
		"new":                {is: []Role{role(4, 2)}},
		"one limit gone":     {was: []Role{both}, is: []Role{role(4, 0)}, want: []string{"eng"}},
		"one limit more":     {was: []Role{role(4, 0)}, is: []Role{both}},
		"two roles, by name": {was: []Role{role(4, 2), {Name: "ads", Limited: limited("cpus")}}, want: []string{"ads", "eng"}},
	} {
		t.Run(name, func(t *testing.T) {
			var book Book
			if got := book.Set(test.was, nil, time.Unix(1, 0)); got != nil {
				t.Errorf("at first %v have more room", got)
			}
			if got := book.Set(test.is, test.ours, time.Unix(2, 0)); !slices.Equal(got, test.want) {
				t.Errorf("%v have more room, want %v", got, test.want)
			}
			if !book.ReadAt().Equal(time.Unix(2, 0)) {
				t.Error("the time of the reading is wrong")
			}
		})
	}
}

func TestUsage(t *testing.T) {
	u := &Usage{}
	a, b := of(1, 10), of(2, 20)
	b.Ports = resources.NewRanges(resources.Range{Begin: 1, End: 2})
	u.Add("eng/a", &a)
	u.Add("eng", &b)
	u.Add("engine", &a)
	sum := of(3, 30)
	if got := u.OfTree("eng/zzz"); !got.Equal(&sum) {
		t.Errorf("eng holds %v, want %v", got, sum)
	}
	u.Sub("eng/other", &b)
	if diff := cmp.Diff(held{"eng": a, "engine": a}, u.Snapshot()); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	u.Sub("eng", &a)
	u.Sub("engine", &a)
	if got := u.Snapshot(); len(got) != 0 {
		t.Errorf("%v is left of nothing", got)
	}
}

func TestLeast(t *testing.T) {
	before := held{"a": of(1, 20).Add(scalar("x", 1)).Add(scalar("y", 2)), "b": of(1, 1)}
	after := held{"a": of(2, 10).Add(scalar("y", 1)), "c": of(1, 1)}
	if diff := cmp.Diff(held{"a": of(1, 10).Add(scalar("y", 1))}, Least(before, after)); diff != "" {
		t.Errorf("least (-want +got):\n%s", diff)
	}
}

// Of many that reserve at one time while quotas are read, exactly as many get it as
// there is room for.
func TestReserveAtOnce(t *testing.T) {
	var book Book
	ours := &Usage{}
	list := []Role{{Name: "eng", Limit: of(50, 0), Limited: limited("cpus"), Consumed: of(7, 0)}}
	book.Set(list, nil, time.Unix(1, 0))
	need := of(1, 0)
	var won sync.Map
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			n := 0
			for range 50 {
				if _, ok := book.Reserve([]string{"eng", "eng/a", "eng/b", "eng/b/c"}[worker], &need, ours); ok {
					n++
				}
				book.Check("eng", &need, ours)
			}
			won.Store(worker, n)
		})
	}
	for range 20 {
		book.Set(list, nil, time.Unix(1, 0))
		book.Left("eng", ours)
	}
	group.Wait()
	total := 0
	won.Range(func(_, n any) bool { total += n.(int); return true })
	if total != 43 {
		t.Errorf("%d reserved 1 cpu of 43", total)
	}
}

func TestReasons(t *testing.T) {
	for lack, want := range map[string]string{
		"cpu": "Mesos quota of the role exhausted: cpu", "memory": "Mesos quota of the role exhausted: memory",
		"ephemeral-storage": "Mesos quota of the role exhausted: ephemeral-storage", "gpu": "Mesos quota of the role exhausted: gpu",
		"fpgas": "Mesos quota of the role exhausted: another resource",
	} {
		if got := Reason(lack); got != want {
			t.Errorf("reason for %s is %q, want %q", lack, got, want)
		}
	}
}

func BenchmarkCheckWithoutQuota(b *testing.B) {
	var book Book
	book.Set(nil, nil, time.Unix(1, 0))
	need, ours := of(1, 1), &Usage{}
	b.ReportAllocs()
	for b.Loop() {
		book.Check("eng/ads", &need, ours)
	}
}

func BenchmarkCheck(b *testing.B) {
	var book Book
	book.Set([]Role{{Name: "eng", Limit: of(4, 100), Limited: limited("cpus", "mem")}}, nil, time.Unix(1, 0))
	need, ours := of(1, 1), used(held{"eng/x": of(1, 1)})
	b.ReportAllocs()
	for b.Loop() {
		book.Check("eng/ads", &need, ours)
	}
}
