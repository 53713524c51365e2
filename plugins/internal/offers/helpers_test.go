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

// epoch is the time at which every test starts.
var epoch = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// cm is an amount of CPU and memory, the two that most pods ask for.
func cm(cpu, memory int64) resources.Vector {
	return resources.Vector{resources.CPU: cpu, resources.Memory: memory}
}

func bundleOf(v resources.Vector) resources.Bundle { return resources.Bundle{Vector: v} }

// offerOf returns an offer of an agent whose host has the agent's name.
func offerOf(id, agent string, free resources.Vector) *Offer {
	return &Offer{ID: id, AgentID: agent, Hostname: agent + ".example", Role: "web", Unreserved: bundleOf(free)}
}

// nodeOf names the node of an agent, as tests call them.
func nodeOf(agent string) string { return "node-of-" + agent }

// single is a cache together with its one role, for tests of what has nothing to do
// with roles and flavours: needs are plain vectors.
type single struct {
	*Cache
	r *Role
}

// newSingle returns an empty cache and its role "web".
func newSingle() single {
	c := NewCache(Config{})
	return single{c, c.Role("web")}
}

func (s single) Reserve(slot int32, id string, need resources.Vector, now time.Time) error {
	_, err := s.r.Reserve(slot, id, Plain(need), now)
	return err
}

func (s single) Select(need resources.Vector, start, limit int, buf []int32) Selection {
	return s.r.Select(Plain(need), start, limit, buf)
}

func (s single) Count(need resources.Vector) int { return s.r.Count(Plain(need)) }

// Fits returns what is short as a kind, 0 if nothing is.
func (s single) Fits(slot int32, need *resources.Vector) (Verdict, resources.Kind) {
	v, lacks := s.r.Fits(slot, Plain(*need))
	for k := range need {
		if lacks == resources.Kind(k).String() {
			return v, resources.Kind(k)
		}
	}
	return v, 0
}

// FreeOf returns less than nothing of everything if the slot must not be chosen.
func (s single) FreeOf(slot int32) resources.Vector {
	if free, ok := s.r.FreeOf(slot); ok {
		return free.Regular
	}
	return resources.Vector{hidden, hidden, hidden, hidden}
}

func (s single) Flush(now, quiet time.Time, p FlushPolicy) ([]Batch, time.Time) {
	due, _, next := s.Cache.Flush(now, quiet, func(string) FlushPolicy { return p })
	return due, next
}

func (s single) Landed(agent string) { s.Cache.Landed(agent, "web") }

// plainMembers are the members of a batch that took unreserved resources only.
func plainMembers(ids []string, needs ...resources.Vector) (list []Member) {
	for n, id := range ids {
		list = append(list, Member{ID: id, Parts: []resources.Portion{{Bundle: resources.Bundle{Vector: needs[n]}}}})
	}
	return list
}

// withNodes returns a cache that knows the given agents as nodes.
func withNodes(agents ...string) single {
	s := newSingle()
	addNodes(s.Cache, agents...)
	return s
}

func addNodes(c *Cache, agents ...string) {
	for _, agent := range agents {
		c.AddAgent(agent, agent+".example")
		c.SetNode(agent, nodeOf(agent))
	}
}

// holder is a *Cache or a single.
type holder interface {
	Slot(agent string) (int32, bool)
	Add(o *Offer, now time.Time) (int32, []string, bool)
	View() []AgentView
}

func slotFor(t testing.TB, c holder, agent string) int32 {
	t.Helper()
	i, ok := c.Slot(agent)
	if !ok {
		t.Fatalf("agent %s has no slot", agent)
	}
	return i
}

func mustAdd(t testing.TB, c holder, list ...*Offer) {
	t.Helper()
	for _, o := range list {
		if _, _, added := c.Add(o, epoch); !added {
			t.Fatalf("offer %s was taken for known", o.ID)
		}
	}
}

func mustReserve(t testing.TB, c single, agent, id string, need resources.Vector, now time.Time) {
	t.Helper()
	if err := c.Reserve(slotFor(t, c, agent), id, need, now); err != nil {
		t.Fatalf("Reserve(%s, %s, %s): %v", agent, id, need, err)
	}
}

func viewOf(t testing.TB, c holder, agent string) AgentView {
	t.Helper()
	for _, v := range c.View() {
		if v.AgentID == agent {
			return v
		}
	}
	t.Fatalf("agent %s is not in the view", agent)
	return AgentView{}
}
