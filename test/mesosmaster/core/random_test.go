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

	"github.com/gogo/protobuf/types"
	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// walk drives a cluster through random calls and disasters. The fixture checks
// the books after every step.
type walk struct {
	*cluster
	rng    *rand.Rand
	scheds []*sched
	held   map[string]mesos.Offer
	pend   map[string]mesos.TaskStatus // unacknowledged, by framework and task
	hosts  []string
	next   int
	log    []string
}

func (w *walk) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *walk) some() *sched {
	live := []*sched{}
	for _, s := range w.scheds {
		if w.ended[s.stream] == "" {
			live = append(live, s)
		}
	}
	if len(live) == 0 {
		return nil
	}
	return live[w.rng.IntN(len(live))]
}

// collect reads the inboxes, keeping offers and updates.
func (w *walk) collect() {
	for _, s := range w.scheds {
		for _, e := range s.take() {
			w.note("%s %s", s.stream, e.Type)
			switch {
			case e.Offers != nil:
				for _, o := range e.Offers.Offers {
					w.held[o.ID.Value] = o
				}
			case e.Rescind != nil:
				delete(w.held, e.Rescind.OfferID.Value)
			case e.Update != nil:
				w.note("%s", brief(e.Update.Status))
				if len(e.Update.Status.UUID) > 0 {
					w.pend[s.id+"/"+e.Update.Status.TaskID.Value] = e.Update.Status
				}
			}
		}
	}
}

func (w *walk) accept(s *sched) {
	for _, id := range sortedKeys(w.held) {
		o := w.held[id]
		if o.FrameworkID.Value != s.id {
			continue
		}
		delete(w.held, id)
		var tasks []mesos.TaskInfo
		for range w.rng.IntN(4) {
			w.next++
			port := 31000 + w.rng.IntN(20)
			x := sleep(fmt.Sprint("t", w.next), &o, fmt.Sprintf("cpus:%d;mem:%d;ports:[%d-%d]", w.rng.IntN(6), w.rng.IntN(9000), port, port+w.rng.IntN(3)))
			if w.rng.IntN(3) == 0 {
				x.Command = nil
				x.Executor = &mesos.ExecutorInfo{
					ExecutorID: mesos.ExecutorID{Value: fmt.Sprint("x", w.rng.IntN(2))}, Command: &mesos.CommandInfo{Value: ptrTo("x")},
				}
				if role := o.GetAllocationInfo().GetRole(); role != "" {
					x.Executor.Resources = parse(w.t, "cpus:0.1;mem:32").WithAlloc(role).ToProto(resource.WireForm{Allocation: true, Refined: true})
				}
			}
			tasks = append(tasks, x)
		}
		call := launch(ptrTo(float64(w.rng.IntN(20))), []mesos.OfferID{o.ID}, tasks...)
		if role := o.GetAllocationInfo().GetRole(); role != "" && w.rng.IntN(3) == 0 {
			call.Accept.Operations = append([]mesos.Offer_Operation{w.reserve(role)}, call.Accept.Operations...)
		}
		s.must(call)
		if w.rng.IntN(2) == 0 {
			return
		}
	}
}

// reserve is a RESERVE or UNRESERVE, with or without a wish for feedback.
func (w *walk) reserve(role string) mesos.Offer_Operation {
	rs := parse(w.t, "cpus:1").WithAlloc(role).ToProto(resource.WireForm{Allocation: true, Refined: true})
	rs[0].Reservations = []mesos.Resource_ReservationInfo{{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: &role}}
	op := mesos.Offer_Operation{Type: mesos.Offer_Operation_RESERVE, Reserve: &mesos.Offer_Operation_Reserve{Resources: rs}}
	if w.rng.IntN(3) == 0 {
		op = mesos.Offer_Operation{Type: mesos.Offer_Operation_UNRESERVE, Unreserve: &mesos.Offer_Operation_Unreserve{Resources: rs}}
	}
	if w.rng.IntN(2) == 0 {
		w.next++
		op.ID = &mesos.OperationID{Value: fmt.Sprint("op", w.next)}
	}
	return op
}

