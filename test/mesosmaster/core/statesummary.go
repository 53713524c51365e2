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
	"strconv"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// summaryStates are the states /state-summary counts.
var summaryStates = []mesos.TaskState{
	mesos.TASK_STAGING, mesos.TASK_STARTING, mesos.TASK_RUNNING, mesos.TASK_KILLING, mesos.TASK_FINISHED,
	mesos.TASK_KILLED, mesos.TASK_FAILED, mesos.TASK_LOST, mesos.TASK_ERROR, mesos.TASK_UNREACHABLE,
}

// tally counts the tasks of a framework or on an agent, and who is on the other
// side of them.
type tally struct {
	states map[mesos.TaskState]int
	others map[string]bool
}

func (t *tally) count(state mesos.TaskState, other string) {
	t.states[state]++
	t.others[other] = true
}

func (t *tally) into(s object, others string) {
	for _, state := range summaryStates {
		s[state.String()] = t.states[state]
	}
	s[others] = sortedKeys(t.others)
}

// StateSummary is the body of GET /state-summary: counts instead of tasks (Mesos
// master/readonly_handler.cpp stateSummary).
func (m *Master) StateSummary() any {
	perAgent, perFramework := map[string]*tally{}, map[string]*tally{}
	at := func(in map[string]*tally, id string) *tally {
		if in[id] == nil {
			in[id] = &tally{map[mesos.TaskState]int{}, map[string]bool{}}
		}
		return in[id]
	}
	for id, f := range m.frameworks {
		add := func(t *task) {
			at(perAgent, t.agentID).count(t.state, id)
			at(perFramework, id).count(t.state, t.agentID)
		}
		for _, t := range f.tasks {
			add(t)
		}
		for _, t := range f.unreachable {
			add(t)
		}
		for _, t := range f.completed {
			add(t)
		}
	}
	agents, frameworks := []any{}, []any{}
	for _, a := range m.order {
		s := m.slaveObject(a, false)
		at(perAgent, a.id).into(s, "framework_ids")
		agents = append(agents, s)
	}
	for _, id := range sortedKeys(m.frameworks) {
		s := m.frameworks[id].summary()
		at(perFramework, id).into(s, "slave_ids")
		frameworks = append(frameworks, s)
	}
	return object{"hostname": m.cfg.Hostname, "cluster": m.cfg.Cluster, "slaves": agents, "frameworks": frameworks}
}

// summary is what all endpoints show of a framework.
func (f *framework) summary() object {
	caps := []string{}
	for _, c := range f.info.Capabilities {
		caps = append(caps, c.Type.String())
	}
	return object{
		"id": f.id, "name": f.info.Name, "hostname": f.info.GetHostname(), "webui_url": f.info.GetWebUiURL(), "capabilities": caps,
		"used_resources": flat(f.usedSum.Resources()), "offered_resources": flat(f.offeredSum.Resources()),
		"active": f.active, "connected": f.connected, "recovered": f.recovered,
	}
}

// FlagObject is the body of GET /flags.
func (m *Master) FlagObject() any { return object{"flags": m.flags()} }

// FlagObjectOf is FlagObject of a process that does not lead, at an address of
// its own.
func (m *Master) FlagObjectOf(hostname, ip string, port int) any {
	flags := m.flags()
	flags["hostname"], flags["ip"], flags["port"] = hostname, ip, strconv.Itoa(port)
	return object{"flags": flags}
}

// Maintenance is the body of GET /maintenance/schedule.
func (m *Master) Maintenance() any { return raw(&m.registry.schedule) }

// MaintenanceStatus is the body of GET /maintenance/status.
func (m *Master) MaintenanceStatus() any {
	s := m.maintenanceStatus()
	return raw(&s)
}
