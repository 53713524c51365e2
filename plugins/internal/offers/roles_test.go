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
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// offerTo is offerOf for another role.
func offerTo(role, id, agent string, free resources.Vector) *Offer {
	o := offerOf(id, agent, free)
	o.Role = role
	return o
}

// always is a policy that is the same for all roles.
func always(p FlushPolicy) func(string) FlushPolicy {
	return func(string) FlushPolicy { return p }
}

// drained makes Flush send everything.
var drained = always(FlushPolicy{Drained: true})

func reserveIn(t testing.TB, c *Cache, role, agent, id string, want *Want, now time.Time) []resources.Portion {
	t.Helper()
	parts, err := c.Role(role).Reserve(slotFor(t, c, agent), id, want, now)
	if err != nil {
		t.Fatalf("Reserve(%s, %s, %s, %s): %v", role, agent, id, want.Need, err)
	}
	return parts
}

// sorted orders batches by agent and role: Flush promises no order among roles.
func sorted(due []Batch) []Batch {
	slices.SortFunc(due, func(a, b Batch) int {
		return slices.Compare([]string{a.AgentID, a.Role}, []string{b.AgentID, b.Role})
	})
	return due
}

// Offers of one agent to two roles never share anything: neither what is free nor a
// batch nor its being in flight.
func TestRolesShareAgentsAndNothingElse(t *testing.T) {
	c := NewCache(Config{})
	addNodes(c, "a", "b")
	mustAdd(t, c, offerTo("eng", "e1", "a", cm(4, 4)), offerTo("ads", "d1", "a", cm(2, 2)), offerTo("eng", "e2", "a", cm(1, 1)))
	i := slotFor(t, c, "a")
	eng, ads := c.Role("eng"), c.Role("ads")
	if again := c.Role("eng"); again != eng || eng.Name() != "eng" {
		t.Errorf("Role is %q at first and another then", eng.Name())
	}
	for _, tt := range []struct {
		role *Role
		most resources.Vector
	}{{eng, cm(5, 5)}, {ads, cm(2, 2)}} {
		if free, ok := tt.role.FreeOf(i); !ok || free != (Free{AgentID: "a", Regular: tt.most, All: tt.most}) {
			t.Errorf("%s: FreeOf = %v, %t, want %s", tt.role.Name(), free, ok, tt.most)
		}
		if v, _ := tt.role.Fits(i, Plain(tt.most)); v != Fitting {
			t.Errorf("%s: %s does not fit", tt.role.Name(), tt.most)
		}
		if v, lacks := tt.role.Fits(i, Plain(tt.most.Add(cm(1, 0)))); v != ShortOf || lacks != "cpu" {
			t.Errorf("%s: Fits = %d, %q for more than there is", tt.role.Name(), v, lacks)
		}
	}
	if v, _ := c.Role("other").Fits(i, Plain(cm(0, 0))); v != NoOffer {
		t.Errorf("a role without offers: verdict %d, want NoOffer", v)
	}
	reserveIn(t, c, "eng", "a", "p", Plain(cm(4, 4)), epoch)
	reserveIn(t, c, "ads", "a", "q", Plain(cm(1, 1)), epoch.Add(time.Second))
	if _, err := ads.Reserve(i, "p", Plain(cm(1, 1)), epoch); err == nil || errors.Is(err, ErrNoOffer) {
		t.Errorf("p is reserved twice, in two roles: %v", err)
	}
	if free, _ := ads.FreeOf(i); free.Regular != cm(1, 1) || eng.Waiting() != 1 || ads.Waiting() != 1 {
		t.Errorf("%s left for ads; %d and %d wait", free.Regular, eng.Waiting(), ads.Waiting())
	}
	mustAudit(t, c)

	// Of the two batches of the agent one is due.
	due, _, next := c.Flush(epoch.Add(10*time.Second), epoch.Add(10*time.Second), func(role string) FlushPolicy {
		return FlushPolicy{Linger: time.Hour, MaxLinger: map[string]time.Duration{"eng": 10 * time.Second, "ads": time.Minute}[role], MaxTasks: 9}
	})
	want := []Batch{{
		AgentID: "a", Role: "eng", Node: nodeOf("a"), OfferIDs: []string{"e1", "e2"}, Members: plainMembers([]string{"p"}, cm(4, 4)),
		Offered: cm(5, 5), Need: cm(4, 4), OpenedAt: epoch,
	}}
	if diff := cmp.Diff(want, due); diff != "" || !next.Equal(epoch.Add(61*time.Second)) {
		t.Errorf("next %s, due (-want +got):\n%s", next, diff)
	}
	state := func(r *Role) Verdict {
		v, _ := r.Fits(i, Plain(cm(1, 1)))
		return v
	}
	if state(eng) != InFlight || state(ads) != Fitting || !c.HasOffers("a") {
		t.Errorf("eng is %d, ads is %d", state(eng), state(ads))
	}
	c.Landed("a", "ads")
	c.Landed("a", "unknown")
	if state(eng) != InFlight {
		t.Error("the answer to another role's batch landed eng's")
	}
	if c.Landed("a", "eng"); state(eng) != NoOffer || state(ads) != Fitting {
		t.Errorf("after Landed: eng is %d, ads is %d", state(eng), state(ads))
	}
	mustAudit(t, c)
}

