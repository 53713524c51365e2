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

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// What makes a run due at once, what waits for the tick, and that an at-once run
// over one agent leaves the others alone.
func TestTriggers(t *testing.T) {
	w := newWorld(t, Options{})
	w.framework("f", "r")
	w.agents(2)
	offers := w.run().Offers
	if len(offers) != 2 {
		t.Fatalf("offers %v", brief(offers))
	}
	w.pass(1300 * time.Millisecond)
	if due, ok := w.Due(); ok {
		t.Fatalf("nothing has changed, due at %v", due)
	}
	waits := func(what string, do func()) {
		t.Helper()
		do()
		due, ok := w.Due()
		if want := w.begun.Add(w.at.Sub(w.begun).Truncate(time.Second) + time.Second); !ok || !due.Equal(want) {
			t.Fatalf("%s: due %v in %v", what, ok, due.Sub(w.at))
		}
		w.pass(time.Second)
	}
	atOnce := func(what string, do func()) {
		t.Helper()
		do()
		if due, ok := w.Due(); !ok || !due.Equal(w.at) {
			t.Fatalf("%s: due %v in %v", what, ok, due.Sub(w.at))
		}
		w.pass(time.Second)
	}
	waits("declined", func() { w.decline(offers[0], 0) })
	waits("weight", func() { w.SetWeight("r", 2) })
	waits("quota", func() { w.quota("q", "", "cpus:1") })
	waits("activity of an agent", func() { w.SetActive("a00", false) })
	waits("framework updated", func() { w.UpdateFramework(FrameworkInfo{ID: "f", Roles: []string{"r"}, Capabilities: capable()}) })
	waits("framework removed", func() { w.AddFramework(FrameworkInfo{ID: "g"}); w.RemoveFramework("g") })
	waits("total", func() { w.SetTotal("a00", parse(t, "cpus:9")) })
	atOnce("framework", func() { w.framework("h", "r") })
	atOnce("agent", func() { w.agent("b", "cpus:1") })
	atOnce("revived", func() { w.Revive("f", []string{"r"}) })
	atOnce("unavailability", func() { w.SetUnavailability("b", &mesos.Unavailability{}) })
	atOnce("agent changed", func() { w.UpdateAgent(AgentInfo{ID: "b", Hostname: "b", Total: parse(t, "cpus:2")}) })
	w.UpdateAgent(AgentInfo{ID: "b", Hostname: "b", Total: parse(t, "cpus:2")})
	if due, ok := w.Due(); ok {
		t.Fatalf("an agent that has not changed, due at %v", due)
	}
}

// A run over a new agent does not offer what was declined elsewhere.
func TestRunOverOneAgent(t *testing.T) {
	w := newWorld(t, Options{})
	w.framework("f", "r")
	w.agents(1)
	w.decline(w.run().Offers[0], 0)
	w.agent("new", "cpus:1")
	w.want("at once", w.run().Offers, "f/r@new cpus:1")
	w.want("at the tick", w.pass(time.Second), "f/r@a00 cpus:4; mem:4096")
}

// Ticks have a phase of their own, which can be moved.
func TestTicks(t *testing.T) {
	w := newWorld(t, Options{Interval: 250 * time.Millisecond})
	w.framework("f", "r")
	w.agents(1)
	offer := w.run().Offers[0]
	w.pass(370 * time.Millisecond)
	w.decline(offer, 0)
	if due, _ := w.Due(); due.Sub(w.at) != 130*time.Millisecond {
		t.Fatalf("in %v", due.Sub(w.at))
	}
	w.AlignTicks(w.at.Add(40 * time.Millisecond))
	if due, _ := w.Due(); due.Sub(w.at) != 40*time.Millisecond {
		t.Fatalf("in %v", due.Sub(w.at))
	}
	again := w.pass(40 * time.Millisecond)
	w.want("then", again, "f/r@a00 cpus:4; mem:4096")
	w.decline(again[0], 0)
	if due, _ := w.Due(); due.Sub(w.at) != 250*time.Millisecond {
		t.Fatalf("in %v", due.Sub(w.at))
	}
}

// How long a declined offer stays away, as recorded with ticks of 1 s and 250 ms,
// declined 0.37 s after a tick.
func TestRefusal(t *testing.T) {
	for _, tc := range []struct {
		interval, refusal, back time.Duration
	}{
		{time.Second, 0, 630 * time.Millisecond},
		{time.Second, 100 * time.Millisecond, 1630 * time.Millisecond},
		{time.Second, time.Second, 1630 * time.Millisecond},
		{time.Second, 2 * time.Second, 2630 * time.Millisecond},
		{time.Second, 2500 * time.Millisecond, 2630 * time.Millisecond},
		{time.Second, 5 * time.Second, 5630 * time.Millisecond},
		{250 * time.Millisecond, 0, 130 * time.Millisecond},
		{250 * time.Millisecond, 100 * time.Millisecond, 380 * time.Millisecond},
		{250 * time.Millisecond, time.Second, 1130 * time.Millisecond},
		{250 * time.Millisecond, 2500 * time.Millisecond, 2630 * time.Millisecond},
	} {
		w := newWorld(t, Options{Interval: tc.interval})
		w.framework("f", "r")
		w.agents(1)
		offer := w.run().Offers[0]
		w.pass(1370 * time.Millisecond)
		w.decline(offer, tc.refusal)
		w.want("early", w.pass(tc.back-time.Millisecond))
		if got := w.pass(time.Millisecond); len(got) != 1 {
			t.Errorf("interval %v, refused for %v: not back after %v", tc.interval, tc.refusal, tc.back)
		}
	}
}
