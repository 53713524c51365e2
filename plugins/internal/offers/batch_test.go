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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestFlushPolicy(t *testing.T) {
	const ms = time.Millisecond
	policy := FlushPolicy{Linger: 2 * ms, MaxLinger: 50 * ms, MaxTasks: 3, Smallest: cm(2, 2)}
	with := func(change func(*FlushPolicy)) FlushPolicy {
		p := policy
		change(&p)
		return p
	}
	tests := []struct {
		name   string
		policy FlushPolicy
		// now and quiet are after the batch was opened.
		now, quiet time.Duration
		needs      []resources.Vector
		due        bool
		next       time.Duration
	}{
		{name: "young and busy", policy: policy, now: 1 * ms, quiet: 1 * ms, needs: []resources.Vector{cm(1, 1)}, next: 3 * ms},
		{name: "just not quiet", policy: policy, now: 3*ms - 1, quiet: 1 * ms, needs: []resources.Vector{cm(1, 1)}, next: 3 * ms},
		{name: "quiet", policy: policy, now: 3 * ms, quiet: 1 * ms, needs: []resources.Vector{cm(1, 1)}, due: true},
		{name: "quiet since before it opened", policy: policy, now: 0, quiet: -2 * ms, needs: []resources.Vector{cm(1, 1)}, due: true},
		{name: "busy, just not too old", policy: policy, now: 50*ms - 1, quiet: 49 * ms, needs: []resources.Vector{cm(1, 1)}, next: 50 * ms},
		{name: "busy but too old", policy: policy, now: 50 * ms, quiet: 50 * ms, needs: []resources.Vector{cm(1, 1)}, due: true},
		{name: "one task below the size", policy: policy, needs: []resources.Vector{cm(1, 1), cm(1, 1)}, next: 2 * ms},
		{name: "at the size", policy: policy, needs: []resources.Vector{cm(1, 1), cm(1, 1), cm(1, 1)}, due: true},
		{name: "the smallest just fits", policy: policy, needs: []resources.Vector{cm(8, 8)}, next: 2 * ms},
		{name: "cpu short of the smallest", policy: policy, needs: []resources.Vector{cm(9, 1)}, due: true},
		{name: "memory short of the smallest", policy: policy, needs: []resources.Vector{cm(1, 9)}, due: true},
		{
			name: "full, but nothing is known to come", needs: []resources.Vector{cm(10, 10)}, next: 2 * ms,
			policy: with(func(p *FlushPolicy) { p.Smallest = resources.Vector{} }),
		},
		{
			name: "the smallest needs what the agent has not", needs: []resources.Vector{cm(1, 1)}, due: true,
			policy: with(func(p *FlushPolicy) { p.Smallest[resources.GPU] = 1000 }),
		},
		{
			name: "drained", needs: []resources.Vector{cm(1, 1)}, due: true,
			policy: with(func(p *FlushPolicy) { p.Drained = true }),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := withNodes("a")
			mustAdd(t, c, offerOf("o1", "a", cm(10, 10)))
			var members []string
			var need resources.Vector
			for n, v := range tt.needs {
				id := "p" + string(rune('0'+n))
				mustReserve(t, c, "a", id, v, epoch)
				members, need = append(members, id), need.Add(v)
			}
			due, next := c.Flush(epoch.Add(tt.now), epoch.Add(tt.quiet), tt.policy)
			var want []Batch
			var wantNext time.Time
			if tt.due {
				want = []Batch{{
					AgentID: "a", Role: "web", Node: nodeOf("a"), OfferIDs: []string{"o1"}, Members: plainMembers(members, tt.needs...),
					Offered: cm(10, 10), Need: need, OpenedAt: epoch,
				}}
			} else {
				wantNext = epoch.Add(tt.next)
			}
			if diff := cmp.Diff(want, due); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			if !next.Equal(wantNext) {
				t.Errorf("next = %s, want %s", next, wantNext)
			}
			mustAudit(t, c)
		})
	}
}