// The policy is asked per role, and the earliest of all roles says when to ask again.
func TestFlushAsksEveryRole(t *testing.T) {
	c := NewCache(Config{})
	addNodes(c, "a", "b")
	mustAdd(t, c, offerTo("eng", "e", "a", cm(4, 4)), offerTo("ads", "d", "b", cm(4, 4)), offerTo("idle", "i", "b", cm(4, 4)))
	reserveIn(t, c, "eng", "a", "p", Plain(cm(1, 1)), epoch)
	reserveIn(t, c, "ads", "b", "q", Plain(cm(1, 1)), epoch)
	asked := map[string]int{}
	policy := func(role string) FlushPolicy {
		asked[role]++
		p := FlushPolicy{Linger: time.Hour, MaxLinger: time.Minute, MaxTasks: 5}
		if role == "ads" {
			p.MaxLinger, p.Smallest = time.Second, cm(3, 3)
		}
		return p
	}
	for range 20 {
		if due, _, next := c.Flush(epoch, epoch, policy); len(due) != 0 || !next.Equal(epoch.Add(time.Second)) {
			t.Fatalf("Flush = %v, %s, want nothing and one second", due, next)
		}
	}
	if !cmp.Equal(asked, map[string]int{"eng": 20, "ads": 20}) {
		t.Errorf("asked %v, want the roles that have an open batch", asked)
	}
	if complete := c.Role("ads").Complete(slotFor(t, c, "b"), policy("ads")); complete {
		t.Error("complete though the smallest fits")
	}
	reserveIn(t, c, "ads", "b", "r", Plain(cm(1, 0)), epoch)
	due, _, next := c.Flush(epoch, epoch, policy)
	if len(due) != 1 || due[0].Role != "ads" || !cmp.Equal(due[0].IDs(), []string{"q", "r"}) || !next.Equal(epoch.Add(time.Minute)) {
		t.Errorf("Flush = %+v, %s, want the batch of ads alone", due, next)
	}
	if due, _, next = c.Flush(epoch, epoch, drained); len(due) != 1 || due[0].Role != "eng" || !next.IsZero() {
		t.Errorf("the last Flush = %+v, %s", due, next)
	}
	mustAudit(t, c)
}

// A role that is first asked for when agents are known, some of them gone, must know
// them too; and the columns of all roles grow together.
func TestRolesThatComeLate(t *testing.T) {
	const agents = 3 * firstSize
	c := NewCache(Config{})
	for n := range agents {
		if n%50 == 0 {
			c.Role(nameOf("early", n))
		}
		agent := nameOf("a", n)
		addNodes(c, agent)
		mustAdd(t, c, offerTo(nameOf("r", n%3), nameOf("o", n), agent, cm(2, 2)))
	}
	c.RemoveAgent("a7", epoch)
	mustAudit(t, c)
	late := c.Role("late")
	if sel := late.Select(Plain(cm(1, 1)), 0, 0, nil); sel.NoOffer != agents-1 || len(sel.Slots) != 0 {
		t.Errorf("late: %+v, want no offer of %d agents", sel, agents-1)
	}
	mustAdd(t, c, offerTo("late", "l", "a100", cm(2, 2)), offerTo("latest", "m", "a191", cm(2, 2)))
	for n := range 3 {
		sel := c.Role(nameOf("r", n)).Select(Plain(cm(1, 1)), 0, 0, nil)
		want := agents / 3
		if n == 7%3 {
			want--
		}
		if len(sel.Slots) != want || sel.NoOffer != agents-1-want {
			t.Errorf("r%d: %d fit, %d have no offer, want %d", n, len(sel.Slots), sel.NoOffer, want)
		}
	}
	if sel := late.Select(Plain(cm(1, 1)), 0, 0, nil); !cmp.Equal(sel.Slots, []int32{slotFor(t, c, "a100")}) {
		t.Errorf("late: %+v, want a100", sel)
	}
	// The vacant slot serves the next agent in all roles.
	addNodes(c, "new")
	if at := slotFor(t, c, "new"); at != 7 || c.NodeOf(7) != nodeOf("new") {
		t.Errorf("the new agent is at %d, want the vacant 7", at)
	}
	var names []string
	c.Roles(func(r *Role) { names = append(names, r.Name()) })
	if len(names) != 9 {
		t.Errorf("roles %v, want nine", names)
	}
	mustAudit(t, c)
}

