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
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// heldOf is an offer of an agent that has so much cpu and memory.
func heldOf(id string, cpu int64) offers.Held {
	return offers.Held{ID: id, AgentID: "agent-" + id, Node: "n", AgentFree: amount(cpu, cpu), AgentAll: amount(cpu, cpu), Since: start}
}

func withGPU(h offers.Held) offers.Held {
	h.AgentAll[resources.GPU] = 1000
	h.AgentFree[resources.GPU] = 1000
	return h
}

func withSpecial(h offers.Held) offers.Held {
	h.Special = []resources.Portion{{}}
	return h
}

func ending(h offers.Held) offers.Held {
	h.UnavailableAt = start.Add(time.Hour)
	return h
}

// addAll adds pods that ask for the same.
func addAll(d *Demand, n int, ask Ask) {
	for i := range n {
		d.Add(fmt.Sprint(ask, i), ask)
	}
}

// TestSurplus: which of the offers held go back because others suffice.
func TestSurplus(t *testing.T) {
	plain := Ask{Need: amount(4, 4)}
	tests := []struct {
		name     string
		pods     func(*Demand)
		held     []offers.Held
		reserved int
		after    time.Duration
		want     []string
	}{
		{"all are needed", func(d *Demand) { addAll(d, 3, plain) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4), heldOf("d", 4)}, 0, time.Second, nil},
		{"a fifth more than needed, and no more", func(d *Demand) { addAll(d, 3, plain) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4), heldOf("d", 4), heldOf("e", 4)}, 0, time.Second, []string{"e"}},
		{"not before they could be chosen from", func(d *Demand) { addAll(d, 1, plain) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4)}, 0, 200*time.Millisecond - 1, nil},
		{"but then", func(d *Demand) { addAll(d, 1, plain) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4)}, 0, 200 * time.Millisecond, []string{"c"}},
		{"reserved pods need nothing", func(d *Demand) { addAll(d, 3, plain) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4), heldOf("d", 4)}, 2, time.Second, []string{"c", "d"}},
		{"nobody is reserved who sleeps", func(d *Demand) {
			addAll(d, 3, plain)
			d.Park(fmt.Sprint(plain, 0))
			d.Park(fmt.Sprint(plain, 1))
		}, []offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4), heldOf("d", 4)}, 3, time.Second, []string{"d"}},
		{"the largest are kept", func(d *Demand) { addAll(d, 2, plain) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 12), heldOf("c", 4), heldOf("d", 8)}, 0, time.Second, []string{"d", "a", "c"}},
		{"big pods are placed first", func(d *Demand) { addAll(d, 1, Ask{Need: amount(2, 2)}); addAll(d, 1, Ask{Need: amount(8, 8)}) },
			[]offers.Held{heldOf("a", 8), heldOf("b", 8), heldOf("c", 4), heldOf("d", 2)}, 0, time.Second, []string{"d"}},
		{"choosy pods see all that fits them", func(d *Demand) {
			addAll(d, 1, Ask{Need: amount(4, 4), Choosy: true})
			addAll(d, 1, Ask{Need: amount(2, 2)})
		}, []offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4), heldOf("d", 4), heldOf("e", 2), heldOf("f", 2), heldOf("g", 2)}, 0, time.Second,
			[]string{"e", "f", "g"}},
		{"what others require is not theirs", func(d *Demand) { addAll(d, 2, Ask{Need: amount(4, 4), Require: "agent-c"}); addAll(d, 1, plain) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 4), heldOf("c", 4), heldOf("d", 4)}, 0, time.Second, []string{"d"}},
		{"agents with GPUs go first", func(d *Demand) { addAll(d, 1, plain) },
			[]offers.Held{withGPU(heldOf("a", 8)), heldOf("b", 4), heldOf("c", 4)}, 0, time.Second, []string{"a"}},
		{"agents that will be maintained go first", func(d *Demand) { addAll(d, 1, plain) },
			[]offers.Held{ending(heldOf("a", 8)), heldOf("b", 4), heldOf("c", 4)}, 0, time.Second, []string{"a"}},
		{"reserved and revocable go first", func(d *Demand) { addAll(d, 1, plain) },
			[]offers.Held{withSpecial(heldOf("a", 8)), heldOf("b", 4), heldOf("c", 4)}, 0, time.Second, []string{"a"}},
		{"but not if a pod can use them", func(d *Demand) { addAll(d, 1, Ask{Need: amount(4, 4), Special: true}) },
			[]offers.Held{withSpecial(heldOf("a", 8)), heldOf("b", 4), heldOf("c", 4)}, 0, time.Second, []string{"b", "c"}},
		{"the last pod leaves room for one more", func(d *Demand) { d.Add("p", plain); d.Remove("p", start) },
			[]offers.Held{heldOf("a", 4), heldOf("b", 4)}, 0, time.Second, []string{"b"}},
		{"without any pod nothing is needed", func(*Demand) {},
			[]offers.Held{heldOf("a", 4), heldOf("b", 4)}, 0, time.Second, []string{"a", "b"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testCfg
			cfg.Matches = func(require, agentID string) bool { return require == "" || require == agentID }
			d := New(cfg, start)
			tc.pods(d)
			r := d.Round(start.Add(tc.after), tc.reserved)
			for _, h := range tc.held {
				if reason := r.Judge(h); reason != "" {
					t.Errorf("%s is judged %s", h.ID, reason)
				}
			}
			if got := r.Surplus(); !slices.Equal(got, tc.want) {
				t.Errorf("surplus %q, want %q", got, tc.want)
			}
		})
	}
}