// Flush sends the due batches oldest first, keeps the others, and asks to be
// called when the first of those is due.
func TestFlushSeveral(t *testing.T) {
	c := withNodes("a", "b", "c", "idle")
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	mustAdd(t, c, offerOf("oa", "a", cm(4, 4)), offerOf("ob", "b", cm(4, 4)), offerOf("oc", "c", cm(4, 4)), offerOf("oi", "idle", cm(4, 4)))
	mustReserve(t, c, "c", "pc", cm(1, 1), at(0))
	mustReserve(t, c, "a", "pa", cm(1, 1), at(1))
	mustReserve(t, c, "b", "pb", cm(1, 1), at(2))
	mustReserve(t, c, "c", "pc2", cm(1, 1), at(3))
	policy := FlushPolicy{Linger: time.Hour, MaxLinger: 10 * time.Second, MaxTasks: 10}
	var sent []string
	flush := func(now, quiet time.Time) time.Time {
		due, next := c.Flush(now, quiet, policy)
		for _, b := range due {
			sent = append(sent, b.AgentID)
		}
		mustAudit(t, c)
		return next
	}
	if next := flush(at(9), at(9)); !next.Equal(at(10)) || sent != nil {
		t.Errorf("at 9 s: next %s, sent %v", next, sent)
	}
	if next := flush(at(11), at(11)); !next.Equal(at(12)) {
		t.Errorf("at 11 s: next %s", next)
	}
	if diff := cmp.Diff([]string{"c", "a"}, sent); diff != "" {
		t.Errorf("sent by 11 s (-want +got):\n%s", diff)
	}
	if next := flush(at(12), at(12)); !next.IsZero() {
		t.Errorf("at 12 s: next %s, want none", next)
	}
	if diff := cmp.Diff([]string{"c", "a", "b"}, sent); diff != "" {
		t.Errorf("sent by 12 s (-want +got):\n%s", diff)
	}
	if count, sum := c.Totals(); count != 1 || sum != cm(4, 4) {
		t.Errorf("Totals = %d, %s, want the idle agent's offer", count, sum)
	}
}

func TestInFlight(t *testing.T) {
	need := cm(1, 1)
	state := func(c single) Verdict {
		v, _ := c.Fits(0, &need)
		return v
	}
	spent := func(t *testing.T) single {
		c := withNodes("a")
		mustAdd(t, c, offerOf("o1", "a", cm(4, 4)))
		mustReserve(t, c, "a", "p", need, epoch)
		c.Flush(epoch, epoch, FlushPolicy{Drained: true})
		if got := state(c); got != InFlight || !viewOf(t, c, "a").InFlight {
			t.Fatalf("after Flush: verdict %d, want InFlight", got)
		}
		if err := c.Reserve(0, "q", need, epoch); !errors.Is(err, ErrNoOffer) {
			t.Fatalf("Reserve of spent offers = %v", err)
		}
		return c
	}
	t.Run("landed", func(t *testing.T) {
		c := spent(t)
		c.Landed("nobody")
		c.Landed("a")
		c.Landed("a")
		if got := state(c); got != NoOffer {
			t.Errorf("verdict %d, want NoOffer", got)
		}
		mustAudit(t, c)
	})
	t.Run("the rest comes back before the answer", func(t *testing.T) {
		c := spent(t)
		mustAdd(t, c, offerOf("o2", "a", cm(3, 3)))
		if got := state(c); got != Fitting {
			t.Errorf("verdict %d, want Fitting", got)
		}
		c.Landed("a")
		if got := state(c); got != Fitting {
			t.Errorf("after Landed: verdict %d, want Fitting", got)
		}
		mustAudit(t, c)
	})
	t.Run("the agent is lost and comes back", func(t *testing.T) {
		c := spent(t)
		c.RemoveAgent("a", epoch)
		c.Landed("a")
		c.AddAgent("a", "")
		c.SetNode("a", "n")
		if got := state(c); got != NoOffer {
			t.Errorf("verdict %d, want NoOffer", got)
		}
		mustAudit(t, c)
	})
}

