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
	"fmt"
	"time"

	executorapi "github.com/mesos/mesos-go/api/v1/lib/executor"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// outside turns what agents want of executor processes into outputs.
type outside struct{ m *Master }

// StartProcess implements [host.Executors].
func (o outside) StartProcess(h *host.Agent, p host.Process) {
	o.m.out = append(o.m.out, Output{Start: &p, Host: h.Hostname()})
}

// KillProcess implements [host.Executors].
func (o outside) KillProcess(h *host.Agent, containerID string) {
	o.m.out = append(o.m.out, Output{Kill: containerID, Host: h.Hostname()})
}

// ExecutorEvent implements [host.Executors].
func (o outside) ExecutorEvent(stream string, e *executorapi.Event) {
	o.m.out = append(o.m.out, Output{Stream: stream, Executor: e})
}

// CloseExecutor implements [host.Executors].
func (o outside) CloseExecutor(stream string) {
	o.m.out = append(o.m.out, Output{Stream: stream, Close: true, Abort: true})
}

// AgentListens tells whether the agent process on a host accepts connections.
func (m *Master) AgentListens(hostname string) bool {
	h := m.hosts[hostname]
	return h != nil && h.Running()
}

// ExecutorCall is a call of the executor API to the agent on a host. A SUBSCRIBE
// that is answered 200 gets its events on the stream named in it.
func (m *Master) ExecutorCall(now time.Time, hostname string, q *host.ExecutorRequest) (Response, error) {
	m.enter(now)
	h, err := m.host(hostname)
	switch {
	case err != nil:
		return Response{}, err
	case !h.Running():
		return Response{}, fmt.Errorf("agent on host %q does not run", hostname)
	}
	r := h.ExecutorCall(q)
	return Response{Status: r.Status, Body: r.Body}, nil
}

// ExecutorDisconnected tells of the end of an executor's side of its stream.
func (m *Master) ExecutorDisconnected(now time.Time, hostname, stream string) {
	m.enter(now)
	if h := m.hosts[hostname]; h != nil {
		h.ExecutorDisconnected(stream)
	}
}

// ProcessExited tells of the end of an executor process with its raw wait status.
func (m *Master) ProcessExited(now time.Time, hostname, containerID string, status int32) {
	m.enter(now)
	if h := m.hosts[hostname]; h != nil {
		h.ProcessExited(containerID, status)
	}
}

// ProcessFailed tells that an executor process could not be started, and why.
func (m *Master) ProcessFailed(now time.Time, hostname, containerID, why string) {
	m.enter(now)
	if h := m.hosts[hostname]; h != nil {
		h.ProcessFailed(containerID, why)
	}
}

// AgentAddress is where an agent process listens.
type AgentAddress struct {
	Hostname, IP string
	Port         int
}

// AgentAddresses are those of all agents, whether their processes live or not.
func (m *Master) AgentAddresses() []AgentAddress {
	out := make([]AgentAddress, len(m.hostOrder))
	for i, h := range m.hostOrder {
		out[i] = AgentAddress{h.Hostname(), h.IP(), int(h.Port())}
	}
	return out
}

// FreezeExecutor stops an executor's process as SIGSTOP does, or lets it run on.
func (m *Master) FreezeExecutor(now time.Time, hostname, executorID string, frozen bool) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err == nil && !h.FreezeExecutor(executorID, frozen) {
		err = fmt.Errorf("no executor %q on host %q", executorID, hostname)
	}
	return err
}

// SetEstimate changes the revocable resources of an agent, given as text such as
// "cpus:4"; the agent notices at its next look, or when it starts.
func (m *Master) SetEstimate(now time.Time, hostname, resources string) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err != nil {
		return err
	}
	estimate, err := resource.ParseRevocable(resources)
	if err != nil {
		return fmt.Errorf("agent %q: %w", hostname, err)
	}
	h.SetEstimate(estimate)
	return nil
}

// SetLoad changes the load of a machine that its QoS controller sees.
func (m *Master) SetLoad(now time.Time, hostname string, load float64) error {
	m.enter(now)
	h, err := m.host(hostname)
	if err == nil {
		h.SetLoad(load)
	}
	return err
}
