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

package claims

import "time"

// TaskState is the state of a Mesos task as v1/mesos.proto names it.
type TaskState string

// The task states of Mesos.
const (
	TaskStaging        TaskState = "TASK_STAGING"
	TaskStarting       TaskState = "TASK_STARTING"
	TaskRunning        TaskState = "TASK_RUNNING"
	TaskKilling        TaskState = "TASK_KILLING"
	TaskFinished       TaskState = "TASK_FINISHED"
	TaskFailed         TaskState = "TASK_FAILED"
	TaskKilled         TaskState = "TASK_KILLED"
	TaskError          TaskState = "TASK_ERROR"
	TaskLost           TaskState = "TASK_LOST"
	TaskDropped        TaskState = "TASK_DROPPED"
	TaskUnreachable    TaskState = "TASK_UNREACHABLE"
	TaskGone           TaskState = "TASK_GONE"
	TaskGoneByOperator TaskState = "TASK_GONE_BY_OPERATOR"
	TaskUnknown        TaskState = "TASK_UNKNOWN"
)

// Terminal tells whether a task in this state never runs again. UNREACHABLE and
// UNKNOWN are not terminal (Mesos protobuf_utils isTerminalState).
func (s TaskState) Terminal() bool {
	switch s {
	case TaskFinished, TaskFailed, TaskKilled, TaskError, TaskLost, TaskDropped, TaskGone, TaskGoneByOperator:
		return true
	}
	return false
}

// Final tells whether the task itself ended in this state, so that any later
// news of a living task is an older update, repeated until it was acknowledged.
// The other terminal states are what Mesos concludes about an agent, which may
// return with its tasks (Mesos master.cpp reregisterSlave).
func (s TaskState) Final() bool {
	switch s {
	case TaskFinished, TaskFailed, TaskKilled, TaskError:
		return true
	}
	return false
}

// Live tells whether a task in this state holds its resources on its agent.
func (s TaskState) Live() bool {
	switch s {
	case TaskStaging, TaskStarting, TaskRunning, TaskKilling:
		return true
	}
	return false
}

// TaskStatus is one status update of a task.
type TaskStatus struct {
	// TaskID is the task's id, "<pod UID>.<attempt>" for ours.
	TaskID string
	// AgentID is the agent the task is or was on; empty if the master does not say.
	AgentID string
	State   TaskState
	// Reason is the v1 name ("REASON_INVALID_OFFERS"); empty when the status has
	// none. An absent reason is not the enum's zero value.
	Reason string
	// Source is "SOURCE_MASTER", "SOURCE_AGENT" or "SOURCE_EXECUTOR".
	Source string
	// Message is Mesos' own text for people.
	Message string
	// UUID is set on updates that the agent repeats until they are acknowledged.
	UUID []byte
	// Timestamp is when the update was made, zero if not given.
	Timestamp time.Time
}

// unheard tells whether the status says that the master knows nothing of the
// task, rather than that the task ended. To an explicit reconciliation the master
// answers GONE where it knows the agent and UNKNOWN where it does not (Mesos
// master.cpp reconcile()).
func (s *TaskStatus) unheard() bool {
	return s.State == TaskUnknown || s.State == TaskGone && s.Reason == "REASON_RECONCILIATION"
}

// refusesLaunch tells whether the master says with the status that it did not take a
// task that it was to launch (Mesos master.cpp accept() and _accept()).
func (s *TaskStatus) refusesLaunch() bool {
	return s.State.Terminal() && !s.OfAgent() && len(s.UUID) == 0 &&
		(s.Reason == "REASON_INVALID_OFFERS" || s.Reason == "REASON_TASK_INVALID" || s.Reason == "REASON_TASK_GROUP_INVALID")
}

// Revoked tells whether the agent took revocable resources back from the task
// (Mesos slave.cpp qosCorrections): GONE, or LOST where the framework has not the
// capability PARTITION_AWARE.
func (s TaskStatus) Revoked() bool {
	return s.Reason == "REASON_CONTAINER_PREEMPTED" && (s.State == TaskGone || s.State == TaskLost)
}

// OfAgent tells whether the agent or its executor made the status, and so knows:
// not the master, which reports what it believes.
func (s TaskStatus) OfAgent() bool {
	return s.Source == "SOURCE_AGENT" || s.Source == "SOURCE_EXECUTOR"
}

// TaskIdentity carries what a task's labels say, where a message of the master
// has them.
type TaskIdentity struct {
	Namespace, Name string
	PodUID          string
}