// TestSurplusOfOneAgent: the offers of an agent go together, when the last is old enough.
func TestSurplusOfOneAgent(t *testing.T) {
	d := New(testCfg, start)
	d.Add("p", Ask{Need: amount(4, 4)})
	round := func(after time.Duration) []string {
		r := d.Round(start.Add(after), 0)
		r.Judge(heldOf("a", 9))
		for i, id := range []string{"b1", "b2"} {
			h := heldOf(id, 5)
			h.AgentID, h.Since = "b", start.Add(time.Duration(i)*100*time.Millisecond)
			r.Judge(h)
		}
		return r.Surplus()
	}
	if got := round(250 * time.Millisecond); got != nil {
		t.Errorf("%q are surplus already", got)
	}
	if got := round(300 * time.Millisecond); !slices.Equal(got, []string{"b1", "b2"}) {
		t.Errorf("surplus %q, want both of the agent", got)
	}
}

// TestSurplusIsWantedAgain: a later pod that finds nothing calls back what was too much.
func TestSurplusIsWantedAgain(t *testing.T) {
	d := New(testCfg, start)
	d.Subscribed(true)
	d.Add("p", Ask{Need: amount(4, 4)})
	d.Next(start)
	d.Offered(true, start)
	now := start.Add(time.Second)
	r := d.Round(now, 0)
	for _, id := range []string{"a", "b", "c"} {
		r.Judge(heldOf(id, 4))
	}
	if got := r.Surplus(); len(got) != 1 {
		t.Fatalf("surplus %q", got)
	}
	d.Park("p")
	if action, _ := d.Next(now); action != Revive {
		t.Errorf("call %q for the pod that came and found nothing, want REVIVE", action)
	}
	d.Offered(true, now)
	d.Unpark("p")
	d.Park("p")
	if action, _ := d.Next(now); action != None {
		t.Errorf("call %q for it once more", action)
	}
}

func TestRequirement(t *testing.T) {
	cfg := testCfg
	cfg.Matches = func(require, agentID string) bool { return require == "" || require == agentID }
	d := New(cfg, start)
	d.Add("p", Ask{Need: amount(4, 4), Require: "agent-b"})
	d.Park("p")
	if got := judge(d, heldOf("a", 9), start); got != TooSmall {
		t.Errorf("an offer of the wrong agent is judged %q", got)
	}
	if got := judge(d, heldOf("b", 9), start); got != "" {
		t.Errorf("an offer of the right agent is judged %q", got)
	}
	free := func(agent string) offers.Free {
		return offers.Free{AgentID: agent, Regular: amount(9, 9), All: amount(9, 9)}
	}
	if d.FitsFree(free("agent-a")) || !d.FitsFree(free("agent-b")) {
		t.Error("FitsFree does not heed the requirement")
	}
	if got := d.Wake([]offers.Free{free("agent-a")}); got != nil {
		t.Errorf("the wrong agent woke %q", got)
	}
	if got := d.Wake([]offers.Free{free("agent-b")}); !slices.Equal(got, []string{"p"}) {
		t.Errorf("the right agent woke %q", got)
	}
}

func TestHoldJitter(t *testing.T) {
	d := New(testCfg, start)
	least, most := time.Hour, time.Duration(0)
	for i := range 5000 {
		hold := d.hold(fmt.Sprint("offer-", i))
		least, most = min(least, hold), max(most, hold)
	}
	if least < 8*time.Second || most > 10*time.Second || least > 8100*time.Millisecond || most < 9900*time.Millisecond {
		t.Errorf("offers are held from %v to %v, want all of 8 to 10 s", least, most)
	}
}

func TestRoundNext(t *testing.T) {
	d := New(testCfg, start)
	d.Add("p", Ask{Need: amount(4, 4)})
	look := func(after time.Duration) time.Duration {
		r := d.Round(start.Add(after), 0)
		r.Judge(heldOf("a", 4))
		r.Surplus()
		if at := r.Next(); !at.IsZero() {
			return at.Sub(start)
		}
		return 0
	}
	if got := look(0); got != 200*time.Millisecond {
		t.Errorf("next round at %v, want when the offer may be surplus", got)
	}
	if got := look(time.Second); got != d.hold("a") {
		t.Errorf("next round at %v, want when the offer expires", got)
	}
	d.Remove("p", start.Add(time.Second))
	if got := look(2 * time.Second); got != 4*time.Second {
		t.Errorf("next round at %v, want at the end of the grace", got)
	}
}

