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

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// anonymous replaces the ids of a cluster by short names.
func (c *cluster) anonymous(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.ReplaceAll(l, c.m.id, "M")
	}
	return out
}

// Every way an ACCEPT can name its offers wrongly, with the recorded texts.
func TestInvalidOffers(t *testing.T) {
	unaware := withCaps(&mesos.FrameworkInfo{User: "root", Name: "unaware", Roles: []string{"ra", "rb"}, Checkpoint: ptrTo(true)},
		mesos.FrameworkInfo_Capability_MULTI_ROLE, mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT)
	for _, tc := range []struct {
		info  *mesos.FrameworkInfo
		state string
	}{{info("ra", "rb"), "TASK_DROPPED"}, {unaware, "TASK_LOST"}} {
		for _, x := range []struct{ name, ids, want string }{
			{"unknown", "O99999", "Offer M-O99999 is no longer valid"},
			{"none", "", "No offers specified"},
			{"duplicate", "O0" + " O0", "Duplicate offer M-O0 in offer list"},
			{"good and bad", "O0 O99999", "Offer M-O99999 is no longer valid"},
			{"bad and good", "O99999 O0", "Offer M-O99999 is no longer valid"},
			{"two agents", "O0 O2", "Aggregated offers must belong to one single agent. Offer M-O2 uses agent M-S0 and agent M-S1"},
			{"two roles", "O0 O1", "Aggregated offers must be allocated to the same role. Offer M-O1 uses role 'rb but another is using role 'ra"},
		} {
			c := newCluster(t, Config{Seed: 1}, node(1), node(2), node(3))
			s := c.subscribe(tc.info)
			offers := s.offers()
			roles := map[string]string{}
			for i, o := range offers {
				roles[o.ID.Value] = o.AllocationInfo.GetRole()
				if i == 0 && o.AgentID.Value != c.m.id+"-S1" {
					t.Fatalf("the seed no longer yields the offers this test is written for: %v", offers)
				}
			}
			var ids []mesos.OfferID
			for _, id := range strings.Fields(x.ids) {
				ids = append(ids, mesos.OfferID{Value: c.m.id + "-" + id})
			}
			call := launch(ptrTo(3600.0), ids, sleep("x-0", &offers[0], "cpus:0.5;mem:64"), sleep("x-1", &offers[0], "cpus:0.5;mem:64"))
			call.Accept.Operations = append(call.Accept.Operations, mesos.Offer_Operation{
				Type: mesos.Offer_Operation_RESERVE, ID: &mesos.OperationID{Value: "op-1"}, Reserve: &mesos.Offer_Operation_Reserve{},
			})
			s.must(call)
			got := s.take()
			want := `"Task launched with invalid offers: ` + x.want + `"`
			for i, id := range []string{"x-0", "x-1"} {
				line := id + " " + tc.state + " REASON_INVALID_OFFERS SOURCE_MASTER " + want
				if diff := cmp.Diff([]string{line}, c.anonymous([]string{brief(got[i].Update.Status)})); diff != "" {
					t.Errorf("%s: %s", x.name, diff)
				}
			}
			op := got[2].GetUpdateOperationStatus().GetStatus()
			if op.State != mesos.OPERATION_ERROR || op.UUID != nil || op.AgentID != nil || !strings.HasSuffix(op.GetMessage(), strings.ReplaceAll(x.want, "M-", c.m.id+"-")) {
				t.Errorf("%s: operation %v", x.name, op)
			}
			// Valid offers named are consumed, come back at the next tick whatever the
			// filter says, and nobody is told.
			c.pass(time.Second)
			back := 0
			for _, id := range strings.Fields(x.ids) {
				if id != "O99999" {
					back++
				}
			}
			if x.name == "duplicate" {
				back = 1
			}
			if n := len(s.offers()); n != back {
				t.Errorf("%s: %d offers back, want %d", x.name, n, back)
			}
		}
	}
}

