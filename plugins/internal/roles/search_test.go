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

package roles

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOneBadRole(t *testing.T) {
	w := newWorld(t, "bad")
	w.connect()
	w.want("bad")
	w.run(time.Second)
	w.expect("alone", 0, 1)
	w.expectState("bad", Refused)
	if p := w.s.Problem("bad"); !strings.Contains(p, `"bad": Not authorized to register`) {
		t.Error(p)
	}
	w.want("good")
	w.run(Collect + w.latency)
	w.expect("does not hold up the next", 1, 1, "good")
	w.run(RetryFirst)
	w.expect("tried again", 1, 2, "good")
	w.unwant("bad")
	w.expectState("bad", Unsubscribed)
	w.run(3 * time.Hour)
	w.expect("nobody wants it", 1, 2, "good")
	if w.s.Problem("bad") != "" || len(w.s.refused) != 0 {
		t.Errorf("%q is remembered: %v", w.s.Problem("bad"), w.s.refused)
	}
}

func TestRetriesDouble(t *testing.T) {
	for _, permanent := range []bool{false, true} {
		w := newWorld(t, "bad")
		w.permanent = permanent
		w.connect()
		w.want("bad")
		w.run(7 * time.Hour)
		var gaps []time.Duration
		for i := 1; i < len(w.calls); i++ {
			gaps = append(gaps, w.calls[i].at.Sub(w.calls[i-1].at).Truncate(time.Second))
		}
		m := time.Minute
		want := []time.Duration{5 * m, 10 * m, 20 * m, 40 * m, 60 * m, 60 * m, 60 * m, 60 * m, 60 * m}
		if permanent {
			want = slices.Repeat([]time.Duration{60 * m}, 6)
		}
		if !slices.Equal(gaps, want) {
			t.Errorf("permanent %v: tried after %v, want %v", permanent, gaps, want)
		}
	}
}

func TestRetryAtOnce(t *testing.T) {
	w := newWorld(t, "bad")
	w.connect()
	w.want("bad")
	w.run(time.Hour)
	n := len(w.calls)
	w.s.Retry("bad")
	w.s.Retry("unknown")
	w.expectState("bad", Refused)
	w.run(time.Second)
	w.expect("still bad", 0, n+1)
	w.run(RetryFirst)
	w.expect("the time starts anew", 0, n+2)
	w.bad = nil
	w.s.Retry("bad")
	w.run(time.Second)
	w.expect("good now", 1, n+2, "bad")
	if p := w.s.Problem("bad"); p != "" {
		t.Error(p)
	}
}

// TestRetryWhileDisconnected: it is not forgotten.
func TestRetryWhileDisconnected(t *testing.T) {
	w := newWorld(t, "bad")
	w.connect()
	w.want("bad")
	w.run(time.Second)
	w.disconnect()
	w.s.Retry("bad")
	w.bad = nil
	w.connect()
	w.run(time.Second)
	w.expect("tried", 1, 1, "bad")
}

func TestNamedCulprits(t *testing.T) {
	w := newWorld(t, "b", "d")
	w.naming = true
	w.connect()
	w.want("a", "b", "c", "d", "e")
	w.run(Collect + 2*w.latency)
	w.expect("the master says which", 1, 1, "a", "c", "e")
	w.expectState("b", Refused)
	w.expectState("d", Refused)
	w.run(RetryFirst - time.Second)
	w.expect("quiet", 1, 1, "a", "c", "e")
}