// TestWarm: some agents are kept whatever happens, the best there are.
func TestWarm(t *testing.T) {
	cfg := testCfg
	cfg.Warm = 2
	d := New(cfg, start)
	d.Subscribed(true)
	if action, _ := d.Next(start); action != Revive {
		t.Fatalf("call %q, want REVIVE for the warm agents", action)
	}
	if d.RefuseRest(0) != 0 {
		t.Error("the rest of an ACCEPT is refused")
	}
	held := []offers.Held{heldOf("a", 4), heldOf("b", 8), heldOf("c", 6)}
	look := func(after time.Duration, want ...string) {
		t.Helper()
		now := start.Add(after)
		r := d.Round(now, 0)
		var gone []string
		for _, h := range held {
			if reason := r.Judge(h); reason != "" {
				gone = append(gone, h.ID)
			}
		}
		if gone = append(gone, r.Surplus()...); !slices.Equal(gone, want) {
			t.Errorf("after %v %q go back, want %q", after, gone, want)
		}
		held = slices.DeleteFunc(held, func(h offers.Held) bool { return slices.Contains(gone, h.ID) })
		if action, _ := d.Next(now); action != None {
			t.Errorf("after %v call %q", after, action)
		}
	}
	d.Offered(true, start)
	look(5*time.Second, "a") // nothing to wait for: no pod chooses
	look(time.Hour)
	held = append(held, heldOf("small", 5))
	look(time.Hour, "small")
	held = append(held, heldOf("large", 9))
	look(time.Hour, "c")
	d.Add("p", Ask{Need: amount(9, 9)})
	look(time.Hour)
	if got := d.Status(start.Add(time.Hour)).Warm; got != 2 {
		t.Errorf("%d warm agents, want 2", got)
	}
}

// TestArrivalsAreAwaited: pods that come fast have room held for those to come.
func TestArrivalsAreAwaited(t *testing.T) {
	d := New(testCfg, start)
	now := start
	ask := Ask{Need: amount(1, 1)}
	for i := range 60 * 100 { // 100 a second for a minute
		now = now.Add(10 * time.Millisecond)
		uid := fmt.Sprint(i)
		d.Add(uid, ask)
		d.Remove(uid, now)
		d.Round(now, 0)
	}
	d.Add("p", ask)
	// 2 for the one, and 100/s for 50 ms.
	if got := d.targets(nil, 0)[0].left; got != 7 {
		t.Errorf("offers are held for %d pods, want 7", got)
	}
	now = now.Add(time.Minute)
	d.Round(now, 0)
	if got := d.targets(nil, 0)[0].left; got != 2 {
		t.Errorf("a minute later offers are held for %d pods, want 2", got)
	}
}

// manyHeld is a round of that many agents for a few classes.
func manyHeld(n int) (*Demand, []offers.Held) {
	r := rand.New(rand.NewPCG(3, 3))
	d := New(testCfg, start)
	held := make([]offers.Held, n)
	for i := range held {
		held[i] = heldOf(fmt.Sprint("o", i), 8+r.Int64N(64))
	}
	return d, held
}

func BenchmarkRound(b *testing.B) {
	for _, pods := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(pods), func(b *testing.B) {
			d, held := manyHeld(10_000)
			for i := range 8 {
				addAll(d, pods/8+1, Ask{Need: amount(int64(i+1), 8)})
			}
			b.ReportAllocs()
			for b.Loop() {
				r := d.Round(start.Add(time.Second), 0)
				for i := range held {
					r.Judge(held[i])
				}
				r.Surplus()
			}
		})
	}
}

// TestScarceAgreesWithUse: what the quick look says cannot be surplus is not.
func TestScarceAgreesWithUse(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	quick := 0
	for range 3000 {
		d := New(testCfg, start)
		for range 1 + rnd.IntN(4) {
			addAll(d, 1+rnd.IntN(20), Ask{Need: amount(rnd.Int64N(5), rnd.Int64N(5))})
		}
		r := d.Round(start.Add(time.Second), 0)
		for i := range rnd.IntN(8) {
			h := heldOf(fmt.Sprint(i), 0)
			h.AgentFree = amount(rnd.Int64N(30), rnd.Int64N(30))
			h.AgentAll = h.AgentFree
			r.Judge(h)
		}
		r.aim()
		if len(r.agents) == 0 || !r.scarce() {
			continue
		}
		quick++
		r.rank()
		for _, i := range r.order {
			if !r.use(&r.agents[i]) {
				t.Fatalf("%v is surplus although offers are scarce", r.agents[i].free)
			}
		}
	}
	if quick < 300 {
		t.Errorf("only %d rounds were scarce", quick)
	}
}
