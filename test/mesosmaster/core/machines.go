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
	"cmp"
	"fmt"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
)

// AddAgent adds a machine with an agent that registers at once, and returns the
// agent's id. A host name is unique.
func (m *Master) AddAgent(now time.Time, c AgentConfig) (string, error) {
	m.enter(now)
	if c.Hostname == "" {
		return "", fmt.Errorf("agent without host name: set AgentConfig.Hostname")
	}
	if m.hosts[c.Hostname] != nil {
		return "", fmt.Errorf("agent %q exists already: choose another host name", c.Hostname)
	}
	h, err := m.newHost(c)
	if err != nil {
		return "", err
	}
	m.hosts[c.Hostname] = h
	m.hostOrder = append(m.hostOrder, h)
	if !m.down {
		m.register(h)
	}
	return h.ID(), nil
}

func (m *Master) host(hostname string) (*host.Agent, error) {
	h := m.hosts[hostname]
	if h == nil {
		return nil, fmt.Errorf("no agent on host %q", hostname)
	}
	return h, nil
}

// KillAgent ends an agent process (not its tasks): the master sees the socket
// break at once and gives the agent up after the ping timeout.
func (m *Master) KillAgent(now time.Time, hostname string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	m.agentProcessEnds(h, h.Stop)
	return nil
}

// agentProcessEnds stops an agent process in some way; the master sees the
// connection break.
func (m *Master) agentProcessEnds(h *host.Agent, stop func()) {
	if a := m.agents[h.ID()]; a != nil {
		m.connectionLost(a)
	}
	stop()
}

// ShutdownAgent lets an agent shut down as SIGUSR1 does: it ends its executors and
// unregisters, so that the master forgets it at once. ReturnAgent starts it again,
// under the same id.
func (m *Master) ShutdownAgent(now time.Time, hostname string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	switch a := m.agents[h.ID()]; {
	case a == nil:
	case h.Reachable():
		m.forgetAgent(a, "the agent unregistered")
	default:
		m.connectionLost(a)
	}
	h.Destroy()
	return nil
}

// CrashHost is KillAgent plus the death of everything on the machine.
func (m *Master) CrashHost(now time.Time, hostname string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	m.agentProcessEnds(h, h.Crash)
	return nil
}

// PartitionAgent cuts an agent off without any socket breaking.
func (m *Master) PartitionAgent(now time.Time, hostname string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	h.SetPartitioned(true)
	if a := m.agents[h.ID()]; a != nil && a.connected {
		m.armPingTimeout(a)
	}
	return nil
}

// MarkUnreachable lets the master give an agent up now; the agent is cut off
// until ReturnAgent.
func (m *Master) MarkUnreachable(now time.Time, hostname string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	if h.Running() {
		h.SetPartitioned(true)
	}
	if a := m.agents[h.ID()]; a != nil {
		m.markUnreachable(a)
	}
	return nil
}

// MarkGone is the operator's MARK_AGENT_GONE: the agent is shut down and can
// never come back.
func (m *Master) MarkGone(now time.Time, hostname string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	if h.ID() == "" || !m.markGone(h.ID()) {
		return fmt.Errorf("agent on host %q is not known to the master", hostname)
	}
	return nil
}

// reachAgain ends a partition: silent for so long, the agent registers anew.
func (m *Master) reachAgain(h *host.Agent) {
	if !h.Running() {
		return
	}
	h.SetPartitioned(false)
	if a := m.agents[h.ID()]; a != nil && a.connected {
		m.reregisterKnown(a)
		return
	}
	if !m.down {
		m.register(h)
	}
}

// ReturnAgent ends a partition at once, or starts a dead agent process, which
// registers after the re-registration delay.
func (m *Master) ReturnAgent(now time.Time, hostname string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	if h.Running() {
		if wait := m.hostSettings.Takes(host.StepRegister, hostname, 0); wait > 0 {
			m.after(wait, func() { m.reachAgain(h) })
			return nil
		}
		m.reachAgain(h)
		return nil
	}
	h.Start()
	if a := m.agents[h.ID()]; a != nil {
		a.lostTimer++ // the process answers pings again, long before it has recovered
	}
	return nil
}

// ReplaceAgent starts an agent with other flags and an empty work directory on
// the host of one whose process has ended. It registers after the
// re-registration delay, under an id of its own; the old agent stays on the books
// until it is given up.
func (m *Master) ReplaceAgent(now time.Time, c AgentConfig) error {
	m.enter(now)
	old, err := m.host(c.Hostname)
	if err != nil {
		return err
	}
	if old.Running() {
		return fmt.Errorf("the agent on host %q runs: kill it before it is replaced", c.Hostname)
	}
	c.IP, c.Port = cmp.Or(c.IP, old.IP()), cmp.Or(c.Port, int(old.Port()))
	h, err := m.newHost(c)
	if err != nil {
		return err
	}
	m.hosts[c.Hostname] = h
	m.hostOrder[slices.Index(m.hostOrder, old)] = h
	h.Stop()
	h.Start()
	return nil
}

