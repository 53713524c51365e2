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
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestBucket(t *testing.T) {
	for _, tc := range []struct{ run, every time.Duration }{
		{0, 200 * time.Millisecond}, {10 * time.Millisecond, 200 * time.Millisecond},
		{50 * time.Millisecond, time.Second}, {2 * time.Second, 40 * time.Second},
	} {
		b := bucket{least: reviveEvery, tokens: bucketBurst, at: start}
		now := start
		for range bucketBurst {
			b.fill(now, tc.run)
			if at := b.ready(now, tc.run); !at.Equal(now) {
				t.Fatalf("run %v: a full bucket is ready at %v", tc.run, at.Sub(now))
			}
			b.take()
		}
		for range 5 {
			b.fill(now, tc.run)
			at := b.ready(now, tc.run)
			if got := at.Sub(now); (got - tc.every).Abs() > time.Microsecond {
				t.Fatalf("run %v: a token comes after %v, want %v", tc.run, got, tc.every)
			}
			now = at
			b.fill(now, tc.run)
			if at := b.ready(now, tc.run); !at.Equal(now) {
				t.Fatalf("run %v: no token when there should be, but in %v", tc.run, at.Sub(now))
			}
			b.take()
		}
		b.fill(now.Add(time.Hour), tc.run)
		if b.tokens != bucketBurst {
			t.Errorf("run %v: %v tokens after an hour", tc.run, b.tokens)
		}
	}
}

// TestReviveAtCost: what the allocator's time costs bounds how often it is asked for.
func TestReviveAtCost(t *testing.T) {
	for _, run := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, time.Second} {
		d := New(testCfg, start)
		d.Subscribed(true)
		now, revives := start, 0
		d.Add("p", Ask{Need: amount(1, 1)})
		d.Park("p")
		const span = 20 * time.Minute
		for now.Before(start.Add(span)) {
			d.Remainder(amount(1, 1), now)
			action, at := d.Next(now)
			if action == Revive {
				revives++
				now = now.Add(run)
				if took, ok := d.Offered(true, now); !ok || took != run {
					t.Fatalf("the REVIVE was answered after %v, %t", took, ok)
				}
				if _, ok := d.Offered(true, now); ok {
					t.Fatal("a REVIVE is answered twice")
				}
				continue
			}
			if !at.After(now) {
				t.Fatalf("nothing due, and again at %v", at.Sub(now))
			}
			now = at
		}
		// Before the run time was measured it may be more.
		most, least := int(span/(&bucket{least: reviveEvery}).every(run))+40, int(span/(&bucket{least: reviveEvery}).every(run))*8/10
		if revives > most || revives < least {
			t.Errorf("run time %v: %d REVIVEs, want %d to %d", run, revives, least, most)
		}
		if share := float64(revives) * float64(run) / float64(span); share > 0.08 {
			t.Errorf("run time %v: %.1f %% of the allocator's time", run, 100*share)
		}
	}
}

func TestRunTime(t *testing.T) {
	d := New(testCfg, start)
	d.Subscribed(true)
	d.Add("p", Ask{Need: amount(1, 1)})
	answer := func(after time.Duration) time.Duration {
		d.Disconnected()
		d.Subscribed(true)
		d.Next(start)
		d.Offered(false, start.Add(after))
		return d.revives.run.mean
	}
	if got := answer(time.Minute); got != firstRun {
		t.Errorf("offers of a minute later made it %v", got)
	}
	if got := answer(450 * time.Millisecond); got != 100*time.Millisecond {
		t.Errorf("one slow answer made it %v", got)
	}
	if got := answer(20 * time.Millisecond); got != 60*time.Millisecond {
		t.Errorf("a fast answer made it %v", got)
	}
	for range 100 {
		answer(5 * time.Second)
	}
	if got := answer(5 * time.Second); got < 4900*time.Millisecond || got > 5*time.Second {
		t.Errorf("a master that takes 5 s is believed to take %v", got)
	}
}

func TestUnmetRevive(t *testing.T) {
	d := New(testCfg, start)
	d.Subscribed(true)
	d.Add("p", Ask{Need: amount(1, 1)})
	d.Next(start)
	if _, ok := d.Offered(false, start.Add(time.Second)); ok {
		t.Error("offers that do not fit are an answer")
	}
	if took, ok := d.Offered(true, start.Add(3*time.Second)); !ok || took != 3*time.Second {
		t.Errorf("the first that fit came after %v, %t", took, ok)
	}
}

func TestRefuseRest(t *testing.T) {
	d := New(testCfg, start)
	for _, uid := range []string{"a", "b"} {
		d.Add(uid, Ask{Need: amount(1, 1)})
	}
	if got := d.RefuseRest(1); got != 0 {
		t.Errorf("the rest is refused for %v while a pod waits", got)
	}
	if got := d.RefuseRest(2); got != testCfg.IdleGrace {
		t.Errorf("the rest is refused for %v when none does", got)
	}
	d.Awaiting(1)
	if got := d.RefuseRest(2); got != 0 {
		t.Errorf("the rest is refused for %v while a reservation counts on it", got)
	}
}

