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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Slot returns the index of an agent's slots.
func (c *Cache) Slot(agentID string) (int32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	return i, ok
}

// Owner returns the agent of a slot and the node it is, both "" if the slot is
// vacant.
func (c *Cache) Owner(slot int32) (agentID, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot < 0 || int(slot) >= len(c.agents) {
		return "", ""
	}
	return c.agents[slot].id, c.agents[slot].node
}

// NodeOf returns the node of a slot, or "". It takes no lock.
func (c *Cache) NodeOf(slot int32) string {
	names := *c.names.Load()
	if slot < 0 || int(slot) >= len(names) {
		return ""
	}
	if name := names[slot].Load(); name != nil {
		return *name
	}
	return ""
}

// AddAgent makes an agent known that has no offer for us (yet), and returns its
// slot. Of an agent that is known it adds the hostname if that was "".
func (c *Cache) AddAgent(agentID, hostname string) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slotOf(agentID, hostname)
}

// HasGPUs notes that an agent has GPUs, whether they are free or not.
func (c *Cache) HasGPUs(agentID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.byAgent[agentID]; ok {
		c.setGPUs(i)
	}
}

func (c *Cache) setGPUs(i int32) {
	if a := &c.agents[i]; !a.gpus {
		a.gpus = true
		c.publish(i)
	}
}

// Withhold keeps so much of an agent's unreserved offers, of each role, from being
// used: it is not there, or somebody else uses it. Less than nothing is nothing.
// Unknown agents are ignored. A change ends the predictions for the agent: the
// reservations on them are returned, and void.
func (c *Cache) Withhold(agentID string, amount resources.Vector) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	amount = amount.Max(resources.Vector{})
	if i, ok := c.byAgent[agentID]; ok && c.agents[i].withheld != amount {
		c.agents[i].withheld = amount
		broken = c.unpredict(i)
		c.publish(i)
		c.version.Add(1)
	}
	return broken
}

// SetLeaving says that an agent is to go at a time, or, if not leaving, that it stays.
// What it offers is then only for pods with a Want.Until before that, whatever is in
// its open batch. Unknown agents are ignored. A change ends the predictions for the
// agent: the reservations on them are returned, and void.
func (c *Cache) SetLeaving(agentID string, leaving bool, at time.Time) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	if !ok {
		return nil
	}
	if a := &c.agents[i]; a.leaving != leaving || !a.leavesAt.Equal(at) {
		a.leaving, a.leavesAt = leaving, at
		broken = c.unpredict(i)
		c.publish(i)
		c.version.Add(1)
	}
	return broken
}

// SetNode says which node the agent is; "" withdraws it from selection. Offers
// and an open batch stay as they are: the batch is still for the node that its
// members were promised, and until it is sent or released nobody else joins it.
// Unknown agents are ignored. A change ends the predictions for the agent: the
// reservations on them are returned, and void.
func (c *Cache) SetNode(agentID, node string) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.byAgent[agentID]; ok && c.agents[i].node != node {
		c.agents[i].node = node
		broken = c.unpredict(i)
		c.publish(i)
		c.version.Add(1)
	}
	return broken
}

// RemoveAgent forgets an agent with its offers. It returns the reservations of
// its open batches and on its predictions, which are void.
func (c *Cache) RemoveAgent(agentID string, now time.Time) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.byAgent[agentID]
	if !ok {
		return nil
	}
	return c.drop(i, now)
}

// agent returns the agent of a slot that there is, nil if that is vacant. The lock
// is held, and the agent is good only as long.
func (c *Cache) agent(i int32) *agent {
	if a := &c.agents[i]; a.known {
		return a
	}
	return nil
}

// slotOf finds or makes the slot of an agent. The lock is held.
func (c *Cache) slotOf(agentID, hostname string) int32 {
	if i, ok := c.byAgent[agentID]; ok {
		if a := &c.agents[i]; a.hostname == "" {
			a.hostname = hostname
		}
		return i
	}
	var i int32
	if n := len(c.vacant); n > 0 {
		i, c.vacant = c.vacant[n-1], c.vacant[:n-1]
	} else {
		i = int32(len(c.agents))
		c.agents = append(c.agents, agent{})
		if names := *c.names.Load(); len(c.agents) > len(names) {
			c.grow(names)
		}
		c.each(func(r *Role) { r.append(len(c.agents)) })
	}
	c.agents[i] = agent{id: agentID, hostname: hostname, known: true}
	c.byAgent[agentID] = i
	c.publish(i)
	return i
}

// grow doubles the room for slots.
func (c *Cache) grow(names []atomic.Pointer[string]) {
	bigger := make([]atomic.Pointer[string], 2*len(names))
	for i := range names {
		bigger[i].Store(names[i].Load())
	}
	c.each(func(r *Role) { r.cols.Store(r.cols.Load().grown()) })
	c.capacities.grow(len(bigger))
	c.names.Store(&bigger)
}

// drop forgets slot i in all roles. The lock is held.
func (c *Cache) drop(i int32, now time.Time) (broken []string) {
	c.each(func(r *Role) {
		s := r.slots[i]
		if s == nil {
			return
		}
		for n := range s.offers {
			r.end(&s.offers[n], Void, now)
		}
		if s.predicts() {
			r.forget(i)
		}
		for n := range s.members {
			delete(c.byMember, s.members[n].id)
			broken = append(broken, s.members[n].id)
		}
		if len(s.members) > 0 {
			r.waiting.Add(-int32(len(s.members)))
			r.closeBatch(i)
		}
		r.slots[i] = nil
	})
	delete(c.byAgent, c.agents[i].id)
	c.agents[i] = agent{}
	(*c.capacities.of.Load())[i].Store(nil)
	c.vacant = append(c.vacant, i)
	c.publish(i)
	return broken
}

// publish writes slot i to the columns of all roles. The lock is held.
func (c *Cache) publish(i int32) {
	name := &(*c.names.Load())[i]
	switch node, was := c.agents[i].node, name.Load(); {
	case node == "":
		name.Store(nil)
	case was == nil || *was != node:
		name.Store(&node)
	}
	c.each(func(r *Role) { r.publish(i) })
}
