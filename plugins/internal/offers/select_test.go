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
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func nameOf(prefix string, i int) string { return prefix + strconv.Itoa(i) }

// fleet returns a cache in which slot i is agent i: 0, 3 and 4 fit 2 cpus and 2
// of memory; 1 is short of cpu, 2 of memory, 5 has no offer, 6 is in flight, 7 is
// no node, 8 is vacant, 9 is short of GPUs alone.
func fleet(t testing.TB) single {
	t.Helper()
	c := withNodes("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	full := resources.Vector{8, 8, 8, 1000}
	mustAdd(t, c, offerOf("o0", "0", full), offerOf("o1", "1", resources.Vector{1, 8, 8, 1000}),
		offerOf("o2", "2", resources.Vector{8, 1, 8, 1000}), offerOf("o3", "3", full), offerOf("o4", "4", full),
		offerOf("o6", "6", full), offerOf("o7", "7", full), offerOf("o9", "9", cm(8, 8)))
	mustReserve(t, c, "6", "p", cm(1, 1), epoch)
	c.Flush(epoch, epoch, FlushPolicy{Drained: true})
	c.SetNode("7", "")
	c.RemoveAgent("8", epoch)
	mustAudit(t, c)
	return c
}

func TestSelect(t *testing.T) {
	gpu := resources.Vector{2, 2, 0, 1000}
	tests := []struct {
		name         string
		need         resources.Vector
		start, limit int
		want         Selection
	}{
		{
			name: "all", need: cm(2, 2),
			want: Selection{Slots: []int32{0, 3, 4, 9}, NoOffer: 1, InFlight: 1, Short: [resources.NumKinds]int{1, 1}},
		},
		{
			name: "beyond cpu and memory", need: gpu,
			want: Selection{Slots: []int32{0, 3, 4}, NoOffer: 1, InFlight: 1, Short: [resources.NumKinds]int{resources.CPU: 1, resources.Memory: 1, resources.GPU: 1}},
		},
		{
			name: "need of nothing fits every offer", need: resources.Vector{},
			want: Selection{Slots: []int32{0, 1, 2, 3, 4, 9}, NoOffer: 1, InFlight: 1},
		},
		{
			name: "none fits", need: cm(100, 100),
			want: Selection{Slots: []int32{}, NoOffer: 1, InFlight: 1, Short: [resources.NumKinds]int{resources.CPU: 6}},
		},
		{
			name: "from the middle, around the end", need: cm(2, 2), start: 4,
			want: Selection{Slots: []int32{4, 9, 0, 3}, Next: 4, NoOffer: 1, InFlight: 1, Short: [resources.NumKinds]int{1, 1}},
		},
		{
			name: "start beyond the end", need: cm(2, 2), start: 10,
			want: Selection{Slots: []int32{0, 3, 4, 9}, NoOffer: 1, InFlight: 1, Short: [resources.NumKinds]int{1, 1}},
		},
		{
			name: "start before the beginning", need: cm(2, 2), start: -3, limit: 1,
			want: Selection{Slots: []int32{0}, More: true, Next: 1},
		},
		{
			name: "limit", need: cm(2, 2), limit: 2,
			want: Selection{Slots: []int32{0, 3}, More: true, Next: 4},
		},
		{
			name: "limit reached at the very end", need: cm(2, 2), limit: 4,
			want: Selection{Slots: []int32{0, 3, 4, 9}, NoOffer: 1, InFlight: 1, Short: [resources.NumKinds]int{1, 1}},
		},
		{
			name: "limit reached before going around", need: cm(2, 2), start: 9, limit: 1,
			want: Selection{Slots: []int32{9}, More: true},
		},
		{
			name: "limit above what fits", need: cm(2, 2), start: 1, limit: 5,
			want: Selection{Slots: []int32{3, 4, 9, 0}, Next: 1, NoOffer: 1, InFlight: 1, Short: [resources.NumKinds]int{1, 1}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			buf := []int32{42, 42}
			if diff := cmp.Diff(tt.want, fleet(t).Select(tt.need, tt.start, tt.limit, buf)); diff != "" {
				t.Errorf("Select (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("empty cache", func(t *testing.T) {
		if sel := newSingle().Select(cm(1, 1), 5, 5, nil); len(sel.Slots) != 0 || sel.More || sel.Next != 0 {
			t.Errorf("Select = %+v, want nothing", sel)
		}
	})
	t.Run("every agent has its turn", func(t *testing.T) {
		c, start := fleet(t), 0
		var got []int32
		for range 8 {
			sel := c.Select(cm(2, 2), start, 1, nil)
			got, start = append(got, sel.Slots...), sel.Next
		}
		if diff := cmp.Diff([]int32{0, 3, 4, 9, 0, 3, 4, 9}, got); diff != "" {
			t.Errorf("turns (-want +got):\n%s", diff)
		}
	})
}

func TestFits(t *testing.T) {
	type answer struct {
		Verdict Verdict
		Kind    resources.Kind
	}
	tests := []struct {
		name string
		slot int32
		need resources.Vector
		want answer
	}{
		{name: "fits exactly", need: resources.Vector{8, 8, 8, 1000}},
		{name: "nothing", slot: 1},
		{name: "short of cpu", slot: 1, need: cm(2, 2), want: answer{ShortOf, resources.CPU}},
		{name: "short of memory", slot: 2, need: cm(2, 2), want: answer{ShortOf, resources.Memory}},
		{name: "short of disk", need: resources.Vector{1, 1, 9, 9000}, want: answer{ShortOf, resources.Disk}},
		{name: "short of GPUs", slot: 9, need: resources.Vector{0, 0, 0, 1}, want: answer{ShortOf, resources.GPU}},
		{name: "no offer", slot: 5, want: answer{Verdict: NoOffer}},
		{name: "in flight", slot: 6, want: answer{Verdict: InFlight}},
		{name: "no node", slot: 7, want: answer{Verdict: NotAgent}},
		{name: "vacant", slot: 8, want: answer{Verdict: NotAgent}},
		{name: "never used", slot: 40, want: answer{Verdict: NotAgent}},
		{name: "beyond the columns", slot: 1 << 20, want: answer{Verdict: NotAgent}},
		{name: "negative", slot: -1, want: answer{Verdict: NotAgent}},
	}
	c := fleet(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, kind := c.Fits(tt.slot, &tt.need)
			if got := (answer{v, kind}); got != tt.want {
				t.Errorf("Fits = %+v, want %+v", got, tt.want)
			}
			// FreeOf says the same: negative exactly where nothing may be chosen.
			usable := v == Fitting || v == ShortOf
			if got := c.FreeOf(tt.slot); got.AnyNegative() == usable || (v == Fitting) != (usable && tt.need.Fits(got)) {
				t.Errorf("FreeOf = %s, verdict %d", got, v)
			}
		})
	}
	for slot, want := range map[int32]string{0: nodeOf("0"), 5: nodeOf("5"), 7: "", 8: "", 40: "", 1 << 20: "", -1: ""} {
		if got := c.NodeOf(slot); got != want {
			t.Errorf("NodeOf(%d) = %q, want %q", slot, got, want)
		}
	}
}

// Growth replaces the columns; readers that are in the middle of a scan must
// neither fail nor see an agent that was never there.
func TestColumnsGrowUnderReaders(t *testing.T) {
	defer goleak.VerifyNone(t)
	var current atomic.Pointer[single]
	first := newSingle()
	current.Store(&first)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := readGrowing(*current.Load()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const rounds, agents = 200, 300
	for range rounds {
		c := newSingle()
		current.Store(&c)
		for i := range agents {
			agent := nameOf("a", i)
			c.AddAgent(agent, agent)
			c.SetNode(agent, nodeOf(agent))
			mustAdd(t, c, offerOf(nameOf("o", i), agent, cm(2, 2)))
		}
		mustAudit(t, c)
		sel := c.Select(cm(1, 1), 0, 0, nil)
		if len(sel.Slots) != agents || !slices.IsSorted(sel.Slots) {
			t.Errorf("%d agents fit, want %d in order", len(sel.Slots), agents)
		}
	}
	close(stop)
	readers.Wait()
}

// readGrowing reads a cache that only grows until it stops growing.
func readGrowing(c single) error {
	need := cm(1, 1)
	var buf []int32
	for most := 0; ; {
		sel := c.Select(need, most, 0, buf)
		buf = sel.Slots
		if len(sel.Slots) < most {
			return fmt.Errorf("%d agents fit after %d did", len(sel.Slots), most)
		}
		if len(sel.Slots) == most {
			return nil
		}
		most = len(sel.Slots)
		for _, i := range sel.Slots {
			if v, _ := c.Fits(i, &need); v != Fitting || c.NodeOf(i) == "" || c.FreeOf(i) != cm(2, 2) {
				return fmt.Errorf("slot %d was selected: verdict %d, node %q, free %s", i, v, c.NodeOf(i), c.FreeOf(i))
			}
		}
	}
}
