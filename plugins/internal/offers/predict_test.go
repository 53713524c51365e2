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

package offers

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// predicting sends everything at once and predicts what is left over for two seconds.
var predicting = FlushPolicy{Drained: true, Predict: true, PredictedWait: 2 * time.Second}

// foreseeing is an ordinary want that may use a prediction.
func foreseeing(need resources.Vector) *Want { return &Want{Need: bundleOf(need), Predicted: true} }

// withPrediction has an agent "a" that is predicted to offer cm(6, 6) again, and a
// reservation of cm(2, 2), "p", on that.
func withPrediction(t *testing.T) single {
	t.Helper()
	c := withNodes("a", "b")
	mustAdd(t, c, offerOf("o1", "a", cm(8, 8)))
	mustReserve(t, c, "a", "first", cm(2, 2), epoch)
	due, next := c.Flush(epoch, epoch, predicting)
	if len(due) != 1 || due[0].Predicted != cm(6, 6) || !next.Equal(epoch.Add(2*time.Second)) {
		t.Fatalf("Flush = %+v, next %s, want a prediction of what is left over", due, next)
	}
	foresee(t, c, "p", cm(2, 2), epoch.Add(time.Millisecond))
	return c
}

func foresee(t *testing.T, c single, id string, need resources.Vector, now time.Time) {
	t.Helper()
	if _, err := c.r.Reserve(slotFor(t, c, "a"), id, foreseeing(need), now); err != nil {
		t.Fatalf("Reserve(%s) on the prediction: %v", id, err)
	}
	mustAudit(t, c)
}

func wantPredicted(t *testing.T, c single, slots, members int) {
	t.Helper()
	if s, m := c.r.Predicted(); s != slots || m != members {
		t.Errorf("Predicted = %d slots, %d members, want %d and %d", s, m, slots, members)
	}
	mustAudit(t, c)
}

func TestPredictionBecomesABatch(t *testing.T) {
	for _, tt := range []struct {
		name          string
		offer         resources.Vector
		broken, batch []string
	}{
		{"as predicted", cm(6, 6), nil, []string{"p", "q", "r"}},
		{"more than predicted", cm(60, 60), nil, []string{"p", "q", "r"}},
		{"less: the youngest go first", cm(3, 6), []string{"r", "q"}, []string{"p"}},
		{"less: who still fits stays", cm(5, 3), []string{"r", "q"}, []string{"p"}},
		{"much less", cm(1, 1), []string{"r", "q", "p"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := withPrediction(t)
			foresee(t, c, "q", cm(2, 2), epoch.Add(2*time.Millisecond))
			foresee(t, c, "r", cm(2, 2), epoch.Add(3*time.Millisecond))
			c.Landed("a")
			wantPredicted(t, c, 1, 3)
			if c.r.Waiting() != 3 || c.r.Complete(slotFor(t, c, "a"), FlushPolicy{}) {
				t.Errorf("%d wait, and the batch without an offer is complete", c.r.Waiting())
			}
			soon := epoch.Add(time.Second)
			if due, _ := c.Flush(soon, epoch, predicting); due != nil {
				t.Fatalf("a batch without an offer is sent: %+v", due)
			}
			_, broken, _ := c.Add(offerOf("o2", "a", tt.offer), soon)
			if diff := cmp.Diff(tt.broken, broken); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			wantPredicted(t, c, 0, 0)
			// Its age counts from the first member.
			old := FlushPolicy{Linger: time.Hour, MaxLinger: time.Second - time.Millisecond, MaxTasks: 64}
			if due, _ := c.Flush(soon.Add(-1), soon, old); due != nil {
				t.Errorf("sent too early: %+v", due)
			}
			var ids []string
			due, _ := c.Flush(soon, soon, old)
			for _, b := range due {
				ids = append(ids, b.IDs()...)
			}
			if diff := cmp.Diff(tt.batch, ids); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			mustAudit(t, c)
		})
	}
}

func TestPredictionEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c single) []string
	}{
		{"the ACCEPT failed", func(c single) []string { return c.Unpredict("a", "web") }},
		{"something is withheld", func(c single) []string { return c.Withhold("a", cm(1, 0)) }},
		{"the agent is no node", func(c single) []string { return c.SetNode("a", "") }},
		{"the agent is another node", func(c single) []string { return c.SetNode("a", "other") }},
		{"the agent is gone", func(c single) []string { return c.RemoveAgent("a", epoch) }},
		{"the subscription ended", func(c single) []string { return c.Reset(epoch) }},
		{"the role is given up", func(c single) []string { c.Landed("a"); return c.Drop("web") }},
		{"time is up", func(c single) []string {
			_, broken, next := c.Cache.Flush(epoch.Add(2*time.Second), epoch, drained)
			if !next.IsZero() {
				t.Errorf("time is up, but Flush is to be called again at %s", next)
			}
			return broken
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := withPrediction(t)
			if diff := cmp.Diff([]string{"p"}, tt.end(c)); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			if s, m := c.r.Predicted(); s != 0 || m != 0 || c.r.Waiting() != 0 {
				t.Errorf("Predicted = %d slots, %d members, waiting %d", s, m, c.r.Waiting())
			}
			if c.Release("p") {
				t.Error("a broken reservation is released")
			}
			if _, err := c.r.Reserve(0, "late", foreseeing(cm(1, 1)), epoch); !errors.Is(err, ErrNoOffer) {
				t.Errorf("Reserve after the end = %v", err)
			}
			mustAudit(t, c)
		})
	}
}

func TestWithholdTheSameKeepsThePrediction(t *testing.T) {
	c := withPrediction(t)
	if broken := append(c.Withhold("a", resources.Vector{}), c.SetNode("a", nodeOf("a"))...); broken != nil {
		t.Errorf("broken are %v, though nothing changed", broken)
	}
	wantPredicted(t, c, 1, 1)
	if !c.Release("p") {
		t.Error("the reservation cannot be released")
	}
	wantPredicted(t, c, 1, 0)
	if free, ok := c.r.PredictedOf(0); !ok || free.All != cm(6, 6) {
		t.Errorf("PredictedOf = %v, %t, want all of it again", free, ok)
	}
}

// Predictions are of use only where nothing that is offered fits, to those who know
// of them, and to ordinary pods.
func TestSelectPredictions(t *testing.T) {
	c := withPrediction(t)
	i := slotFor(t, c, "a")
	mustAdd(t, c, offerOf("o2", "b", cm(3, 3)))
	if sel := c.Select(cm(3, 3), 0, 0, nil); sel.Predicted || !cmp.Equal(sel.Slots, []int32{slotFor(t, c, "b")}) {
		t.Errorf("Select = %+v, want the offer", sel)
	}
	if sel := c.Select(cm(4, 4), 0, 0, nil); !sel.Predicted || !cmp.Equal(sel.Slots, []int32{i}) {
		t.Errorf("Select = %+v, want the prediction", sel)
	}
	if sel := c.Select(cm(5, 5), 0, 0, nil); sel.Predicted || len(sel.Slots) > 0 || sel.InFlight != 1 {
		t.Errorf("Select = %+v, want nothing and one in flight", sel)
	}
	for _, tt := range []struct {
		name string
		want Want
		v    Verdict
		err  error
	}{
		{"unaware", Want{Need: bundleOf(cm(1, 1))}, InFlight, ErrNoOffer},
		{"too much", Want{Need: bundleOf(cm(5, 1)), Predicted: true}, ShortOf, &ShortError{}},
		{"riding", Want{Need: bundleOf(cm(1, 1)), Predicted: true, Revocable: RevocableRequired}, InFlight, ErrNoOffer},
		{"reserved", Want{Need: bundleOf(cm(1, 1)), Predicted: true, Order: ReservedOnly}, InFlight, ErrNoOffer},
		{"ports", Want{Need: resources.Bundle{Ports: resources.NewRanges(resources.Range{Begin: 1, End: 1})}, Predicted: true}, InFlight, ErrNoOffer},
	} {
		if v, _ := c.r.Fits(i, &tt.want); v != tt.v {
			t.Errorf("%s: Fits = %d, want %d", tt.name, v, tt.v)
		}
		_, err := c.r.Reserve(i, "x", &tt.want, epoch)
		var short *ShortError
		if !errors.Is(err, tt.err) && !(errors.As(err, &short) && tt.v == ShortOf) {
			t.Errorf("%s: Reserve = %v, want %v", tt.name, err, tt.err)
		}
	}
	mustAudit(t, c)
}

