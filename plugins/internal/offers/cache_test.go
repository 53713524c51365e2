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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestAddMergesOffersOfOneAgent(t *testing.T) {
	c := withNodes("a", "b")
	mustAdd(t, c, offerOf("o1", "a", cm(1000, 100)), offerOf("o2", "b", cm(7, 7)), offerOf("o3", "a", cm(500, 50)))
	i := slotFor(t, c, "a")
	if got, want := c.FreeOf(i), cm(1500, 150); got != want {
		t.Errorf("FreeOf = %s, want %s", got, want)
	}
	// No single offer holds this, their sum does exactly.
	mustReserve(t, c, "a", "pod", cm(1500, 150), epoch)
	due, _ := c.Flush(epoch, epoch, FlushPolicy{Drained: true})
	want := []Batch{{
		AgentID: "a", Role: "web", Node: nodeOf("a"), OfferIDs: []string{"o1", "o3"}, Members: plainMembers([]string{"pod"}, cm(1500, 150)),
		Offered: cm(1500, 150), Need: cm(1500, 150), OpenedAt: epoch,
	}}
	if diff := cmp.Diff(want, due); diff != "" {
		t.Errorf("Flush (-want +got):\n%s", diff)
	}
	count, sum := c.Totals()
	if count != 1 || sum != cm(7, 7) {
		t.Errorf("Totals = %d, %s, want b's offer alone", count, sum)
	}
	mustAudit(t, c)
}

func TestAddKnownOfferChangesNothing(t *testing.T) {
	c := withNodes("a")
	first, _, _ := c.Add(offerOf("o1", "a", cm(1000, 100)), epoch)
	again, _, added := c.Add(offerOf("o1", "a", cm(1000, 100)), epoch.Add(time.Hour))
	if added || again != first {
		t.Errorf("second Add = %d, %t, want %d, false", again, added, first)
	}
	if v := viewOf(t, c, "a"); v.Offered != cm(1000, 100) || !v.HeldSince.Equal(epoch) {
		t.Errorf("offered %s since %s, want the first one's", v.Offered, v.HeldSince)
	}
	mustAudit(t, c)
}

func TestAddAgentIsIdempotent(t *testing.T) {
	c := newSingle()
	i := c.AddAgent("a", "")
	if again := c.AddAgent("a", "a.example"); again != i {
		t.Errorf("second AddAgent = %d, want %d", again, i)
	}
	if got := viewOf(t, c, "a").Hostname; got != "a.example" {
		t.Errorf("hostname = %q, want the one learnt later", got)
	}
	c.AddAgent("a", "")
	if got := viewOf(t, c, "a").Hostname; got != "a.example" {
		t.Errorf("hostname = %q, want it kept", got)
	}
	if got := c.r.Name(); got != "web" {
		t.Errorf("Role = %q", got)
	}
	if _, ok := c.Slot("b"); ok {
		t.Error("an agent never heard of has a slot")
	}
	mustAudit(t, c)
}

func TestAgentWithoutNodeIsHidden(t *testing.T) {
	c := newSingle()
	mustAdd(t, c, offerOf("o1", "a", cm(1000, 100)))
	i := slotFor(t, c, "a")
	var nothing resources.Vector
	hidden := func(when string) {
		t.Helper()
		if v, _ := c.Fits(i, &nothing); v != NotAgent {
			t.Errorf("%s: Fits = %d, want NotAgent", when, v)
		}
		if sel := c.Select(nothing, 0, 0, nil); len(sel.Slots) != 0 {
			t.Errorf("%s: Select = %v, want none", when, sel.Slots)
		}
		if !c.FreeOf(i).AnyNegative() {
			t.Errorf("%s: FreeOf = %s, want negative", when, c.FreeOf(i))
		}
		if got := c.NodeOf(i); got != "" {
			t.Errorf("%s: NodeOf = %q, want none", when, got)
		}
		if err := c.Reserve(i, "late", nothing, epoch); !errors.Is(err, ErrNoOffer) {
			t.Errorf("%s: Reserve = %v, want ErrNoOffer", when, err)
		}
		mustAudit(t, c)
	}
	hidden("before SetNode")
	c.SetNode("a", "n")
	if v, _ := c.Fits(i, &nothing); v != Fitting || c.NodeOf(i) != "n" || c.FreeOf(i) != cm(1000, 100) {
		t.Errorf("after SetNode: verdict %d, node %q, free %s", v, c.NodeOf(i), c.FreeOf(i))
	}
	mustReserve(t, c, "a", "pod", cm(1, 1), epoch)
	c.SetNode("a", "")
	hidden("after withdrawal")
	c.SetNode("nobody", "n")
	// The withdrawal leaves the open batch to be sent or released.
	due, _ := c.Flush(epoch, epoch, FlushPolicy{Drained: true})
	if len(due) != 1 || due[0].Node != "n" || len(due[0].Members) != 1 {
		t.Errorf("Flush = %+v, want pod's batch for the node it was promised", due)
	}
}

