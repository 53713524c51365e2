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

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
)

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
					f.addCompleted(t)
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
