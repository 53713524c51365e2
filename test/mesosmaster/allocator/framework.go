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
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// FrameworkInfo is what the allocator is told about a framework.
type FrameworkInfo struct {
	ID    string
	Roles []string
	// Suppressed are the roles among Roles that want no offers.
	Suppressed []string
	// Capabilities are those of FrameworkInfo.
	Capabilities []mesos.FrameworkInfo_Capability
	// MinAllocatable replaces, role by role, what an offer must at least hold
	// (FrameworkInfo.offer_filters).
	MinAllocatable map[string][]Quantities
	// Constraints are valid conditions on agents.
	Constraints OfferConstraints
}

// framework is a framework in the allocation (Mesos hierarchical.hpp Framework).
type framework struct {
	FrameworkInfo
	active     bool
	roles      map[string]bool
	suppressed map[string]bool

	gpus, revocable, shared, refined, regions bool // capabilities

	filters map[string]map[string][]*refused // by role and agent id
	inverse map[string][]*refused            // by agent id
}

// set takes over an info; roles are the caller's business.
func (f *framework) set(info FrameworkInfo) {
	f.FrameworkInfo = info
	can := map[mesos.FrameworkInfo_Capability_Type]bool{}
	for i := range info.Capabilities {
		can[info.Capabilities[i].Type] = true
	}
	f.gpus = can[mesos.FrameworkInfo_Capability_GPU_RESOURCES]
	f.revocable = can[mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES]
	f.shared = can[mesos.FrameworkInfo_Capability_SHARED_RESOURCES]
	f.refined = can[mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT]
	f.regions = can[mesos.FrameworkInfo_Capability_REGION_AWARE]
}

// mayReceive tells whether a framework can deal with an agent as a whole
// (Mesos hierarchical.cpp isCapableOfReceivingAgent).
func (a *Allocator) mayReceive(f *framework, on *agent) bool {
	if on.gpus && !a.OfferGPUsToAll && !f.gpus {
		return false
	}
	return f.regions || !on.remote(a.Region)
}

// understands tells whether a framework can deal with a resource
// (Mesos hierarchical.cpp stripIncapableResources).
func (f *framework) understands(r *resource.Resource) bool {
	switch {
	case r.Flavor.Shared() && !f.shared:
		return false
	case r.Flavor.Revocable() && !f.revocable:
		return false
	}
	return f.refined || len(r.Flavor.Reservations()) <= 1
}

// contentWith checks min_allocatable_resources: one of the sets must be held, of
// the framework's own or else of the options (Mesos hierarchical.cpp allocatable).
func (f *framework) contentWith(role string, c *cut) bool {
	if sets, own := f.MinAllocatable[role]; own {
		return enough(c.offer, sets)
	}
	return c.enough
}

// enough tells whether there is anything, and as much as in one of the sets. An
// empty list lets everything pass; ranges and sets count by their items.
func enough(rs resource.Resources, sets []Quantities) bool {
	if len(rs) == 0 || len(sets) == 0 {
		return len(rs) > 0
	}
	for _, set := range sets {
		if holds(rs, set) {
			return true
		}
	}
	return false
}

// holds tells whether there is as much of each name in rs as in set.
func holds(rs resource.Resources, set Quantities) bool {
	for _, want := range set {
		left := want.Milli
		for i := range rs {
			if left > 0 && rs[i].Name == want.Name {
				left -= counted(&rs[i])
			}
		}
		if left > 0 {
			return false
		}
	}
	return true
}
