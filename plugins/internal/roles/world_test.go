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
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	period = 10 * time.Second
	keep   = 10 * time.Minute
	own    = "k8s"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// call is one UPDATE_FRAMEWORK as the master saw it.
type call struct {
	at      time.Time
	change  Change
	refused bool
}

// world is a state machine under test and a master that knows nothing of it: a set
// of roles that it does not let us have, and the set that it accepted last.
type world struct {
	t   *testing.T
	s   *Subscriptions
	now time.Time
	// latency is how long the master takes to answer.
	latency time.Duration
	// lost is the number of answers that will be lost.
	lost int
	// vague is whether an answer was lost, so that the two may disagree.
	vague bool
	// bad are the roles that the master refuses; naming is whether it says which,
	// permanent whether we take its word for lasting.
	bad               map[string]bool
	naming, permanent bool

	connected bool
	set       []string
	calls     []call
	// pending is the call to be answered, at due.
	pending *Change
	due     time.Time
}

func newWorld(t *testing.T, bad ...string) *world {
	w := &world{
		t: t, now: start, latency: time.Millisecond, bad: map[string]bool{},
		s: NewSubscriptions(Options{Default: own, UpdatePeriod: period, KeepUnused: keep}),
	}
	for _, role := range bad {
		w.bad[role] = true
	}
	return w
}

// refusal is what the master says to a set of roles, "" if it accepts them.
func (w *world) refusal(set []string) string {
	var bad []string
	for _, role := range set {
		if w.bad[role] {
			bad = append(bad, role)
		}
	}
	switch {
	case len(bad) == 0:
		return ""
	case w.naming:
		return "'FrameworkInfo' is not valid: Roles { " + strings.Join(bad, ", ") + " } are not present in the master's --roles"
	}
	return "Not authorized to register the framework"
}

// connect subscribes until the master says yes; it returns the sets it was sent.
func (w *world) connect() (sent [][]string) {
	for range 4 {
		set := w.s.Initial()
		sent = append(sent, set)
		if text := w.refusal(set); text != "" {
			w.s.SubscribeRefused(text, w.now)
			continue
		}
		w.connected, w.set, w.vague = true, set, false
		w.s.Subscribed(set, w.now)
		break
	}
	w.turn()
	return sent
}

func (w *world) disconnect() {
	w.connected, w.pending = false, nil
	w.s.Disconnected()
}

// turn asks for the next change and sends it; it returns when to ask again.
func (w *world) turn() time.Time {
	change, again := w.s.Next(w.now)
	if change == nil {
		if !again.IsZero() && !again.After(w.now) {
			w.t.Fatalf("asked to come again at %v, which is not after %v", again, w.now)
		}
		return again
	}
	switch {
	case w.pending != nil:
		w.t.Fatal("two calls under way")
	case !w.connected:
		w.t.Fatal("a call without subscription")
	}
	w.check(change)
	w.pending, w.due = change, w.now.Add(w.latency)
	return time.Time{}
}

// check compares what a change says with what the master has.
func (w *world) check(change *Change) {
	w.t.Helper()
	if !slices.IsSorted(change.Roles) || len(slices.Compact(slices.Clone(change.Roles))) != len(change.Roles) {
		w.t.Fatalf("not a sorted set: %q", change.Roles)
	}
	if len(change.Added)+len(change.Removed) == 0 && !w.vague {
		w.t.Fatalf("a change of nothing: %q", change.Roles)
	}
	if !slices.Contains(change.Roles, own) {
		w.t.Fatalf("without the default role: %q", change.Roles)
	}
	if w.vague {
		return
	}
	want := slices.DeleteFunc(slices.Concat(w.set, change.Added), func(role string) bool { return slices.Contains(change.Removed, role) })
	slices.Sort(want)
	if !slices.Equal(change.Roles, want) || len(want) != len(w.set)+len(change.Added)-len(change.Removed) {
		w.t.Fatalf("from %q to %q by adding %q and removing %q", w.set, change.Roles, change.Added, change.Removed)
	}
}

// answer gives the master's answer to the pending call.
func (w *world) answer() {
	change := w.pending
	w.pending = nil
	text := w.refusal(change.Roles)
	w.calls = append(w.calls, call{at: w.now, change: *change, refused: text != ""})
	if text == "" {
		w.set = change.Roles
	}
	switch {
	case w.lost > 0:
		w.lost--
		w.vague = true
		w.s.Failed(w.now)
	case text != "":
		w.s.Refused(change.Roles, text, w.permanent, w.now)
	default:
		w.vague = false
		w.s.Accepted(change.Roles, w.now)
	}
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for range 1_000_000 {
		next := w.turn()
		if w.pending != nil {
			next = w.due
		}
		if next.IsZero() || next.After(end) {
			w.now = end
			return
		}
		w.now = next
		if w.pending != nil {
			w.answer()
		}
	}
	w.t.Fatal("no end of calls")
}

func (w *world) want(roles ...string) {
	for _, role := range roles {
		w.s.Want(role, w.now)
		w.turn()
	}
}

func (w *world) unwant(roles ...string) {
	for _, role := range roles {
		w.s.Unwant(role, w.now)
		w.turn()
	}
}

func (w *world) accepted() (n int) {
	for _, c := range w.calls {
		if !c.refused {
			n++
		}
	}
	return n
}

// expect compares the master's set (without the default) and the number of calls.
func (w *world) expect(when string, accepted, refused int, roles ...string) {
	w.t.Helper()
	got := slices.DeleteFunc(slices.Clone(w.set), func(role string) bool { return role == own })
	if !slices.Equal(got, roles) {
		w.t.Errorf("%s: subscribed to %q, want %q", when, got, roles)
	}
	if n := w.accepted(); n != accepted || len(w.calls)-n != refused {
		w.t.Errorf("%s: %d calls accepted and %d refused, want %d and %d", when, n, len(w.calls)-n, accepted, refused)
	}
}

func (w *world) expectState(role string, want State) {
	w.t.Helper()
	if got := w.s.State(role); got != want {
		w.t.Errorf("%s is %v, want %v", role, got, want)
	}
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return out
}
