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

package core

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func TestFirstOffers(t *testing.T) {
	c := newCluster(t, Config{}, AgentConfig{
		Hostname: "node-1", Resources: "cpus:16;mem:32768;disk:100000;ports:[31000-32000];cpus(batch):2;mem(batch):1024;cpus{REV}:4",
		Attributes: map[string]string{"rack": "r1", "gen": "3", "range": "[1-5]"},
	})
	render := func(o *mesos.Offer) (out []string) {
		for _, r := range o.Resources {
			x := fromProto(&r)
			text := x.String()
			if r.Role != nil {
				text += " role=" + *r.Role
			}
			out = append(out, text)
		}
		return out
	}
	for _, tc := range []struct {
		name string
		info *mesos.FrameworkInfo
		want []string
	}{
		{"modern", withCaps(info("batch"), mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES), []string{
			"ports(allocated: batch):[31000-32000]", "cpus(allocated: batch)(reservations: [(STATIC,batch)]):2",
			"mem(allocated: batch)(reservations: [(STATIC,batch)]):1024", "cpus(allocated: batch){REV}:4", "cpus(allocated: batch):16",
			"mem(allocated: batch):32768", "disk(allocated: batch):100000",
		}},
		{"sub-role sees the reservation of its ancestor", info("batch/sub"), []string{
			"ports(allocated: batch/sub):[31000-32000]", "cpus(allocated: batch/sub)(reservations: [(STATIC,batch)]):2",
			"mem(allocated: batch/sub)(reservations: [(STATIC,batch)]):1024", "cpus(allocated: batch/sub):16",
			"mem(allocated: batch/sub):32768", "disk(allocated: batch/sub):100000",
		}},
		{"without any capability", &mesos.FrameworkInfo{User: "root", Name: "old", Role: ptrTo("batch")}, []string{
			"ports:[31000-32000] role=*", "cpus(reservations: [(STATIC,batch)]):2 role=batch", "mem(reservations: [(STATIC,batch)]):1024 role=batch",
			"cpus:16 role=*", "mem:32768 role=*", "disk:100000 role=*",
		}},
		{"without role", &mesos.FrameworkInfo{User: "root", Name: "old"}, []string{"ports:[31000-32000] role=*", "cpus:16 role=*", "mem:32768 role=*", "disk:100000 role=*"}},
		{"no roles", info(), nil},
	} {
		s := c.subscribe(tc.info)
		if got := s.inbox[s.stream]; got[0].Type != scheduler.Event_SUBSCRIBED || got[1].Type != scheduler.Event_HEARTBEAT {
			t.Fatalf("%s: stream begins with %v", tc.name, got)
		}
		offers := s.offers()
		if tc.want == nil {
			if len(offers) != 0 {
				t.Errorf("%s: %v", tc.name, offers)
			}
		} else if diff := cmp.Diff(tc.want, render(&offers[0])); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		for _, o := range offers {
			if len(o.Attributes) != 3 || o.Attributes[0].Scalar.Value != 3 || o.Attributes[2].Ranges.Range[0].End != 5 {
				t.Errorf("attributes: %v", o.Attributes)
			}
		}
		s.must(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
	}
}

// Two roles: the reserved part goes to its role, the rest to whoever is first.
func TestOneAgentTwoRoles(t *testing.T) {
	c := newCluster(t, Config{}, AgentConfig{Hostname: "n", Resources: "cpus:4;mem:1024;cpus(batch):2;mem(batch):64"})
	s := c.subscribe(info("batch", "another"))
	offers := s.offers()
	if len(offers) != 2 || offers[0].AllocationInfo.GetRole() != "another" || len(offers[0].Resources) != 2 || len(offers[1].Resources) != 2 {
		t.Fatalf("got %v", offers)
	}
}

// Decline filters, at the times of the recordings: decline 0.37 s after an offer
// that came with a tick.
func TestDeclineTimes(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 250 * time.Millisecond} {
		for _, tc := range []struct {
			refuse     *float64
			slow, fast time.Duration // allocation interval 1 s, 250 ms; after the decline
		}{
			{ptrTo(0.0), 630 * time.Millisecond, 130 * time.Millisecond},
			{ptrTo(0.1), 1630 * time.Millisecond, 380 * time.Millisecond},
			{ptrTo(1.0), 1630 * time.Millisecond, 1130 * time.Millisecond},
			{ptrTo(2.0), 2630 * time.Millisecond, 2130 * time.Millisecond},
			{ptrTo(2.5), 2630 * time.Millisecond, 2630 * time.Millisecond},
			{nil, 5630 * time.Millisecond, 5130 * time.Millisecond},
			{ptrTo(5.0), 5630 * time.Millisecond, 5130 * time.Millisecond},
			{ptrTo(-1.0), 5630 * time.Millisecond, 5130 * time.Millisecond},
			{ptrTo(math.NaN()), 5630 * time.Millisecond, 5130 * time.Millisecond},
		} {
			c := newCluster(t, Config{AllocationInterval: interval}, node(1))
			s := c.subscribe(info("batch"))
			o := s.oneOffer()
			c.pass(370 * time.Millisecond)
			s.decline(tc.refuse, o.ID, mesos.OfferID{Value: "no-such-offer"})
			want := tc.slow
			if interval < time.Second {
				want = tc.fast
			}
			c.pass(want - time.Millisecond)
			if early := s.offers(); len(early) != 0 {
				t.Errorf("interval %s, refuse %v: offered before %s", interval, deref(tc.refuse), want)
			}
			c.pass(time.Millisecond)
			if got := s.offers(); len(got) != 1 {
				t.Errorf("interval %s, refuse %v: not offered after %s", interval, deref(tc.refuse), want)
			}
		}
	}
}

