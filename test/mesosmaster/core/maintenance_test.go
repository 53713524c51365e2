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
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func (c *cluster) machine(hostname string) mesos.MachineID {
	return mesos.MachineID{Hostname: &hostname, IP: ptrTo(c.m.hosts[hostname].IP())}
}

// plan posts a schedule with one window.
func (c *cluster) plan(machines ...mesos.MachineID) Response {
	c.t.Helper()
	s := maintenance.Schedule{}
	if machines != nil {
		s.Windows = []maintenance.Window{{MachineIDs: machines, Unavailability: mesos.Unavailability{Start: mesos.TimeInfo{Nanoseconds: 1}}}}
	}
	return c.operate(&master.Call{Type: master.Call_UPDATE_MAINTENANCE_SCHEDULE, UpdateMaintenanceSchedule: &master.Call_UpdateMaintenanceSchedule{Schedule: s}})
}

func (c *cluster) startStop(t master.Call_Type, machines ...mesos.MachineID) Response {
	c.t.Helper()
	return c.operate(&master.Call{
		Type: t, StartMaintenance: &master.Call_StartMaintenance{Machines: machines}, StopMaintenance: &master.Call_StopMaintenance{Machines: machines},
	})
}

// TestMaintenance follows the recording 13.
func TestMaintenance(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	s := c.subscribe(info("a"))
	for _, o := range s.offers() {
		if o.Hostname == "node-1" {
			s.runTask("t", o, "cpus:1;mem:64")
		}
	}
	c.pass(time.Second)
	s.take()
	if r := c.plan(c.machine("node-1")); r.Status != 200 {
		t.Fatal(r)
	}
	var inverse mesos.InverseOffer
	var types []string
	for _, e := range s.take() {
		types = append(types, e.Type.String())
		if e.Offers != nil {
			for _, o := range e.Offers.Offers {
				if planned := o.Unavailability != nil; planned != (o.Hostname == "node-1") {
					t.Errorf("offer of %s: planned is %t", o.Hostname, planned)
				}
			}
		}
		if e.InverseOffers != nil {
			inverse = e.InverseOffers.InverseOffers[0]
		}
	}
	if diff := cmp.Diff([]string{"RESCIND", "RESCIND", "OFFERS", "INVERSE_OFFERS"}, types); diff != "" {
		t.Fatal(diff)
	}
	s.must(&scheduler.Call{Type: scheduler.Call_ACCEPT_INVERSE_OFFERS, AcceptInverseOffers: &scheduler.Call_AcceptInverseOffers{
		InverseOfferIDs: []mesos.OfferID{{Value: "nope"}, inverse.OfferID},
	}})
	if got := c.ask(master.Call_GET_MAINTENANCE_STATUS); !strings.Contains(got, `"status":"ACCEPT"`) {
		t.Error(got)
	}
	c.pass(4 * time.Second)
	if got := s.types(); got != nil {
		t.Errorf("within the filter: %v", got)
	}
	c.pass(2 * time.Second)
	if diff := cmp.Diff([]string{"INVERSE_OFFERS"}, s.types()); diff != "" {
		t.Error(diff)
	}
	if r := c.startStop(master.Call_START_MAINTENANCE, c.machine("node-1")); r.Status != 200 {
		t.Fatal(r)
	}
	if diff := cmp.Diff([]string{"UPDATE", "RESCIND", "RESCIND_INVERSE_OFFER", "FAILURE"}, s.types()); diff != "" {
		t.Error(diff)
	}
	id := c.m.hosts["node-1"].ID()
	if got := briefs(s.reconcile(about("t", id))); len(got) != 1 || !strings.HasPrefix(got[0], "t TASK_UNKNOWN ") {
		t.Error(got)
	}
	if got, want := c.ask(master.Call_GET_MAINTENANCE_STATUS), `"down_machines":[{"hostname":"node-1"`; !strings.Contains(got, want) {
		t.Error(got)
	}
	if err := c.m.ReturnAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.pass(10 * time.Second)
	if c.m.agents[id] != nil {
		t.Error("the agent of a machine that is down registered")
	}
	if r := c.startStop(master.Call_STOP_MAINTENANCE, c.machine("node-1")); r.Status != 200 {
		t.Fatal(r)
	}
	if err := c.m.ReturnAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.pass(10 * time.Second)
	if c.m.agents[id] == nil || c.ask(master.Call_GET_MAINTENANCE_SCHEDULE) != `{"type":"GET_MAINTENANCE_SCHEDULE","get_maintenance_schedule":{"schedule":{}}}` {
		t.Error("the agent is not back under its old id, or still planned")
	}
}

// TestMaintenanceRefusals compares texts with the recording 13.
func TestMaintenanceRefusals(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	one, two, ip := c.machine("node-1"), c.machine("node-2"), c.m.hosts["node-1"].IP()
	name := `Machine '{"hostname":"node-1","ip":"` + ip + `"}' `
	check := func(got Response, want string) {
		t.Helper()
		if diff := cmp.Diff(Response{Status: 400, Body: want}, got); diff != "" {
			t.Error(diff)
		}
	}
	check(c.plan([]mesos.MachineID{}...), "List of machines in the maintenance window is empty")
	check(c.plan(one, one), name+"appears more than once in the schedule")
	check(c.plan(mesos.MachineID{}), "Both 'hostname' and 'ip' for a machine are empty")
	check(c.plan(mesos.MachineID{IP: ptrTo("nonsense")}), "Failed to parse the IP: 'nonsense'")
	check(c.startStop(master.Call_START_MAINTENANCE), "List of machines is empty")
	check(c.startStop(master.Call_START_MAINTENANCE, one), name+"is not in DRAINING mode and cannot be brought down")
	check(c.startStop(master.Call_START_MAINTENANCE, mesos.MachineID{Hostname: ptrTo("x")}), `Machine '{"hostname":"x"}' is not part of a maintenance schedule`)
	check(c.startStop(master.Call_STOP_MAINTENANCE, one), name+"is not in DOWN mode and cannot be brought up")
	c.plan(one)
	check(c.operate(&master.Call{Type: master.Call_DRAIN_AGENT, DrainAgent: &master.Call_DrainAgent{AgentID: mesos.AgentID{Value: c.m.hosts["node-1"].ID()}}}),
		"Agent "+c.m.hosts["node-1"].ID()+" is part of a maintenance schedule under Machine node-1 ("+ip+")")
	c.startStop(master.Call_START_MAINTENANCE, one)
	check(c.plan(two), name+"is deactivated and cannot be removed from the schedule")
}

// TestMaintenanceOutlivesTheMaster: the schedule is in the registry, inverse
// offers are made anew.
func TestMaintenanceOutlivesTheMaster(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a"))
	c.plan(c.machine("node-1"))
	c.m.FailOver(c.now)
	c.settle()
	s = s.resubscribe(info("a"))
	c.pass(5 * time.Second)
	got := s.types()
	if len(got) < 3 || got[1] != "OFFERS" || got[2] != "INVERSE_OFFERS" {
		t.Errorf("after the fail-over: %v", got)
	}
}
