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
	"sort"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Forms of resources in the operator API.
var (
	// plainForm is that of AgentInfo.resources and task resources.
	plainForm = resource.WireForm{Allocation: true, Refined: true}
	// operatorForm also has the role field of the time before reservation
	// refinement (Mesos common/resources_utils.cpp, ENDPOINT format).
	operatorForm = resource.WireForm{Allocation: true, Refined: true, Roles: true}
)

func timeInfo(t time.Time) *mesos.TimeInfo {
	if t.IsZero() {
		return nil
	}
	return &mesos.TimeInfo{Nanoseconds: t.UnixNano()}
}

func ptr[T any](v T) *T { return &v }

// stateReply is everything, at one moment.
func (m *Master) stateReply() *StateReply {
	return &StateReply{GetTasks: m.tasksReply(), GetExecutors: m.executorsReply(), GetFrameworks: m.frameworksReply(), GetAgents: m.agentsReply()}
}

func (m *Master) tasksReply() *TasksReply {
	r := &TasksReply{}
	add := func(f *framework) {
		for _, id := range sortedKeys(f.tasks) {
			r.Tasks = append(r.Tasks, f.tasks[id].toProto())
		}
		for _, id := range sortedKeys(f.unreachable) {
			r.UnreachableTasks = append(r.UnreachableTasks, f.unreachable[id].toProto())
		}
		for _, t := range f.completed {
			r.CompletedTasks = append(r.CompletedTasks, t.toProto())
		}
	}
	for _, id := range sortedKeys(m.frameworks) {
		add(m.frameworks[id])
	}
	for _, f := range m.completed {
		add(f)
	}
	return r
}

// toProto is the task as operators see it (mesos.v1.Task).
func (t *task) toProto() mesos.Task {
	p := mesos.Task{
		Name: t.name, TaskID: mesos.TaskID{Value: t.id}, FrameworkID: mesos.FrameworkID{Value: t.fw.id}, ExecutorID: executorIDOf(t),
		AgentID: mesos.AgentID{Value: t.agentID}, State: ptr(t.state), Resources: t.res.ToProto(plainForm), Statuses: t.statuses,
		StatusUpdateState: t.statusState, StatusUpdateUUID: t.statusUUID,
	}
	if i := t.info; i != nil {
		p.Labels, p.Discovery, p.Container, p.HealthCheck, p.KillPolicy = i.Labels, i.Discovery, i.Container, i.HealthCheck, i.KillPolicy
		if i.Command != nil {
			p.User = i.Command.User
		}
	}
	return p
}

func (m *Master) executorsReply() *ExecutorsReply {
	r := &ExecutorsReply{}
	for _, id := range sortedKeys(m.frameworks) {
		f := m.frameworks[id]
		for _, key := range f.executorKeys() {
			r.Executors = append(r.Executors, master.Response_GetExecutors_Executor{
				ExecutorInfo: f.executors[key].shownInfo(), AgentID: mesos.AgentID{Value: key.agent},
			})
		}
	}
	return r
}

// executorKeys are the executors of a framework by agent and id.
func (f *framework) executorKeys() []execKey {
	keys := make([]execKey, 0, len(f.executors))
	for k := range f.executors {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i].agent < keys[j].agent || keys[i].agent == keys[j].agent && keys[i].id < keys[j].id
	})
	return keys
}

// shownInfo is the ExecutorInfo with the type the master gives those without.
func (e *executor) shownInfo() mesos.ExecutorInfo {
	info := *e.info
	if info.Type == mesos.ExecutorInfo_UNKNOWN {
		info.Type = mesos.ExecutorInfo_CUSTOM
	}
	return info
}

func (m *Master) frameworksReply() *FrameworksReply {
	r := &FrameworksReply{}
	for _, id := range sortedKeys(m.frameworks) {
		r.Frameworks = append(r.Frameworks, m.frameworks[id].reply())
	}
	for _, f := range m.completed {
		r.CompletedFrameworks = append(r.CompletedFrameworks, f.reply())
	}
	return r
}

// reply is a framework as GET_FRAMEWORKS shows it.
func (f *framework) reply() *FrameworkReply {
	r := &FrameworkReply{
		FrameworkInfo: f.info, Active: ptr(f.active), Connected: ptr(f.connected), Recovered: ptr(f.recovered),
		RegisteredTime: timeInfo(f.registered), ReregisteredTime: timeInfo(f.reregistered), UnregisteredTime: timeInfo(f.unregistered),
		AllocatedResources: f.usedSum.Resources().ToProto(operatorForm), OfferedResources: f.offeredSum.Resources().ToProto(operatorForm),
		OfferConstraints: ptr(f.constraints),
	}
	for _, o := range f.offerList() {
		p := o.toProtoIn(plainForm)
		r.Offers = append(r.Offers, p)
	}
	for _, o := range inverseInOrder(f.inverse) {
		r.InverseOffers = append(r.InverseOffers, o.toProto())
	}
	return r
}

