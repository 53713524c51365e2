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
	"fmt"
	"maps"
	"sort"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// TaskSnapshot is a task in the master's books, terminal ones only until their
// last update is acknowledged.
type TaskSnapshot struct {
	TaskID, Name           string
	FrameworkID, Framework string // id and name
	AgentID, Hostname      string
	ExecutorID, Role       string
	State                  string // as "TASK_RUNNING"
	CPUs, MemMB, DiskMB    float64
	Resources              string // Mesos text form
	Ports                  resource.Ranges
	Revocable              bool
	Labels                 map[string]string
	Launched               time.Time
}

// OfferSnapshot is an outstanding offer.
type OfferSnapshot struct {
	ID, FrameworkID, AgentID, Hostname, Role string
	CPUs, MemMB, DiskMB                      float64
	Resources                                string // Mesos text form
	Since                                    time.Time
}

// FrameworkSnapshot is a framework the master knows and has not completed.
type FrameworkSnapshot struct {
	ID, Name                     string
	Connected, Active, Recovered bool
	Roles, SuppressedRoles       []string
	Offers, Tasks                int
	Filters                      int // live decline filters
	StreamID                     string
	FailoverTimeout              time.Duration
	Use                          OfferUse
}

// AgentSnapshot is a machine, whatever the master knows of it.
type AgentSnapshot struct {
	Hostname, AgentID string
	// State is registered, deactivated, disconnected, recovered, unreachable,
	// gone or unknown.
	State                string
	Running, Partitioned bool
	Total, Allocated     string // Mesos text form; Allocated includes offers
	Tasks                int    // alive on the machine
}

func (m *Master) hostnameOf(agentID string) string {
	if a := m.agents[agentID]; a != nil {
		return a.hostname
	}
	if l := m.registry.lost[agentID]; l != nil {
		return l.hostname
	}
	return ""
}

// Tasks lists tasks by framework and id: those in the master's books, and
// unreachable ones.
func (m *Master) Tasks() []TaskSnapshot {
	var out []TaskSnapshot
	for _, fw := range sortedKeys(m.frameworks) {
		f := m.frameworks[fw]
		for _, id := range sortedKeys(f.tasks) {
			out = append(out, m.taskSnapshot(f.tasks[id]))
		}
		for _, id := range sortedKeys(f.unreachable) {
			out = append(out, m.taskSnapshot(f.unreachable[id]))
		}
	}
	return out
}

func (m *Master) taskSnapshot(t *task) TaskSnapshot {
	s := TaskSnapshot{
		TaskID: t.id, Name: t.name, FrameworkID: t.fw.id, Framework: t.fw.info.Name, AgentID: t.agentID,
		Hostname: m.hostnameOf(t.agentID), ExecutorID: t.executorID, Role: t.role, State: t.state.String(),
		CPUs: units(t.res, "cpus"), MemMB: units(t.res, "mem"), DiskMB: units(t.res, "disk"), Ports: t.res.Ranges("ports"),
		Resources: t.res.WithAlloc("").String(), Labels: map[string]string{}, Launched: t.launched,
	}
	for i := range t.res {
		s.Revocable = s.Revocable || t.res[i].Flavor.Revocable()
	}
	for _, l := range t.info.GetLabels().GetLabels() {
		s.Labels[l.Key] = l.GetValue()
	}
	return s
}

func units(rs resource.Resources, name string) float64 { return float64(rs.Scalar(name)) / 1000 }

