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
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
)

// encodeConstraints writes what DecodeConstraints reads, one occurrence of
// Call.subscribe per role.
func encodeConstraints(c OfferConstraints) (out []byte) {
	sub := func(dst []byte, n protowire.Number, inner []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), inner)
	}
	for _, role := range sortedKeys(c.RoleConstraints) {
		var groups []byte
		for _, g := range c.RoleConstraints[role].Groups {
			var list []byte
			for _, ac := range g.AttributeConstraints {
				var sel []byte
				if ac.Selector.AttributeName != nil {
					sel = sub(nil, 2, []byte(*ac.Selector.AttributeName))
				} else {
					code := map[string]uint64{"UNKNOWN": 0, "HOSTNAME": 1, "REGION": 2, "ZONE": 3}[*ac.Selector.PseudoAttribute]
					sel = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), code)
				}
				p := ac.Predicate
				var pred []byte
				switch {
				case p.Exists != nil:
					pred = sub(nil, 1, nil)
				case p.NotExists != nil:
					pred = sub(nil, 2, nil)
				case p.TextEquals != nil:
					pred = sub(nil, 3, sub(nil, 1, []byte(p.TextEquals.Value)))
				case p.TextNotEquals != nil:
					pred = sub(nil, 4, sub(nil, 1, []byte(p.TextNotEquals.Value)))
				case p.TextMatches != nil:
					pred = sub(nil, 5, sub(nil, 1, []byte(p.TextMatches.Regex)))
				default:
					pred = sub(nil, 6, sub(nil, 1, []byte(p.TextNotMatches.Regex)))
				}
				list = sub(list, 1, sub(sub(nil, 1, sel), 2, pred))
			}
			groups = sub(groups, 1, list)
		}
		entry := sub(sub(nil, 1, []byte(role)), 2, groups)
		out = sub(out, callSubscribe, sub(nil, offerConstraints, sub(nil, 1, entry)))
	}
	return out
}

func everyPredicate() OfferConstraints {
	one := func(s ConstraintSelector, p ConstraintPredicate) ConstraintGroup {
		return ConstraintGroup{AttributeConstraints: []AttributeConstraint{{Selector: &s, Predicate: &p}}}
	}
	rack := ConstraintSelector{AttributeName: ptrTo("rack")}
	return OfferConstraints{RoleConstraints: map[string]RoleConstraints{
		"a": {Groups: []ConstraintGroup{
			one(rack, ConstraintPredicate{Exists: &ConstraintEmpty{}}), one(rack, ConstraintPredicate{NotExists: &ConstraintEmpty{}}),
			one(ConstraintSelector{PseudoAttribute: ptrTo("HOSTNAME")}, ConstraintPredicate{TextEquals: &ConstraintText{Value: "x"}}),
			one(ConstraintSelector{PseudoAttribute: ptrTo("REGION")}, ConstraintPredicate{TextNotEquals: &ConstraintText{Value: ""}}),
		}},
		"b": {Groups: []ConstraintGroup{
			one(ConstraintSelector{PseudoAttribute: ptrTo("ZONE")}, ConstraintPredicate{TextMatches: &ConstraintRegex{Regex: "a.*"}}),
			one(rack, ConstraintPredicate{TextNotMatches: &ConstraintRegex{Regex: "b"}}),
		}},
	}}
}

