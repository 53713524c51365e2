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
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func dynamic(role, principal string, labels ...resources.Label) *resources.Flavour {
	return &resources.Flavour{Reservations: []resources.Reservation{{Role: role, Dynamic: true, Principal: principal, Labels: labels}}}
}

func cpus(milli int64) resources.Bundle {
	return resources.Bundle{Vector: resources.Vector{resources.CPU: milli}}
}

func acceptOf(t *testing.T, body []byte, err error) *scheduler.Call_Accept {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	call := &scheduler.Call{}
	if err := call.Unmarshal(body); err != nil {
		t.Fatal(err)
	}
	return call.Accept
}

// TestPortionsOnTheWire: what a task asks for, entry by entry.
func TestPortionsOnTheWire(t *testing.T) {
	role, ours, labelled, empty := "eng", "kube", "web-0", ""
	kind := func(k mesosv1.Resource_ReservationInfo_Type) *mesosv1.Resource_ReservationInfo_Type { return &k }
	static := mesosv1.Resource_ReservationInfo{Type: kind(mesosv1.Resource_ReservationInfo_STATIC), Role: &role}
	entry := func(name string, value float64, stack ...mesosv1.Resource_ReservationInfo) mesosv1.Resource {
		r := scalarOf(name, value)
		r.AllocationInfo.Role, r.Reservations = &role, stack
		return r
	}
	revocable := entry("cpus", 0.5)
	revocable.Revocable = &mesosv1.Resource_RevocableInfo{}
	ranges := mesosv1.RANGES
	ports := mesosv1.Resource{
		Name: "ports", Type: &ranges, AllocationInfo: &mesosv1.Resource_AllocationInfo{Role: &role},
		Ranges: &mesosv1.Value_Ranges{Range: []mesosv1.Value_Range{{Begin: 80, End: 80}, {Begin: 31000, End: 31001}}},
	}
	// An empty principal is another one than none, and must go back as it came.
	offered := []mesosv1.Resource_ReservationInfo{static, {
		Type: kind(mesosv1.Resource_ReservationInfo_DYNAMIC), Role: &role, Principal: &empty,
		Labels: &mesosv1.Labels{Labels: []mesosv1.Label{{Key: "k"}, {Key: "k", Value: &empty}}},
	}}
	asOffered, err := parseFlavour([]byte(wireOf(offered)))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		portion resources.Portion
		want    []mesosv1.Resource
	}{
		"unreserved": {
			resources.Portion{Bundle: resources.Bundle{
				Vector:  resources.Vector{resources.CPU: 500, resources.GPU: 1000},
				Ports:   resources.NewRanges(resources.Range{Begin: 31000, End: 31001}, resources.Range{Begin: 80, End: 80}),
				Scalars: resources.Scalars{{Name: "bandwidth", Milli: 1500}},
			}},
			[]mesosv1.Resource{entry("cpus", 0.5), entry("gpus", 1), entry("bandwidth", 1.5), ports},
		},
		"revocable":  {resources.Portion{Flavour: resources.RevocableFlavour, Bundle: cpus(500)}, []mesosv1.Resource{revocable}},
		"as offered": {resources.Portion{Flavour: asOffered, Bundle: cpus(1)}, []mesosv1.Resource{entry("cpus", 0.001, offered...)}},
		"static": {
			resources.Portion{Flavour: &resources.Flavour{Reservations: []resources.Reservation{{Role: role}}}, Bundle: cpus(1)},
			[]mesosv1.Resource{entry("cpus", 0.001, static)},
		},
		"made by us": {
			resources.Portion{Flavour: dynamic(role, "", resources.Label{Key: "pod", Value: labelled}), Bundle: cpus(1)},
			[]mesosv1.Resource{entry("cpus", 0.001, mesosv1.Resource_ReservationInfo{
				Type: kind(mesosv1.Resource_ReservationInfo_DYNAMIC), Role: &role, Principal: &ours,
				Labels: &mesosv1.Labels{Labels: []mesosv1.Label{{Key: "pod", Value: &labelled}}},
			})},
		},
		"of a principal": {
			resources.Portion{Flavour: dynamic(role, labelled), Bundle: cpus(1)},
			[]mesosv1.Resource{entry("cpus", 0.001, mesosv1.Resource_ReservationInfo{Type: kind(mesosv1.Resource_ReservationInfo_DYNAMIC), Role: &role, Principal: &labelled})},
		},
	} {
		body, err := encodeAccept("fw", ours, Launch{OfferIDs: []string{"O"}, AgentID: "S", Role: role, Tasks: []Task{{ID: "t", Command: []string{"c"}, Parts: []resources.Portion{test.portion}}}})
		got := acceptOf(t, body, err).Operations[0].Launch.TaskInfos[0].Resources
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if !bytes.Equal([]byte(asOffered.Wire), []byte(wireOf(offered))) || !strings.Contains(asOffered.String(), "static), refined reserved for eng (dynamic") {
		t.Errorf("the flavour is %q, %v", asOffered.Wire, asOffered)
	}
}

