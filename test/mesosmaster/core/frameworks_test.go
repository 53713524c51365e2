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
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// refusedWith wants an ERROR and the proper end of the stream.
func (s *sched) refusedWith(message string) {
	s.t.Helper()
	e := s.take()
	if len(e) != 1 || e[0].GetError().GetMessage() != message || s.ended[s.stream] != "end" {
		s.t.Errorf("want %q and the end, got %v (%s)", message, e, s.ended[s.stream])
	}
}

func TestRefusedSubscriptions(t *testing.T) {
	c := newCluster(t, Config{Roles: []string{"a", "b", "eng/ads"}}, node(1))
	both := info("a")
	both.Role = ptrTo("b")
	long := info("a")
	long.FailoverTimeout = ptrTo(1e30)
	bare := &mesos.FrameworkInfo{User: "root", Name: "n", Roles: []string{"a"}}
	badID := info("a")
	badID.ID = &mesos.FrameworkID{Value: "a/b"}
	empty := info("a")
	empty.OfferFilters = map[string]mesos.OfferFilters{"a": {MinAllocatableResources: &mesos.OfferFilters_MinAllocatableResources{Quantities: []mesos.OfferFilters_ResourceQuantities{{}}}}}
	negative := info("a")
	negative.OfferFilters = map[string]mesos.OfferFilters{"a": {MinAllocatableResources: &mesos.OfferFilters_MinAllocatableResources{
		Quantities: []mesos.OfferFilters_ResourceQuantities{{Quantities: map[string]mesos.Value_Scalar{"cpus": {Value: -1}}}},
	}}}
	for _, tc := range []struct {
		info *mesos.FrameworkInfo
		want string
	}{
		{info("a", "a"), "'FrameworkInfo.roles' contains duplicate items: { a }"},
		{info("a//b"), "'FrameworkInfo.roles' contains invalid role: Role 'a//b' cannot contain two adjacent slashes"},
		{both, "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"},
		{bare, "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"},
		{long, "The framework failover_timeout (1e+30) is invalid"},
		{badID, "'a/b' contains invalid characters"},
		{info("a", "bad"), "Roles { bad } are not present in the master's --roles"},
		{empty, "Resource quantities must contain at least one quantity"},
		{negative, "Invalid resource quantity for 'cpus': Negative values not supported"},
	} {
		c.subscribe(tc.info).refusedWith(tc.want)
	}
	c.subscribe(info("a"), "b").refusedWith("Suppressed roles { b } are not contained in the set of roles")
	negativeTimeout := info("a")
	negativeTimeout.FailoverTimeout = ptrTo(-1.0)
	if s := c.subscribe(negativeTimeout); s.id == "" {
		t.Error("a negative failover_timeout is accepted")
	}
}

// A takeover that the master does not see as a disconnect.
func TestSeamlessFailover(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	a := c.subscribe(info("batch"))
	offers := a.offers()
	a.must(launch(ptrTo(3600.0), []mesos.OfferID{offers[0].ID}, sleep("t1", &offers[0], "cpus:1;mem:32")))
	unacked := a.updates()[0]
	c.pass(time.Second)
	b := a.resubscribe(info("batch"))
	a.refusedWith("Framework failed over")
	e := b.take()
	if e[0].Type != scheduler.Event_SUBSCRIBED || e[1].Type != scheduler.Event_HEARTBEAT ||
		!slices.Equal(e[2].Update.Status.UUID, unacked.UUID) || len(e) != 3 {
		t.Fatalf("new stream: %v", e)
	}
	if r := a.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r.Status != 400 ||
		r.Body != "The stream ID 'stream-1' included in this request didn't match the stream ID currently associated with framework ID "+b.id {
		t.Fatalf("the old instance is told %v", r)
	}
	// The held offer died without a word; its resources come back, those declined
	// for an hour do not.
	b.must(launch(nil, []mesos.OfferID{offers[1].ID}, sleep("stale", &offers[1], "cpus:1")))
	if got := b.updates(); len(got) != 1 || got[0].GetReason() != mesos.REASON_INVALID_OFFERS {
		t.Fatalf("got %v", briefs(got))
	}
	c.pass(time.Minute)
	if got := hostsOf(b.offers()); !slices.Equal(got, []string{offers[1].Hostname}) {
		t.Fatalf("offered %v, want only the agent that was held", got)
	}
}

