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
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// agent is a registered agent as the master knows it.
type agent struct {
	id         string
	host       *host.Agent
	hostname   string
	url        *mesos.URL
	attributes []mesos.Attribute
	domain     *mesos.DomainInfo
	declared   resource.Resources // by its flags, as it registered
	total      resource.Resources // the same with what operations made of it

	connected   bool
	deactivated bool
	lostTimer   uint64 // voids ping timeouts of an earlier silence
	disconnects uint64 // counts breaks of its socket

	unavailability *mesos.Unavailability // maintenance planned for its machine

	offers  map[string]*offer
	inverse map[string]*inverseOffer
	tasks   map[taskKey]*task
	// executors counts the executors of each framework.
	executors map[string]int
	kills     map[taskKey]*mesos.KillPolicy // KILLs to deliver when it comes back

	registered, reregistered time.Time
}

// lostAgent is an agent the master has given up.
type lostAgent struct {
	hostname string
	gone     bool
	since    time.Time
}

// recoveredAgent is an agent known from the registry after a fail-over that has
// not come back yet.
type recoveredAgent struct {
	hostname string
	host     *host.Agent
	info     *AgentInfo
}

func (a *agent) offerable() bool { return a.connected && !a.deactivated }

// admit puts an agent on the books; used for every way to (re)register.
func (m *Master) admit(h *host.Agent) *agent {
	a := &agent{
		id: h.ID(), host: h, hostname: h.Hostname(), url: h.URL(), attributes: h.Attributes(), domain: h.Domain(),
		declared: h.Resources(), total: h.Total(), connected: true,
		unavailability: m.planned(machineOf(h)), deactivated: m.registry.drains[h.ID()] != nil,
		offers: map[string]*offer{}, inverse: map[string]*inverseOffer{}, tasks: map[taskKey]*task{}, executors: map[string]int{}, kills: map[taskKey]*mesos.KillPolicy{},
		registered: m.now,
	}
	m.agents[a.id] = a
	m.order = append(m.order, a)
	h.SetRegistered(true)
	m.alloc.AddAgent(a.allocatorInfo())
	if a.deactivated {
		m.offerability(a)
	}
	return a
}

// register is an agent's first registration or its return, whatever the master
// knows of it.
func (m *Master) register(h *host.Agent) {
	if m.isDown(machineOf(h)) {
		h.Destroy() // the agent is told to shut down
		return
	}
	if h.ID() == "" {
		h.SetID(fmt.Sprintf("%s-S%d", m.id, m.agentSeq))
		m.agentSeq++
		m.tellAgentAdded(m.admit(h))
		return
	}
	if a := m.agents[h.ID()]; a != nil {
		m.reregisterKnown(a)
		return
	}
	lost := m.registry.lost[h.ID()]
	if lost != nil && lost.gone {
		return // the agent is told to shut down
	}
	delete(m.registry.lost, h.ID())
	delete(m.recovered, h.ID())
	m.readmit(h, lost != nil)
}

// reregisterKnown is the return of an agent whose connection broke: KILLs it
// missed are delivered, tasks it does not know are dropped
// (Mesos master.cpp ___reregisterSlave, reconcileKnownSlave).
func (m *Master) reregisterKnown(a *agent) {
	h := a.host
	a.connected = true
	h.SetRegistered(true)
	a.lostTimer++
	a.reregistered = m.now
	m.offerability(a)
	m.shutdownRemoved(h)
	for _, key := range sortedTaskKeys(a.tasks) {
		t := a.tasks[key]
		if h.Task(key.fw, key.id) == nil && !terminal(t.state) {
			h.Unknown(launchOf(t))
		}
	}
	m.dropDeadExecutors(a)
	for _, key := range sortedTaskKeys(a.kills) {
		if a.tasks[key] != nil {
			h.Kill(key.fw, key.id, a.kills[key])
		}
	}
	clear(a.kills)
	h.ResendUpdates()
	h.ResendOperations()
	m.resendForFrameworks(a)
	m.drainHost(a)
	m.checkDrained(a)
}

// launchOf is the message that launched a task the agent does not know.
func launchOf(t *task) *host.Launch {
	l := &host.Launch{Framework: t.fw.info, Task: t.info, Role: t.role, Resources: t.res}
	if t.executorID != "" {
		l.Executor = &mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: t.executorID}}
	}
	return l
}

