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
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

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
	kills   map[taskKey]*mesos.KillPolicy // KILLs to deliver when it comes back

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
		offers: map[string]*offer{}, inverse: map[string]*inverseOffer{}, tasks: map[taskKey]*task{}, kills: map[taskKey]*mesos.KillPolicy{},
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
	m.tellAgentAdded(a)
	h.ResendUpdates()
	h.ResendOperations()
	m.resendForFrameworks(a)
	m.drainHost(a)
	m.checkDrained(a)
}

func (m *Master) takeOver(a *agent, f *framework, rt *host.Task, wasUnreachable bool) {
	f.dropUnreachable(rt.ID)
	state, id := rt.LastSent()
	t := &task{
		id: rt.ID, name: rt.Info.Name, fw: f, agentID: a.id, role: rt.Role, res: rt.Resources, info: rt.Info, executorID: rt.ExecutorID(),
		state: rt.State(), statusState: state, statusUUID: id, statuses: rt.Statuses(), launched: rt.Since,
	}
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

// connectionLost is the break of an agent's socket (Mesos master.cpp
// exited(UPID)): offers are rescinded, tasks of frameworks without checkpointing
// are lost at once. The pings that now fail make it unreachable later.
func (m *Master) connectionLost(a *agent) {
	if !a.connected {
		return
	}
	a.connected = false
	a.host.SetRegistered(false)
	m.offerability(a)
	m.rescindAgent(a)
	for _, key := range sortedTaskKeys(a.tasks) {
		t := a.tasks[key]
		if t.fw.info.GetCheckpoint() {
			continue
		}
		if !terminal(t.state) {
			status := m.masterStatus(t.id, a.id, mesos.TASK_LOST, mesos.REASON_AGENT_DISCONNECTED, "Agent "+a.hostname+" disconnected")
			status.ExecutorID = executorIDOf(t)
			m.send(t.fw, status)
			m.updateTask(t, status, mesos.TASK_LOST)
		}
		m.completeTask(t)
	}
	for _, f := range m.frameworks {
		if f.info.GetCheckpoint() {
			continue
		}
		m.removeExecutorsOn(f, a)
	}
	m.armPingTimeout(a)
	m.armReregisterTimeout(a)
}

// armReregisterTimeout makes an agent unreachable whose process answers pings but
// which does not register again (Mesos master.cpp agentReregisterTimeout).
func (m *Master) armReregisterTimeout(a *agent) {
	a.disconnects++
	token := a.disconnects
	m.after(m.cfg.AgentReregisterTimeout, func() {
		if m.agents[a.id] == a && !a.connected && a.disconnects == token {
			m.markUnreachable(a)
		}
	})
}

// armPingTimeout makes the agent unreachable unless it is heard of again.
func (m *Master) armPingTimeout(a *agent) {
	a.lostTimer++
	token := a.lostTimer
	m.after(m.hostSettings.Takes(host.StepPing, a.hostname, m.cfg.AgentPingTimeout), func() {
		if m.agents[a.id] == a && a.lostTimer == token {
			m.markUnreachable(a)
		}
	})
}

func (m *Master) rescindAgent(a *agent) {
	for _, id := range sortedKeys(a.offers) {
		m.discardOffer(a.offers[id], true)
	}
}

// markUnreachable gives an agent up: UPDATEs, then RESCINDs, then FAILURE, as
// recorded (Mesos master.cpp _markUnreachable).
func (m *Master) markUnreachable(a *agent) {
	unreachable := &mesos.TimeInfo{Nanoseconds: m.now.UnixNano()}
	for _, key := range sortedTaskKeys(a.tasks) {
		t := a.tasks[key]
		if terminal(t.state) {
			m.completeTask(t)
			continue
		}
		state := t.fw.oneOf(mesos.TASK_UNREACHABLE)
		status := m.masterStatus(t.id, a.id, state, mesos.REASON_AGENT_REMOVED, "health check timed out")
		status.ExecutorID = executorIDOf(t)
		status.UnreachableTime = unreachable
		m.send(t.fw, status)
		m.updateTask(t, status, mesos.TASK_UNREACHABLE)
		m.setUnreachable(t)
	}
	m.dropOperations(a.id, mesos.OPERATION_UNREACHABLE, "Agent was marked unreachable")
	m.removeAgent(a, &lostAgent{hostname: a.hostname, since: m.now})
	m.broadcastFailure(a.id)
}

// removeAgent takes an agent off the books; its tasks must be dealt with before.
func (m *Master) removeAgent(a *agent, lost *lostAgent) {
	m.rescindAgent(a)
	m.rescindInverse(a)
	for _, f := range m.frameworks {
		m.removeExecutorsOn(f, a)
	}
	a.connected = false
	a.host.SetRegistered(false)
	a.lostTimer++
	delete(m.agents, a.id)
	for i, x := range m.order {
		if x == a {
			m.order = append(m.order[:i:i], m.order[i+1:]...)
			break
		}
	}
	m.alloc.RemoveAgent(a.id)
	if lost != nil {
		m.registry.lost[a.id] = lost
	}
}

// forgetAgent takes an agent off the books that unregistered or was brought down:
// its tasks are lost, for every framework, and the master remembers nothing of it
// (Mesos master.cpp _removeSlave).
func (m *Master) forgetAgent(a *agent, cause string) {
	for _, key := range sortedTaskKeys(a.tasks) {
		t := a.tasks[key]
		if !terminal(t.state) {
			status := m.masterStatus(t.id, a.id, mesos.TASK_LOST, mesos.REASON_AGENT_REMOVED, "Agent "+a.hostname+" removed: "+cause)
			status.ExecutorID = executorIDOf(t)
			m.send(t.fw, status)
			m.updateTask(t, status, mesos.TASK_LOST)
		}
		m.completeTask(t)
	}
	m.dropOperations(a.id, mesos.OPERATION_GONE_BY_OPERATOR, "Agent was removed")
	m.removeAgent(a, nil)
	m.broadcastFailure(a.id)
	m.tellAgentRemoved(a.id)
}

// broadcastFailure tells all frameworks that an agent is lost, whether or not
// they have anything there.
func (m *Master) broadcastFailure(agentID string) {
	for _, id := range sortedKeys(m.frameworks) {
		m.emit(m.frameworks[id], &scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{
			AgentID: &mesos.AgentID{Value: agentID},
		}})
	}
}

