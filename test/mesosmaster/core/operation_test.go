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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// reserved are resources in text form with a dynamic reservation, allocated to
// alloc unless that is empty.
func reserved(t testing.TB, text, role, alloc string) []mesos.Resource {
	t.Helper()
	rs := parse(t, text).WithAlloc(alloc).ToProto(resource.WireForm{Allocation: true, Refined: true})
	for i := range rs {
		rs[i].Reservations = []mesos.Resource_ReservationInfo{{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: &role}}
	}
	return rs
}

func reserveOp(id string, rs []mesos.Resource) mesos.Offer_Operation {
	op := mesos.Offer_Operation{Type: mesos.Offer_Operation_RESERVE, Reserve: &mesos.Offer_Operation_Reserve{Resources: rs}}
	if id != "" {
		op.ID = &mesos.OperationID{Value: id}
	}
	return op
}

func volumeOf(rs []mesos.Resource, id string) []mesos.Resource {
	out := append([]mesos.Resource(nil), rs...)
	for i := range out {
		out[i].Disk = &mesos.Resource_DiskInfo{
			Persistence: &mesos.Resource_DiskInfo_Persistence{ID: id}, Volume: &mesos.Volume{ContainerPath: "data", Mode: mesos.RW.Enum()},
		}
	}
	return out
}

func accepting(o mesos.Offer, refuse float64, ops ...mesos.Offer_Operation) *scheduler.Call {
	return &scheduler.Call{Type: scheduler.Call_ACCEPT, Accept: &scheduler.Call_Accept{
		OfferIDs: []mesos.OfferID{o.ID}, Operations: ops, Filters: &mesos.Filters{RefuseSeconds: &refuse},
	}}
}

// opStatuses are the operation statuses in the inbox, in short; it is emptied.
func (s *sched) opStatuses() (out []string, last mesos.OperationStatus) {
	for _, e := range s.take() {
		if u := e.UpdateOperationStatus; u != nil {
			last = u.Status
			text := last.OperationID.Value + " " + last.State.String() + " " + last.GetMessage()
			if last.UUID != nil {
				text += "uuid"
			}
			out = append(out, strings.TrimSpace(text))
		}
	}
	return out, last
}

// TestReserveWithFeedback follows the recording 11: the status is repeated until
// it is acknowledged, and the reservation offered at the next tick although the
// rest was refused.
func TestReserveWithFeedback(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("dyn"))
	o := s.oneOffer()
	s.must(accepting(o, 3600, reserveOp("op", reserved(t, "cpus:2", "dyn", "dyn"))))
	want := []string{"op OPERATION_FINISHED uuid"}
	got, status := s.opStatuses()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	c.pass(time.Second)
	if again := s.oneOffer(); len(again.Resources) != 5 {
		t.Errorf("offered again are %v, want reserved and unreserved cpus", again.Resources)
	}
	c.pass(9 * time.Second)
	if got, _ := s.opStatuses(); cmp.Diff(want, got) != "" {
		t.Errorf("after 10 s: %v, want the status once more", got)
	}
	ask := &scheduler.Call{Type: scheduler.Call_RECONCILE_OPERATIONS, ReconcileOperations: &scheduler.Call_ReconcileOperations{
		Operations: []scheduler.Call_ReconcileOperations_Operation{{OperationID: *status.OperationID}},
	}}
	s.must(ask)
	s.must(&scheduler.Call{Type: scheduler.Call_RECONCILE_OPERATIONS, ReconcileOperations: &scheduler.Call_ReconcileOperations{}})
	if got, _ := s.opStatuses(); cmp.Diff([]string{"op OPERATION_FINISHED", "op OPERATION_FINISHED"}, got) != "" {
		t.Errorf("reconciled: %v", got)
	}
	if reply := c.operate(&master.Call{Type: master.Call_GET_OPERATIONS}).Reply; len(reply.GetOperations.Operations) != 1 {
		t.Errorf("operators see %v", reply.GetOperations)
	}
	ack := func(id []byte) {
		s.must(&scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS, AcknowledgeOperationStatus: &scheduler.Call_AcknowledgeOperationStatus{
			AgentID: status.AgentID, UUID: id, OperationID: *status.OperationID,
		}})
	}
	ack(make16(1)) // of something else
	ack(status.UUID.Value)
	s.must(ask)
	c.pass(time.Minute)
	if got, _ := s.opStatuses(); cmp.Diff([]string{"op OPERATION_UNKNOWN Reconciliation: Operation is unknown and no 'agent_id' was provided"}, got) != "" {
		t.Errorf("acknowledged: %v", got)
	}
}

