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

package mesos_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// onHost are terms that one host meets.
func onHost(host string) terms.Terms {
	return terms.Terms{Constraints: terms.Constraints{{{Op: terms.Equals, Value: host}}}}
}

// hosts are the hosts of the valid offers.
func (c *cache) hosts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, o := range c.offers {
		out = append(out, o.Hostname)
	}
	slices.Sort(out)
	return out
}

// constrained tells of each call of a kind whether it carried constraints.
func constrained(m *mesosmaster.Master, kind scheduler.Call_Type) []bool {
	var out []bool
	for _, c := range m.Calls() {
		if c.Call.Type == kind {
			out = append(out, len(c.Constraints.RoleConstraints) > 0)
		}
	}
	return out
}

// TestTermsAtTheEmulator: offers are those that meet the terms, from the first on, and
// a change concerns those to come.
func TestTermsAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		ask := mesos.RoleAsk{Name: "k8s", Terms: onHost("node-1")}
		i := run(t, m, &ids{}, func(c *mesos.Config) { c.Roles = func() []mesos.RoleAsk { return []mesos.RoleAsk{ask} } })
		expect := func(when string, want ...string) {
			t.Helper()
			after(3 * time.Second)
			if got := i.cache.hosts(); !slices.Equal(got, want) {
				t.Errorf("%s: offers of %q, want %q", when, got, want)
			}
		}
		// Also after the UPDATE_FRAMEWORK that sets the failover timeout.
		expect("pinned", "node-1")
		if s := i.cache.subscriptions[0]; !s.Constraints || !s.Roles[0].Terms.Equal(ask.Terms) {
			t.Errorf("subscription is %+v", s)
		}
		for _, step := range []struct {
			when  string
			terms terms.Terms
			want  []string
		}{
			{"pinned to another", onHost("node-2"), []string{"node-2"}},
			{"a rack", terms.Terms{Constraints: terms.Constraints{{{Attribute: "rack", Op: terms.Equals, Value: "r1"}}}}, []string{"node-1"}},
			{"no rack", terms.Terms{Constraints: terms.Constraints{{{Attribute: "rack", Op: terms.NotExists}}}}, []string{"node-2"}},
			{"either", terms.Terms{Constraints: append(onHost("node-1").Constraints, onHost("node-2").Constraints...)}, []string{"node-1", "node-2"}},
			{"large", terms.Terms{Min: &resources.Vector{resources.CPU: 8000, resources.Memory: 16_384_000}}, []string{"node-2"}},
			{"too large", terms.Terms{Min: &resources.Vector{resources.CPU: 8001}}, nil},
			{"any size", terms.Terms{Min: &resources.Vector{}}, []string{"node-1", "node-2"}},
			{"none", terms.Terms{}, []string{"node-1", "node-2"}},
		} {
			ask.Terms = step.terms
			if err := i.UpdateRoles(t.Context(), []mesos.RoleAsk{ask}); err != nil {
				t.Fatalf("%s: %v", step.when, err)
			}
			m.RescindAll()
			expect(step.when, step.want...)
		}
		i.stop(t)
	})
}

// TestConstraintsOfAnOlderMaster: it is asked as one that may know them, as long as
// its version is not known, and not after.
func TestConstraintsOfAnOlderMaster(t *testing.T) {
	for version, heeds := range map[string]bool{"1.10.0": false, "1.11.0": true} {
		synctest.Test(t, func(t *testing.T) {
			m := mesosmaster.New(mesosmaster.Config{Version: version, Agents: []mesosmaster.AgentConfig{
				{Hostname: "node-1", Resources: "cpus:4;mem:8192"}, {Hostname: "node-2", Resources: "cpus:8;mem:16384"}}})
			defer m.Close()
			asks := []mesos.RoleAsk{{Name: "k8s", Terms: onHost("node-1")}}
			i := run(t, m, &ids{}, func(c *mesos.Config) { c.Roles = func() []mesos.RoleAsk { return asks } })
			after(3 * time.Second)
			if err := i.UpdateRoles(t.Context(), asks); err != nil {
				t.Error(err)
			}
			after(3 * time.Second)
			if s := i.cache.subscriptions; len(s) != 1 || s[0].Version != version || s[0].Constraints != heeds {
				t.Errorf("subscriptions are %+v", s)
			}
			if got := constrained(m, scheduler.Call_SUBSCRIBE); !slices.Equal(got, []bool{true}) {
				t.Errorf("%s: SUBSCRIBE carried constraints: %v", version, got)
			}
			// One sets the failover timeout.
			if got := constrained(m, scheduler.Call_UPDATE_FRAMEWORK); !slices.Equal(got, []bool{heeds, heeds}) {
				t.Errorf("%s: UPDATE_FRAMEWORK carried constraints: %v", version, got)
			}
			want := []string{"node-1", "node-2"}
			if heeds {
				want = want[:1]
			}
			if got := i.cache.hosts(); !slices.Equal(got, want) {
				t.Errorf("%s: offers of %q, want %q", version, got, want)
			}
			i.stop(t)
		})
	}
}
