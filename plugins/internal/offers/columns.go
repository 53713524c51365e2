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
	"sync/atomic"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// hidden is the free amount of a slot that must not be chosen; less than any
// need, zero included.
const hidden int64 = -1

// slotState says why a slot has nothing to give, for the reasons told to users.
type slotState uint32

const (
	// slotVacant is an unused index, or an agent that is no usable node.
	slotVacant slotState = iota
	// slotNoOffer is a node whose agent has no offer for us now.
	slotNoOffer
	// slotInFlight is a node whose offers were just spent: the rest comes back
	// with a later allocation.
	slotInFlight
	// slotPredicted is such a node of which it is predicted what comes back.
	slotPredicted
	// slotKept is a node with offers that are kept for pods which need GPUs.
	slotKept
	// slotLeaving is a node whose agent is to go, whether it has offers or not.
	slotLeaving
	// slotOffered is a node with offers.
	slotOffered
)

const numSlotStates = slotOffered + 1

// columns is what the lock-free readers see: one array per resource, indexed by
// slot, so that a scan touches only the resources that a pod asks for. An entry
// is what any pod can reserve now (offered minus reserved). Only the holder of the
// cache's lock writes; it replaces the whole struct to grow.
type columns struct {
	// brief holds CPU and memory of two slots in each word; see brief.go.
	brief []atomic.Uint64
	free  [resources.NumKinds][]atomic.Int64
	state []atomic.Uint32
}

func newColumns(size int) *columns {
	c := &columns{
		brief: make([]atomic.Uint64, size/2),
		state: make([]atomic.Uint32, size),
	}
	for i := range c.brief {
		c.brief[i].Store(guards)
	}
	for k := range c.free {
		c.free[k] = make([]atomic.Int64, size)
		for i := range c.free[k] {
			c.free[k][i].Store(hidden)
		}
	}
	return c
}

// grown returns columns of twice the size with the same content.
func (c *columns) grown() *columns {
	g := newColumns(2 * len(c.state))
	for i := range c.brief {
		g.brief[i].Store(c.brief[i].Load())
	}
	for i := range c.state {
		for k := range c.free {
			g.free[k][i].Store(c.free[k][i].Load())
		}
		g.state[i].Store(c.state[i].Load())
	}
	return g
}

// put writes slot i. What readers look at first is hidden first and shown last, so
// that whoever sees it of a slot that just became usable sees the rest too.
func (c *columns) put(i int32, state slotState, free *resources.Vector) {
	if state != slotOffered {
		c.putBrief(i, hiddenBriefly)
		for k := range c.free {
			c.free[k][i].Store(hidden)
		}
	} else {
		for k := len(c.free) - 1; k >= 0; k-- {
			c.free[k][i].Store(free[k])
		}
		c.putBrief(i, briefly(free))
	}
	c.state[i].Store(uint32(state))
}

// take writes what is left of slot i, which stays offered, after taken was taken.
// What is as it was is left alone: each write is a cache line.
func (c *columns) take(i int32, free, taken *resources.Vector) {
	c.putBrief(i, briefly(free))
	for k := range c.free {
		if taken[k] != 0 {
			c.free[k][i].Store(free[k])
		}
	}
}

// short names the first resource that slot i lacks. What is not needed is not
// looked at, since each look is a cache line; but CPU always is, which tells
// whether the slot is hidden.
func (c *columns) short(i int32, need *resources.Vector) (resources.Kind, bool) {
	if c.free[resources.CPU][i].Load() < need[resources.CPU] {
		return resources.CPU, true
	}
	for k := resources.CPU + 1; k < resources.NumKinds; k++ {
		if need[k] > 0 && c.free[k][i].Load() < need[k] {
			return k, true
		}
	}
	return 0, false
}
