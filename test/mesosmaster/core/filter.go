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
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// filterKey is what a decline filter is about.
type filterKey struct{ role, agent string }

// refused is a decline filter: while it lives, no offer of a subset of these
// resources is made (Mesos hierarchical.cpp RefusedOfferFilter).
type refused struct {
	res    resource.Resources
	expiry *timer
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

// recoverRes gives resources back to the allocator, and remembers for refuse
// that this framework does not want them (Mesos hierarchical.cpp
// recoverResources). They are offered again at the next tick.
func (m *Master) recoverRes(f *framework, a *agent, role string, res resource.Resources, refuse time.Duration) {
	if len(res) == 0 {
		return
	}
	m.uncharge(f.id, a, role, res.WithAlloc(""))
	m.refuse(f, a, role, res, refuse)
}

// refuse installs a decline filter for resources that are free already.
func (m *Master) refuse(f *framework, a *agent, role string, res resource.Resources, refuse time.Duration) {
	m.allocateAtTick()
	if refuse == 0 || f.removed || !f.roles[role] || m.agents[a.id] != a {
		return
	}
	key := filterKey{role, a.id}
	entry := &refused{res: res.WithAlloc("")}
	f.filters[key] = append(f.filters[key], entry)
	entry.expiry = m.after(max(refuse, m.cfg.AllocationInterval), func() {
		m.dropFilter(f, key, entry)
		m.allocateAtTick()
	})
}

func (m *Master) dropFilter(f *framework, key filterKey, entry *refused) {
	rest := slices.DeleteFunc(slices.Clone(f.filters[key]), func(e *refused) bool { return e == entry })
	if len(rest) == 0 {
		delete(f.filters, key)
		return
	}
	f.filters[key] = rest
}

// clearFilters removes the decline filters of one role.
func (m *Master) clearFilters(f *framework, role string) {
	m.clearFiltersWhere(f, func(key filterKey) bool { return key.role == role })
}

// clearAgentFilters removes the decline filters about one agent.
func (m *Master) clearAgentFilters(agentID string) {
	for _, f := range m.frameworks {
		m.clearFiltersWhere(f, func(key filterKey) bool { return key.agent == agentID })
	}
}

func (m *Master) clearFiltersWhere(f *framework, match func(filterKey) bool) {
	for key, list := range f.filters {
		if !match(key) {
			continue
		}
		for _, e := range list {
			m.timers.cancel(e.expiry)
		}
		delete(f.filters, key)
	}
}

// isFiltered tells whether a live filter covers the whole candidate.
func (f *framework) isFiltered(role string, a *agent, candidate resource.Resources) bool {
	for _, e := range f.filters[filterKey{role, a.id}] {
		if e.res.Contains(candidate) {
			return true
		}
	}
	return false
}
