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
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Custom executors: charged once, named in offers, compatible or refused.
func TestCustomExecutor(t *testing.T) {
	c := newCluster(t, Config{ExecutorIdleTimeout: time.Minute}, node(1))
	s := c.subscribe(info("batch"))
	o := s.oneOffer()
	executor := func(name string) *mesos.ExecutorInfo {
		return &mesos.ExecutorInfo{
			ExecutorID: mesos.ExecutorID{Value: "x1"}, Name: &name, Command: &mesos.CommandInfo{Value: ptrTo("./exec")},
			Resources: parse(t, "cpus:0.1;mem:32").WithAlloc("batch").ToProto(resource.WireForm{Allocation: true, Refined: true}),
		}
	}
	task := func(id string, o *mesos.Offer, name string) mesos.TaskInfo {
		x := sleep(id, o, "cpus:1;mem:100")
		x.Command, x.Executor = nil, executor(name)
		return x
	}
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, task("t1", &o, "n"), task("t2", &o, "n"), task("t3", &o, "other")))
	got := s.drain()
	if len(got) != 3 || got[0].GetState() != mesos.TASK_ERROR || !strings.HasPrefix(got[0].GetMessage(),
		"ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n------------------------------------------------------------\nExisting ExecutorInfo:\nexecutor_id {\n  value: \"x1\"\n}\nresources {\n  name: \"cpus\"\n  type: SCALAR\n  scalar {\n    value: 0.1\n  }\n") {
		t.Fatalf("got %v", briefs(got))
	}
	if got[1].GetState() != mesos.TASK_RUNNING || got[1].GetExecutorID().Value != "x1" {
		t.Fatalf("a custom executor reports RUNNING at once: %v", got[1])
	}
	c.pass(time.Second)
	o = s.oneOffer()
	if len(o.ExecutorIDs) != 1 || o.ExecutorIDs[0].Value != "x1" || o.Resources[1].Scalar.Value != 13.9 {
		t.Fatalf("offer: %v", o)
	}
	if st := s.reconcile(about("t1", "")); st[0].GetExecutorID().Value != "x1" {
		t.Fatalf("reconciliation: %v", st)
	}
	s.kill("t1", "")
	s.kill("t2", "")
	if got := briefs(s.drain()); len(got) != 2 || got[0] != `t1 TASK_KILLED SOURCE_EXECUTOR "Command terminated with signal Terminated" uuid` {
		t.Fatalf("got %v", got)
	}
	c.pass(59 * time.Second)
	s.take()
	c.pass(2 * time.Second) // the executor ends of idleness
	e := s.take()
	if len(e) < 1 || e[0].Failure.GetExecutorID().GetValue() != "x1" || e[0].Failure.GetStatus() != 0 {
		t.Fatalf("got %v", e)
	}
	if a := c.m.Agents()[0]; strings.Contains(a.Allocated, "0.1") {
		t.Fatalf("allocated %s", a.Allocated)
	}
}

// An executor that exits: FAILURE first, then its tasks.
func TestExecutorExit(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch"))
	o := s.oneOffer()
	x := sleep("t1", &o, "cpus:1;mem:100")
	x.Command, x.Executor = nil, &mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "x1"}, Command: &mesos.CommandInfo{Value: ptrTo("e")}}
	s.must(launch(nil, []mesos.OfferID{o.ID}, x))
	s.drain()
	if err := c.m.ExitExecutor(c.now, "node-1", "x1", 1792); err != nil {
		t.Fatal(err)
	}
	c.settle()
	e := s.take()
	if len(e) != 2 || e[0].Failure.GetStatus() != 1792 || brief(e[1].Update.Status) != `t1 TASK_FAILED REASON_EXECUTOR_TERMINATED SOURCE_AGENT "Executor terminated" uuid` {
		t.Fatalf("got %v", e)
	}
	// SHUTDOWN does the same with status 0.
	s.ack(e[1].Update.Status)
	c.pass(10 * time.Second)
	o = s.oneOffer()
	x.TaskID.Value = "t2"
	s.must(launch(nil, []mesos.OfferID{o.ID}, x))
	s.drain()
	s.must(&scheduler.Call{Type: scheduler.Call_SHUTDOWN, Shutdown: &scheduler.Call_Shutdown{ExecutorID: mesos.ExecutorID{Value: "x1"}, AgentID: o.AgentID}})
	if got := s.types(); !cmp.Equal(got, []string{"FAILURE", "UPDATE"}) {
		t.Fatalf("got %v", got)
	}
}

func TestLaunchGroup(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch"))
	group := func(o *mesos.Offer, fw *mesos.FrameworkID, tasks ...mesos.TaskInfo) *scheduler.Call {
		call := launch(ptrTo(0.0), []mesos.OfferID{o.ID})
		call.Accept.Operations = []mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH_GROUP, LaunchGroup: &mesos.Offer_Operation_LaunchGroup{
			Executor: mesos.ExecutorInfo{
				Type: mesos.ExecutorInfo_DEFAULT, ExecutorID: mesos.ExecutorID{Value: "g"}, FrameworkID: fw,
				Resources: parse(t, "cpus:0.1;mem:32;disk:32").ToProto(resource.WireForm{Refined: true}),
			},
			TaskGroup: mesos.TaskGroupInfo{Tasks: tasks},
		}}}
		return call
	}
	own := &mesos.FrameworkID{Value: s.id}
	o := s.oneOffer()
	s.must(group(&o, nil, sleep("g0", &o, "cpus:1")))
	if got := s.updates(); len(got) != 1 || got[0].GetMessage() != "'ExecutorInfo.framework_id' must be set" || got[0].GetReason() != mesos.REASON_TASK_GROUP_INVALID {
		t.Fatalf("got %v", briefs(got))
	}
	c.pass(time.Second)
	o = s.oneOffer()
	s.must(group(&o, own, sleep("g1", &o, "cpus:0.5;mem:64"), sleep("g2", &o, "cpus:1000;mem:64")))
	got := s.updates()
	if len(got) != 2 || got[0].GetMessage() != got[1].GetMessage() || !strings.HasPrefix(got[0].GetMessage(),
		"Total resources cpus(allocated: batch):1000.6; mem(allocated: batch):160; disk(allocated: batch):32 required by task group and its executor are more than available ") {
		t.Fatalf("got %v", briefs(got))
	}
	c.pass(time.Second)
	o = s.oneOffer()
	s.must(group(&o, own, sleep("g3", &o, "cpus:0.001;mem:1"), sleep("g4", &o, "cpus:0.5;mem:64")))
	var states []string
	for _, st := range s.drain() {
		states = append(states, st.TaskID.Value+st.GetState().String())
	}
	if diff := cmp.Diff([]string{"g3TASK_STARTING", "g4TASK_STARTING", "g3TASK_RUNNING", "g4TASK_RUNNING"}, states); diff != "" {
		t.Error(diff)
	}
	// With an id, both kinds of launch are refused; without their member nothing
	// happens but the loss of the offer.
	c.pass(time.Second)
	o = s.oneOffer()
	call := launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("opid", &o, "cpus:1"))
	call.Accept.Operations[0].ID = &mesos.OperationID{Value: "x"}
	call.Accept.Operations = append(call.Accept.Operations, mesos.Offer_Operation{Type: mesos.Offer_Operation_LAUNCH})
	s.must(call)
	want := []string{"opid TASK_ERROR REASON_TASK_INVALID SOURCE_MASTER \"The `id` field cannot be set on LAUNCH operations\""}
	if diff := cmp.Diff(want, briefs(s.updates())); diff != "" {
		t.Error(diff)
	}
}
