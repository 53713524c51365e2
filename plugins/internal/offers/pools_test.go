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
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// What the columns show is what any pod may have, and FreeOf tells the rest.
func TestFreeByFlavour(t *testing.T) {
	_, r := withRich(t)
	if free, ok := r.FreeOf(0); !ok || free != (Free{AgentID: "a", Regular: cm(67, 670), All: cm(123, 1230)}) {
		t.Errorf("FreeOf = %v, want all but revocable and labelled, and all but the foreign", free)
	}
	if v, lacks := r.Fits(0, Plain(cm(68, 0))); v != ShortOf || lacks != "cpu" {
		t.Errorf("Fits = %d, %q", v, lacks)
	}
	// Without a word about labels those that have some are nobody's.
	c := NewCache(Config{})
	addNodes(c, "a")
	mustAdd(t, c, rich())
	if free, _ := c.Role("web").FreeOf(0); free != (Free{AgentID: "a", Regular: cm(67, 670), All: cm(99, 990)}) {
		t.Errorf("by default FreeOf = %v", free)
	}
	mustAudit(t, c)
}

func TestWithhold(t *testing.T) {
	c, r := withRich(t)
	mustAdd(t, c, offerTo("eng", "e", "a", cm(5, 5)))
	before := c.Version()
	c.Withhold("nobody", cm(1, 1))
	if c.Version() != before {
		t.Error("the version changed though nothing did")
	}
	// All of the unreserved cpus, and more memory than there is.
	c.Withhold("a", cm(1, 1000))
	mustAudit(t, c)
	if c.Version() == before {
		t.Error("the version did not change")
	}
	if free, _ := r.FreeOf(0); free != (Free{AgentID: "a", Regular: cm(66, 660), All: cm(122, 1220)}) {
		t.Errorf("FreeOf = %v, want the reserved part untouched", free)
	}
	if free, _ := c.Role("eng").FreeOf(0); free != (Free{AgentID: "a", Regular: cm(4, 0), All: cm(4, 0)}) {
		t.Errorf("eng: FreeOf = %v", free)
	}
	if v, lacks := c.Role("eng").Fits(0, Plain(cm(5, 0))); v != ShortOf || lacks != "cpu" {
		t.Errorf("eng: Fits = %d, %q", v, lacks)
	}
	var short *ShortError
	if _, err := c.Role("eng").Reserve(0, "p", Plain(cm(1, 1)), epoch); !errors.As(err, &short) || short.Lacks != "memory" || short.Free != cm(4, 0) {
		t.Errorf("Reserve = %v, want short of memory", err)
	}
	if _, err := r.Reserve(0, "p", wantOf(cm(1, 0), func(w *Want) { w.Reserve = mine }), epoch); !errors.As(err, &short) || short.Lacks != "cpu" {
		t.Errorf("Reserve = %v, want short of unreserved cpu", err)
	}
	reserveIn(t, c, "web", "a", "p", Plain(cm(66, 660)), epoch)
	mustAudit(t, c)
	// A batch from which nobody can take is complete, whatever is withheld.
	reserveIn(t, c, "eng", "a", "q", Plain(cm(4, 0)), epoch)
	if !c.Role("eng").Complete(0, FlushPolicy{MaxTasks: 9, Smallest: cm(1, 0)}) {
		t.Error("the batch is not complete though the rest is withheld")
	}
	// More is withheld than is left: nobody is thrown out, nobody gets in.
	c.Withhold("a", cm(5, 5))
	mustAudit(t, c)
	if free, ok := c.Role("eng").FreeOf(0); !ok || !free.Regular.IsZero() {
		t.Errorf("eng: FreeOf = %v, %t, want nothing", free, ok)
	}
	c.Withhold("a", cm(-3, 0))
	mustAudit(t, c)
	if free, _ := c.Role("eng").FreeOf(0); free.Regular != cm(1, 5) {
		t.Errorf("eng: FreeOf = %v, want what was offered and not taken", free)
	}
	// A rescind shares out what is not withheld.
	mustAdd(t, c, offerTo("eng", "e2", "a", cm(1, 0)))
	c.Withhold("a", cm(0, 3))
	reserveIn(t, c, "eng", "a", "s", Plain(cm(0, 2)), epoch)
	if broken := c.Remove("e", epoch); !cmp.Equal(broken, []string{"s", "q"}) {
		t.Errorf("Remove broke %v, want q and s", broken)
	}
	mustAudit(t, c)
}

