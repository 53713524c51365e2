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
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNothingToDo(t *testing.T) {
	w := newWorld(t)
	if change, again := w.s.Next(w.now); change != nil || !again.IsZero() {
		t.Errorf("before the subscription: %v, %v", change, again)
	}
	w.expectState(own, Pending)
	if sent := w.connect(); len(sent) != 1 || !slices.Equal(sent[0], []string{own}) {
		t.Errorf("subscribed with %q", sent)
	}
	w.run(24 * time.Hour)
	w.expect("idle", 0, 0)
	w.expectState(own, Subscribed)
	w.expectState("a", Unsubscribed)
}

func TestFirstChangeAtOnceFurtherOnesByPeriod(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.run(time.Hour)
	w.want("a")
	w.expectState("a", Pending)
	w.run(Collect / 2)
	w.want("b")
	w.run(Collect/2 + w.latency)
	w.expect("collected", 1, 0, "a", "b")
	w.expectState("a", Subscribed)
	w.want("c")
	w.run(period - time.Millisecond)
	w.want("d")
	w.expect("within the period", 1, 0, "a", "b")
	w.run(time.Millisecond + w.latency)
	w.expect("after the period", 2, 0, "a", "b", "c", "d")
	w.run(period)
	w.want("e")
	w.run(Collect + w.latency)
	w.expect("after a quiet time", 3, 0, "a", "b", "c", "d", "e")
}

func TestBurstOfThousandNamespaces(t *testing.T) {
	for _, spread := range []time.Duration{0, 10 * time.Microsecond, 100 * time.Microsecond, 9 * time.Millisecond} {
		w := newWorld(t)
		w.connect()
		all := names("ns", 1000)
		for _, role := range all {
			w.want(role)
			w.run(spread)
		}
		w.run(period + time.Second)
		if n := w.accepted(); n > 2 || len(w.set) != 1001 {
			t.Errorf("one each %v: %d calls for %d roles", spread, n, len(w.set))
		}
	}
}

func TestOneCallAtATime(t *testing.T) {
	w := newWorld(t)
	w.latency = 3 * period
	w.connect()
	w.want("a")
	w.run(period)
	w.want("b")
	w.run(2*period + Collect)
	w.expect("answered", 1, 0, "a")
	w.run(time.Hour)
	w.expect("both", 2, 0, "a", "b")
}

func TestRolesAreCounted(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.want("a", "a")
	w.run(period)
	w.unwant("a")
	w.run(2 * keep)
	w.expect("one user left", 1, 0, "a")
	w.unwant("a", "a", "never", own, own)
	w.run(keep - time.Millisecond)
	w.expect("kept", 1, 0, "a")
	w.expectState("a", Subscribed)
	w.run(time.Millisecond + w.latency)
	w.expect("unused", 2, 0)
	w.expectState("a", Unsubscribed)
	if len(w.s.entries) != 1 {
		t.Errorf("%d roles remembered", len(w.s.entries))
	}
}

func TestRemovals(t *testing.T) {
	t.Run("used again in time", func(t *testing.T) {
		w := newWorld(t)
		w.connect()
		w.want("a")
		w.run(time.Second)
		w.unwant("a")
		w.run(keep - time.Second)
		w.want("a")
		w.unwant("a")
		w.run(keep - time.Second)
		w.expect("kept", 1, 0, "a")
	})
	t.Run("ride along when due", func(t *testing.T) {
		w := newWorld(t)
		w.connect()
		w.want("a", "b")
		w.run(time.Second)
		w.unwant("a")
		w.run(time.Second)
		w.unwant("b")
		w.run(keep - time.Second - 10*time.Millisecond)
		w.want("c")
		w.run(Collect + w.latency)
		w.expect("a is due, b is not", 2, 0, "b", "c")
		w.run(time.Hour)
		w.expect("b alone", 3, 0, "c")
	})
	t.Run("not before they are due", func(t *testing.T) {
		w := newWorld(t)
		w.connect()
		w.want("a")
		w.run(period)
		w.unwant("a")
		w.run(keep / 2)
		w.want("b")
		w.run(period)
		w.expect("half way", 2, 0, "a", "b")
	})
	t.Run("many in one call", func(t *testing.T) {
		w := newWorld(t)
		w.connect()
		all := names("ns", 100)
		w.want(all...)
		w.run(time.Minute)
		for _, role := range all {
			w.unwant(role)
			w.run(10 * time.Millisecond)
		}
		w.run(time.Hour)
		w.expect("all gone", 3, 0)
	})
	t.Run("a refused one is tried again later", func(t *testing.T) {
		w := newWorld(t)
		w.connect()
		w.want("a", "b")
		w.run(time.Minute)
		w.unwant("a")
		w.bad["b"] = true
		w.run(keep + w.latency)
		w.expect("refused", 1, 1, "a", "b")
		w.expectState("b", Subscribed)
		w.bad["b"] = false
		w.run(RetryFirst - time.Second)
		w.expect("waits", 1, 1, "a", "b")
		w.run(2 * time.Second)
		w.expect("done", 2, 1, "b")
	})
	t.Run("wanted again while the removal is under way", func(t *testing.T) {
		w := newWorld(t)
		w.connect()
		w.want("a")
		w.run(time.Minute)
		w.unwant("a")
		w.latency = time.Second
		w.run(keep + time.Millisecond)
		w.want("a")
		w.expectState("a", Subscribed)
		w.run(time.Second)
		w.expectState("a", Pending)
		w.run(period + Collect + time.Second)
		w.expect("back", 3, 0, "a")
	})
}

