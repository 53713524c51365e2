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

package reservations

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// at is the time some minutes after the tests begin.
func at(minutes float64) time.Time {
	return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(minutes * float64(time.Minute)))
}

func cpus(n int64) resources.Bundle {
	return resources.Bundle{Vector: resources.Vector{resources.CPU: 1000 * n}}
}

func portion(o Owner, n int64) resources.Portion {
	return resources.Portion{Flavour: Flavour(us, "eng", "", o), Bundle: cpus(n)}
}

func agent(id string, reserved ...resources.Portion) Agent { return Agent{ID: id, Reserved: reserved} }

func (a Agent) using(used ...resources.Portion) Agent {
	a.Used = used
	return a
}

func registry() *Registry {
	r := NewRegistry()
	r.SetFramework(us)
	return r
}

// expect is what must be known of a key.
func (r *Registry) expect(t *testing.T, key string, agents ...string) {
	t.Helper()
	if got := r.Agents(key); !slices.Equal(got, agents) {
		t.Errorf("%s is on %q, want %q", key, got, agents)
	}
	got, ok := r.Where(key)
	if ok != (len(agents) > 0) || ok && got != agents[0] {
		t.Errorf("Where(%s) = %q, %t", key, got, ok)
	}
}

func (r *Registry) expectDue(t *testing.T, want ...Due) {
	t.Helper()
	if diff := cmp.Diff(want, r.Due()); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	if wanted := r.Wanted(); len(wanted) != min(len(want), 1) || len(want) > 0 && !wanted["eng"] {
		t.Errorf("wanted roles are %v", wanted)
	}
}

func TestAListBringsAllBack(t *testing.T) {
	r := registry()
	if r.Synced() {
		t.Error("synced before any list")
	}
	r.expect(t, db0.Key())
	r.Listed(at(0), []Agent{agent("a"), agent("b", portion(db0, 1), portion(ownerOf("db-1"), 1))})
	if !r.Synced() || !r.HasAgent("a") || r.HasAgent("c") {
		t.Error("the list was not taken in")
	}
	r.expect(t, db0.Key(), "b")
	r.expect(t, ownerOf("db-1").Key(), "b")
	r.expect(t, ownerOf("db-2").Key())
	if _, ok := r.Where(db0.Key(), "ops"); ok {
		t.Error("Where names a reservation of another role")
	}
	if got, ok := r.Where(db0.Key(), "ops", "eng"); !ok || got != "b" {
		t.Errorf("Where = %q, %t", got, ok)
	}
	if got := len(r.Owners(nil)); got != 2 {
		t.Errorf("%d owners", got)
	}
	if got := r.Owners(func(o Owner) bool { return o.Pod == "db-1" }); len(got) != 1 || got[0] != ownerOf("db-1") {
		t.Errorf("owners = %v", got)
	}
	r.expectDue(t)
}

func TestAListThatIsOlderThanTheNews(t *testing.T) {
	r := registry()
	r.Made("a", portion(db0, 1), at(1))
	r.Listed(at(0.5), []Agent{agent("a")})
	r.expect(t, db0.Key(), "a")
	r.Listed(at(2), []Agent{agent("a")})
	r.expect(t, db0.Key())
	r.Offered("o", "a", []resources.Portion{portion(db0, 1)}, at(3))
	r.Listed(at(2.5), []Agent{agent("a")})
	r.expect(t, db0.Key(), "a")
	r.Condemn(db0.Key(), ScaledDown, at(4))
	r.Unreserved("a", portion(db0, 1), at(5))
	r.expectDue(t)
	r.Listed(at(4.5), []Agent{agent("a", portion(db0, 1))})
	r.expectDue(t)
	if r.TakeReleased() != nil {
		t.Error("told before a list shows it")
	}
	r.Listed(at(6), []Agent{agent("a")})
	if got := r.TakeReleased(); !slices.Equal(got, []Released{{db0, "a", "eng", ScaledDown}}) {
		t.Errorf("released %v", got)
	}
	if r.Condemned(db0.Key()) || r.TakeReleased() != nil || len(r.Owners(nil)) != 0 {
		t.Error("something is left of what is gone")
	}
}

