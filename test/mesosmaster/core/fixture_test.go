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
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// cluster is a master under test, with a time of its own and an inbox for each
// stream.
type cluster struct {
	t     testing.TB
	m     *Master
	now   time.Time
	inbox map[string][]*scheduler.Event
	told  map[string][]*OperatorEvent
	ended map[string]string // how a stream ended: "end" or "abort"
	seq   int
}

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newCluster(t testing.TB, cfg Config, agents ...AgentConfig) *cluster {
	t.Helper()
	c := &cluster{t: t, m: New(cfg, t0), now: t0, inbox: map[string][]*scheduler.Event{}, told: map[string][]*OperatorEvent{}, ended: map[string]string{}}
	for _, a := range agents {
		if _, err := c.m.AddAgent(c.now, a); err != nil {
			t.Fatal(err)
		}
	}
	c.settle()
	return c
}

// node is an agent like those of the recordings.
func node(i int) AgentConfig {
	return AgentConfig{
		Hostname: fmt.Sprintf("node-%d", i), Resources: "cpus:16;mem:32768;disk:100000;ports:[31000-32000]",
		Attributes: map[string]string{"rack": fmt.Sprintf("r%d", i), "zone": fmt.Sprintf("z%d", i)},
	}
}

func (c *cluster) settle() {
	c.t.Helper()
	c.m.Advance(c.now)
	for _, o := range c.m.Drain() {
		if o.Event != nil {
			c.inbox[o.Stream] = append(c.inbox[o.Stream], o.Event)
		}
		if o.Operator != nil {
			c.told[o.Stream] = append(c.told[o.Stream], o.Operator)
		}
		if o.Close {
			c.ended[o.Stream] = "end"
			if o.Abort {
				c.ended[o.Stream] = "abort"
			}
		}
	}
	if err := c.m.CheckInvariants(); err != nil {
		c.t.Fatal(err)
	}
}

// pass lets time pass, checking the books at every moment something happens.
func (c *cluster) pass(d time.Duration) {
	c.t.Helper()
	end := c.now.Add(d)
	for {
		at, ok := c.m.Next()
		if !ok || at.After(end) {
			break
		}
		c.now = at
		c.settle()
	}
	c.now = end
	c.settle()
}

// sched is one framework instance.
type sched struct {
	*cluster
	id, stream string
}

var allCaps = []mesos.FrameworkInfo_Capability_Type{
	mesos.FrameworkInfo_Capability_MULTI_ROLE, mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT,
	mesos.FrameworkInfo_Capability_PARTITION_AWARE, mesos.FrameworkInfo_Capability_REGION_AWARE,
}

func info(roles ...string) *mesos.FrameworkInfo {
	return withCaps(&mesos.FrameworkInfo{
		User: "root", Name: "rec", Roles: roles, Checkpoint: ptrTo(true), FailoverTimeout: ptrTo(60.0),
	}, allCaps...)
}

func withCaps(f *mesos.FrameworkInfo, caps ...mesos.FrameworkInfo_Capability_Type) *mesos.FrameworkInfo {
	for _, x := range caps {
		f.Capabilities = append(f.Capabilities, mesos.FrameworkInfo_Capability{Type: x})
	}
	return f
}

func (c *cluster) subscribe(f *mesos.FrameworkInfo, suppressed ...string) *sched {
	c.t.Helper()
	return c.subscribeWith(f, OfferConstraints{}, suppressed...)
}

func (c *cluster) subscribeWith(f *mesos.FrameworkInfo, oc OfferConstraints, suppressed ...string) *sched {
	c.t.Helper()
	c.seq++
	s := &sched{cluster: c, stream: fmt.Sprintf("stream-%d", c.seq)}
	call := &scheduler.Call{
		Type: scheduler.Call_SUBSCRIBE, FrameworkID: f.ID,
		Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: f, SuppressedRoles: suppressed},
	}
	if r := c.m.CheckSubscribe(&Request{Call: call, HasType: true}); r.Status != 0 {
		c.t.Fatalf("SUBSCRIBE: %v", r)
	}
	c.m.Subscribe(c.now, s.stream, call, oc)
	c.settle()
	for _, e := range c.inbox[s.stream] {
		if e.Subscribed != nil {
			s.id = e.Subscribed.FrameworkID.Value
		}
	}
	return s
}

// resubscribe is the same framework on a new stream.
func (s *sched) resubscribe(f *mesos.FrameworkInfo, suppressed ...string) *sched {
	s.t.Helper()
	f.ID = &mesos.FrameworkID{Value: s.id}
	return s.subscribe(f, suppressed...)
}

func (s *sched) call(call *scheduler.Call) Response {
	s.t.Helper()
	return s.callWith(call, OfferConstraints{})
}

func (s *sched) callWith(call *scheduler.Call, oc OfferConstraints) Response {
	s.t.Helper()
	if call.FrameworkID == nil {
		call.FrameworkID = &mesos.FrameworkID{Value: s.id}
	}
	r := s.m.Call(s.now, &Request{Call: call, HasType: true, Stream: s.stream, HasStream: true, Constraints: oc})
	s.settle()
	return r
}

func (s *sched) must(call *scheduler.Call) {
	s.t.Helper()
	if r := s.call(call); r.Status != 202 {
		s.t.Fatalf("%s: %v", call.Type, r)
	}
}

// take empties the inbox.
func (s *sched) take() []*scheduler.Event {
	e := s.inbox[s.stream]
	s.inbox[s.stream] = nil
	return e
}

func (s *sched) offers() (out []mesos.Offer) {
	for _, e := range s.take() {
		if e.Offers != nil {
			out = append(out, e.Offers.Offers...)
		}
	}
	return out
}