func TestUnwantedBeforeItWasAdded(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.want("a")
	w.unwant("a")
	w.run(time.Hour)
	w.expect("never", 0, 0)
	w.want("b")
	w.latency = time.Second
	w.run(Collect + time.Millisecond)
	w.unwant("b")
	w.expectState("b", Unsubscribed)
	w.run(time.Second)
	w.expect("it was under way", 1, 0, "b")
	w.run(keep + time.Minute)
	w.expect("removed", 2, 0)
}

func TestUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.want("a")
	w.lost = 2
	w.run(period - time.Second)
	w.expect("lost", 1, 0, "a")
	w.expectState("a", Pending)
	w.run(time.Hour)
	w.expect("the third came through", 3, 0, "a")
	w.expectState("a", Subscribed)
	for i := 1; i < len(w.calls); i++ {
		if gap := w.calls[i].at.Sub(w.calls[i-1].at); gap < period {
			t.Errorf("%v between calls that may all have been accepted", gap)
		}
	}
	w.s.Failed(w.now)
	w.want("b")
	w.run(Collect + w.latency)
	w.expectState("b", Subscribed)
}

func TestStaleAnswers(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.s.Accepted([]string{own, "x"}, w.now)
	w.s.Refused([]string{own, "x"}, "no", false, w.now)
	w.want("a")
	w.run(Collect)
	change := w.pending
	w.disconnect()
	w.connect()
	w.s.Refused(change.Roles, "no", false, w.now)
	w.s.Accepted(change.Roles, w.now)
	w.expectState("x", Unsubscribed)
	w.expectState("a", Subscribed)
	if p := w.s.Problem("a"); p != "" {
		t.Error(p)
	}
	w.want("b")
	w.run(Collect)
	// An answer to another change than the one under way.
	w.s.Refused([]string{own, "a"}, "no", false, w.now)
	w.expectState("b", Pending)
	w.run(w.latency)
	w.expectState("b", Subscribed)
}

func TestReconnect(t *testing.T) {
	w := newWorld(t)
	w.want("b", "a", "z")
	w.unwant("z")
	if sent := w.connect(); len(sent) != 1 || !slices.Equal(sent[0], []string{"a", "b", own}) {
		t.Fatalf("subscribed with %q", sent)
	}
	w.expectState("a", Subscribed)
	w.want("c")
	w.run(Collect / 2)
	w.disconnect()
	w.expectState("a", Pending)
	w.want("d")
	w.unwant("b")
	w.run(time.Minute)
	if sent := w.connect(); !slices.Equal(sent[0], []string{"a", "c", "d", own}) {
		t.Fatalf("subscribed with %q", sent)
	}
	w.run(time.Hour)
	w.expect("no call was needed", 0, 0, "a", "c", "d")
}

// TestSubscribedWithOthers: what was wanted after Initial was asked is added, what
// nobody wants any more is removed in its time.
func TestSubscribedWithOthers(t *testing.T) {
	w := newWorld(t)
	w.connected, w.set = true, []string{"old", "a"}
	w.want("a", "b")
	w.s.Subscribed(w.set, w.now)
	w.run(Collect + w.latency)
	w.expect("the default and b added", 1, 0, "a", "b", "old")
	w.expectState(own, Subscribed)
	w.run(keep)
	w.expect("old removed", 2, 0, "a", "b")
}

func TestStateStrings(t *testing.T) {
	var all []string
	for s := Unsubscribed; s <= Refused+1; s++ {
		all = append(all, s.String())
	}
	if got := strings.Join(all, " "); got != "Unsubscribed Pending Subscribed Refused Unknown" {
		t.Error(got)
	}
}

// A change whose answer is lost may have been made. Even if nothing is to be changed
// any more by then, the master is told the set again.
func TestLostAnswerIsMadeGood(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.want("a", "b")
	w.run(period)
	w.expect("at first", 1, 0, "a", "b")
	w.unwant("b")
	w.lost = 1
	w.run(keep + period/2)
	w.expect("after the lost answer", 2, 0, "a")
	w.want("b")
	w.run(2 * period)
	w.expect("in the end", 3, 0, "a", "b")
	w.expectState("b", Subscribed)
	w.run(10 * period)
	w.expect("much later", 3, 0, "a", "b")
}
