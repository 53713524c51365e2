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
	"github.com/gogo/protobuf/proto"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
)

// The messages below are those of Mesos include/mesos/v1/master/master.proto, as
// far as the emulator sends them. They stand here, and not the generated ones of
// mesos-go, because those lack fields of Mesos 1.11 and later, and because a
// master writes some lists into its JSON even while they are empty: the tag
// `mesos:"always"` says which (Mesos master/readonly_handler.cpp writes those
// messages by hand). In protobuf the two are the same bytes.

// OperatorReply is the answer to an operator call that asks for something
// (mesos.v1.master.Response).
type OperatorReply struct {
	Type                   master.Response_Type                    `protobuf:"varint,1,opt,name=type,enum=mesos.master.Response_Type"`
	GetHealth              *master.Response_GetHealth              `protobuf:"bytes,2,opt,name=get_health"`
	GetFlags               *master.Response_GetFlags               `protobuf:"bytes,3,opt,name=get_flags"`
	GetVersion             *master.Response_GetVersion             `protobuf:"bytes,4,opt,name=get_version"`
	GetMetrics             *master.Response_GetMetrics             `protobuf:"bytes,5,opt,name=get_metrics"`
	GetLoggingLevel        *master.Response_GetLoggingLevel        `protobuf:"bytes,6,opt,name=get_logging_level"`
	GetState               *StateReply                             `protobuf:"bytes,9,opt,name=get_state"`
	GetAgents              *AgentsReply                            `protobuf:"bytes,10,opt,name=get_agents"`
	GetFrameworks          *FrameworksReply                        `protobuf:"bytes,11,opt,name=get_frameworks"`
	GetExecutors           *ExecutorsReply                         `protobuf:"bytes,12,opt,name=get_executors"`
	GetTasks               *TasksReply                             `protobuf:"bytes,13,opt,name=get_tasks"`
	GetRoles               *master.Response_GetRoles               `protobuf:"bytes,14,opt,name=get_roles"`
	GetWeights             *master.Response_GetWeights             `protobuf:"bytes,15,opt,name=get_weights"`
	GetMaster              *master.Response_GetMaster              `protobuf:"bytes,16,opt,name=get_master"`
	GetMaintenanceStatus   *master.Response_GetMaintenanceStatus   `protobuf:"bytes,17,opt,name=get_maintenance_status"`
	GetMaintenanceSchedule *master.Response_GetMaintenanceSchedule `protobuf:"bytes,18,opt,name=get_maintenance_schedule"`
	GetQuota               *master.Response_GetQuota               `protobuf:"bytes,19,opt,name=get_quota"`
	GetOperations          *master.Response_GetOperations          `protobuf:"bytes,20,opt,name=get_operations"`
}

// StateReply is GET_STATE: everything at one moment.
type StateReply struct {
	GetTasks      *TasksReply      `protobuf:"bytes,1,opt,name=get_tasks"`
	GetExecutors  *ExecutorsReply  `protobuf:"bytes,2,opt,name=get_executors"`
	GetFrameworks *FrameworksReply `protobuf:"bytes,3,opt,name=get_frameworks"`
	GetAgents     *AgentsReply     `protobuf:"bytes,4,opt,name=get_agents"`
}

// TasksReply is GET_TASKS.
type TasksReply struct {
	Tasks            []mesos.Task `protobuf:"bytes,2,rep,name=tasks" mesos:"always"`
	UnreachableTasks []mesos.Task `protobuf:"bytes,5,rep,name=unreachable_tasks" mesos:"always"`
	CompletedTasks   []mesos.Task `protobuf:"bytes,3,rep,name=completed_tasks" mesos:"always"`
}

// ExecutorsReply is GET_EXECUTORS.
type ExecutorsReply struct {
	Executors []master.Response_GetExecutors_Executor `protobuf:"bytes,1,rep,name=executors" mesos:"always"`
}

// FrameworksReply is GET_FRAMEWORKS.
type FrameworksReply struct {
	Frameworks          []*FrameworkReply `protobuf:"bytes,1,rep,name=frameworks" mesos:"always"`
	CompletedFrameworks []*FrameworkReply `protobuf:"bytes,2,rep,name=completed_frameworks" mesos:"always"`
}

// FrameworkReply is a framework as operators see it.
type FrameworkReply struct {
	FrameworkInfo      *mesos.FrameworkInfo `protobuf:"bytes,1,req,name=framework_info"`
	Active             *bool                `protobuf:"varint,2,req,name=active"`
	Connected          *bool                `protobuf:"varint,3,req,name=connected"`
	Recovered          *bool                `protobuf:"varint,11,req,name=recovered"`
	RegisteredTime     *mesos.TimeInfo      `protobuf:"bytes,4,opt,name=registered_time"`
	ReregisteredTime   *mesos.TimeInfo      `protobuf:"bytes,5,opt,name=reregistered_time"`
	UnregisteredTime   *mesos.TimeInfo      `protobuf:"bytes,6,opt,name=unregistered_time"`
	Offers             []mesos.Offer        `protobuf:"bytes,7,rep,name=offers"`
	InverseOffers      []mesos.InverseOffer `protobuf:"bytes,8,rep,name=inverse_offers"`
	AllocatedResources []mesos.Resource     `protobuf:"bytes,9,rep,name=allocated_resources"`
	OfferedResources   []mesos.Resource     `protobuf:"bytes,10,rep,name=offered_resources"`
	OfferConstraints   *OfferConstraints    `mesos:"offer_constraints,json"`
}