// make16 is a well-formed uuid.
func make16(b byte) []byte {
	u := make([]byte, 16)
	u[0], u[6], u[8] = b, 0x40, 0x80
	return u
}

// TestOperationRefusals compares texts with the recording 11.
func TestOperationRefusals(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("dyn"))
	on := "; on agent " + c.m.order[0].String()
	static := reserved(t, "cpus:1", "dyn", "dyn")
	static[0].Reservations[0].Type = mesos.Resource_ReservationInfo_STATIC.Enum()
	refined := reserved(t, "cpus:1", "dyn", "dyn")
	refined[0].Reservations = append(refined[0].Reservations, mesos.Resource_ReservationInfo{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: ptrTo("dyn/sub")})
	plain := parse(t, "cpus:1").WithAlloc("dyn").ToProto(resource.WireForm{Allocation: true, Refined: true})
	sourced := reserveOp("op", reserved(t, "cpus:1", "dyn", "dyn"))
	sourced.Reserve.Source = plain
	volume := volumeOf(reserved(t, "disk:1", "dyn", "dyn"), "v")
	for _, tc := range []struct {
		op   mesos.Offer_Operation
		want string
	}{
		{reserveOp("op", reserved(t, "cpus:1", "foreign", "dyn")), "A reserve operation was attempted for a resource with role 'foreign', but the resource was allocated to role 'dyn'" + on},
		{reserveOp("op", reserved(t, "cpus:1", "*", "dyn")), `Operation attempted with invalid resources: Resource 'cpus(allocated: dyn)(reservations: [(DYNAMIC,*)]):1' is invalid: Invalid reservation: role "*" cannot be reserved`},
		{reserveOp("op", static), "Resource cpus(allocated: dyn)(reservations: [(STATIC,dyn)]):1 is not dynamically reserved" + on},
		{reserveOp("op", plain), "Resource cpus(allocated: dyn):1 is not dynamically reserved" + on},
		{reserveOp("op", refined), "A reserve operation was attempted for a resource with role 'dyn/sub', but the resource was allocated to role 'dyn'" + on},
		{reserveOp("op", nil), "Invalid resources: The resources have multiple resource providers:" + " " + on},
		{sourced, "Reservation updates are not yet implemented for the scheduler API." + on},
		{mesos.Offer_Operation{Type: mesos.Offer_Operation_CREATE, ID: &mesos.OperationID{Value: "op"}, Create: &mesos.Offer_Operation_Create{Volumes: reserved(t, "disk:1", "dyn", "dyn")}},
			"Not a persistent volume: Resource disk(allocated: dyn)(reservations: [(DYNAMIC,dyn)]):1 does not have DiskInfo" + on},
		{mesos.Offer_Operation{Type: mesos.Offer_Operation_DESTROY, ID: &mesos.OperationID{Value: "op"}, Destroy: &mesos.Offer_Operation_Destroy{Volumes: volume}},
			"Persistent volumes not found" + on},
		{mesos.Offer_Operation{Type: mesos.Offer_Operation_UNRESERVE, ID: &mesos.OperationID{Value: "op"}, Unreserve: &mesos.Offer_Operation_Unreserve{Resources: reserved(t, "cpus:7", "dyn", "dyn")}},
			"ports(allocated: dyn):[31000-32000]; cpus(allocated: dyn):16; mem(allocated: dyn):32768; disk(allocated: dyn):100000 does not contain cpus(allocated: dyn)(reservations: [(DYNAMIC,dyn)]):7"},
		{mesos.Offer_Operation{Type: mesos.Offer_Operation_CREATE_DISK, ID: &mesos.OperationID{Value: "op"}}, "CREATE_DISK operations are not emulated"},
	} {
		c.pass(time.Second)
		s.must(accepting(s.oneOffer(), 0, tc.op))
		got, _ := s.opStatuses()
		if diff := cmp.Diff([]string{"op OPERATION_ERROR " + tc.want}, got); diff != "" {
			t.Error(diff)
		}
		tc.op.ID = nil
		c.pass(time.Second)
		s.must(accepting(s.oneOffer(), 0, tc.op))
		if got, _ := s.opStatuses(); got != nil {
			t.Errorf("without an id: %v", got)
		}
	}
}

