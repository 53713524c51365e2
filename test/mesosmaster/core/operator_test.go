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

	"github.com/gogo/protobuf/proto"
	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// operate calls the operator API.
func (c *cluster) operate(call *master.Call) Response {
	c.t.Helper()
	r := c.m.Operate(c.now, call)
	c.settle()
	return r
}

// ask is the JSON body of a call without arguments.
func (c *cluster) ask(t master.Call_Type) string {
	c.t.Helper()
	r := c.operate(&master.Call{Type: t})
	if r.Status != 200 || r.Reply == nil {
		c.t.Fatalf("%s: %+v", t, r)
	}
	b, err := codec.MarshalJSON(r.Reply)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

// watch opens an operator stream and leaves out its first two records.
func (c *cluster) watch(stream string) {
	c.t.Helper()
	c.m.SubscribeOperator(c.now, stream)
	c.settle()
	if got := c.news(stream); cmp.Diff([]string{"SUBSCRIBED", "HEARTBEAT"}, got) != "" {
		c.t.Fatalf("stream begins with %v", got)
	}
}

// news is what an operator was told since the last time, in short.
func (c *cluster) news(stream string) (out []string) {
	for _, e := range c.told[stream] {
		text := e.Type.String()
		var again master.Event // the generated types read what we write
		if b, err := proto.Marshal(e); err != nil || again.Unmarshal(b) != nil || again.Type != e.Type {
			c.t.Errorf("%s: %v, %v", text, err, again.Type)
		}
		switch {
		case e.TaskAdded != nil:
			text += " " + e.TaskAdded.Task.TaskID.Value + " " + e.TaskAdded.Task.GetState().String()
		case e.TaskUpdated != nil:
			text += " " + e.TaskUpdated.Status.TaskID.Value + " " + e.TaskUpdated.GetState().String()
		case e.AgentAdded != nil:
			text += " " + *e.AgentAdded.Agent.AgentInfo.Hostname
		}
		out = append(out, text)
	}
	c.told[stream] = nil
	return out
}

// TestOperatorStream follows the recording 23.
func TestOperatorStream(t *testing.T) {
	c := newCluster(t, Config{AgentPingTimeout: 3 * time.Second}, node(1))
	c.watch("o")
	expect := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, c.news("o")); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	s := c.subscribe(info("a"))
	expect("subscribe", "FRAMEWORK_ADDED")
	s.runTask("t1", s.oneOffer(), "cpus:1;mem:64")
	expect("run", "TASK_ADDED t1 TASK_STAGING", "TASK_UPDATED t1 TASK_STARTING", "TASK_UPDATED t1 TASK_RUNNING")
	s.suppress()
	s.revive()
	expect("suppress and revive")
	changed := info("a")
	changed.ID, changed.Name = &mesos.FrameworkID{Value: s.id}, "renamed"
	for _, want := range [][]string{{"FRAMEWORK_UPDATED"}, nil} {
		s.call(&scheduler.Call{Type: scheduler.Call_UPDATE_FRAMEWORK, UpdateFramework: &scheduler.Call_UpdateFramework{FrameworkInfo: *changed}})
		expect("update", want...)
	}
	if err := c.m.KillAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.pass(4 * time.Second)
	expect("lost", "TASK_UPDATED t1 TASK_UNREACHABLE")
	if err := c.m.ReturnAgent(c.now, "node-1"); err != nil {
		t.Fatal(err)
	}
	c.pass(3 * time.Second)
	expect("back", "TASK_ADDED t1 TASK_RUNNING", "AGENT_ADDED node-1")
	c.m.Disconnect(c.now, s.stream)
	c.settle()
	expect("disconnect")
	s = s.resubscribe(info("a"))
	expect("resubscribe", "FRAMEWORK_UPDATED")
	s.must(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
	expect("teardown", "TASK_UPDATED t1 TASK_KILLED", "FRAMEWORK_REMOVED")
	c.pass(15 * time.Second)
	expect("time", "HEARTBEAT")
	c.m.Disconnect(c.now, "o")
	c.pass(15 * time.Second)
	expect("gone")
}

func TestOperatorStreamsAreBounded(t *testing.T) {
	c := newCluster(t, Config{})
	for i := range maxWatchers + 1 {
		c.m.SubscribeOperator(c.now, string(rune('a'+i)))
	}
	c.settle()
	if len(c.ended) != 1 || c.ended["a"] != "end" {
		t.Errorf("ended are %v, want the oldest only", c.ended)
	}
	c.m.Down(c.now)
	c.settle()
	if len(c.ended) != maxWatchers+1 || c.ended["b"] != "abort" {
		t.Error("the death of the master leaves streams open")
	}
}

// TestOperatorRepliesAtRest compares with the bodies of the recording 23.
func TestOperatorRepliesAtRest(t *testing.T) {
	c := newCluster(t, Config{})
	for call, want := range map[master.Call_Type]string{
		master.Call_GET_TASKS:      `{"type":"GET_TASKS","get_tasks":{"tasks":[],"unreachable_tasks":[],"completed_tasks":[]}}`,
		master.Call_GET_ROLES:      `{"type":"GET_ROLES","get_roles":{}}`,
		master.Call_GET_FRAMEWORKS: `{"type":"GET_FRAMEWORKS","get_frameworks":{"frameworks":[],"completed_frameworks":[]}}`,
		master.Call_GET_EXECUTORS:  `{"type":"GET_EXECUTORS","get_executors":{"executors":[]}}`,
		master.Call_GET_WEIGHTS:    `{"type":"GET_WEIGHTS"}`,
		master.Call_GET_AGENTS:     `{"type":"GET_AGENTS","get_agents":{"agents":[],"recovered_agents":[]}}`,
		master.Call_GET_HEALTH:     `{"type":"GET_HEALTH","get_health":{"healthy":true}}`,
	} {
		if diff := cmp.Diff(want, c.ask(call)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOperatorReplies(t *testing.T) {
	c := newCluster(t, Config{Weights: map[string]float64{"eng": 2}}, node(1))
	s := c.subscribe(info("eng/dev"))
	s.runTask("t1", s.oneOffer(), "cpus:1;mem:64")
	for call, want := range map[master.Call_Type][]string{
		master.Call_GET_TASKS:      {`"state":"TASK_RUNNING"`, `"status_update_state":"TASK_RUNNING"`},
		master.Call_GET_FRAMEWORKS: {`"offer_constraints":{}`, `"failover_timeout":60.0`, `"allocated_resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1.0},"role":"*","allocation_info":{"role":"eng/dev"}}`},
		master.Call_GET_AGENTS:     {`"checkpoint":true`, `"pid":"slave(1)@`, `"active":true,"deactivated":false`, `{"type":"TASK_RESOURCE_LIMITS"}`},
		master.Call_GET_ROLES:      {`{"name":"eng","weight":2.0,"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1.0}}`, `{"name":"eng/dev","weight":1.0,"frameworks":[{"value":"` + s.id},
		master.Call_GET_WEIGHTS:    {`"weight_infos":[{"weight":2.0,"role":"eng"}]`},
		master.Call_GET_FLAGS:      {`{"name":"allocation_interval","value":"1secs"}`, `{"name":"min_allocatable_resources","value":"cpus:0.01|mem:32"}`},
		master.Call_GET_METRICS:    {`{"name":"master/elected","value":1.0}`},
		master.Call_GET_MASTER:     {`"master_info":{"id":"` + c.m.ID()},
		master.Call_GET_STATE:      {`"get_tasks":{`, `"get_executors":{`, `"get_frameworks":{`, `"get_agents":{`},
	} {
		got := c.ask(call)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s lacks %s: %s", call, w, got)
			}
		}
	}
}

// TestOperatorReplyInProtobuf reads what we write with the generated types.
func TestOperatorReplyInProtobuf(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a"))
	s.runTask("t1", s.oneOffer(), "cpus:1;mem:64")
	b, err := proto.Marshal(c.operate(&master.Call{Type: master.Call_GET_STATE}).Reply)
	if err != nil {
		t.Fatal(err)
	}
	var got master.Response
	if err := got.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	state := got.GetGetState()
	if got.Type != master.Response_GET_STATE || len(state.GetTasks.Tasks) != 1 || len(state.GetAgents.Agents) != 1 ||
		state.GetAgents.Agents[0].AgentInfo.Hostname != "node-1" || state.GetFrameworks.Frameworks[0].FrameworkInfo.GetID().Value != s.id {
		t.Errorf("got %v", got)
	}
}
