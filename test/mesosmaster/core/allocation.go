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
	"math"
	"slices"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// newAllocator makes the allocator of a new master.
func (m *Master) newAllocator() *allocator.Allocator {
	o := allocator.Options{
		Interval: m.cfg.AllocationInterval, Shuffle: m.cfg.Shuffle, OfferGPUsToAll: m.cfg.KeepGPUsForAll, Region: m.cfg.Region, Weights: map[string]float64{},
		FairnessExcluded: m.cfg.FairSharingExcluded,
	}
	for _, set := range m.cfg.MinAllocatable {
		o.MinAllocatable = append(o.MinAllocatable, allocator.QuantitiesOf(set))
	}
	for role, weight := range m.registry.weights {
		if weight > 0 {
			o.Weights[role] = weight
		}
	}
	return allocator.New(o, func() time.Time { return m.now }, m.rng)
}

// allocatorInfo is what the allocator needs to know of an agent.
func (a *agent) allocatorInfo() allocator.AgentInfo {
	return allocator.AgentInfo{ID: a.id, Hostname: a.hostname, Attributes: a.attributes, Domain: a.domain, Total: a.total, Unavailability: a.unavailability}
}

// allocatorInfo is what the allocator needs to know of a framework.
func (m *Master) allocatorInfo(f *framework) allocator.FrameworkInfo {
	info := allocator.FrameworkInfo{
		ID: f.id, Roles: sortedKeys(f.roles), Suppressed: sortedKeys(f.suppressed), Capabilities: f.info.Capabilities,
		MinAllocatable: map[string][]allocator.Quantities{}, Constraints: f.constraints,
	}
	for role, filter := range f.info.OfferFilters {
		if filter.MinAllocatableResources == nil {
			continue
		}
		sets := []allocator.Quantities{}
		for _, q := range filter.MinAllocatableResources.Quantities {
			set := map[string]int64{}
			for name, v := range q.Quantities {
				set[name] = resource.MilliOf(v.Value)
			}
			sets = append(sets, allocator.QuantitiesOf(set))
		}
		info.MinAllocatable[role] = sets
	}
	return info
}

// offerability tells the allocator whether an agent is to be offered, after its
// connection or its deactivation has changed.
func (m *Master) offerability(a *agent) { m.alloc.SetActive(a.id, a.offerable()) }

// charge books resources of an agent as held by a framework in a role, other than
// by an offer.
func (m *Master) charge(fw string, a *agent, role string, res resource.Resources) {
	m.alloc.Allocate(fw, a.id, res.WithAlloc(role))
}

// recoverRes gives resources back to the allocator, and remembers for refuse
// that this framework does not want them. They are offered again at the next
// tick (Mesos hierarchical.cpp recoverResources).
func (m *Master) recoverRes(f *framework, a *agent, role string, res resource.Resources, refuse time.Duration) {
	if m.agents[a.id] == a {
		m.alloc.Recover(f.id, a.id, res.WithAlloc(role), refuse)
	}
}

// refuseFor is the duration of a decline filter by the master's rules: absent,
// negative or not a number means 5 s, 0 means none, at most 365 days.
func refuseFor(f *mesos.Filters) time.Duration {
	if f == nil || f.RefuseSeconds == nil {
		return defaultRefuse
	}
	s := *f.RefuseSeconds
	switch {
	case math.IsNaN(s) || s < 0:
		return defaultRefuse
	case s >= maxRefuse.Seconds():
		return maxRefuse
	}
	return time.Duration(s * float64(time.Second))
}

// allocate makes the offers of one allocation run. All new offers of a framework
// go out in one OFFERS event.
func (m *Master) allocate() {
	result := m.alloc.Run()
	for len(result.Offers) > 0 {
		f := m.frameworks[result.Offers[0].Framework]
		n := slices.IndexFunc(result.Offers, func(o allocator.Offer) bool { return o.Framework != f.id })
		if n < 0 {
			n = len(result.Offers)
		}
		list := make([]*offer, n)
		for i, o := range result.Offers[:n] {
			list[i] = m.newOffer(f, m.agents[o.Agent], o.Role, o.Resources)
		}
		m.sendOffers(f, list)
		result.Offers = result.Offers[n:]
	}
	m.inverseOffers(result.Inverse)
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