func TestNothingIsPredicted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy FlushPolicy
		cfg    Config
		offer  resources.Vector
	}{
		{"without the policy", FlushPolicy{Drained: true, PredictedWait: time.Second}, Config{}, cm(8, 8)},
		{"of what is spent", predicting, Config{}, cm(2, 2)},
		{"of what holds no pod", FlushPolicy{Drained: true, Predict: true, PredictedWait: time.Second, Smallest: cm(3, 7)}, Config{}, cm(8, 8)},
		{"of an agent kept for others", predicting, Config{KeepGPUs: true}, resources.Vector{8, 8, 0, 8}},
	} {
		c := NewCache(tt.cfg)
		addNodes(c, "a")
		mustAdd(t, c, offerOf("o1", "a", tt.offer))
		need := cm(2, 2)
		need[resources.GPU] = tt.offer[resources.GPU] / 2
		if _, err := c.Role("web").Reserve(0, "p", Plain(need), epoch); err != nil {
			t.Fatal(err)
		}
		due, _, next := c.Flush(epoch, epoch, func(string) FlushPolicy { return tt.policy })
		if s, _ := c.Role("web").Predicted(); s != 0 || len(due) != 1 || !due[0].Predicted.IsZero() || !next.IsZero() {
			t.Errorf("%s: %d predictions, sent %+v, next %s", tt.name, s, due, next)
		}
		mustAudit(t, c)
	}
}

func TestUsage(t *testing.T) {
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	c := withNodes("a", "b")
	check := func(s int, held, unused float64) {
		t.Helper()
		h, u := c.Usage(at(s))
		if math.Abs(h[resources.CPU]-held) > 1e-9 || math.Abs(u[resources.CPU]-unused) > 1e-9 || h[resources.Memory] != h[resources.CPU] {
			t.Errorf("after %d s: held %v, unused %v, want %v and %v core-seconds", s, h, u, held, unused)
		}
	}
	c.Add(offerOf("o1", "a", cm(4000, 4000)), at(0))
	check(0, 0, 0)
	check(10, 40, 0)
	c.Add(offerOf("o2", "a", cm(2000, 2000)), at(10))
	c.Add(offerOf("o3", "b", cm(1000, 1000)), at(10))
	if age := c.Oldest(at(15)); age != 15*time.Second || c.r.Held() != 3 {
		t.Errorf("oldest is %s of %d", age, c.r.Held())
	}
	check(20, 110, 0)
	c.Sweep(at(20), func(h Held) bool { return h.ID == "o3" })
	check(20, 110, 10)
	check(30, 170, 10)
	// The need is taken of the oldest: one core of o1 is left over and all of o2.
	mustReserve(t, c, "a", "p", cm(3000, 3000), at(30))
	c.Flush(at(30), at(30), FlushPolicy{Drained: true})
	check(30, 170, 10+30+40)
	check(99, 170, 80)
	c.Add(offerOf("o4", "a", cm(1000, 1000)), at(100))
	c.Remove("o4", at(101))
	c.Add(offerOf("o5", "a", cm(1000, 1000)), at(102))
	c.Reset(at(104))
	check(110, 173, 83)
	if age := c.Oldest(at(110)); age != 0 || c.r.Held() != 0 {
		t.Errorf("oldest is %s of %d", age, c.r.Held())
	}
	// A clock that goes back takes nothing away.
	check(50, 173, 83)
}

