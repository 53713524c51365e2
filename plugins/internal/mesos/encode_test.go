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

package mesos

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestUnknownCallTypesAreNeverEncoded(t *testing.T) {
	for _, kind := range []scheduler.Call_Type{scheduler.Call_UNKNOWN, 12345, -1} {
		if b, err := marshalCall(&scheduler.Call{Type: kind}); err == nil {
			t.Errorf("type %d was encoded as %x", kind, b)
		}
	}
	if _, err := marshalCall(&scheduler.Call{}); err == nil || !strings.Contains(err.Error(), "UNKNOWN") {
		t.Errorf("error is %v", err)
	}
}

// callType reads field 2 of the encoded call.
func callType(t *testing.T, b []byte) int32 {
	t.Helper()
	for len(b) > 0 {
		num, _, rest, value, err := consumeField(b)
		if err != nil {
			t.Fatal(err)
		}
		if num == 2 {
			v, _ := protowire.ConsumeVarint(value)
			return int32(v)
		}
		b = rest
	}
	return 0
}

func TestEveryCallHasItsType(t *testing.T) {
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	info := testConfig().Framework
	for kind, b := range map[scheduler.Call_Type][]byte{
		scheduler.Call_SUBSCRIBE:              must(encodeSubscribe(info, roleSet{}, "fw", time.Minute)),
		scheduler.Call_UPDATE_FRAMEWORK:       must(encodeUpdateFramework(info, roleSet{}, "fw", true)),
		scheduler.Call_ACCEPT:                 must(encodeAccept("fw", "", launchOf("S0", "t"))),
		scheduler.Call_DECLINE:                must(encodeDecline("fw", []string{"O"}, 0)),
		scheduler.Call_ACCEPT_INVERSE_OFFERS:  must(encodeAnswer("fw", true, []string{"O"}, 0)),
		scheduler.Call_DECLINE_INVERSE_OFFERS: must(encodeAnswer("fw", false, []string{"O"}, 0)),
		scheduler.Call_KILL:                   must(encodeKill("fw", TaskRef{TaskID: "t"})),
		scheduler.Call_REVIVE:                 must(encodeRevive("fw", nil)),
		scheduler.Call_SUPPRESS:               must(encodeSuppress("fw", nil)),
		scheduler.Call_RECONCILE:              must(encodeReconcile("fw", nil)),
		scheduler.Call_ACKNOWLEDGE:            must(encodeAcknowledge("fw", ack{taskID: "t", agentID: "S0"})),
	} {
		if got := callType(t, b); got != int32(kind) {
			t.Errorf("%s is encoded as type %d", kind, got)
		}
	}
}

// plain is what a task asks for of unreserved resources.
func plain(v resources.Vector) []resources.Portion {
	return []resources.Portion{{Bundle: resources.Bundle{Vector: v}}}
}

func TestAcceptOnTheWire(t *testing.T) {
	b, err := encodeAccept("fw", "", Launch{
		OfferIDs: []string{"O2", "O1"}, AgentID: "S7", Role: "k8s/team-a", Refuse: 1500 * time.Millisecond,
		Tasks: []Task{{
			ID: "uid.1", Name: "default/web", Command: []string{"sleep", "infinity"},
			Parts:  plain(resources.Vector{resources.CPU: 250, resources.Memory: 64_123, resources.GPU: 0, resources.Disk: 1}),
			Labels: []Label{{"b", "2"}, {"a", ""}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := &scheduler.Call{}
	if err := got.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	role, refuse, shell, program, two, none := "k8s/team-a", 1.5, false, "sleep", "2", ""
	scalar := func(name string, value float64) mesosv1.Resource {
		r := scalarOf(name, value)
		r.AllocationInfo.Role = &role
		return r
	}
	want := &scheduler.Call{
		Type: scheduler.Call_ACCEPT, FrameworkID: &mesosv1.FrameworkID{Value: "fw"},
		Accept: &scheduler.Call_Accept{
			OfferIDs: []mesosv1.OfferID{{Value: "O2"}, {Value: "O1"}},
			Filters:  &mesosv1.Filters{RefuseSeconds: &refuse},
			Operations: []mesosv1.Offer_Operation{{
				Type: mesosv1.Offer_Operation_LAUNCH,
				Launch: &mesosv1.Offer_Operation_Launch{TaskInfos: []mesosv1.TaskInfo{{
					Name: "default/web", TaskID: mesosv1.TaskID{Value: "uid.1"}, AgentID: mesosv1.AgentID{Value: "S7"},
					Resources: []mesosv1.Resource{scalar("cpus", 0.25), scalar("mem", 64.123), scalar("disk", 0.001)},
					Command:   &mesosv1.CommandInfo{Shell: &shell, Value: &program, Arguments: []string{"sleep", "infinity"}},
					Labels:    &mesosv1.Labels{Labels: []mesosv1.Label{{Key: "b", Value: &two}, {Key: "a", Value: &none}}},
				}}},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFiltersAreAlwaysSet(t *testing.T) {
	for refuse, want := range map[time.Duration]float64{0: 0, -time.Second: 0, time.Millisecond: 0.001, time.Hour: 3600} {
		if got := filters(refuse); got.RefuseSeconds == nil || *got.RefuseSeconds != want {
			t.Errorf("refuse %v becomes %v, want %v: absent or negative means 5 s", refuse, got.RefuseSeconds, want)
		}
	}
}

// TestAckableUUIDs: the versions are those of a recorded master, which answers
// 400 "Not a valid UUID" to the others.
func TestAckableUUIDs(t *testing.T) {
	for version := range 16 {
		uuid := make([]byte, 16)
		uuid[6] = byte(version << 4)
		if _, ok := ackOf("t", "S0", uuid); ok != (version >= 1 && version <= 5) {
			t.Errorf("version %d is acknowledged: %v", version, ok)
		}
	}
	good := uuidV4(1)
	for name, ok := range map[string]bool{
		"short": second(ackOf("t", "S0", good[:15])), "long": second(ackOf("t", "S0", append(good, 0))),
		"no agent": second(ackOf("t", "", good)), "no task": second(ackOf("", "S0", good)), "none": second(ackOf("t", "S0", nil)),
	} {
		if ok {
			t.Errorf("%s is acknowledged", name)
		}
	}
}

func second(_ ack, ok bool) bool { return ok }

func TestTimestamps(t *testing.T) {
	for seconds, want := range map[float64]time.Time{
		0: {}, -5: {}, math.NaN(): {}, math.Inf(1): {}, 1e300: {}, 1763877904.25: time.UnixMilli(1763877904250),
	} {
		if got := secondsToTime(seconds); !got.Equal(want) {
			t.Errorf("%v s is %v, want %v", seconds, got, want)
		}
	}
}

func TestHeartbeatIntervals(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{
		15: 15 * time.Second, 0.5: 500 * time.Millisecond, 1e-12: time.Millisecond,
		0: defaultHeartbeat, -1: defaultHeartbeat, math.Inf(1): defaultHeartbeat, 1e18: defaultHeartbeat,
	} {
		if got := heartbeatInterval(seconds); got != want {
			t.Errorf("%v s is %v, want %v", seconds, got, want)
		}
	}
	if got := heartbeatInterval(math.NaN()); got != defaultHeartbeat {
		t.Errorf("NaN is %v", got)
	}
}