func TestUnreservedInVain(t *testing.T) {
	r := registry()
	r.Listed(at(0), []Agent{agent("a", portion(db0, 2))})
	r.Condemn(db0.Key(), StatefulSetGone, at(1))
	due := Due{AgentID: "a", Role: "eng", Key: db0.Key(), Reason: StatefulSetGone, Since: at(1)}
	r.Unreserved("a", portion(db0, 2), at(2))
	r.expectDue(t)
	r.Listed(at(3), []Agent{agent("a", portion(db0, 2))})
	r.expectDue(t, due)
	r.Unreserved("a", portion(db0, 2), at(4))
	r.Offered("o", "a", []resources.Portion{portion(db0, 2)}, at(5))
	due.Offers = []string{"o"}
	r.expectDue(t, due)
	r.Unreserved("a", portion(db0, 1), at(6)) // the rest is there still
	r.expectDue(t, due)
	r.OfferGone("o")
	due.Offers = nil
	r.expectDue(t, due)
	r.Unreserved("a", portion(db0, 1), at(7))
	r.expectDue(t)
}

func TestWhatATaskUsesIsNotDue(t *testing.T) {
	r := registry()
	r.Listed(at(0), []Agent{agent("a", portion(db0, 2)).using(portion(db0, 2))})
	waiting := func(want bool) {
		t.Helper()
		if got := r.Waiting(); got != want {
			t.Errorf("Waiting() = %t, want %t", got, want)
		}
	}
	waiting(false)
	r.Condemn(db0.Key(), StatefulSetGone, at(1))
	r.expectDue(t)
	waiting(true)
	due := Due{AgentID: "a", Role: "eng", Key: db0.Key(), Reason: StatefulSetGone, Since: at(1)}
	r.Listed(at(2), []Agent{agent("a", portion(db0, 2)).using(portion(db0, 1))})
	r.expectDue(t, due)
	waiting(false)
	r.Listed(at(3), []Agent{agent("a", portion(db0, 2)).using(portion(db0, 2))})
	r.Offered("o1", "a", []resources.Portion{{Bundle: cpus(9)}, portion(db0, 1)}, at(4))
	r.Offered("o2", "a", []resources.Portion{portion(db0, 1), portion(ownerOf("db-1"), 1)}, at(4))
	due.Offers = []string{"o1", "o2"}
	r.expectDue(t, due)
	r.Disconnected()
	r.expectDue(t)
}

func TestReleaseOfPortions(t *testing.T) {
	r := registry()
	r.Listed(at(0), []Agent{agent("a", portion(db0, 2)), agent("b", portion(ownerOf("db-1"), 2))})
	r.Condemn(db0.Key(), StatefulSetGone, at(1))
	for name, test := range map[string]struct {
		agent   string
		portion resources.Portion
		want    bool
	}{
		"condemned":      {"a", portion(db0, 1), true},
		"elsewhere":      {"b", portion(db0, 1), false},
		"living":         {"b", portion(ownerOf("db-1"), 1), false},
		"another role":   {"a", resources.Portion{Flavour: Flavour(us, "ops", "", db0), Bundle: cpus(1)}, false},
		"not reserved":   {"a", resources.Portion{Bundle: cpus(1)}, false},
		"not labelled":   {"a", resources.Portion{Flavour: &resources.Flavour{Reservations: []resources.Reservation{{Role: "eng"}}}}, false},
		"not ours":       {"a", resources.Portion{Flavour: Flavour("f-0002", "eng", "", db0), Bundle: cpus(1)}, false},
		"from a master":  {"a", resources.Portion{Flavour: changed(func(f *resources.Flavour) { f.Wire = "w" }), Bundle: cpus(1)}, true},
		"with principal": {"a", resources.Portion{Flavour: Flavour(us, "eng", "p", db0), Bundle: cpus(1)}, true},
	} {
		if got := r.Release(test.agent, test.portion); got != test.want {
			t.Errorf("%s: Release = %t", name, got)
		}
	}
	r.expect(t, db0.Key()) // its pod, should it come, is not sent there
	r.Spare(db0.Key())
	if r.Release("a", portion(db0, 1)) {
		t.Error("released although spared")
	}
	r.expect(t, db0.Key(), "a")
	r.Condemn(db0.Key(), StatefulSetGone, at(2))
	r.Made("a", portion(db0, 1), at(3))
	if r.Release("a", portion(db0, 1)) || r.Condemned(db0.Key()) {
		t.Error("released although it was launched on")
	}
	r.Condemn("nobody/knows/this", StatefulSetGone, at(4))
	if r.Condemned("nobody/knows/this") {
		t.Error("a verdict on nothing is remembered")
	}
}

