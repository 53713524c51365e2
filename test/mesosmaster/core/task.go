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
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// task is a task as the master knows it.
type task struct {
	id, name   string
	fw         *framework
	agentID    string
	executorID string // of its custom or default executor; empty for a command task
	role       string
	res        resource.Resources // allocated to role
	info       *mesos.TaskInfo
	charged    bool // its resources are on the agent's account

	state       mesos.TaskState  // the newest the master knows
	statusState *mesos.TaskState // of the newest update passed on
	statusUUID  []byte
	statuses    []mesos.TaskStatus
	launched    time.Time
}

// terminal tells whether a task in this state has ended
// (Mesos protobuf_utils.cpp isTerminalState).
func terminal(s mesos.TaskState) bool {
	switch s {
	case mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED, mesos.TASK_ERROR, mesos.TASK_LOST,
		mesos.TASK_DROPPED, mesos.TASK_GONE, mesos.TASK_GONE_BY_OPERATOR:
		return true
	}
	return false
}

// masterStatus builds a status made by the master itself: no uuid, not to be
// acknowledged.
func (m *Master) masterStatus(taskID, agentID string, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) mesos.TaskStatus {
	source := mesos.SOURCE_MASTER
	now := m.timestamp()
	s := mesos.TaskStatus{
		TaskID: mesos.TaskID{Value: taskID}, State: &state, Source: &source, Reason: &reason, Timestamp: &now,
	}
	if message != "" {
		s.Message = &message
	}
	if agentID != "" {
		s.AgentID = &mesos.AgentID{Value: agentID}
	}
	return s
}

// send passes a status on to its framework. Delays and duplicates asked for by
// tests happen here.
func (m *Master) send(f *framework, status mesos.TaskStatus) {
	event := &scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: status}}
	copies := 1 + m.fault.duplicates(event)
	for range copies {
		if d := m.fault.updateDelay; d > 0 {
			m.after(d, func() { m.emit(f, event) })
			continue
		}
		m.emit(f, event)
	}
}

// receive handles an update from an agent (Mesos master.cpp statusUpdate).
func (m *Master) receive(a *agent, u host.Update) {
	f := m.frameworks[u.FrameworkID]
	if f == nil {
		return
	}
	m.send(f, u.Status)
	if t := f.tasks[u.Status.TaskID.Value]; t != nil && t.agentID == a.id {
		m.updateTask(t, u.Status, u.Latest)
	}
}

// updateTask books a status. Resources come free at the first transition to a
// terminal state or to unreachable, before any acknowledgement
// (Mesos master.cpp updateTask).
func (m *Master) updateTask(t *task, status mesos.TaskStatus, latest mesos.TaskState) {
	was := t.state
	if !terminal(was) {
		t.state = latest
	}
	state := status.GetState()
	if len(status.UUID) > 0 {
		t.statusState, t.statusUUID = &state, status.UUID
	}
	tell := status.GetReason() == mesos.REASON_TASK_CHECK_STATUS_UPDATED || status.GetReason() == mesos.REASON_TASK_HEALTH_CHECK_STATUS_UPDATED
	if n := len(t.statuses); n > 0 && t.statuses[n-1].GetState() == state {
		t.statuses = slices.Clone(t.statuses[:n-1])
	} else {
		tell = true
	}
	if tell {
		m.tellTaskUpdated(t, &status)
	}
	status.Data = nil
	t.statuses = append(slices.Clip(t.statuses), status)
	if !terminal(was) && terminal(t.state) {
		t.fw.stats.tasks[t.state]++
		m.stats.tasks[t.state]++
	}
	if terminal(t.state) || t.state == mesos.TASK_UNREACHABLE {
		m.releaseTask(t)
	}
}

// releaseTask gives the resources of a task back, once.
func (m *Master) releaseTask(t *task) {
	if !t.charged {
		return
	}
	t.charged = false
	t.fw.usedSum.Sub(t.res)
	if a := m.agents[t.agentID]; a != nil {
		m.recoverRes(t.fw, a, t.role, t.res, 0)
	}
}

