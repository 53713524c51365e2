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
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Dominant resource fairness: agents go to whoever has least, offered counts.
func TestFairShares(t *testing.T) {
	count := func(s *sched) int { return len(s.offers()) }
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
		if x, y := count(a), count(b); x != 6 || y != 6 {
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
		if x, y := count(a), count(b); x != 9 || y != 3 {
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
		if x, y, z := count(a), count(b), count(d); x != 3 || y != 3 || z != 6 {
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
		if x, y := count(a), count(b); x != 6 || y != 6 {
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
	before := c.m.alloc.Runs()
	c.pass(14 * time.Second)
	if c.m.alloc.Runs() != before {
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
	text := func(s string) *ConstraintText { return &ConstraintText{Value: s} }
	attr := func(name string, p ConstraintPredicate) AttributeConstraint {
		return AttributeConstraint{Selector: &ConstraintSelector{AttributeName: &name}, Predicate: &p}
	}
	pseudo := func(name string, p ConstraintPredicate) AttributeConstraint {
		return AttributeConstraint{Selector: &ConstraintSelector{PseudoAttribute: &name}, Predicate: &p}
	}
	group := func(list ...AttributeConstraint) ConstraintGroup { return ConstraintGroup{AttributeConstraints: list} }
	exists, not := ConstraintPredicate{Exists: &ConstraintEmpty{}}, ConstraintPredicate{NotExists: &ConstraintEmpty{}}
	match := func(re string) ConstraintPredicate {
		return ConstraintPredicate{TextMatches: &ConstraintRegex{Regex: re}}
	}
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
		{"missing satisfies negatives", []ConstraintGroup{group(attr("zone", ConstraintPredicate{TextNotMatches: &ConstraintRegex{Regex: "z1"}}))}, []string{"node-2", "node-3"}, ""},
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
		s := c.subscribeWith(info("batch"), OfferConstraints{RoleConstraints: map[string]RoleConstraints{"batch": {Groups: tc.groups}}})
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
	s := c.subscribeWith(info("batch"), OfferConstraints{RoleConstraints: map[string]RoleConstraints{"nope": {Groups: []ConstraintGroup{group(attr("rack", exists))}}}})
	if e := s.take(); e[0].GetError().GetMessage() != "Offer constraints specify `role_constraints` for a role 'nope'not contained in the set of roles" {
		t.Errorf("got %v", e)
	}
}
