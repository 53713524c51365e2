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
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func setTotals(c single, of map[string]resources.Vector) {
	list := map[string]Capacity{}
	for agent, total := range of {
		list[agent] = Capacity{Total: total}
	}
	c.SetCapacities(list)
}

// explained is what Select and Explain say together of a cache in which nothing fits.
func explained(t *testing.T, r *Role, want *Want) (Selection, Undersized) {
	t.Helper()
	sel := r.Select(want, 0, 0, nil)
	if len(sel.Slots) > 0 {
		t.Fatalf("%v fits slots %v", want.Need, sel.Slots)
	}
	undersized := r.Explain(want, &sel)
	sel.Slots = nil
	return sel, undersized
}

func TestExplainTooSmallAgents(t *testing.T) {
	c := withNodes("none", "offered", "declined", "spent", "big", "unknown")
	setTotals(c, map[string]resources.Vector{
		"none": cm(4, 8), "offered": cm(4, 8), "declined": cm(4, 8), "spent": cm(4, 8), "big": cm(64, 8), "nobody": cm(1, 1),
	})
	mustAdd(t, c, offerOf("o1", "offered", cm(2, 8)), offerOf("o2", "declined", cm(2, 8)), offerOf("o3", "spent", cm(4, 8)))
	c.Sweep(epoch, func(h Held) bool { return h.AgentID == "declined" })
	mustReserve(t, c, "spent", "r", cm(1, 1), epoch)
	c.Flush(epoch, epoch, FlushPolicy{MaxTasks: 1})
	cpu, memory := Undersized{resources.CPU: 4}, Undersized{resources.Memory: 5}
	for _, test := range []struct {
		name       string
		want       *Want
		sel        Selection
		undersized Undersized
	}{
		{"an agent could hold it", Plain(cm(3, 8)), Selection{NoOffer: 3, InFlight: 1, Short: [resources.NumKinds]int{resources.CPU: 2}}, Undersized{}},
		{"one agent could hold it", Plain(cm(5, 8)), Selection{NoOffer: 2}, cpu},
		{"none could hold it", Plain(cm(1, 9)), Selection{NoOffer: 1}, memory},
		{"a pod that may ride", &Want{Need: bundleOf(cm(5, 8)), Revocable: RevocableAllowed},
			Selection{NoOffer: 3, InFlight: 1, Short: [resources.NumKinds]int{resources.CPU: 2}}, Undersized{}},
		{"reserved resources only", &Want{Need: bundleOf(cm(5, 8)), Order: ReservedOnly}, Selection{NoOffer: 2}, cpu},
	} {
		t.Run(test.name, func(t *testing.T) {
			sel, undersized := explained(t, c.r, test.want)
			if diff := cmp.Diff(test.sel, sel, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the selection (-want +got):\n%s", diff)
			}
			if undersized != test.undersized {
				t.Errorf("too small are %v, want %v", undersized, test.undersized)
			}
		})
	}
}

func TestTooSmall(t *testing.T) {
	c := newSingle()
	for i := range 2 * firstSize { // The columns grow.
		addNodes(c.Cache, fmt.Sprint("a", i))
		setTotals(c, map[string]resources.Vector{fmt.Sprint("a", i): cm(int64(i+1), 8)})
	}
	slot := slotFor(t, c, "a9")
	for _, test := range []struct {
		slot  int32
		need  resources.Vector
		lacks string
	}{
		{slot, cm(10, 8), ""}, {slot, cm(11, 9), "cpu"}, {slot, cm(10, 9), "memory"}, {slot, resources.Vector{resources.GPU: 1}, "gpu"},
		{slotFor(t, c, "a0"), cm(2, 1), "cpu"}, {-1, cm(99, 99), ""}, {1 << 20, cm(99, 99), ""},
	} {
		if got := c.r.TooSmall(test.slot, Plain(test.need)); got != test.lacks {
			t.Errorf("slot %d has too little of %q for %v, want %q", test.slot, got, test.need, test.lacks)
		}
	}
	// What is said of an agent anew counts, and who comes in its place is not it.
	setTotals(c, map[string]resources.Vector{"a9": cm(16, 8)})
	if got := c.r.TooSmall(slot, Plain(cm(11, 1))); got != "" {
		t.Errorf("an agent that has grown lacks %s", got)
	}
	c.RemoveAgent("a9", epoch)
	addNodes(c.Cache, "new")
	if at := slotFor(t, c, "new"); at != slot || c.r.TooSmall(at, Plain(cm(99, 99))) != "" {
		t.Errorf("a new agent at slot %d of %d is too small, which nobody said", at, slot)
	}
}

// TestCapacityOfRole: what is reserved is for its role, those below it and its owner.
func TestCapacityOfRole(t *testing.T) {
	c := NewCache(Config{Classify: func(f *resources.Flavour) (string, bool) {
		labels := f.Reserved().Labels
		if len(labels) == 0 {
			return "", true
		}
		return labels[0].Value, labels[0].Key == "owner"
	}})
	addNodes(c, "a")
	reserved := func(role string, amount resources.Vector, labels ...resources.Label) resources.Portion {
		return resources.Portion{Flavour: reservedFor(role, true, labels...), Bundle: bundleOf(amount)}
	}
	c.SetCapacities(map[string]Capacity{"a": {Total: cm(31, 31), Reserved: []resources.Portion{
		reserved("eng", cm(1, 1)), reserved("eng/ads", cm(2, 2)), reserved("engine", cm(4, 4)),
		reserved("eng", cm(8, 8), resources.Label{Key: "owner", Value: "me"}), reserved("eng", cm(15, 15), resources.Label{Key: "kafka"}),
	}}})
	for _, test := range []struct {
		role, owner string
		has         int64
	}{{"*", "", 1}, {"eng", "", 2}, {"eng/ads", "", 4}, {"eng/ads/web", "", 4}, {"eng/x", "", 2}, {"engine", "", 5}, {"en", "", 1},
		{"eng", "me", 10}, {"eng/ads", "me", 12}, {"eng", "other", 2}} {
		for more, lacks := range map[int64]string{0: "", 1: "cpu"} {
			want := Plain(cm(test.has+more, 1))
			want.Owner = test.owner
			if got := c.Role(test.role).TooSmall(0, want); got != lacks {
				t.Errorf("%v in role %s of %q lacks %q, want %q", want.Need, test.role, test.owner, got, lacks)
			}
		}
	}
}

// TestLeastTotal: the bound that keeps Explain from looking at all agents is never
// above one of them.
func TestLeastTotal(t *testing.T) {
	c := withNodes("a", "b")
	if c.anyTooSmall(Plain(cm(99, 99))) {
		t.Error("agents of which nothing is known are too small")
	}
	setTotals(c, map[string]resources.Vector{"a": cm(4, 8), "b": cm(8, 4)})
	for need, any := range map[resources.Vector]bool{cm(4, 4): false, cm(5, 1): true, cm(1, 5): true} {
		if got := c.anyTooSmall(Plain(need)); got != any {
			t.Errorf("some agent too small for %v: %t", need, got)
		}
	}
	setTotals(c, map[string]resources.Vector{"b": cm(8, 8)})
	if c.anyTooSmall(Plain(cm(4, 8))) {
		t.Error("the least stayed when the agent grew")
	}
	if !c.anyTooSmall(Plain(cm(4, 9))) {
		t.Error("an agent that was left out is forgotten")
	}
}