func deref(f *float64) any {
	if f == nil {
		return "absent"
	}
	return *f
}

func TestLongFilters(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch", "b2"), "b2")
	decline := func() {
		t.Helper()
		s.decline(ptrTo(1e30), s.oneOffer().ID)
		c.pass(time.Hour)
		if got := s.offers(); len(got) != 0 {
			t.Fatalf("offered in spite of the filter: %v", got)
		}
	}
	decline()
	s.revive("nope")          // not subscribed: ignored as a whole
	s.revive("batch", "nope") // the same
	if got := s.offers(); len(got) != 0 {
		t.Fatal("a REVIVE with an unsubscribed role must be ignored")
	}
	s.revive("batch")
	decline() // offered at once, again
	s.revive("batch")
	o := s.oneOffer()
	// An ACCEPT without operations is a DECLINE.
	s.must(launch(ptrTo(3600.0), []mesos.OfferID{o.ID}))
	c.pass(time.Minute)
	if got := s.offers(); len(got) != 0 {
		t.Fatalf("an ACCEPT without operations must leave its filter: %v", got)
	}
	// A REVIVE without roles means all of them.
	s.revive()
	o = s.oneOffer()
	s.suppress("b2")
	s.decline(ptrTo(0.0), o.ID)
	c.pass(time.Second)
	o = s.oneOffer()
	s.decline(ptrTo(3600.0), o.ID)
	// What is free now exceeds the filter: the whole agent is offered again.
	s.revive("batch")
	o = s.oneOffer()
	s.must(launch(ptrTo(3600.0), []mesos.OfferID{o.ID}, sleep("t", &o, "cpus:1;mem:32")))
	s.drain()
	c.pass(time.Minute)
	if got := s.offers(); len(got) != 0 {
		t.Fatalf("the remainder is filtered: %v", got)
	}
	if err := c.m.EndTask(c.now, "t", 0); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Second)
	for _, e := range s.take() {
		if e.Offers != nil && e.Offers.Offers[0].Resources[1].Scalar.Value == 16 {
			return
		}
	}
	t.Fatal("a finished task must defeat the filter")
}