func TestDecodeConstraints(t *testing.T) {
	want := everyPredicate()
	got, err := DecodeConstraints(encodeConstraints(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(AttributeConstraint{})); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate([]string{"a", "b"}); err != nil {
		t.Error(err)
	}
	full := encodeConstraints(want)
	for n := range len(full) {
		_, _ = DecodeConstraints(full[:n]) // must not panic
	}
	noPredicate := []byte{callSubscribe<<3 | 2, 14, 3<<3 | 2, 12, 1<<3 | 2, 10, 1<<3 | 2, 0, 2<<3 | 2, 6, 1<<3 | 2, 4, 1<<3 | 2, 2, 1<<3 | 2, 0}
	if _, err := DecodeConstraints(noPredicate); err == nil {
		t.Error("a constraint without predicate must be refused")
	}
}

func FuzzDecodeConstraints(f *testing.F) {
	f.Add(encodeConstraints(everyPredicate()))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeConstraints(b)
		if err != nil || c.Validate(sortedKeys(c.RoleConstraints)) != nil {
			return
		}
		// What is valid can be evaluated, and written back.
		for _, role := range sortedKeys(c.RoleConstraints) {
			c.Excludes(role, &allocator.AgentInfo{Hostname: "node-1"})
		}
		again, err := DecodeConstraints(encodeConstraints(c))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, again, cmpopts.IgnoreUnexported(AttributeConstraint{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCallHasType(t *testing.T) {
	for _, tc := range []struct {
		body []byte
		want bool
	}{{nil, false}, {[]byte{0x10, 0}, true}, {[]byte{0x0a, 0}, false}} {
		if got, err := CallHasType(tc.body); err != nil || got != tc.want {
			t.Errorf("%x: %t, %v", tc.body, got, err)
		}
	}
	if _, err := CallHasType([]byte{0xff}); err == nil {
		t.Error("want an error")
	}
}

func TestOperate(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("a"))
	id := s.oneOffer().AgentID
	agent := func(k master.Call_Type) *master.Call {
		return &master.Call{
			Type: k, DeactivateAgent: &master.Call_DeactivateAgent{AgentID: id}, ReactivateAgent: &master.Call_ReactivateAgent{AgentID: id},
			MarkAgentGone: &master.Call_MarkAgentGone{AgentID: id}, Teardown: &master.Call_Teardown{FrameworkID: mesos.FrameworkID{Value: s.id}},
		}
	}
	for _, tc := range []struct {
		call master.Call_Type
		want Response
	}{
		{master.Call_REACTIVATE_AGENT, Response{Status: 400, Body: "Agent is not deactivated"}},
		{master.Call_DEACTIVATE_AGENT, Response{Status: 200}},
		{master.Call_REACTIVATE_AGENT, Response{Status: 200}},
		{master.Call_MARK_AGENT_GONE, Response{Status: 200}},
		{master.Call_MARK_AGENT_GONE, Response{Status: 200}},
		{master.Call_DEACTIVATE_AGENT, Response{Status: 400, Body: "Unknown agent"}},
		{master.Call_TEARDOWN, Response{Status: 200}},
		{master.Call_TEARDOWN, Response{Status: 400, Body: "No framework found with specified ID"}},
	} {
		if diff := cmp.Diff(tc.want, c.m.Operate(c.now, agent(tc.call))); diff != "" {
			t.Errorf("%s: %s", tc.call, diff)
		}
		c.settle()
	}
}

func TestReconcileOperations(t *testing.T) {
	c := newCluster(t, Config{}, node(1), node(2))
	s := c.subscribe(info("a"))
	o := s.offers()
	if err := c.m.MarkUnreachable(c.now, o[0].Hostname); err != nil {
		t.Fatal(err)
	}
	if err := c.m.MarkGone(c.now, o[1].Hostname); err != nil {
		t.Fatal(err)
	}
	c.settle()
	s.take()
	ops := &scheduler.Call_ReconcileOperations{}
	for _, agent := range []*mesos.AgentID{nil, {Value: "nope"}, &o[0].AgentID, &o[1].AgentID} {
		ops.Operations = append(ops.Operations, scheduler.Call_ReconcileOperations_Operation{OperationID: mesos.OperationID{Value: "op"}, AgentID: agent})
	}
	s.must(&scheduler.Call{Type: scheduler.Call_RECONCILE_OPERATIONS, ReconcileOperations: ops})
	var got []mesos.OperationState
	for _, e := range s.take() {
		got = append(got, e.UpdateOperationStatus.Status.State)
	}
	want := []mesos.OperationState{mesos.OPERATION_UNKNOWN, mesos.OPERATION_UNKNOWN, mesos.OPERATION_UNREACHABLE, mesos.OPERATION_GONE_BY_OPERATOR}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