// TestReserveAndUnreserveOnTheWire: operations without ids, in their order, before
// the launch.
func TestReserveAndUnreserveOnTheWire(t *testing.T) {
	one, two := dynamic("eng", "", resources.Label{Key: "pod", Value: "a"}), dynamic("eng", "", resources.Label{Key: "pod", Value: "b"})
	portions := []resources.Portion{{Flavour: one, Bundle: cpus(1000)}, {Flavour: two, Bundle: cpus(2000)}}
	body, err := encodeAccept("fw", "kube", Launch{OfferIDs: []string{"O"}, AgentID: "S", Role: "eng", Reserve: portions, Tasks: []Task{{ID: "t", Command: []string{"c"}, Parts: portions}}})
	accept := acceptOf(t, body, err)
	if len(accept.Operations) != 3 || accept.Operations[2].Type != mesosv1.Offer_Operation_LAUNCH {
		t.Fatalf("operations are %v", accept.Operations)
	}
	asked := accept.Operations[2].Launch.TaskInfos[0].Resources
	for i := range portions {
		o := accept.Operations[i]
		if o.Type != mesosv1.Offer_Operation_RESERVE || o.ID != nil || cmp.Diff(o.Reserve.Resources, asked[i:i+1]) != "" || asked[i].Reservations[0].GetPrincipal() != "kube" {
			t.Errorf("operation %d is %v, the task asks for %v", i, o, asked)
		}
	}
	offered, err := parseFlavour([]byte(wireOf(asked[0].Reservations)))
	if err != nil {
		t.Fatal(err)
	}
	body, err = encodeUnreserve("fw", UnreserveCall{OfferIDs: []string{"O"}, AgentID: "S", Role: "eng", Portions: []resources.Portion{{Flavour: offered, Bundle: cpus(1000)}}})
	accept = acceptOf(t, body, err)
	if len(accept.Operations) != 1 || accept.Operations[0].Type != mesosv1.Offer_Operation_UNRESERVE || accept.Operations[0].ID != nil ||
		accept.Filters.GetRefuseSeconds() != 0 || cmp.Diff(accept.Operations[0].Unreserve.Resources, asked[:1]) != "" {
		t.Errorf("UNRESERVE is %v", accept)
	}
}

// TestPortionsThatAreRefused: what the master would drop without a word.
func TestPortionsThatAreRefused(t *testing.T) {
	good := resources.Portion{Flavour: dynamic("eng", ""), Bundle: cpus(1)}
	static := &resources.Flavour{Reservations: []resources.Reservation{{Role: "eng"}}}
	for name, p := range map[string]resources.Portion{
		"unreserved": {Bundle: cpus(1)}, "revocable": {Flavour: resources.RevocableFlavour, Bundle: cpus(1)}, "static": {Flavour: static, Bundle: cpus(1)},
		"nothing": {Flavour: good.Flavour}, "negative": {Flavour: good.Flavour, Bundle: cpus(-1)},
		"wire":     {Flavour: &resources.Flavour{Reservations: good.Flavour.Reservations, Wire: "\x6a\x05"}, Bundle: cpus(1)},
		"no stack": {Flavour: &resources.Flavour{Reservations: good.Flavour.Reservations, Wire: "\x0a\x00"}, Bundle: cpus(1)},
	} {
		if _, err := reserveEntries(p, "eng", ""); err == nil {
			t.Errorf("RESERVE: %s is accepted", name)
		}
		if _, err := encodeUnreserve("fw", UnreserveCall{OfferIDs: []string{"O"}, Role: "eng", Portions: []resources.Portion{p}}); err == nil {
			t.Errorf("UNRESERVE: %s is accepted", name)
		}
	}
	if _, err := reserveEntries(good, "eng/ads", ""); err == nil {
		t.Error("RESERVE for another role is accepted")
	}
	for name, c := range map[string]UnreserveCall{
		"no offers": {Role: "eng", Portions: []resources.Portion{good}}, "no role": {OfferIDs: []string{"O"}, Portions: []resources.Portion{good}},
		"no portions": {OfferIDs: []string{"O"}, Role: "eng"}, "an offer twice": {OfferIDs: []string{"O", "O"}, Role: "eng", Portions: []resources.Portion{good}},
	} {
		if _, err := encodeUnreserve("fw", c); err == nil {
			t.Errorf("UNRESERVE with %s is accepted", name)
		}
	}
	negative := resources.Portion{Bundle: resources.Bundle{Scalars: resources.Scalars{{Name: "x", Milli: -1}}}}
	if _, err := taskEntries(Task{ID: "t", Parts: []resources.Portion{{Bundle: cpus(1)}, negative}}, "eng", ""); err == nil || !strings.Contains(err.Error(), "x") {
		t.Errorf("a negative amount gives %v", err)
	}
}
