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
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// compare tells the first difference between what the cache says through its
// exported methods and what the model says.
func (r *run) compare() error {
	if err := r.compareAgents(); err != nil {
		return err
	}
	for _, need := range []resources.Vector{{}, {1, 1}, {3, 0, 1}, {0, 2, 0, 1}} {
		if err := r.compareReaders(need); err != nil {
			return fmt.Errorf("need %s: %w", need, err)
		}
	}
	if err := fates("offer", fateHeld, r.m.offerFate, r.offerFate, fateVoid); err != nil {
		return err
	}
	return fates("reservation", fateOpen, r.m.podFate, r.podFate, "")
}

func (r *run) compareAgents() error {
	views := r.c.View()
	if len(views) != len(r.m.agents) {
		return fmt.Errorf("%d agents are in the view, want %d", len(views), len(r.m.agents))
	}
	var total resources.Vector
	count := 0
	for _, v := range views {
		a := r.m.agents[v.AgentID]
		if a == nil {
			return fmt.Errorf("agent %s is in the view, but was removed", v.AgentID)
		}
		var predicted resources.Vector
		if a.predicted != nil {
			predicted = *a.predicted
		}
		got := []any{v.Node, v.Offers, v.Batch, v.Offered, v.Reserved, v.InFlight, v.Predicted}
		want := []any{a.node, idsOf(a.offers), idsOf(a.pods), sumOf(a.offers), sumOf(a.pods), a.inFlight, predicted}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("agent %s (-want +got):\n%s", v.AgentID, diff)
		}
		if a.free().AnyNegative() {
			return fmt.Errorf("agent %s is over-committed: free %s", v.AgentID, a.free())
		}
		count, total = count+len(a.offers), total.Add(sumOf(a.offers))
	}
	if r.c.r.Held() != count {
		return fmt.Errorf("Held = %d, want %d", r.c.r.Held(), count)
	}
	if n, sum := r.c.Totals(); n != count || sum != total {
		return fmt.Errorf("Totals = %d, %s, want %d, %s", n, sum, count, total)
	}
	return nil
}

// compareReaders compares Fits, FreeOf and NodeOf of every agent, and Select from
// a few starts with a few limits.
func (r *run) compareReaders(need resources.Vector) error {
	var want Selection
	var foreseen []int32
	n, count := 0, 0
	for name, a := range r.m.agents {
		i, ok := r.c.Slot(name)
		if !ok {
			return fmt.Errorf("agent %s has no slot", name)
		}
		verdict, kind := a.verdict(need, true)
		if v, lacks := r.c.r.Fits(i, &Want{Need: bundleOf(need), Predicted: true}); v != verdict || v == ShortOf && lacks != kind.String() {
			return fmt.Errorf("agent %s: with predictions Fits = %d, %s, want %d, %s", name, v, lacks, verdict, kind)
		}
		if verdict == Fitting && a.predicted != nil {
			foreseen = append(foreseen, i)
		}
		if free, ok := r.c.r.PredictedOf(i); ok != (a.predicted != nil) || ok && (free != Free{AgentID: name, Regular: a.free(), All: a.free()}) {
			return fmt.Errorf("agent %s: PredictedOf = %v, %t", name, free, ok)
		}
		verdict, kind = a.verdict(need, false)
		if v, k := r.c.Fits(i, &need); v != verdict || k != kind {
			return fmt.Errorf("agent %s: Fits = %d, %s, want %d, %s", name, v, k, verdict, kind)
		}
		usable := verdict == Fitting || verdict == ShortOf
		if free := r.c.FreeOf(i); usable && free != a.free() || !usable && !free.AnyNegative() {
			return fmt.Errorf("agent %s: FreeOf = %s, usable %t, want %s", name, free, usable, a.free())
		}
		if node := r.c.NodeOf(i); node != a.node {
			return fmt.Errorf("agent %s: NodeOf = %q, want %q", name, node, a.node)
		}
		if usable && countable(need, a.free()) {
			count++
		}
		switch verdict {
		case Fitting:
			want.Slots = append(want.Slots, i)
		case NoOffer:
			want.NoOffer++
		case InFlight:
			want.InFlight++
		case ShortOf:
			if need[resources.GPU] == 0 {
				kind = scanned(need, a.free(), kind)
			}
			want.Short[kind]++
		}
		n = max(n, int(i)+1)
	}
	slices.Sort(want.Slots)
	if got := r.c.Count(need); got != count {
		return fmt.Errorf("Count = %d, want %d", got, count)
	}
	for _, start := range []int{0, n / 2, max(0, n-1)} {
		if len(want.Slots) == 0 && len(foreseen) > 0 {
			if err := r.comparePredicted(need, start, foreseen); err != nil {
				return err
			}
			continue
		}
		if err := r.compareSelect(need, start, want); err != nil {
			return err
		}
	}
	return nil
}

