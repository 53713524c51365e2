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
	"fmt"
	"slices"
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

// offerOf returns an offer of an agent whose host has the agent's name.
func offerOf(id, agent string, free resources.Vector) *Offer {
	return &Offer{ID: id, AgentID: agent, Hostname: agent + ".example", Role: "web", Unreserved: resources.Bundle{Vector: free}}
}

// nodeOf names the node of an agent, as tests call them.
func nodeOf(agent string) string { return "node-of-" + agent }

// withNodes returns a cache that knows the given agents as nodes.
func withNodes(agents ...string) *Cache {
	c := NewCache("web")
	for _, agent := range agents {
		c.AddAgent(agent, agent+".example")
		c.SetNode(agent, nodeOf(agent))
	}
	return c
}

func slotFor(t testing.TB, c *Cache, agent string) int32 {
	t.Helper()
	i, ok := c.Slot(agent)
	if !ok {
		t.Fatalf("agent %s has no slot", agent)
	}
	return i
}

func mustAdd(t testing.TB, c *Cache, list ...*Offer) {
	t.Helper()
	for _, o := range list {
		if _, added := c.Add(o, epoch); !added {
			t.Fatalf("offer %s was taken for known", o.ID)
		}
	}
}

func mustReserve(t testing.TB, c *Cache, agent, id string, need resources.Vector, now time.Time) {
	t.Helper()
	if err := c.Reserve(slotFor(t, c, agent), id, need, now); err != nil {
		t.Fatalf("Reserve(%s, %s, %s): %v", agent, id, need, err)
	}
}

func viewOf(t testing.TB, c *Cache, agent string) AgentView {
	t.Helper()
	for _, v := range c.View() {
		if v.AgentID == agent {
			return v
		}
	}
	t.Fatalf("agent %s is not in the view", agent)
	return AgentView{}
}

// audit checks everything that must hold of a cache at any time when no writer
// is inside, whatever happened before. It returns the first violation.
func audit(c *Cache) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := auditor{c: c, cols: c.cols.Load(), open: map[int32]bool{}}
	if used := int(c.used.Load()); used != len(c.slots) || used > len(a.cols.state) {
		return fmt.Errorf("%d slots, %d used, columns for %d", len(c.slots), used, len(a.cols.state))
	}
	if err := a.openList(); err != nil {
		return err
	}
	for i := range c.slots {
		if err := a.slot(int32(i)); err != nil {
			return fmt.Errorf("slot %d: %w", i, err)
		}
	}
	if a.offers != len(c.byOffer) || a.members != len(c.byMember) || a.agents != len(c.byAgent) {
		return fmt.Errorf("slots have %d offers, %d members, %d agents; the maps %d, %d, %d",
			a.offers, a.members, a.agents, len(c.byOffer), len(c.byMember), len(c.byAgent))
	}
	if a.vacant != len(c.vacant) {
		return fmt.Errorf("%d slots are vacant, %d are listed so", a.vacant, len(c.vacant))
	}
	if a.total != c.total {
		return fmt.Errorf("offers sum up to %s, the total says %s", a.total, c.total)
	}
	return nil
}

type auditor struct {
	c                               *Cache
	cols                            *columns
	open                            map[int32]bool
	offers, members, agents, vacant int
	total                           resources.Vector
}

func (a *auditor) openList() error {
	for n, i := range a.c.open {
		s := a.c.slots[i]
		if a.open[i] || s == nil || len(s.members) == 0 {
			return fmt.Errorf("open batch %d is listed twice or is none", i)
		}
		a.open[i] = true
		if n > 0 && s.openedAt.Before(a.c.slots[a.c.open[n-1]].openedAt) {
			return fmt.Errorf("open batch %d is older than the one before it", i)
		}
	}
	return nil
}

func (a *auditor) slot(i int32) error {
	s := a.c.slots[i]
	if s == nil {
		a.vacant++
		if !slices.Contains(a.c.vacant, i) {
			return fmt.Errorf("is not listed as vacant")
		}
		return a.columns(i, slotVacant, resources.Vector{}, "")
	}
	a.agents++
	if at, ok := a.c.byAgent[s.agent]; !ok || at != i {
		return fmt.Errorf("agent %s is found at %d", s.agent, at)
	}
	var offered, reserved resources.Vector
	for _, h := range s.offers {
		offered = offered.Add(h.free)
		if at, ok := a.c.byOffer[h.id]; !ok || at != i {
			return fmt.Errorf("offer %s is found at %d", h.id, at)
		}
	}
	for _, m := range s.members {
		reserved = reserved.Add(m.need)
		if at, ok := a.c.byMember[m.id]; !ok || at != i {
			return fmt.Errorf("member %s is found at %d", m.id, at)
		}
	}
	a.offers, a.members, a.total = a.offers+len(s.offers), a.members+len(s.members), a.total.Add(offered)
	if offered != s.offered || reserved != s.reserved {
		return fmt.Errorf("offered %s and reserved %s are booked as %s and %s", offered, reserved, s.offered, s.reserved)
	}
	if offered.Sub(reserved).AnyNegative() {
		return fmt.Errorf("over-committed: offered %s, reserved %s", offered, reserved)
	}
	if len(s.members) > 0 && (len(s.offers) == 0 || !a.open[i]) {
		return fmt.Errorf("members %v without an offer or an open batch", s.members)
	}
	return a.columns(i, wantState(s), offered.Sub(reserved), s.node)
}

// wantState says what the columns must tell of a slot that has an agent.
func wantState(s *slot) slotState {
	switch {
	case s.node == "", len(s.members) > 0 && s.batchNode != s.node:
		return slotVacant
	case len(s.offers) > 0:
		return slotOffered
	case s.inFlight:
		return slotInFlight
	}
	return slotNoOffer
}

func (a *auditor) columns(i int32, state slotState, free resources.Vector, node string) error {
	if got := slotState(a.cols.state[i].Load()); got != state {
		return fmt.Errorf("state column says %d, want %d", got, state)
	}
	for k := range free {
		want := free[k]
		if state != slotOffered {
			want = hidden
		}
		if got := a.cols.free[k][i].Load(); got != want {
			return fmt.Errorf("%s column says %d, want %d", resources.Kind(k), got, want)
		}
	}
	got := ""
	if name := a.cols.node[i].Load(); name != nil {
		got = *name
	}
	if got != node {
		return fmt.Errorf("node column says %q, want %q", got, node)
	}
	return nil
}

func mustAudit(t testing.TB, c *Cache) {
	t.Helper()
	if err := audit(c); err != nil {
		t.Fatalf("the cache contradicts itself: %v", err)
	}
}
