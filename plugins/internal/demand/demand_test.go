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

package demand

import (
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

var (
	start   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	testCfg = Config{MaxHold: 10 * time.Second, RefuseUnused: 5 * time.Minute, RefuseForeign: time.Hour, IdleGrace: 3 * time.Second}
)

// amount is a vector of milli-cpus and milli-MiB.
func amount(cpu, mem int64) resources.Vector {
	return resources.Vector{resources.CPU: cpu, resources.Memory: mem}
}

// step is one event of a policy scenario and what Next answers after it.
type step struct {
	after time.Duration
	do    func(*Demand, time.Time)
	want  Action
	// again is when Next wants to be asked again, from now; 0: not by time.
	again time.Duration
}

func add(uid string, cpu int64) func(*Demand, time.Time) {
	return func(d *Demand, _ time.Time) { d.Add(uid, Ask{Need: amount(cpu, cpu)}) }
}

// hungry is add of a pod that finds no offer and sleeps.
func hungry(uid string, cpu int64) func(*Demand, time.Time) {
	return func(d *Demand, now time.Time) {
		add(uid, cpu)(d, now)
		d.Park(uid)
	}
}

// offered is an OFFERS event.
func offered(fitting bool) func(*Demand, time.Time) {
	return func(d *Demand, now time.Time) { d.Offered(fitting, now) }
}

func park(uid string) func(*Demand, time.Time) {
	return func(d *Demand, _ time.Time) { d.Park(uid) }
}

// rest is an ACCEPT that landed and left so much over.
func rest(cpu int64) func(*Demand, time.Time) {
	return func(d *Demand, now time.Time) { d.Remainder(amount(cpu, cpu), now) }
}

func remove(uid string) func(*Demand, time.Time) {
	return func(d *Demand, now time.Time) { d.Remove(uid, now) }
}

func subscribed(suppressed bool) func(*Demand, time.Time) {
	return func(d *Demand, _ time.Time) { d.Subscribed(suppressed) }
}

func failed(a Action) func(*Demand, time.Time) {
	return func(d *Demand, _ time.Time) { d.Failed(a) }
}

func disconnected(d *Demand, _ time.Time) { d.Disconnected() }
func nothing(*Demand, time.Time)          {}

// offer shows one agent's offer to Judge, held for a while.
func offer(cpu int64, heldFor time.Duration) func(*Demand, time.Time) {
	return func(d *Demand, now time.Time) {
		judge(d, offers.Held{Node: "n", AgentFree: amount(cpu, cpu), AgentAll: amount(cpu, cpu), Since: now.Add(-heldFor)}, now)
	}
}

// judge looks at one offer in a round of its own.
func judge(d *Demand, h offers.Held, now time.Time) Reason { return d.Round(now, 0).Judge(h) }

func TestNext(t *testing.T) {
	s, ms := time.Second, time.Millisecond
	// first is a pod that came while the role was suppressed; its REVIVE was answered.
	first := func(cpu int64, steps ...step) []step {
		return append([]step{{0, subscribed(true), None, 0}, {0, add("a", cpu), Revive, 0}, {50 * ms, offered(true), None, 0}}, steps...)
	}
	tests := map[string][]step{
		"nothing without a subscription": {
			{0, add("a", 1), None, 0},
			{s, subscribed(true), Revive, 0},
			{s, disconnected, None, 0},
			{s, add("b", 2), None, 0},
			{s, remove("a"), None, 0},
			{s, remove("b"), None, 0},
			{10 * s, nothing, None, 0},
		},
		"suppressed and idle stays so": {
			{0, subscribed(true), None, 0},
			{time.Hour, nothing, None, 0},
		},
		"an idle role is suppressed after the grace, once": {
			{0, subscribed(false), None, 3 * s},
			{2 * s, nothing, None, s},
			{s, nothing, Suppress, 0},
			{s, nothing, None, 0},
		},
		"the first pod revives at once, the last one suppresses late": first(1,
			step{s, remove("a"), None, 3 * s},
			step{3 * s, nothing, Suppress, 0},
			step{0, add("b", 1), Revive, 0},
		),
		"a subscription with pods revives, because filters may live on": {
			{0, add("a", 1), None, 0},
			{0, subscribed(false), Revive, 0},
			{0, offered(true), None, 0},
			{s, disconnected, None, 0},
			{s, subscribed(false), Revive, 0},
		},
		"another shape needs no REVIVE if nothing was declined": first(1,
			step{5 * s, hungry("b", 2), None, 0},
			step{5 * s, offer(4, 0), None, 0},
		),
		"a decline after the shape came needs no REVIVE": first(4,
			step{5 * s, hungry("b", 5), None, 0},
			step{5 * s, offer(2, 0), None, 0},
			step{5 * s, nothing, None, 0},
		),
		"a new shape that fits what was declined revives once it finds nothing": first(4,
			step{5 * s, offer(2, 0), None, 0},
			step{s, add("b", 2), None, 0},
			step{0, park("b"), Revive, 0},
			step{0, offered(true), None, 0},
			step{s, hungry("c", 1), None, 0},
		),
		"the largest of what was declined counts": first(9,
			step{5 * s, offer(4, 0), None, 0},
			step{0, offer(2, 0), None, 0},
			step{s, hungry("b", 4), Revive, 0},
		),
		"a new shape that does not fit what was declined waits": first(4,
			step{5 * s, offer(2, 0), None, 0},
			step{s, hungry("b", 3), None, 0},
		),
		"an old shape does not revive what was too small": first(4,
			step{5 * s, offer(2, 0), None, 0},
			step{s, hungry("b", 4), None, 0},
		),
		"a shape that changes is a new one": first(4,
			step{5 * s, offer(2, 0), None, 0},
			step{s, hungry("a", 2), Revive, 0},
		),
		"an offer nobody used is wanted by the next pod of any shape": first(4,
			step{s, park("a"), None, 0},
			step{15 * s, offer(8, 10*s), None, 0},
			step{s, func(d *Demand, _ time.Time) { d.Unpark("a"); d.Park("a") }, None, 0}, // it did not use it
			step{s, hungry("b", 4), Revive, 0},
			step{0, offered(true), None, 0},
			step{s, hungry("c", 4), None, 0},
		),
		"a decline in the instant of a REVIVE is not forgotten": {
			{0, subscribed(true), None, 0},
			{0, add("a", 4), Revive, 0},
			{0, offer(2, 0), None, 2*s + 100*ms},
			{2 * s, hungry("b", 1), Revive, 0},
		},
		"declined while idle, wanted before it was suppressed": first(4,
			step{s, remove("a"), None, 3 * s},
			step{0, func(d *Demand, now time.Time) {
				offer(4, 0)(d, now.Add(3*time.Second))
				hungry("b", 4)(d, now)
			}, Revive, 0},
		),
		"the last ACCEPT refused the rest, the next pod wants it": first(4,
			step{s, func(d *Demand, _ time.Time) { d.RefuseRest(1) }, None, 0},
			step{s, hungry("b", 4), Revive, 0},
			step{0, offered(true), None, 0},
			step{s, hungry("c", 4), None, 0},
		),
		"no pod was left, the next one wants what was refused": first(4,
			step{s, remove("a"), None, 3 * s},
			step{s, hungry("b", 4), Revive, 0},
		),
		"a failed REVIVE is repeated after a moment": {
			{0, subscribed(true), None, 0},
			{0, add("a", 4), Revive, 0},
			{0, failed(Revive), None, s},
			{s, nothing, Revive, 0},
			{0, nothing, None, 2*s + 100*ms},
			{2 * s, failed(Revive), Revive, 0},
		},
		"a failed SUPPRESS is repeated after a moment": {
			{0, subscribed(false), None, 3 * s},
			{3 * s, nothing, Suppress, 0},
			{0, failed(Suppress), None, s},
			{s / 2, nothing, None, s / 2},
			{s / 2, nothing, Suppress, 0},
		},
		"a failure of an earlier subscription changes nothing without one": {
			{0, subscribed(true), None, 0},
			{0, add("a", 4), Revive, 0},
			{0, disconnected, None, 0},
			{0, failed(Revive), None, 0},
			{0, subscribed(true), Revive, 0},
		},
		"a REVIVE without OFFERS is repeated once, whoever waits": {
			{0, subscribed(true), None, 0},
			{0, add("a", 4), Revive, 0},
			{2 * s, nothing, None, 100 * ms},
			{100 * ms, nothing, Revive, 0},
			{time.Hour, nothing, None, 0},
		},
		"and more and more rarely while pods sleep": {
			{0, subscribed(true), None, 0},
			{0, hungry("a", 4), Revive, 0},
			{2100 * ms, nothing, Revive, 0},
			{0, nothing, None, 4200 * ms},
			{4200 * ms, nothing, Revive, 0},
			{8400 * ms, nothing, Revive, 0},
			{16800 * ms, nothing, Revive, 0},
			{33600 * ms, nothing, Revive, 0},
			{0, nothing, None, 60 * s},
			{60 * s, nothing, Revive, 0},
			{0, nothing, None, 60 * s},
			{s, offered(true), None, 0},
			{time.Hour, nothing, None, 0},
		},
		"offers that do not fit are no reason to repeat but for sleepers": {
			{0, subscribed(true), None, 0},
			{0, add("a", 4), Revive, 0},
			{50 * ms, offered(false), None, 0},
			{s, park("a"), None, 1050 * ms},
			{1050 * ms, nothing, Revive, 0},
		},
		"no pod sleeps: no REVIVE for a rest": first(4,
			step{s, rest(8), None, 0},
		),
		"a rest that fits nobody is not called back": first(4,
			step{s, park("a"), None, 0},
			step{0, rest(3), None, 0},
		),
		"a rest that fits a sleeper is called back at once": first(4,
			step{s, park("a"), None, 0},
			step{0, rest(4), Revive, 0},
			step{0, offered(true), None, 0},
			step{0, nothing, None, 0},
		),
		"a rest that fits who falls asleep later": first(4,
			step{s, rest(4), None, 0},
			step{0, park("a"), Revive, 0},
		),
		"a rest that was offered since is not called back": first(4,
			step{s, rest(4), None, 0},
			step{s, offered(true), None, 0},
			step{0, park("a"), None, 0},
		),
		"a rest that may not be among what was offered is": first(4,
			step{s, rest(4), None, 0},
			step{ms, offered(true), None, 0},
			step{0, park("a"), Revive, 0},
		),
		"reservations that wait for a rest call it back": first(4,
			step{s, func(d *Demand, _ time.Time) { d.Awaiting(1) }, None, 0},
			step{0, rest(1), Revive, 0},
		),
		"also those that come after it": first(4,
			step{s, rest(1), None, 0},
			step{0, func(d *Demand, _ time.Time) { d.Awaiting(1) }, Revive, 0},
		),
		"Reopen revives if pods wait": first(4,
			step{s, func(d *Demand, _ time.Time) { d.Reopen() }, Revive, 0},
			step{s, remove("a"), None, 3 * s},
			step{0, func(d *Demand, _ time.Time) { d.Reopen() }, None, 3 * s},
		),
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) { play(t, testCfg, steps) })
	}
}

