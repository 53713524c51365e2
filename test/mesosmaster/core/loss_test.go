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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// occupied is a cluster with a task of s, and one of a framework without
// checkpointing, on the machine named.
func occupied(t *testing.T) (c *cluster, s, forgetful, bystander *sched, host string) {
	c = newCluster(t, Config{}, node(1), node(2))
	s = c.subscribe(info("r"))
	o := s.offers()
	s.decline(ptrTo(0.0), o[1].ID)
	s.suppress()
	s.runTask("t1", o[0], "cpus:1;mem:32")
	f := info("r")
	f.Checkpoint = nil
	forgetful = c.subscribe(f)
	c.pass(time.Second)
	for _, x := range forgetful.offers() {
		if x.Hostname == o[0].Hostname {
			forgetful.runTask("t2", x, "cpus:1;mem:32")
		}
	}
	bystander = c.subscribe(info("other"))
	s.revive()
	c.pass(2 * time.Second)
	s.take()
	forgetful.take()
	bystander.take()
	return c, s, forgetful, bystander, o[0].Hostname
}

// A restart in place: offers are rescinded, checkpointed tasks live on.
func TestAgentRestart(t *testing.T) {
	c, s, forgetful, _, host := occupied(t)
	if err := c.m.RestartAgent(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.settle()
	want := []string{`t2 TASK_LOST REASON_AGENT_DISCONNECTED SOURCE_MASTER "Agent ` + host + ` disconnected"`}
	if diff := cmp.Diff(want, briefs(forgetful.updates())); diff != "" {
		t.Error("not checkpointed:", diff)
	}
	if got := s.updates(); len(got) != 0 {
		t.Errorf("checkpointed: %v", briefs(got))
	}
	for _, o := range c.m.Offers() {
		if o.Hostname == host {
			t.Errorf("still offered: %+v", o)
		}
	}
	c.pass(3 * time.Second)
	for _, a := range c.m.Agents() {
		if a.State != "registered" {
			t.Errorf("after its restart: %+v", a)
		}
	}
	if st := s.reconcile(about("t1", "")); st[0].GetState() != mesos.TASK_RUNNING {
		t.Errorf("got %v", briefs(st))
	}
}

// A partition, and its end.
func TestPartition(t *testing.T) {
	c, s, _, bystander, host := occupied(t)
	if err := c.m.PartitionAgent(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.pass(75*time.Second - 1)
	for _, e := range s.take() {
		if e.Type == scheduler.Event_UPDATE || e.Type == scheduler.Event_FAILURE {
			t.Fatalf("before the ping timeout: %v", e)
		}
	}
	c.pass(1)
	types := []string{}
	for _, e := range s.take() {
		if e.Type == scheduler.Event_UPDATE {
			if got := brief(e.Update.Status); got != `t1 TASK_UNREACHABLE REASON_AGENT_REMOVED SOURCE_MASTER "health check timed out"` || e.Update.Status.UnreachableTime == nil {
				t.Fatalf("got %s", got)
			}
		}
		if e.Type != scheduler.Event_HEARTBEAT {
			types = append(types, e.Type.String())
		}
	}
	if n := len(types); types[0] != "UPDATE" || types[n-1] != "FAILURE" || slices.Contains(types[1:n-1], "UPDATE") {
		t.Fatalf("want UPDATE, RESCINDs, FAILURE, got %v", types)
	}
	if got := bystander.types(); !slices.Contains(got, "FAILURE") {
		t.Fatalf("a framework with nothing there is told too: %v", got)
	}
	if err := c.m.ReturnAgent(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.settle()
	want := []string{`t1 TASK_RUNNING REASON_AGENT_REREGISTERED SOURCE_MASTER "Unreachable agent re-reregistered"`}
	if diff := cmp.Diff(want, briefs(s.updates())); diff != "" {
		t.Error(diff)
	}
}

// A whole machine dies and comes back empty.
func TestHostCrash(t *testing.T) {
	c, s, _, _, host := occupied(t)
	if err := c.m.CrashHost(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.pass(75 * time.Second)
	if got := briefs(s.updates()); len(got) != 1 || got[0] != `t1 TASK_UNREACHABLE REASON_AGENT_REMOVED SOURCE_MASTER "health check timed out"` {
		t.Fatalf("got %v", got)
	}
	if err := c.m.ReturnAgent(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.pass(3 * time.Second)
	got := briefs(s.updates())
	if len(got) < 2 || got[0] != `t1 TASK_FAILED REASON_AGENT_REREGISTERED SOURCE_MASTER "Unreachable agent re-reregistered"` ||
		got[1] != `t1 TASK_FAILED REASON_EXECUTOR_TERMINATED SOURCE_AGENT "Executor terminated" uuid` {
		t.Fatalf("got %v", got)
	}
}

// KILLs for an agent that is away are delivered when it returns; tasks it never
// got are dropped then.
func TestAgentReturnsToNews(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("r"))
	o := s.oneOffer()
	c.m.LoseLaunches(1)
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("lost", &o, "cpus:1"), sleep("kept", &o, "cpus:1")))
	s.drain()
	if st := s.reconcile(about("lost", "")); st[0].GetState() != mesos.TASK_STAGING {
		t.Fatalf("got %v", briefs(st))
	}
	if err := c.m.RestartAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	s.kill("kept", "")
	c.pass(3 * time.Second)
	got := briefs(s.drain())
	slices.Sort(got)
	want := []string{
		`kept TASK_KILLED SOURCE_EXECUTOR "Command terminated with signal Terminated" uuid`,
		`lost TASK_DROPPED REASON_RECONCILIATION SOURCE_AGENT "Task is unknown to the agent" uuid`,
	}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Error(diff)
	}
}

func TestMarkGone(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	s := c.subscribe(info("r"))
	for i, o := range s.offers() {
		s.runTask(fmt.Sprint("t", i), o, "cpus:1")
	}
	s.take()
	if err := c.m.MarkGone(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.settle()
	e := s.take()
	if n := len(e); n < 2 || !strings.HasSuffix(brief(e[0].Update.Status), `TASK_GONE_BY_OPERATOR REASON_AGENT_REMOVED_BY_OPERATOR SOURCE_MASTER "Agent has been marked gone"`) || e[n-1].Type != scheduler.Event_FAILURE {
		t.Fatalf("got %v", e)
	}
	if err := c.m.ReturnAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Minute)
	if a := c.m.Agents()[0]; a.State != "gone" {
		t.Fatalf("gone agents stay gone: %+v", a)
	}
	// An unreachable agent can be marked gone: no second FAILURE.
	if err := c.m.MarkUnreachable(c.now, "node-2"); err != nil {
		t.Fatal(err)
	}
	c.settle()
	s.take()
	if err := c.m.MarkGone(c.now, "node-2"); err != nil {
		t.Fatal(err)
	}
	if err := c.m.MarkGone(c.now, "node-2"); err != nil {
		t.Fatal("marking twice is fine:", err)
	}
	c.settle()
	if got := s.types(); !slices.Equal(got, []string{"UPDATE"}) {
		t.Fatalf("got %v", got)
	}
}

// A new master knows nothing but the registry until agents and frameworks are
// back.
func TestMasterFailover(t *testing.T) {
	c := newCluster(t, Config{AgentReregisterDelay: 2 * time.Second}, node(1), node(2), node(3))
	s := c.subscribe(info("r"))
	offers := s.offers()
	s.must(launch(ptrTo(0.0), []mesos.OfferID{offers[0].ID}, sleep("unack", &offers[0], "cpus:1")))
	unack := s.updates()[0]
	s.runTask("t1", offers[1], "cpus:1")
	a0, a1, a2 := offers[0].AgentID.Value, offers[1].AgentID.Value, offers[2].AgentID.Value
	if err := c.m.KillAgent(c.now, offers[2].Hostname); err != nil {
		t.Fatal(err)
	}
	oldID := c.m.ID()
	c.m.FailOver(c.now)
	c.settle()
	if c.ended[s.stream] != "abort" || c.m.ID() == oldID {
		t.Fatal("the old stream must break and the new master have a new id")
	}
	if r := s.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r != (Response{Status: 400, Body: "Framework cannot be found"}) {
		t.Fatalf("got %v", r)
	}
	b := s.resubscribe(info("r"))
	if got := b.types(); b.id != s.id || !slices.Equal(got, []string{"SUBSCRIBED"}) {
		t.Fatalf("id %s, events %v", b.id, got)
	}
	want := []string{`never TASK_UNKNOWN REASON_RECONCILIATION SOURCE_MASTER "Reconciliation: Task is unknown"`}
	if diff := cmp.Diff(want, briefs(b.reconcile(about("t1", a1), about("unack", ""), about("never", "no-such-agent")))); diff != "" {
		t.Error(diff)
	}
	b.kill("t1", a1) // lost: nobody remembers it
	b.must(launch(nil, []mesos.OfferID{offers[0].ID}, sleep("stale", &offers[0], "cpus:1")))
	if got := b.updates(); len(got) != 1 || got[0].GetReason() != mesos.REASON_INVALID_OFFERS {
		t.Fatalf("got %v", briefs(got))
	}
	c.pass(2 * time.Second)
	e := b.take()
	var uuids [][]byte
	hosts := []string{}
	for _, x := range e {
		if x.Update != nil {
			uuids = append(uuids, x.Update.Status.UUID)
		}
		if x.Offers != nil {
			for _, o := range x.Offers.Offers {
				hosts = append(hosts, o.Hostname)
			}
		}
	}
	if len(uuids) != 2 || !slices.Equal(uuids[0], unack.UUID) || !slices.Equal(uuids[1], unack.UUID) || len(hosts) != 2 {
		t.Fatalf("after the agents are back: %v", e)
	}
	if st := b.reconcile(about("t1", a1), about("unack", a0), about("x", a2)); len(st) != 2 || st[0].GetState() != mesos.TASK_RUNNING || st[1].GetState() != mesos.TASK_STARTING {
		t.Fatalf("got %v", briefs(st))
	}
	b.take()
	c.pass(10 * time.Minute) // the third never comes back
	if got := b.types(); !slices.Contains(got, "FAILURE") {
		t.Fatalf("got %v", got)
	}
	if st := b.reconcile(about("x", a2)); st[0].GetState() != mesos.TASK_UNREACHABLE {
		t.Fatalf("got %v", briefs(st))
	}
	// A framework that does not come back is shown as recovered.
	c.m.FailOver(c.now)
	c.pass(5 * time.Second)
	if f := c.m.Frameworks(); len(f) != 1 || !f[0].Recovered || f[0].Connected || f[0].Tasks != 2 {
		t.Fatalf("got %+v", f)
	}
	if r := b.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r != (Response{Status: 403, Body: "Framework is not subscribed"}) {
		t.Fatalf("got %v", r)
	}
	d := b.resubscribe(info("r"))
	if st := d.reconcile(); len(st) != 2 {
		t.Fatalf("got %v", briefs(st))
	}
}

func TestFaults(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("r"))
	o := s.oneOffer()
	c.m.SwallowLaunches(1)
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("gone", &o, "cpus:1")))
	if got := s.types(); len(got) != 0 || len(c.m.Tasks()) != 0 || len(c.m.Offers()) != 0 {
		t.Fatalf("a swallowed ACCEPT says %v", got)
	}
	c.pass(time.Second)
	o = s.oneOffer()
	c.m.RejectLaunch(Rejection{State: mesos.TASK_ERROR, Reason: mesos.REASON_TASK_UNAUTHORIZED, Source: mesos.SOURCE_MASTER, Message: "no"})
	c.m.RejectLaunch(Rejection{State: mesos.TASK_FAILED, Reason: mesos.REASON_CONTAINER_LAUNCH_FAILED, Source: mesos.SOURCE_AGENT, Message: "bad"})
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("a", &o, "cpus:1"), sleep("b", &o, "cpus:1"), sleep("c", &o, "cpus:1")))
	got := briefs(s.drain())
	want := []string{
		`a TASK_ERROR REASON_TASK_UNAUTHORIZED SOURCE_MASTER "no"`,
		`b TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED SOURCE_AGENT "bad" uuid`,
		"c TASK_STARTING SOURCE_EXECUTOR uuid", "c TASK_RUNNING SOURCE_EXECUTOR uuid",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c.m.DuplicateUpdates(1)
	c.m.DelayUpdates(5 * time.Second)
	if err := c.m.TakeTask(c.now, "c", mesos.TASK_GONE, mesos.REASON_CONTAINER_PREEMPTED, "Container preempted by QoS correction"); err != nil {
		t.Fatal(err)
	}
	c.pass(5*time.Second - 1)
	if got := s.updates(); len(got) != 0 {
		t.Fatalf("delayed: %v", briefs(got))
	}
	c.pass(1)
	if got := briefs(s.updates()); len(got) != 2 || got[0] != got[1] || got[0] != `c TASK_GONE REASON_CONTAINER_PREEMPTED SOURCE_AGENT "Container preempted by QoS correction" uuid` {
		t.Fatalf("got %v", got)
	}
	if err := c.m.TakeTask(c.now, "c", mesos.TASK_RUNNING, 0, ""); err == nil {
		t.Error("want an error")
	}
}
