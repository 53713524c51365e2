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
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/master"
)

// operatorMembers are the union members of the operator calls handled here.
var operatorMembers = map[master.Call_Type]struct {
	name string
	has  func(*master.Call) bool
}{
	master.Call_MARK_AGENT_GONE:  {"mark_agent_gone", func(c *master.Call) bool { return c.MarkAgentGone != nil }},
	master.Call_DEACTIVATE_AGENT: {"deactivate_agent", func(c *master.Call) bool { return c.DeactivateAgent != nil }},
	master.Call_REACTIVATE_AGENT: {"reactivate_agent", func(c *master.Call) bool { return c.ReactivateAgent != nil }},
	master.Call_TEARDOWN:         {"teardown", func(c *master.Call) bool { return c.Teardown != nil }},
}

// Operate handles an operator call that changes something; calls the emulator
// does not know are answered 501 (Mesos master/http.cpp Http::api).
func (m *Master) Operate(now time.Time, call *master.Call) Response {
	m.enter(now)
	if need, ok := operatorMembers[call.Type]; ok && !need.has(call) {
		return badRequest("Failed to validate master::Call: Expecting '" + need.name + "' to be present")
	}
	switch call.Type {
	case master.Call_MARK_AGENT_GONE:
		id := call.MarkAgentGone.AgentID.Value
		if !m.markGone(id) {
			return Response{404, "Agent '" + id + "' not found"}
		}
	case master.Call_DEACTIVATE_AGENT:
		a := m.agents[call.DeactivateAgent.AgentID.Value]
		if a == nil {
			return badRequest("Unknown agent")
		}
		m.setDeactivated(a, true)
	case master.Call_REACTIVATE_AGENT:
		a := m.agents[call.ReactivateAgent.AgentID.Value]
		switch {
		case a == nil:
			return badRequest("Unknown agent")
		case !a.deactivated:
			return badRequest("Agent is not deactivated")
		}
		m.setDeactivated(a, false)
	case master.Call_TEARDOWN:
		f := m.frameworks[call.Teardown.FrameworkID.Value]
		if f == nil {
			return badRequest("No framework found with specified ID")
		}
		m.removeFramework(f)
	default:
		return Response{501, call.Type.String() + " is not emulated"}
	}
	return Response{Status: 200}
}

func (m *Master) setDeactivated(a *agent, off bool) {
	a.deactivated = off
	if off {
		m.rescindAgent(a)
	} else {
		m.allocateAtTick()
	}
}