// dropDeadExecutors takes those executors of a re-registered agent off the books
// that it does not run any more (Mesos master.cpp reconcileKnownSlave).
func (m *Master) dropDeadExecutors(a *agent) {
	lives := map[taskKey]bool{}
	for _, e := range a.host.Executors() {
		lives[taskKey{e.FrameworkID, e.ID}] = true
	}
	for _, fw := range sortedKeys(m.frameworks) {
		f := m.frameworks[fw]
		for _, id := range slices.Clone(f.onAgent[a.id]) {
			if !lives[taskKey{fw, id}] {
				m.removeExecutor(f, execKey{a.id, id})
			}
		}
	}
}

// shutdownRemoved ends what is left on a machine of frameworks that were removed
// while it was away.
func (m *Master) shutdownRemoved(h *host.Agent) {
	for _, info := range h.Frameworks() {
		if id := info.ID.GetValue(); m.frameworks[id] == nil {
			h.ShutdownFramework(id)
		}
	}
}

// resendForFrameworks is the UpdateFrameworkMessage a re-registered agent gets
// for each connected framework it knows; it repeats all its updates for each of
// them, as recorded.
func (m *Master) resendForFrameworks(a *agent) {
	for _, info := range a.host.Frameworks() {
		if f := m.frameworks[info.ID.GetValue()]; f != nil && f.connected {
			a.host.UpdateFramework(f.info)
		}
	}
}

// readmit takes back an agent the master had given up (unreachable) or not seen
// since its fail-over. Tasks are taken over from the agent; after unreachability
// each is reported with AGENT_REREGISTERED.
func (m *Master) readmit(h *host.Agent, wasUnreachable bool) {
	a := m.admit(h)
	a.reregistered = m.now
	for _, info := range h.Frameworks() {
		fw := info.ID.GetValue()
		if m.frameworks[fw] != nil || m.wasCompleted(fw) {
			continue
		}
		f := m.newFramework(fw, info)
		f.recovered = true
		f.registered, f.reregistered = time.Time{}, time.Time{}
		m.setRoles(f, rolesOf(f.info), nil)
		m.tellFrameworkAdded(f)
	}
	m.shutdownRemoved(h)
	for _, e := range h.Executors() {
		if f := m.frameworks[e.FrameworkID]; f != nil {
			m.addExecutor(f, a, e.Info, e.Role, e.Resources)
			m.charge(f.id, a, e.Role, e.Resources)
		}
	}
	for _, t := range h.Tasks() {
		m.takeOver(a, m.frameworks[t.FrameworkID], t, wasUnreachable)
	}
	m.readdCompleted(h)
	m.tellAgentAdded(a)
	h.ResendUpdates()
	h.ResendOperations()
	m.resendForFrameworks(a)
	m.drainHost(a)
	m.checkDrained(a)
}

// readdCompleted adds what an agent remembers of tasks that have ended to the
// books of their frameworks, even what is there already (Mesos master.cpp
// addSlave).
func (m *Master) readdCompleted(h *host.Agent) {
	for _, id := range sortedKeys(m.frameworks) {
		f := m.frameworks[id]
		for _, rt := range h.Completed(id) {
			f.addCompleted(taskOf(f, h.ID(), rt))
		}
	}
}

// taskOf is a task as its agent knows it.
func taskOf(f *framework, agentID string, rt *host.Task) *task {
	state, id := rt.LastSent()
	return &task{
		id: rt.ID, name: rt.Info.Name, fw: f, agentID: agentID, role: rt.Role, res: rt.Resources, info: rt.Info, executorID: rt.ExecutorID(),
		state: rt.State(), statusState: state, statusUUID: id, statuses: rt.Statuses(), launched: rt.Since,
	}
}

func (m *Master) takeOver(a *agent, f *framework, rt *host.Task, wasUnreachable bool) {
	f.dropUnreachable(rt.ID)
	t := taskOf(f, a.id, rt)
	m.addTask(t, a)
	if !wasUnreachable {
		return
	}
	status := m.masterStatus(t.id, a.id, t.state, mesos.REASON_AGENT_REREGISTERED, "Unreachable agent re-reregistered")
	status.ContainerStatus = rt.ContainerStatus()
	m.send(f, status)
}

func (m *Master) wasCompleted(fw string) bool {
	for _, c := range m.completed {
		if c.id == fw {
			return true
		}
	}
	return false
}

// String names an agent as the master's texts do.
func (a *agent) String() string { return a.id + " at " + a.pid() + " (" + a.hostname + ")" }

func executorIDOf(t *task) *mesos.ExecutorID {
	if t.executorID == "" {
		return nil
	}
	return &mesos.ExecutorID{Value: t.executorID}
}
