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

package allocator

import (
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

func shared(t testing.TB, text string) resource.Resources {
	return flavored(t, text, func(r *mesos.Resource) { r.Shared = &mesos.Resource_SharedInfo{} })
}

// Agents go round among frameworks of equal shares; with weights by weight, with
// hierarchical roles by level.
func TestFairness(t *testing.T) {
	for _, tc := range []struct {
		name    string
		weights map[string]float64
		roles   map[string]string
		want    map[string]int
	}{
		{"one role", nil, map[string]string{"f": "r", "g": "r"}, map[string]int{"f": 6, "g": 6}},
		{"weights", map[string]float64{"heavy": 3}, map[string]string{"f": "heavy", "g": "light"}, map[string]int{"f": 9, "g": 3}},
		{"levels", nil, map[string]string{"f": "eng/ads", "g": "eng/search", "h": "ops"}, map[string]int{"f": 3, "g": 3, "h": 6}},
		{"a role and its sub-role", nil, map[string]string{"f": "eng", "g": "eng/ads"}, map[string]int{"f": 6, "g": 6}},
		{"weight of a subtree", map[string]float64{"eng": 2}, map[string]string{"f": "eng/ads", "g": "eng/search", "h": "ops"}, map[string]int{"f": 4, "g": 4, "h": 4}},
	} {
		w := newWorld(t, Options{Weights: tc.weights})
		for id, role := range tc.roles {
			w.framework(id, role)
		}
		w.agents(12)
		got := map[string]int{}
		for _, o := range w.run().Offers {
			got[o.Framework]++
		}
		for id, n := range tc.want {
			if got[id] != n {
				t.Errorf("%s: %v of 12 agents, want %v", tc.name, got, tc.want)
				break
			}
		}
	}
}

// Reserved resources go to the role and to those below it, with the rest in one
// offer; what is left of an agent goes to the next role.
func TestReservations(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddAgent(AgentInfo{ID: "a", Hostname: "a", Total: parse(t, "cpus:4;mem:512").Add(reserved(t, "cpus:2;mem:100", "batch")).Add(reserved(t, "cpus:1", "batch", "batch/deep"))})
	w.framework("x", "other")
	w.want("another role", w.run().Offers, "x/other@a cpus:4; mem:512")
	w.framework("s", "batch/sub")
	w.want("a sub-role", w.run().Offers, "s/batch/sub@a cpus(reservations: [(DYNAMIC,batch)]):2; mem(reservations: [(DYNAMIC,batch)]):100")
	w.framework("d", "batch/deep")
	w.want("below", w.run().Offers, "d/batch/deep@a cpus(reservations: [(DYNAMIC,batch),(DYNAMIC,batch/deep)]):1")
}

// Without the capability, a kind of resource or a whole agent is not offered.
func TestCapabilities(t *testing.T) {
	far := &mesos.DomainInfo{FaultDomain: &mesos.DomainInfo_FaultDomain{Region: mesos.DomainInfo_FaultDomain_RegionInfo{Name: "far"}}}
	plain := "cpus:1; mem:64"
	for _, tc := range []struct {
		name       string
		agent      AgentInfo
		capability mesos.FrameworkInfo_Capability_Type
		without    []string
		with       []string
	}{
		{"gpus", AgentInfo{Total: parse(t, "cpus:1;gpus:1;mem:64")}, mesos.FrameworkInfo_Capability_GPU_RESOURCES, nil, []string{"f/r@a cpus:1; gpus:1; mem:64"}},
		{"region", AgentInfo{Total: parse(t, plain), Domain: far}, mesos.FrameworkInfo_Capability_REGION_AWARE, nil, []string{"f/r@a " + plain}},
		{"revocable", AgentInfo{Total: parse(t, plain).Add(revocable(t, "cpus:2"))}, mesos.FrameworkInfo_Capability_REVOCABLE_RESOURCES,
			[]string{"f/r@a " + plain}, []string{"f/r@a cpus:1; cpus{REV}:2; mem:64"}},
		{"shared", AgentInfo{Total: parse(t, plain).Add(shared(t, "disk:9"))}, mesos.FrameworkInfo_Capability_SHARED_RESOURCES,
			[]string{"f/r@a " + plain}, []string{"f/r@a cpus:1; disk<SHARED>:9; mem:64"}},
		{"refined", AgentInfo{Total: parse(t, plain).Add(reserved(t, "cpus:2", "r", "r/s"))}, mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT,
			[]string{"f/r/s@a " + plain}, []string{"f/r/s@a cpus(reservations: [(DYNAMIC,r),(DYNAMIC,r/s)]):2; cpus:1; mem:64"}},
	} {
		for with, want := range map[bool][]string{false: tc.without, true: tc.with} {
			w := newWorld(t, Options{Region: "home"})
			tc.agent.ID, tc.agent.Hostname = "a", "a"
			w.AddAgent(tc.agent)
			info := FrameworkInfo{ID: "f", Roles: []string{"r"}, Capabilities: []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE}}}
			if tc.name == "refined" {
				info.Roles = []string{"r/s"}
			}
			if with {
				info.Capabilities = append(info.Capabilities, mesos.FrameworkInfo_Capability{Type: tc.capability})
			}
			w.AddFramework(info)
			w.Activate("f")
			w.want(tc.name, w.run().Offers, want...)
		}
	}
	w := newWorld(t, Options{OfferGPUsToAll: true})
	w.agent("a", "cpus:1;gpus:1")
	w.framework("f", "r")
	w.want("gpus for all", w.run().Offers, "f/r@a cpus:1; gpus:1")
}

// A shared resource is offered to one framework in a run, and again in the next
// though it is held.
func TestSharedOffers(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddAgent(AgentInfo{ID: "a", Hostname: "a", Total: parse(t, "cpus:1").Add(shared(t, "disk:9"))})
	w.framework("f", "r", mesos.FrameworkInfo_Capability_SHARED_RESOURCES)
	w.framework("g", "r", mesos.FrameworkInfo_Capability_SHARED_RESOURCES)
	w.want("first", w.run().Offers, "f/r@a cpus:1; disk<SHARED>:9")
	w.want("second", w.pass(time.Second), "g/r@a disk<SHARED>:9")
}

// The least amounts: one set of the framework's own, or of the flag's.
func TestMinAllocatable(t *testing.T) {
	w := newWorld(t, Options{MinAllocatable: []Quantities{quantities(t, "cpus:0.01"), quantities(t, "mem:32")}})
	w.agent("little", "cpus:0.005;mem:31;ports:[1-10]")
	w.agent("memory", "mem:32")
	w.framework("f", "r")
	w.want("by the flag", w.run().Offers, "f/r@memory mem:32")
	w.AddFramework(FrameworkInfo{ID: "p", Roles: []string{"r"}, Capabilities: capable(), MinAllocatable: map[string][]Quantities{
		"r": {QuantitiesOf(map[string]int64{"ports": 11_000}), QuantitiesOf(map[string]int64{"ports": 10_000, "mem": 31_000})},
	}})
	w.Activate("p")
	w.want("its own", w.run().Offers, "p/r@little cpus:0.005; mem:31; ports:[1-10]")
	w.framework("q", "r")
	w.UpdateFramework(FrameworkInfo{ID: "q", Roles: []string{"r"}, Capabilities: capable(), MinAllocatable: map[string][]Quantities{"r": {}}})
	w.agent("dust", "cpus:0.001")
	w.want("none: everything", w.run().Offers, "q/r@dust cpus:0.001")
}
