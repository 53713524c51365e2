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
	"slices"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

const revocableCapability = mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES

// declined sets up a framework that has declined an agent for an hour.
func declined(t *testing.T) *world {
	w := newWorld(t, Options{})
	w.framework("f", "r,s")
	w.Suppress("f", []string{"s"})
	w.agent("a", "cpus:4;mem:64")
	w.decline(w.run().Offers[0], time.Hour)
	w.want("declined", w.pass(10*time.Second))
	if w.FiltersOf("f") != 1 || w.Filters("r") != 1 {
		t.Fatalf("%d filters", w.FiltersOf("f"))
	}
	return w
}

// What ends a filter before its time, and what does not.
func TestEndsOfFilters(t *testing.T) {
	whole := []string{"f/r@a cpus:4; mem:64"}
	info := func(roles, suppressed []string) FrameworkInfo {
		return FrameworkInfo{ID: "f", Roles: roles, Suppressed: suppressed, Capabilities: capable()}
	}
	both := []string{"r", "s"}
	for _, tc := range []struct {
		name string
		do   func(w *world)
		want []string
	}{
		{"revive", func(w *world) { w.Revive("f", []string{"r"}) }, whole},
		{"revive of another role", func(w *world) { w.Revive("f", []string{"s"}); w.Suppress("f", []string{"s"}) }, nil},
		{"suppress and revive", func(w *world) { w.Suppress("f", []string{"r"}); w.Revive("f", []string{"r"}) }, whole},
		{"update", func(w *world) { w.UpdateFramework(info(both, []string{"s"})) }, nil},
		{"role left and entered", func(w *world) {
			w.UpdateFramework(info([]string{"s"}, []string{"s"}))
			w.UpdateFramework(info(both, []string{"s"}))
		}, whole},
		{"suppressed and not any more", func(w *world) {
			w.UpdateFramework(info(both, both))
			w.UpdateFramework(info(both, []string{"s"}))
		}, whole},
		{"deactivated", func(w *world) { w.Deactivate("f"); w.Activate("f") }, whole},
		{"agent as it was", func(w *world) { w.UpdateAgent(AgentInfo{ID: "a", Hostname: "a", Total: parse(t, "cpus:4;mem:64")}) }, nil},
		{"agent with other attributes", func(w *world) {
			w.UpdateAgent(AgentInfo{ID: "a", Hostname: "a", Total: parse(t, "cpus:4;mem:64"), Attributes: []mesos.Attribute{{Name: "rack"}}})
		}, whole},
		{"agent away and back", func(w *world) { w.RemoveAgent("a"); w.agent("a", "cpus:4;mem:64") }, whole},
		{"more than was declined", func(w *world) { w.SetTotal("a", parse(t, "cpus:5;mem:64")) }, []string{"f/r@a cpus:5; mem:64"}},
		{"less than was declined", func(w *world) { w.SetTotal("a", parse(t, "cpus:3;mem:64")) }, nil},
		{"something else", func(w *world) { w.SetTotal("a", parse(t, "cpus:1;ports:[1-2]")) }, []string{"f/r@a cpus:1; ports:[1-2]"}},
		{"an hour", func(w *world) { w.want("before", w.pass(time.Hour-11*time.Second)) }, whole},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := declined(t)
			tc.do(w)
			w.want("offers", w.pass(2*time.Second), tc.want...)
		})
	}
}

// A filter is of one role: the agent goes to another of the framework's, and to
// other frameworks.
func TestFilterOfOneRole(t *testing.T) {
	w := declined(t)
	w.framework("g", "r")
	w.want("another framework", w.run().Offers, "g/r@a cpus:4; mem:64")
	w.RemoveFramework("g")
	w.Revive("f", []string{"s"})
	w.want("another role", w.run().Offers, "f/s@a cpus:4; mem:64")
}

// The refusal of a removed role, or of no time, leaves no filter; those of a
// removed framework go.
func TestNoFilter(t *testing.T) {
	w := newWorld(t, Options{})
	w.framework("f", "r")
	w.agents(3)
	offers := w.run().Offers
	w.decline(offers[0], 0)
	w.decline(offers[1], time.Hour)
	w.UpdateFramework(FrameworkInfo{ID: "f", Roles: []string{"s"}, Capabilities: capable()})
	w.decline(offers[2], time.Hour)
	if w.FiltersOf("f") != 0 || len(w.expiries) != 0 {
		t.Fatalf("%d filters, %d to expire", w.FiltersOf("f"), len(w.expiries))
	}
	if w.tree.roles["r"] != nil {
		t.Fatal("a role without frameworks and resources is forgotten")
	}
	for _, o := range w.pass(time.Second) {
		w.decline(o, time.Hour)
	}
	if len(w.expiries) != 3 {
		t.Fatalf("%d to expire", len(w.expiries))
	}
	w.RemoveFramework("f")
	if len(w.expiries) != 0 || len(w.tree.roles) != 0 {
		t.Fatalf("%d to expire, roles %v", len(w.expiries), w.tree.roles)
	}
}

