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
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
)

// drain is what an operator has said of an agent: not to be offered, and perhaps
// to be emptied. It is in the registry and outlives master and agent.
type drain struct {
	config  *mesos.DrainConfig // nil: only deactivated
	drained bool
	started time.Time
	writing uint64 // the epoch of the master that is writing down the end of draining
}

// info is the state of draining as operators see it, nil if there is none.
func (d *drain) info() *mesos.DrainInfo {
	if d == nil || d.config == nil {
		return nil
	}
	state := mesos.DrainState_DRAINING
	if d.drained {
		state = mesos.DrainState_DRAINED
	}
	return &mesos.DrainInfo{State: state, Config: *d.config}
}

// operatorDrain is DRAIN_AGENT: the agent is offered no more and kills its tasks;
// it is drained when all their ends are acknowledged (Mesos master/http.cpp
// Master::Http::_drainAgent).
func (m *Master) operatorDrain(c *master.Call_DrainAgent) Response {
	id := c.AgentID.Value
	h := m.hostOf(id)
	if h == nil || m.isGone(id) {
		return badRequest("Unknown agent")
	}
	if x := m.registry.machines[machineOf(h)]; x != nil {
		return badRequest(fmt.Sprintf("Agent %s is part of a maintenance schedule under Machine %s (%s)", id, x.id.GetHostname(), x.id.GetIP()))
	}
	d := &drain{config: &mesos.DrainConfig{MarkGone: ptr(c.GetMarkGone())}, started: m.now.Truncate(time.Second)}
	if p := c.MaxGracePeriod; p != nil {
		d.config.MaxGracePeriod = &mesos.DurationInfo{Nanoseconds: p.Seconds*int64(time.Second) + int64(p.Nanos)}
	}
	m.registry.drains[id] = d
	if a := m.agents[id]; a != nil {
		m.setDeactivated(a, true)
		m.drainHost(a)
		m.checkDrained(a)
	}
	return done
}

// drainHost tells an agent that it is being drained.
func (m *Master) drainHost(a *agent) {
	d := m.registry.drains[a.id]
	if d == nil || d.config == nil || d.drained {
		return
	}
	var grace *time.Duration
	if p := d.config.MaxGracePeriod; p != nil {
		grace = ptr(max(0, time.Duration(p.Nanoseconds)))
	}
	a.host.Drain(grace, d.config.GetMarkGone())
}

// checkDrained ends the draining of an agent that has nothing left to wait for:
// no task whose end is not acknowledged, no operation (Mesos master.cpp
// checkAndTransitionDrainingAgent). The transition takes effect once the registry
// has it.
func (m *Master) checkDrained(a *agent) {
	d := m.registry.drains[a.id]
	if d == nil || d.config == nil || d.drained || d.writing == m.epoch || len(a.tasks) > 0 || m.hasOperations(a.id) {
		return
	}
	d.writing = m.epoch
	m.after(m.cfg.RegistryLatency, func() {
		d.writing = 0
		if m.registry.drains[a.id] != d || m.agents[a.id] != a || len(a.tasks) > 0 {
			return
		}
		if d.config.GetMarkGone() {
			m.markGone(a.id)
			return
		}
		d.drained = true
	})
}

func (m *Master) hasOperations(agentID string) bool {
	for _, f := range m.frameworks {
		for _, o := range f.operations {
			if o.Status.AgentID.GetValue() == agentID {
				return true
			}
		}
	}
	return false
}

// operatorDeactivate is DEACTIVATE_AGENT: no more offers, and those outstanding
// are rescinded; tasks stay (Mesos master/http.cpp _deactivateAgent).
func (m *Master) operatorDeactivate(id string) Response {
	if m.hostOf(id) == nil || m.isGone(id) {
		return badRequest("Unknown agent")
	}
	if m.registry.drains[id] == nil {
		m.registry.drains[id] = &drain{}
	}
	if a := m.agents[id]; a != nil {
		m.setDeactivated(a, true)
	}
	return done
}

// operatorReactivate is REACTIVATE_AGENT: the agent is offered again from the next
// tick on (Mesos master/http.cpp _reactivateAgent).
func (m *Master) operatorReactivate(id string) Response {
	d := m.registry.drains[id]
	switch {
	case m.hostOf(id) == nil || m.isGone(id):
		return badRequest("Unknown agent")
	case d == nil:
		return badRequest("Agent is not deactivated")
	case d.config != nil && !d.drained:
		return badRequest("Agent is still in the DRAINING state")
	}
	delete(m.registry.drains, id)
	if a := m.agents[id]; a != nil {
		m.setDeactivated(a, false)
	}
	return done
}

// setDeactivated takes an agent out of the allocation, or back into it.
func (m *Master) setDeactivated(a *agent, off bool) {
	a.deactivated = off
	if off {
		m.rescindAgent(a)
		m.rescindInverse(a)
	}
	m.offerability(a)
}
