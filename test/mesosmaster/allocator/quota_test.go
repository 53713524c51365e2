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

package allocator

import (
	"testing"
	"time"
)

// A limit chops offers name by name; reservations, revocable resources and ports
// are not limited, but reservations count.
func TestLimit(t *testing.T) {
	w := newWorld(t, Options{MinAllocatable: []Quantities{quantities(t, "cpus:0.01"), quantities(t, "mem:32")}})
	w.quota("lim", "", "cpus:3;mem:1024")
	w.agent("a", "cpus:8;mem:8192;ports:[1-9]")
	w.agent("b", "cpus:8;mem:8192;ports:[1-9]")
	w.framework("f", "lim")
	first := w.run().Offers
	w.want("chopped, the rest of b is too little", first, "f/lim@a cpus:3; mem:1024; ports:[1-9]")
	w.want("at the limit", w.pass(3*time.Second))
	w.Recover("f", "a", first[0].Resources.Sub(parse(t, "cpus:1;mem:512").WithAlloc("lim")), 0)
	w.want("what is used counts", w.pass(time.Second), "f/lim@a cpus:2; mem:512; ports:[1-9]")
	w.quota("lim", "", "")
	if got := brief(w.pass(time.Second)); len(got) != 2 {
		t.Fatalf("without a limit all is offered: %v", got)
	}
}

func TestLimitAndReservations(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddAgent(AgentInfo{ID: "a", Hostname: "a", Total: parse(t, "cpus:8").Add(reserved(t, "cpus:2", "lim")).Add(reserved(t, "cpus:1", "lim", "lim/sub"))})
	w.quota("lim", "", "cpus:4")
	w.framework("f", "lim")
	w.want("four, of which three are reserved", w.run().Offers, "f/lim@a cpus(reservations: [(DYNAMIC,lim)]):2; cpus:1")
	w.framework("s", "lim/sub")
	w.want("a sub-role is not bound", w.run().Offers, "s/lim/sub@a cpus(reservations: [(DYNAMIC,lim),(DYNAMIC,lim/sub)]):1; cpus:7")
}

// What a sub-role uses counts against the role; a limit of zero forbids.
func TestLimitOfSubtree(t *testing.T) {
	w := newWorld(t, Options{})
	w.agent("a", "cpus:2;mem:64")
	w.framework("s", "eng/dev")
	w.want("the sub-role", w.run().Offers, "s/eng/dev@a cpus:2; mem:64")
	w.quota("eng", "", "cpus:3")
	w.agent("b", "cpus:2;mem:64")
	w.Suppress("s", []string{"eng/dev"})
	w.framework("f", "eng")
	w.want("what it leaves", w.run().Offers, "f/eng@b cpus:1; mem:64")
	w.SetQuota("eng", Quota{Limits: LimitsOf(map[string]int64{"cpus": 0})})
	w.agent("c", "cpus:2;mem:64")
	w.want("no cpus", w.run().Offers, "f/eng@c mem:64")
}

// The headroom for guarantees of others is kept back, on whatever agent; a role
// with guarantees gets them first, from a burst up to its limit if there is
// enough.
func TestGuarantee(t *testing.T) {
	w := newWorld(t, Options{})
	w.quota("gold", "cpus:5", "cpus:6")
	w.agents(2)
	w.framework("f", "common")
	w.want("8 cpus less 5, from the agent that comes first", w.run().Offers, "f/common@a00 cpus:3; mem:4096", "f/common@a01 mem:4096")
	w.framework("g", "gold")
	w.want("the guarantee", w.run().Offers, "g/gold@a00 cpus:1", "g/gold@a01 cpus:4")

	w = newWorld(t, Options{})
	w.quota("gold", "cpus:2", "cpus:3")
	w.agents(2)
	w.framework("c", "common")
	w.framework("g", "gold")
	w.want("first stage first, up to the limit, with all that has no guarantee", w.run().Offers,
		"c/common@a00 cpus:1", "c/common@a01 cpus:4; mem:4096", "g/gold@a00 cpus:3; mem:4096")
}

// Guarantees beyond what there is are given all there is.
func TestOvercommittedGuarantees(t *testing.T) {
	w := newWorld(t, Options{})
	w.quota("gold", "cpus:50", "")
	w.quota("silver", "cpus:50", "")
	w.agents(2)
	w.framework("g", "gold")
	w.framework("s", "silver")
	w.framework("c", "common")
	w.want("half each", w.run().Offers, "g/gold@a00 cpus:4; mem:4096", "s/silver@a01 cpus:4; mem:4096")
}

