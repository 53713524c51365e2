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
	"sort"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// agentWorld is the time and the randomness of the emulation, as agents see them.
type agentWorld struct{ m *Master }

// Now implements [host.World].
func (w agentWorld) Now() time.Time { return w.m.now }

// After implements [host.World].
func (w agentWorld) After(d time.Duration, do func()) host.Timer { return w.m.afterAlways(d, do) }

// NewUUID implements [host.World].
func (w agentWorld) NewUUID() uuid.UUID { return w.m.newUUID() }

// IntN implements [host.World].
func (w agentWorld) IntN(n int) int { return w.m.rng.IntN(n) }

// agentLink receives the messages of agents. While the master is down, and from
// agents it does not know, they are lost.
type agentLink struct{ m *Master }

// Register implements [host.Master].
func (l agentLink) Register(h *host.Agent) {
	if !l.m.down {
		l.m.register(h)
	}
}

// StatusUpdate implements [host.Master].
func (l agentLink) StatusUpdate(h *host.Agent, u host.Update) {
	if a := l.m.agents[h.ID()]; a != nil {
		l.m.receive(a, u)
	}
}

// ExitedExecutor implements [host.Master] (Mesos master.cpp exitedExecutor).
func (l agentLink) ExitedExecutor(h *host.Agent, frameworkID, executorID string, status int32) {
	f := l.m.frameworks[frameworkID]
	if l.m.agents[h.ID()] == nil || f == nil {
		return
	}
	l.m.removeExecutor(f, execKey{h.ID(), executorID})
	l.m.emit(f, &scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{
		AgentID: &mesos.AgentID{Value: h.ID()}, ExecutorID: &mesos.ExecutorID{Value: executorID}, Status: &status,
	}})
}

// ExecutorToFramework implements [host.Master].
func (l agentLink) ExecutorToFramework(h *host.Agent, frameworkID, executorID string, data []byte) {
	f := l.m.frameworks[frameworkID]
	if l.m.agents[h.ID()] == nil || f == nil {
		return
	}
	l.m.emit(f, &scheduler.Event{Type: scheduler.Event_MESSAGE, Message: &scheduler.Event_Message{
		AgentID: mesos.AgentID{Value: h.ID()}, ExecutorID: mesos.ExecutorID{Value: executorID}, Data: data,
	}})
}

// orphanAdoption is how long after its election a master waits for the framework
// of an operation; then it acknowledges the operation itself (Mesos
// master/constants.hpp MIN_WAIT_BEFORE_ORPHAN_OPERATION_ADOPTION).
const orphanAdoption = 5 * time.Minute

// OperationStatusUpdate implements [host.Master] (Mesos master.cpp
// updateOperationStatus).
func (l agentLink) OperationStatusUpdate(h *host.Agent, o *host.Operation) {
	f := l.m.frameworks[o.FrameworkID]
	if l.m.agents[h.ID()] == nil {
		return
	}
	if f == nil {
		if l.m.wasCompleted(o.FrameworkID) || l.m.now.Sub(l.m.begun) >= orphanAdoption {
			h.AcknowledgeOperation(o.FrameworkID, o.ID(), o.Status.UUID.GetValue())
		}
		return
	}
	f.operations[o.ID()] = o
	l.m.emit(f, &scheduler.Event{
		Type:                  scheduler.Event_UPDATE_OPERATION_STATUS,
		UpdateOperationStatus: &scheduler.Event_UpdateOperationStatus{Status: o.Status},
	})
}

// Oversubscribed implements [host.Master] (Mesos master.cpp updateSlave): offers
// of the agent with revocable resources are rescinded.
func (l agentLink) Oversubscribed(h *host.Agent, _ resource.Resources) {
	a := l.m.agents[h.ID()]
	if a == nil {
		return
	}
	for _, id := range sortedKeys(a.offers) {
		for i := range a.offers[id].res {
			if a.offers[id].res[i].Flavor.Revocable() {
				l.m.discardOffer(a.offers[id], true)
				break
			}
		}
	}
	a.total = h.Total()
	l.m.alloc.UpdateAgent(a.allocatorInfo())
}

// newHost builds the machine of an agent.
func (m *Master) newHost(c AgentConfig) (*host.Agent, error) {
	total, err := resource.Parse(c.Resources)
	if err != nil {
		return nil, fmt.Errorf("agent %q: %w", c.Hostname, err)
	}
	n := len(m.hostOrder) + 1
	cfg := host.Config{
		Hostname: c.Hostname, IP: cmp.Or(c.IP, fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)), Port: cmp.Or(int32(c.Port), agentPort),
		Resources: total, Attributes: attributesOf(c.Attributes), WorkDir: c.WorkDir,
		ExecutorRegistrationTimeout:   c.ExecutorRegistrationTimeout,
		ExecutorReregistrationTimeout: c.ExecutorReregistrationTimeout,
		OversubscribedInterval:        c.OversubscribedInterval, LoadThreshold: c.LoadThreshold, QoSInterval: c.QoSInterval,
	}
	if c.AttributeText != "" {
		cfg.Attributes = host.ParseAttributes(c.AttributeText)
	}
	if c.Region != "" {
		cfg.Domain = domainOf(c.Region, c.Zone)
	}
	return host.New(cfg, &m.hostSettings, agentWorld{m}, agentLink{m}, outside{m}), nil
}

const agentPort = 5051

// attributesOf turns name and value into attributes, by name.
func attributesOf(in map[string]string) []mesos.Attribute {
	var out []mesos.Attribute
	for _, name := range sortedKeys(in) {
		out = append(out, host.ParseAttribute(name, in[name]))
	}
	return out
}

// taskKey names a task of one framework.
type taskKey struct{ fw, id string }

func sortedTaskKeys[V any](in map[taskKey]V) []taskKey {
	keys := make([]taskKey, 0, len(in))
	for k := range in {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].fw < keys[j].fw || keys[i].fw == keys[j].fw && keys[i].id < keys[j].id
	})
	return keys
}