func TestKeepGPUs(t *testing.T) {
	gpu := func(cpu, gpus int64) resources.Vector {
		return resources.Vector{resources.CPU: cpu, resources.GPU: gpus}
	}
	for _, keep := range []bool{true, false} {
		c := NewCache(Config{KeepGPUs: keep})
		addNodes(c, "plain", "gpu", "used")
		mustAdd(t, c, offerOf("o1", "plain", cm(8, 8)), offerOf("o2", "gpu", gpu(8, 2000)), offerOf("o3", "used", cm(8, 8)))
		c.HasGPUs("used")
		c.HasGPUs("unknown")
		mustAudit(t, c)
		r := c.Role("web")
		wantSel := Selection{Slots: []int32{0, 1, 2}}
		if keep {
			wantSel = Selection{Slots: []int32{0}, Kept: 2}
		}
		if diff := cmp.Diff(wantSel, r.Select(Plain(cm(1, 0)), 0, 0, nil)); diff != "" {
			t.Errorf("keep %t: Select (-want +got):\n%s", keep, diff)
		}
		// The same of a want that is judged under the lock.
		only := wantOf(cm(0, 0), func(w *Want) { w.Owner = "x" })
		if diff := cmp.Diff(wantSel, r.Select(only, 0, 0, nil)); diff != "" {
			t.Errorf("keep %t: exact Select (-want +got):\n%s", keep, diff)
		}
		for slot, kept := range []bool{false, keep, keep} {
			want := Fitting
			if kept {
				want = Kept
			}
			plain, _ := r.Fits(int32(slot), Plain(cm(1, 0)))
			exact, _ := r.Fits(int32(slot), only)
			if plain != want || exact != want {
				t.Errorf("keep %t: Fits(%d) = %d, exactly %d, want %d", keep, slot, plain, exact, want)
			}
			if _, err := r.Reserve(int32(slot), "p", Plain(cm(1, 0)), epoch); errors.Is(err, ErrKept) != kept || !kept && err != nil {
				t.Errorf("keep %t: Reserve(%d) = %v", keep, slot, err)
			}
			c.Release("p")
			if free, ok := r.FreeOf(int32(slot)); !ok || free.Regular.IsZero() != kept || free.All[resources.CPU] != 8 {
				t.Errorf("keep %t: FreeOf(%d) = %v, %t", keep, slot, free, ok)
			}
		}
		// Pods that need GPUs get them.
		if sel := r.Select(Plain(gpu(1, 1000)), 0, 0, nil); !cmp.Equal(sel.Slots, []int32{1}) || sel.Short[resources.GPU] != 2 {
			t.Errorf("keep %t: Select = %+v, want the agent with free GPUs", keep, sel)
		}
		if sel := r.Select(Plain(gpu(9, 1000)), 0, 0, nil); len(sel.Slots) != 0 || sel.Short[resources.CPU] != 3 {
			t.Errorf("keep %t: Select = %+v, want all short of cpu", keep, sel)
		}
		reserveIn(t, c, "web", "gpu", "g", Plain(gpu(1, 2000)), epoch)
		mustAudit(t, c)
		if v, lacks := r.Fits(1, Plain(gpu(0, 1))); v != ShortOf || lacks != "gpu" {
			t.Errorf("keep %t: Fits = %d, %q with all GPUs taken", keep, v, lacks)
		}
		if !cmp.Equal(r.Offered(), []int32{0, 1, 2}) {
			t.Errorf("keep %t: Offered = %v, want all", keep, r.Offered())
		}
		// A policy is told what any pod could have, and what pods with GPUs could.
		c.Release("g")
		all := map[string]Held{}
		c.Sweep(epoch, func(h Held) bool { all[h.AgentID] = h; return false })
		if h := all["used"]; h.AgentFree.IsZero() != keep || h.AgentAll != cm(8, 8) {
			t.Errorf("keep %t: Sweep shows %+v", keep, h)
		}
	}
}

