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
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// stream is the status update stream of one task (Mesos
// task_status_update_manager.cpp): updates go out one at a time, the next when
// the scheduler has acknowledged the one before.
type stream struct {
	pending []mesos.TaskStatus // not acknowledged, in order; the first is outstanding
	retry   time.Duration
	timer   Timer

	sentState *mesos.TaskState
	sentUUID  []byte
	sent      []mesos.TaskStatus
}

func (s *stream) silence() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// enqueue takes a status into the stream of its task; it goes out when it is the
// oldest that the scheduler has not acknowledged.
func (a *Agent) enqueue(t *Task, status mesos.TaskStatus) {
	t.latest = status.GetState()
	t.stream.pending = append(t.stream.pending, status)
	if len(t.stream.pending) == 1 {
		a.forward(t)
	}
}

// forward sends the outstanding update and arms its retry.
func (a *Agent) forward(t *Task) {
	t.stream.retry = a.set.UpdateRetryMin
	a.transmit(t)
	a.armRetry(t)
}

func (a *Agent) armRetry(t *Task) {
	t.stream.silence()
	t.stream.timer = a.world.After(t.stream.retry, func() {
		if len(t.stream.pending) == 0 || !a.running {
			return
		}
		a.transmit(t)
		t.stream.retry = min(2*t.stream.retry, a.set.UpdateRetryMax)
		a.armRetry(t)
	})
}

func (a *Agent) transmit(t *Task) {
	if !a.Reachable() {
		return
	}
	status := t.stream.pending[0]
	state := status.GetState()
	s := &t.stream
	s.sentState, s.sentUUID = &state, status.UUID
	if n := len(s.sent); n == 0 || !slices.Equal(s.sent[n-1].UUID, status.UUID) {
		if n > 0 && s.sent[n-1].GetState() == state {
			s.sent = slices.Clone(s.sent[:n-1])
		}
		s.sent = append(slices.Clip(s.sent), status)
	}
	a.master.StatusUpdate(a, Update{FrameworkID: t.FrameworkID, Status: status, Latest: t.latest})
}

// ResendUpdates repeats the outstanding update of every task at once.
func (a *Agent) ResendUpdates() {
	if !a.Reachable() {
		return
	}
	for _, t := range a.Tasks() {
		if len(t.stream.pending) > 0 {
			a.forward(t)
		}
	}
}

// Acknowledge takes the outstanding update of a task off its stream and sends
// the next; acknowledgements of anything else are ignored.
func (a *Agent) Acknowledge(frameworkID, taskID string, uuid []byte) {
	t := a.tasks[taskKey{frameworkID, taskID}]
	if t == nil || !a.Reachable() || len(t.stream.pending) == 0 || !slices.Equal(t.stream.pending[0].UUID, uuid) {
		return
	}
	t.stream.pending = t.stream.pending[1:]
	t.stream.silence()
	switch {
	case len(t.stream.pending) > 0:
		a.forward(t)
	case t.ended:
		delete(a.tasks, t.key())
		a.archive(t)
		a.cleanup(frameworkID)
	}
}
