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

import "github.com/kube-mesos/kube-mesos/plugins/internal/resources"

// Selection is the answer of Select.
type Selection struct {
	// Slots fit the need, at most as many as asked for.
	Slots []int32
	// More tells that the scan stopped at the limit: there may be more.
	More bool
	// Next is where the next scan should start, so that all agents get their turn.
	Next int
	// NoOffer, InFlight and Short count the nodes that do not fit, by why: no
	// offer, offers just spent, or the first resource that is short. They are
	// complete only if More is false.
	NoOffer, InFlight int
	Short             [resources.NumKinds]int
}

// Select scans the columns, starting at slot start, for slots with at least
// need, and stops after limit of them (0: no limit). It appends to buf[:0].
// It takes no lock; see the package comment.
func (c *Cache) Select(need resources.Vector, start, limit int, buf []int32) Selection {
	// In this order: whoever sees a slot as used then sees columns that have it.
	n := int(c.used.Load())
	cols := c.cols.Load()
	sel := Selection{Slots: buf[:0]}
	if n == 0 {
		return sel
	}
	if start >= n || start < 0 {
		start = 0
	}
	sc := scan{cols: cols, need: need.Max(resources.Vector{}), limit: limit, slots: sel.Slots}
	sc.more = sc.need[resources.Disk] > 0 || sc.need[resources.GPU] > 0
	end := sc.run(start, n)
	if !sc.full() {
		if end = sc.run(0, start); end == 0 {
			end = n
		}
	}
	seen := end - start
	if end <= start {
		seen += n
	}
	sel.Slots, sel.Next = sc.slots, start
	if sc.full() {
		sel.More, sel.Next = seen < n, end%n
	}
	sel.Short = sc.rest
	sel.Short[resources.CPU] += sc.shortCPU - sc.hidden
	sel.Short[resources.Memory] += sc.misses - sc.shortCPU
	if sc.hidden > 0 && !sel.More {
		sel.NoOffer, sel.InFlight = cols.idle(n)
	}
	return sel
}

// scan is the inner part of Select. What fits not is counted without a branch for
// each reason, because their mix is random and a wrong guess of the processor
// costs more than the rest of the loop.
type scan struct {
	cols  *columns
	need  resources.Vector
	more  bool
	limit int
	slots []int32
	// misses lack cpu or memory; shortCPU of them lack cpu, and hidden of those
	// have nothing to be chosen. rest lack only what comes after memory.
	misses, shortCPU, hidden int
	rest                     [resources.NumKinds]int
}

func (sc *scan) full() bool { return sc.limit > 0 && len(sc.slots) >= sc.limit }

// run looks at the slots from at on, up to end, and returns where it stopped.
func (sc *scan) run(at, end int) int {
	// Sliced so that the compiler needs no bounds check inside the loop.
	cpu := sc.cols.free[resources.CPU][at:end]
	mem := sc.cols.free[resources.Memory][at:end][:len(cpu)]
	needCPU, needMem := sc.need[resources.CPU], sc.need[resources.Memory]
	misses, shortCPU, hidden := 0, 0, 0
	stopped := end
	for j := range cpu {
		has := cpu[j].Load()
		// Neither difference overflows: what is free is at least -1, needs are at
		// least 0. So a negative sign means short.
		overCPU, overMem := has-needCPU, mem[j].Load()-needMem
		if overCPU|overMem < 0 {
			misses++
			shortCPU += int(uint64(overCPU) >> 63)
			hidden += int(uint64(has) >> 63)
			continue
		}
		i := int32(at + j)
		if sc.more {
			if kind, short := sc.cols.short(i, &sc.need); short {
				sc.rest[kind]++
				continue
			}
		}
		sc.slots = append(sc.slots, i)
		if sc.full() {
			stopped = at + j + 1
			break
		}
	}
	sc.misses, sc.shortCPU, sc.hidden = sc.misses+misses, sc.shortCPU+shortCPU, sc.hidden+hidden
	return stopped
}

// Count returns how many slots have at least need. Like Select it takes no lock; it
// does not say which, and so costs half as much where many fit.
func (c *Cache) Count(need resources.Vector) (fitting int) {
	n := int(c.used.Load())
	cols := c.cols.Load()
	need = need.Max(resources.Vector{})
	cpu := cols.free[resources.CPU][:n]
	mem := cols.free[resources.Memory][:n][:len(cpu)]
	if need[resources.Disk] > 0 || need[resources.GPU] > 0 {
		for i := range cpu {
			if _, short := cols.short(int32(i), &need); !short {
				fitting++
			}
		}
		return fitting
	}
	for i := range cpu {
		// Without branches, by the signs: see scan.
		short := (cpu[i].Load() - need[resources.CPU]) | (mem[i].Load() - need[resources.Memory])
		fitting += int(uint64(^short) >> 63)
	}
	return fitting
}

// Verdict is what Fits answers about one node.
type Verdict uint8

const (
	// Fitting has at least the need.
	Fitting Verdict = iota
	// NoOffer has no offer for us now.
	NoOffer
	// InFlight had its offers just spent.
	InFlight
	// ShortOf lacks the resource that comes with the verdict.
	ShortOf
	// NotAgent is no usable agent.
	NotAgent
)

// Fits judges one slot by the columns, without a lock or an allocation. Kind is
// meaningful only with ShortOf.
func (c *Cache) Fits(slot int32, need *resources.Vector) (Verdict, resources.Kind) {
	cols := c.cols.Load()
	if slot < 0 || int(slot) >= len(cols.state) {
		return NotAgent, 0
	}
	kind, short := cols.short(slot, need)
	if !short {
		return Fitting, 0
	}
	switch slotState(cols.state[slot].Load()) {
	case slotOffered:
		return ShortOf, kind
	case slotNoOffer:
		return NoOffer, 0
	case slotInFlight:
		return InFlight, 0
	}
	return NotAgent, 0
}

// FreeOf returns what the slot has to give now; entries are negative if it must
// not be chosen.
func (c *Cache) FreeOf(slot int32) resources.Vector {
	cols := c.cols.Load()
	var v resources.Vector
	if slot < 0 || int(slot) >= len(cols.state) {
		for k := range v {
			v[k] = hidden
		}
		return v
	}
	for k := range v {
		v[k] = cols.free[k][slot].Load()
	}
	return v
}

// NodeOf returns the node of a slot, or "".
func (c *Cache) NodeOf(slot int32) string {
	cols := c.cols.Load()
	if slot < 0 || int(slot) >= len(cols.node) {
		return ""
	}
	if name := cols.node[slot].Load(); name != nil {
		return *name
	}
	return ""
}

// Offered returns the slots that have offers of a usable node now.
func (c *Cache) Offered() []int32 {
	cols := c.cols.Load()
	var slots []int32
	for i := range cols.state[:min(int(c.used.Load()), len(cols.state))] {
		if slotState(cols.state[i].Load()) == slotOffered {
			slots = append(slots, int32(i))
		}
	}
	return slots
}