// Naming another framework's offer destroys it without a word to its owner.
func TestForeignOffer(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	a := c.subscribe(info("ra"))
	o := a.oneOffer()
	b := c.subscribe(info("rb"))
	b.take()
	b.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("foreign", &o, "cpus:1;mem:32")))
	want := []string{`foreign TASK_DROPPED REASON_INVALID_OFFERS SOURCE_MASTER "Task launched with invalid offers: Offer M-O0 has invalid framework M-0000 while framework M-0001 is expected"`}
	if diff := cmp.Diff(want, c.anonymous(briefs(b.updates()))); diff != "" {
		t.Error(diff)
	}
	if got := a.types(); len(got) != 0 {
		t.Errorf("the owner was told: %v", got)
	}
	a.must(launch(nil, []mesos.OfferID{o.ID}, sleep("later", &o, "cpus:1;mem:32")))
	if got := a.updates(); len(got) != 1 || got[0].GetReason() != mesos.REASON_INVALID_OFFERS {
		t.Errorf("got %v", briefs(got))
	}
}

// What a master says to bad tasks; the good task beside each of them runs.
func TestTaskErrors(t *testing.T) {
	big := "cpus:1000;mem:64"
	with := func(f func(*mesos.TaskInfo)) func(*cluster, *mesos.Offer) mesos.TaskInfo {
		return func(_ *cluster, o *mesos.Offer) mesos.TaskInfo {
			x := sleep("bad", o, "cpus:0.5;mem:64")
			f(&x)
			return x
		}
	}
	res := func(text string) func(*cluster, *mesos.Offer) mesos.TaskInfo {
		return func(_ *cluster, o *mesos.Offer) mesos.TaskInfo { return sleep("bad", o, text) }
	}
	id := func(s string) func(*cluster, *mesos.Offer) mesos.TaskInfo {
		return with(func(x *mesos.TaskInfo) { x.TaskID.Value = s })
	}
	exec := func(e mesos.ExecutorInfo) func(*cluster, *mesos.Offer) mesos.TaskInfo {
		return with(func(x *mesos.TaskInfo) {
			x.Command = nil
			for i := range e.Resources {
				e.Resources[i].AllocationInfo = &mesos.Resource_AllocationInfo{Role: ptrTo("batch")}
			}
			x.Executor = &e
		})
	}
	cmd := &mesos.CommandInfo{Value: ptrTo("sleep 1000")}
	const avail = "more than available ports(allocated: batch):[31000-32000]; cpus(allocated: batch){REV}:4; cpus(allocated: batch):16; mem(allocated: batch):32768; disk(allocated: batch):100000"
	for _, tc := range []struct {
		name string
		task func(*cluster, *mesos.Offer) mesos.TaskInfo
		want string // "" for a task that runs
	}{
		{"larger than the offer", res(big), "Total resources cpus(allocated: batch):1000; mem(allocated: batch):64 required by task and its executor is " + avail},
		{"unknown resource", res("cpus:0.1;foo:1"), "Total resources cpus(allocated: batch):0.1; foo(allocated: batch):1 required by task and its executor is " + avail},
		{"port not offered", res("cpus:0.1;ports:[100-100]"), "Total resources ports(allocated: batch):[100-100]; cpus(allocated: batch):0.1 required by task and its executor is " + avail},
		{"reserved, not offered", res("cpus(batch):0.1"), "Total resources cpus(allocated: batch)(reservations: [(STATIC,batch)]):0.1 required by task and its executor is " + avail},
		{"revocable memory", res("mem{REV}:32"), "Total resources mem(allocated: batch){REV}:32 required by task and its executor is " + avail},
		{"no resources", with(func(x *mesos.TaskInfo) { x.Resources = nil }), "Task uses no resources"},
		{"zero cpus only", with(func(x *mesos.TaskInfo) { x.Resources = x.Resources[:1]; x.Resources[0].Scalar.Value = 0 }), ""},
		{"tiny", res("cpus:0.001;mem:1"), ""},
		{"entries summed", with(func(x *mesos.TaskInfo) { x.Resources = append(x.Resources, x.Resources[0]) }), ""},
		{"revocable cpus, regular memory", res("cpus{REV}:0.1;mem:32"), ""},
		{"revocable and regular cpus", res("cpus{REV}:0.1;cpus:0.1;mem:32"), "Task mixes revocable and non-revocable resources: Cannot use both revocable and non-revocable 'cpus' at the same time"},
		{"half a gpu", res("cpus:0.1;gpus:0.5"), "Task uses invalid resources: Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer"},
		{"slash", id("ns/pod"), "'ns/pod' contains invalid characters"},
		{"empty id", id(""), "ID must not be empty"},
		{"dot", id("."), "'.' is disallowed"},
		{"long id", id(strings.Repeat("x", 256)), "ID must not be greater than 255 characters"},
		{"255 characters", id(strings.Repeat("y", 255)), ""},
		{"space and UTF-8", id("ns pod é"), ""},
		{"duplicate of a live task", id("live"), "Task has duplicate ID: live"},
		{"unknown agent", with(func(x *mesos.TaskInfo) { x.AgentID.Value = "nope" }), "Task uses invalid agent nope while agent M-S0 is expected"},
		{"no allocation info", with(func(x *mesos.TaskInfo) { x.Resources[0].AllocationInfo = nil; x.Resources[1].AllocationInfo = nil }), ""},
		{"other role", with(func(x *mesos.TaskInfo) {
			x.Resources[0].AllocationInfo, x.Resources[1].AllocationInfo = &mesos.Resource_AllocationInfo{Role: ptrTo("other")}, &mesos.Resource_AllocationInfo{Role: ptrTo("other")}
		}), "Total resources cpus(allocated: other):0.5; mem(allocated: other):64 required by task and its executor is " + avail},
		{"mixed roles", with(func(x *mesos.TaskInfo) {
			x.Resources[1].AllocationInfo = &mesos.Resource_AllocationInfo{Role: ptrTo("other")}
		}), "Invalid task resources: The resources have multiple allocation roles ('other' and 'batch') but only one allocation role is allowed"},
		{"command and executor", with(func(x *mesos.TaskInfo) {
			x.Executor = &mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}, Command: cmd}
		}), "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
		{"neither", with(func(x *mesos.TaskInfo) { x.Command = nil }), "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
		{"executor without command", exec(mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}}), "'ExecutorInfo.command' must be set for 'CUSTOM' executor"},
		{"default executor", exec(mesos.ExecutorInfo{Type: mesos.ExecutorInfo_DEFAULT, ExecutorID: mesos.ExecutorID{Value: "e"}}), "'ExecutorInfo.type' must be 'CUSTOM'"},
		{"executor id", exec(mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "a/b"}, Command: cmd}), "'a/b' contains invalid characters"},
		{"executor of another framework", exec(mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}, Command: cmd, FrameworkID: &mesos.FrameworkID{Value: "other"}}), "ExecutorInfo has an invalid FrameworkID (Actual: other vs Expected: M-0000)"},
		{"executor too large", exec(mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}, Command: cmd, Resources: parse(t, "cpus:100").ToProto(resource.WireForm{Refined: true})}), "Total resources cpus(allocated: batch):100.5; mem(allocated: batch):64 required by task and its executor is " + avail},
		{"executor mixes revocable", exec(mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}, Command: cmd, Resources: parse(t, "cpus{REV}:0.1").ToProto(resource.WireForm{Refined: true})}), "Task and its executor mix revocable and non-revocable resources: Cannot use both revocable and non-revocable 'cpus' at the same time"},
		{"kill policy", with(func(x *mesos.TaskInfo) {
			x.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: -1}}
		}), "Task's 'kill_policy.grace_period' must be non-negative"},
		{"limits", with(func(x *mesos.TaskInfo) { x.Limits = map[string]mesos.Value_Scalar{"cpus": {Value: 0.1}} }), "The cpu limit must be greater than or equal to the cpu request"},
		{"health check", with(func(x *mesos.TaskInfo) { x.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_HTTP} }), "Task uses invalid health check: Expecting 'http' to be set for HTTP health check"},
		{"empty name", with(func(x *mesos.TaskInfo) { x.Name = "" }), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			agent := node(1)
			agent.Resources += ";cpus{REV}:4"
			c := newCluster(t, Config{}, agent)
			s := c.subscribe(withCaps(info("batch"), mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES))
			o := s.oneOffer()
			if strings.Contains(tc.name, "live") {
				s.runTask("live", o, "cpus:1;mem:1")
				c.pass(time.Second)
				o = s.oneOffer()
			}
			bad := tc.task(c, &o)
			s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, bad, sleep("good", &o, "cpus:0.1;mem:32")))
			first := map[string]mesos.TaskStatus{}
			for _, st := range s.drain() {
				if _, seen := first[st.TaskID.Value]; !seen {
					first[st.TaskID.Value] = st
				}
			}
			if good := first["good"]; good.GetState() != mesos.TASK_STARTING {
				t.Errorf("the good task: %s", brief(good))
			}
			got := first[bad.TaskID.Value]
			if tc.want == "" {
				if got.GetState() != mesos.TASK_STARTING && got.GetState() != mesos.TASK_RUNNING {
					t.Errorf("want it to run, got %s", brief(got))
				}
				return
			}
			if got.GetState() != mesos.TASK_ERROR || got.GetReason() != mesos.REASON_TASK_INVALID || got.GetSource() != mesos.SOURCE_MASTER || got.UUID != nil {
				t.Errorf("got %s", brief(got))
			}
			if diff := cmp.Diff([]string{tc.want}, c.anonymous([]string{got.GetMessage()})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Malformed resources fail every task of the operation.
func TestMalformedResourcesFailAll(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch"))
	o := s.oneOffer()
	bad := sleep("neg", &o, "cpus:1;mem:64")
	bad.Resources[0].Scalar.Value = -1
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("good", &o, "cpus:0.1;mem:32"), bad))
	text := `TASK_ERROR REASON_TASK_INVALID SOURCE_MASTER "Resource 'cpus(allocated: batch):-1' is invalid: Invalid scalar resource: value <= 0"`
	if diff := cmp.Diff([]string{"good " + text, "neg " + text}, briefs(s.updates())); diff != "" {
		t.Error(diff)
	}
}

