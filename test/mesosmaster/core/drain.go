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

// operatorDeactivate stops offers from an agent and rescinds those outstanding
// (Mesos master/http.cpp deactivateAgent).
func (m *Master) operatorDeactivate(agentID string) Response {
	a := m.agents[agentID]
	if a == nil {
		return badRequest("Unknown agent")
	}
	m.setDeactivated(a, true)
	return done
}

// operatorReactivate lets an agent be offered again (Mesos master/http.cpp
// reactivateAgent).
func (m *Master) operatorReactivate(agentID string) Response {
	a := m.agents[agentID]
	switch {
	case a == nil:
		return badRequest("Unknown agent")
	case !a.deactivated:
		return badRequest("Agent is not deactivated")
	}
	m.setDeactivated(a, false)
	return done
}

func (m *Master) setDeactivated(a *agent, off bool) {
	a.deactivated = off
	m.offerability(a)
	if off {
		m.rescindAgent(a)
	}
}