// TestPipeline reserves, makes a volume, runs a task on it, and takes all apart
// again in one ACCEPT each.
func TestPipeline(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("dyn"))
	o := s.oneOffer()
	disk := reserved(t, "disk:64", "dyn", "dyn")
	volume := volumeOf(disk, "vol-1")
	task := sleep("t", &o, "cpus:1;mem:32")
	task.Resources = append(task.Resources, volume...)
	create := mesos.Offer_Operation{Type: mesos.Offer_Operation_CREATE, Create: &mesos.Offer_Operation_Create{Volumes: volume}}
	destroy := mesos.Offer_Operation{Type: mesos.Offer_Operation_DESTROY, ID: &mesos.OperationID{Value: "d"}, Destroy: &mesos.Offer_Operation_Destroy{Volumes: volume}}
	unreserve := mesos.Offer_Operation{Type: mesos.Offer_Operation_UNRESERVE, Unreserve: &mesos.Offer_Operation_Unreserve{Resources: disk}}
	s.must(accepting(o, 0, reserveOp("", disk), create,
		mesos.Offer_Operation{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{TaskInfos: []mesos.TaskInfo{task}}}))
	if got := s.drain(); len(got) != 2 || got[1].GetState() != mesos.TASK_RUNNING {
		t.Fatal(briefs(got))
	}
	c.pass(time.Second)
	s.must(accepting(s.oneOffer(), 0, destroy))
	if got, _ := s.opStatuses(); len(got) != 1 || !strings.Contains(got[0], "Persistent volumes in use") {
		t.Errorf("destroyed under a task: %v", got)
	}
	c.pass(time.Second)
	held := s.offers()
	s.must(accepting(held[0], 0, create))
	s.kill("t", "")
	s.drain()
	c.pass(time.Second)
	again := s.offers()
	s.must(accepting(again[0], 0, destroy, unreserve))
	c.pass(time.Second)
	if got := c.m.order[0].total.String(); strings.Contains(got, "reservations") {
		t.Errorf("in the end the agent has %s", got)
	}
}

// TestOperatorReserve follows the recordings 11 and 19.
func TestOperatorReserve(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	s := c.subscribe(info("dyn"))
	s.offers()
	a := c.m.order[0]
	call := func(cpus, alloc string) Response {
		return c.operate(&master.Call{Type: master.Call_RESERVE_RESOURCES, ReserveResources: &master.Call_ReserveResources{
			AgentID: mesos.AgentID{Value: a.id}, Resources: reserved(t, "cpus:"+cpus, "zz", alloc),
		}})
	}
	if r := call("15", ""); r.Status != 202 {
		t.Fatal(r)
	}
	if diff := cmp.Diff([]string{"RESCIND"}, s.types()); diff != "" {
		t.Error(diff)
	}
	c.pass(4 * time.Second)
	if n := len(s.offers()); n != 0 {
		t.Error("the rest is offered before the 5 s are over")
	}
	c.pass(2 * time.Second)
	if got := s.oneOffer(); got.AgentID.Value != a.id {
		t.Errorf("offered is %v", got)
	}
	r := call("500", "")
	if want := "does not contain cpus:500"; r.Status != 409 || !strings.HasSuffix(r.Body, want) {
		t.Errorf("got %v, want 409 … %s", r, want)
	}
	if diff := cmp.Diff([]string{"RESCIND"}, s.types()); diff != "" {
		t.Error("a refused call rescinds all the same:", diff)
	}
	if r := call("1", "zz"); r.Status != 400 || !strings.HasPrefix(r.Body, "Invalid RESERVE operation on agent ") {
		t.Errorf("allocated resources: %v", r)
	}
	a = &agent{id: "nope"}
	if diff := cmp.Diff(Response{Status: 400, Body: "No agent found with specified ID"}, call("1", "")); diff != "" {
		t.Error(diff)
	}
}

// TestReservationsOutliveTheMaster: agents remember what became of their
// resources, and what was not acknowledged.
func TestReservationsOutliveTheMaster(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("dyn"))
	s.must(accepting(s.oneOffer(), 0, reserveOp("op", reserved(t, "cpus:2", "dyn", "dyn"))))
	c.m.FailOver(c.now)
	c.settle()
	s = s.resubscribe(info("dyn"))
	c.pass(5 * time.Second)
	if got := c.m.order[0].total.String(); !strings.Contains(got, "(DYNAMIC,dyn)]):2") {
		t.Errorf("the agent has %s", got)
	}
	if got, _ := s.opStatuses(); len(got) == 0 {
		t.Error("the status is not repeated to the new master")
	}
}