func TestTasksAreServedInOrder(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch"))
	o := s.oneOffer()
	s.must(launch(ptrTo(3600.0), []mesos.OfferID{o.ID},
		sleep("sum1", &o, "cpus:5;mem:64"), sleep("sum2", &o, "cpus:15;mem:64"), sleep("sum3", &o, "cpus:0.5;mem:64"),
		sleep("p1", &o, "cpus:0.1;ports:[31000-31000]"), sleep("p2", &o, "cpus:0.1;ports:[31000-31000]"),
		sleep("dd", &o, "cpus:0.1"), sleep("dd", &o, "cpus:0.1"), sleep("limok", &o, "cpus:0.1")))
	errs := map[string]string{}
	started := map[string]bool{}
	for _, st := range s.drain() {
		if st.GetState() == mesos.TASK_ERROR {
			errs[st.TaskID.Value] = st.GetMessage()
		} else {
			started[st.TaskID.Value] = true
		}
	}
	if len(errs) != 3 || !strings.Contains(errs["sum2"], "cpus(allocated: batch):11;") || !strings.Contains(errs["p2"], "ports(allocated: batch):[31001-32000]") ||
		errs["dd"] != "Task has duplicate ID: dd" || !started["dd"] || !started["sum3"] {
		t.Errorf("errors %v, started %v", errs, started)
	}
	// What rejected tasks asked for stays under the call's filter.
	c.pass(time.Minute)
	if got := s.offers(); len(got) != 0 {
		t.Errorf("offered: %v", got)
	}
}