// AgentsReply is GET_AGENTS.
type AgentsReply struct {
	Agents          []*AgentReply `protobuf:"bytes,1,rep,name=agents" mesos:"always"`
	RecoveredAgents []*AgentInfo  `protobuf:"bytes,2,rep,name=recovered_agents" mesos:"always"`
}

// AgentReply is an agent as operators see it.
type AgentReply struct {
	AgentInfo               *AgentInfo                   `protobuf:"bytes,1,req,name=agent_info"`
	Active                  *bool                        `protobuf:"varint,2,req,name=active"`
	Deactivated             *bool                        `protobuf:"varint,12,opt,name=deactivated"`
	Version                 *string                      `protobuf:"bytes,3,req,name=version"`
	PID                     *string                      `protobuf:"bytes,4,opt,name=pid"`
	RegisteredTime          *mesos.TimeInfo              `protobuf:"bytes,5,opt,name=registered_time"`
	ReregisteredTime        *mesos.TimeInfo              `protobuf:"bytes,6,opt,name=reregistered_time"`
	TotalResources          []mesos.Resource             `protobuf:"bytes,7,rep,name=total_resources"`
	AllocatedResources      []mesos.Resource             `protobuf:"bytes,8,rep,name=allocated_resources"`
	OfferedResources        []mesos.Resource             `protobuf:"bytes,9,rep,name=offered_resources"`
	Capabilities            []mesos.AgentInfo_Capability `protobuf:"bytes,10,rep,name=capabilities"`
	DrainInfo               *mesos.DrainInfo             `protobuf:"bytes,13,opt,name=drain_info"`
	EstimatedDrainStartTime *mesos.TimeInfo              `protobuf:"bytes,14,opt,name=estimated_drain_start_time"`
}

// AgentInfo is mesos.AgentInfo with the checkpoint flag, which a master shows
// when it is asked, and leaves out of events.
type AgentInfo struct {
	Hostname   *string           `protobuf:"bytes,1,req,name=hostname"`
	Port       *int32            `protobuf:"varint,8,opt,name=port"`
	Resources  []mesos.Resource  `protobuf:"bytes,3,rep,name=resources"`
	Attributes []mesos.Attribute `protobuf:"bytes,5,rep,name=attributes"`
	ID         *mesos.AgentID    `protobuf:"bytes,6,opt,name=id"`
	Checkpoint *bool             `protobuf:"varint,7,opt,name=checkpoint"`
	Domain     *mesos.DomainInfo `protobuf:"bytes,10,opt,name=domain"`
}

// OperatorEvent is one record of an operator's event stream
// (mesos.v1.master.Event).
type OperatorEvent struct {
	Type             master.Event_Type              `protobuf:"varint,1,opt,name=type,enum=mesos.master.Event_Type"`
	Subscribed       *OperatorSubscribed            `protobuf:"bytes,2,opt,name=subscribed"`
	TaskAdded        *master.Event_TaskAdded        `protobuf:"bytes,3,opt,name=task_added"`
	TaskUpdated      *master.Event_TaskUpdated      `protobuf:"bytes,4,opt,name=task_updated"`
	AgentAdded       *AgentAdded                    `protobuf:"bytes,5,opt,name=agent_added"`
	AgentRemoved     *master.Event_AgentRemoved     `protobuf:"bytes,6,opt,name=agent_removed"`
	FrameworkAdded   *FrameworkChanged              `protobuf:"bytes,7,opt,name=framework_added"`
	FrameworkUpdated *FrameworkChanged              `protobuf:"bytes,8,opt,name=framework_updated"`
	FrameworkRemoved *master.Event_FrameworkRemoved `protobuf:"bytes,9,opt,name=framework_removed"`
}

// OperatorSubscribed is the first record of an operator's event stream.
type OperatorSubscribed struct {
	GetState                 *StateReply `protobuf:"bytes,1,opt,name=get_state"`
	HeartbeatIntervalSeconds *float64    `protobuf:"fixed64,2,opt,name=heartbeat_interval_seconds"`
}

// AgentAdded tells operators of an agent that registered or came back.
type AgentAdded struct {
	Agent *AgentReply `protobuf:"bytes,1,req,name=agent"`
}

// FrameworkChanged is the body of FRAMEWORK_ADDED and FRAMEWORK_UPDATED.
type FrameworkChanged struct {
	Framework *FrameworkReply `protobuf:"bytes,1,req,name=framework"`
}

// What package proto asks of a message at the top; the protobuf encoding follows
// the tags, down to the messages within.

// Reset empties the message.
func (m *OperatorReply) Reset() { *m = OperatorReply{} }

// String is the protobuf text form.
func (m *OperatorReply) String() string { return proto.CompactTextString(m) }

// ProtoMessage marks a message.
func (*OperatorReply) ProtoMessage() {}

// Reset empties the message.
func (m *OperatorEvent) Reset() { *m = OperatorEvent{} }

// String is the protobuf text form.
func (m *OperatorEvent) String() string { return proto.CompactTextString(m) }

// ProtoMessage marks a message.
func (*OperatorEvent) ProtoMessage() {}