// RestartAgent is a stop and start of the agent process in place.
func (m *Master) RestartAgent(now time.Time, hostname string) error {
	if err := m.KillAgent(now, hostname); err != nil {
		return err
	}
	return m.ReturnAgent(now, hostname)
}

// SetDeactivated stops or resumes offers from an agent; stopping rescinds them
// (Mesos DEACTIVATE_AGENT, REACTIVATE_AGENT).
func (m *Master) SetDeactivated(now time.Time, hostname string, off bool) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	a := m.agents[h.ID()]
	if a == nil {
		return fmt.Errorf("agent on host %q is not registered", hostname)
	}
	if off {
		m.operatorDeactivate(a.id)
	} else {
		m.operatorReactivate(a.id)
	}
	return nil
}

// FailOver is the death of the master and the election of a new one at once.
func (m *Master) FailOver(now time.Time) {
	m.Down(now)
	m.Up(now)
}

// Down is the death of the master: streams break, its memory is gone. Machines
// and their tasks live on.
func (m *Master) Down(now time.Time) {
	m.enter(now)
	if m.down {
		return
	}
	for id, a := range m.agents {
		m.recovered[id] = &recoveredAgent{a.hostname, a.host, a.info()}
	}
	for _, stream := range sortedKeys(m.byStream) {
		m.out = append(m.out, Output{Stream: stream, Close: true, Abort: true})
	}
	for _, stream := range m.watchers {
		m.out = append(m.out, Output{Stream: stream, Close: true, Abort: true})
	}
	admitted := m.recovered
	m.elect(now)
	m.down = true
	m.recovered = admitted
	for _, h := range m.hostOrder {
		h.SetRegistered(false)
	}
}

// Up is the election of a new master that knows only the registry: the ids of
// agents registered, unreachable and gone. Agents come back after the
// re-registration delay; those that do not are given up after the timeout.
func (m *Master) Up(now time.Time) {
	m.enter(now)
	if !m.down {
		return
	}
	m.down = false
	m.begun = now
	m.alloc = m.newAllocator()
	m.restoreQuotas()
	m.alloc.AwaitAgents(len(m.recovered))
	for _, h := range m.hostOrder {
		h.NewMaster()
	}
	if len(m.recovered) > 0 {
		m.after(m.cfg.AgentReregisterTimeout, m.giveUpRecovered)
	}
}

// giveUpRecovered marks agents unreachable that never came back after a
// fail-over (Mesos master.cpp recoveredSlavesTimeout).
func (m *Master) giveUpRecovered() {
	for _, id := range sortedKeys(m.recovered) {
		m.registry.lost[id] = &lostAgent{hostname: m.recovered[id].hostname, since: m.now}
		delete(m.recovered, id)
		m.broadcastFailure(id)
	}
}

// EndTask ends a task of its own accord, as a process that exits with status
// zero (finished) or not (failed).
func (m *Master) EndTask(now time.Time, taskID string, exitStatus int) error {
	m.enter(now)
	h, t, err := m.runningTask(taskID)
	if err != nil {
		return err
	}
	h.End(t, exitStatus)
	return nil
}

// TakeTask ends a task by the agent's own decision, with state and reason of the
// test's choice, for example TASK_GONE and REASON_CONTAINER_PREEMPTED.
func (m *Master) TakeTask(now time.Time, taskID string, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) error {
	m.enter(now)
	h, t, err := m.runningTask(taskID)
	if err != nil {
		return err
	}
	if !terminal(state) {
		return fmt.Errorf("task %q: %s is not a terminal state", taskID, state)
	}
	h.Take(t, state, mesos.SOURCE_AGENT, reason, message)
	return nil
}

// ExitExecutor ends an executor with a raw wait status; its tasks fail.
func (m *Master) ExitExecutor(now time.Time, hostname, executorID string, status int32) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	if h.ExitExecutor(executorID, status) {
		return nil
	}
	return fmt.Errorf("no executor %q on host %q", executorID, hostname)
}

func (m *Master) runningTask(id string) (*host.Agent, *host.Task, error) {
	for _, h := range m.hostOrder {
		if t := h.Living(id); t != nil {
			return h, t, nil
		}
	}
	return nil, nil, fmt.Errorf("no task %q on any agent", id)
}
