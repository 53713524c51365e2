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
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Config says how offers are to be read.
type Config struct {
	// KeepGPUs keeps agents that have GPUs for pods that need some.
	KeepGPUs bool
	// Classify tells of a reserved flavour whose it is: usable by nobody of ours, by
	// one owner, or (owner "") by every pod of the role. Nil makes those without labels
	// usable by every pod and the others by nobody. It is called under the lock, must
	// not call the cache and must always say the same of a flavour.
	Classify func(*resources.Flavour) (owner string, usable bool)
	// Ended, if set, is told of every offer that ends, at what age. It is called under
	// the lock and must not call the cache.
	Ended func(end End, age time.Duration)
}

func unlabelled(f *resources.Flavour) (owner string, usable bool) {
	r := f.Reserved()
	return "", r == nil || len(r.Labels) == 0
}

// Cache holds the offers of all roles, and the agents that they are of.
type Cache struct {
	cfg Config
	// roles by name, and names by slot: replaced as a whole, so that readers need no
	// lock. A role's columns are as long as names.
	roles      atomic.Pointer[map[string]*Role]
	names      atomic.Pointer[[]atomic.Pointer[string]]
	capacities capacities
	// version counts the offers taken in; see Version.
	version atomic.Uint64
	// maintained tells that an offer announced maintenance since the last Reset.
	maintained atomic.Bool

	mu sync.Mutex
	// agents by slot. vacant lists slots for reuse.
	agents  []agent
	vacant  []int32
	byAgent map[string]int32
	byOffer map[string]place
	// byMember finds the open batch of a reservation.
	byMember map[string]place
	total    resources.Vector
	usage    usage
	// lastRole is the role of the last offer, as a rule that of the next one, too.
	lastRole *Role
}

// place is a slot of a role.
type place struct {
	role *Role
	slot int32
}

// NewCache returns an empty cache.
func NewCache(cfg Config) *Cache {
	if cfg.Classify == nil {
		cfg.Classify = unlabelled
	}
	c := &Cache{cfg: cfg, byAgent: map[string]int32{}, byOffer: map[string]place{}, byMember: map[string]place{}}
	c.roles.Store(&map[string]*Role{})
	names := make([]atomic.Pointer[string], firstSize)
	c.names.Store(&names)
	c.capacities.grow(firstSize)
	return c
}

// firstSize is how many slots there is room for at first.
const firstSize = 64

// Role returns what is offered to a role. It takes no lock if the role was asked
// for before.
func (c *Cache) Role(name string) *Role {
	if r := (*c.roles.Load())[name]; r != nil {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.role(name)
}

// role is Role with the lock held.
func (c *Cache) role(name string) *Role {
	if r := c.lastRole; r != nil && r.name == name {
		return r
	}
	now := *c.roles.Load()
	if r := now[name]; r != nil {
		c.lastRole = r
		return r
	}
	r := &Role{name: name, cache: c, slots: make([]*slot, len(c.agents))}
	r.cols.Store(newColumns(len(*c.names.Load())))
	r.used.Store(int32(len(c.agents)))
	r.states[slotVacant].Store(int32(len(c.agents)))
	for i := range c.agents {
		r.publish(int32(i))
	}
	next := maps.Clone(now)
	next[name] = r
	c.roles.Store(&next)
	return r
}

// Drop forgets a role, unless offers of it are held or being spent. To whoever still
// has the Role nothing is offered any more: he must ask for it again.
//
// It returns the reservations on predictions of the role, which are void.
func (c *Cache) Drop(name string) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := (*c.roles.Load())[name]
	if r == nil || slices.ContainsFunc(r.slots, func(s *slot) bool { return s != nil && (len(s.offers) > 0 || s.inFlight) }) {
		return nil
	}
	for len(r.predictions.list) > 0 {
		broken = append(broken, r.unpredict(r.predictions.list[0].slot)...)
	}
	next := maps.Clone(*c.roles.Load())
	delete(next, name)
	c.roles.Store(&next)
	// It is not told of agents any more, so it must not ask about them.
	r.slots = nil
	r.used.Store(0)
	c.lastRole = nil
	return broken
}

