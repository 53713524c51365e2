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
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// reject drops an operation: with an id it is an OPERATION_ERROR, without one
// nobody hears of it (Mesos master.cpp Master::drop).
func (r *acceptance) rejectOperation(op *mesos.Offer_Operation, message string) {
	if op.ID != nil {
		r.m.sendOperation(r.f, op.ID, mesos.OPERATION_ERROR, message, nil)
	}
}

// convert runs an operation that turns resources into others: those after it in
// the same ACCEPT can use what it makes (Mesos master.cpp _accept).
func (r *acceptance) convert(op *mesos.Offer_Operation) {
	list := operationResources(op)
	for i := range list {
		if err := resource.Validate(&list[i]); err != nil {
			r.rejectOperation(op, "Operation attempted with invalid resources: "+err.Error())
			return
		}
	}
	list = r.allocated(list)
	v := &opValidator{agent: r.agent, f: r.f, principal: r.f.info.Principal, total: r.agent.total}
	if err := v.validate(op, list); err != nil {
		r.rejectOperation(op, err.Error()+"; on agent "+r.agent.String())
		return
	}
	c := conversionOf(op.Type, resource.FromProtos(list))
	left, err := r.left.Apply(c)
	if err != nil {
		r.rejectOperation(op, err.Error())
		return
	}
	if err := r.m.alloc.Convert(r.f.id, r.agent.id, c.Consumed, c.Converted); err != nil {
		r.rejectOperation(op, err.Error())
		return
	}
	r.left = left
	r.m.apply(r.f, r.agent, op, c.Unallocated())
}

// operationResources are what an operation is about.
func operationResources(op *mesos.Offer_Operation) []mesos.Resource {
	switch op.Type {
	case mesos.Offer_Operation_RESERVE:
		return op.GetReserve().GetResources()
	case mesos.Offer_Operation_UNRESERVE:
		return op.GetUnreserve().GetResources()
	case mesos.Offer_Operation_CREATE:
		return op.GetCreate().GetVolumes()
	case mesos.Offer_Operation_DESTROY:
		return op.GetDestroy().GetVolumes()
	}
	return nil
}

// conversionOf is what an operation does to resources (Mesos
// common/resources_utils.cpp getResourceConversions).
func conversionOf(t mesos.Offer_Operation_Type, rs resource.Resources) resource.Conversion {
	switch t {
	case mesos.Offer_Operation_RESERVE:
		return resource.Conversion{Consumed: rs.PopReservation(), Converted: rs}
	case mesos.Offer_Operation_UNRESERVE:
		return resource.Conversion{Consumed: rs, Converted: rs.PopReservation()}
	case mesos.Offer_Operation_CREATE:
		return resource.Conversion{Consumed: rs.WithoutVolumes(), Converted: rs}
	default:
		return resource.Conversion{Consumed: rs, Converted: rs.WithoutVolumes()}
	}
}

// apply does an operation that has been checked, in the master's books and at the
// agent; f is nil for an operator's (Mesos master.cpp _apply).
func (m *Master) apply(f *framework, a *agent, op *mesos.Offer_Operation, c resource.Conversion) {
	total, err := a.total.Apply(c)
	if err != nil {
		return
	}
	a.total = total
	if f == nil {
		a.host.Apply("", op, c)
	} else if o := a.host.Apply(f.id, op, c); o != nil {
		f.operations[o.ID()] = o
	}
}

// acknowledgeOperation handles ACKNOWLEDGE_OPERATION_STATUS: agent and master
// forget an operation whose end is acknowledged; anything else is ignored
// (Mesos master.cpp acknowledgeOperationStatus).
func (m *Master) acknowledgeOperation(f *framework, ack *scheduler.Call_AcknowledgeOperationStatus) {
	a := m.agents[ack.GetAgentID().GetValue()]
	o := f.operations[ack.OperationID.Value]
	if a == nil || !a.connected || o == nil || o.Status.AgentID.GetValue() != a.id || !slices.Equal(o.Status.UUID.GetValue(), ack.UUID) {
		return
	}
	delete(f.operations, o.ID())
	a.host.AcknowledgeOperation(f.id, o.ID(), ack.UUID)
	m.checkDrained(a)
}