// Offers lists outstanding offers in the order they were made.
func (m *Master) Offers() []OfferSnapshot {
	list := make([]*offer, 0, len(m.offers))
	for _, o := range m.offers {
		list = append(list, o)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
	out := make([]OfferSnapshot, len(list))
	for i, o := range list {
		out[i] = OfferSnapshot{
			ID: o.id, FrameworkID: o.fw.id, AgentID: o.agent.id, Hostname: o.agent.hostname, Role: o.role,
			CPUs: units(o.res, "cpus"), MemMB: units(o.res, "mem"), DiskMB: units(o.res, "disk"),
			Resources: o.res.WithAlloc("").String(), Since: o.at,
		}
	}
	return out
}

// Frameworks lists frameworks by id.
func (m *Master) Frameworks() []FrameworkSnapshot {
	out := make([]FrameworkSnapshot, 0, len(m.frameworks))
	for _, id := range sortedKeys(m.frameworks) {
		f := m.frameworks[id]
		out = append(out, FrameworkSnapshot{
			ID: f.id, Name: f.info.Name, Connected: f.connected, Active: f.active, Recovered: f.recovered,
			Roles: sortedKeys(f.roles), SuppressedRoles: sortedKeys(f.suppressed), Offers: len(f.offers), Tasks: len(f.tasks),
			Filters: m.alloc.FiltersOf(f.id), StreamID: f.stream, FailoverTimeout: f.failoverTimeout(), Use: f.offerUse(m.now),
		})
	}
	return out
}

// Agents lists machines in the order they were added.
func (m *Master) Agents() []AgentSnapshot {
	out := make([]AgentSnapshot, 0, len(m.hostOrder))
	for _, h := range m.hostOrder {
		s := AgentSnapshot{
			Hostname: h.Hostname(), AgentID: h.ID(), State: m.agentState(h), Running: h.Running(),
			Partitioned: h.Partitioned(), Total: h.Total().String(), Tasks: h.Alive(),
		}
		if a := m.agents[h.ID()]; a != nil {
			s.Allocated = m.alloc.Held(a.id).String()
		}
		out = append(out, s)
	}
	return out
}

func (m *Master) agentState(h *host.Agent) string {
	a, l := m.agents[h.ID()], m.registry.lost[h.ID()]
	switch {
	case a != nil && a.deactivated:
		return "deactivated"
	case a != nil && a.connected:
		return "registered"
	case a != nil:
		return "disconnected"
	case l != nil && l.gone:
		return "gone"
	case l != nil:
		return "unreachable"
	case m.recovered[h.ID()] != nil:
		return "recovered"
	}
	return "unknown"
}

// CheckInvariants recomputes the books from scratch: on every agent, tasks,
// executors and offers sum up to what is booked and to no more than there is;
// nothing is offered of an agent that is not there; the allocator's sums agree.
func (m *Master) CheckInvariants() error {
	for _, a := range m.order {
		if err := m.checkAgent(a); err != nil {
			return fmt.Errorf("agent %s on %s: %w", a.id, a.hostname, err)
		}
	}
	for id, o := range m.offers {
		if m.agents[o.agent.id] != o.agent || o.fw.offers[id] != o || m.frameworks[o.fw.id] != o.fw {
			return fmt.Errorf("offer %s: its agent or framework does not know it", id)
		}
		if !o.fw.connected || !o.agent.connected {
			return fmt.Errorf("offer %s is outstanding although framework or agent is not connected", id)
		}
		if o.agent.deactivated {
			return fmt.Errorf("offer %s is outstanding although agent %s is deactivated", id, o.agent.id)
		}
	}
	for _, f := range m.frameworks {
		if err := m.checkFramework(f); err != nil {
			return fmt.Errorf("framework %s: %w", f.id, err)
		}
	}
	return m.alloc.Check()
}

// checkFramework compares the running totals of a framework with what it holds,
// and looks for inverse offers that only one side knows.
func (m *Master) checkFramework(f *framework) error {
	var used, offered resource.Resources
	for _, t := range f.tasks {
		if t.charged {
			used = used.Add(t.res)
		}
	}
	for _, e := range f.executors {
		used = used.Add(e.res)
	}
	for _, o := range f.offers {
		offered = offered.Add(o.res)
	}
	for _, x := range []struct {
		what       string
		have, want resource.Resources
	}{{"used", f.usedSum.Resources(), used}, {"offered", f.offeredSum.Resources(), offered}} {
		have, want := quantities(x.have), quantities(x.want)
		if !maps.Equal(have, want) {
			return fmt.Errorf("%s in total are %v, booked are %v", x.what, want, have)
		}
	}
	for id, o := range f.inverse {
		switch {
		case m.agents[o.agent.id] != o.agent || o.agent.inverse[id] != o:
			return fmt.Errorf("inverse offer %s: its agent does not know it", id)
		case !f.connected || o.agent.unavailability == nil:
			return fmt.Errorf("inverse offer %s is outstanding without framework or planned maintenance", id)
		}
	}
	return nil
}

// ledger sums up what is held of one agent, and by whom.
type ledger struct{ sum resource.Resources }

// take adds what one holder has; items of ranges may be held only once.
func (l *ledger) take(what string, rs resource.Resources) error {
	plain := rs.WithAlloc("")
	for i := range plain {
		at := l.sum.Find(&plain[i])
		if plain[i].Kind != resource.RangeSet || at < 0 {
			continue
		}
		free := plain[i].Ranges.Minus(l.sum[at].Ranges)
		if free.Count() != plain[i].Ranges.Count() {
			return fmt.Errorf("%s of %s are held by something else too", plain[i].String(), what)
		}
	}
	l.sum = l.sum.Add(plain)
	return nil
}

func (m *Master) checkAgent(a *agent) error {
	l := &ledger{}
	for _, t := range a.tasks {
		if err := m.checkTask(t, l); err != nil {
			return err
		}
	}
	for _, f := range m.frameworks {
		for _, id := range f.onAgent[a.id] {
			if err := l.take("executor "+id, f.executors[execKey{a.id, id}].res); err != nil {
				return err
			}
		}
	}
	for _, o := range a.offers {
		if err := l.take("offer "+o.id, o.res); err != nil {
			return err
		}
	}
	if booked := m.alloc.Held(a.id); !l.sum.Contains(booked) || !booked.Contains(l.sum) {
		return fmt.Errorf("booked are %s, held are %s", booked, l.sum)
	}
	if mine := a.host.Total(); a.connected && (!mine.Contains(a.total) || !a.total.Contains(mine)) {
		return fmt.Errorf("the agent has %s, the books say %s", mine, a.total)
	}
	if !a.total.Contains(l.sum) {
		return fmt.Errorf("held are %s of only %s", l.sum, a.total)
	}
	return nil
}

func (m *Master) checkTask(t *task, l *ledger) error {
	if m.frameworks[t.fw.id] != t.fw || t.fw.tasks[t.id] != t {
		return fmt.Errorf("task %s is not its framework's", t.id)
	}
	if t.charged == (terminal(t.state) || t.state == mesos.TASK_UNREACHABLE) {
		return fmt.Errorf("task %s in %s: charged is %t", t.id, t.state, t.charged)
	}
	if !t.charged {
		return nil
	}
	return l.take("task "+t.id, t.res)
}