func TestSweep(t *testing.T) {
	c := withNodes("a", "b", "c")
	mustAdd(t, c, offerOf("a1", "a", cm(1, 1)), offerOf("b1", "b", cm(2, 2)))
	c.Add(offerOf("a2", "a", cm(4, 4)), epoch.Add(time.Minute))
	mustAdd(t, c, offerOf("x1", "x", cm(8, 8)))
	mustReserve(t, c, "b", "p", cm(1, 1), epoch)
	c.RemoveAgent("c", epoch)
	var seen []Held
	look := func(h Held) bool {
		seen = append(seen, h)
		return false
	}
	if ids := c.Sweep(epoch, look); ids != nil {
		t.Errorf("Sweep = %v though nothing was to be dropped", ids)
	}
	slices.SortFunc(seen, func(x, y Held) int { return strings.Compare(x.ID, y.ID) })
	want := []Held{
		{ID: "a1", AgentID: "a", Hostname: "a.example", Role: "web", Node: nodeOf("a"), AgentFree: cm(5, 5), AgentAll: cm(5, 5), Since: epoch},
		{ID: "a2", AgentID: "a", Hostname: "a.example", Role: "web", Node: nodeOf("a"), AgentFree: cm(5, 5), AgentAll: cm(5, 5), Since: epoch.Add(time.Minute)},
		{ID: "x1", AgentID: "x", Hostname: "x.example", Role: "web", AgentFree: cm(8, 8), AgentAll: cm(8, 8), Since: epoch},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	mustAudit(t, c)
	if ids := c.Sweep(epoch, func(h Held) bool { return h.ID == "a1" }); !cmp.Equal(ids, []string{"a1"}) {
		t.Errorf("Sweep = %v, want a1", ids)
	}
	if got := c.FreeOf(slotFor(t, c, "a")); got != cm(4, 4) {
		t.Errorf("a has %s left, want a2's", got)
	}
	mustAudit(t, c)
	all := func(Held) bool { return true }
	ids := c.Sweep(epoch, all)
	slices.Sort(ids)
	if !cmp.Equal(ids, []string{"a2", "x1"}) {
		t.Errorf("Sweep = %v, want all but the open batch's", ids)
	}
	if count, sum := c.Totals(); count != 1 || sum != cm(2, 2) {
		t.Errorf("Totals = %d, %s, want b1 alone", count, sum)
	}
	// A declined offer's id is forgotten, and a batch that was released is swept.
	mustAdd(t, c, offerOf("a2", "a", cm(1, 1)))
	c.Release("p")
	ids = c.Sweep(epoch, all)
	slices.Sort(ids)
	if !cmp.Equal(ids, []string{"a2", "b1"}) {
		t.Errorf("Sweep = %v, want a2 and b1", ids)
	}
	mustAudit(t, c)
}

// Sweep must reach every slot, however many there are.
func TestSweepManyAgents(t *testing.T) {
	const n = 3000
	c := newSingle()
	for i := range n {
		mustAdd(t, c, offerOf(nameOf("o", i), nameOf("a", i), cm(1, 1)))
	}
	ids := c.Sweep(epoch, func(h Held) bool { return h.ID[len(h.ID)-1]%2 == 0 })
	if len(ids) != n/2 {
		t.Errorf("swept %d of %d, want half", len(ids), n)
	}
	mustAudit(t, c)
	if ids := c.Sweep(epoch, func(Held) bool { return true }); len(ids) != n/2 {
		t.Errorf("swept %d, want the other half", len(ids))
	}
	mustAudit(t, c)
}

func TestViewAndUnavailableAt(t *testing.T) {
	c := withNodes("a", "gone", "b")
	window := func(id string, start time.Time, held time.Duration) {
		o := offerOf(id, "a", cm(1, 1))
		if !start.IsZero() {
			o.Unavailability = &Unavailability{Start: start}
		}
		c.Add(o, epoch.Add(held))
	}
	i := slotFor(t, c, "a")
	for _, slot := range []int32{i, -1, 99} {
		if at := c.UnavailableAt(slot); !at.IsZero() {
			t.Errorf("UnavailableAt(%d) = %s, want none", slot, at)
		}
	}
	window("o1", time.Time{}, time.Minute)
	window("o2", epoch.Add(2*time.Hour), 0)
	window("o3", epoch.Add(time.Hour), time.Hour)
	window("o4", epoch.Add(3*time.Hour), time.Hour)
	if at := c.UnavailableAt(i); !at.Equal(epoch.Add(time.Hour)) {
		t.Errorf("UnavailableAt = %s, want the earliest window", at)
	}
	c.Remove("o3", epoch)
	if at := c.UnavailableAt(i); !at.Equal(epoch.Add(2 * time.Hour)) {
		t.Errorf("UnavailableAt = %s, want the next window", at)
	}
	mustReserve(t, c, "a", "p", cm(1, 0), epoch)
	gone := slotFor(t, c, "gone")
	c.RemoveAgent("gone", epoch)
	if at := c.UnavailableAt(gone); !at.IsZero() {
		t.Errorf("UnavailableAt of a vacant slot = %s", at)
	}
	want := []AgentView{
		{
			AgentID: "a", Hostname: "a.example", Node: nodeOf("a"), Role: "web", Offers: []string{"o1", "o2", "o4"},
			Offered: cm(3, 3), Reserved: cm(1, 0), Batch: []string{"p"}, HeldSince: epoch,
		},
		{AgentID: "b", Hostname: "b.example", Node: nodeOf("b")},
	}
	if diff := cmp.Diff(want, c.View()); diff != "" {
		t.Errorf("View (-want +got):\n%s", diff)
	}
}

func TestAnyUnavailable(t *testing.T) {
	c := withNodes("a")
	mustAdd(t, c, offerOf("o1", "a", cm(1, 1)))
	if c.AnyUnavailable() {
		t.Error("true though no offer announced maintenance")
	}
	o := offerOf("o2", "a", cm(1, 1))
	o.Unavailability = &Unavailability{Start: epoch}
	mustAdd(t, c, o)
	if !c.AnyUnavailable() {
		t.Error("false though an offer announced maintenance")
	}
	c.Reset(epoch)
	if c.AnyUnavailable() {
		t.Error("true after Reset")
	}
}