func TestDrop(t *testing.T) {
	c := NewCache(Config{})
	addNodes(c, "a")
	mustAdd(t, c, offerTo("eng", "e", "a", cm(4, 4)), offerTo("ads", "d", "a", cm(4, 4)))
	eng := c.Role("eng")
	known := func() (known bool) {
		c.Roles(func(r *Role) { known = known || r == eng })
		return known
	}
	keeps := func(when string) {
		t.Helper()
		if c.Drop("eng"); !known() {
			t.Fatalf("%s: the role was dropped", when)
		}
		mustAudit(t, c)
	}
	keeps("while it has an offer")
	reserveIn(t, c, "eng", "a", "p", Plain(cm(1, 1)), epoch)
	keeps("with an open batch")
	c.Flush(epoch, epoch, func(string) FlushPolicy { return FlushPolicy{Drained: true} })
	keeps("while the batch is in flight")
	c.Landed("a", "eng")
	mustAdd(t, c, offerTo("eng", "e2", "a", cm(1, 1)))
	c.Sweep(epoch, func(h Held) bool { return h.Role == "eng" })
	c.Drop("unknown")
	if c.Drop("eng"); known() {
		t.Fatal("the role was not dropped")
	}
	mustAudit(t, c)

	// Whoever still has the dropped role is told nothing, and breaks nothing.
	i := slotFor(t, c, "a")
	c.RemoveAgent("a", epoch)
	addNodes(c, "b")
	need := Plain(cm(0, 0))
	if _, err := eng.Reserve(i, "q", need, epoch); !errors.Is(err, ErrNoOffer) {
		t.Errorf("Reserve of a dropped role: %v", err)
	}
	if v, _ := eng.Fits(i, need); v == Fitting {
		t.Error("something of a dropped role fits")
	}
	sel := eng.Select(need, 0, 0, nil)
	short := sel
	eng.Explain(Plain(cm(9, 9)), &short)
	if _, free := eng.FreeOf(i); len(sel.Slots) > 0 || free || short.Short != ([resources.NumKinds]int{}) || eng.Offered() != nil || eng.Complete(i, FlushPolicy{}) {
		t.Errorf("a dropped role has %v, free %t, short %v", sel.Slots, free, short)
	}
	mustAdd(t, c, offerTo("eng", "e3", "b", cm(2, 2)))
	if fresh := c.Role("eng"); fresh == eng {
		t.Error("the role that came back is the dropped one")
	}
	reserveIn(t, c, "eng", "b", "p", Plain(cm(2, 2)), epoch)
	mustAudit(t, c)
}

func TestRemoveAgentAndResetOverRoles(t *testing.T) {
	fill := func(t *testing.T) *Cache {
		c := NewCache(Config{})
		addNodes(c, "a", "b")
		for n, role := range []string{"eng", "ads", "web"} {
			for _, agent := range []string{"a", "b"} {
				mustAdd(t, c, offerTo(role, role+agent, agent, cm(4, 4)))
				reserveIn(t, c, role, agent, role+"/"+agent, Plain(cm(int64(n), 1)), epoch)
			}
		}
		mustAudit(t, c)
		return c
	}
	check := func(t *testing.T, c *Cache, got, want []string, left int) {
		t.Helper()
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("broken (-want +got):\n%s", diff)
		}
		mustAudit(t, c)
		if count, sum := c.Totals(); count != left || sum != cm(int64(4*left), int64(4*left)) {
			t.Errorf("Totals = %d, %s, want %d offers", count, sum, left)
		}
		due, _, next := c.Flush(epoch, epoch, drained)
		if len(due) != left || !next.IsZero() {
			t.Errorf("Flush = %v, %s, want %d batches", sorted(due), next, left)
		}
		mustAudit(t, c)
	}
	t.Run("RemoveAgent", func(t *testing.T) {
		c := fill(t)
		check(t, c, c.RemoveAgent("a", epoch), []string{"eng/a", "ads/a", "web/a"}, 3)
		if c.HasOffers("a") || c.HasOffers("b") {
			t.Error("offers are held of a lost agent, or after all were spent")
		}
	})
	t.Run("Reset", func(t *testing.T) {
		c := fill(t)
		check(t, c, c.Reset(epoch), []string{"eng/a", "ads/a", "web/a", "eng/b", "ads/b", "web/b"}, 0)
		if len(c.View()) != 0 {
			t.Errorf("View = %v after Reset", c.View())
		}
		addNodes(c, "c")
		mustAdd(t, c, offerTo("eng", "enga", "c", cm(1, 1)))
		reserveIn(t, c, "eng", "c", "eng/a", Plain(cm(1, 1)), epoch)
		mustAudit(t, c)
	})
}

