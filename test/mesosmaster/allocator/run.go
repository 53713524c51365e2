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
			r.serve(on, r.guaranteed)
		}
		r.shuffle() // spreads what the first stage took from the front
	}
	for _, on := range r.agents {
		r.serve(on, r.additional)
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

// countQuota sums up quotas, what is used of them, and the headroom: required is
// guaranteed and not consumed, available is the total without what is held,
// reserved or revocable.
func (r *run) countQuota() {
	for _, top := range r.tree.root.children {
		if !top.quota.Default() {
			r.consumed[top] = top.consumed()
			r.required.grow(top.quota.Guarantees.Minus(r.consumed[top]))
		}
	}
	if len(r.required) == 0 {
		return
	}
	root := r.tree.root
	r.available = r.total.Minus(r.sorter.root.held.sum)
	r.available.shrink(root.reserved.Minus(root.inUse.sum))
	for _, on := range r.order {
		if on.plain {
			continue
		}
		for _, x := range on.available() {
			if x.Flavor.Revocable() && x.Kind == resource.Scalar {
				r.available.sub(x.Name, x.Milli)
			}
		}
	}
}

// stage decides what of the resources it may see a framework is offered; nil for
// nothing.
type stage func(on *agent, role *role, f *framework, may resource.Resources) resource.Resources

// serve offers what is free on an agent: to roles and, in each, to frameworks in
// the order of their shares.
func (r *run) serve(on *agent, decide stage) {
	for _, role := range r.sorter.sort() {
		if len(on.available()) == 0 {
			return
		}
		for _, f := range role.sorter.sort() {
			if f.Constraints.Excludes(role.path, &on.AgentInfo) {
				continue
			}
			may := r.allocatableTo(on, role)
			if len(may) == 0 {
				break // nothing left for the role
			}
			if !r.allocatable(f, role.path, may) || !r.mayReceive(f, on) {
				continue
			}
			if !on.plain {
				may = understood(may, f)
			}
			offer := decide(on, role, f, may)
			if len(offer) > 0 {
				r.offer(on, role, f, offer)
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
	var out resource.Resources
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

func understood(rs resource.Resources, f *framework) resource.Resources {
	return slices.DeleteFunc(slices.Clone(rs), func(x resource.Resource) bool { return !f.understands(&x) })
}

// guaranteed is the first stage: a role whose guarantees are not met gets what it
// lacks, together with its reservations and all that no quota can be set on, and
// more of the rest up to its limits and to what the guarantees of others leave.
// An agent that does not bring it nearer to its guarantees is left to the second
// stage.
func (r *run) guaranteed(on *agent, role *role, f *framework, may resource.Resources) resource.Resources {
	lacks := role.quota.Guarantees.Minus(r.consumed[role])
	if len(lacks) == 0 {
		return nil
	}
	scalars, always := chargeable(may)
	due := chop(scalars, lacks, false, r.rng)
	if len(due) == 0 {
		return nil
	}
	always = slices.DeleteFunc(always, func(x resource.Resource) bool {
		return x.Kind == resource.Scalar && !x.Flavor.Revocable() && x.Flavor.Role() != role.path
	})
	sum := Scalars(due)
	more := r.within(role, scalars.Sub(due), r.consumed[role].Plus(sum))
	offer := always.Add(due).Add(more)
	if !r.allocatable(f, role.path, offer) || f.filtered(role.path, on.ID, offer) {
		return nil
	}
	r.required.shrink(sum)
	sum.grow(Scalars(more))
	r.consume(role, sum)
	return offer
}

// additional is the second stage: reservations and all that no quota can be set
// on, and of the rest what limits and headroom allow.
func (r *run) additional(on *agent, role *role, f *framework, may resource.Resources) resource.Resources {
	if role.quota.Default() && len(r.required) == 0 {
		if f.filtered(role.path, on.ID, may) || !r.allocatable(f, role.path, may) {
			return nil
		}
		return may
	}
	scalars, always := chargeable(may)
	more := r.within(role, scalars, r.consumed[role])
	offer := always.Add(more)
	if !r.allocatable(f, role.path, offer) || f.filtered(role.path, on.ID, offer) {
		return nil
	}
	r.consume(role, Scalars(more))
	return offer
}

// within cuts scalars down to the limits of a role that has consumed so much,
// and to the headroom that no guarantee needs.
func (r *run) within(role *role, scalars resource.Resources, consumed Quantities) resource.Resources {
	if len(role.quota.Limits) > 0 {
		scalars = chop(scalars, role.quota.Limits.minus(consumed), true, r.rng)
	}
	if len(r.required) > 0 && len(scalars) > 0 {
		scalars = chop(scalars, r.available.Minus(r.required), false, r.rng)
	}
	return scalars
}

// consume books what was offered against quota and headroom.
func (r *run) consume(role *role, sum Quantities) {
	if !role.quota.Default() {
		r.consumed[role] = r.consumed[role].Plus(sum)
	}
	r.available.shrink(sum)
}

// chargeable parts resources into those quotas apply to, unreserved scalars that
// are not revocable, and those that are always offered.
func chargeable(rs resource.Resources) (scalars, always resource.Resources) {
	for i := range rs {
		if x := &rs[i]; x.Kind == resource.Scalar && x.Flavor.Role() == "" && !x.Flavor.Revocable() {
			scalars = append(scalars, *x)
		} else {
			always = append(always, *x)
		}
	}
	return scalars, always
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
	key := offerKey{f, role, on}
	if at, ok := r.offers[key]; ok {
		r.made[at].Resources = r.made[at].Resources.Add(rs)
		return
	}
	r.offers[key] = len(r.made)
	r.made = append(r.made, Offer{f.ID, role.path, on.ID, rs})
}

// grouped puts the offers of each framework together, in the order in which
// frameworks got their first one.
func (r *run) grouped() []Offer {
	rank := map[string]int{}
	for i := range r.made {
		if _, ok := rank[r.made[i].Framework]; !ok {
			rank[r.made[i].Framework] = len(rank)
		}
	}
	slices.SortStableFunc(r.made, func(x, y Offer) int { return rank[x.Framework] - rank[y.Framework] })
	return r.made
}
