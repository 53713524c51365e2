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

package agent

import (
	"slices"
	"sort"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Operation is one on the agent's resources whose framework wants to hear of it:
// it gave it an id. The agent remembers it until its status is acknowledged.
type Operation struct {
	FrameworkID string
	Info        mesos.Offer_Operation
	UUID        []byte
	Status      mesos.OperationStatus

	retry time.Duration
	timer Timer
}

// ID is the framework's name for the operation.
func (o *Operation) ID() string { return o.Info.ID.GetValue() }

func (o *Operation) silence() {
	if o.timer != nil {
		o.timer.Stop()
	}
}

// Total is what the agent has: what its flags say, as operations have changed
// it, with the revocable resources it told the master of. They stand between
// ranges and reserved resources and the plain ones, as a master offers them.
func (a *Agent) Total() resource.Resources {
	at := slices.IndexFunc(a.total, func(r resource.Resource) bool { return r.Flavor.Plain() && r.Kind != resource.RangeSet })
	if at < 0 {
		at = len(a.total)
	}
	return slices.Insert(slices.Clone(a.total), at, a.announced...)
}

// Apply does an operation of a framework, or of an operator if fw is empty, and
// checkpoints what became of the resources; the master has checked it. One with
// an id is reported, again and again until acknowledged (Mesos slave.cpp
// applyOperation, operation_status_update_manager.cpp).
func (a *Agent) Apply(fw string, op *mesos.Offer_Operation, c resource.Conversion) *Operation {
	if total, err := a.total.Apply(c); err == nil {
		a.total = total
	}
	if op.ID == nil {
		return nil
	}
	id, status := a.world.NewUUID(), a.world.NewUUID()
	o := &Operation{FrameworkID: fw, Info: *op, UUID: id[:], Status: mesos.OperationStatus{
		OperationID: op.ID, State: mesos.OPERATION_FINISHED, UUID: &mesos.UUID{Value: status[:]}, AgentID: &mesos.AgentID{Value: a.id},
	}}
	switch op.Type {
	case mesos.Offer_Operation_GROW_VOLUME, mesos.Offer_Operation_SHRINK_VOLUME:
		o.Status.ConvertedResources = c.Converted.ToProto(resource.WireForm{Refined: true})
	}
	a.operations = append(a.operations, o)
	a.world.After(0, func() { a.forwardOperation(o) })
	return o
}

// Operations are those not acknowledged, by framework and id.
func (a *Agent) Operations() []*Operation {
	list := slices.Clone(a.operations)
	sort.SliceStable(list, func(i, j int) bool {
		return list[i].FrameworkID < list[j].FrameworkID || list[i].FrameworkID == list[j].FrameworkID && list[i].ID() < list[j].ID()
	})
	return list
}

func (a *Agent) forwardOperation(o *Operation) {
	o.retry = a.set.UpdateRetryMin
	a.transmitOperation(o)
	a.armOperation(o)
}

func (a *Agent) armOperation(o *Operation) {
	o.silence()
	if !slices.Contains(a.operations, o) {
		return // acknowledged meanwhile
	}
	o.timer = a.world.After(o.retry, func() {
		if !a.running {
			return
		}
		a.transmitOperation(o)
		o.retry = min(2*o.retry, a.set.UpdateRetryMax)
		a.armOperation(o)
	})
}

func (a *Agent) transmitOperation(o *Operation) {
	if a.Reachable() && slices.Contains(a.operations, o) {
		a.master.OperationStatusUpdate(a, o)
	}
}

// ResendOperations repeats the status of every operation at once.
func (a *Agent) ResendOperations() {
	if !a.Reachable() {
		return
	}
	for _, o := range a.Operations() {
		a.forwardOperation(o)
	}
}

// AcknowledgeOperation ends an operation whose status has this uuid.
func (a *Agent) AcknowledgeOperation(fw, id string, uuid []byte) {
	if !a.Reachable() {
		return
	}
	a.operations = slices.DeleteFunc(a.operations, func(o *Operation) bool {
		done := o.FrameworkID == fw && o.ID() == id && slices.Equal(o.Status.UUID.GetValue(), uuid)
		if done {
			o.silence()
		}
		return done
	})
}

func (a *Agent) silenceOperations() {
	for _, o := range a.operations {
		o.silence()
	}
}
