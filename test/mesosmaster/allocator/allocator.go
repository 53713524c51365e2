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

// Package allocator decides which framework is offered what: the hierarchical
// allocator of Mesos with dominant resource fairness (src/master/allocator/mesos:
// hierarchical.cpp, sorter/drf/sorter.cpp), to be read next to them.
//
// The cluster is a list of agents with resources and a tree of roles. A framework
// subscribes to roles. At every tick of the allocation interval, and at once when
// an agent or framework appears or offers are revived, a run goes over the agents
// in random order; at each agent over the roles in the order of their dominant
// shares by weight, siblings against siblings, and in each role over its
// frameworks in the order of theirs; and offers the first framework all it may
// have of the agent. What is offered counts as held from then on. What may be
// offered depends on, in this order: offer constraints, reservations, the least
// allocatable amount, capabilities, quota limits, the headroom kept for quota
// guarantees of others, and filters left by declined offers.
//
// A run has two stages: the first serves only roles with quota guarantees that
// are not met, the second all.
//
// The package is pure: it starts nothing, sends nothing and reads no clock but
// the one it is given. The master tells it what happens, asks Due when a run is
// due and gets the new offers from Run.
package allocator

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Options are the flags of the master that concern the allocation.
type Options struct {
	// Interval is the time between two ticks (--allocation_interval).
	Interval time.Duration
	// MinAllocatable are sets of quantities, one of which an offer must hold
	// (--min_allocatable_resources); none means that everything may be offered.
	MinAllocatable []Quantities
	// OfferGPUsToAll offers agents with GPUs also to frameworks without
	// GPU_RESOURCES (--filter_gpu_resources=false).
	OfferGPUsToAll bool
	// Region is the master's own, empty for none.
	Region string
	// Weights of roles, 1 for those not named. The map is taken over.
	Weights map[string]float64
	// Shuffle puts the host names of the agents that a run is to visit into the
	// order in which it visits them; nil: a random one. It must only permute them.
	Shuffle func(hostnames []string)
	// FairnessExcluded are names of resources that do not count for shares
	// (--fair_sharing_excluded_resource_names).
	FairnessExcluded []string
}

// Allocator is the state of the allocation. It is not safe for concurrent use.
type Allocator struct {
	Options
	rng   *rand.Rand
	now   func() time.Time
	phase time.Time // a tick

	agents     map[string]*agent
	order      []*agent // by their numbers
	agentSeq   int
	frameworks map[string]*framework
	tree       *roleTree
	sorter     *sorter[*role]
	total      Quantities
	excluded   map[string]bool
	guarantees int // roles with quota guarantees
	expiries   expiries

	candidates map[*agent]bool // agents with a run due at once
	everywhere bool            // a run over all agents is due at once
	tick       time.Time       // when a run over all agents is due; zero for never
	paused     bool
	expected   int // agents to wait for while paused
	resumes    time.Time
	runs       int64
}

// New returns an allocator whose ticks count from the present time of clock on.
func New(o Options, clock func() time.Time, rng *rand.Rand) *Allocator {
	a := &Allocator{
		Options: o, rng: rng, now: clock, phase: clock(),
		agents: map[string]*agent{}, frameworks: map[string]*framework{}, tree: newRoleTree(),
		excluded: map[string]bool{}, candidates: map[*agent]bool{},
	}
	if a.Weights == nil {
		a.Weights = map[string]float64{}
	}
	for _, name := range o.FairnessExcluded {
		a.excluded[name] = true
	}
	a.sorter = newSorter[*role](&a.total, a.Weights, a.excluded)
	return a
}

// AddAgent adds an active agent; a run over it is due at once (Mesos addSlave).
func (a *Allocator) AddAgent(info AgentInfo) {
	if a.agents[info.ID] != nil {
		a.RemoveAgent(info.ID)
	}
	on := newAgent(info)
	a.agentSeq++
	on.number = a.agentSeq
	a.agents[info.ID] = on
	a.order = append(a.order, on)
	a.tree.reserve(info.Total)
	a.changeTotal(nil, Scalars(info.Total))
	if a.paused && a.expected > 0 && len(a.agents) >= a.expected {
		a.resume()
	}
	a.runOver(on)
}

