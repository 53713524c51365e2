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

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// AgentInfo is what the allocator is told about an agent.
type AgentInfo struct {
	ID, Hostname string
	Attributes   []mesos.Attribute
	Domain       *mesos.DomainInfo // nil: in the master's region
	Total        resource.Resources
	// Unavailability is the maintenance planned for the machine, nil for none.
	Unavailability *mesos.Unavailability
}

// agent is an agent in the allocation (Mesos hierarchical.hpp Slave).
type agent struct {
	AgentInfo
	number int  // in the order of their coming
	active bool // resources are offered
	gpus   bool

	held   map[*framework]resource.Resources // offered or allocated, with roles
	taken  resource.Resources                // their sum, without roles
	shared resource.Resources                // shared resources of the total
	free   resource.Resources
	stale  bool // free is not up to date
	plain  bool // nothing in the total is reserved, revocable or shared

	// outstanding are the frameworks that have an inverse offer.
	outstanding map[*framework]bool
	answers     map[*framework]InverseOfferStatus
}

func newAgent(info AgentInfo) *agent {
	a := &agent{AgentInfo: info, active: true, held: map[*framework]resource.Resources{}}
	a.setTotal(info.Total)
	return a
}

func (a *agent) setTotal(total resource.Resources) {
	a.Total, a.stale = total, true
	a.gpus = total.Scalar("gpus") > 0
	a.plain = !special(total)
	a.shared = nil
	for i := range total {
		if total[i].Flavor.Shared() {
			a.shared = append(a.shared, total[i])
		}
	}
}

// available is what nobody holds or is offered. Shared resources are available
// always (Mesos Slave::updateAvailable).
func (a *agent) available() resource.Resources {
	if a.stale {
		a.free = a.Total
		if len(a.taken) > 0 {
			a.free = a.Total.Sub(a.taken)
		}
		if len(a.shared) > 0 {
			a.free = unshared(a.free).Add(a.shared)
		}
		a.stale = false
	}
	return a.free
}

func unshared(rs resource.Resources) resource.Resources {
	var out resource.Resources
	for i := range rs {
		if !rs[i].Flavor.Shared() {
			out = append(out, rs[i])
		}
	}
	return out
}

// take books resources with roles as held by a framework, release gives them
// back.
func (a *agent) take(f *framework, rs resource.Resources) {
	whole := a.plain && !a.stale && sameAmounts(rs, a.free)
	if have := a.held[f]; have == nil {
		a.held[f] = rs
	} else {
		a.held[f] = have.Add(rs)
	}
	if whole { // the usual case: all that was free was offered
		a.taken, a.free = a.Total, nil
		return
	}
	if len(a.shared) > 0 {
		rs = unshared(rs)
	}
	a.taken = a.taken.Add(rs.WithAlloc(""))
	a.stale = true
}

// sameAmounts tells whether two lists are equal, entry by entry, but for their
// roles.
func sameAmounts(a, b resource.Resources) bool {
	return slices.EqualFunc(a, b, func(x, y resource.Resource) bool {
		return x.Name == y.Name && x.Kind == y.Kind && x.Flavor.Key() == y.Flavor.Key() && x.Milli == y.Milli &&
			slices.Equal(x.Ranges, y.Ranges) && slices.Equal(x.Items, y.Items)
	})
}

func (a *agent) release(f *framework, rs resource.Resources) {
	if rest := a.held[f].Sub(rs); len(rest) > 0 {
		a.held[f] = rest
	} else {
		delete(a.held, f)
	}
	a.taken = a.taken.Sub(rs.WithAlloc(""))
	a.stale = true
}

// remote tells whether an agent is in another region than the master
// (Mesos hierarchical.cpp isRemoteSlave).
func (a *agent) remote(region string) bool {
	fault := a.Domain.GetFaultDomain()
	return region != "" && fault != nil && fault.Region.Name != region
}