func (s *sched) updates() (out []mesos.TaskStatus) {
	for _, e := range s.take() {
		if e.Update != nil {
			out = append(out, e.Update.Status)
		}
	}
	return out
}

// types are the types of the events in the inbox, without heartbeats; it is
// emptied.
func (s *sched) types() (out []string) {
	for _, e := range s.take() {
		if e.Type != scheduler.Event_HEARTBEAT {
			out = append(out, e.Type.String())
		}
	}
	return out
}

// oneOffer is the only offer there must be.
func (s *sched) oneOffer() mesos.Offer {
	s.t.Helper()
	o := s.offers()
	if len(o) != 1 {
		s.t.Fatalf("%d offers, want 1", len(o))
	}
	return o[0]
}

// brief is a status as the recordings' notes show it.
func brief(st mesos.TaskStatus) string {
	out := st.TaskID.Value + " " + st.GetState().String()
	if st.Reason != nil {
		out += " " + st.Reason.String()
	}
	out += " " + st.GetSource().String()
	if st.Message != nil {
		out += fmt.Sprintf(" %q", *st.Message)
	}
	if len(st.UUID) > 0 {
		out += " uuid"
	}
	return out
}

func briefs(list []mesos.TaskStatus) (out []string) {
	for _, st := range list {
		out = append(out, brief(st))
	}
	return out
}

// sleep is a command task with resources in text form, of plain flavour, allocated to role.
func sleep(id string, o *mesos.Offer, resources string) mesos.TaskInfo {
	rs, err := resource.Parse(resources)
	if err != nil {
		panic(err)
	}
	return mesos.TaskInfo{
		Name: id, TaskID: mesos.TaskID{Value: id}, AgentID: o.AgentID,
		Resources: rs.WithAlloc(o.GetAllocationInfo().GetRole()).ToProto(resource.WireForm{Allocation: true, Refined: true}),
		Command:   &mesos.CommandInfo{Value: ptrTo("sleep 1000")},
	}
}

func launch(refuse *float64, ids []mesos.OfferID, tasks ...mesos.TaskInfo) *scheduler.Call {
	a := &scheduler.Call_Accept{OfferIDs: ids}
	if refuse != nil {
		a.Filters = &mesos.Filters{RefuseSeconds: refuse}
	}
	if len(tasks) > 0 {
		a.Operations = []mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks}}}
	}
	return &scheduler.Call{Type: scheduler.Call_ACCEPT, Accept: a}
}

func (s *sched) decline(refuse *float64, ids ...mesos.OfferID) {
	s.t.Helper()
	d := &scheduler.Call_Decline{OfferIDs: ids}
	if refuse != nil {
		d.Filters = &mesos.Filters{RefuseSeconds: refuse}
	}
	s.must(&scheduler.Call{Type: scheduler.Call_DECLINE, Decline: d})
}

func (s *sched) ack(st mesos.TaskStatus) {
	s.t.Helper()
	s.must(&scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE, Acknowledge: &scheduler.Call_Acknowledge{
		AgentID: *st.AgentID, TaskID: st.TaskID, UUID: st.UUID,
	}})
}

// drain acknowledges until nothing is outstanding and returns all statuses.
func (s *sched) drain() (all []mesos.TaskStatus) {
	s.t.Helper()
	for list := s.updates(); len(list) > 0; list = s.updates() {
		for _, st := range list {
			if len(st.UUID) > 0 {
				s.ack(st)
			}
		}
		all = append(all, list...)
	}
	return all
}

func (s *sched) kill(id, agentID string) {
	s.t.Helper()
	k := &scheduler.Call_Kill{TaskID: mesos.TaskID{Value: id}}
	if agentID != "" {
		k.AgentID = &mesos.AgentID{Value: agentID}
	}
	s.must(&scheduler.Call{Type: scheduler.Call_KILL, Kill: k})
}

func (s *sched) reconcile(tasks ...scheduler.Call_Reconcile_Task) []mesos.TaskStatus {
	s.t.Helper()
	s.take()
	s.must(&scheduler.Call{Type: scheduler.Call_RECONCILE, Reconcile: &scheduler.Call_Reconcile{Tasks: tasks}})
	return s.updates()
}

func about(id, agentID string) scheduler.Call_Reconcile_Task {
	r := scheduler.Call_Reconcile_Task{TaskID: mesos.TaskID{Value: id}}
	if agentID != "" {
		r.AgentID = &mesos.AgentID{Value: agentID}
	}
	return r
}

func (s *sched) revive(roles ...string) {
	s.t.Helper()
	s.must(&scheduler.Call{Type: scheduler.Call_REVIVE, Revive: &scheduler.Call_Revive{Roles: roles}})
}

func (s *sched) suppress(roles ...string) {
	s.t.Helper()
	s.must(&scheduler.Call{Type: scheduler.Call_SUPPRESS, Suppress: &scheduler.Call_Suppress{Roles: roles}})
}

// runTask subscribes nothing: it launches one task from an offer and brings it to
// RUNNING, all acknowledged.
func (s *sched) runTask(id string, o mesos.Offer, resources string) {
	s.t.Helper()
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep(id, &o, resources)))
	if got := s.drain(); len(got) != 2 || got[1].GetState() != mesos.TASK_RUNNING {
		s.t.Fatalf("task %s: %v", id, briefs(got))
	}
}

func parse(t testing.TB, text string) resource.Resources {
	t.Helper()
	rs, err := resource.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func ptrTo[T any](v T) *T { return &v }
