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

// One outstanding update per task, repeated at 10 s doubling to 10 min, the next
// only after the acknowledgement.
func TestUpdateRetries(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch"))
	o := s.oneOffer()
	s.must(launch(ptrTo(3600.0), []mesos.OfferID{o.ID}, sleep("t1", &o, "cpus:1")))
	first := s.updates()
	var times []time.Duration
	start := c.now
	for c.now.Sub(start) < time.Hour {
		c.pass(time.Second)
		for _, st := range s.updates() {
			if diff := cmp.Diff(first[0], st); diff != "" {
				t.Fatalf("a repeated update differs: %s", diff)
			}
			times = append(times, c.now.Sub(start))
		}
	}
	var want []time.Duration
	at, step := time.Duration(0), 10*time.Second
	for at+step <= time.Hour {
		at += step
		want = append(want, at)
		step = min(2*step, 10*time.Minute)
	}
	if diff := cmp.Diff(want, times); diff != "" {
		t.Error(diff)
	}
	wrong := first[0]
	wrong.UUID = slices.Clone(wrong.UUID)
	wrong.UUID[0]++
	s.ack(wrong)
	if got := s.updates(); len(got) != 0 {
		t.Fatalf("a wrong uuid must acknowledge nothing: %v", briefs(got))
	}
	s.ack(first[0])
	if got := s.updates(); len(got) != 1 || got[0].GetState() != mesos.TASK_RUNNING {
		t.Fatalf("got %v", briefs(got))
	}
	s.ack(first[0]) // twice is harmless
	if got := s.types(); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
}

// Resources come free with the end of a task, its id with the acknowledgement.
func TestUnacknowledgedEnd(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch"))
	s.runTask("t1", s.oneOffer(), "cpus:16;mem:32")
	c.pass(time.Second)
	s.take()
	s.kill("t1", "")
	c.settle()
	end := s.updates()[0]
	s.kill("t1", "") // already dead: no answer
	if got := s.types(); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
	c.pass(time.Second)
	o := s.oneOffer()
	if o.Resources[0].Scalar.GetValue() != 16 {
		t.Fatalf("offer %v", o)
	}
	if st := s.reconcile(); len(st) != 1 || st[0].GetState() != mesos.TASK_KILLED {
		t.Fatalf("implicit reconciliation: %v", briefs(st))
	}
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("t1", &o, "cpus:1")))
	if got := s.updates(); got[0].GetMessage() != "Task has duplicate ID: t1" {
		t.Fatalf("got %v", briefs(got))
	}
	s.ack(end)
	if st := s.reconcile(); len(st) != 0 {
		t.Fatalf("implicit reconciliation: %v", briefs(st))
	}
}

func TestReconciliationTable(t *testing.T) {
	unaware := &mesos.FrameworkInfo{User: "root", Name: "u", Role: ptrTo("r"), Checkpoint: ptrTo(true), FailoverTimeout: ptrTo(60.0)}
	for _, tc := range []struct {
		info  *mesos.FrameworkInfo
		state func(string) string
	}{
		{info("r"), func(s string) string { return s }},
		{unaware, func(string) string { return "TASK_LOST" }},
	} {
		c := newCluster(t, Config{LaunchDelay: time.Second}, node(1), node(2), node(3))
		s := c.subscribe(tc.info)
		by := map[string]mesos.Offer{}
		for _, o := range s.offers() {
			by[o.Hostname] = o
		}
		a1, a2, a3 := by["node-1"].AgentID.Value, by["node-2"].AgentID.Value, by["node-3"].AgentID.Value
		for i, host := range []string{"node-1", "node-2", "node-3"} {
			o := by[host]
			s.must(launch(ptrTo(3600.0), []mesos.OfferID{o.ID}, sleep(fmt.Sprint("t", i+1), &o, "cpus:1")))
		}
		rec := func(st string) string { return " REASON_RECONCILIATION SOURCE_MASTER \"Reconciliation: " + st + "\"" }
		check := func(want []string, tasks ...scheduler.Call_Reconcile_Task) {
			t.Helper()
			if diff := cmp.Diff(want, briefs(s.reconcile(tasks...))); diff != "" {
				t.Error(diff)
			}
		}
		latest, unknown, gone := rec("Latest task state"), rec("Task is unknown"), rec("Task is unknown to the agent")
		check([]string{"t1 TASK_STAGING" + latest}, about("t1", a1))
		c.pass(time.Second)
		s.drain()
		check([]string{"t1 TASK_RUNNING" + latest, "t2 TASK_RUNNING" + latest, "t3 TASK_RUNNING" + latest})
		check([]string{
			"t1 TASK_RUNNING" + latest, "t1 TASK_RUNNING" + latest, "never " + tc.state("TASK_UNKNOWN") + unknown,
			"never " + tc.state("TASK_GONE") + gone, "never " + tc.state("TASK_UNKNOWN") + unknown,
		}, about("t1", ""), about("t1", a2), about("never", ""), about("never", a1), about("never", "no-such-agent"))
		// node-2 is lost, node-3 marked gone.
		if err := c.m.KillAgent(c.now, "node-2"); err != nil {
			t.Fatal(err)
		}
		c.settle()
		check([]string{"t2 TASK_RUNNING" + latest}, about("t2", a2))
		c.pass(75 * time.Second)
		if err := c.m.MarkGone(c.now, "node-3"); err != nil {
			t.Fatal(err)
		}
		c.settle()
		check([]string{"t1 TASK_RUNNING" + latest})
		check([]string{
			"t2 " + tc.state("TASK_UNREACHABLE") + rec("Task is unreachable"), "t2 " + tc.state("TASK_UNKNOWN") + unknown,
			"t3 " + tc.state("TASK_GONE_BY_OPERATOR") + rec("Task is gone"),
		}, about("t2", a2), about("t2", ""), about("t3", a3))
		if st := s.reconcile(about("t2", a2)); st[0].UnreachableTime == nil {
			t.Error("unreachable_time missing")
		}
		// KILL of what the master does not know is answered in the same way.
		s.kill("t2", a2)
		if diff := cmp.Diff([]string{"t2 " + tc.state("TASK_UNREACHABLE") + rec("Task is unreachable")}, briefs(s.updates())); diff != "" {
			t.Error(diff)
		}
	}
}

