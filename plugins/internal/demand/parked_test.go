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
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestWakeAll(t *testing.T) {
	d := New(testCfg, start)
	if got := d.WakeAll(); got != nil {
		t.Errorf("WakeAll of nobody = %v", got)
	}
	for _, p := range []struct {
		uid  string
		need resources.Vector
	}{{"a", amount(1, 1)}, {"b", amount(2, 2)}, {"c", amount(1, 1)}, {"d", amount(9, 9)}} {
		d.Add(p.uid, Ask{Need: p.need})
		if p.uid != "d" {
			d.Park(p.uid)
		}
	}
	if got := d.WakeAll(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("WakeAll = %v, want the parked pods in their order", got)
	}
	if all, parked := d.Pods(); all != 4 || parked != 0 {
		t.Errorf("afterwards %d pods, %d of them parked; want 4 and none", all, parked)
	}
}

func TestWake(t *testing.T) {
	park := func(d *Demand, need resources.Vector, uids ...string) {
		for _, uid := range uids {
			d.Add(uid, Ask{Need: need})
			d.Park(uid)
		}
	}
	tests := []struct {
		name  string
		setup func(*Demand)
		free  []resources.Vector
		want  []string
	}{
		{"nobody parked", func(d *Demand) { d.Add("a", Ask{Need: amount(1, 1)}) }, []resources.Vector{amount(9, 9)}, nil},
		{"nothing free", func(d *Demand) { park(d, amount(1, 1), "a") }, nil, nil},
		{"too little", func(d *Demand) { park(d, amount(2, 2), "a") }, []resources.Vector{amount(1, 9), amount(9, 1)}, nil},
		{"one and a fifth more", func(d *Demand) { park(d, amount(2, 2), "a", "b", "c") }, []resources.Vector{amount(2, 9)}, []string{"a", "b"}},
		{"five and one more", func(d *Demand) { park(d, amount(1, 1), "a", "b", "c", "d", "e", "f", "g") }, []resources.Vector{amount(3, 3), amount(2, 9)}, []string{"a", "b", "c", "d", "e", "f"}},
		{"oldest first over all shapes", func(d *Demand) {
			park(d, amount(1, 1), "a")
			park(d, amount(2, 2), "b")
			park(d, amount(1, 1), "c")
		}, []resources.Vector{amount(9, 9)}, []string{"a", "b", "c"}},
		{"parked again, queued again", func(d *Demand) {
			park(d, amount(2, 2), "a", "b", "c")
			d.Unpark("a")
			d.Park("a")
		}, []resources.Vector{amount(2, 2)}, []string{"b", "c"}},
		{"parked twice is parked once", func(d *Demand) {
			park(d, amount(2, 2), "a", "b")
			d.Park("a")
		}, []resources.Vector{amount(9, 9)}, []string{"a", "b"}},
		{"a changed pod is not parked", func(d *Demand) {
			park(d, amount(2, 2), "a", "b")
			d.Add("a", Ask{Need: amount(1, 1)})
		}, []resources.Vector{amount(9, 9)}, []string{"b"}},
		{"back to its old shape, parked anew", func(d *Demand) {
			park(d, amount(2, 2), "a", "b", "c")
			d.Add("a", Ask{Need: amount(1, 1)})
			park(d, amount(2, 2), "a")
		}, []resources.Vector{amount(2, 2)}, []string{"b", "c"}},
		{"removed and added again", func(d *Demand) {
			park(d, amount(2, 2), "a", "b", "c")
			d.Remove("a", start)
			park(d, amount(2, 2), "a")
		}, []resources.Vector{amount(2, 2)}, []string{"b", "c"}},
		{"what is not needed may be less than nothing", func(d *Demand) { park(d, amount(2, 2), "a") },
			[]resources.Vector{{resources.CPU: 2, resources.Memory: 2, resources.Disk: -5}}, []string{"a"}},
		{"what is needed may not", func(d *Demand) { park(d, amount(2, 2), "a") }, []resources.Vector{amount(-4, 9)}, nil},
		{"pods unknown to the demand are not parked", func(d *Demand) { d.Park("x") }, []resources.Vector{amount(9, 9)}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := New(testCfg, start)
			tc.setup(d)
			if got := d.Wake(regular(tc.free)); !slices.Equal(got, tc.want) {
				t.Errorf("woke %q, want %q", got, tc.want)
			}
			if got := d.Wake(regular(tc.free)); slices.ContainsFunc(got, func(u string) bool { return slices.Contains(tc.want, u) }) {
				t.Errorf("woke a pod twice: %q, then %q", tc.want, got)
			}
		})
	}
}