func (w *walk) step() {
	s := w.some()
	host := w.hosts[w.rng.IntN(len(w.hosts))]
	k := w.rng.IntN(100)
	switch {
	case k < 10 || s == nil:
		w.join()
	case k < 40:
		w.accept(s)
	case k < 50:
		for _, id := range sortedKeys(w.held) {
			if w.rng.IntN(2) == 0 {
				delete(w.held, id)
				s.decline(ptrTo(float64(w.rng.IntN(30))), mesos.OfferID{Value: id})
			}
		}
	case k < 70:
		for _, key := range sortedKeys(w.pend) {
			if st := w.pend[key]; w.rng.IntN(3) > 0 && key == s.id+"/"+st.TaskID.Value {
				delete(w.pend, key)
				s.ack(st)
			}
		}
	case k < 78:
		s.kill(fmt.Sprint("t", 1+w.rng.IntN(w.next+1)), "")
	case k < 82:
		_ = w.m.EndTask(w.now, fmt.Sprint("t", 1+w.rng.IntN(w.next+1)), w.rng.IntN(2)) // most ids are not running
	case k < 84:
		s.suppress()
	case k < 88:
		s.revive()
	case k < 90:
		w.m.Disconnect(w.now, s.stream)
		w.ended[s.stream] = "client"
	case k < 95:
		w.operator(s, host)
	default:
		w.disaster(host)
	}
	w.settle()
	w.collect()
}

// join subscribes a new framework or an old one again.
func (w *walk) join() {
	f := info(fmt.Sprint("role", w.rng.IntN(3)), fmt.Sprint("role", 3+w.rng.IntN(2), "/sub"))
	if w.rng.IntN(3) == 0 {
		f = &mesos.FrameworkInfo{User: "root", Name: "old", Role: ptrTo("old"), FailoverTimeout: ptrTo(20.0)}
	}
	if len(w.scheds) > 4 {
		f.ID = &mesos.FrameworkID{Value: w.scheds[w.rng.IntN(len(w.scheds))].id}
	}
	w.scheds = append(w.scheds, w.subscribe(f))
}

// operator does what operators do; most of it is refused most of the time.
func (w *walk) operator(s *sched, host string) {
	id := mesos.AgentID{Value: w.m.hosts[host].ID()}
	machine := []mesos.MachineID{{Hostname: &host, IP: ptrTo(w.m.hosts[host].IP())}}
	window := maintenance.Window{MachineIDs: machine}
	reserved := parse(w.t, "cpus:1;mem:100").ToProto(resource.WireForm{Refined: true})
	for i := range reserved {
		reserved[i].Reservations = []mesos.Resource_ReservationInfo{{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: ptrTo("role1")}}
	}
	calls := []*master.Call{
		{Type: master.Call_DRAIN_AGENT, DrainAgent: &master.Call_DrainAgent{AgentID: id, MaxGracePeriod: &types.Duration{Seconds: 3}}},
		{Type: master.Call_DEACTIVATE_AGENT, DeactivateAgent: &master.Call_DeactivateAgent{AgentID: id}},
		{Type: master.Call_REACTIVATE_AGENT, ReactivateAgent: &master.Call_ReactivateAgent{AgentID: id}},
		{Type: master.Call_REACTIVATE_AGENT, ReactivateAgent: &master.Call_ReactivateAgent{AgentID: id}},
		{Type: master.Call_UPDATE_MAINTENANCE_SCHEDULE, UpdateMaintenanceSchedule: &master.Call_UpdateMaintenanceSchedule{Schedule: maintenance.Schedule{Windows: []maintenance.Window{window}}}},
		{Type: master.Call_UPDATE_MAINTENANCE_SCHEDULE, UpdateMaintenanceSchedule: &master.Call_UpdateMaintenanceSchedule{}},
		{Type: master.Call_START_MAINTENANCE, StartMaintenance: &master.Call_StartMaintenance{Machines: machine}},
		{Type: master.Call_STOP_MAINTENANCE, StopMaintenance: &master.Call_StopMaintenance{Machines: machine}},
		{Type: master.Call_RESERVE_RESOURCES, ReserveResources: &master.Call_ReserveResources{AgentID: id, Resources: reserved}},
		{Type: master.Call_UNRESERVE_RESOURCES, UnreserveResources: &master.Call_UnreserveResources{AgentID: id, Resources: reserved}},
		{Type: master.Call_GET_STATE},
	}
	call := calls[w.rng.IntN(len(calls))]
	w.note("%s on %s: %d", call.Type, host, w.m.Operate(w.now, call).Status)
	w.settle()
	f := w.m.frameworks[s.id]
	if f == nil || !f.connected || f.stream != s.stream {
		return
	}
	for _, inverse := range sortedKeys(f.inverse) {
		ids := []mesos.OfferID{{Value: inverse}}
		if w.rng.IntN(2) == 0 {
			s.must(&scheduler.Call{Type: scheduler.Call_ACCEPT_INVERSE_OFFERS, AcceptInverseOffers: &scheduler.Call_AcceptInverseOffers{InverseOfferIDs: ids}})
		} else {
			s.must(&scheduler.Call{Type: scheduler.Call_DECLINE_INVERSE_OFFERS, DeclineInverseOffers: &scheduler.Call_DeclineInverseOffers{InverseOfferIDs: ids}})
		}
	}
	for _, op := range sortedKeys(f.operations) {
		o := f.operations[op]
		s.must(&scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS, AcknowledgeOperationStatus: &scheduler.Call_AcknowledgeOperationStatus{
			AgentID: o.Status.AgentID, UUID: o.Status.UUID.Value, OperationID: *o.Info.ID,
		}})
	}
}

