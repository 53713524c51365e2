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
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/quota"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// mutate changes a few bytes of a message.
func mutate(rng *rand.Rand, in []byte) []byte {
	b := append([]byte(nil), in...)
	for range 1 + rng.IntN(4) {
		if len(b) == 0 {
			break
		}
		switch i := rng.IntN(len(b)); rng.IntN(4) {
		case 0:
			b[i] ^= 1 << rng.IntN(8)
		case 1:
			b[i] = byte(rng.IntN(256))
		case 2:
			b = append(b[:i:i], b[i+rng.IntN(len(b)-i):]...)
		default:
			n := i + rng.IntN(len(b)-i)
			b = append(append(append([]byte(nil), b[:n]...), b[i:n]...), b[n:]...)
		}
	}
	return b
}

// operatorSeeds are well-formed operator calls of every kind about one agent.
func operatorSeeds(t testing.TB, c *cluster, s *sched) []*master.Call {
	id := mesos.AgentID{Value: c.m.order[0].id}
	machines := []mesos.MachineID{c.machine("node-1")}
	plan := maintenance.Schedule{Windows: []maintenance.Window{{MachineIDs: machines, Unavailability: mesos.Unavailability{Duration: &mesos.DurationInfo{Nanoseconds: 5}}}}}
	cpus, disk := reserved(t, "cpus:1", "a", ""), volumeOf(reserved(t, "disk:5", "a", ""), "v")
	return []*master.Call{
		{Type: master.Call_DRAIN_AGENT, DrainAgent: &master.Call_DrainAgent{AgentID: id}},
		{Type: master.Call_DEACTIVATE_AGENT, DeactivateAgent: &master.Call_DeactivateAgent{AgentID: id}},
		{Type: master.Call_REACTIVATE_AGENT, ReactivateAgent: &master.Call_ReactivateAgent{AgentID: id}},
		{Type: master.Call_UPDATE_MAINTENANCE_SCHEDULE, UpdateMaintenanceSchedule: &master.Call_UpdateMaintenanceSchedule{Schedule: plan}},
		{Type: master.Call_START_MAINTENANCE, StartMaintenance: &master.Call_StartMaintenance{Machines: machines}},
		{Type: master.Call_STOP_MAINTENANCE, StopMaintenance: &master.Call_StopMaintenance{Machines: machines}},
		{Type: master.Call_RESERVE_RESOURCES, ReserveResources: &master.Call_ReserveResources{AgentID: id, Resources: cpus, Source: cpus}},
		{Type: master.Call_RESERVE_RESOURCES, ReserveResources: &master.Call_ReserveResources{AgentID: id, Resources: cpus}},
		{Type: master.Call_UNRESERVE_RESOURCES, UnreserveResources: &master.Call_UnreserveResources{AgentID: id, Resources: cpus}},
		{Type: master.Call_CREATE_VOLUMES, CreateVolumes: &master.Call_CreateVolumes{AgentID: id, Volumes: disk}},
		{Type: master.Call_DESTROY_VOLUMES, DestroyVolumes: &master.Call_DestroyVolumes{AgentID: id, Volumes: disk}},
		{Type: master.Call_GROW_VOLUME, GrowVolume: &master.Call_GrowVolume{AgentID: &id, Volume: disk[0], Addition: reserved(t, "disk:5", "a", "")[0]}},
		{Type: master.Call_SHRINK_VOLUME, ShrinkVolume: &master.Call_ShrinkVolume{AgentID: &id, Volume: disk[0], Subtract: mesos.Value_Scalar{Value: 2}}},
		{Type: master.Call_UPDATE_WEIGHTS, UpdateWeights: &master.Call_UpdateWeights{WeightInfos: []mesos.WeightInfo{{Role: ptrTo("a"), Weight: 2}}}},
		{Type: master.Call_UPDATE_QUOTA, UpdateQuota: &master.Call_UpdateQuota{QuotaConfigs: []quota.QuotaConfig{{Role: "a", Limits: map[string]mesos.Value_Scalar{"cpus": {Value: 3}}}}}},
		{Type: master.Call_TEARDOWN, Teardown: &master.Call_Teardown{FrameworkID: mesos.FrameworkID{Value: s.id}}},
		{Type: master.Call_GET_STATE}, {Type: master.Call_GET_METRICS}, {Type: master.Call_GET_FLAGS}, {Type: master.Call_GET_ROLES},
	}
}

