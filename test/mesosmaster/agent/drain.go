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
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// drain is how an agent is being drained.
type drain struct {
	maxGrace *time.Duration // nil for none
	markGone bool
}

// Drain kills all tasks, in maxGrace if their own kill policy gives them longer
// or none; nil leaves the policies alone (Mesos slave.cpp drain).
func (a *Agent) Drain(maxGrace *time.Duration, markGone bool) {
	if !a.Reachable() || len(a.frameworks) == 0 {
		return
	}
	a.draining = &drain{maxGrace: maxGrace, markGone: markGone}
	for _, t := range a.Tasks() {
		if !t.ended {
			a.kill(t, a.draining.policy(t))
		}
	}
}

// policy caps the grace period of a task.
func (d *drain) policy(t *Task) *mesos.KillPolicy {
	if d.maxGrace == nil {
		return nil
	}
	own := t.Info.GetKillPolicy().GetGracePeriod()
	if own != nil && time.Duration(own.Nanoseconds) <= *d.maxGrace {
		return nil
	}
	return &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: d.maxGrace.Nanoseconds()}}
}

// rewriteDraining says in statuses of tasks killed on a draining agent why that
// is. If the agent will be marked gone, frameworks that know the state are told
// that the task is gone by the operator's will, when the kill begins and again
// at its end.
func (a *Agent) rewriteDraining(t *Task, status *mesos.TaskStatus) {
	if a.draining == nil {
		return
	}
	switch status.GetState() {
	case mesos.TASK_KILLING, mesos.TASK_KILLED:
		reason := mesos.REASON_AGENT_DRAINING
		status.Reason = &reason
		if a.draining.markGone && a.can(t.FrameworkID, mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
			gone := mesos.TASK_GONE_BY_OPERATOR
			status.State = &gone
		}
	}
}
