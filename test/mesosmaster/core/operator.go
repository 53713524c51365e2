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

// operatorCall is how a call of the operator API is handled: the union member it
// needs, if any, and what it does.
type operatorCall struct {
	member string
	has    func(*master.Call) bool
	do     func(*Master, *master.Call) Response
}

// asks makes a call without arguments that answers with a message.
func asks(reply func(*Master, *OperatorReply)) operatorCall {
	return operatorCall{do: func(m *Master, c *master.Call) Response {
		r := &OperatorReply{Type: master.Response_Type(master.Response_Type_value[c.Type.String()])}
		reply(m, r)
		return Response{Status: 200, Reply: r}
	}}
}

// operatorCalls are the calls handled here.
var operatorCalls = map[master.Call_Type]operatorCall{
	master.Call_GET_HEALTH: asks(func(_ *Master, r *OperatorReply) { r.GetHealth = &master.Response_GetHealth{Healthy: true} }),
	master.Call_GET_VERSION: asks(func(m *Master, r *OperatorReply) {
		r.GetVersion = &master.Response_GetVersion{VersionInfo: m.versionInfo()}
	}),
	master.Call_GET_FLAGS:         asks(func(m *Master, r *OperatorReply) { r.GetFlags = m.flagsReply() }),
	master.Call_GET_METRICS:       asks(func(m *Master, r *OperatorReply) { r.GetMetrics = m.metricsReply() }),
	master.Call_GET_LOGGING_LEVEL: asks(func(_ *Master, r *OperatorReply) { r.GetLoggingLevel = &master.Response_GetLoggingLevel{} }),
	master.Call_GET_MASTER:        asks(func(m *Master, r *OperatorReply) { r.GetMaster = m.masterReply() }),
	master.Call_GET_STATE:         asks(func(m *Master, r *OperatorReply) { r.GetState = m.stateReply() }),
	master.Call_GET_AGENTS:        asks(func(m *Master, r *OperatorReply) { r.GetAgents = m.agentsReply() }),
	master.Call_GET_FRAMEWORKS:    asks(func(m *Master, r *OperatorReply) { r.GetFrameworks = m.frameworksReply() }),
	master.Call_GET_EXECUTORS:     asks(func(m *Master, r *OperatorReply) { r.GetExecutors = m.executorsReply() }),
	master.Call_GET_TASKS:         asks(func(m *Master, r *OperatorReply) { r.GetTasks = m.tasksReply() }),
	master.Call_GET_OPERATIONS:    asks(func(m *Master, r *OperatorReply) { r.GetOperations = m.operationsReply() }),
	master.Call_GET_ROLES:         asks(func(m *Master, r *OperatorReply) { r.GetRoles = m.rolesReply() }),
	master.Call_GET_WEIGHTS:       asks(func(m *Master, r *OperatorReply) { r.GetWeights = m.weightsReply() }),
	master.Call_GET_QUOTA:         asks(func(m *Master, r *OperatorReply) { r.GetQuota = &master.Response_GetQuota{Status: m.quotaStatus()} }),
	master.Call_UPDATE_QUOTA: {
		"update_quota", func(c *master.Call) bool { return c.UpdateQuota != nil },
		func(m *Master, c *master.Call) Response { return m.updateQuota(c.UpdateQuota) },
	},
	master.Call_SET_QUOTA: {
		"set_quota", func(c *master.Call) bool { return c.SetQuota != nil },
		func(m *Master, c *master.Call) Response { return m.setQuotaRequest(&c.SetQuota.QuotaRequest) },
	},
	master.Call_REMOVE_QUOTA: {
		"remove_quota", func(c *master.Call) bool { return c.RemoveQuota != nil },
		func(m *Master, c *master.Call) Response { return m.removeQuota(c.RemoveQuota.Role) },
	},
	master.Call_UPDATE_WEIGHTS: {
		"update_weights", func(c *master.Call) bool { return c.UpdateWeights != nil },
		func(m *Master, c *master.Call) Response { return m.updateWeights(c.UpdateWeights.WeightInfos) },
	},
	master.Call_MARK_AGENT_GONE: {
		"mark_agent_gone", func(c *master.Call) bool { return c.MarkAgentGone != nil },
		func(m *Master, c *master.Call) Response { return m.operatorMarkGone(c.MarkAgentGone.AgentID.Value) },
	},
	master.Call_DRAIN_AGENT: {
		"drain_agent", func(c *master.Call) bool { return c.DrainAgent != nil },
		func(m *Master, c *master.Call) Response { return m.operatorDrain(c.DrainAgent) },
	},
	master.Call_DEACTIVATE_AGENT: {
		"deactivate_agent", func(c *master.Call) bool { return c.DeactivateAgent != nil },
		func(m *Master, c *master.Call) Response { return m.operatorDeactivate(c.DeactivateAgent.AgentID.Value) },
	},
	master.Call_REACTIVATE_AGENT: {
		"reactivate_agent", func(c *master.Call) bool { return c.ReactivateAgent != nil },
		func(m *Master, c *master.Call) Response { return m.operatorReactivate(c.ReactivateAgent.AgentID.Value) },
	},
	master.Call_RESERVE_RESOURCES: {
		"reserve_resources", func(c *master.Call) bool { return c.ReserveResources != nil }, (*Master).operatorConvert,
	},
	master.Call_UNRESERVE_RESOURCES: {
		"unreserve_resources", func(c *master.Call) bool { return c.UnreserveResources != nil }, (*Master).operatorConvert,
	},
	master.Call_CREATE_VOLUMES: {
		"create_volumes", func(c *master.Call) bool { return c.CreateVolumes != nil }, (*Master).operatorConvert,
	},
	master.Call_DESTROY_VOLUMES: {
		"destroy_volumes", func(c *master.Call) bool { return c.DestroyVolumes != nil }, (*Master).operatorConvert,
	},
	master.Call_GROW_VOLUME: {
		"grow_volume", func(c *master.Call) bool { return c.GrowVolume != nil }, (*Master).operatorResize,
	},
	master.Call_SHRINK_VOLUME: {
		"shrink_volume", func(c *master.Call) bool { return c.ShrinkVolume != nil }, (*Master).operatorResize,
	},
	master.Call_TEARDOWN: {
		"teardown", func(c *master.Call) bool { return c.Teardown != nil },
		func(m *Master, c *master.Call) Response { return m.operatorTeardown(c.Teardown.FrameworkID.Value) },
	},
}

// Operate handles a call of the operator API but SUBSCRIBE, whose checks of form
// are done; calls the emulator does not know are answered 501 (Mesos
// master/http.cpp Http::api).
func (m *Master) Operate(now time.Time, call *master.Call) Response {
	m.enter(now)
	known, ok := operatorCalls[call.Type]
	if !ok {
		known, ok = maintenanceCalls[call.Type]
	}
	switch {
	case !ok:
		return Response{Status: 501, Body: call.Type.String() + " is not emulated"}
	case known.has != nil && !known.has(call):
		return badRequest("Failed to validate master::Call: Expecting '" + known.member + "' to be present")
	}
	return known.do(m, call)
}

var done = Response{Status: 200}

func (m *Master) operatorMarkGone(agentID string) Response {
	if !m.markGone(agentID) {
		return Response{Status: 404, Body: "Agent '" + agentID + "' not found"}
	}
	return done
}

func (m *Master) operatorTeardown(frameworkID string) Response {
	f := m.frameworks[frameworkID]
	if f == nil {
		return badRequest("No framework found with specified ID")
	}
	m.removeFramework(f)
	return done
}