func TestKill(t *testing.T) {
	killing := withCaps(info("r"), mesos.FrameworkInfo_Capability_TASK_KILLING_STATE)
	c := newCluster(t, Config{LaunchDelay: time.Second, KillDelay: 3 * time.Second}, node(1))
	s := c.subscribe(killing)
	o := s.oneOffer()
	s.must(launch(ptrTo(3600.0), []mesos.OfferID{o.ID}, sleep("quick", &o, "cpus:1"), sleep("slow", &o, "cpus:1")))
	s.kill("quick", o.AgentID.Value)
	want := []string{`quick TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH SOURCE_AGENT "Killed before delivery to the executor" uuid`}
	if diff := cmp.Diff(want, briefs(s.drain())); diff != "" {
		t.Error(diff)
	}
	c.pass(time.Second)
	s.drain()
	s.kill("slow", "nope") // wrong agent: dropped
	c.pass(time.Second)
	if got := s.updates(); len(got) != 0 {
		t.Fatalf("got %v", briefs(got))
	}
	s.kill("slow", "")
	s.kill("slow", "") // no extra update
	if diff := cmp.Diff([]string{"slow TASK_KILLING SOURCE_EXECUTOR uuid"}, briefs(s.drain())); diff != "" {
		t.Error(diff)
	}
	c.pass(3*time.Second - 1)
	if got := s.updates(); len(got) != 0 {
		t.Fatalf("before the kill delay: %v", briefs(got))
	}
	c.pass(1)
	if diff := cmp.Diff([]string{`slow TASK_KILLED SOURCE_EXECUTOR "Command terminated with signal Terminated" uuid`}, briefs(s.drain())); diff != "" {
		t.Error(diff)
	}
}

// The loss and the return of agents.
func TestAgentLoss(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	s := c.subscribe(info("r"))
	forgetful := info("r")
	forgetful.Checkpoint = nil
	bystander := c.subscribe(info("other"))
	o := s.offers()
	s.decline(ptrTo(0.0), o[1].ID)
	s.suppress()
	s.runTask("t1", o[0], "cpus:1;mem:32")
	n := c.subscribe(forgetful)
	c.pass(time.Second)
	for _, x := range n.offers() {
		if x.Hostname == o[0].Hostname {
			n.runTask("t2", x, "cpus:1;mem:32")
		}
	}
	s.revive()
	c.pass(2 * time.Second)
	s.take()
	n.take()
	bystander.take()
	host := o[0].Hostname

	// A restart in place: offers are rescinded, checkpointed tasks live on.
	if err := c.m.RestartAgent(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.settle()
	if got := n.updates(); len(got) != 1 || brief(got[0]) != `t2 TASK_LOST REASON_AGENT_DISCONNECTED SOURCE_MASTER "Agent `+host+` disconnected"` {
		t.Fatalf("not checkpointed: %v", briefs(got))
	}
	if got := s.updates(); len(got) != 0 {
		t.Fatalf("checkpointed: %v", briefs(got))
	}
	c.pass(3 * time.Second)
	if a := c.m.Agents()[0]; a.State != "registered" {
		t.Fatalf("after its restart: %+v", a)
	}
	if st := s.reconcile(about("t1", "")); st[0].GetState() != mesos.TASK_RUNNING {
		t.Fatalf("got %v", briefs(st))
	}

	// A partition, and its end.
	s.revive()
	c.pass(2 * time.Second)
	s.take()
	bystander.take()
	if err := c.m.PartitionAgent(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.pass(75*time.Second - 1)
	for _, e := range s.take() {
		if e.Type != scheduler.Event_HEARTBEAT {
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

	// The whole machine dies and comes back empty.
	if err := c.m.CrashHost(c.now, host); err != nil {
		t.Fatal(err)
	}
	c.pass(75 * time.Second)
	s.take()
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
	if r := s.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r != (Response{400, "Framework cannot be found"}) {
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
	if r := b.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r != (Response{403, "Framework is not subscribed"}) {
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