// An agent that becomes another node is withdrawn in every role that has an open
// batch for the first node, and in no other.
func TestSetNodeOverRoles(t *testing.T) {
	c := NewCache(Config{})
	addNodes(c, "a")
	mustAdd(t, c, offerTo("eng", "e", "a", cm(4, 4)), offerTo("ads", "d", "a", cm(4, 4)))
	reserveIn(t, c, "eng", "a", "p", Plain(cm(1, 1)), epoch)
	c.SetNode("a", "other")
	i := slotFor(t, c, "a")
	if v, _ := c.Role("eng").Fits(i, Plain(cm(1, 1))); v != NotAgent {
		t.Errorf("eng: verdict %d, want NotAgent", v)
	}
	if v, _ := c.Role("ads").Fits(i, Plain(cm(1, 1))); v != Fitting || c.NodeOf(i) != "other" {
		t.Errorf("ads: verdict %d of node %q, want Fitting", v, c.NodeOf(i))
	}
	mustAudit(t, c)
	reserveIn(t, c, "ads", "a", "q", Plain(cm(1, 1)), epoch)
	due, _, _ := c.Flush(epoch, epoch, drained)
	if sorted(due); len(due) != 2 || due[0].Node != "other" || due[1].Node != nodeOf("a") {
		t.Errorf("Flush = %+v, want each batch for its own node", due)
	}
	mustAudit(t, c)
}

func TestViewAndSweepOverRoles(t *testing.T) {
	c := NewCache(Config{})
	addNodes(c, "a", "idle")
	window := offerTo("ads", "d", "a", cm(2, 2))
	window.Unavailability = &Unavailability{Start: epoch.Add(time.Hour)}
	mustAdd(t, c, offerTo("eng", "e", "a", cm(4, 4)), window)
	reserveIn(t, c, "eng", "a", "p", Plain(cm(1, 1)), epoch)
	views := c.View()
	slices.SortFunc(views, func(a, b AgentView) int {
		return slices.Compare([]string{a.AgentID, a.Role}, []string{b.AgentID, b.Role})
	})
	want := []AgentView{
		{AgentID: "a", Hostname: "a.example", Node: nodeOf("a"), Role: "ads", Offers: []string{"d"}, Offered: cm(2, 2), HeldSince: epoch},
		{AgentID: "a", Hostname: "a.example", Node: nodeOf("a"), Role: "eng", Offers: []string{"e"}, Offered: cm(4, 4), Reserved: cm(1, 1), Batch: []string{"p"}, HeldSince: epoch},
		{AgentID: "idle", Hostname: "idle.example", Node: nodeOf("idle")},
	}
	if diff := cmp.Diff(want, views); diff != "" {
		t.Errorf("View (-want +got):\n%s", diff)
	}
	// Maintenance is the agent's, whichever role was told of it.
	if at := c.UnavailableAt(slotFor(t, c, "a")); !at.Equal(epoch.Add(time.Hour)) || !c.AnyUnavailable() {
		t.Errorf("UnavailableAt = %s", at)
	}
	ids := c.Sweep(epoch, func(h Held) bool { return h.AgentFree == cm(2, 2) && h.Role == "ads" })
	if !cmp.Equal(ids, []string{"d"}) {
		t.Errorf("Sweep = %v, want the offer that no open batch needs", ids)
	}
	gone := c.Role("ads").Select(Plain(cm(3, 1)), 0, 0, nil)
	c.Role("ads").Explain(Plain(cm(3, 1)), &gone)
	if gone.Short != ([resources.NumKinds]int{resources.CPU: 1}) {
		t.Errorf("explained: %+v, want one short of cpu", gone)
	}
	held := c.Role("eng").Select(Plain(cm(9, 9)), 0, 0, nil)
	before := held.NoOffer
	c.Role("eng").Explain(Plain(cm(9, 9)), &held)
	if held.NoOffer != before {
		t.Errorf("eng: explained: %+v, want nothing: nothing of it was declined", held)
	}
	mustAudit(t, c)
}