func TestAgentRefusals(t *testing.T) {
	c := newCluster(t, Config{AllocationInterval: 100 * time.Millisecond}, node(1))
	s := c.subscribe(info("batch"))
	o := s.oneOffer()
	limited := sleep("limok", &o, "cpus:0.5;mem:64")
	limited.Limits = map[string]mesos.Value_Scalar{"cpus": {Value: 2}}
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, limited))
	want := []string{`limok TASK_DROPPED REASON_GC_ERROR SOURCE_AGENT "CPU limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/cpu' isolator" uuid`}
	if diff := cmp.Diff(want, briefs(s.drain())); diff != "" {
		t.Error(diff)
	}
	// The old command executor lingers for a second after the end of its task:
	// until then the agent refuses the same id.
	c.pass(100 * time.Millisecond)
	s.runTask("a", s.oneOffer(), "cpus:1")
	s.kill("a", "")
	c.settle()
	s.drain()
	c.pass(900 * time.Millisecond)
	o = s.oneOffer()
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("a", &o, "cpus:1")))
	want = []string{`a TASK_DROPPED REASON_TASK_INVALID SOURCE_AGENT "Cannot reuse an already existing executor for a command task" uuid`}
	if diff := cmp.Diff(want, briefs(s.drain())); diff != "" {
		t.Error(diff)
	}
	c.pass(100 * time.Millisecond)
	s.runTask("a", s.oneOffer(), "cpus:1")
}