func play(t *testing.T, cfg Config, steps []step) {
	now := start
	d := New(cfg, now)
	for i, s := range steps {
		now = now.Add(s.after)
		s.do(d, now)
		got, at := d.Next(now)
		if got != s.want {
			t.Fatalf("step %d: Next is %q, want %q", i, got, s.want)
		}
		var again time.Duration
		if !at.IsZero() {
			again = at.Sub(now)
		}
		if again != s.again && got == None {
			t.Fatalf("step %d: Next wants to be asked again in %v, want %v", i, again, s.again)
		}
	}
}

func TestAskedFollowsTheCalls(t *testing.T) {
	d := New(testCfg, start)
	want := func(a Asked) {
		t.Helper()
		if d.Asked() != a {
			t.Fatalf("asked is %s, want %s", d.Asked(), a)
		}
	}
	want(Unknown)
	d.Subscribed(true)
	want(Suppressed)
	d.Add("a", Ask{Need: amount(1, 1)})
	d.Next(start)
	want(Offering)
	d.Failed(Revive)
	want(Unknown)
	d.Subscribed(false)
	want(Offering)
	d.Disconnected()
	want(Unknown)
}

func TestJudge(t *testing.T) {
	held := func(node string, cpu int64, since time.Time) offers.Held {
		return offers.Held{Node: node, AgentFree: amount(cpu, 100), AgentAll: amount(cpu, 100), Since: since}
	}
	busy := func(d *Demand) { d.Add("a", Ask{Need: amount(4, 4)}); d.Add("b", Ask{Need: amount(2, 200)}) }
	tests := []struct {
		name  string
		setup func(*Demand)
		held  offers.Held
		after time.Duration
		want  Reason
	}{
		{"no node", busy, held("", 9, start), 0, Foreign},
		{"no node and idle", func(*Demand) {}, held("", 9, start), 0, Foreign},
		{"idle within the grace", func(*Demand) {}, held("n", 9, start), 3*time.Second - 1, ""},
		{"idle after the grace", func(*Demand) {}, held("n", 9, start), 3 * time.Second, Idle},
		{"fits one shape", busy, held("n", 4, start), 0, ""},
		{"fits no shape", busy, held("n", 3, start), 0, TooSmall},
		{"held almost too long", busy, held("n", 4, start), 8*time.Second - 1, ""},
		{"held too long", busy, held("n", 4, start), 10 * time.Second, Expired},
		{"too small and held too long", busy, held("n", 3, start), 10 * time.Second, TooSmall},
		{"parked pods count", func(d *Demand) { busy(d); d.Park("a") }, held("n", 4, start), 0, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := New(testCfg, start)
			tc.setup(d)
			if got := judge(d, tc.held, start.Add(tc.after)); got != tc.want {
				t.Errorf("judged %q, want %q", got, tc.want)
			}
		})
	}
	d := New(testCfg, start)
	for _, r := range Reasons {
		want := testCfg.RefuseUnused
		switch r {
		case Foreign:
			want = testCfg.RefuseForeign
		case Surplus:
			want = 30 * time.Second
		}
		if got := d.Refuse(r); got != want {
			t.Errorf("%s is refused for %v, want %v", r, got, want)
		}
	}
}
