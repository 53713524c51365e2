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

// Meaning is what a status says about the resources that a task holds for us.
type Meaning string

// The meanings.
const (
	// Alive holds its resources.
	Alive Meaning = "Alive"
	// MaybeBack may still hold them: its agent is partitioned, or the master knows
	// neither task nor agent (yet).
	MaybeBack Meaning = "MaybeBack"
	// NeverRan never held them.
	NeverRan Meaning = "NeverRan"
	// EndedByUs ended after we gave it up.
	EndedByUs Meaning = "EndedByUs"
	// Revoked had revocable resources that the agent took back.
	Revoked Meaning = "Revoked"
	// Drained ended because an operator empties its agent.
	Drained Meaning = "Drained"
	// LostTask ended on an agent that lives on: it was killed by somebody else, ended by
	// itself, or was forgotten.
	LostTask Meaning = "Lost"
	// Gone ended together with its agent, or with our framework.
	Gone Meaning = "Gone"
)

// Meanings lists all meanings, for metrics.
var Meanings = []Meaning{Alive, MaybeBack, NeverRan, EndedByUs, Revoked, Drained, LostTask, Gone}

// ReasonFrameworkRemoved is the reason of statuses that we conclude ourselves when the
// master removed our framework: of its tasks it tells nothing then (Mesos master.cpp
// removeFramework()).
const ReasonFrameworkRemoved = "REASON_FRAMEWORK_REMOVED"

// MeaningOf is the one table of what statuses mean. released tells that we gave the task
// up before. The rows are Mesos' own: the states and reasons that masters, agents and
// executors make (Mesos master.cpp, slave.cpp, protobuf_utils.cpp createStatusUpdate()).
func MeaningOf(s TaskStatus, released bool) Meaning {
	switch {
	case s.State.Live():
		return Alive
	case s.State == TaskUnreachable, s.State == TaskUnknown:
		return MaybeBack
	case !s.State.Terminal():
		return MaybeBack // a state of a later Mesos: not for us to end anything by it
	case s.neverRan():
		return NeverRan
	case s.Reason == "REASON_CONTAINER_PREEMPTED" && (s.State == TaskGone || s.State == TaskLost):
		return Revoked
	case released:
		return EndedByUs
	case s.Reason == "REASON_AGENT_DRAINING":
		return Drained
	case s.withAgent():
		return Gone
	}
	return LostTask
}

// neverRan tells whether the terminal status is of a task that was refused or did not
// come to run.
func (s *TaskStatus) neverRan() bool {
	switch s.State {
	case TaskError:
		return true
	case TaskDropped:
		// An agent that registered again and does not know a task that the master
		// knows drops it: that one had run (Mesos slave.cpp reconcileTasks).
		return s.Reason != "REASON_RECONCILIATION"
	}
	switch s.Reason {
	case "REASON_INVALID_OFFERS", "REASON_TASK_INVALID", "REASON_TASK_GROUP_INVALID", "REASON_TASK_UNAUTHORIZED",
		"REASON_TASK_GROUP_UNAUTHORIZED", "REASON_RESOURCES_UNKNOWN", "REASON_GC_ERROR", "REASON_TASK_KILLED_DURING_LAUNCH",
		"REASON_CONTAINER_LAUNCH_FAILED", "REASON_EXECUTOR_REGISTRATION_TIMEOUT":
		return true
	}
	return false
}

// withAgent tells whether the terminal status says that the whole agent, or our
// framework, is gone.
func (s *TaskStatus) withAgent() bool {
	if s.State == TaskGoneByOperator {
		return true
	}
	switch s.Reason {
	case "REASON_AGENT_REMOVED", "REASON_AGENT_REMOVED_BY_OPERATOR", "REASON_AGENT_UNKNOWN", "REASON_AGENT_DISCONNECTED", ReasonFrameworkRemoved:
		return true
	}
	return false
}