func TestNamedIn(t *testing.T) {
	roles := []string{"a", "b,c", "x}y", "z"}
	for text, want := range map[string][]string{
		"Roles { a } are not present in the master's --roles":                   {"a"},
		"Supplied: Roles { a, b,c, a } are not present in the master's --roles": {"a", "b,c"},
		"Roles { other, x}y, z } are not present in the master's --roles":       {"x}y", "z"},
		"Roles { other } are not present in the master's --roles":               nil,
		"Suppressed roles { z } are not contained in the set of roles":          nil,
		"Roles { a":          nil,
		"":                   nil,
		"Not authorized: a":  nil,
		"Roles { a } are no": nil,
	} {
		if got := namedIn(text, roles); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestNothingIsAskedTwice: what follows from the answers so far costs no call.
func TestNothingIsAskedTwice(t *testing.T) {
	w := newWorld(t, "d")
	w.connect()
	w.want("a", "b", "c", "d")
	w.run(2 * period)
	// abcd refused, ab accepted, c accepted: so it is d.
	w.expect("the last", 2, 1, "a", "b", "c")
	w.expectState("d", Refused)

	w = newWorld(t, "a")
	w.connect()
	w.want("a", "b", "c", "d")
	w.run(time.Second)
	// abcd and ab refused, cd accepted.
	w.expect("the first", 1, 2, "c", "d")
	w.want("e")
	w.run(period)
	// e with a refused, e alone accepted: so it is a.
	w.expect("with a new one", 2, 3, "c", "d", "e")
	w.expectState("a", Refused)
	w.expectState("b", Pending)
	w.run(period)
	w.expect("the innocent one", 3, 3, "b", "c", "d", "e")
}

// TestRetriesComeLast: roles that were refused before do not come before those that
// may be innocent.
func TestRetriesComeLast(t *testing.T) {
	var s search
	for _, g := range []*group{{roles: []string{"a"}, retry: true}, {roles: []string{"b"}}, {roles: []string{"c"}, retry: true}, {roles: []string{"d"}}} {
		s.push(g)
	}
	var got []string
	for _, g := range s.groups {
		got = append(got, g.roles...)
	}
	if !slices.Equal(got, []string{"b", "d", "a", "c"}) {
		t.Errorf("%q", got)
	}
}

// TestOneCulpritAmongMany: while the master does not say which it is, each broadcast
// brings in half of the rest at least, and the number of refusals stays small.
func TestOneCulpritAmongMany(t *testing.T) {
	for _, n := range []int{2, 3, 4, 5, 8, 16, 31, 100, 1000} {
		halvings := bits.Len(uint(n - 1))
		all := names("ns", n)
		step := max(1, n/64)
		for i := 0; i < n; i += step {
			w := newWorld(t, all[i])
			w.connect()
			w.want(all...)
			w.run(Collect + time.Duration(2*halvings+2)*w.latency)
			if got := len(w.set) - 1; 2*got < n-1 {
				t.Errorf("culprit %d of %d: %d subscribed at once", i, n, got)
			}
			w.run(time.Duration(halvings) * (period + time.Second))
			if refused := len(w.calls) - w.accepted(); len(w.set) != n || w.accepted() > halvings+1 || refused > 2*halvings+1 {
				t.Errorf("culprit %d of %d: %d subscribed after %d accepted and %d refused calls", i, n, len(w.set)-1, w.accepted(), refused)
			}
			w.expectState(all[i], Refused)
		}
	}
}

// TestBadRolesDoNotHoldUpNewOnes: during a long search, a new good role waits for
// one period at most.
func TestBadRolesDoNotHoldUpNewOnes(t *testing.T) {
	old := names("old", 64)
	w := newWorld(t)
	for i := 0; i < 64; i += 4 {
		w.bad[old[i]] = true
	}
	w.connect()
	w.want(old...)
	w.run(time.Second)
	for _, role := range names("new", 40) {
		w.want(role)
		w.run(period + time.Second)
		w.expectState(role, Subscribed)
	}
	w.run(40 * period)
	if len(w.set) != 1+48+40 {
		t.Errorf("%d roles subscribed", len(w.set))
	}
}

// TestAllBad: nothing is broadcast, and every culprit is known at once.
func TestAllBad(t *testing.T) {
	all := names("ns", 100)
	w := newWorld(t, all...)
	w.connect()
	w.want(all...)
	w.run(time.Second)
	if w.accepted() != 0 || len(w.calls) > 400 {
		t.Errorf("%d calls, %d accepted", len(w.calls), w.accepted())
	}
	for _, role := range all {
		w.expectState(role, Refused)
	}
	// They are all good when they are tried again: one broadcast.
	w.bad = nil
	w.run(RetryFirst + time.Second)
	if w.accepted() != 1 || len(w.set) != 101 {
		t.Errorf("%d accepted calls for %d roles", w.accepted(), len(w.set))
	}
}

func TestUnwantedDuringTheSearch(t *testing.T) {
	all := names("ns", 8)
	for gone := range all {
		for after := range 6 {
			w := newWorld(t, all[0], all[5])
			w.connect()
			w.want(all...)
			w.run(Collect + time.Duration(after)*w.latency)
			w.unwant(all[gone])
			w.run(10 * period)
			for i, role := range all {
				switch state := w.s.State(role); {
				case i == gone && (state == Refused || state == Pending), i != gone && w.bad[role] && state != Refused,
					i != gone && !w.bad[role] && state != Subscribed:
					t.Errorf("%d gone after %d calls: %s is %v", gone, after, role, state)
				}
			}
			if len(w.s.search.groups) > 0 {
				t.Errorf("%d gone after %d calls: the search goes on", gone, after)
			}
		}
	}
}

func TestSubscribeRefused(t *testing.T) {
	t.Run("without names", func(t *testing.T) {
		w := newWorld(t, "b")
		w.want("a", "b", "c", "d")
		sent := w.connect()
		if len(sent) != 2 || len(sent[0]) != 5 || !slices.Equal(sent[1], []string{own}) {
			t.Fatalf("subscribed with %q", sent)
		}
		w.expectState("a", Pending)
		w.run(3 * period)
		w.expectState("b", Refused)
		if !slices.Equal(w.set, []string{"a", "c", "d", own}) {
			t.Errorf("subscribed to %q", w.set)
		}
	})
	t.Run("with names", func(t *testing.T) {
		w := newWorld(t, "b")
		w.naming = true
		w.want("a", "b", "c")
		if sent := w.connect(); len(sent) != 2 || !slices.Equal(sent[1], []string{"a", "c", own}) {
			t.Fatalf("subscribed with %q", sent)
		}
		w.expectState("b", Refused)
		w.disconnect()
		w.bad = nil
		if sent := w.connect(); !slices.Equal(sent[0], []string{"a", "c", own}) {
			t.Fatalf("subscribed with %q", sent)
		}
		w.run(RetryFirst + time.Second)
		w.expect("the new master has it", 1, 0, "a", "b", "c")
	})
	t.Run("lost while searching", func(t *testing.T) {
		w := newWorld(t, "b")
		w.want("a", "b", "c", "d")
		w.connect()
		w.run(w.latency)
		w.disconnect()
		w.want("e")
		if sent := w.connect(); len(sent) != 1 || !slices.Equal(sent[0], []string{"e", own}) {
			t.Fatalf("subscribed with %q", sent)
		}
		w.run(4 * period)
		if !slices.Equal(w.set, []string{"a", "c", "d", "e", own}) {
			t.Errorf("subscribed to %q", w.set)
		}
	})
	t.Run("for another reason", func(t *testing.T) {
		w := newWorld(t)
		w.want("a", "b")
		w.s.SubscribeRefused("out of order", w.now)
		w.connect()
		w.run(w.latency)
		w.expect("all at once", 1, 0, "a", "b")
	})
}

func TestDefaultRoleRefused(t *testing.T) {
	for _, naming := range []bool{false, true} {
		w := newWorld(t, own)
		w.naming = naming
		w.want("a")
		w.connect()
		w.expectState(own, Refused)
		for _, role := range []string{own, "a"} {
			if p := w.s.Problem(role); !strings.Contains(p, `even its default role "k8s" alone: `+w.refusal([]string{own})) {
				t.Errorf("naming %v: problem of %s: %q", naming, role, p)
			}
		}
		w.want("b")
		if initial := w.s.Initial(); !slices.Equal(initial, []string{own}) {
			t.Errorf("naming %v: next with %q", naming, initial)
		}
		w.bad = nil
		w.connect()
		w.run(time.Second)
		w.run(period)
		w.expectState("a", Subscribed)
		w.expectState("b", Subscribed)
		for _, role := range []string{own, "a"} {
			if p := w.s.Problem(role); p != "" {
				t.Error(p)
			}
		}
	}
}

// TestTextOfTheRightRefusal: a role is blamed with what the master said of it.
func TestTextOfTheRightRefusal(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.want("a", "b")
	w.run(Collect)
	w.s.Refused(w.pending.Roles, "first", false, w.now)
	w.pending = nil
	change, _ := w.s.Next(w.now)
	w.s.Refused(change.Roles, "second", false, w.now)
	if a, b := w.s.Problem("a"), w.s.Problem("b"); !strings.HasSuffix(a, "second") || b != "" {
		t.Errorf("a: %q, b: %q", a, b)
	}
	w.expectState("b", Pending)
}

// TestOrderOfMapsDoesNotMatter: the same events make the same calls.
func TestOrderOfMapsDoesNotMatter(t *testing.T) {
	run := func() (all []Change) {
		r := rand.New(rand.NewPCG(1, 2))
		roles := names("ns", 50)
		w := newWorld(t, roles[3], roles[17], roles[44])
		w.connect()
		for range 200 {
			w.want(roles[r.IntN(50)])
			w.unwant(roles[r.IntN(50)])
			w.run(time.Duration(r.IntN(60)) * time.Second)
		}
		for _, c := range w.calls {
			all = append(all, c.change)
		}
		return all
	}
	first := run()
	for range 3 {
		if again := run(); !slices.EqualFunc(first, again, func(a, b Change) bool {
			return slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Added, b.Added) && slices.Equal(a.Removed, b.Removed)
		}) {
			t.Fatal("other calls")
		}
	}
}
