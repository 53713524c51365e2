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
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// reconcile handles RECONCILE: implicit if no task is named (Mesos master.cpp
// reconcile; the table is confirmed by recordings).
func (m *Master) reconcile(f *framework, tasks []scheduler.Call_Reconcile_Task) {
	if len(tasks) == 0 {
		for _, id := range sortedKeys(f.tasks) {
			m.send(f, m.latestStatus(f.tasks[id]))
		}
		return
	}
	for i := range tasks {
		agentID := tasks[i].GetAgentID().GetValue()
		if t := f.tasks[tasks[i].TaskID.Value]; t != nil {
			m.send(f, m.latestStatus(t))
			continue
		}
		if status, ok := m.unknownTask(f, tasks[i].TaskID.Value, agentID, tasks[i].AgentID != nil); ok {
			m.send(f, status)
		}
	}
}

// latestStatus answers for a task in the books: the state of the newest update
// passed on, or the master's own if there was none.
func (m *Master) latestStatus(t *task) mesos.TaskStatus {
	state := t.state
	if t.statusState != nil {
		state = *t.statusState
	}
	s := m.masterStatus(t.id, t.agentID, state, mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state")
	s.ExecutorID = executorIDOf(t)
	if n := len(t.statuses); n > 0 {
		last := &t.statuses[n-1]
		s.Healthy, s.CheckStatus, s.ContainerStatus = last.Healthy, last.CheckStatus, last.ContainerStatus
	}
	return s
}

// unknownTask answers for a task not in the books by what is known of its agent;
// there is no answer while the agent may still come back after a fail-over.
func (m *Master) unknownTask(f *framework, id, agentID string, hasAgent bool) (mesos.TaskStatus, bool) {
	answer := func(state mesos.TaskState, message string) mesos.TaskStatus {
		return m.masterStatus(id, agentID, f.oneOf(state), mesos.REASON_RECONCILIATION, "Reconciliation: "+message)
	}
	lost := m.registry.lost[agentID]
	switch {
	case !hasAgent && len(m.recovered) > 0, hasAgent && m.recovered[agentID] != nil:
		return mesos.TaskStatus{}, false
	case !hasAgent:
		return answer(mesos.TASK_UNKNOWN, "Task is unknown"), true
	case m.agents[agentID] != nil:
		return answer(mesos.TASK_GONE, "Task is unknown to the agent"), true
	case lost != nil && lost.gone:
		return answer(mesos.TASK_GONE_BY_OPERATOR, "Task is gone"), true
	case lost != nil:
		s := answer(mesos.TASK_UNREACHABLE, "Task is unreachable")
		s.UnreachableTime = &mesos.TimeInfo{Nanoseconds: lost.since.UnixNano()}
		return s, true
	default:
		return answer(mesos.TASK_UNKNOWN, "Task is unknown"), true
	}
}