func TestPortsAndScalars(t *testing.T) {
	bundle := func(cpu int64, scalars resources.Scalars, ports ...resources.Range) resources.Bundle {
		return resources.Bundle{Vector: cm(cpu, 0), Ports: resources.NewRanges(ports...), Scalars: scalars}
	}
	port := func(n uint64) resources.Range { return resources.Range{Begin: n, End: n} }
	c := NewCache(Config{})
	addNodes(c, "a", "b")
	o := offerOf("o1", "a", cm(8, 0))
	o.Unreserved = bundle(4, resources.Scalars{{Name: "fpga", Milli: 2000}}, resources.Range{Begin: 80, End: 90})
	o.Special = []resources.Portion{{Flavour: static, Bundle: bundle(4, resources.Scalars{{Name: "fpga", Milli: 1000}}, resources.Range{Begin: 91, End: 99})}}
	mustAdd(t, c, o, offerOf("o2", "b", cm(8, 0)))
	r := c.Role("web")
	need := func(b resources.Bundle) *Want { return &Want{Need: b} }

	// Two ports of two flavours, next to each other.
	parts := reserveIn(t, c, "web", "a", "p", need(bundle(1, nil, resources.Range{Begin: 90, End: 91})), epoch)
	if diff := cmp.Diff([]resources.Portion{{Flavour: static, Bundle: bundle(1, nil, port(91))}, {Bundle: bundle(0, nil, port(90))}}, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	mustAudit(t, c)
	for _, tt := range []struct {
		name  string
		need  resources.Bundle
		lacks string
	}{
		{name: "a port in use", need: bundle(1, nil, port(90)), lacks: "ports"},
		{name: "a port not offered", need: bundle(1, nil, port(80), port(100)), lacks: "ports"},
		{name: "a free port", need: bundle(1, nil, port(80), port(99))},
		{name: "another scalar", need: bundle(1, resources.Scalars{{Name: "asic", Milli: 1}}), lacks: "asic"},
		{name: "all of a scalar", need: bundle(1, resources.Scalars{{Name: "fpga", Milli: 3000}})},
		{name: "too much of a scalar", need: bundle(1, resources.Scalars{{Name: "fpga", Milli: 3001}}), lacks: "fpga"},
		{name: "cpu first", need: bundle(8, nil, port(90)), lacks: "cpu"},
	} {
		v, lacks := r.Fits(0, need(tt.need))
		if lacks != tt.lacks || (v == Fitting) != (tt.lacks == "") {
			t.Errorf("%s: Fits = %d, %q, want %q", tt.name, v, lacks, tt.lacks)
		}
		sel := r.Select(need(tt.need), 0, 0, nil)
		if n := sel.Lacks[tt.lacks]; (n > 0) != (tt.lacks != "" && tt.lacks != "cpu") || sel.Short[resources.CPU] > 0 != (tt.lacks == "cpu") {
			t.Errorf("%s: Select = %+v, want it to tell of %q", tt.name, sel, tt.lacks)
		}
	}
	if _, err := r.Reserve(0, "q", need(bundle(1, resources.Scalars{{Name: "fpga", Milli: -1}})), epoch); err == nil {
		t.Error("reserved less than nothing of a scalar")
	}
	reserveIn(t, c, "web", "a", "q", need(bundle(1, resources.Scalars{{Name: "fpga", Milli: 3000}}, port(80))), epoch)
	mustAudit(t, c)
	if !c.Release("p") {
		t.Error("p was not released")
	}
	mustAudit(t, c)
	if v, _ := r.Fits(0, need(bundle(1, nil, port(90), port(91)))); v != Fitting {
		t.Error("the ports did not come back")
	}
	due, _, _ := c.Flush(epoch, epoch, drained)
	want := []Member{{ID: "q", Parts: []resources.Portion{
		{Flavour: static, Bundle: bundle(1, resources.Scalars{{Name: "fpga", Milli: 1000}})},
		{Bundle: bundle(0, resources.Scalars{{Name: "fpga", Milli: 2000}}, port(80))},
	}}}
	if len(due) != 1 || cmp.Diff(want, due[0].Members) != "" {
		t.Errorf("Flush = %+v, want members %+v", due, want)
	}
	mustAudit(t, c)
}