func TestAgentsThatAreAway(t *testing.T) {
	r := registry()
	r.Listed(at(0), []Agent{agent("a", portion(db0, 2))})
	r.Condemn(db0.Key(), StatefulSetGone, at(0))
	r.Listed(at(1), nil)
	r.expectDue(t)
	r.Spare(db0.Key())
	r.expect(t, db0.Key(), "a")
	r.Listed(at(2), []Agent{agent("a", portion(db0, 2))})
	r.Listed(at(10.5), nil)
	r.Listed(at(20), nil)
	r.expect(t, db0.Key(), "a") // its time began anew
	r.Listed(at(20.5), nil)
	r.expect(t, db0.Key())
	r.Listed(at(21), []Agent{agent("a", portion(db0, 2))})
	r.Offered("o", "a", []resources.Portion{portion(db0, 2)}, at(21))
	r.AgentGone("a", at(22))
	r.expect(t, db0.Key())
	r.OfferGone("o")
	r.Listed(at(23), []Agent{agent("a", portion(db0, 2))})
	r.expect(t, db0.Key(), "a")
}

func TestSurplus(t *testing.T) {
	r := registry()
	r.AgentGone("a", at(0))
	r.Made("b", portion(db0, 1), at(0))
	both := []Agent{agent("a", portion(db0, 2)), agent("b", portion(db0, 1)).using(portion(db0, 1))}
	r.Listed(at(1), both)
	r.expect(t, db0.Key(), "b", "a")
	r.Listed(at(10), both)
	r.expectDue(t)
	// It does not use any now: either may be where its volumes are.
	r.Listed(at(10.5), []Agent{both[0], agent("b", portion(db0, 1))})
	r.Listed(at(30), []Agent{both[0], agent("b", portion(db0, 1))})
	r.expectDue(t)
	r.expect(t, db0.Key(), "b", "a")
	r.Listed(at(31), both)
	r.Listed(at(41), both)
	r.expectDue(t, Due{AgentID: "a", Role: "eng", Key: db0.Key(), Reason: Surplus, Since: at(41)})
	if !r.Release("a", portion(db0, 2)) || r.Release("b", portion(db0, 1)) {
		t.Error("the wrong one is released")
	}
	r.expect(t, db0.Key(), "b")
	// It moved, and the former task has not ended.
	moved := []Agent{agent("a", portion(db0, 2)).using(portion(db0, 2)), both[1]}
	r.Listed(at(41.5), moved)
	r.Listed(at(60), moved)
	if r.expectDue(t); r.Release("a", portion(db0, 2)) || r.Release("b", portion(db0, 1)) {
		t.Error("one that is used is released as a surplus")
	}
	r.Listed(at(61), both)
	r.Listed(at(71), both)
	r.AgentGone("b", at(72)) // What was too much is the only one now.
	r.expectDue(t)
	r.expect(t, db0.Key(), "a")
}