func TestDisconnectAndReturn(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	a := c.subscribe(info("batch"))
	offers := a.offers()
	a.runTask("t1", offers[0], "cpus:1;mem:32")
	a.decline(ptrTo(3600.0), offers[1].ID)
	c.pass(10 * time.Second)
	c.m.Disconnect(c.now, a.stream)
	c.settle()
	if f := c.m.Frameworks()[0]; f.Connected || f.Active || f.Offers != 0 || f.Filters != 0 || f.Tasks != 1 {
		t.Fatalf("disconnected: %+v", f)
	}
	if r := a.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r != (Response{Status: 403, Body: "Framework is not subscribed"}) {
		t.Fatalf("got %v", r)
	}
	c.pass(59 * time.Second)
	b := a.resubscribe(info("batch"))
	if got := hostsOf(b.offers()); len(got) != 2 {
		t.Fatalf("filters do not survive a disconnect, offered %v", got)
	}
	if st := b.reconcile(); len(st) != 1 || st[0].GetState() != mesos.TASK_RUNNING {
		t.Fatalf("got %v", briefs(st))
	}
	// The timer of the first disconnect must not fire now.
	c.pass(time.Minute)
	if len(c.m.Frameworks()) != 1 {
		t.Fatal("removed although it came back")
	}
	c.m.Disconnect(c.now, b.stream)
	c.pass(61 * time.Second)
	if len(c.m.Frameworks()) != 0 || c.m.Agents()[0].Tasks+c.m.Agents()[1].Tasks != 0 {
		t.Fatal("failover_timeout over: framework and tasks must be gone")
	}
	b.resubscribe(info("batch")).refusedWith("Framework has been removed")
	if r := b.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r != (Response{Status: 400, Body: "Framework cannot be found"}) {
		t.Fatalf("got %v", r)
	}
	// Without a timeout a framework is removed at once.
	now := info("batch")
	now.FailoverTimeout = nil
	d := c.subscribe(now)
	c.m.Disconnect(c.now, d.stream)
	c.settle()
	if len(c.m.Frameworks()) != 0 {
		t.Fatal("failover_timeout 0: must be removed at once")
	}
}

func TestInventedID(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	f := info("batch")
	f.ID = &mesos.FrameworkID{Value: "my-own-id"}
	s := c.subscribe(f)
	if s.id != "my-own-id" || len(s.offers()) != 1 {
		t.Fatalf("id %q", s.id)
	}
	// user and checkpoint of a resubscription are ignored, roles are not; a changed
	// principal is refused and the old instance runs on.
	changed := info("other")
	changed.User, changed.Checkpoint = "nobody", nil
	b := s.resubscribe(changed)
	got := s.take()
	if len(got) != 2 || got[0].Type != scheduler.Event_RESCIND || got[1].Type != scheduler.Event_ERROR {
		t.Fatalf("old stream: %v", got)
	}
	kept := c.m.frameworks["my-own-id"].info
	if kept.User != "root" || !kept.GetCheckpoint() || kept.Roles[0] != "other" {
		t.Fatalf("info %v", kept)
	}
	other := info("other")
	other.Principal = ptrTo("p")
	b.resubscribe(other).refusedWith("Changing framework's principal is not allowed.")
	if r := b.call(&scheduler.Call{Type: scheduler.Call_REVIVE}); r.Status != 202 {
		t.Fatalf("the old instance: %v", r)
	}
}