// A reservation is for the node that was looked at. When the agent turns out to
// be another node, nobody may join the batch of those that meant the first.
func TestSetNodeNeverMixesNodesInABatch(t *testing.T) {
	c := withNodes("a")
	mustAdd(t, c, offerOf("o1", "a", cm(1000, 100)))
	i := slotFor(t, c, "a")
	mustReserve(t, c, "a", "old", cm(1, 1), epoch)
	c.SetNode("a", "other")
	need := cm(1, 1)
	if v, _ := c.Fits(i, &need); v != NotAgent {
		t.Errorf("Fits = %d, want NotAgent while the old node's batch is open", v)
	}
	if err := c.Reserve(i, "new", need, epoch); !errors.Is(err, ErrNoOffer) {
		t.Errorf("Reserve = %v, want ErrNoOffer", err)
	}
	mustAudit(t, c)
	if !c.Release("old") {
		t.Fatal("old is not in the batch")
	}
	mustReserve(t, c, "a", "new", need, epoch)
	due, _ := c.Flush(epoch, epoch, FlushPolicy{Drained: true})
	if len(due) != 1 || due[0].Node != "other" || !cmp.Equal(due[0].IDs(), []string{"new"}) {
		t.Errorf("Flush = %+v, want new's batch for the other node", due)
	}
	mustAudit(t, c)
}

func TestRemove(t *testing.T) {
	type pod struct {
		id   string
		need resources.Vector
	}
	gpu := func(n int64) resources.Vector { return resources.Vector{resources.GPU: n} }
	tests := []struct {
		name   string
		offers []resources.Vector // o0, o1, ...
		pods   []pod
		remove string
		broken []string
		left   resources.Vector
	}{
		{
			name: "unknown", offers: []resources.Vector{cm(4, 4)}, pods: []pod{{"p", cm(1, 1)}},
			remove: "nobody's", left: cm(3, 3),
		},
		{
			name: "no batch", offers: []resources.Vector{cm(4, 4), cm(2, 2)}, remove: "o0", left: cm(2, 2),
		},
		{
			name: "the rest still holds all", offers: []resources.Vector{cm(4, 4), cm(2, 2)},
			pods: []pod{{"p", cm(1, 1)}, {"q", cm(1, 1)}}, remove: "o0",
		},
		{
			name: "youngest first", offers: []resources.Vector{cm(4, 4), cm(2, 2)},
			pods: []pod{{"p", cm(1, 1)}, {"q", cm(1, 1)}, {"r", cm(1, 1)}, {"s", cm(1, 1)}}, remove: "o0",
			broken: []string{"s", "r"},
		},
		{
			name: "a large young one is enough", offers: []resources.Vector{cm(4, 4), cm(2, 2)},
			pods: []pod{{"p", cm(1, 1)}, {"q", cm(5, 5)}}, remove: "o0",
			broken: []string{"q"}, left: cm(1, 1),
		},
		{
			name: "a small young one stays when a large old one goes", offers: []resources.Vector{cm(4, 4), cm(2, 2)},
			pods: []pod{{"p", cm(3, 3)}, {"q", cm(2, 2)}}, remove: "o0",
			broken: []string{"p"},
		},
		{
			name: "the last offer breaks all", offers: []resources.Vector{cm(4, 4)},
			pods: []pod{{"p", cm(1, 1)}, {"q", cm(1, 1)}}, remove: "o0", broken: []string{"q", "p"},
		},
		{
			name: "the last offer breaks even those that need nothing", offers: []resources.Vector{cm(4, 4)},
			pods: []pod{{"p", cm(0, 0)}}, remove: "o0", broken: []string{"p"},
		},
		{
			name: "bystanders stay", offers: []resources.Vector{cm(4, 4), gpu(2)},
			pods: []pod{{"p", cm(1, 1)}, {"g", gpu(1)}, {"q", cm(1, 1)}}, remove: "o1",
			broken: []string{"g"}, left: cm(2, 2),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := withNodes("a")
			for n, free := range tt.offers {
				mustAdd(t, c, offerOf("o"+string(rune('0'+n)), "a", free))
			}
			for _, p := range tt.pods {
				mustReserve(t, c, "a", p.id, p.need, epoch)
			}
			if diff := cmp.Diff(tt.broken, c.Remove(tt.remove, epoch)); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			mustAudit(t, c)
			if v := viewOf(t, c, "a"); v.Offered.Sub(v.Reserved) != tt.left {
				t.Errorf("offered %s, reserved %s, want %s left", v.Offered, v.Reserved, tt.left)
			}
			for _, id := range tt.broken {
				if c.Release(id) {
					t.Errorf("%s is still in the batch", id)
				}
			}
		})
	}
}