func TestByHand(t *testing.T) {
	foreignOne := resources.Portion{Flavour: Flavour("f-0000", "eng", "", db0), Bundle: cpus(1)}
	broken := resources.Portion{Flavour: changed(func(f *resources.Flavour) { f.Reserved().Labels[2].Value = "" }), Bundle: cpus(1)}
	alien := resources.Portion{Flavour: &resources.Flavour{Reservations: []resources.Reservation{
		{Role: "eng", Dynamic: true, Labels: []resources.Label{{Key: "x", Value: "y"}}}}}, Bundle: cpus(1)}
	list := []Agent{agent("a", portion(db0, 1), portion(ownerOf("db-1"), 1), foreignOne, broken, alien), agent("b", portion(db0, 1))}
	for value, want := range map[string][]resources.Portion{
		"shop/db-0":              {portion(db0, 1)},
		"f-0001/shop/db-0":       {portion(db0, 1)},
		"shop/db-1, shop/db-0":   {portion(db0, 1), portion(ownerOf("db-1"), 1)},
		"shop/db-7":              nil,
		"*":                      {portion(db0, 1), portion(ownerOf("db-1"), 1), broken},
		"f-0000/shop/db-0":       {foreignOne},
		"*,f-0000/shop/db-0":     {portion(db0, 1), portion(ownerOf("db-1"), 1), broken, foreignOne},
		"f-0002/shop/db-0":       nil,
		"db-0":                   nil,
		"shop/":                  nil,
		"":                       nil,
		"shop/db-0,":             nil,
		"f-0001/shop/db-0/extra": nil,
	} {
		r := registry()
		r.Listed(at(0), list)
		n, err := r.ReleaseOn("a", value, at(1))
		if valid := value != "db-0" && value != "shop/" && value != "" && value != "shop/db-0," && value != "f-0001/shop/db-0/extra"; (err == nil) != valid {
			t.Errorf("%q: %v", value, err)
		}
		if n != len(want) || r.ReleasedByHand("a") != (n == 0) || !r.ReleasedByHand("b") || r.ReleasedByHand("c") {
			t.Errorf("%q means %d reservations, want %d", value, n, len(want))
		}
		for _, p := range list[0].Reserved {
			meant := slices.ContainsFunc(want, func(w resources.Portion) bool { return w.Flavour.Equal(p.Flavour) })
			if got := r.Release("a", p); got != meant {
				t.Errorf("%q: Release of %s is %t", value, p.Flavour, got)
			}
		}
		r.CancelOn("a", at(2))
		if !r.ReleasedByHand("a") || r.Due() != nil {
			t.Errorf("%q is not taken back", value)
		}
		if r.Release("b", portion(db0, 1)) {
			t.Errorf("%q releases on another agent", value)
		}
	}
}

func TestByHandIsOverWhenItIsGone(t *testing.T) {
	r := registry()
	r.Listed(at(0), []Agent{agent("a", portion(db0, 1)).using(portion(db0, 1)), agent("b", portion(db0, 1))})
	if n := r.ReleaseNow(db0.Key(), at(1)); n != 2 {
		t.Errorf("%d reservations are meant", n)
	}
	r.Spare(db0.Key()) // a living owner does not matter
	r.expect(t, db0.Key())
	r.Listed(at(2), []Agent{agent("a", portion(db0, 1)), agent("b", portion(db0, 1))})
	due := Due{AgentID: "a", Role: "eng", Key: db0.Key(), Reason: ByHand, Since: at(1)}
	other := due
	other.AgentID = "b"
	r.expectDue(t, due, other)
	r.Unreserved("a", portion(db0, 1), at(3))
	if r.ReleasedByHand("a") {
		t.Error("over before a list shows it")
	}
	r.Made("a", portion(db0, 1), at(3.5)) // The pod came to the same node: this is another one.
	if r.Release("a", portion(db0, 1)) || !r.ReleasedByHand("a") {
		t.Error("what was made later is released")
	}
	r.expect(t, db0.Key(), "a")
	r.Made("b", portion(db0, 1), at(4)) // it was never given back
	if !r.Release("b", portion(db0, 1)) {
		t.Error("a launch takes back what was asked for by hand")
	}
}

