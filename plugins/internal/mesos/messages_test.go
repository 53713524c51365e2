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

package mesos

import (
	"fmt"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func frame(record []byte) []byte {
	return append(fmt.Appendf(nil, "%d\n", len(record)), record...)
}

func subscribedEvent(id string) *scheduler.Event {
	interval := 15.0
	version := "1.12.0"
	port := uint32(5050)
	return &scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &mesosv1.FrameworkID{Value: id}, HeartbeatIntervalSeconds: &interval,
		MasterInfo: &mesosv1.MasterInfo{ID: "m", Port: &port, Version: &version},
	}}
}

func heartbeatEvent() *scheduler.Event { return &scheduler.Event{Type: scheduler.Event_HEARTBEAT} }

func errorEvent(text string) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: text}}
}

func rescindEvent(id string) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{OfferID: mesosv1.OfferID{Value: id}}}
}

func updateEvent(task string, uuid []byte) *scheduler.Event {
	state, source := mesosv1.TASK_RUNNING, mesosv1.SOURCE_EXECUTOR
	return &scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: mesosv1.TaskStatus{
		TaskID: mesosv1.TaskID{Value: task}, State: &state, Source: &source,
		AgentID: &mesosv1.AgentID{Value: "S0"}, UUID: uuid,
	}}}
}

func offersEvent(list ...mesosv1.Offer) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: list}}
}

func uuidV4(n int) []byte {
	u := make([]byte, 16)
	u[0], u[1], u[6], u[8] = byte(n), byte(n>>8), 0x40, 0x80
	return u
}

func plainOffer(id, agent string) mesosv1.Offer {
	role := "k8s"
	return mesosv1.Offer{
		ID: mesosv1.OfferID{Value: id}, FrameworkID: mesosv1.FrameworkID{Value: "fw"}, AgentID: mesosv1.AgentID{Value: agent},
		Hostname: "host-" + agent, AllocationInfo: &mesosv1.Resource_AllocationInfo{Role: &role},
		Resources: []mesosv1.Resource{scalarOf("cpus", 4), scalarOf("mem", 1024)},
	}
}

func scalarOf(name string, value float64) mesosv1.Resource {
	typ, role := mesosv1.SCALAR, "k8s"
	return mesosv1.Resource{
		Name: name, Type: &typ, Scalar: &mesosv1.Value_Scalar{Value: value},
		AllocationInfo: &mesosv1.Resource_AllocationInfo{Role: &role},
	}
}