// dropOperations takes the operations of an agent the master gives up off the
// books of their frameworks.
func (m *Master) dropOperations(agentID string, state mesos.OperationState, message string) {
	for _, id := range sortedKeys(m.frameworks) {
		f := m.frameworks[id]
		for _, name := range sortedKeys(f.operations) {
			if o := f.operations[name]; o.Status.AgentID.GetValue() == agentID {
				delete(f.operations, name)
				m.sendOperation(f, o.Info.ID, state, message, o.Status.AgentID)
			}
		}
	}
}

func (m *Master) operationsReply() *master.Response_GetOperations {
	r := &master.Response_GetOperations{}
	for _, id := range sortedKeys(m.frameworks) {
		f := m.frameworks[id]
		for _, name := range sortedKeys(f.operations) {
			o := f.operations[name]
			r.Operations = append(r.Operations, mesos.Operation{
				FrameworkID: &mesos.FrameworkID{Value: f.id}, AgentID: o.Status.AgentID, Info: o.Info,
				LatestStatus: o.Status, Statuses: []mesos.OperationStatus{o.Status}, UUID: mesos.UUID{Value: o.UUID},
			})
		}
	}
	return r
}

// reconcileOperations answers for operations: the known ones if none is named
// (Mesos master.cpp reconcileOperations).
func (m *Master) reconcileOperations(f *framework, r *scheduler.Call_ReconcileOperations) {
	if len(r.Operations) == 0 {
		for _, id := range sortedKeys(f.operations) {
			m.sendKnownOperation(f, f.operations[id])
		}
		return
	}
	for i := range r.Operations {
		op := &r.Operations[i]
		if o := f.operations[op.OperationID.Value]; o != nil {
			m.sendKnownOperation(f, o)
			continue
		}
		state, message := m.unknownOperation(op.AgentID)
		m.sendOperation(f, &op.OperationID, state, "Reconciliation: "+message, op.AgentID)
	}
}

// sendKnownOperation repeats the latest status without a uuid: it needs no
// acknowledgement.
func (m *Master) sendKnownOperation(f *framework, o *host.Operation) {
	status := o.Status
	status.UUID = nil
	m.emit(f, &scheduler.Event{
		Type:                  scheduler.Event_UPDATE_OPERATION_STATUS,
		UpdateOperationStatus: &scheduler.Event_UpdateOperationStatus{Status: status},
	})
}

// unknownOperation is what is said of an operation by what is known of its agent.
func (m *Master) unknownOperation(id *mesos.AgentID) (mesos.OperationState, string) {
	if id == nil {
		return mesos.OPERATION_UNKNOWN, "Operation is unknown and no 'agent_id' was provided"
	}
	lost := m.registry.lost[id.Value]
	switch {
	case m.recovered[id.Value] != nil:
		return mesos.OPERATION_RECOVERING, "Agent is recovering"
	case m.agents[id.Value] != nil:
		return mesos.OPERATION_UNKNOWN, "Operation is unknown"
	case lost != nil && lost.gone:
		return mesos.OPERATION_GONE_BY_OPERATOR, "Agent marked gone by operator"
	case lost != nil:
		return mesos.OPERATION_UNREACHABLE, "Agent is unreachable"
	}
	return mesos.OPERATION_UNKNOWN, "Both operation and agent are unknown"
}

// sendOperation tells a framework of the end of an operation by its id.
func (m *Master) sendOperation(f *framework, id *mesos.OperationID, state mesos.OperationState, message string, agentID *mesos.AgentID) {
	m.emit(f, &scheduler.Event{
		Type: scheduler.Event_UPDATE_OPERATION_STATUS,
		UpdateOperationStatus: &scheduler.Event_UpdateOperationStatus{Status: mesos.OperationStatus{
			OperationID: id, State: state, Message: &message, AgentID: agentID,
		}},
	})
}