// offerList are the outstanding offers in the order they were made.
func (f *framework) offerList() []*offer { return offersInOrder(f.offers) }

// offerList are the outstanding offers in the order they were made.
func (a *agent) offerList() []*offer { return offersInOrder(a.offers) }

func offersInOrder(in map[string]*offer) []*offer {
	list := make([]*offer, 0, len(in))
	for _, o := range in {
		list = append(list, o)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
	return list
}

// changed is a framework as events tell of it: without offers and resources, with
// all three times.
func (f *framework) changed() *FrameworkReply {
	at := func(t time.Time) *mesos.TimeInfo {
		if t.IsZero() {
			return &mesos.TimeInfo{}
		}
		return timeInfo(t)
	}
	return &FrameworkReply{
		FrameworkInfo: f.info, Active: ptr(f.active), Connected: ptr(f.connected), Recovered: ptr(f.recovered),
		RegisteredTime: at(f.registered), ReregisteredTime: at(f.reregistered), UnregisteredTime: at(f.unregistered),
	}
}

func (m *Master) agentsReply() *AgentsReply {
	r := &AgentsReply{}
	for _, a := range m.order {
		r.Agents = append(r.Agents, m.agentReply(a))
	}
	for _, id := range sortedKeys(m.recovered) {
		r.RecoveredAgents = append(r.RecoveredAgents, m.recovered[id].info)
	}
	return r
}

// agentReply is an agent as GET_AGENTS shows it.
func (m *Master) agentReply(a *agent) *AgentReply {
	used, offered := m.agentHoldings(a)
	r := &AgentReply{
		AgentInfo: a.info(), Active: ptr(a.offerable()), Deactivated: ptr(a.deactivated), Version: ptr(Version), PID: ptr(a.pid()),
		RegisteredTime: timeInfo(a.registered), ReregisteredTime: timeInfo(a.reregistered),
		TotalResources: a.total.ToProto(operatorForm), AllocatedResources: used.ToProto(operatorForm),
		OfferedResources: offered.ToProto(operatorForm), Capabilities: agentCapabilityProtos(),
	}
	if d := m.registry.drains[a.id]; d.info() != nil {
		r.DrainInfo, r.EstimatedDrainStartTime = d.info(), timeInfo(d.started)
	}
	return r
}

// agentHoldings are what tasks and executors use of an agent, and what is
// offered of it, allocated to roles.
func (m *Master) agentHoldings(a *agent) (used, offered resource.Resources) {
	for _, key := range sortedTaskKeys(a.tasks) {
		if t := a.tasks[key]; t.charged {
			used = used.Add(t.res.WithAlloc(t.role))
		}
	}
	for _, id := range a.frameworksWithExecutors() {
		f := m.frameworks[id]
		for _, e := range f.onAgent[a.id] {
			used = used.Add(f.executors[execKey{a.id, e}].res)
		}
	}
	for _, id := range sortedKeys(a.offers) {
		offered = offered.Add(a.offers[id].res)
	}
	return used, offered
}

// frameworksWithExecutors are the frameworks with executors on the agent.
func (a *agent) frameworksWithExecutors() []string { return sortedKeys(a.executors) }

// info is the agent's AgentInfo, as it registered.
func (a *agent) info() *AgentInfo {
	port := a.url.Address.Port
	return &AgentInfo{
		Hostname: ptr(a.hostname), Port: &port, Resources: a.declared.ToProto(plainForm), Attributes: a.attributes,
		ID: &mesos.AgentID{Value: a.id}, Checkpoint: ptr(true), Domain: a.domain,
	}
}

// pid is the libprocess address of the agent.
func (a *agent) pid() string {
	return fmt.Sprintf("slave(1)@%s:%d", a.url.Address.GetIP(), a.url.Address.Port)
}

func agentCapabilityProtos() []mesos.AgentInfo_Capability {
	out := make([]mesos.AgentInfo_Capability, len(agentCapabilities))
	for i, name := range agentCapabilities {
		out[i].Type = mesos.AgentInfo_Capability_Type(mesos.AgentInfo_Capability_Type_value[name])
	}
	return out
}
