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

func TestExplain(t *testing.T) {
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
		sel := c.r.Select(Plain(need), 0, 0, nil)
		nodes := sel.NoOffer + sel.Short[resources.CPU]
		c.r.Explain(Plain(need), &sel)
		if got := sel.Short[resources.CPU]; got != want || sel.NoOffer+got != nodes {
			t.Errorf("%s: %+v, want %d of %d nodes short of cpu", when, sel, want, nodes)
		}
	}
	check("while all is held", 1)
	if !c.HasOffers("small") || c.HasOffers("unknown") {
		t.Error("HasOffers is wrong about held or unknown agents")
	}
	c.Sweep(epoch, func(Held) bool { return true })
	check("after all went back", 1)
	if c.HasOffers("small") {
		t.Error("HasOffers of an agent whose offers went back")
	}
	add("o4", "small", 1000)
	check("with a new offer", 1)
}

// What was given back is judged by flavour, as offers in hand are.
func TestExplainFlavours(t *testing.T) {
	c, now := NewCache(Config{KeepGPUs: true, Classify: byOwner}), time.Unix(1000, 0)
	r := c.Role("web")
	add := func(id, agent string, o Offer) {
		o.ID, o.AgentID, o.Role = id, agent, "web"
		c.Add(&o, now)
		c.SetNode(agent, "node-"+agent)
	}
	four := resources.Vector{resources.CPU: 4000, resources.Memory: 1000}
	add("o1", "ports", Offer{Unreserved: resources.Bundle{Vector: four, Ports: resources.NewRanges(resources.Range{Begin: 80, End: 81})}})
	add("o2", "rides", Offer{Unreserved: resources.Bundle{Vector: resources.Vector{resources.CPU: 500, resources.Memory: 1000}},
		Special: []resources.Portion{{Flavour: resources.RevocableFlavour, Bundle: resources.Bundle{Vector: resources.Vector{resources.CPU: 4000}}}}})
	add("o3", "gpus", Offer{Unreserved: resources.Bundle{Vector: four.Add(resources.Vector{resources.GPU: 1000})}})
	c.Sweep(epoch, func(Held) bool { return true })
	explained := func(want *Want) Selection {
		sel := r.Select(want, 0, 0, nil)
		r.Explain(want, &sel)
		return sel
	}
	plain := Plain(resources.Vector{resources.CPU: 1000})
	if got := explained(plain); got.NoOffer != 1 || got.Kept != 1 || got.Short[resources.CPU] != 1 {
		t.Errorf("a plain want: %+v, want one node kept, one short of cpu and one without an offer", got)
	}
	riding := &Want{Need: plain.Need, Revocable: RevocableRequired}
	if got := explained(riding); got.NoOffer != 1 || got.Kept != 1 || got.Lacks["revocable cpu"] != 1 {
		t.Errorf("a riding want: %+v, want one node short of revocable cpu", got)
	}
	port := &Want{Need: resources.Bundle{Vector: plain.Need.Vector, Ports: resources.NewRanges(resources.Range{Begin: 90, End: 90})}}
	if got := explained(port); got.NoOffer != 0 || got.Lacks["ports"] != 1 {
		t.Errorf("a want with a port: %+v, want one node short of ports", got)
	}
}
