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
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

func TestFirstOffers(t *testing.T) {
	c := newCluster(t, Config{}, AgentConfig{
		Hostname: "node-1", Resources: "cpus:16;mem:32768;disk:100000;ports:[31000-32000];cpus(batch):2;mem(batch):1024;cpus{REV}:4",
		Attributes: map[string]string{"rack": "r1", "gen": "3", "range": "[1-5]"},
	})
	render := func(o *mesos.Offer) (out []string) {
		for _, r := range o.Resources {
			x := resource.FromProto(&r)
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