// completeTask moves a task to the completed ones: its id is free again.
func (m *Master) completeTask(t *task) {
	m.releaseTask(t)
	delete(t.fw.tasks, t.id)
	if a := m.agents[t.agentID]; a != nil {
		delete(a.tasks, taskKey{t.fw.id, t.id})
		m.checkDrained(a)
	}
	t.fw.addCompleted(t)
}

// addCompleted puts a task on the bounded list of completed ones.
func (f *framework) addCompleted(t *task) {
	f.completed = append(f.completed, t)
	if n := len(f.completed) - f.maxCompleted; n > 0 {
		f.completed = slices.Delete(f.completed, 0, n)
	}
}

// setUnreachable moves a task to the bounded list of unreachable ones.
func (m *Master) setUnreachable(t *task) {
	f := t.fw
	delete(f.tasks, t.id)
	f.unreachable[t.id] = t
	f.unreachLog = append(f.unreachLog, t.id)
	for len(f.unreachLog) > m.cfg.MaxUnreachableTasks {
		delete(f.unreachable, f.unreachLog[0])
		f.unreachLog = f.unreachLog[1:]
	}
}

func (f *framework) dropUnreachable(id string) {
	delete(f.unreachable, id)
	f.unreachLog = slices.DeleteFunc(f.unreachLog, func(s string) bool { return s == id })
}

// addTask books a task on its agent. A task that was launched from an offer is
// charged already.
func (m *Master) addTask(t *task, a *agent) {
	t.fw.tasks[t.id] = t
	a.tasks[taskKey{t.fw.id, t.id}] = t
	if !terminal(t.state) {
		if !t.charged {
			m.charge(t.fw.id, a, t.role, t.res)
		}
		t.charged = true
		t.fw.usedSum.Add(t.res)
	}
	m.tellTaskAdded(t)
}

// addExecutor books a custom or default executor on its agent; its resources are
// charged already, or by the caller.
func (m *Master) addExecutor(f *framework, a *agent, info *mesos.ExecutorInfo, role string, res resource.Resources) {
	id := info.ExecutorID.Value
	a.executors[f.id]++
	f.executors[execKey{a.id, id}] = &executor{info: info, role: role, res: res}
	at, _ := slices.BinarySearch(f.onAgent[a.id], id)
	f.onAgent[a.id] = slices.Insert(f.onAgent[a.id], at, id)
	if len(res) > 0 {
		f.usedSum.Add(res)
	}
}

func (m *Master) removeExecutor(f *framework, key execKey) {
	e := f.executors[key]
	if e == nil {
		return
	}
	delete(f.executors, key)
	f.onAgent[key.agent] = slices.DeleteFunc(f.onAgent[key.agent], func(id string) bool { return id == key.id })
	if len(f.onAgent[key.agent]) == 0 {
		delete(f.onAgent, key.agent)
	}
	f.usedSum.Sub(e.res)
	if a := m.agents[key.agent]; a != nil {
		if a.executors[f.id]--; a.executors[f.id] == 0 {
			delete(a.executors, f.id)
		}
		m.recoverRes(f, a, e.role, e.res, 0)
	}
}

// acknowledge handles the ACKNOWLEDGE call: silently dropped if the agent is not
// there, and harmless if it is late (Mesos master.cpp acknowledge).
func (m *Master) acknowledge(f *framework, ack *scheduler.Call_Acknowledge) {
	a := m.agents[ack.AgentID.Value]
	if a == nil || !a.connected {
		return
	}
	if t := f.tasks[ack.TaskID.Value]; t != nil && t.agentID == a.id &&
		slices.Equal(t.statusUUID, ack.UUID) && t.statusState != nil && terminal(*t.statusState) {
		m.completeTask(t)
	}
	a.host.Acknowledge(f.id, ack.TaskID.Value, ack.UUID)
}
