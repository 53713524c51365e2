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
	cpu, mem := cols.free[resources.CPU][:n], cols.free[resources.Memory][:n]
	needCPU, needMem := need[resources.CPU], need[resources.Memory]
	rest := need
	rest[resources.CPU], rest[resources.Memory] = 0, 0
	more := !rest.IsZero()
	for seen, i := 0, start; seen < n; seen++ {
		if cpu[i].Load() >= needCPU && mem[i].Load() >= needMem && (!more || cols.fits(int32(i), &need)) {
			sel.Slots = append(sel.Slots, int32(i))
			if len(sel.Slots) == limit {
				sel.More = seen+1 < n
				sel.Next = (i + 1) % n
				return sel
			}
		} else {
			sel.count(cols, int32(i), &need)
		}
		if i++; i == n {
			i = 0
		}
	}
	sel.Next = start
	return sel
}

func (s *Selection) count(cols *columns, i int32, need *resources.Vector) {
	switch slotState(cols.state[i].Load()) {
	case slotNoOffer:
		s.NoOffer++
	case slotInFlight:
		s.InFlight++
	case slotOffered:
		if kind, short := cols.short(i, need); short {
			s.Short[kind]++
		}
	}
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