// each calls f for every role. The lock is held.
func (c *Cache) each(f func(*Role)) {
	for _, r := range *c.roles.Load() {
		f(r)
	}
}

// Add takes in one offer. It returns the agent's slot, and false if the offer is
// known already. An agent seen for the first time has no node yet: nothing of it
// can be selected until SetNode.
//
// The offer replaces the prediction for its agent and role, if there is one: the
// reservations on that are an open batch now, and those that do not fit the offer are
// returned, youngest first; they are void.
func (c *Cache) Add(o *Offer, now time.Time) (index int32, broken []string, isNew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, known := c.byOffer[o.ID]; known {
		return at.slot, nil, false
	}
	i := c.slotOf(o.AgentID, o.Hostname)
	r := c.role(o.Role)
	s := r.slots[i]
	if s == nil {
		s = &slot{}
		r.slots[i] = s
	}
	h := s.hold(o, now)
	total := o.Unreserved.Vector
	if h.rare != nil {
		total = h.total()
	}
	if total[resources.GPU] > 0 {
		c.setGPUs(i)
	}
	s.enter(h, c.cfg.Classify)
	s.inFlight, s.declined = false, nil
	if o.Unavailability != nil {
		c.maintained.Store(true)
	}
	c.count(now)
	c.byOffer[o.ID] = place{r, i}
	c.total = c.total.Add(total)
	r.held.Add(1)
	if s.predicts() {
		broken = r.arrive(i)
	}
	r.publish(i)
	c.version.Add(1)
	return i, broken, true
}

// HasOffers tells whether offers of the agent are held.
func (c *Cache) HasOffers(agentID string) (has bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.byAgent[agentID]; ok {
		c.each(func(r *Role) { has = has || r.slots[i] != nil && len(r.slots[i].offers) > 0 })
	}
	return has
}

// Version changes with every offer taken in. A reader that found too little and
// then sees the same version knows that nothing came meanwhile.
func (c *Cache) Version() uint64 { return c.version.Load() }

// Remove takes out one offer that is void (rescinded). If the open batch needs
// something of it, what is left is shared out anew, in the order in which the
// reservations joined: their parts may change. Remove returns those that no longer
// fit, youngest first; they are out of the batch. None stays when the agent has no
// offer left for the role.
func (c *Cache) Remove(offerID string, now time.Time) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byOffer[offerID]
	if !ok {
		return nil
	}
	s := at.role.slots[at.slot]
	n := 0
	for s.offers[n].id != offerID {
		n++
	}
	h := s.offers[n]
	s.offers = slices.Delete(s.offers, n, n+1)
	at.role.end(&h, Rescinded, now)
	if spare := s.exit(&h); !spare || len(s.offers) == 0 {
		broken = s.refill(&c.agents[at.slot].withheld)
	}
	for _, id := range broken {
		delete(c.byMember, id)
	}
	at.role.waiting.Add(-int32(len(broken)))
	if len(broken) > 0 && len(s.members) == 0 {
		at.role.closeBatch(at.slot)
	}
	at.role.publish(at.slot)
	return broken
}

// Reset voids everything and forgets all agents, as the end of a subscription
// does. It returns the reservations of all open batches and on predictions.
func (c *Cache) Reset(now time.Time) (broken []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maintained.Store(false)
	for i := range c.agents {
		if c.agents[i].known {
			broken = append(broken, c.drop(int32(i), now)...)
		}
	}
	return broken
}

// Release takes a reservation out of its open batch and gives its resources
// back. It reports false if the reservation is in no open batch: then it was
// sent, broken or never made.
func (c *Cache) Release(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byMember[id]
	if !ok {
		return false
	}
	delete(c.byMember, id)
	at.role.leave(at.slot, id)
	if s := at.role.slots[at.slot]; !s.predicts() {
		at.role.publish(at.slot)
	}
	return true
}
