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

package mesosmaster

import (
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// AddAgent adds a machine whose agent registers at once, and returns its agent
// id. Host names are unique. It panics on a configuration that does not parse,
// which is a mistake in the test's source; RegisterAgent returns the error.
func (m *Master) AddAgent(a AgentConfig) (agentID string) {
	agentID, err := m.RegisterAgent(a)
	if err != nil {
		panic(err)
	}
	return agentID
}

// RegisterAgent is AddAgent for configurations that come from users.
func (m *Master) RegisterAgent(a AgentConfig) (agentID string, err error) {
	m.do(func(_ *core.Master, now time.Time) { agentID, err = m.addAgent(now, a) })
	return agentID, err
}

func (m *Master) addAgent(now time.Time, a AgentConfig) (agentID string, err error) {
	if m.cfg.AgentsListen {
		if err := m.listenAgent(&a); err != nil {
			return "", err
		}
	}
	return m.core.AddAgent(now, a)
}

// KillAgent ends an agent process, not its tasks. The master sees the socket
// break at once and gives the agent up after Config.AgentPingTimeout.
func (m *Master) KillAgent(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.KillAgent(now, hostname) })
}

// ReplaceAgent starts an agent with other flags and an empty work directory on the
// host of one that was killed. It registers under an id of its own after
// Config.AgentReregisterDelay; what still runs of the old one is lost with it.
func (m *Master) ReplaceAgent(a AgentConfig) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.ReplaceAgent(now, a) })
}

// ShutdownAgent lets an agent shut down in order, as SIGUSR1 does: its executors
// end, and the master forgets it at once. ReturnAgent starts it again.
func (m *Master) ShutdownAgent(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.ShutdownAgent(now, hostname) })
}

// CrashHost is KillAgent plus the death of all tasks on the machine.
func (m *Master) CrashHost(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.CrashHost(now, hostname) })
}

// PartitionAgent cuts an agent off without a socket breaking; the master gives
// it up after Config.AgentPingTimeout.
func (m *Master) PartitionAgent(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.PartitionAgent(now, hostname) })
}

// MarkUnreachable lets the master give an agent up now; it stays cut off until
// ReturnAgent.
func (m *Master) MarkUnreachable(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.MarkUnreachable(now, hostname) })
}

// ReturnAgent ends a partition at once, or starts a dead agent process again,
// which registers after Config.AgentReregisterDelay.
func (m *Master) ReturnAgent(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.ReturnAgent(now, hostname) })
}

// RestartAgent is a stop and start of an agent process in place.
func (m *Master) RestartAgent(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.RestartAgent(now, hostname) })
}

// MarkGone is the operator's MARK_AGENT_GONE; the agent can never come back.
func (m *Master) MarkGone(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.MarkGone(now, hostname) })
}

// DeactivateAgent stops offers from an agent and rescinds those outstanding.
func (m *Master) DeactivateAgent(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.SetDeactivated(now, hostname, true) })
}

// ReactivateAgent lets an agent be offered again, from the next tick on.
func (m *Master) ReactivateAgent(hostname string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.SetDeactivated(now, hostname, false) })
}

// FinishTask ends a running task with TASK_FINISHED.
func (m *Master) FinishTask(taskID string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.EndTask(now, taskID, 0) })
}

// FailTask ends a running task with TASK_FAILED, exit status 1.
func (m *Master) FailTask(taskID string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.EndTask(now, taskID, 1) })
}

// LoseTask takes a running task away as a correction of the agent's QoS
// controller does: TASK_GONE (TASK_LOST without PARTITION_AWARE),
// CONTAINER_PREEMPTED.
func (m *Master) LoseTask(taskID string) error {
	return m.TakeTask(taskID, mesos.TASK_GONE, mesos.REASON_CONTAINER_PREEMPTED, "Container preempted by QoS correction")
}

// TakeTask ends a task by the agent's decision with any terminal state and
// reason.
func (m *Master) TakeTask(taskID string, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.TakeTask(now, taskID, state, reason, message) })
}

// ExitExecutor ends a custom executor with a raw wait status; its tasks fail.
func (m *Master) ExitExecutor(hostname, executorID string, status int32) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.ExitExecutor(now, hostname, executorID, status) })
}

// RescindAll rescinds all outstanding offers and returns their number.
func (m *Master) RescindAll() (n int) {
	m.do(func(c *core.Master, now time.Time) { n = c.RescindAll(now) })
	return n
}

// RescindOffers rescinds the offers of one agent and returns their number.
func (m *Master) RescindOffers(hostname string) (n int) {
	m.do(func(c *core.Master, now time.Time) { n = c.RescindOffers(now, hostname) })
	return n
}

func (m *Master) try(f func(c *core.Master, now time.Time) error) (err error) {
	m.do(func(c *core.Master, now time.Time) { err = f(c, now) })
	return err
}

// OfferNow offers a framework exactly these resources, such as "cpus:1;mem:64", of an
// agent at once, past the allocator: no real master does. The error says why there is
// no offer.
func (m *Master) OfferNow(frameworkID, hostname, role, resources string) error {
	return m.try(func(c *core.Master, now time.Time) error {
		return c.OfferNow(now, frameworkID, hostname, role, resources)
	})
}

// SetEstimate changes what the resource estimator of an agent says, such as
// "cpus:2". The agent tells its master when it looks again
// (AgentConfig.OversubscribedInterval).
func (m *Master) SetEstimate(hostname, resources string) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.SetEstimate(now, hostname, resources) })
}

// SetLoad sets the load of a machine, which the load QoS controller of its agent
// compares with AgentConfig.LoadThreshold.
func (m *Master) SetLoad(hostname string, load float64) error {
	return m.try(func(c *core.Master, now time.Time) error { return c.SetLoad(now, hostname, load) })
}

// FreezeExecutor stops an executor process as SIGSTOP does, or continues it. The
// id of the executor of a command is that of its task.
func (m *Master) FreezeExecutor(hostname, executorID string, frozen bool) error {
	return m.try(func(c *core.Master, now time.Time) error {
		return c.FreezeExecutor(now, hostname, executorID, frozen)
	})
}
