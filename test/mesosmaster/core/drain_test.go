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

	"github.com/gogo/protobuf/types"
	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
)

func (c *cluster) drainAgent(id string, gone bool) Response {
	c.t.Helper()
	return c.operate(&master.Call{Type: master.Call_DRAIN_AGENT, DrainAgent: &master.Call_DrainAgent{
		AgentID: mesos.AgentID{Value: id}, MaxGracePeriod: &types.Duration{Seconds: 2}, MarkGone: &gone,
	}})
}

func (c *cluster) reactivate(id string) Response {
	c.t.Helper()
	return c.operate(&master.Call{Type: master.Call_REACTIVATE_AGENT, ReactivateAgent: &master.Call_ReactivateAgent{AgentID: mesos.AgentID{Value: id}}})
}

var stillDraining = Response{Status: 400, Body: "Agent is still in the DRAINING state"}

// TestDrain follows the recording 14: drained is an agent when the ends of all
// its tasks are acknowledged, and not before.
func TestDrain(t *testing.T) {
	c := newCluster(t, Config{KillDelay: time.Second}, node(1))
	s := c.subscribe(info("a"))
	o := s.oneOffer()
	s.runTask("t", o, "cpus:1;mem:64")
	c.pass(time.Second)
	s.take()
	id := o.AgentID.Value
	if r := c.drainAgent(id, false); r.Status != 200 {
		t.Fatal(r)
	}
	if diff := cmp.Diff([]string{"RESCIND"}, s.types()); diff != "" {
		t.Error(diff)
	}
	c.pass(2 * time.Second)
	got := s.updates()
	if len(got) != 1 || got[0].GetReason() != mesos.REASON_AGENT_DRAINING {
		t.Fatal(briefs(got))
	}
	if diff := cmp.Diff(stillDraining, c.reactivate(id)); diff != "" {
		t.Error(diff)
	}
	const want = `"deactivated":true,"version":"` + Version + `"`
	if text := c.ask(master.Call_GET_AGENTS); !strings.Contains(text, want) ||
		!strings.Contains(text, `"drain_info":{"state":"DRAINING","config":{"max_grace_period":{"nanoseconds":2000000000},"mark_gone":false}}`) {
		t.Error(text)
	}
	s.ack(got[0])
	c.pass(time.Second)
	if text := c.ask(master.Call_GET_AGENTS); !strings.Contains(text, `"drain_info":{"state":"DRAINED"`) {
		t.Error(text)
	}
	// An empty agent is drained as soon as the registry has it, which takes a while.
	c.drainAgent(id, false)
	if diff := cmp.Diff(stillDraining, c.reactivate(id)); diff != "" {
		t.Error(diff)
	}
	c.pass(time.Second)
	if got := s.offers(); len(got) != 0 {
		t.Errorf("a drained agent is offered: %v", got)
	}
	if r := c.reactivate(id); r.Status != 200 {
		t.Fatal(r)
	}
	c.pass(time.Second)
	s.oneOffer()
	if diff := cmp.Diff(Response{Status: 400, Body: "Unknown agent"}, c.drainAgent("nope", false)); diff != "" {
		t.Error(diff)
	}
}

func TestDrainMarkGone(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a"))
	o := s.oneOffer()
	s.runTask("t", o, "cpus:1;mem:64")
	c.pass(time.Second)
	c.drainAgent(o.AgentID.Value, true)
	for range 3 {
		s.drain()
		c.pass(time.Second)
	}
	if got := c.m.Agents()[0].State; got != "gone" {
		t.Errorf("the agent is %s", got)
	}
	if diff := cmp.Diff(Response{Status: 400, Body: "Unknown agent"}, c.drainAgent(o.AgentID.Value, false)); diff != "" {
		t.Error(diff)
	}
}

// TestDrainingOutlivesAll: neither the agent's restart nor the master's ends it.
func TestDrainingOutlivesAll(t *testing.T) {
	c := newCluster(t, Config{KillDelay: time.Second}, node(1), node(2))
	s := c.subscribe(info("a"))
	var id string
	for _, o := range s.offers() {
		if o.Hostname == "node-1" {
			id = o.AgentID.Value
			s.runTask("t", o, "cpus:1;mem:64")
		}
	}
	if err := c.m.KillAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.settle()
	if r := c.drainAgent(id, false); r.Status != 200 {
		t.Fatal(r)
	}
	if err := c.m.ReturnAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.m.FailOver(c.now)
	c.settle()
	s = s.resubscribe(info("a"))
	c.pass(20 * time.Second)
	for _, o := range s.offers() {
		if o.Hostname == "node-1" {
			t.Error("a draining agent is offered")
		}
	}
	c.pass(time.Minute) // the update is repeated
	s.drain()
	c.pass(time.Second)
	if r := c.reactivate(id); r.Status != 200 {
		t.Errorf("not drained in the end: %v", r)
	}
}

// TestShutdownAgent: an agent that unregisters is forgotten at once.
func TestShutdownAgent(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	c.watch("o")
	s := c.subscribe(info("a"))
	o := s.oneOffer()
	s.runTask("t", o, "cpus:1;mem:64")
	c.news("o")
	if err := c.m.ShutdownAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.settle()
	if got := briefs(s.updates()); len(got) != 1 || got[0] != `t TASK_LOST REASON_AGENT_REMOVED SOURCE_MASTER "Agent node-1 removed: the agent unregistered"` {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"TASK_UPDATED t TASK_LOST", "AGENT_REMOVED"}, c.news("o")); diff != "" {
		t.Error(diff)
	}
	if err := c.m.ReturnAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.pass(10 * time.Second)
	if got := s.oneOffer(); got.AgentID != o.AgentID {
		t.Errorf("it came back as %s", got.AgentID.Value)
	}
}
