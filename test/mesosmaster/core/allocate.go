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

package core

import (
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// allocateSoon asks for a run at once: a framework or agent was added, an agent
// changed, a role was revived. Several requests make one run.
func (m *Master) allocateSoon() {
	m.alloc.dirty = true
	if m.alloc.runPending {
		return
	}
	m.alloc.runPending = true
	m.after(0, func() {
		m.alloc.runPending = false
		m.allocate()
	})
}

// allocateAtTick makes sure the next tick of the allocation interval allocates.
// Ticks with nothing to do are left out: a run over an unchanged state would
// offer nothing.
func (m *Master) allocateAtTick() {
	m.alloc.dirty = true
	if m.alloc.tickArmed {
		return
	}
	m.alloc.tickArmed = true
	m.tickTimer = m.after(m.untilTick(), func() {
		m.alloc.tickArmed = false
		if m.alloc.dirty {
			m.allocate()
		}
	})
}

// charge and uncharge book resources (without allocation) of an agent as held by
// a framework in a role.
func (m *Master) charge(fw string, a *agent, role string, plain resource.Resources) {
	a.allocated = a.allocated.Add(plain)
	a.freeStale = true
	m.alloc.charge(role, fw, plain)
}

func (m *Master) uncharge(fw string, a *agent, role string, plain resource.Resources) {
	a.allocated = a.allocated.Sub(plain)
	a.freeStale = true
	m.alloc.discharge(role, fw, plain)
}

// allocate is one run over all agents (Mesos hierarchical.cpp
// __generateOffers): agents in random order, per agent roles and then frameworks
// in the order of their shares; the first that may and wants gets everything it
// may see. All new offers of a framework go out in one OFFERS event.
func (m *Master) allocate() {
	m.alloc.dirty = false
	m.alloc.runs++
	if len(m.alloc.roles()) == 0 {
		return
	}
	agents := slices.DeleteFunc(slices.Clone(m.order), func(a *agent) bool { return !a.offerable() || a.freeRes().Empty() })
	m.shuffle(agents)
	batch := map[*framework][]*offer{}
	var order []*framework
	for _, a := range agents {
		for _, o := range m.allocateAgent(a) {
			if batch[o.fw] == nil {
				order = append(order, o.fw)
			}
			batch[o.fw] = append(batch[o.fw], o)
		}
	}
	for _, f := range order {
		m.sendOffers(f, batch[f])
	}
}

// allocateAgent hands out what is free on one agent.
func (m *Master) allocateAgent(a *agent) []*offer {
	var out []*offer
	for _, node := range slices.Clone(m.alloc.roles()) {
		for _, fw := range m.alloc.candidates(node) {
			if a.freeRes().Empty() {
				return out
			}
			f := m.frameworks[fw]
			res := m.offerableTo(f, node.path, a)
			if len(res) == 0 {
				continue
			}
			m.charge(f.id, a, node.path, res)
			out = append(out, m.newOffer(f, a, node.path, res))
		}
	}
	return out
}

// offerableTo is what a framework may be offered of an agent in a role now; nil
// if constraints, capabilities, the minimum or a decline filter forbid it.
func (m *Master) offerableTo(f *framework, role string, a *agent) resource.Resources {
	if f == nil || !f.constraints.allow(role, a) || !m.mayReceive(f, a) {
		return nil
	}
	var res resource.Resources
	for _, r := range a.freeRes() {
		if r.Flavor.AllocatableTo(role) && f.understands(&r) {
			res = append(res, r)
		}
	}
	if len(res) == 0 || !m.allocatable(f, role, res) || f.isFiltered(role, a, res) {
		return nil
	}
	return res
}

// mayReceive are the capabilities a framework needs for an agent as a whole
// (Mesos hierarchical.cpp isCapableOfReceivingAgent).
func (m *Master) mayReceive(f *framework, a *agent) bool {
	if a.gpus && !m.cfg.KeepGPUsForAll && !f.can(mesos.FrameworkInfo_Capability_GPU_RESOURCES) {
		return false
	}
	remote := m.cfg.Region != "" && a.domain != nil && a.domain.FaultDomain.Region.Name != m.cfg.Region
	return !remote || f.can(mesos.FrameworkInfo_Capability_REGION_AWARE)
}

// understands are the capabilities needed for one resource
// (Mesos hierarchical.cpp stripIncapableResources).
func (f *framework) understands(r *resource.Resource) bool {
	if r.Flavor.Revocable() && !f.can(mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES) {
		return false
	}
	if r.Flavor.Shared() && !f.can(mesos.FrameworkInfo_Capability_SHARED_RESOURCES) {
		return false
	}
	return len(r.Flavor.Reservations()) <= 1 || f.can(mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT)
}

// allocatable checks min_allocatable_resources: one of the sets must be held.
// An empty list lets everything pass; ranges and sets count by their items.
func (m *Master) allocatable(f *framework, role string, res resource.Resources) bool {
	sets, own := f.minAlloc[role]
	if !own {
		sets = m.cfg.MinAllocatable
	}
	if len(sets) == 0 {
		return true
	}
	for _, set := range sets {
		if holds(res, set) {
			return true
		}
	}
	return false
}

func holds(res resource.Resources, set map[string]int64) bool {
	for name, want := range set {
		have := res.Scalar(name) + int64(res.Ranges(name).Count())*1000
		for i := range res {
			if res[i].Name == name {
				have += int64(len(res[i].Items)) * 1000
			}
		}
		if have < want {
			return false
		}
	}
	return true
}

func (m *Master) sendOffers(f *framework, list []*offer) {
	protos := make([]mesos.Offer, len(list))
	for i, o := range list {
		protos[i] = o.toProto()
		if n := m.fault.padOffers; n > 0 {
			protos[i].Attributes = append(slices.Clip(protos[i].Attributes), mesos.Attribute{
				Name: "padding", Type: mesos.TEXT, Text: &mesos.Value_Text{Value: strings.Repeat("x", n)},
			})
		}
	}
	f.stats.sent += int64(len(list))
	m.emit(f, &scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: protos}})
}

// shuffle puts agents in random order, or in the one the configuration wants.
func (m *Master) shuffle(agents []*agent) {
	if m.cfg.Shuffle == nil {
		m.rng.Shuffle(len(agents), func(i, j int) { agents[i], agents[j] = agents[j], agents[i] })
		return
	}
	names, byName := make([]string, len(agents)), map[string]*agent{}
	for i, a := range agents {
		names[i], byName[a.hostname] = a.hostname, a
	}
	m.cfg.Shuffle(names)
	for i, name := range names {
		agents[i] = byName[name]
	}
}
