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

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

func growOp(volume, addition mesos.Resource) mesos.Offer_Operation {
	return mesos.Offer_Operation{Type: mesos.Offer_Operation_GROW_VOLUME, ID: &mesos.OperationID{Value: "op"},
		GrowVolume: &mesos.Offer_Operation_GrowVolume{Volume: volume, Addition: addition}}
}

func shrinkOp(volume mesos.Resource, less float64) mesos.Offer_Operation {
	return mesos.Offer_Operation{Type: mesos.Offer_Operation_SHRINK_VOLUME, ID: &mesos.OperationID{Value: "op"},
		ShrinkVolume: &mesos.Offer_Operation_ShrinkVolume{Volume: volume, Subtract: mesos.Value_Scalar{Value: less}}}
}

// TestResizeVolume has a volume of 64 MB grown, shrunk and the refusals, by a
// framework and by an operator.
func TestResizeVolume(t *testing.T) {
	c := newCluster(t, Config{}, node(1))
	s := c.subscribe(info("dyn"))
	disk := func(mb, alloc string) []mesos.Resource { return reserved(t, "disk:"+mb, "dyn", alloc) }
	volume := func(mb, alloc string) mesos.Resource { return volumeOf(disk(mb, alloc), "vol-1")[0] }
	s.must(accepting(s.oneOffer(), 0, reserveOp("", disk("100", "dyn")), mesos.Offer_Operation{
		Type: mesos.Offer_Operation_CREATE, Create: &mesos.Offer_Operation_Create{Volumes: []mesos.Resource{volume("64", "dyn")}},
	}))
	a := c.m.order[0]
	// sizes are the volume's and the rest of the reservation's.
	sizes := func() (volume, rest int64) {
		for _, r := range a.total {
			switch p := (resource.Resources{r}).ToProto(resource.WireForm{Refined: true})[0]; {
			case p.Disk.GetPersistence() != nil:
				volume = r.Milli / 1000
			case len(p.Reservations) > 0:
				rest = r.Milli / 1000
			}
		}
		return volume, rest
	}
	on := "; on agent " + a.String()
	shared := volume("64", "dyn")
	shared.Shared = &mesos.Resource_SharedInfo{}
	for _, tc := range []struct {
		op           mesos.Offer_Operation
		status       string
		volume, rest int64
	}{
		{growOp(volume("64", "dyn"), disk("16", "dyn")[0]), "op OPERATION_FINISHED uuid", 80, 20},
		{shrinkOp(volume("80", "dyn"), 30), "op OPERATION_FINISHED uuid", 50, 50},
		{growOp(volume("50", "dyn"), disk("50", "dyn")[0]), "op OPERATION_FINISHED uuid", 100, 0},
		{shrinkOp(volume("100", "dyn"), 36), "op OPERATION_FINISHED uuid", 64, 36},
		{shrinkOp(volume("64", "dyn"), 64), "op OPERATION_ERROR Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'" + on, 64, 36},
		{shrinkOp(volume("64", "dyn"), 0), "op OPERATION_ERROR Value of 'ShrinkVolume.subtract' must be greater than zero" + on, 64, 36},
		{shrinkOp(shared, 1), "op OPERATION_ERROR Shrinking a shared persistent volume is not supported" + on, 64, 36},
		{growOp(shared, disk("1", "dyn")[0]), "op OPERATION_ERROR Growing a shared persistent volume is not supported" + on, 64, 36},
		{growOp(volume("64", "dyn"), reserved(t, "disk:1", "other", "dyn")[0]),
			"op OPERATION_ERROR Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields" + on, 64, 36},
		{mesos.Offer_Operation{Type: mesos.Offer_Operation_GROW_VOLUME, ID: &mesos.OperationID{Value: "op"}},
			"op OPERATION_ERROR Expecting 'grow_volume' to be present" + on, 64, 36},
	} {
		c.pass(time.Second)
		o := s.oneOffer()
		s.must(accepting(o, 0, tc.op))
		got, status := s.opStatuses()
		if len(got) != 1 || got[0] != tc.status {
			t.Errorf("%v: got %q, want %q", tc.op, got, tc.status)
		}
		if status.UUID != nil {
			if len(status.ConvertedResources) == 0 {
				t.Errorf("%v: no converted resources", tc.op)
			}
			s.must(&scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE_OPERATION_STATUS, AcknowledgeOperationStatus: &scheduler.Call_AcknowledgeOperationStatus{
				AgentID: status.AgentID, UUID: status.UUID.Value, OperationID: *status.OperationID,
			}})
		}
		if v, rest := sizes(); v != tc.volume || rest != tc.rest {
			t.Errorf("%v: volume and rest are %d and %d, want %d and %d", tc.op, v, rest, tc.volume, tc.rest)
		}
	}
	c.pass(time.Second)
	s.must(accepting(s.oneOffer(), 0, growOp(volume("64", "dyn"), disk("64", "dyn")[0])))
	if got, _ := s.opStatuses(); len(got) != 1 || !strings.Contains(got[0], "does not contain") {
		t.Errorf("grown by what is not there: %v", got)
	}

	grow := func(agent, mb string) Response {
		return c.operate(&master.Call{Type: master.Call_GROW_VOLUME, GrowVolume: &master.Call_GrowVolume{
			AgentID: &mesos.AgentID{Value: agent}, Volume: volume("64", ""), Addition: disk(mb, "")[0],
		}})
	}
	if r := grow(a.id, "6"); r.Status != 202 {
		t.Error(r)
	}
	if r := grow(a.id, "1"); r.Status != 409 {
		t.Error("the volume of 64 MB is one of 70 MB now, but:", r)
	}
	if r := grow(a.id, "0"); r.Status != 400 || !strings.HasPrefix(r.Body, "Invalid GROW_VOLUME operation on agent ") {
		t.Error(r)
	}
	if r := grow("nope", "1"); r.Status != 400 || r.Body != "No agent found with specified ID" {
		t.Error(r)
	}
	if r := c.operate(&master.Call{Type: master.Call_SHRINK_VOLUME, ShrinkVolume: &master.Call_ShrinkVolume{
		AgentID: &mesos.AgentID{Value: a.id}, Volume: volume("70", ""), Subtract: mesos.Value_Scalar{Value: 30},
	}}); r.Status != 202 {
		t.Error(r)
	}
	c.pass(time.Second)
	if v, rest := sizes(); v != 40 || rest != 60 {
		t.Errorf("in the end volume and rest are %d and %d, want 40 and 60", v, rest)
	}
}
