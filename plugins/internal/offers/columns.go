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
	// slotOffered is a node with offers.
	slotOffered
)

// idle tells the states apart by their two bits; this breaks when they change.
var _ = [1]struct{}{}[slotVacant|(slotNoOffer^1)|(slotInFlight^2)|(slotOffered^3)]

// columns is what the lock-free readers see: one array per resource, indexed by
// slot, so that a scan touches only the resources that a pod asks for. An entry
// is what can be reserved now (offered minus reserved). Only the holder of the
// cache's lock writes; it replaces the whole struct to grow.
type columns struct {
	free  [resources.NumKinds][]atomic.Int64
	state []atomic.Uint32
	node  []atomic.Pointer[string]
}

func newColumns(size int) *columns {
	c := &columns{
		state: make([]atomic.Uint32, size),
		node:  make([]atomic.Pointer[string], size),
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
	for i := range c.state {
		for k := range c.free {
			g.free[k][i].Store(c.free[k][i].Load())
		}
		g.state[i].Store(c.state[i].Load())
		g.node[i].Store(c.node[i].Load())
	}
	return g
}

// put writes slot i. CPU is hidden first and shown last, so that whoever sees CPU
// of a slot that just became usable sees its other resources too.
func (c *columns) put(i int32, state slotState, free resources.Vector) {
	if state != slotOffered {
		for k := range c.free {
			c.free[k][i].Store(hidden)
		}
	} else {
		for k := len(c.free) - 1; k >= 0; k-- {
			c.free[k][i].Store(free[k])
		}
	}
	c.state[i].Store(uint32(state))
}

// idle counts the first n slots that are nodes without an offer, and of them
// apart those whose offers are in flight.
func (c *columns) idle(n int) (noOffer, inFlight int) {
	var low, high, both int
	for i := range c.state[:n] {
		// Without branches, by the two bits of the state: see scan.
		state := c.state[i].Load()
		low += int(state & 1)
		high += int(state >> 1)
		both += int(state & (state >> 1))
	}
	return low - both, high - both
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