func TestSweepTellsOfMaintenance(t *testing.T) {
	c := withNodes("a", "b")
	o := offerOf("o1", "a", cm(4, 4))
	o.Unavailability = &Unavailability{Start: epoch.Add(time.Hour)}
	mustAdd(t, c, o, offerOf("o2", "b", cm(4, 4)))
	c.Sweep(epoch, func(h Held) bool {
		if want := map[string]time.Time{"o1": o.Unavailability.Start}[h.ID]; !h.UnavailableAt.Equal(want) {
			t.Errorf("%s: unavailable at %s, want %s", h.ID, h.UnavailableAt, want)
		}
		return false
	})
}

// A batch that waited for its offer is older than one that was opened meanwhile, and
// younger than one that was open before.
func TestPredictedBatchKeepsItsAge(t *testing.T) {
	c := withNodes("a", "b", "d")
	mustAdd(t, c, offerOf("o1", "a", cm(8, 8)), offerOf("o2", "b", cm(8, 8)), offerOf("o3", "d", cm(8, 8)))
	mustReserve(t, c, "a", "first", cm(2, 2), epoch)
	c.Flush(epoch, epoch, predicting)
	mustReserve(t, c, "b", "older", cm(1, 1), epoch)
	foresee(t, c, "p", cm(1, 1), epoch.Add(time.Millisecond))
	mustReserve(t, c, "d", "younger", cm(1, 1), epoch.Add(2*time.Millisecond))
	c.Add(offerOf("o4", "a", cm(6, 6)), epoch.Add(3*time.Millisecond))
	mustAudit(t, c)
	due, _ := c.Flush(epoch.Add(3*time.Millisecond), epoch, FlushPolicy{Drained: true})
	var ids []string
	for _, b := range due {
		ids = append(ids, b.IDs()...)
	}
	if diff := cmp.Diff([]string{"older", "p", "younger"}, ids); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// Each prediction has an end of its own.
func TestPredictionsEndOneByOne(t *testing.T) {
	c := withNodes("a", "b")
	policy := predicting
	for n, agent := range []string{"a", "b"} {
		mustAdd(t, c, offerOf("o-"+agent, agent, cm(8, 8)))
		mustReserve(t, c, agent, "first-"+agent, cm(2, 2), epoch)
		policy.PredictedWait = time.Duration(1+2*n) * time.Second
		c.Flush(epoch, epoch, policy)
	}
	for _, step := range []struct{ at, left, next int }{{0, 2, 1}, {1, 1, 3}, {2, 1, 3}, {3, 0, 0}} {
		var next time.Time
		if step.next > 0 {
			next = epoch.Add(time.Duration(step.next) * time.Second)
		}
		if _, got := c.Flush(epoch.Add(time.Duration(step.at)*time.Second), epoch, policy); !got.Equal(next) {
			t.Errorf("after %d s: next = %s, want %s", step.at, got, next)
		}
		wantPredicted(t, c, step.left, 0)
	}
}

// What is held is counted up to the ACCEPT, not only when somebody looks.
func TestUsageOfSpentOffers(t *testing.T) {
	c := withNodes("a")
	mustAdd(t, c, offerOf("o1", "a", cm(4000, 4000)))
	mustReserve(t, c, "a", "p", cm(4000, 4000), epoch)
	end := epoch.Add(10 * time.Second)
	c.Flush(end, end, FlushPolicy{Drained: true})
	if held, unused := c.Usage(end.Add(time.Minute)); math.Abs(held[resources.CPU]-40) > 1e-9 || unused != [resources.NumKinds]float64{} {
		t.Errorf("held %v, unused %v, want 40 core-seconds and none", held, unused)
	}
}

// One ACCEPT has no more than MaxTasks tasks where the rest can wait for what it leaves
// over, even if no others may reserve on that.
func TestTooManyStayBehind(t *testing.T) {
	c := withNodes("a")
	mustAdd(t, c, offerOf("o1", "a", cm(5, 5)))
	for _, id := range []string{"p", "q", "r", "s", "t"} {
		mustReserve(t, c, "a", id, cm(1, 1), epoch)
	}
	policy := FlushPolicy{Drained: true, MaxTasks: 2, PredictedWait: time.Second}
	send := func(members []string, predicted resources.Vector) {
		t.Helper()
		due, _ := c.Flush(epoch, epoch, policy)
		if len(due) != 1 || !cmp.Equal(due[0].IDs(), members) || due[0].Predicted != predicted || due[0].Need != cm(int64(len(members)), int64(len(members))) {
			t.Fatalf("sent %+v, want %v, and %s predicted", due, members, predicted)
		}
		mustAudit(t, c)
	}
	send([]string{"p", "q"}, cm(3, 3))
	wantPredicted(t, c, 1, 3)
	if due, _ := c.Flush(epoch, epoch, policy); due != nil {
		t.Errorf("sent %+v without an offer", due)
	}
	if _, broken, _ := c.Add(offerOf("o2", "a", cm(3, 3)), epoch); broken != nil {
		t.Errorf("broken are %v", broken)
	}
	send([]string{"r", "s"}, cm(1, 1))
	if _, broken, _ := c.Add(offerOf("o3", "a", cm(0, 1)), epoch); !cmp.Equal(broken, []string{"t"}) {
		t.Errorf("broken are %v", broken)
	}
	wantPredicted(t, c, 0, 0)
	// Without a time to wait all go at once, as they do if they took what is not unreserved.
	policy.PredictedWait = 0
	mustAdd(t, c, offerOf("o4", "a", cm(3, 3)))
	for _, id := range []string{"u", "v", "w"} {
		mustReserve(t, c, "a", id, cm(1, 1), epoch)
	}
	send([]string{"u", "v", "w"}, resources.Vector{})
	policy.PredictedWait = time.Second
	o := offerOf("o5", "a", cm(1, 1))
	o.Special = []resources.Portion{{Flavour: reservedFor("web", false), Bundle: bundleOf(cm(2, 2))}}
	mustAdd(t, c, o)
	for _, id := range []string{"x", "y", "z"} {
		// Reserved resources go first, so the last has the unreserved ones.
		mustReserve(t, c, "a", id, cm(1, 1), epoch)
	}
	policy.MaxTasks = 1
	send([]string{"x", "y"}, cm(1, 1))
}

func TestEnded(t *testing.T) {
	ended := map[End]time.Duration{}
	c := NewCache(Config{Ended: func(end End, age time.Duration) { ended[end] += age }})
	addNodes(c, "a")
	for _, id := range []string{"declined", "rescinded", "spent", "spent too"} {
		mustAdd(t, c, offerOf(id, "a", cm(1, 1)))
	}
	c.Sweep(epoch.Add(time.Second), func(h Held) bool { return h.ID == "declined" })
	c.Remove("rescinded", epoch.Add(2*time.Second))
	if _, err := c.Role("web").Reserve(0, "p", Plain(cm(2, 2)), epoch); err != nil {
		t.Fatal(err)
	}
	c.Flush(epoch.Add(3*time.Second), epoch, drained)
	mustAdd(t, c, offerOf("void", "a", cm(1, 1)))
	c.Reset(epoch.Add(5 * time.Second))
	want := map[End]time.Duration{Declined: time.Second, Rescinded: 2 * time.Second, Accepted: 6 * time.Second, Void: 5 * time.Second}
	if diff := cmp.Diff(want, ended); diff != "" {
		t.Errorf("ages of ended offers (-want +got):\n%s", diff)
	}
}