// wantAsked compares the inverse offers of a run, as "framework@agent".
func wantAsked(t *testing.T, what string, r Result, want []string) {
	t.Helper()
	var got []string
	for _, i := range r.Inverse {
		if i.Unavailability.Start.Nanoseconds != 7 {
			t.Fatalf("%s: %v", what, i)
		}
		got = append(got, i.Framework+"@"+i.Agent)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// Inverse offers go to the active frameworks that hold or are offered something,
// once, until they are answered; then again after the refusal.
func TestInverseOffers(t *testing.T) {
	w := newWorld(t, Options{})
	w.agents(2)
	w.framework("f", "r")
	w.framework("idle", "r")
	w.framework("suppressed", "r")
	w.Suppress("idle", []string{"r"})
	offers := w.run().Offers
	w.decline(offers[0], 0)
	w.Allocate("suppressed", "a00", parse(t, "cpus:1").WithAlloc("r"))
	w.Suppress("suppressed", []string{"r"})
	w.Suppress("f", []string{"r"})
	w.pass(time.Second)

	u := &mesos.Unavailability{Start: mesos.TimeInfo{Nanoseconds: 7}}
	w.SetUnavailability("a00", u)
	one := func(what string, r Result, want ...string) {
		t.Helper()
		wantAsked(t, what, r, want)
	}
	one("scheduled", w.run(), "suppressed@a00")
	w.Revive("f", []string{"r"})
	one("a new offer comes with an inverse one", w.run(), "f@a00")
	w.Revive("f", []string{"r"})
	one("outstanding", w.run())
	w.AnswerInverse("a00", "suppressed", &InverseOfferStatus{Framework: "suppressed", Accepted: true, At: w.at}, 5*time.Second)
	if got := w.InverseAnswers("a00"); len(got) != 1 || !got[0].Accepted {
		t.Fatalf("got %v", got)
	}
	w.Revive("f", []string{"r"})
	one("answered and refused", w.run())
	w.at = w.at.Add(5100 * time.Millisecond)
	due, _ := w.Due()
	w.at = due
	one("after the refusal, at the tick", w.run(), "suppressed@a00")
	w.AnswerInverse("a00", "suppressed", nil, time.Hour)
	w.Revive("suppressed", []string{"r"})
	one("revive clears it", w.run(), "suppressed@a00")
	w.Deactivate("suppressed")
	w.SetUnavailability("a00", u)
	one("posted again: all are asked again, but not the inactive", w.run(), "f@a00")
	if got := w.InverseAnswers("a00"); len(got) != 0 {
		t.Fatalf("answers are void: %v", got)
	}
	w.SetUnavailability("a00", nil)
	one("no more", w.run())
	w.AnswerInverse("a00", "f", &InverseOfferStatus{Framework: "f"}, time.Hour) // too late
	if len(w.InverseAnswers("a00")) != 0 || len(w.expiries) != 0 {
		t.Fatal("an answer about no maintenance counts for nothing")
	}
}

// Conversions keep the books: of what is held, and of what is free.
func TestConvert(t *testing.T) {
	w := newWorld(t, Options{})
	w.agent("a", "cpus:4;mem:64")
	w.framework("f", "r")
	offer := w.run().Offers[0]
	two := parse(t, "cpus:2").WithAlloc("r")
	mine := reserved(t, "cpus:2", "r")
	if err := w.Convert("f", "a", two, mine.WithAlloc("r")); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	w.Recover("f", "a", offer.Resources.Sub(two).Add(mine.WithAlloc("r")), time.Hour)
	w.Suppress("f", []string{"r"})
	w.framework("g", "other")
	w.want("the rest is for others", w.run().Offers, "g/other@a cpus:2; mem:64")
	if err := w.ConvertFree("a", parse(t, "cpus:1"), reserved(t, "cpus:1", "other")); err == nil {
		t.Fatal("cpus that are offered are not free")
	}
	if err := w.ConvertFree("a", reserved(t, "cpus:1", "r"), reserved(t, "cpus:1", "r", "r/s")); err != nil {
		t.Fatal(err)
	}
	if err := w.Convert("f", "a", two, mine.WithAlloc("r")); err == nil {
		t.Fatal("f holds nothing")
	}
	w.framework("s", "r/s")
	w.want("refined", w.run().Offers, "s/r/s@a cpus(reservations: [(DYNAMIC,r),(DYNAMIC,r/s)]):1; cpus(reservations: [(DYNAMIC,r)]):1")
	if got := w.Held("a"); got.Scalar("cpus") != 4000 {
		t.Fatalf("held are %v", got)
	}
	if got := w.HeldBy("g", "a"); got.Scalar("cpus") != 2000 || got[0].Alloc != "other" {
		t.Fatalf("g holds %v", got)
	}
}
