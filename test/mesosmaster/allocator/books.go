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
	"fmt"
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// AddFramework makes a framework known; it is inactive until Activate
// (Mesos addFramework).
func (a *Allocator) AddFramework(info FrameworkInfo) {
	if a.frameworks[info.ID] != nil {
		a.UpdateFramework(info)
		return
	}
	f := &framework{filters: map[string]map[string][]*refused{}, inverse: map[string][]*refused{}}
	f.set(info)
	a.frameworks[info.ID] = f
	a.subscribe(f)
}

// UpdateFramework takes over changed roles, suppressed roles, capabilities,
// least amounts and constraints. Filters of roles that were left, or are
// suppressed no longer, and of inverse offers go. No run becomes due before the
// next tick (Mesos updateFramework).
func (a *Allocator) UpdateFramework(info FrameworkInfo) {
	f := a.frameworks[info.ID]
	if f == nil {
		return
	}
	roles, suppressed := f.roles, f.suppressed
	f.set(info)
	a.subscribe(f)
	for role := range roles {
		if !f.roles[role] {
			a.clearRole(f, role)
			a.enroll(f, role)
		} else if suppressed[role] && !f.suppressed[role] {
			a.clearRole(f, role)
		}
	}
	a.clear(f.inverse)
	a.touch()
}

// subscribe brings the sorters in line with the roles of a framework.
func (a *Allocator) subscribe(f *framework) {
	f.roles, f.suppressed = map[string]bool{}, map[string]bool{}
	for _, role := range f.Roles {
		f.roles[role] = true
	}
	for _, role := range f.Suppressed {
		f.suppressed[role] = f.roles[role]
	}
	for _, role := range f.Roles {
		a.enroll(f, role)
	}
}

// enroll makes a framework a candidate for offers in a role or not, and tracks
// it under the role while it is subscribed to it or holds something in it.
func (a *Allocator) enroll(f *framework, path string) {
	if !f.roles[path] {
		if r := a.tree.roles[path]; r != nil && r.frameworks[f.ID] != nil {
			r.sorter.deactivate(f.ID)
			a.untrack(f, r)
		}
		return
	}
	if r := a.track(f, path); f.active && !f.suppressed[path] {
		r.sorter.activate(f.ID)
	} else {
		r.sorter.deactivate(f.ID)
	}
}

// track finds or makes the role and a framework's account in it
// (Mesos trackFrameworkUnderRole).
func (a *Allocator) track(f *framework, path string) *role {
	r := a.tree.at(path)
	if r.frameworks[f.ID] != nil {
		return r
	}
	if len(r.frameworks) == 0 {
		a.sorter.add(path, r)
		a.sorter.activate(path)
		r.sorter = newSorter[*framework](&a.total, nil, a.excluded)
	}
	r.frameworks[f.ID] = f
	r.sorter.add(f.ID, f)
	return r
}

// untrack closes the account of a framework that has left a role and holds
// nothing in it any more (Mesos tryUntrackFrameworkUnderRole).
func (a *Allocator) untrack(f *framework, r *role) {
	if f.roles[r.path] || len(r.sorter.clients[f.ID].held.sum) > 0 || a.holdsIn(f, r.path) {
		return
	}
	delete(r.frameworks, f.ID)
	r.sorter.remove(f.ID)
	if len(r.frameworks) == 0 {
		a.sorter.remove(r.path)
		r.sorter = nil
	}
	a.tree.prune(r)
}

// holdsIn tells whether a framework holds anything, even no scalar, in a role.
func (a *Allocator) holdsIn(f *framework, path string) bool {
	for _, on := range a.order {
		for i := range on.held[f] {
			if on.held[f][i].Alloc == path {
				return true
			}
		}
	}
	return false
}

// Activate makes a framework a candidate in its roles; a run over all agents is
// due at once (Mesos activateFramework).
func (a *Allocator) Activate(framework string) {
	if f := a.frameworks[framework]; f != nil {
		f.active = true
		for _, role := range f.Roles {
			a.enroll(f, role)
		}
		a.runEverywhere()
	}
}

// Deactivate ends that. What the framework holds stays on the books, its filters
// go (Mesos deactivateFramework).
func (a *Allocator) Deactivate(framework string) {
	if f := a.frameworks[framework]; f != nil {
		f.active = false
		for _, role := range f.Roles {
			a.enroll(f, role)
		}
		a.clearAll(f)
	}
}

// RemoveFramework removes a framework; what it still holds is free again
// (Mesos removeFramework).
func (a *Allocator) RemoveFramework(id string) {
	f := a.frameworks[id]
	if f == nil {
		return
	}
	a.Deactivate(id)
	f.roles = map[string]bool{}
	for _, on := range a.order {
		if rs := on.held[f]; len(rs) > 0 {
			a.uncharge(f, on, rs)
		}
		delete(on.outstanding, f)
		delete(on.answers, f)
	}
	for _, role := range f.Roles {
		a.enroll(f, role)
	}
	delete(a.frameworks, id)
	a.touch()
}

// Revive clears the filters of roles, and all of inverse offers, and ends the
// suppression of the roles; a run over all agents is due at once (Mesos
// reviveOffers).
func (a *Allocator) Revive(framework string, roles []string) {
	f := a.frameworks[framework]
	if f == nil {
		return
	}
	a.clear(f.inverse)
	for _, role := range roles {
		a.clearRole(f, role)
		delete(f.suppressed, role)
		a.enroll(f, role)
	}
	a.runEverywhere()
}

