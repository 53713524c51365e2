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
	"math/bits"
	"sync/atomic"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Selection is the answer of Select.
type Selection struct {
	// Slots fit the need, at most as many as asked for.
	Slots []int32
	// Predicted tells that Slots have no offer yet, but a prediction: nothing that is
	// offered fits. To reserve there, set Want.Predicted.
	Predicted bool
	// More tells that the scan stopped at the limit: there may be more.
	More bool
	// Next is where the next scan should start, so that all agents get their turn.
	Next int
	// NoOffer, InFlight, Kept, Leaving and Short count the nodes that do not fit, by why:
	// no offer, offers just spent, offers kept for pods that need GPUs, an agent that is to
	// go, or a resource
	// that is short (as a rule the first). Lacks counts those short of what is no Kind,
	// such as ports, by ShortError.Lacks. They are not counted if More is set.
	NoOffer, InFlight, Kept, Leaving int
	Short                            [resources.NumKinds]int
	Lacks                            map[string]int
}

// Select looks, starting at slot start, for slots that the want fits, and stops
// after limit of them (0: no limit). It appends to buf[:0]. For ordinary wants it
// scans the columns and takes no lock; see the package comment. Slots on which a pod
// that may ride would have to are looked for only if it fits no other, and predictions
// only if nothing that is offered fits.
func (r *Role) Select(want *Want, start, limit int, buf []int32) Selection {
	if !want.plain() {
		return r.search(want, start, limit, buf)
	}
	sel := r.scan(want.Need.Vector, start, limit, buf)
	if len(sel.Slots) == 0 && want.Revocable == RevocableAllowed {
		sel = r.search(want, start, limit, buf)
	}
	if len(sel.Slots) == 0 && r.predicted.Load() > 0 {
		r.scanPredicted(want, start, limit, &sel)
	}
	return sel
}

func (r *Role) scan(need resources.Vector, start, limit int, buf []int32) Selection {
	// In this order: whoever sees a slot as used then sees columns that have it.
	n := int(r.used.Load())
	cols := r.cols.Load()
	sel := Selection{Slots: buf[:0]}
	if n == 0 {
		return sel
	}
	if start >= n || start < 0 {
		start = 0
	}
	sc := scan{cols: cols, need: need.Max(resources.Vector{}), limit: limit, slots: sel.Slots}
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
	if sel.More {
		return sel
	}
	sel.Short = sc.rest
	late := 0
	for _, n := range sc.rest {
		late += n
	}
	// The states are counted apart from the scan, and perhaps a moment later: never
	// less than none.
	sel.NoOffer, sel.InFlight = r.count(slotNoOffer), r.count(slotInFlight)+r.count(slotPredicted)
	sel.Kept, sel.Leaving = r.count(slotKept), r.count(slotLeaving)
	idle := sel.NoOffer + sel.InFlight + sel.Kept + sel.Leaving + r.count(slotVacant)
	sel.Short[resources.CPU] += max(seen-sc.enoughCPU-idle, 0)
	sel.Short[resources.Memory] += sc.enoughCPU - late - len(sc.slots)
	return sel
}

// count returns how many slots are in a state, of all that were ever used.
func (r *Role) count(state slotState) int { return int(r.states[state].Load()) }

// scan is the inner part of Select. Why something does not fit is counted without a
// branch, because the mix is random and a wrong guess of the processor costs more
// than the rest of the loop.
type scan struct {
	cols  *columns
	need  resources.Vector
	limit int
	slots []int32
	// enoughCPU have it by the short amounts, of all slots unless the scan stopped
	// at the limit; rest seemed to fit and do not.
	enoughCPU int
	rest      [resources.NumKinds]int
}

func (sc *scan) full() bool { return sc.limit > 0 && len(sc.slots) >= sc.limit }

// run looks at the slots from at on, up to end, and returns where it stopped.
func (sc *scan) run(at, end int) int {
	need := twice(briefly(&sc.need))
	// One by one up to the next whole word.
	if at%2 != 0 && at < end {
		if at = sc.runSlowly(at, at+1, need); sc.full() {
			return at
		}
	}
	for ; end-at >= stride; at += stride {
		a, b, c, d := compare((*[words]atomic.Uint64)(sc.cols.brief[at/2:]), need)
		sc.enoughCPU += enoughCPU(a, b, c, d)
		if fitsAny(a, b, c, d) == 0 {
			continue
		}
		for i, left := range [words]uint64{a, b, c, d} {
			fits := fits(left)
			if fits&(1<<31) != 0 && sc.take(at+2*i) {
				return at + 2*i + 1
			}
			if fits>>63 != 0 && sc.take(at+2*i+1) {
				return at + 2*i + 2
			}
		}
	}
	return sc.runSlowly(at, end, need)
}

// runSlowly is run, slot by slot.
func (sc *scan) runSlowly(at, end int, need uint64) int {
	for ; at < end; at++ {
		left := sc.cols.left(at, need)
		sc.enoughCPU += int(left >> 31)
		if fits(left) != 0 && sc.take(at) {
			return at + 1
		}
	}
	return at
}

// take looks at a slot exactly, keeps it if it fits, and tells whether that is all
// that was asked for.
func (sc *scan) take(i int) (full bool) {
	if kind, short := sc.cols.short(int32(i), &sc.need); short {
		sc.rest[kind]++
		return false
	}
	sc.slots = append(sc.slots, int32(i))
	return sc.full()
}

// Count returns about how many slots the want fits: those that lack less than
// 1 MiB or 0.2 % of it count, too, unless disk is needed; those do not where a pod
// that may ride would have to. It does not say which, and so costs less than Select
// where many fit.
func (r *Role) Count(want *Want) (fitting int) {
	if !want.plain() {
		return len(r.search(want, 0, 0, nil).Slots)
	}
	n := int(r.used.Load())
	cols := r.cols.Load()
	need := want.Need.Vector.Max(resources.Vector{})
	if need[resources.Disk] > 0 {
		for i := range int32(n) {
			if _, short := cols.short(i, &need); !short {
				fitting++
			}
		}
		return fitting
	}
	// Slots behind the last are hidden, and there are whole strides of them.
	word := twice(briefly(&need))
	for i := 0; i < n; i += stride {
		a, b, c, d := compare((*[words]atomic.Uint64)(cols.brief[i/2:]), word)
		fitting += bits.OnesCount64(fits(a) | fits(b)>>1 | fits(c)>>2 | fits(d)>>3)
	}
	return fitting
}