// changeTotal replaces a part of the cluster's scalars: all shares change.
func (a *Allocator) changeTotal(from, to Quantities) {
	a.total.shrink(from)
	a.total.grow(to)
	a.sorter.touch()
	for _, r := range a.tree.roles {
		if r.sorter != nil {
			r.sorter.touch()
		}
	}
}

// RemoveAgent removes an agent with all that is held on it and all filters about
// it (Mesos removeSlave).
func (a *Allocator) RemoveAgent(id string) {
	on := a.agents[id]
	if on == nil {
		return
	}
	for f, rs := range maps.Clone(on.held) {
		a.uncharge(f, on, rs)
	}
	delete(a.agents, id)
	delete(a.candidates, on)
	a.order = slices.DeleteFunc(a.order, func(x *agent) bool { return x == on })
	a.tree.unreserve(on.Total)
	a.changeTotal(Scalars(on.Total), nil)
	a.clearAgent(id)
	a.touch()
}

// UpdateAgent takes over what an agent says of itself when it registers again or
// its resources change. If anything has changed a run over it is due at once;
// changed attributes clear the filters about it (Mesos updateSlave).
func (a *Allocator) UpdateAgent(info AgentInfo) {
	on := a.agents[info.ID]
	if on == nil {
		return
	}
	changed := on.Hostname != info.Hostname || !on.Domain.Equal(info.Domain)
	if !slices.EqualFunc(on.Attributes, info.Attributes, func(x, y mesos.Attribute) bool { return x.Equal(y) }) {
		a.clearAgent(info.ID)
		changed = true
	}
	on.Hostname, on.Domain, on.Attributes = info.Hostname, info.Domain, info.Attributes
	if !on.Total.Contains(info.Total) || !info.Total.Contains(on.Total) {
		a.setTotal(on, info.Total)
		changed = true
	}
	if changed {
		a.runOver(on)
	}
}

// SetTotal changes the total of an agent; it is for runs to come to make use of
// it (Mesos updateSlaveTotal).
func (a *Allocator) SetTotal(id string, total resource.Resources) {
	if on := a.agents[id]; on != nil {
		a.setTotal(on, total)
		a.touch()
	}
}

func (a *Allocator) setTotal(on *agent, total resource.Resources) {
	a.changeTotal(Scalars(on.Total), Scalars(total))
	// The new reservations first: a role they share with the old is not forgotten.
	a.tree.reserve(total)
	a.tree.unreserve(on.Total)
	on.setTotal(total)
}

// SetActive says whether the resources of an agent are offered; neither makes a
// run due before the next tick (Mesos activateSlave, deactivateSlave).
func (a *Allocator) SetActive(agentID string, active bool) {
	if on := a.agents[agentID]; on != nil && on.active != active {
		on.active = active
		a.touch()
	}
}

// SetWeight changes the weight of a role among its siblings; runs to come follow
// it (Mesos updateWeights).
func (a *Allocator) SetWeight(role string, weight float64) {
	a.Weights[role] = weight
	a.sorter.touch()
	a.touch()
}

// SetQuota changes the quota of a role (Mesos updateQuota).
func (a *Allocator) SetQuota(path string, q Quota) {
	r := a.tree.at(path)
	if len(r.quota.Guarantees) > 0 {
		a.guarantees--
	}
	if len(q.Guarantees) > 0 {
		a.guarantees++
	}
	r.quota = q
	a.tree.prune(r)
	a.touch()
}

// Quota is the quota of a role.
func (a *Allocator) Quota(path string) Quota {
	if r := a.tree.roles[path]; r != nil {
		return r.quota
	}
	return Quota{}
}

// Runs is how many runs there were.
func (a *Allocator) Runs() int64 { return a.runs }
