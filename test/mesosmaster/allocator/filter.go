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

package allocator

import (
	"container/heap"
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// refused is a decline filter: until it expires, no offer of a subset of these
// resources is made (Mesos hierarchical.cpp RefusedOfferFilter). For inverse
// offers the resources do not matter (RefusedInverseOfferFilter).
type refused struct {
	resources resource.Resources
	at        time.Time // when it expires
	index     int       // among the expiries
	drop      func()    // takes it out of its list
}

// expiries are the filters that live, the next to expire first.
type expiries []*refused

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e expiries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].index, e[j].index = i, j
}
func (e *expiries) Push(x any) {
	x.(*refused).index = len(*e)
	*e = append(*e, x.(*refused))
}
func (e *expiries) Pop() any {
	old := *e
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	return last
}

// refuse remembers that a framework does not want resources of an agent. The
// filter outlives the next tick, which therefore gives others a chance
// (Mesos hierarchical.cpp recoverResources).
func (a *Allocator) refuse(f *framework, role, agentID string, rs resource.Resources, d time.Duration) {
	byAgent := f.filters[role]
	if byAgent == nil {
		byAgent = map[string][]*refused{}
		f.filters[role] = byAgent
	}
	a.filter(byAgent, agentID, &refused{resources: rs.WithAlloc(""), at: a.now().Add(max(d, a.Interval))})
}

// filter puts a filter in force.
func (a *Allocator) filter(byAgent map[string][]*refused, agentID string, r *refused) {
	r.drop = func() {
		rest := slices.DeleteFunc(byAgent[agentID], func(x *refused) bool { return x == r })
		if byAgent[agentID] = rest; len(rest) == 0 {
			delete(byAgent, agentID)
		}
	}
	byAgent[agentID] = append(byAgent[agentID], r)
	heap.Push(&a.expiries, r)
}

// expire drops the filters that ended before now: one that ends together with a
// tick is still in force then (Mesos hierarchical.cpp expire, _expire).
func (a *Allocator) expire(now time.Time) {
	for len(a.expiries) > 0 && a.expiries[0].at.Before(now) {
		heap.Pop(&a.expiries).(*refused).drop()
		a.touch()
	}
}

// clear takes filters out of force before their time.
func (a *Allocator) clear(byAgent map[string][]*refused) {
	for id := range byAgent {
		a.clearOne(byAgent, id)
	}
}

func (a *Allocator) clearOne(byAgent map[string][]*refused, agentID string) {
	for _, r := range byAgent[agentID] {
		heap.Remove(&a.expiries, r.index)
	}
	delete(byAgent, agentID)
}

// clearRole removes the filters of a framework in a role, clearAll also those of
// the other roles and of inverse offers.
func (a *Allocator) clearRole(f *framework, role string) {
	a.clear(f.filters[role])
	delete(f.filters, role)
}

func (a *Allocator) clearAll(f *framework) {
	for role := range f.filters {
		a.clearRole(f, role)
	}
	a.clear(f.inverse)
}

// clearAgent removes all filters about an agent (Mesos removeFilters).
func (a *Allocator) clearAgent(id string) {
	for _, f := range a.frameworks {
		for _, byAgent := range f.filters {
			a.clearOne(byAgent, id)
		}
		a.clearOne(f.inverse, id)
	}
}

// filtered tells whether a filter in force covers the whole candidate
// (Mesos hierarchical.cpp isFiltered).
func (f *framework) filtered(role, agentID string, candidate resource.Resources) bool {
	byAgent := f.filters[role]
	if len(byAgent) == 0 {
		return false
	}
	for _, r := range byAgent[agentID] {
		if r.resources.Contains(candidate) {
			return true
		}
	}
	return false
}

// Filters is how many decline filters are in force in a role.
func (a *Allocator) Filters(role string) int {
	n := 0
	for _, f := range a.frameworks {
		for _, list := range f.filters[role] {
			n += len(list)
		}
	}
	return n
}

// FiltersOf is how many decline filters of a framework are in force.
func (a *Allocator) FiltersOf(framework string) int {
	n := 0
	if f := a.frameworks[framework]; f != nil {
		for _, byAgent := range f.filters {
			for _, list := range byAgent {
				n += len(list)
			}
		}
	}
	return n
}