func TestRemoveAgentAndSlotReuse(t *testing.T) {
	c := withNodes("a", "b")
	mustAdd(t, c, offerOf("o1", "a", cm(4, 4)), offerOf("o2", "b", cm(4, 4)))
	mustReserve(t, c, "a", "p", cm(1, 1), epoch)
	mustReserve(t, c, "a", "q", cm(1, 1), epoch)
	i := slotFor(t, c, "a")
	if diff := cmp.Diff([]string{"p", "q"}, c.RemoveAgent("a", epoch)); diff != "" {
		t.Errorf("broken (-want +got):\n%s", diff)
	}
	if broken := c.RemoveAgent("a", epoch); broken != nil {
		t.Errorf("second RemoveAgent = %v", broken)
	}
	if _, ok := c.Slot("a"); ok || c.NodeOf(i) != "" || !c.FreeOf(i).AnyNegative() {
		t.Error("the agent is still to be seen")
	}
	if err := c.Reserve(i, "p", cm(1, 1), epoch); !errors.Is(err, ErrNoOffer) {
		t.Errorf("Reserve of a vacant slot = %v, want ErrNoOffer", err)
	}
	mustAudit(t, c)
	// The next agent takes the same slot and nothing of the old one's.
	if got := c.AddAgent("c", "c.example"); got != i {
		t.Errorf("AddAgent = %d, want the vacant %d", got, i)
	}
	if v := viewOf(t, c, "c"); v.Offers != nil || v.Batch != nil || v.Node != "" || v.InFlight {
		t.Errorf("the new agent inherited %+v", v)
	}
	// The void offer's id and the broken reservations' ids are free again.
	c.SetNode("c", "n")
	mustAdd(t, c, offerOf("o1", "c", cm(2, 2)))
	mustReserve(t, c, "c", "p", cm(2, 2), epoch)
	if count, sum := c.Totals(); count != 2 || sum != cm(6, 6) {
		t.Errorf("Totals = %d, %s", count, sum)
	}
	mustAudit(t, c)
}

func TestReset(t *testing.T) {
	c := withNodes("a", "b", "c", "gone")
	mustAdd(t, c, offerOf("o1", "a", cm(4, 4)), offerOf("o2", "b", cm(4, 4)), offerOf("o3", "c", cm(4, 4)))
	mustReserve(t, c, "c", "p", cm(1, 1), epoch)
	mustReserve(t, c, "a", "q", cm(1, 1), epoch)
	mustReserve(t, c, "a", "r", cm(1, 1), epoch)
	c.RemoveAgent("gone", epoch)
	broken := c.Reset(epoch)
	if diff := cmp.Diff([]string{"q", "r", "p"}, broken); diff != "" {
		t.Errorf("broken (-want +got):\n%s", diff)
	}
	if count, sum := c.Totals(); count != 0 || !sum.IsZero() || len(c.View()) != 0 {
		t.Errorf("left: %d offers, %s, %v", count, sum, c.View())
	}
	if due, next := c.Flush(epoch, epoch, FlushPolicy{Drained: true}); due != nil || !next.IsZero() {
		t.Errorf("Flush = %v, %s, want nothing", due, next)
	}
	if broken := c.Reset(epoch); broken != nil {
		t.Errorf("second Reset = %v", broken)
	}
	mustAudit(t, c)
	for _, agent := range []string{"d", "e", "f", "g"} {
		if i := c.AddAgent(agent, ""); i > 3 {
			t.Errorf("agent %s got the new slot %d, want a vacant one", agent, i)
		}
	}
	mustAudit(t, c)
}

