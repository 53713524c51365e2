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

package agent

import (
	"fmt"
	"sort"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Task is a task on a machine, with its stream of status updates.
type Task struct {
	// FrameworkID and ID name the task.
	FrameworkID, ID string
	// Info is the task as it was launched.
	Info *mesos.TaskInfo
	// Role is the role its resources are allocated to.
	Role string
	// Resources are those of the task, without its executor's.
	Resources resource.Resources
	// Since is when the task reached the agent.
	Since time.Time

	executorID  string    // its own id for a command task
	command     bool      // runs under a command executor
	executor    *Executor // nil if the agent refused the task
	group       []*Task   // of its task group, nil if it is in none
	containerID string    // of the task itself, under the default executor
	seen        [][]byte  // uuids of the statuses its executor has sent
	delivered   bool      // the executor knows it
	ended       bool      // a terminal status exists
	latest      mesos.TaskState
	stream      stream
}

// ExecutorID is the id of its executor; empty for a command task.
func (t *Task) ExecutorID() string {
	if t.command {
		return ""
	}
	return t.executorID
}

// State is the newest state the agent knows.
func (t *Task) State() mesos.TaskState { return t.latest }

// Ended tells whether the task has ended.
func (t *Task) Ended() bool { return t.ended }

// LastSent is state and uuid of the newest update the master got; nil if there
// was none.
func (t *Task) LastSent() (state *mesos.TaskState, uuid []byte) {
	return t.stream.sentState, t.stream.sentUUID
}

// Statuses are the statuses sent to the master, of equal states in a row only
// the last.
func (t *Task) Statuses() []mesos.TaskStatus { return t.stream.sent }

// ContainerStatus is that of the newest status which has one.
func (t *Task) ContainerStatus() *mesos.ContainerStatus {
	for i := len(t.stream.sent) - 1; i >= 0; i-- {
		if cs := t.stream.sent[i].ContainerStatus; cs != nil {
			return cs
		}
	}
	return nil
}

func (t *Task) key() taskKey { return taskKey{t.FrameworkID, t.ID} }

// Task is a task of a framework, nil if the agent does not know it.
func (a *Agent) Task(frameworkID, id string) *Task { return a.tasks[taskKey{frameworkID, id}] }

// Tasks are all tasks with something left to tell, by framework and id.
func (a *Agent) Tasks() []*Task {
	out := make([]*Task, 0, len(a.tasks))
	for _, t := range a.tasks {
		out = append(out, t)
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].FrameworkID < out[j].FrameworkID || out[i].FrameworkID == out[j].FrameworkID && out[i].ID < out[j].ID
	})
	return out
}

// Living returns a task of any framework with that id that has not ended.
func (a *Agent) Living(id string) *Task {
	for key, t := range a.tasks {
		if key.id == id && !t.ended {
			return t
		}
	}
	return nil
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

// executorStatus is a status as an executor of the emulator makes it.
func (a *Agent) executorStatus(t *Task, state mesos.TaskState, message string) mesos.TaskStatus {
	source := mesos.SOURCE_EXECUTOR
	s := a.status(t, state, message)
	s.Source = &source
	return s
}

// agentStatus is a status made by the agent itself.
func (a *Agent) agentStatus(t *Task, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) mesos.TaskStatus {
	source := mesos.SOURCE_AGENT
	s := a.status(t, state, message)
	s.Source, s.Reason = &source, &reason
	return s
}

func (a *Agent) status(t *Task, state mesos.TaskState, message string) mesos.TaskStatus {
	now := float64(a.world.Now().UnixNano()/1000) / 1e6
	id := a.world.NewUUID()
	s := mesos.TaskStatus{
		TaskID: mesos.TaskID{Value: t.ID}, State: &state, Timestamp: &now, UUID: id[:],
		AgentID: &mesos.AgentID{Value: a.id}, ExecutorID: &mesos.ExecutorID{Value: t.executorID},
	}
	if message != "" {
		s.Message = &message
	}
	return s
}

// End ends a task as a process that exits with a status.
func (a *Agent) End(t *Task, exitStatus int) {
	state := mesos.TASK_FINISHED
	if exitStatus != 0 {
		state = mesos.TASK_FAILED
	}
	a.update(t, a.executorStatus(t, state, fmt.Sprintf("Command exited with status %d", exitStatus)))
}

// Take ends a task by the agent's own decision.
func (a *Agent) Take(t *Task, state mesos.TaskState, source mesos.TaskStatus_Source, reason mesos.TaskStatus_Reason, message string) {
	status := a.agentStatus(t, state, reason, message)
	status.Source = &source
	a.finish(t, status)
}

// RefuseLaunch ends a task before it starts, if it has not.
func (a *Agent) RefuseLaunch(frameworkID, taskID string, state mesos.TaskState, source mesos.TaskStatus_Source, reason mesos.TaskStatus_Reason, message string) {
	if t := a.Task(frameworkID, taskID); t != nil && !t.ended {
		a.Take(t, state, source, reason, message)
	}
}

// Alive counts the tasks that have not ended.
func (a *Agent) Alive() (n int) {
	for _, t := range a.tasks {
		if !t.ended && (t.executor == nil || !t.executor.dead) {
			n++
		}
	}
	return n
}