func TestTeardown(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("batch"))
	s.runTask("t1", s.oneOffer(), "cpus:1;mem:32")
	s.take()
	s.must(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
	if got := s.take(); len(got) != 0 || s.ended[s.stream] != "end" {
		t.Fatalf("the stream just ends: %v", got)
	}
	c.pass(time.Hour)
	if c.m.Agents()[0].Tasks != 0 {
		t.Fatal("tasks must be dead")
	}
	s.resubscribe(info("batch")).refusedWith("Framework has been removed")
	for range maxCompletedFrameworks {
		c.subscribe(info("batch")).must(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
	}
	if again := s.resubscribe(info("batch")); again.id != s.id {
		t.Fatal("the completed cache is bounded: an old id comes back to life")
	}
}

func TestUpdateFramework(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	s := c.subscribe(info("a", "b"))
	offers := s.offers()
	if offers[0].AllocationInfo.GetRole() != "a" || offers[1].AllocationInfo.GetRole() != "b" {
		t.Fatalf("offers %v", offers)
	}
	update := func(f *mesos.FrameworkInfo, suppressed ...string) Response {
		f.ID = &mesos.FrameworkID{Value: s.id}
		return s.call(&scheduler.Call{Type: scheduler.Call_UPDATE_FRAMEWORK, UpdateFramework: &scheduler.Call_UpdateFramework{FrameworkInfo: *f, SuppressedRoles: suppressed}})
	}
	if r := update(info("a", "c")); r != (Response{Status: 200}) {
		t.Fatalf("got %v", r)
	}
	if got := s.types(); !slices.Equal(got, []string{"RESCIND"}) {
		t.Fatalf("the offer of a role that is gone is rescinded at once, and nothing else: %v", got)
	}
	c.pass(time.Second)
	if o := s.oneOffer(); o.AllocationInfo.GetRole() != "c" {
		t.Fatalf("role %s", o.AllocationInfo.GetRole())
	}
	user, check, principal := info("a"), info("a"), info("a")
	user.User, check.Checkpoint, principal.Principal = "nobody", ptrTo(false), ptrTo("p")
	old := withCaps(&mesos.FrameworkInfo{User: "root", Name: "rec", Checkpoint: ptrTo(true), Roles: []string{"a"}})
	for _, tc := range []struct {
		info       *mesos.FrameworkInfo
		suppressed []string
		want       string
	}{
		{info("a"), []string{"zzz"}, "'UpdateFramework' call is not valid: Suppressed roles { zzz } are not contained in the set of roles"},
		{user, nil, "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'root' to 'nobody'"},
		{check, nil, "FrameworkInfo update is not valid: Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from 'true' to 'false'"},
		{principal, nil, "FrameworkInfo update is not valid: Changing framework's principal is not allowed."},
		{old, nil, "Supplied FrameworkInfo is not valid: 'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"},
		{info("a//b"), nil, "Supplied FrameworkInfo is not valid: 'FrameworkInfo.roles' contains invalid role: Role 'a//b' cannot contain two adjacent slashes"},
	} {
		if diff := cmp.Diff(Response{Status: 400, Body: tc.want}, update(tc.info, tc.suppressed...)); diff != "" {
			t.Error(diff)
		}
	}
	wrong := info("a")
	wrong.ID = &mesos.FrameworkID{Value: "x"}
	if r := s.call(&scheduler.Call{Type: scheduler.Call_UPDATE_FRAMEWORK, UpdateFramework: &scheduler.Call_UpdateFramework{FrameworkInfo: *wrong}}); r.Body != "Failed to validate scheduler::Call: 'framework_id' differs from 'update_framework.framework_info.id'" {
		t.Errorf("got %v", r)
	}
	// A change of suppression alone tells no agent; a changed name makes agents
	// repeat what is not acknowledged.
	offers = offers[:1]
	s.must(launch(ptrTo(3600.0), []mesos.OfferID{offers[0].ID}, sleep("t1", &offers[0], "cpus:1")))
	s.take()
	update(info("a", "c"), "a", "c")
	if got := s.updates(); len(got) != 0 {
		t.Fatalf("got %v", briefs(got))
	}
	renamed := info("a", "c")
	renamed.Name = "other"
	update(renamed, "a", "c")
	if got := s.updates(); len(got) != 1 || got[0].GetState() != mesos.TASK_STARTING {
		t.Fatalf("got %v", briefs(got))
	}
	// Un-suppressing clears the decline filters of the role, and offers come at the
	// tick, not at once.
	update(renamed, "c")
	if got := s.offers(); len(got) != 0 {
		t.Fatal("UPDATE_FRAMEWORK must not allocate at once")
	}
	c.pass(time.Second)
	if got := s.offers(); len(got) != 1 || got[0].AllocationInfo.GetRole() != "a" {
		t.Fatalf("got %v", got)
	}
}

func TestHeartbeats(t *testing.T) {
	c := newCluster(t, Config{})
	s := c.subscribe(info("a"))
	count := func() (n int) {
		for _, e := range s.take() {
			if e.Type == scheduler.Event_HEARTBEAT {
				n++
			}
		}
		return n
	}
	if count() != 1 {
		t.Fatal("the first comes at once")
	}
	c.pass(15*time.Second - 1)
	if count() != 0 {
		t.Fatal("too early")
	}
	c.pass(1)
	c.pass(45 * time.Second)
	if n := count(); n != 4 {
		t.Fatalf("%d in a minute", n)
	}
	c.m.HoldHeartbeats(true)
	c.pass(time.Minute)
	if count() != 0 {
		t.Fatal("held")
	}
	c.m.HoldHeartbeats(false)
	b := s.resubscribe(info("a"))
	s.take()
	c.pass(time.Minute)
	if count() != 0 {
		t.Fatal("an ended stream must be silent")
	}
	s = b
	if n := count(); n != 5 {
		t.Fatalf("%d on the new stream", n)
	}
}

func TestCallChecks(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a"))
	fw := &mesos.FrameworkID{Value: s.id}
	good := []byte{0x56, 0x5a, 0x6e, 0x03, 0x90, 0xb1, 0x4f, 0x87, 0x94, 0xbb, 0xf5, 0x16, 0xf4, 0x44, 0x0c, 0xd7}
	ack := func(uuid []byte) *scheduler.Call_Acknowledge {
		return &scheduler.Call_Acknowledge{AgentID: mesos.AgentID{Value: "x"}, TaskID: mesos.TaskID{Value: "t"}, UUID: uuid}
	}
	call := func(k scheduler.Call_Type) *scheduler.Call { return &scheduler.Call{Type: k, FrameworkID: fw} }
	acked := func(uuid []byte) *scheduler.Call {
		x := call(scheduler.Call_ACKNOWLEDGE)
		x.Acknowledge = ack(uuid)
		return x
	}
	for _, tc := range []struct {
		req  Request
		want Response
	}{
		{Request{Call: call(scheduler.Call_REVIVE)}, Response{Status: 400, Body: "Failed to validate scheduler::Call: Expecting 'type' to be present"}},
		{Request{HasType: true, Call: &scheduler.Call{Type: scheduler.Call_REVIVE}}, Response{Status: 400, Body: "Failed to validate scheduler::Call: Expecting 'framework_id' to be present"}},
		{Request{HasType: true, Call: &scheduler.Call{Type: scheduler.Call_REVIVE, FrameworkID: &mesos.FrameworkID{Value: "nope"}}}, Response{Status: 400, Body: "Framework cannot be found"}},
		{Request{HasType: true, Call: &scheduler.Call{Type: scheduler.Call_UNKNOWN, FrameworkID: &mesos.FrameworkID{Value: "nope"}}}, Response{Status: 400, Body: "Framework cannot be found"}},
		{Request{HasType: true, Call: call(scheduler.Call_REVIVE)}, Response{Status: 400, Body: "All non-subscribe calls should include the 'Mesos-Stream-Id' header"}},
		{Request{HasType: true, Call: call(scheduler.Call_REVIVE), HasStream: true}, Response{Status: 400, Body: "The stream ID '' included in this request didn't match the stream ID currently associated with framework ID " + s.id}},
		{Request{HasType: true, Call: acked([]byte("abcd"))}, Response{Status: 400, Body: "Failed to validate scheduler::Call: Not a valid UUID"}},
		{Request{HasType: true, Call: acked(make([]byte, 16))}, Response{Status: 400, Body: "Failed to validate scheduler::Call: Not a valid UUID"}},
		{Request{HasType: true, Call: acked(good), HasStream: true, Stream: s.stream}, Response{Status: 202}},
		{Request{HasType: true, Call: &scheduler.Call{Type: scheduler.Call_RECONCILE_OPERATIONS, FrameworkID: fw, ReconcileOperations: &scheduler.Call_ReconcileOperations{}}, AcceptsNothing: true}, notAcceptable},
	} {
		if diff := cmp.Diff(tc.want, c.m.Call(c.now, &tc.req)); diff != "" {
			t.Errorf("%v: %s", tc.req.Call, diff)
		}
	}
	for k, need := range members {
		if k == scheduler.Call_SUBSCRIBE {
			continue
		}
		want := Response{Status: 400, Body: "Failed to validate scheduler::Call: Expecting '" + need.name + "' to be present"}
		if got := s.call(call(k)); got != want {
			t.Errorf("%s: got %v", k, got)
		}
	}
	differs := info("a")
	differs.ID = fw
	for _, r := range []Request{
		{HasType: true, Call: &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: differs}}},
		{HasType: true, Call: &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, FrameworkID: fw, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: info("a")}}},
	} {
		if got := c.m.CheckSubscribe(&r); got.Body != "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'" {
			t.Errorf("got %v", got)
		}
	}
	if got := c.m.CheckSubscribe(&Request{HasType: true, HasStream: true, Call: &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: info("a")}}}); got.Body != "Subscribe calls should not include the 'Mesos-Stream-Id' header" {
		t.Errorf("got %v", got)
	}
	// The call that kills a real master.
	c.m.Call(c.now, &Request{HasType: true, Call: call(scheduler.Call_UNKNOWN), HasStream: true, Stream: s.stream})
	if c.m.Crashed != "Check failed: call_types.contains(callType)" {
		t.Errorf("crashed: %q", c.m.Crashed)
	}
}
