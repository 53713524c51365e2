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
	"slices"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Offer is what a run has decided to offer: resources of one agent, with their
// allocation role. They are on the framework's books already.
type Offer struct {
	Framework, Role, Agent string
	Resources              resource.Resources
}

// Result is what one run has decided. Offers of one framework are next to each
// other: they go out in one event.
type Result struct {
	Offers  []Offer
	Inverse []InverseOffer
}

// run is one allocation run (Mesos hierarchical.cpp __generateOffers).
type run struct {
	*Allocator
	agents []*agent
	// consumed is what roles with a quota have used of it. Only top-level roles
	// have quotas.
	consumed map[*role]Quantities
	// required is what must stay free so that all guarantees can be met later,
	// available what is free: of unreserved, not revocable scalars.
	required, available Quantities
	// cuts is what the role that is being served would be offered, by what its
	// frameworks understand.
	cuts [8]cut
	// shared are the shared resources offered in this run: each only once.
	shared map[*agent]resource.Resources

	offers map[offerKey]int
	made   []Offer
}

type offerKey struct {
	f    *framework
	role *role
	on   *agent
}

// allocate hands out what is free on agents.
func (a *Allocator) allocate(over []*agent) Result {
	r := &run{Allocator: a, consumed: map[*role]Quantities{}, offers: map[offerKey]int{}}
	for _, on := range over {
		if on.active && len(on.available()) > 0 {
			r.agents = append(r.agents, on)
		}
	}
	if len(r.agents) == 0 || len(a.sorter.sort()) == 0 {
		return Result{}
	}
	r.countQuota()
	r.shuffle()
	if a.guarantees > 0 {
		for _, on := range r.agents {
			r.serve(on, stage{r.lacking, r.guaranteed})
		}
		r.shuffle() // spreads what the first stage took from the front
	}
	for _, on := range r.agents {
		r.serve(on, stage{func(*role) bool { return true }, r.additional})
	}
	return Result{Offers: r.grouped()}
}

// shuffle puts the agents into random order, or into the one the options want.
func (r *run) shuffle() {
	if r.Shuffle == nil {
		r.rng.Shuffle(len(r.agents), func(i, j int) { r.agents[i], r.agents[j] = r.agents[j], r.agents[i] })
		return
	}
	names, by := make([]string, len(r.agents)), map[string]*agent{}
	for i, on := range r.agents {
		names[i], by[on.Hostname] = on.Hostname, on
	}
	r.Shuffle(names)
	for i, name := range names {
		r.agents[i] = by[name]
	}
}

// cut is what a stage would offer to a role; nothing for nothing.
type cut struct {
	offer  resource.Resources
	due    resource.Resources // the part of it that guarantees require
	enough bool               // by the least amounts of the options
}

// stage is one of the two passes over the agents: which roles it serves, and what
// of the resources that are free for a role it offers.
type stage struct {
	serves func(role *role) bool
	decide func(role *role, may resource.Resources) cut
}

// serve offers what is free on an agent: to roles and, in each, to frameworks in
// the order of their shares.
func (r *run) serve(on *agent, st stage) {
	for _, role := range r.sorter.sort() {
		if len(on.available()) == 0 {
			return
		}
		if !st.serves(role) {
			continue
		}
		var free cut
		known, fresh := [8]bool{}, false
		for _, f := range role.sorter.sort() {
			if f.Constraints.Excludes(role.path, &on.AgentInfo) {
				continue
			}
			if !fresh {
				free, known, fresh = cut{offer: r.allocatableTo(on, role)}, [8]bool{}, true
				free.enough = enough(free.offer, r.MinAllocatable)
			}
			if len(free.offer) == 0 {
				break // nothing left for the role
			}
			if !f.contentWith(role.path, &free) || !r.mayReceive(f, on) {
				continue
			}
			kind := f.understanding(on)
			c := &r.cuts[kind]
			if !known[kind] {
				*c, known[kind] = st.decide(role, understood(free.offer, f, on)), true
				c.enough = enough(c.offer, r.MinAllocatable)
			}
			if f.contentWith(role.path, c) && !f.filtered(role.path, on.ID, c.offer) {
				r.consume(role, c)
				r.offer(on, role, f, c.offer)
				fresh = false
			}
		}
	}
}

// allocatableTo is what is free on an agent for a role: unreserved resources and
// those reserved for the role or an ancestor.
func (r *run) allocatableTo(on *agent, role *role) resource.Resources {
	free := on.available()
	if on.plain {
		return free
	}
	out := make(resource.Resources, 0, len(free))
	for i := range free {
		if free[i].Flavor.AllocatableTo(role.path) {
			out = append(out, free[i])
		}
	}
	if once := r.shared[on]; len(once) > 0 {
		out = out.Sub(once)
	}
	return out
}

// understanding numbers frameworks by the kinds of resources they understand, as
// far as the agent has any but plain ones.
func (f *framework) understanding(on *agent) int {
	n := 0
	if on.plain {
		return n
	}
	for bit, can := range []bool{f.revocable, f.shared, f.refined} {
		if can {
			n |= 1 << bit
		}
	}
	return n
}

func understood(rs resource.Resources, f *framework, on *agent) resource.Resources {
	if on.plain {
		return rs
	}
	return slices.DeleteFunc(slices.Clone(rs), func(x resource.Resource) bool { return !f.understands(&x) })
}

// offer makes an offer, or adds to the one the first stage has made of the agent.
func (r *run) offer(on *agent, role *role, f *framework, rs resource.Resources) {
	rs = rs.WithAlloc(role.path)
	r.charge(f, on, rs)
	if len(on.shared) > 0 {
		if r.shared == nil {
			r.shared = map[*agent]resource.Resources{}
		}
		for i := range rs {
			if rs[i].Flavor.Shared() {
				once := rs[i]
				once.Alloc = ""
				r.shared[on] = append(r.shared[on], once)
			}
		}
	}
	if r.guarantees > 0 { // else there was no first stage
		key := offerKey{f, role, on}
		if at, ok := r.offers[key]; ok {
			r.made[at].Resources = r.made[at].Resources.Add(rs)
			return
		}
		r.offers[key] = len(r.made)
	}
	r.made = append(r.made, Offer{f.ID, role.path, on.ID, rs})
}

// grouped puts the offers of each framework together, in the order in which
// frameworks got their first one.
func (r *run) grouped() []Offer {
	var order []string
	of := map[string][]int{}
	for i := range r.made {
		id := r.made[i].Framework
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], i)
	}
	out := make([]Offer, 0, len(r.made))
	for _, id := range order {
		for _, i := range of[id] {
			out = append(out, r.made[i])
		}
	}
	return out
}