// quiet lets operators take back all they have said.
func (w *walk) quiet() {
	for _, host := range w.hosts {
		machine := []mesos.MachineID{{Hostname: &host, IP: ptrTo(w.m.hosts[host].IP())}}
		w.m.Operate(w.now, &master.Call{Type: master.Call_STOP_MAINTENANCE, StopMaintenance: &master.Call_StopMaintenance{Machines: machine}})
	}
	w.m.Operate(w.now, &master.Call{Type: master.Call_UPDATE_MAINTENANCE_SCHEDULE, UpdateMaintenanceSchedule: &master.Call_UpdateMaintenanceSchedule{}})
	w.settle()
}

func (w *walk) disaster(host string) {
	var err error
	switch w.rng.IntN(10) {
	case 9:
		err = w.m.ShutdownAgent(w.now, host)
	case 0:
		err = w.m.KillAgent(w.now, host)
	case 1:
		err = w.m.CrashHost(w.now, host)
	case 2:
		err = w.m.PartitionAgent(w.now, host)
	case 3, 4, 5:
		err = w.m.ReturnAgent(w.now, host)
	case 6:
		err = w.m.RestartAgent(w.now, host)
	case 7:
		err = w.m.MarkUnreachable(w.now, host)
	default:
		if w.rng.IntN(4) == 0 {
			w.m.FailOver(w.now)
			clear(w.held)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func newWalk(t *testing.T, seed uint64, steps int) *walk {
	w := &walk{
		cluster: newCluster(t, Config{Seed: int64(seed), LaunchDelay: 2 * time.Second, KillDelay: time.Second, ExecutorIdleTimeout: 20 * time.Second}, node(1), node(2), node(3)),
		rng:     rand.New(rand.NewPCG(seed, 0)), held: map[string]mesos.Offer{}, pend: map[string]mesos.TaskStatus{},
		hosts: []string{"node-1", "node-2", "node-3"},
	}
	for range steps {
		w.step()
		w.pass(time.Duration(w.rng.Int64N(int64(4 * time.Second))))
		w.collect()
	}
	return w
}

func TestRandomWalks(t *testing.T) {
	for seed := range uint64(16) {
		w := newWalk(t, seed, 250)
		// In the end everything comes back, everything is killed, and nothing is left.
		w.quiet()
		for _, h := range w.hosts {
			if err := w.m.ReturnAgent(w.now, h); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(5 * time.Second)
		for _, f := range w.m.Frameworks() {
			again := info("end")
			again.ID = &mesos.FrameworkID{Value: f.ID}
			s := w.subscribe(again)
			if s.id == "" {
				continue // its failover timeout ran out meanwhile
			}
			for range 3 { // kill, and acknowledge what that brings
				for _, st := range s.reconcile() {
					s.kill(st.TaskID.Value, "")
				}
				w.pass(11 * time.Second)
				s.drain()
				w.pass(11 * time.Second)
				s.drain()
			}
			s.must(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
		}
		w.pass(time.Second)
		for _, h := range w.hosts {
			_ = w.m.SetDeactivated(w.now, h, false)
		}
		for _, a := range w.m.Agents() {
			if a.Tasks != 0 || a.Allocated != "{}" || a.State != "registered" {
				t.Fatalf("seed %d: left over: %+v drain %+v tasks %d", seed, a, w.m.registry.drains[a.AgentID], len(w.m.agents[a.AgentID].tasks))
			}
		}
		w.pass(time.Hour)
		if n := len(w.m.timers.heap); n != 0 {
			t.Fatalf("seed %d: %d timers left in an empty cluster", seed, n)
		}
	}
}

// The same seed gives the same history, ids included.
func TestDeterminism(t *testing.T) {
	a, b := newWalk(t, 7, 300), newWalk(t, 7, 300)
	if diff := cmp.Diff(a.log, b.log); diff != "" || len(a.log) < 300 {
		t.Fatalf("%d entries: %s", len(a.log), diff)
	}
}