func TestCause(t *testing.T) {
	d := New(testCfg, start)
	now := start
	want := func(after time.Duration, c Cause) {
		t.Helper()
		now = now.Add(after)
		if action, _ := d.Next(now); action != Revive || d.Cause() != c {
			t.Errorf("%q because of %q, want %q", action, d.Cause(), c)
		}
	}
	d.Subscribed(true)
	d.Add("p", Ask{Need: amount(1, 1)})
	want(0, Pods)
	d.Park("p")
	want(3*time.Second, Repeat)
	d.Reopen()
	want(3*time.Second, Filters)
	d.Remainder(amount(1, 1), now)
	want(3*time.Second, Rest)
}

func TestStatus(t *testing.T) {
	cfg := testCfg
	cfg.Warm = 1
	d := New(cfg, start)
	d.Subscribed(true)
	addAll(d, 5, Ask{Need: amount(1, 1), Choosy: true, Require: "zone"})
	d.Add("p", Ask{Need: amount(2, 2)})
	d.Park("p")
	d.Next(start)
	d.Awaiting(2)
	s := d.Status(start.Add(time.Second))
	if s.Pods != 6 || s.Parked != 1 || s.Asked != Offering || s.Tokens != 3 || s.RefillSeconds != 1 || s.RunSeconds != 0.05 ||
		s.Barren != 1 || s.Awaiting != 2 || !s.LastRevive.Equal(start) || !s.NextRevive.Equal(start.Add(2100*time.Millisecond)) {
		t.Errorf("status %+v", s)
	}
	if len(s.Classes) != 2 || s.Classes[0].Pods != 5 || s.Classes[0].Target != 6 || s.Classes[0].Require != "zone" || !s.Classes[0].Choosy ||
		s.Classes[1].Parked != 1 || s.Classes[1].Target != 2 || s.Classes[1].Asks != amount(2, 2).String() {
		t.Errorf("classes %+v", s.Classes)
	}
}

func TestClassGeneration(t *testing.T) {
	d := New(testCfg, start)
	was := d.ClassGeneration()
	changed := func() bool {
		before := was
		was = d.ClassGeneration()
		return was != before
	}
	d.Add("a", Ask{Need: amount(1, 1)})
	if !changed() {
		t.Error("a new class is no change")
	}
	d.Add("b", Ask{Need: amount(1, 1)})
	d.Park("b")
	d.Remove("b", start)
	if changed() {
		t.Error("another pod of the class is a change")
	}
	d.Remove("a", start)
	if !changed() {
		t.Error("the end of a class is no change")
	}
	d.Add("a", Ask{Need: amount(1, 1)})
	if !changed() {
		t.Error("a class that comes back is no change")
	}
}

func TestRewakeNamesWhoWasAnnouncedNothing(t *testing.T) {
	d := New(testCfg, start)
	for _, uid := range []string{"a", "b", "c"} {
		d.Add(uid, Ask{Need: amount(2, 2)})
		d.Park(uid)
	}
	one := regular([]resources.Vector{amount(2, 2)})
	for _, want := range []string{"[a b]", "[c]", "[]", "[]"} {
		var got []string
		if want == "[a b]" {
			got = d.Wake(one)
		} else {
			got = d.Rewake(one)
		}
		if text := fmt.Sprint(got); text != want {
			t.Fatalf("woke %s, want %s", text, want)
		}
		for _, uid := range got {
			d.Park(uid) // other plugins turned it away
		}
	}
	if got := fmt.Sprint(d.Wake(one)); got != "[a b]" {
		t.Errorf("what is new woke %s", got)
	}
}

// FuzzFitting: so many fit, and not one more, whatever the amounts.
func FuzzFitting(f *testing.F) {
	f.Add(int64(1), int64(0), int64(7), int64(-3))
	f.Add(int64(math.MaxInt64), int64(1), int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add(int64(1), int64(1), int64(math.MinInt64), int64(1))
	f.Fuzz(func(t *testing.T, cpu, mem, freeCPU, freeMem int64) {
		need, free := amount(max(cpu, 0), max(mem, 0)), amount(freeCPU, freeMem)
		n := fitting(&need, &free)
		if n < 0 || n > maxFitting || (n > 0) != need.Fits(free) {
			t.Fatalf("%v fits %v %d times", need, free, n)
		}
		if n == 0 || n == maxFitting {
			return
		}
		short := false
		for k := range need {
			if used := need[k] * int64(n); need[k] > 0 && (used/int64(n) != need[k] || used > free[k]) {
				t.Fatalf("%d times %v is more than %v", n, need, free)
			}
			short = short || need[k] > 0 && free[k]-need[k]*int64(n) < need[k]
		}
		if !short {
			t.Fatalf("%v fits %v more than %d times", need, free, n)
		}
	})
}

func TestReviveEvery(t *testing.T) {
	cfg := testCfg
	cfg.ReviveEvery = time.Minute
	now := start
	d := New(cfg, now)
	d.Subscribed(false)
	d.Add("a", Ask{Need: amount(1, 1)})
	revives := 0
	for range 240 { // two minutes
		d.Reopen()
		if action, _ := d.Next(now); action == Revive {
			revives++
		}
		now = now.Add(500 * time.Millisecond)
	}
	if most := bucketBurst + 2; revives < bucketBurst || revives > most {
		t.Errorf("%d REVIVEs in two minutes, want the burst and one a minute at most, %d", revives, most)
	}
}
