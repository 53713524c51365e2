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

package offers

import (
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestDeclinedShort(t *testing.T) {
	c, now := newSingle(), time.Unix(1000, 0)
	add := func(id, agent string, cpu int64) {
		c.Add(&Offer{ID: id, AgentID: agent, Role: "web", Unreserved: resources.Bundle{Vector: resources.Vector{resources.CPU: cpu, resources.Memory: 1000}}}, now)
		c.SetNode(agent, "node-"+agent)
	}
	need := resources.Vector{resources.CPU: 2000, resources.Memory: 500}
	add("o1", "small", 1000)
	add("o2", "big", 4000)
	add("o3", "foreign", 1000)
	c.SetNode("foreign", "")
	check := func(when string, want int) {
		t.Helper()
		if got := c.r.DeclinedShort(need); got != ([resources.NumKinds]int{resources.CPU: want}) {
			t.Errorf("%s: %v, want %d short of cpu", when, got, want)
		}
	}
	check("while all is held", 0)
	if !c.HasOffers("small") || c.HasOffers("unknown") {
		t.Error("HasOffers is wrong about held or unknown agents")
	}
	c.Sweep(func(Held) bool { return true })
	check("after all went back", 1)
	if c.HasOffers("small") {
		t.Error("HasOffers of an agent whose offers went back")
	}
	add("o4", "small", 1000)
	check("with a new offer", 0)
}