func TestStuckAndCounts(t *testing.T) {
	r := registry()
	foreignOne := resources.Portion{Flavour: Flavour("f-0000", "eng", "", db0), Bundle: cpus(1)}
	broken := resources.Portion{Flavour: changed(func(f *resources.Flavour) { f.Reserved().Labels[2].Value = "" }), Bundle: cpus(1)}
	r.Listed(at(0), []Agent{
		agent("a", portion(db0, 2), portion(ownerOf("db-1"), 1), portion(ownerOf("db-2"), 1)).using(portion(db0, 1)),
		agent("b", foreignOne), agent("c", broken),
	})
	r.Condemn(db0.Key(), StatefulSetGone, at(0))
	r.Condemn(ownerOf("db-1").Key(), ScaledDown, at(5))
	if diff := cmp.Diff(map[string]int{StateKept: 1, StateReleasing: 1, StateStuck: 1, StateForeign: 1, StateUnreadable: 1}, r.Counts(at(10))); diff != "" {
		t.Error(diff)
	}
	stuck := r.Stuck(at(10))
	want := []Status{
		{AgentID: "a", Role: "eng", Name: db0.Key(), State: StateStuck, Labels: Flavour(us, "eng", "", db0).String(), Amount: "cpus:2", InUse: "cpus:1",
			Reason: StatefulSetGone, Since: at(0)},
		{AgentID: "b", Role: "eng", Name: "foreign " + foreignOne.Flavour.String(), State: StateForeign, Labels: foreignOne.Flavour.String(), Amount: "cpus:1", InUse: "{}"},
		{AgentID: "c", Role: "eng", Name: "unreadable " + broken.Flavour.String(), State: StateUnreadable, Labels: broken.Flavour.String(), Amount: "cpus:1", InUse: "{}"},
	}
	if diff := cmp.Diff(want, stuck); diff != "" {
		t.Errorf("stuck (-want +got):\n%s", diff)
	}
	if n := r.ReleaseNow(stuck[1].Name, at(11)); n != 1 || !r.Release("b", foreignOne) {
		t.Error("a stuck one cannot be released by its name")
	}
}

func TestAnotherFrameworkId(t *testing.T) {
	r := registry()
	r.Listed(at(0), []Agent{agent("a", portion(db0, 2))})
	r.SetFramework(us)
	r.expect(t, db0.Key(), "a")
	r.SetFramework("f-0002")
	if r.Synced() {
		t.Error("synced under the new id")
	}
	r.Listed(at(1), []Agent{agent("a", portion(db0, 2))})
	r.expect(t, db0.Key())
	if r.Counts(at(1))[StateForeign] != 1 {
		t.Errorf("counts = %v", r.Counts(at(1)))
	}
}

func TestAmounts(t *testing.T) {
	ports := func(from, to uint64) resources.Ranges {
		return resources.NewRanges(resources.Range{Begin: from, End: to})
	}
	a := resources.Bundle{Vector: resources.Vector{1, 5}, Ports: ports(1, 4), Scalars: resources.Scalars{{Name: "x", Milli: 3}}}
	b := resources.Bundle{Vector: resources.Vector{2, 4}, Ports: ports(3, 6), Scalars: resources.Scalars{{Name: "x", Milli: 2}, {Name: "y", Milli: 1}}}
	want := resources.Bundle{Vector: resources.Vector{2, 5}, Ports: ports(1, 6), Scalars: resources.Scalars{{Name: "x", Milli: 3}, {Name: "y", Milli: 1}}}
	if got := larger(a, b); !got.Equal(&want) {
		t.Errorf("larger = %s, want %s", got, want)
	}
	if !anything(a.Sub(b)) || anything(a.Sub(want)) {
		t.Error("anything is wrong about what is left")
	}
}