// markGone is MARK_AGENT_GONE: the agent can never come back
// (Mesos master.cpp _markGone). It returns false for an unknown agent.
func (m *Master) markGone(agentID string) bool {
	delete(m.registry.drains, agentID)
	lost := m.registry.lost[agentID]
	switch {
	case lost != nil && lost.gone:
		return true
	case lost != nil:
		lost.gone = true
		for _, fw := range sortedKeys(m.frameworks) {
			f := m.frameworks[fw]
			for _, id := range sortedKeys(f.unreachable) {
				if t := f.unreachable[id]; t.agentID == agentID {
					m.sendGone(t)
					f.dropUnreachable(id)
					f.completed = append(f.completed, t)
				}
			}
		}
		return true
	}
	if r := m.recovered[agentID]; r != nil {
		delete(m.recovered, agentID)
		m.registry.lost[agentID] = &lostAgent{hostname: r.hostname, gone: true, since: m.now}
		m.broadcastFailure(agentID)
		return true
	}
	a := m.agents[agentID]
	if a == nil {
		return false
	}
	for _, key := range sortedTaskKeys(a.tasks) {
		if t := a.tasks[key]; !terminal(t.state) {
			m.sendGone(t)
		}
		m.completeTask(a.tasks[key])
	}
	m.dropOperations(a.id, mesos.OPERATION_GONE_BY_OPERATOR, "Agent has been marked gone")
	m.removeAgent(a, &lostAgent{hostname: a.hostname, gone: true, since: m.now})
	m.broadcastFailure(agentID)
	a.host.Destroy()
	return true
}

func (m *Master) removeExecutorsOn(f *framework, a *agent) {
	for _, id := range slices.Clone(f.onAgent[a.id]) {
		m.removeExecutor(f, execKey{a.id, id})
	}
}

func (m *Master) sendGone(t *task) {
	reason := mesos.REASON_AGENT_REMOVED
	if t.fw.partitionAware() {
		reason = mesos.REASON_AGENT_REMOVED_BY_OPERATOR
	}
	status := m.masterStatus(t.id, t.agentID, t.fw.oneOf(mesos.TASK_GONE_BY_OPERATOR), reason, "Agent has been marked gone")
	status.ExecutorID = executorIDOf(t)
	m.send(t.fw, status)
	m.updateTask(t, status, mesos.TASK_GONE_BY_OPERATOR)
}

// String names an agent as the master's texts do.
func (a *agent) String() string { return a.id + " at " + a.pid() + " (" + a.hostname + ")" }

func executorIDOf(t *task) *mesos.ExecutorID {
	if t.executorID == "" {
		return nil
	}
	return &mesos.ExecutorID{Value: t.executorID}
}