// schedulerSeeds are well-formed calls of a framework that holds an offer.
func schedulerSeeds(t testing.TB, s *sched, o *mesos.Offer) []*scheduler.Call {
	fw := &mesos.FrameworkID{Value: s.id}
	group := sleep("g", o, "cpus:1;mem:32")
	disk := reserved(t, "disk:5", "a", "a")
	u := make16(1)
	ops := []mesos.Offer_Operation{
		reserveOp("op1", reserved(t, "cpus:1", "a", "a")), reserveOp("", disk),
		{Type: mesos.Offer_Operation_CREATE, Create: &mesos.Offer_Operation_Create{Volumes: volumeOf(disk, "v")}},
		{Type: mesos.Offer_Operation_DESTROY, Destroy: &mesos.Offer_Operation_Destroy{Volumes: volumeOf(disk, "v")}},
		{Type: mesos.Offer_Operation_UNRESERVE, ID: &mesos.OperationID{Value: "op2"}, Unreserve: &mesos.Offer_Operation_Unreserve{Resources: disk}},
		{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{TaskInfos: []mesos.TaskInfo{sleep("t", o, "cpus:1;mem:32")}}},
		{Type: mesos.Offer_Operation_LAUNCH_GROUP, LaunchGroup: &mesos.Offer_Operation_LaunchGroup{
			Executor: mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}, FrameworkID: fw}, TaskGroup: mesos.TaskGroupInfo{Tasks: []mesos.TaskInfo{group}},
		}},
	}
	more, volume := reserved(t, "disk:5", "a", "a"), volumeOf(disk, "v")[0]
	return []*scheduler.Call{
		accepting(*o, 1, ops...),
		accepting(*o, 1, reserveOp("", disk), reserveOp("", more), ops[2], growOp(volume, more[0])),
		accepting(*o, 1, reserveOp("", disk), ops[2], shrinkOp(volume, 2)),
		{Type: scheduler.Call_DECLINE, Decline: &scheduler.Call_Decline{OfferIDs: []mesos.OfferID{o.ID}}},
		{Type: scheduler.Call_ACCEPT_INVERSE_OFFERS, AcceptInverseOffers: &scheduler.Call_AcceptInverseOffers{InverseOfferIDs: []mesos.OfferID{o.ID}}},
		{Type: scheduler.Call_KILL, Kill: &scheduler.Call_Kill{TaskID: mesos.TaskID{Value: "t"}, AgentID: &o.AgentID}},
		{Type: scheduler.Call_ACKNOWLEDGE, Acknowledge: &scheduler.Call_Acknowledge{AgentID: o.AgentID, TaskID: mesos.TaskID{Value: "t"}, UUID: u}},
		{Type: scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS, AcknowledgeOperationStatus: &scheduler.Call_AcknowledgeOperationStatus{
			AgentID: &o.AgentID, UUID: u, OperationID: mesos.OperationID{Value: "op1"},
		}},
		{Type: scheduler.Call_RECONCILE, Reconcile: &scheduler.Call_Reconcile{Tasks: []scheduler.Call_Reconcile_Task{about("t", o.AgentID.Value)}}},
		{Type: scheduler.Call_RECONCILE_OPERATIONS, ReconcileOperations: &scheduler.Call_ReconcileOperations{
			Operations: []scheduler.Call_ReconcileOperations_Operation{{OperationID: mesos.OperationID{Value: "op1"}, AgentID: &o.AgentID}},
		}},
		{Type: scheduler.Call_MESSAGE, Message: &scheduler.Call_Message{AgentID: o.AgentID, ExecutorID: mesos.ExecutorID{Value: "e"}, Data: u}},
		{Type: scheduler.Call_SHUTDOWN, Shutdown: &scheduler.Call_Shutdown{AgentID: o.AgentID, ExecutorID: mesos.ExecutorID{Value: "e"}}},
		{Type: scheduler.Call_REVIVE}, {Type: scheduler.Call_SUPPRESS, Suppress: &scheduler.Call_Suppress{Roles: []string{"a"}}},
		{Type: scheduler.Call_UPDATE_FRAMEWORK, UpdateFramework: &scheduler.Call_UpdateFramework{FrameworkInfo: *withID(info("a", "b"), s.id)}},
	}
}

// TestMutatedCalls: whatever is sent, the master answers, and its books are right;
// the fixture checks them after every call.
func TestMutatedCalls(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	answers := map[int]int{}
	for round := range 100 {
		c := newCluster(t, Config{}, node(1), node(2))
		s := c.subscribe(info("a"))
		offers := s.offers()
		o := &offers[0]
		var operators, schedulers [][]byte
		for _, call := range operatorSeeds(t, c, s) {
			operators = append(operators, marshal(t, call))
		}
		for _, call := range schedulerSeeds(t, s, o) {
			call.FrameworkID = &mesos.FrameworkID{Value: s.id}
			schedulers = append(schedulers, marshal(t, call))
		}
		for step := range 60 {
			var op master.Call
			var call scheduler.Call
			switch b := mutate(rng, schedulers[rng.IntN(len(schedulers))]); {
			case rng.IntN(3) == 0:
				if op.Unmarshal(mutate(rng, operators[rng.IntN(len(operators))])) == nil {
					answers[c.operate(&op).Status]++
				}
			case call.Unmarshal(b) == nil:
				answers[c.m.Call(c.now, &Request{Call: &call, HasType: call.Type != scheduler.Call_UNKNOWN, Stream: s.stream, HasStream: true}).Status]++
				c.settle()
			}
			if step%10 == 0 {
				c.pass(time.Duration(rng.IntN(3)) * time.Second)
			}
			if c.ended[s.stream] != "" {
				break
			}
		}
		c.pass(time.Minute)
		if t.Failed() {
			t.Fatal(fmt.Sprint("round ", round))
		}
	}
	for _, status := range []int{200, 202, 400} {
		if answers[status] < 100 {
			t.Errorf("answers are %v: too few of %d to prove anything", answers, status)
		}
	}
}

func marshal(t testing.TB, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
