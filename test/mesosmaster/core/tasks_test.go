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
