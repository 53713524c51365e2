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
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// operatorOperation makes the operation that a call of an operator means.
func operatorOperation(c *master.Call) (agentID string, op *mesos.Offer_Operation) {
	switch c.Type {
	case master.Call_RESERVE_RESOURCES:
		r := c.ReserveResources
		return r.AgentID.Value, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_RESERVE, Reserve: &mesos.Offer_Operation_Reserve{Source: r.Source, Resources: r.Resources},
		}
	case master.Call_UNRESERVE_RESOURCES:
		r := c.UnreserveResources
		return r.AgentID.Value, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_UNRESERVE, Unreserve: &mesos.Offer_Operation_Unreserve{Resources: r.Resources},
		}
	case master.Call_CREATE_VOLUMES:
		r := c.CreateVolumes
		return r.AgentID.Value, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_CREATE, Create: &mesos.Offer_Operation_Create{Volumes: r.Volumes},
		}
	default:
		r := c.DestroyVolumes
		return r.AgentID.Value, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_DESTROY, Destroy: &mesos.Offer_Operation_Destroy{Volumes: r.Volumes},
		}
	}
}

// operatorConvert is RESERVE_RESOURCES, UNRESERVE_RESOURCES, CREATE_VOLUMES or
// DESTROY_VOLUMES: offers that contain what is needed are rescinded, until it is
// there or no offer is left, and stay so if the call is refused after all (Mesos
// master/http.cpp Master::Http::_operation).
func (m *Master) operatorConvert(c *master.Call) Response {
	agentID, op := operatorOperation(c)
	a := m.agents[agentID]
	if a == nil {
		return badRequest("No agent found with specified ID")
	}
	list := operationResources(op)
	for i := range list {
		if err := resource.Validate(&list[i]); err != nil {
			return badRequest(err.Error())
		}
	}
	v := &opValidator{agent: a, total: a.total}
	if err := v.validate(op, list); err != nil {
		return badRequest("Invalid " + op.Type.String() + " operation on agent " + a.String() + ": " + err.Error())
	}
	return m.convertFree(a, op, withSource(op, resource.FromProtos(list)))
}

// convertFree does an operation on resources nobody holds, once offers have been
// rescinded for it.
func (m *Master) convertFree(a *agent, op *mesos.Offer_Operation, conversion resource.Conversion) Response {
	m.rescindFor(a, conversion)
	_, err := a.total.Sub(m.alloc.Held(a.id)).Apply(conversion)
	if err == nil {
		err = m.alloc.ConvertFree(a.id, conversion.Consumed, conversion.Converted)
	}
	if err != nil {
		return Response{Status: 409, Body: err.Error()}
	}
	m.apply(nil, a, op, conversion)
	return accepted
}

// withSource is what an operator's operation does; a reservation may be made from
// another one instead of from unreserved resources.
func withSource(op *mesos.Offer_Operation, rs resource.Resources) resource.Conversion {
	c := conversionOf(op.Type, rs)
	if source := op.GetReserve().GetSource(); len(source) > 0 {
		c.Consumed = resource.FromProtos(source)
	}
	return c
}

// rescindFor rescinds offers of an agent until what they held allows a
// conversion. Their resources come back under the default filter of five seconds,
// so that the conversion wins the race against the next allocation.
func (m *Master) rescindFor(a *agent, c resource.Conversion) {
	var recovered resource.Resources
	missing := c.Consumed
	for _, o := range a.offerList() {
		held := o.res.WithAlloc("")
		rest := missing.Sub(held)
		if rest.Contains(missing) {
			continue // this offer has nothing of it
		}
		recovered, missing = recovered.Add(held), rest
		m.rescindFiltered(o, defaultRefuse)
		if _, err := recovered.Apply(c); err == nil {
			return
		}
	}
}