func TestSuppress(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a", "b"), "a", "b")
	c.pass(10 * time.Second)
	if got := s.offers(); len(got) != 0 {
		t.Fatalf("offered to suppressed roles: %v", got)
	}
	s.revive("a")
	o := s.oneOffer()
	s.suppress("a")
	if got := s.types(); len(got) != 0 {
		t.Fatalf("SUPPRESS rescinds nothing, got %v", got)
	}
	s.decline(ptrTo(0.0), o.ID)
	c.pass(10 * time.Second)
	if got := s.offers(); len(got) != 0 {
		t.Fatal("declined while suppressed must stay away")
	}
	if f := c.m.Frameworks()[0]; !slices.Equal(f.SuppressedRoles, []string{"a", "b"}) {
		t.Fatalf("suppressed: %v", f.SuppressedRoles)
	}
}

func TestMinAllocatable(t *testing.T) {
	agents := []AgentConfig{
		{Hostname: "big", Resources: "cpus:16;mem:32768;ports:[1-1000]"},
		{Hostname: "tiny", Resources: "cpus:0.5;mem:512;ports:[1-50]"},
		{Hostname: "dry", Resources: "cpus:4;mem:1024"},
		{Hostname: "mem", Resources: "mem:32"},
		{Hostname: "crumb", Resources: "cpus:0.005;mem:31;disk:1000000"},
	}
	q := func(sets ...map[string]float64) *mesos.OfferFilters_MinAllocatableResources {
		m := &mesos.OfferFilters_MinAllocatableResources{}
		for _, set := range sets {
			rq := mesos.OfferFilters_ResourceQuantities{Quantities: map[string]mesos.Value_Scalar{}}
			for k, v := range set {
				rq.Quantities[k] = mesos.Value_Scalar{Value: v}
			}
			m.Quantities = append(m.Quantities, rq)
		}
		return m
	}
	for _, tc := range []struct {
		name string
		min  *mesos.OfferFilters_MinAllocatableResources
		want []string
	}{
		{"default", nil, []string{"big", "dry", "mem", "tiny"}},
		{"cpus>=1", q(map[string]float64{"cpus": 1}), []string{"big", "dry"}},
		{"cpus>=1 and mem>=8192", q(map[string]float64{"cpus": 1, "mem": 8192}), []string{"big"}},
		{"cpus>=100 or mem>=512", q(map[string]float64{"cpus": 100}, map[string]float64{"mem": 512}), []string{"big", "dry", "tiny"}},
		{"ports>=100", q(map[string]float64{"ports": 100}), []string{"big"}},
		{"empty list", q(), []string{"big", "crumb", "dry", "mem", "tiny"}},
	} {
		c := newCluster(t, Config{}, agents...)
		f := info("batch")
		if tc.min != nil {
			f.OfferFilters = map[string]mesos.OfferFilters{"batch": {MinAllocatableResources: tc.min}, "other": {MinAllocatableResources: q(map[string]float64{"x": 1})}}
		}
		if diff := cmp.Diff(tc.want, hostsOf(c.subscribe(f).offers())); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

func hostsOf(offers []mesos.Offer) []string {
	var out []string
	for _, o := range offers {
		out = append(out, o.Hostname)
	}
	slices.Sort(out)
	return out
}

func TestGates(t *testing.T) {
	c := newCluster(t, Config{Region: "eu", Zone: "a"},
		AgentConfig{Hostname: "gpu", Resources: "cpus:1;mem:64;gpus:2"},
		AgentConfig{Hostname: "far", Resources: "cpus:1;mem:64", Region: "us", Zone: "x"},
		AgentConfig{Hostname: "near", Resources: "cpus:1;mem:64", Region: "eu", Zone: "b"},
	)
	bare := withCaps(&mesos.FrameworkInfo{User: "u", Name: "n", Roles: []string{"r"}}, mesos.FrameworkInfo_Capability_MULTI_ROLE)
	for _, tc := range []struct {
		info *mesos.FrameworkInfo
		want []string
	}{
		{bare, []string{"near"}},
		{withCaps(withCaps(&mesos.FrameworkInfo{User: "u", Name: "n", Roles: []string{"r"}}, bare.Capabilities[0].Type), mesos.FrameworkInfo_Capability_REGION_AWARE), []string{"far", "near"}},
		{withCaps(withCaps(&mesos.FrameworkInfo{User: "u", Name: "n", Roles: []string{"r"}}, bare.Capabilities[0].Type), mesos.FrameworkInfo_Capability_GPU_RESOURCES), []string{"gpu", "near"}},
	} {
		s := c.subscribe(tc.info)
		if diff := cmp.Diff(tc.want, hostsOf(s.offers())); diff != "" {
			t.Error(diff)
		}
		s.must(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
	}
}

// Dominant resource fairness: agents go to whoever has least, offered counts.
func TestFairShares(t *testing.T) {
	count := func(c *cluster, s *sched) int { return len(s.offers()) }
	var agents []AgentConfig
	for i := range 12 {
		agents = append(agents, node(i))
	}
	t.Run("two frameworks, one role", func(t *testing.T) {
		c := newCluster(t, Config{})
		a, b := c.subscribe(info("r")), c.subscribe(info("r"))
		for _, x := range agents {
			if _, err := c.m.AddAgent(c.now, x); err != nil {
				t.Fatal(err)
			}
		}
		c.settle()
		if x, y := count(c, a), count(c, b); x != 6 || y != 6 {
			t.Fatalf("%d and %d of 12 agents", x, y)
		}
	})
	t.Run("weights", func(t *testing.T) {
		c := newCluster(t, Config{Weights: map[string]float64{"heavy": 3}})
		a, b := c.subscribe(info("heavy")), c.subscribe(info("light"))
		for _, x := range agents {
			if _, err := c.m.AddAgent(c.now, x); err != nil {
				t.Fatal(err)
			}
		}
		c.settle()
		if x, y := count(c, a), count(c, b); x != 9 || y != 3 {
			t.Fatalf("%d and %d of 12 agents, want 9 and 3", x, y)
		}
	})
	t.Run("siblings are compared level by level", func(t *testing.T) {
		c := newCluster(t, Config{})
		a, b, d := c.subscribe(info("eng/ads")), c.subscribe(info("eng/search")), c.subscribe(info("ops"))
		for _, x := range agents {
			if _, err := c.m.AddAgent(c.now, x); err != nil {
				t.Fatal(err)
			}
		}
		c.settle()
		if x, y, z := count(c, a), count(c, b), count(c, d); x != 3 || y != 3 || z != 6 {
			t.Fatalf("%d, %d and %d of 12 agents, want 3, 3 and 6", x, y, z)
		}
	})
	t.Run("a role competes with its sub-roles as one of them", func(t *testing.T) {
		c := newCluster(t, Config{})
		a, b := c.subscribe(info("eng")), c.subscribe(info("eng/ads"))
		for _, x := range agents {
			if _, err := c.m.AddAgent(c.now, x); err != nil {
				t.Fatal(err)
			}
		}
		c.settle()
		if x, y := count(c, a), count(c, b); x != 6 || y != 6 {
			t.Fatalf("%d and %d of 12 agents", x, y)
		}
	})
}

// Resources that come free are offered at the next tick, not at once; a new
// agent, a new framework and a REVIVE are.
func TestWhatTriggersAllocation(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a"))
	c.pass(300 * time.Millisecond)
	s.take()
	if _, err := c.m.AddAgent(c.now, node(2)); err != nil {
		t.Fatal(err)
	}
	c.settle()
	if got := s.offers(); len(got) != 1 || got[0].Hostname != "node-2" {
		t.Fatalf("a new agent must be offered at once: %v", got)
	}
	if n := c.m.RescindAll(c.now); n != 2 {
		t.Fatalf("%d rescinded", n)
	}
	c.settle()
	if got := s.types(); !slices.Equal(got, []string{"RESCIND", "RESCIND"}) {
		t.Fatalf("got %v", got)
	}
	c.pass(699 * time.Millisecond)
	if got := s.offers(); len(got) != 0 {
		t.Fatal("recovered resources must wait for the tick")
	}
	c.pass(time.Millisecond)
	if got := s.offers(); len(got) != 2 {
		t.Fatalf("at the tick: %d offers", len(got))
	}
	if _, ok := c.m.Next(); !ok {
		t.Fatal("heartbeats are due")
	}
	before := c.m.alloc.runs
	c.pass(14 * time.Second)
	if c.m.alloc.runs != before {
		t.Fatal("an idle master must not allocate")
	}
}

func TestOfferTimeout(t *testing.T) {
	c := newCluster(t, Config{OfferTimeout: 3 * time.Second}, node(1))
	s := c.subscribe(info("a"))
	first := s.oneOffer()
	c.pass(4 * time.Second) // re-offered at the tick after the RESCIND
	e := s.take()
	if len(e) != 2 || e[0].Rescind.GetOfferID().Value != first.ID.Value || e[1].Type != scheduler.Event_OFFERS {
		t.Fatalf("got %v", e)
	}
}

// An offer held while a task ends: the freed part comes as a second offer, and
// both together serve a task that fits neither.
func TestAggregatedOffers(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a"))
	s.runTask("t1", s.oneOffer(), "cpus:10;mem:64;ports:[31010-31019]")
	c.pass(time.Second)
	held := s.oneOffer()
	if err := c.m.EndTask(c.now, "t1", 0); err != nil {
		t.Fatal(err)
	}
	c.settle()
	s.drain()
	c.pass(time.Second)
	freed := s.oneOffer()
	if freed.Resources[0].Ranges.Range[0].Begin != 31010 || freed.Resources[1].Scalar.Value != 10 {
		t.Fatalf("freed: %v", freed)
	}
	task := sleep("both", &held, "cpus:16;mem:64;ports:[31005-31025]")
	s.must(launch(nil, []mesos.OfferID{held.ID, freed.ID}, task))
	if got := s.drain(); len(got) != 2 {
		t.Fatalf("got %v", briefs(got))
	}
}

func TestConstraints(t *testing.T) {
	text := func(s string) *ConstraintText { return &ConstraintText{s} }
	attr := func(name string, p ConstraintPredicate) AttributeConstraint {
		return AttributeConstraint{Selector: &ConstraintSelector{AttributeName: &name}, Predicate: &p}
	}
	pseudo := func(name string, p ConstraintPredicate) AttributeConstraint {
		return AttributeConstraint{Selector: &ConstraintSelector{PseudoAttribute: &name}, Predicate: &p}
	}
	group := func(list ...AttributeConstraint) ConstraintGroup { return ConstraintGroup{list} }
	exists, not := ConstraintPredicate{Exists: &ConstraintEmpty{}}, ConstraintPredicate{NotExists: &ConstraintEmpty{}}
	match := func(re string) ConstraintPredicate { return ConstraintPredicate{TextMatches: &ConstraintRegex{re}} }
	n1, n2, n3 := node(1), node(2), node(3)
	n3.Attributes = map[string]string{"rack": "r3", "gen": "3"}
	for _, tc := range []struct {
		name   string
		groups []ConstraintGroup
		want   []string
		err    string
	}{
		{"rack exists", []ConstraintGroup{group(attr("rack", exists))}, []string{"node-1", "node-2", "node-3"}, ""},
		{"zone exists", []ConstraintGroup{group(attr("zone", exists))}, []string{"node-1", "node-2"}, ""},
		{"zone not_exists", []ConstraintGroup{group(attr("zone", not))}, []string{"node-3"}, ""},
		{"HOSTNAME = node-2 OR rack = r3", []ConstraintGroup{
			group(pseudo("HOSTNAME", ConstraintPredicate{TextEquals: text("node-2")})), group(attr("rack", ConstraintPredicate{TextEquals: text("r3")})),
		}, []string{"node-2", "node-3"}, ""},
		{"rack != r3 AND zone = z1", []ConstraintGroup{
			group(attr("rack", ConstraintPredicate{TextNotEquals: text("r3")}), attr("zone", ConstraintPredicate{TextEquals: text("z1")})),
		}, []string{"node-1"}, ""},
		{"HOSTNAME matches node-[13]", []ConstraintGroup{group(pseudo("HOSTNAME", match("node-[13]")))}, []string{"node-1", "node-3"}, ""},
		{"full match only", []ConstraintGroup{group(pseudo("HOSTNAME", match("node")))}, nil, ""},
		{"missing satisfies negatives", []ConstraintGroup{group(attr("zone", ConstraintPredicate{TextNotMatches: &ConstraintRegex{"z1"}}))}, []string{"node-2", "node-3"}, ""},
		{"scalar satisfies text", []ConstraintGroup{group(attr("gen", ConstraintPredicate{TextEquals: text("zzz")}))}, []string{"node-3"}, ""},
		{"REGION exists", []ConstraintGroup{group(pseudo("REGION", exists))}, nil, ""},
		{"ZONE not_equals", []ConstraintGroup{group(pseudo("ZONE", ConstraintPredicate{TextNotEquals: text("x")}))}, []string{"node-1", "node-2", "node-3"}, ""},
		{"bad regex", []ConstraintGroup{group(pseudo("HOSTNAME", match("(")))}, nil, "Offer constraints are not valid: A role batch has an invalid 'AttributeConstraint': Failed to construct regex from pattern '(': missing ): ("},
		{"large regex", []ConstraintGroup{group(pseudo("HOSTNAME", match("(a{100}){10}")))}, nil, "Offer constraints are not valid: A role batch has an invalid 'AttributeConstraint': Failed to construct regex from pattern '(a{100}){10}': pattern too large - compile failed"},
		{"no groups", []ConstraintGroup{}, nil, "Offer constraints are not valid: 'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role batch"},
		{"empty group", []ConstraintGroup{{}}, nil, "Offer constraints are not valid: 'OfferConstraints::RoleConstraints::groups' for role batchcontains an empty RoleConstraints::Group"},
		{"UNKNOWN", []ConstraintGroup{group(pseudo("UNKNOWN", exists))}, nil, "Offer constraints are not valid: A role batch has an invalid 'AttributeConstraint': Unknown pseudoattribute type"},
		{"unknown name", []ConstraintGroup{group(pseudo("NOPE", exists))}, nil, "Offer constraints are not valid: A role batch has an invalid 'AttributeConstraint': Exactly one of 'AttributeConstraint::Selector::name' or 'AttributeConstraint::Selector::pseudoattribute_type' must be set"},
	} {
		c := newCluster(t, Config{}, n1, n2, n3)
		s := c.subscribeWith(info("batch"), OfferConstraints{map[string]RoleConstraints{"batch": {tc.groups}}})
		if tc.err != "" {
			if e := s.take(); len(e) != 1 || e[0].GetError().GetMessage() != tc.err || c.ended[s.stream] != "end" {
				t.Errorf("%s: got %v", tc.name, e)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, hostsOf(s.offers())); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
	c := newCluster(t, Config{}, n1)
	s := c.subscribeWith(info("batch"), OfferConstraints{map[string]RoleConstraints{"nope": {[]ConstraintGroup{group(attr("rack", exists))}}}})
	if e := s.take(); e[0].GetError().GetMessage() != "Offer constraints specify `role_constraints` for a role 'nope'not contained in the set of roles" {
		t.Errorf("got %v", e)
	}
}

// A cluster of 10,000 agents is offered in one event, quickly.
func BenchmarkAllocate10kAgents(b *testing.B) {
	var agents []AgentConfig
	for i := range 10_000 {
		agents = append(agents, node(i))
	}
	c := newCluster(b, Config{}, agents...)
	for i := range 8 {
		c.m.Subscribe(c.now, fmt.Sprint(i), &scheduler.Call{Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: info(fmt.Sprint("role", i))}}, OfferConstraints{})
	}
	c.m.Advance(c.now)
	c.m.Drain()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		c.m.RescindAll(c.now)
		c.m.Drain()
		b.StartTimer()
		c.m.allocate()
	}
	if n := len(c.m.offers); n != 10_000 {
		b.Fatalf("%d offers", n)
	}
}