// Both stages add to one offer.
func TestStagesMakeOneOffer(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddAgent(AgentInfo{ID: "a", Hostname: "a", Total: parse(t, "cpus:4;mem:64").Add(revocable(t, "cpus:1"))})
	w.quota("gold", "cpus:1;mem:64", "")
	w.quota("silver", "cpus:2", "")
	w.framework("g", "gold")
	w.want("guarantee, and the rest but for the headroom", w.run().Offers, "g/gold@a cpus:2; mem:64")
	w.quota("silver", "", "")
	w.want("headroom given up", w.pass(time.Second), "g/gold@a cpus:2")
}

// Revocable resources are neither limited nor part of the headroom.
func TestRevocableIsOutsideQuota(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddAgent(AgentInfo{ID: "a", Hostname: "a", Total: parse(t, "cpus:2").Add(revocable(t, "cpus:5"))})
	w.quota("lim", "", "cpus:1")
	w.quota("gold", "cpus:1", "")
	w.framework("f", "lim", revocableCapability)
	w.want("one of two, and all that can be revoked", w.run().Offers, "f/lim@a cpus:1; cpus{REV}:5")
}

// A new master with quotas waits for most of its agents, or for ten minutes.
func TestAwaitAgents(t *testing.T) {
	for _, enough := range []bool{true, false} {
		w := newWorld(t, Options{})
		w.quota("lim", "", "cpus:3")
		w.AwaitAgents(3) // 80 % are two
		w.framework("f", "lim")
		w.agents(1)
		w.want("one of two", w.pass(time.Minute))
		if enough {
			w.agent("b", "cpus:4")
			w.want("two of two", w.pass(time.Second), "f/lim@a00 cpus:3; mem:4096")
			continue
		}
		w.want("too early", w.pass(9*time.Minute-time.Second))
		w.want("the time is up", w.pass(2*time.Second), "f/lim@a00 cpus:3; mem:4096")
	}
	w := newWorld(t, Options{})
	w.AwaitAgents(10)
	w.framework("f", "r")
	w.agent("a", "cpus:1")
	w.want("without quota nothing waits", w.run().Offers, "f/r@a cpus:1")
}

// Limits and quantities in the words of the master.
func TestQuantities(t *testing.T) {
	q := quantities(t, "mem:512;cpus:1.5")
	for got, want := range map[string]string{
		q.String(): "cpus:1.5; mem:512", Quantities(nil).String(): "{}", Limits(nil).String(): "{}",
		q.Minus(quantities(t, "cpus:2;disk:1")).String():         "mem:512",
		q.Plus(quantities(t, "disk:1")).String():                 "cpus:1.5; disk:1; mem:512",
		LimitsOf(map[string]int64{"mem": 0, "cpus": 1}).String(): "cpus:0.001; mem:0",
		Counted(parse(t, "ports:[1-3,9-9];mem:1")).String():      "mem:1; ports:4",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	limits := LimitsOf(map[string]int64{"cpus": 1500})
	if !limits.Contain(q) || limits.Contain(quantities(t, "cpus:1.501")) || (Limits{}).Contain(nil) == false {
		t.Error("limits")
	}
	if q.Contains(quantities(t, "gpus:1")) || !q.Contains(nil) {
		t.Error("quantities")
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, Options{Weights: map[string]float64{"lim": 2}})
	w.quota("lim", "cpus:1", "cpus:3;mem:1000")
	w.agents(1)
	w.framework("f", "lim")
	w.decline(w.run().Offers[0], time.Minute)
	w.framework("g", "eng/a")
	w.run()
	got := map[string]float64{}
	w.Metrics(got)
	for name, want := range map[string]float64{
		"allocator/mesos/allocation_runs": 2, "allocator/mesos/resources/cpus/total": 4, "allocator/mesos/resources/cpus/offered_or_allocated": 3,
		"allocator/mesos/offer_filters/roles/lim/active": 1, "allocator/mesos/offer_filters/roles/eng/active": 0,
		"allocator/mesos/quota/roles/lim/resources/cpus/guarantee": 1, "allocator/mesos/quota/roles/lim/resources/cpus/limit": 3,
		"allocator/mesos/quota/roles/lim/resources/mem/offered_or_allocated": 0,
		"allocator/mesos/roles/lim/shares/dominant":                          0, "allocator/mesos/roles/eng/a/shares/dominant": 1,
	} {
		if have, ok := got[name]; !ok || have != want {
			t.Errorf("%s is %v, want %v", name, have, want)
		}
	}
}