// countable is what Count counts.
func countable(need, free resources.Vector) bool {
	if need[resources.Disk] > 0 || need[resources.GPU] > 0 {
		return need.Fits(free)
	}
	cpu, memory := brieflyShort(need, free)
	return !cpu && !memory
}

// scanned is the resource that a scan names where first is the first that is short
// exactly: one that is short even by the short amounts comes before it.
func scanned(need, free resources.Vector, first resources.Kind) resources.Kind {
	switch cpu, memory := brieflyShort(need, free); {
	case cpu:
		return resources.CPU
	case memory:
		return resources.Memory
	}
	return first
}

func brieflyShort(need, free resources.Vector) (cpu, memory bool) {
	return float(need[resources.CPU]) > float(free[resources.CPU]),
		float(need[resources.Memory]>>memoryUnit) > float(free[resources.Memory]>>memoryUnit)
}

func (r *run) compareSelect(need resources.Vector, start int, want Selection) error {
	at, _ := slices.BinarySearch(want.Slots, int32(start))
	turned := slices.Concat(want.Slots[at:], want.Slots[:at])
	all := r.c.Select(need, start, 0, nil)
	if !slices.Equal(all.Slots, turned) || all.More || all.Predicted || all.Next != start ||
		all.NoOffer != want.NoOffer || all.InFlight != want.InFlight || all.Short != want.Short {
		return fmt.Errorf("Select from %d = %+v, want slots %v and %+v", start, all, turned, want)
	}
	if len(turned) < 2 {
		return nil
	}
	// In two portions, the second from where the first ended, come the same.
	half := len(turned) / 2
	first := r.c.Select(need, start, half, nil)
	if !first.More || !slices.Equal(first.Slots, turned[:half]) {
		return fmt.Errorf("Select %d from %d = %v, more %t, want %v and more", half, start, first.Slots, first.More, turned[:half])
	}
	second := r.c.Select(need, first.Next, len(turned)-half, nil)
	if !slices.Equal(second.Slots, turned[half:]) {
		return fmt.Errorf("Select from %d = %v, want %v", first.Next, second.Slots, turned[half:])
	}
	return nil
}

// comparePredicted compares Select where only predictions fit, which are in no order.
func (r *run) comparePredicted(need resources.Vector, start int, want []int32) error {
	slices.Sort(want)
	for limit := range len(want) + 2 {
		sel := r.c.r.Select(&Want{Need: bundleOf(need), Predicted: start > 0}, start, limit, nil)
		got := slices.Sorted(slices.Values(sel.Slots))
		count := len(want)
		if limit > 0 {
			count = min(count, limit)
		}
		for n, i := range got {
			if !slices.Contains(want, i) || n > 0 && got[n-1] == i {
				return fmt.Errorf("Select = %v, want predictions of %v", got, want)
			}
		}
		if len(got) != count || !sel.Predicted || len(got) < len(want) && !sel.More {
			return fmt.Errorf("Select %d from %d = %+v, want %d predictions of %v", limit, start, sel, count, want)
		}
	}
	return nil
}

// fates checks that everything ever taken in is still there or was handed out
// exactly once, for the reason that the model knows. What is void without a
// message (the agent or the subscription ended) is handed out never.
func fates(what, still string, want map[string]string, got map[string][]string, silent string) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d of %d %ss are accounted for", len(got), len(want), what)
	}
	for id, fate := range want {
		var once []string
		if fate != still && fate != silent {
			once = []string{fate}
		}
		if !slices.Equal(got[id], once) {
			return fmt.Errorf("%s %s is %s, but the cache said %v", what, id, fate, got[id])
		}
	}
	return nil
}
