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
	"strings"
	"sync/atomic"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Capacity is all that an agent has for frameworks, in use or not.
type Capacity struct {
	// Total is everything, reserved or not, but nothing revocable.
	Total resources.Vector
	// Reserved is what of it is reserved, by flavour.
	Reserved []resources.Portion
}

// capacities is what agents have: to tell pods that no agent will ever hold from those
// that merely have to wait. No selection looks at it.
type capacities struct {
	// of is by slot, nil where it is not known, and as long as Cache.names.
	of atomic.Pointer[[]atomic.Pointer[capacity]]
	// least is no more than any agent has for anybody, nil if nothing is known of any.
	least atomic.Pointer[resources.Vector]
}

// capacity is a Capacity with what is for everybody apart.
type capacity struct {
	unreserved resources.Vector
	reserved   []reservedShare
}

// reservedShare is for a role and those below it, and there only for the owner, if any.
type reservedShare struct {
	role, owner string
	amount      resources.Vector
}

func (c *capacities) grow(size int) {
	bigger := make([]atomic.Pointer[capacity], size)
	if of := c.of.Load(); of != nil {
		for i := range *of {
			bigger[i].Store((*of)[i].Load())
		}
	}
	c.of.Store(&bigger)
}

// SetCapacities notes all that agents have, by their ids. Unknown agents are ignored; of
// agents that are left out what was noted stays.
func (c *Cache) SetCapacities(of map[string]Capacity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	column := *c.capacities.of.Load()
	for id, all := range of {
		if i, known := c.byAgent[id]; known {
			column[i].Store(c.capacityOf(&all))
		}
	}
	var least *resources.Vector
	for i := range c.agents {
		if of := column[i].Load(); of == nil {
			continue
		} else if least == nil {
			least = &of.unreserved
		} else {
			least = new(least.Min(of.unreserved))
		}
	}
	c.capacities.least.Store(least)
}

func (c *Cache) capacityOf(all *Capacity) *capacity {
	of := &capacity{unreserved: all.Total}
	for i := range all.Reserved {
		amount, by := all.Reserved[i].Bundle.Vector, all.Reserved[i].Flavour.Reserved()
		of.unreserved = of.unreserved.Sub(amount)
		if owner, usable := c.cfg.Classify(all.Reserved[i].Flavour); usable && by != nil {
			of.reserved = append(of.reserved, reservedShare{by.Role, owner, amount})
		}
	}
	return of
}

// in is all that is for a want in a role: what is reserved for a role Mesos offers to
// those below it, too.
func (c *capacity) in(role string, want *Want) resources.Vector {
	sum := c.unreserved
	for i := range c.reserved {
		share := &c.reserved[i]
		covers := share.role == role || strings.HasPrefix(role, share.role) && role[len(share.role)] == '/'
		if covers && (share.owner == "" || share.owner == want.Owner) {
			sum = sum.Add(share.amount)
		}
	}
	return sum
}

// TooSmall names what an agent has less of than the want needs, all that it has for the
// role counted; "" if nothing, or if that is not known. It takes no lock.
func (r *Role) TooSmall(slot int32, want *Want) (lacks string) {
	if kind, short := r.tooSmall(slot, want); short {
		return kindNames[kind]
	}
	return ""
}

func (r *Role) tooSmall(slot int32, want *Want) (resources.Kind, bool) {
	column := *r.cache.capacities.of.Load()
	if slot < 0 || int(slot) >= len(column) || !r.cache.anyTooSmall(want) {
		return 0, false
	}
	of := column[slot].Load()
	if of == nil {
		return 0, false
	}
	return want.Need.Vector.FirstShort(of.in(r.name, want))
}

// anyTooSmall tells cheaply whether any agent may be. What pods that ride find is
// beside the capacities.
func (c *Cache) anyTooSmall(want *Want) bool {
	least := c.capacities.least.Load()
	return least != nil && want.Revocable == RevocableNever && !want.Need.Vector.Fits(*least)
}

// Undersized counts nodes whose agents are too small for a want, by the first kind of
// which all that the agent has for the role is too little.
type Undersized [resources.NumKinds]int

// uncount takes a slot out of the counts of a selection, and tells whether it was in
// one that may be replaced by a better reason. The lock is held.
func (s *Selection) uncount(v Verdict, lacks string) bool {
	count := &s.NoOffer
	switch v {
	case NoOffer:
	case InFlight:
		count = &s.InFlight
	case ShortOf:
		kind, known := kindOf(lacks)
		if !known {
			if s.Lacks[lacks] == 0 {
				return false
			}
			if s.Lacks[lacks]--; s.Lacks[lacks] == 0 {
				delete(s.Lacks, lacks)
			}
			return true
		}
		count = &s.Short[kind]
	default:
		return false
	}
	// The counts are of a moment ago.
	if *count == 0 {
		return false
	}
	*count--
	return true
}

func kindOf(name string) (resources.Kind, bool) {
	for k := range kindNames {
		if kindNames[k] == name {
			return resources.Kind(k), true
		}
	}
	return 0, false
}