func TestReserve(t *testing.T) {
	tests := []struct {
		name     string
		slot     int32
		id       string
		need     resources.Vector
		noOffer  bool
		short    *ShortError
		contains string
	}{
		{name: "fits exactly", id: "p", need: cm(3, 3)},
		{name: "needs nothing", id: "p"},
		{name: "cpu one short", id: "p", need: cm(4, 3), short: &ShortError{Lacks: "cpu", Need: bundleOf(cm(4, 3)), Free: cm(3, 3)}},
		{name: "memory one short", id: "p", need: cm(3, 4), short: &ShortError{Lacks: "memory", Need: bundleOf(cm(3, 4)), Free: cm(3, 3)}},
		{
			name: "kind that is not offered", id: "p", need: resources.Vector{resources.GPU: 1},
			short: &ShortError{Lacks: "gpu", Need: bundleOf(resources.Vector{resources.GPU: 1}), Free: cm(3, 3)},
		},
		{name: "no offer", slot: 1, id: "p", need: cm(1, 1), noOffer: true},
		{name: "no such slot", slot: 99, id: "p", noOffer: true},
		{name: "negative slot", slot: -1, id: "p", noOffer: true},
		{name: "twice", id: "first", need: cm(1, 1), contains: `"first"`},
		// It would make room that the agent never offered.
		{name: "less than nothing", id: "p", need: cm(1, -1), contains: "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := withNodes("a", "b")
			mustAdd(t, c, offerOf("o1", "a", cm(4, 4)))
			mustReserve(t, c, "a", "first", cm(1, 1), epoch)
			err := c.Reserve(tt.slot, tt.id, tt.need, epoch)
			var short *ShortError
			switch {
			case tt.noOffer:
				if !errors.Is(err, ErrNoOffer) {
					t.Errorf("error = %v, want ErrNoOffer", err)
				}
			case tt.short != nil:
				if !errors.As(err, &short) || !cmp.Equal(short, tt.short) || !strings.Contains(err.Error(), tt.short.Lacks) {
					t.Errorf("error = %v, want %v", err, tt.short)
				}
			case tt.contains != "":
				if err == nil || !strings.Contains(err.Error(), tt.contains) {
					t.Errorf("error = %v, want one that tells of %s", err, tt.contains)
				}
			case err != nil:
				t.Errorf("error = %v, want none", err)
			}
			wantReserved := cm(1, 1)
			if err == nil {
				wantReserved = wantReserved.Add(tt.need)
			}
			if got := viewOf(t, c, "a").Reserved; got != wantReserved {
				t.Errorf("reserved %s, want %s", got, wantReserved)
			}
			mustAudit(t, c)
		})
	}
}

func TestReleaseGivesBack(t *testing.T) {
	c := withNodes("a")
	mustAdd(t, c, offerOf("o1", "a", cm(4, 4)))
	mustReserve(t, c, "a", "p", cm(3, 1), epoch)
	mustReserve(t, c, "a", "q", cm(1, 3), epoch.Add(time.Second))
	if c.Release("nobody") {
		t.Error("released what was never reserved")
	}
	if !c.Release("p") || c.Release("p") {
		t.Error("p must be released exactly once")
	}
	if got, want := c.FreeOf(0), cm(3, 1); got != want {
		t.Errorf("free %s, want %s", got, want)
	}
	mustAudit(t, c)
	if !c.Release("q") {
		t.Error("q was not released")
	}
	// The batch is closed: the next reservation opens one of its own age.
	later := epoch.Add(time.Minute)
	mustReserve(t, c, "a", "p", cm(4, 4), later)
	due, _ := c.Flush(later, later, FlushPolicy{Drained: true})
	if len(due) != 1 || !due[0].OpenedAt.Equal(later) || due[0].Need != cm(4, 4) {
		t.Errorf("Flush = %+v", due)
	}
	if c.Release("p") {
		t.Error("released what was sent")
	}
	mustAudit(t, c)
}

func TestVersionChangesWithWhatCame(t *testing.T) {
	c := withNodes("a")
	steps := []struct {
		name    string
		do      func()
		changes bool
	}{
		{name: "an offer", do: func() { c.Add(offerOf("o1", "a", cm(4, 4)), epoch) }, changes: true},
		{name: "the same offer", do: func() { c.Add(offerOf("o1", "a", cm(4, 4)), epoch) }},
		{name: "another node", do: func() { c.SetNode("a", "n") }, changes: true},
		{name: "the same node", do: func() { c.SetNode("a", "n") }},
		{name: "a rescind", do: func() { c.Remove("o1", epoch) }},
	}
	for _, step := range steps {
		before := c.Version()
		step.do()
		if changed := c.Version() != before; changed != step.changes {
			t.Errorf("%s: version changed %t, want %t", step.name, changed, step.changes)
		}
	}
}
