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

import (
	"slices"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Rows of Mesos: what masters, agents and executors make of a task's end.
func TestMeaning(t *testing.T) {
	const master, agent, executor = "SOURCE_MASTER", "SOURCE_AGENT", "SOURCE_EXECUTOR"
	for name, test := range map[string]struct {
		state                  TaskState
		reason, source         string
		want, wantIfWeReleased Meaning
	}{
		"ACCEPT with a dead offer":            {TaskDropped, "REASON_INVALID_OFFERS", master, NeverRan, NeverRan},
		"the same, not partition aware":       {TaskLost, "REASON_INVALID_OFFERS", master, NeverRan, NeverRan},
		"spec rejected":                       {TaskError, "REASON_TASK_INVALID", master, NeverRan, NeverRan},
		"not authorized at the agent":         {TaskError, "REASON_TASK_UNAUTHORIZED", agent, NeverRan, NeverRan},
		"agent drains on arrival":             {TaskDropped, "REASON_AGENT_DRAINING", agent, NeverRan, NeverRan},
		"outdated resource state":             {TaskDropped, "REASON_INVALID_OFFERS", agent, NeverRan, NeverRan},
		"reservation unknown":                 {TaskDropped, "REASON_RESOURCES_UNKNOWN", agent, NeverRan, NeverRan},
		"garbage collection failed":           {TaskLost, "REASON_GC_ERROR", agent, NeverRan, NeverRan},
		"executor mismatch":                   {TaskDropped, "REASON_EXECUTOR_TERMINATED", agent, NeverRan, NeverRan},
		"launched while the agent restarted":  {TaskDropped, "REASON_AGENT_RESTARTED", agent, NeverRan, NeverRan},
		"executor launch failed":              {TaskFailed, "REASON_CONTAINER_LAUNCH_FAILED", agent, NeverRan, NeverRan},
		"executor did not subscribe":          {TaskFailed, "REASON_EXECUTOR_REGISTRATION_TIMEOUT", agent, NeverRan, NeverRan},
		"killed before delivery":              {TaskKilled, "REASON_TASK_KILLED_DURING_LAUNCH", agent, NeverRan, NeverRan},
		"executor did not come back":          {TaskGone, "REASON_EXECUTOR_REREGISTRATION_TIMEOUT", agent, LostTask, EndedByUs},
		"executor ended":                      {TaskFailed, "REASON_EXECUTOR_TERMINATED", agent, LostTask, EndedByUs},
		"out of memory":                       {TaskFailed, "REASON_CONTAINER_LIMITATION_MEMORY", agent, LostTask, EndedByUs},
		"container update failed":             {TaskGone, "REASON_CONTAINER_UPDATE_FAILED", agent, LostTask, EndedByUs},
		"QoS correction":                      {TaskGone, "REASON_CONTAINER_PREEMPTED", agent, Revoked, Revoked},
		"QoS correction, not partition aware": {TaskLost, "REASON_CONTAINER_PREEMPTED", agent, Revoked, Revoked},
		"drain":                               {TaskKilled, "REASON_AGENT_DRAINING", executor, Drained, EndedByUs},
		"drain for good":                      {TaskGoneByOperator, "REASON_AGENT_DRAINING", agent, Drained, EndedByUs},
		"drain begins":                        {TaskKilling, "REASON_AGENT_DRAINING", executor, Alive, Alive},
		"agent partitioned":                   {TaskUnreachable, "REASON_AGENT_REMOVED", master, MaybeBack, MaybeBack},
		"agent back":                          {TaskRunning, "REASON_AGENT_REREGISTERED", master, Alive, Alive},
		"agent unregistered, machine down":    {TaskLost, "REASON_AGENT_REMOVED", master, Gone, EndedByUs},
		"agent marked gone":                   {TaskGoneByOperator, "REASON_AGENT_REMOVED_BY_OPERATOR", master, Gone, EndedByUs},
		"agent forgot the task":               {TaskDropped, "REASON_RECONCILIATION", agent, LostTask, EndedByUs},
		"asked: agent known, task not":        {TaskGone, "REASON_RECONCILIATION", master, LostTask, EndedByUs},
		"asked: agent gone":                   {TaskGoneByOperator, "REASON_RECONCILIATION", master, Gone, EndedByUs},
		"asked: agent unreachable":            {TaskUnreachable, "REASON_RECONCILIATION", master, MaybeBack, MaybeBack},
		"asked: neither known":                {TaskUnknown, "REASON_RECONCILIATION", master, MaybeBack, MaybeBack},
		"asked: on its way":                   {TaskStaging, "REASON_RECONCILIATION", master, Alive, Alive},
		"ended by itself":                     {TaskFinished, "", executor, LostTask, EndedByUs},
		"killed by us, or by somebody else":   {TaskKilled, "", executor, LostTask, EndedByUs},
		"our framework removed":               {TaskGone, ReasonFrameworkRemoved, master, Gone, EndedByUs},
	} {
		t.Run(name, func(t *testing.T) {
			s := TaskStatus{State: test.state, Reason: test.reason, Source: test.source}
			if got := MeaningOf(s, false); got != test.want {
				t.Errorf("means %s, want %s", got, test.want)
			}
			if got := MeaningOf(s, true); got != test.wantIfWeReleased {
				t.Errorf("after we released it: means %s, want %s", got, test.wantIfWeReleased)
			}
		})
	}
}

// Every state with every reason means something, and never the opposite of its state.
func TestMeaningIsTotal(t *testing.T) {
	for _, state := range mesos.TaskState_name {
		for _, reason := range mesos.TaskStatus_Reason_name {
			s := TaskStatus{State: TaskState(state), Reason: reason}
			for _, released := range []bool{false, true} {
				got := MeaningOf(s, released)
				if !slices.Contains(Meanings, got) || s.State.Live() != (got == Alive) || s.State.Terminal() && got == MaybeBack {
					t.Errorf("%s, %s means %q", state, reason, got)
				}
			}
		}
	}
}