// Suppress stops new offers in roles (Mesos suppressOffers).
func (a *Allocator) Suppress(framework string, roles []string) {
	if f := a.frameworks[framework]; f != nil {
		for _, role := range roles {
			f.suppressed[role] = true
			a.enroll(f, role)
		}
	}
}

// Allocate books resources, with their roles, that a framework is found to hold:
// tasks and executors an agent reports when it registers.
func (a *Allocator) Allocate(framework, agentID string, rs resource.Resources) {
	f, on := a.frameworks[framework], a.agents[agentID]
	if f != nil && on != nil && len(rs) > 0 {
		a.charge(f, on, rs)
	}
}

// Recover gives resources, with their roles, back. A refusal above zero keeps
// the framework from being offered them, or less, for that long
// (Mesos recoverResources).
func (a *Allocator) Recover(framework, agentID string, rs resource.Resources, refusal time.Duration) {
	f, on := a.frameworks[framework], a.agents[agentID]
	if f == nil || on == nil || len(rs) == 0 {
		return
	}
	a.uncharge(f, on, rs)
	a.touch()
	if role := rs[0].Alloc; refusal > 0 && f.roles[role] {
		a.refuse(f, role, agentID, rs, refusal)
	}
}

// Convert replaces resources a framework holds by what an operation made of
// them, in its account and in the agent's total (Mesos updateAllocation).
func (a *Allocator) Convert(framework, agentID string, from, to resource.Resources) error {
	f, on := a.frameworks[framework], a.agents[agentID]
	if f == nil || on == nil {
		return fmt.Errorf("conversion for framework %q on agent %q: one of them is unknown", framework, agentID)
	}
	if !on.held[f].Contains(from) {
		return fmt.Errorf("framework %s holds %v on agent %s, not %v", framework, on.held[f], agentID, from)
	}
	for _, path := range rolesIn(from, to) {
		x, y := allocatedTo(from, path), allocatedTo(to, path)
		r := a.track(f, path)
		r.uncharge(agentID, x)
		r.charge(agentID, y)
		a.sorter.converted(path, agentID, x, y)
		r.sorter.converted(f.ID, agentID, x, y)
	}
	on.release(f, from)
	on.take(f, to)
	a.setTotal(on, on.Total.Sub(from.WithAlloc("")).Add(to.WithAlloc("")))
	a.touch()
	return nil
}

// ConvertFree replaces resources nobody holds by what an operator's operation
// makes of them (Mesos updateAvailable).
func (a *Allocator) ConvertFree(agentID string, from, to resource.Resources) error {
	on := a.agents[agentID]
	if on == nil {
		return fmt.Errorf("conversion on agent %q: it is unknown", agentID)
	}
	if free := on.available(); !free.Contains(from) {
		return fmt.Errorf("free on agent %s are %v, not %v", agentID, free, from)
	}
	a.setTotal(on, on.Total.Sub(from).Add(to))
	a.touch()
	return nil
}

// charge books what a framework holds: on the agent, in the tree of roles and in
// the sorters (Mesos trackAllocatedResources).
func (a *Allocator) charge(f *framework, on *agent, rs resource.Resources) {
	for _, path := range rolesIn(rs, nil) {
		part := allocatedTo(rs, path)
		r := a.track(f, path)
		r.charge(on.ID, part)
		a.sorter.allocated(path, on.ID, part)
		r.sorter.allocated(f.ID, on.ID, part)
	}
	on.take(f, rs)
}

// uncharge is the reverse (Mesos untrackAllocatedResources).
func (a *Allocator) uncharge(f *framework, on *agent, rs resource.Resources) {
	on.release(f, rs)
	for _, path := range rolesIn(rs, nil) {
		r := a.tree.roles[path]
		if r == nil || r.frameworks[f.ID] == nil {
			continue
		}
		part := allocatedTo(rs, path)
		r.uncharge(on.ID, part)
		a.sorter.unallocated(path, on.ID, part)
		r.sorter.unallocated(f.ID, on.ID, part)
		a.untrack(f, r)
	}
}

// rolesIn are the allocation roles of two lists.
func rolesIn(rs, more resource.Resources) []string {
	var roles []string
	for _, list := range []resource.Resources{rs, more} {
		for i := range list {
			if !slices.Contains(roles, list[i].Alloc) {
				roles = append(roles, list[i].Alloc)
			}
		}
	}
	return roles
}

// allocatedTo is the part of a list that is allocated to a role.
func allocatedTo(rs resource.Resources, role string) resource.Resources {
	other := func(r resource.Resource) bool { return r.Alloc != role }
	if !slices.ContainsFunc(rs, other) {
		return rs
	}
	return slices.DeleteFunc(slices.Clone(rs), other)
}

// Held is what is held or offered of an agent, without roles.
func (a *Allocator) Held(agentID string) resource.Resources {
	if on := a.agents[agentID]; on != nil {
		return on.taken
	}
	return nil
}

// HeldBy is what a framework holds or is offered of an agent, with roles.
func (a *Allocator) HeldBy(framework, agentID string) resource.Resources {
	if f, on := a.frameworks[framework], a.agents[agentID]; f != nil && on != nil {
		return on.held[f]
	}
	return nil
}
