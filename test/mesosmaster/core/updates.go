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
)

// executorStatus is a status made by the executor of a task.
func (h *host) executorStatus(m *Master, rt *runTask, state mesos.TaskState, message string) mesos.TaskStatus {
	source := mesos.SOURCE_EXECUTOR
	s := h.status(m, rt, state, message)
	s.Source = &source
	s.ContainerStatus = rt.fullContainerStatus(h)
	return s
}

// agentStatus is a status made by the agent itself.
func (h *host) agentStatus(m *Master, rt *runTask, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) mesos.TaskStatus {
	source := mesos.SOURCE_AGENT
	s := h.status(m, rt, state, message)
	s.Source, s.Reason = &source, &reason
	return s
}

func (h *host) status(m *Master, rt *runTask, state mesos.TaskState, message string) mesos.TaskStatus {
	now := m.timestamp()
	id := m.newUUID()
	s := mesos.TaskStatus{
		TaskID: mesos.TaskID{Value: rt.key.id}, State: &state, Timestamp: &now, UUID: id[:],
		AgentID: &mesos.AgentID{Value: h.agentID}, ExecutorID: &mesos.ExecutorID{Value: rt.executor.key.id},
	}
	if message != "" {
		s.Message = &message
	}
	return s
}

func (rt *runTask) fullContainerStatus(h *host) *mesos.ContainerStatus {
	pid, ip := rt.executor.pid, h.ip()
	v4 := mesos.IPv4
	return &mesos.ContainerStatus{
		ContainerID:  &mesos.ContainerID{Value: rt.executor.containerID},
		NetworkInfos: []mesos.NetworkInfo{{IPAddresses: []mesos.NetworkInfo_IPAddress{{Protocol: &v4, IPAddress: &ip}}}},
		ExecutorPID:  &pid,
	}
}

// containerStatus is that of the newest status which has one.
func (rt *runTask) containerStatus() *mesos.ContainerStatus {
	for i := len(rt.statuses) - 1; i >= 0; i-- {
		if cs := rt.statuses[i].ContainerStatus; cs != nil {
			return cs
		}
	}
	return nil
}

// report queues a status of a task; it goes out when it is the oldest that the
// scheduler has not acknowledged (Mesos task_status_update_manager.cpp).
func (h *host) report(m *Master, rt *runTask, status mesos.TaskStatus) {
	if rt.diedDown {
		return
	}
	if !h.running {
		// The agent process is down: nobody hears the executor. What ended
		// meanwhile is found dead when the agent recovers.
		if terminal(status.GetState()) {
			rt.diedDown = true
		}
		return
	}
	rt.latest = status.GetState()
	rt.pending = append(rt.pending, status)
	if len(rt.pending) == 1 {
		h.forward(m, rt)
	}
}

// forward sends the oldest unacknowledged status and arms its retry.
func (h *host) forward(m *Master, rt *runTask) {
	rt.retry = m.cfg.UpdateRetryMin
	h.transmit(m, rt)
	h.armRetry(m, rt)
}

func (h *host) armRetry(m *Master, rt *runTask) {
	m.timers.cancel(rt.retryAt)
	rt.retryAt = m.afterAlways(rt.retry, func() {
		if len(rt.pending) == 0 || !h.running {
			return
		}
		h.transmit(m, rt)
		rt.retry = min(2*rt.retry, m.cfg.UpdateRetryMax)
		h.armRetry(m, rt)
	})
}

func (h *host) transmit(m *Master, rt *runTask) {
	a := m.agents[h.agentID]
	if a == nil || !h.reachable() {
		return
	}
	status := rt.pending[0]
	state := status.GetState()
	rt.sentState, rt.sentUUID = &state, status.UUID
	if n := len(rt.statuses); n == 0 || !slices.Equal(rt.statuses[n-1].UUID, status.UUID) {
		if n > 0 && rt.statuses[n-1].GetState() == state {
			rt.statuses = slices.Clone(rt.statuses[:n-1])
		}
		rt.statuses = append(slices.Clip(rt.statuses), status)
	}
	m.receive(a, update{fw: rt.key.fw, status: status, latest: rt.latest})
}

// resendAll repeats the outstanding update of every task at once.
func (h *host) resendAll(m *Master) {
	if !h.reachable() {
		return
	}
	for _, key := range sortedTaskKeys(h.tasks) {
		if rt := h.tasks[key]; len(rt.pending) > 0 {
			h.forward(m, rt)
		}
	}
}

// acknowledge takes the outstanding update off the queue and sends the next;
// acknowledgements of anything else are ignored.
func (h *host) acknowledge(m *Master, key taskKey, uuid []byte) {
	rt := h.tasks[key]
	if rt == nil || !h.reachable() || len(rt.pending) == 0 || !slices.Equal(rt.pending[0].UUID, uuid) {
		return
	}
	done := terminal(rt.pending[0].GetState())
	rt.pending = rt.pending[1:]
	m.timers.cancel(rt.retryAt)
	switch {
	case len(rt.pending) > 0:
		h.forward(m, rt)
	case done:
		delete(h.tasks, key)
	}
}

// reportUnknown answers for a task the master knows and the agent does not: the
// launch never arrived.
func (h *host) reportUnknown(m *Master, f *framework, t *task) {
	execID := t.executorID
	if execID == "" {
		execID = t.id
	}
	rt := &runTask{
		key: taskKey{f.id, t.id}, info: t.info, role: t.role, res: t.res, phase: ended, since: m.now,
		executor: &runExecutor{key: hostExecKey{f.id, execID}, command: t.executorID == "", info: &mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: execID}}},
	}
	h.frameworks[f.id] = f.info
	h.tasks[rt.key] = rt
	h.report(m, rt, h.agentStatus(m, rt, f.oneOf(mesos.TASK_DROPPED), mesos.REASON_RECONCILIATION, "Task is unknown to the agent"))
}

// recoverTasks is what an agent does when its process comes back: tasks that
// ended meanwhile are reported as failed, custom executors without a living
// process are gone.
func (h *host) recoverTasks(m *Master) {
	for _, key := range sortedTaskKeys(h.tasks) {
		rt := h.tasks[key]
		if !rt.diedDown {
			if len(rt.pending) > 0 {
				rt.retry = max(rt.retry, time.Duration(1))
				h.armRetry(m, rt)
			}
			continue
		}
		rt.diedDown = false
		rt.phase = ended
		delete(rt.executor.tasks, key)
		if rt.executor.command {
			delete(h.executors, rt.executor.key)
		}
		h.report(m, rt, h.agentStatus(m, rt, mesos.TASK_FAILED, mesos.REASON_EXECUTOR_TERMINATED, "Executor terminated"))
	}
}