func TestParkedQueueStaysBounded(t *testing.T) {
	d := New(testCfg, start)
	need := amount(1, 1)
	d.Add("first", Ask{Need: need})
	d.Park("first")
	d.Add("restless", Ask{Need: need})
	for range 10_000 {
		d.Park("restless")
		d.Unpark("restless")
	}
	if n := len(d.shapes[Ask{Need: need}].queue); n > 64 {
		t.Errorf("the queue of one parked pod has %d entries", n)
	}
	if got := d.Wake(regular([]resources.Vector{need})); !slices.Equal(got, []string{"first"}) {
		t.Errorf("woke %q, want the one that is parked", got)
	}
}

func TestSmallest(t *testing.T) {
	d := New(testCfg, start)
	check := func(want resources.Vector) {
		t.Helper()
		if got := d.Smallest(); got != want {
			t.Errorf("smallest is %v, want %v", got, want)
		}
	}
	check(resources.Vector{})
	d.Add("a", Ask{Need: amount(4, 1)})
	d.Add("b", Ask{Need: amount(2, 9)})
	check(amount(2, 1))
	d.Park("a")
	check(amount(2, 9))
	d.Park("b")
	check(resources.Vector{})
	d.Unpark("a")
	check(amount(4, 1))
}

// regular is agents that have nothing but so much for ordinary pods.
func regular(amounts []resources.Vector) (free []offers.Free) {
	for _, v := range amounts {
		free = append(free, offers.Free{Regular: v, All: v})
	}
	return free
}

// TestSpecial: what only special pods may use is held and woken for them alone.
func TestSpecial(t *testing.T) {
	d := New(testCfg, start)
	d.Add("plain", Ask{Need: amount(2, 2)})
	hidden := offers.Held{Node: "n", AgentAll: amount(4, 4), Since: start}
	if got := judge(d, hidden, start); got != TooSmall {
		t.Errorf("an offer for special pods is judged %q without one, want %q", got, TooSmall)
	}
	d.Park("plain")
	if got := d.Wake([]offers.Free{{All: amount(4, 4)}}); got != nil {
		t.Errorf("woke %v for what they may not use", got)
	}
	d.Add("special", Ask{Need: amount(2, 2), Special: true})
	if got := judge(d, hidden, start); got != "" {
		t.Errorf("an offer that fits a special pod is judged %q", got)
	}
	d.Park("special")
	if got := d.Wake([]offers.Free{{All: amount(4, 4)}}); !slices.Equal(got, []string{"special"}) {
		t.Errorf("woke %v, want the special pod", got)
	}
}

// TestSeek: a role that is sought for is revived without pods, and suppressed after.
func TestSeek(t *testing.T) {
	d := New(testCfg, start)
	d.Subscribed(true)
	if action, _ := d.Next(start); action != None {
		t.Fatalf("asks for %s without pods", action)
	}
	d.Seek(true, start)
	if action, _ := d.Next(start); action != Revive {
		t.Errorf("asks for %q while something is sought, want %s", action, Revive)
	}
	if reason := judge(d, offers.Held{Node: "n", AgentAll: amount(1, 1), Since: start}, start.Add(testCfg.IdleGrace)); reason != Idle {
		t.Errorf("holds an offer that no pod wants: %q", reason)
	}
	now := start.Add(time.Minute)
	d.Seek(false, now)
	if action, at := d.Next(now); action != None || !at.Equal(now.Add(testCfg.IdleGrace)) {
		t.Errorf("asks for %q now and again at %v, want a wait for the idle grace", action, at)
	}
	if action, _ := d.Next(now.Add(testCfg.IdleGrace)); action != Suppress {
		t.Errorf("asks for %q when nothing is sought any more, want %s", action, Suppress)
	}
}
