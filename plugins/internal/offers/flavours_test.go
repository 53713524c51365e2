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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// reservedFor makes the flavour of a reservation, as if it came from a master.
func reservedFor(role string, dynamic bool, labels ...resources.Label) *resources.Flavour {
	f := &resources.Flavour{Reservations: []resources.Reservation{{Role: role, Dynamic: dynamic, Labels: labels}}}
	f.Wire = f.String()
	return f
}

// sticky is a reservation of one owner.
func sticky(owner string) *resources.Flavour {
	return reservedFor("web", true, resources.Label{Key: "owner", Value: owner})
}

var (
	static  = reservedFor("web", false)
	dynamic = reservedFor("web", true)
	foreign = reservedFor("web", true, resources.Label{Key: "somebody", Value: "else"})
	mine    = sticky("web-0")
	yours   = sticky("web-1")
	riding  = resources.RevocableFlavour
	// odd is revocable and reserved, which is of no use to anybody.
	odd = &resources.Flavour{Revocable: true, Reservations: static.Reservations, Wire: "odd"}
)

// byOwner lets owners use what is labelled as theirs, and nobody the labels of others.
func byOwner(f *resources.Flavour) (owner string, usable bool) {
	r := f.Reserved()
	owner = r.Label("owner")
	return owner, owner != "" || len(r.Labels) == 0
}

func portion(f *resources.Flavour, v resources.Vector) resources.Portion {
	return resources.Portion{Flavour: f, Bundle: bundleOf(v)}
}

// rich returns an offer with more flavours than one: half of each, so that no cpu and
// no memory is of one flavour alone.
func rich() *Offer {
	o := offerOf("rich", "a", cm(1, 10))
	o.Special = []resources.Portion{
		portion(static, cm(2, 20)), portion(foreign, cm(4, 40)), portion(mine, cm(8, 80)),
		portion(yours, cm(16, 160)), portion(riding, cm(32, 320)), portion(dynamic, cm(64, 640)),
		portion(odd, cm(128, 1280)),
	}
	return o
}

// withRich returns a cache in which agent a, at slot 0, has the rich offer.
func withRich(t testing.TB) (*Cache, *Role) {
	t.Helper()
	c := NewCache(Config{Classify: byOwner})
	addNodes(c, "a")
	mustAdd(t, c, rich())
	return c, c.Role("web")
}

func wantOf(need resources.Vector, change func(*Want)) *Want {
	w := Plain(need)
	if change != nil {
		change(w)
	}
	return w
}

func TestReserveChoosesFlavours(t *testing.T) {
	made := &resources.Flavour{Reservations: []resources.Reservation{{Role: "web", Dynamic: true, Labels: []resources.Label{{Key: "owner", Value: "web-2"}}}}}
	tests := []struct {
		name   string
		need   resources.Vector
		change func(*Want)
		parts  []resources.Portion
		lacks  string
	}{
		{
			name: "reserved first", need: cm(2, 20),
			parts: []resources.Portion{portion(static, cm(2, 20))},
		},
		{
			name: "reserved first, then the rest", need: cm(67, 670),
			parts: []resources.Portion{portion(static, cm(2, 20)), portion(dynamic, cm(64, 640)), portion(nil, cm(1, 10))},
		},
		{
			name: "each name from where it is", need: cm(1, 30),
			parts: []resources.Portion{portion(static, cm(1, 20)), portion(dynamic, cm(0, 10))},
		},
		{name: "one cpu more than any pod may have", need: cm(68, 1), lacks: "cpu"},
		{name: "memory more than any pod may have", need: cm(1, 671), lacks: "memory"},
		{
			name: "unreserved first", need: cm(2, 5), change: func(w *Want) { w.Order = UnreservedFirst },
			parts: []resources.Portion{portion(nil, cm(1, 5)), portion(static, cm(1, 0))},
		},
		{
			name: "reserved only", need: cm(66, 1), change: func(w *Want) { w.Order = ReservedOnly },
			parts: []resources.Portion{portion(static, cm(2, 1)), portion(dynamic, cm(64, 0))},
		},
		{name: "reserved only, one more", need: cm(67, 1), change: func(w *Want) { w.Order = ReservedOnly }, lacks: "reserved cpu"},
		{
			name: "what is its own comes first", need: cm(9, 80), change: func(w *Want) { w.Owner = "web-0" },
			parts: []resources.Portion{portion(mine, cm(8, 80)), portion(static, cm(1, 0))},
		},
		{
			name: "its own and unreserved first", need: cm(9, 81), change: func(w *Want) { w.Owner, w.Order = "web-0", UnreservedFirst },
			parts: []resources.Portion{portion(mine, cm(8, 80)), portion(nil, cm(1, 1))},
		},
		{
			name: "its own and reserved only", need: cm(74, 1), change: func(w *Want) { w.Owner, w.Order = "web-0", ReservedOnly },
			parts: []resources.Portion{portion(mine, cm(8, 1)), portion(static, cm(2, 0)), portion(dynamic, cm(64, 0))},
		},
		{name: "never another's own", need: cm(76, 1), change: func(w *Want) { w.Owner = "web-0" }, lacks: "cpu"},
		{
			name: "an owner of nothing", need: cm(1, 1), change: func(w *Want) { w.Owner = "web-7" },
			parts: []resources.Portion{portion(static, cm(1, 1))},
		},
		{
			name: "reserving takes the unreserved", need: cm(1, 10), change: func(w *Want) { w.Owner, w.Reserve = "web-2", made },
			parts: []resources.Portion{portion(made, cm(1, 10))},
		},
		{
			name: "reserving what is missing of its own", need: cm(9, 81), change: func(w *Want) { w.Owner, w.Reserve = "web-0", made },
			parts: []resources.Portion{portion(mine, cm(8, 80)), portion(made, cm(1, 1))},
		},
		{
			name: "reserving never takes what others may take later", need: cm(2, 1),
			change: func(w *Want) { w.Owner, w.Reserve = "web-2", made }, lacks: "cpu",
		},
		{
			name: "reserving nothing, its own alone", need: cm(8, 80),
			change: func(w *Want) { w.Owner, w.Reserve, w.Order = "web-0", made, ReservedOnly },
			parts:  []resources.Portion{portion(mine, cm(8, 80))},
		},
		{
			name: "reserving nothing, more than its own", need: cm(9, 80),
			change: func(w *Want) { w.Owner, w.Reserve, w.Order = "web-0", made, ReservedOnly }, lacks: "reserved cpu",
		},
		{
			name: "regular while it suffices", need: cm(67, 1), change: func(w *Want) { w.Revocable = RevocableAllowed },
			parts: []resources.Portion{portion(static, cm(2, 1)), portion(dynamic, cm(64, 0)), portion(nil, cm(1, 0))},
		},
		{
			name: "revocable when it does not", need: cm(5, 300), change: func(w *Want) { w.Revocable, w.Order = RevocableAllowed, ReservedOnly },
			parts: []resources.Portion{portion(static, cm(2, 20)), portion(dynamic, cm(3, 280))},
		},
		{name: "neither suffices", need: cm(68, 1), change: func(w *Want) { w.Revocable = RevocableAllowed }, lacks: "cpu"},
		{
			name: "riding", need: cm(32, 320), change: func(w *Want) { w.Revocable = RevocableRequired },
			parts: []resources.Portion{portion(riding, cm(32, 320))},
		},
		{
			name: "riding, its memory regular", need: cm(32, 321), change: func(w *Want) { w.Revocable = RevocableRequired },
			parts: []resources.Portion{portion(riding, cm(32, 0)), portion(static, cm(0, 20)), portion(dynamic, cm(0, 301))},
		},
		{
			name: "riding, its memory regular and reserved", need: cm(1, 321), change: func(w *Want) { w.Revocable = RevocableRequired; w.Owner, w.Reserve = "web-1", made },
			lacks: "revocable memory",
		},
		{name: "riding, one cpu more", need: cm(33, 1), change: func(w *Want) { w.Revocable = RevocableRequired }, lacks: "revocable cpu"},
		{name: "disk that nobody offers", need: resources.Vector{resources.CPU: 1, resources.Disk: 1}, lacks: "ephemeral-storage"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r := withRich(t)
			want := wantOf(tt.need, tt.change)
			verdict, lacks := r.Fits(0, want)
			sel := r.Select(want, 0, 0, nil)
			parts, err := r.Reserve(0, "p", want, epoch)
			mustAudit(t, c)
			if tt.lacks != "" {
				var short *ShortError
				if !errors.As(err, &short) || short.Lacks != tt.lacks {
					t.Errorf("Reserve = %v, want short of %s", err, tt.lacks)
				}
				if verdict != ShortOf || lacks != tt.lacks || len(sel.Slots) != 0 {
					t.Errorf("Fits = %d, %q, Select = %v, want short of %s", verdict, lacks, sel.Slots, tt.lacks)
				}
				return
			}
			if err != nil || verdict != Fitting || lacks != "" || len(sel.Slots) != 1 {
				t.Fatalf("Reserve: %v; Fits = %d, %q; Select = %v", err, verdict, lacks, sel.Slots)
			}
			if diff := cmp.Diff(tt.parts, parts); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if before, _ := withRich(t); !c.Release("p") || cmp.Diff(before.View(), c.View()) != "" {
				t.Error("what was released did not all come back")
			}
			mustAudit(t, c)
		})
	}
}

// A pod that may ride does so where regular resources do not suffice.
func TestRevocableAllowedFallsBack(t *testing.T) {
	c := NewCache(Config{})
	addNodes(c, "a", "b", "none")
	a := offerOf("oa", "a", cm(2, 100))
	a.Special = []resources.Portion{portion(riding, cm(8, 0))}
	mustAdd(t, c, a, offerOf("ob", "b", cm(3, 100)))
	r := c.Role("web")
	allowed := func(need resources.Vector) *Want {
		return wantOf(need, func(w *Want) { w.Revocable = RevocableAllowed })
	}
	// Where regular resources suffice somewhere, that is preferred.
	if sel := r.Select(allowed(cm(3, 10)), 0, 0, nil); !cmp.Equal(sel.Slots, []int32{1}) {
		t.Errorf("Select = %+v, want b's regular cpus", sel)
	}
	if v, _ := r.Fits(0, allowed(cm(3, 10))); v != Fitting {
		t.Errorf("Fits = %d, want a's revocable cpus", v)
	}
	sel := r.Select(allowed(cm(4, 10)), 0, 0, nil)
	if diff := cmp.Diff(Selection{Slots: []int32{0}, NoOffer: 1, Short: [resources.NumKinds]int{resources.CPU: 1}}, sel); diff != "" {
		t.Errorf("Select (-want +got):\n%s", diff)
	}
	if n := r.Count(allowed(cm(3, 10))); n != 1 {
		t.Errorf("Count = %d, want b alone: a would be ridden on", n)
	}
	parts := reserveIn(t, c, "web", "a", "p", allowed(cm(4, 10)), epoch)
	if diff := cmp.Diff([]resources.Portion{portion(riding, cm(4, 0)), portion(nil, cm(0, 10))}, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if free, _ := r.FreeOf(0); free != (Free{AgentID: "a", Regular: cm(2, 90), All: cm(6, 90)}) {
		t.Errorf("FreeOf = %v", free)
	}
	mustAudit(t, c)
}

// A batch tells of each member what to ask for, and what of it to reserve before.
func TestSpentParts(t *testing.T) {
	c, _ := withRich(t)
	made := sticky("web-2")
	reserveIn(t, c, "web", "a", "plain", Plain(cm(2, 20)), epoch)
	reserveIn(t, c, "web", "a", "sticky", wantOf(cm(9, 85), func(w *Want) { w.Owner, w.Reserve = "web-0", made }), epoch)
	reserveIn(t, c, "web", "a", "again", wantOf(cm(16, 1), func(w *Want) { w.Owner, w.Reserve = "web-1", yours }), epoch)
	reserveIn(t, c, "web", "a", "rides", wantOf(cm(1, 1), func(w *Want) { w.Revocable = RevocableRequired }), epoch)
	mustAudit(t, c)
	due, _, _ := c.Flush(epoch, epoch, drained)
	want := []Batch{{
		AgentID: "a", Role: "web", Node: nodeOf("a"), OfferIDs: []string{"rich"}, OpenedAt: epoch,
		Offered: cm(255, 2550), Need: cm(28, 107),
		Members: []Member{
			{ID: "plain", Parts: []resources.Portion{portion(static, cm(2, 20))}},
			{
				ID: "sticky", Parts: []resources.Portion{portion(mine, cm(8, 80)), portion(made, cm(1, 5))},
				Reserve: []resources.Portion{portion(made, cm(1, 5))},
			},
			// What it owns has the flavour that it would reserve with: nothing is to be
			// reserved again.
			{ID: "again", Parts: []resources.Portion{portion(yours, cm(16, 1))}},
			{ID: "rides", Parts: []resources.Portion{portion(riding, cm(1, 1))}},
		},
	}}
	if diff := cmp.Diff(want, due); diff != "" {
		t.Errorf("Flush (-want +got):\n%s", diff)
	}
	mustAudit(t, c)
}

// After a rescind the members take what is left, each by its own rules.
func TestRescindSharesOutAnew(t *testing.T) {
	regular := func(id string) *Offer { return offerOf(id, "a", cm(4, 40)) }
	revocable := offerOf("rev", "a", resources.Vector{})
	revocable.Special = []resources.Portion{portion(riding, cm(4, 40))}
	static4 := offerOf("static", "a", resources.Vector{})
	static4.Special = []resources.Portion{portion(static, cm(4, 40))}
	setup := func(t *testing.T) *Cache {
		c := NewCache(Config{Classify: byOwner})
		addNodes(c, "a")
		mustAdd(t, c, regular("plain"), revocable, static4)
		return c
	}
	allowed := func(w *Want) { w.Revocable = RevocableAllowed }
	t.Run("an offer that nobody needs", func(t *testing.T) {
		c := setup(t)
		// By its order p would take the reserved part if it came now, and q would find
		// none: but nobody is moved for nothing.
		reserveIn(t, c, "web", "a", "o", Plain(cm(4, 40)), epoch)
		reserveIn(t, c, "web", "a", "p", Plain(cm(4, 40)), epoch)
		c.Release("o")
		only := wantOf(cm(4, 40), func(w *Want) { w.Order = ReservedOnly })
		reserveIn(t, c, "web", "a", "q", only, epoch)
		if broken := c.Remove("rev", epoch); broken != nil {
			t.Errorf("Remove broke %v", broken)
		}
		mustAudit(t, c)
		if broken := c.Remove("static", epoch); !cmp.Equal(broken, []string{"q"}) {
			t.Errorf("Remove broke %v, want q", broken)
		}
		mustAudit(t, c)
	})
	t.Run("from reserved to unreserved, from regular to revocable", func(t *testing.T) {
		c := setup(t)
		reserveIn(t, c, "web", "a", "p", wantOf(cm(4, 40), allowed), epoch)
		reserveIn(t, c, "web", "a", "q", wantOf(cm(3, 30), allowed), epoch.Add(time.Second))
		if broken := c.Remove("static", epoch); broken != nil {
			t.Errorf("Remove broke %v", broken)
		}
		mustAudit(t, c)
		due, _, _ := c.Flush(epoch, epoch, drained)
		want := []Member{
			{ID: "p", Parts: []resources.Portion{portion(nil, cm(4, 40))}},
			{ID: "q", Parts: []resources.Portion{portion(riding, cm(3, 30))}},
		}
		if len(due) != 1 || cmp.Diff(want, due[0].Members) != "" {
			t.Errorf("Flush = %+v, want %+v", due, want)
		}
		mustAudit(t, c)
	})
	t.Run("those who must ride", func(t *testing.T) {
		c := setup(t)
		reserveIn(t, c, "web", "a", "p", wantOf(cm(4, 40), func(w *Want) { w.Revocable = RevocableRequired }), epoch)
		reserveIn(t, c, "web", "a", "q", Plain(cm(4, 40)), epoch)
		if broken := c.Remove("rev", epoch); !cmp.Equal(broken, []string{"p"}) {
			t.Errorf("Remove broke %v, want p", broken)
		}
		mustAudit(t, c)
	})
	t.Run("ports", func(t *testing.T) {
		c := setup(t)
		o := offerOf("ports", "a", resources.Vector{})
		o.Unreserved.Ports = resources.NewRanges(resources.Range{Begin: 1, End: 9})
		more := offerOf("more", "a", resources.Vector{})
		more.Unreserved.Ports = resources.NewRanges(resources.Range{Begin: 10, End: 19})
		mustAdd(t, c, o, more)
		w := Plain(cm(1, 1))
		w.Need.Ports = resources.NewRanges(resources.Range{Begin: 9, End: 10})
		reserveIn(t, c, "web", "a", "p", w, epoch)
		reserveIn(t, c, "web", "a", "q", Plain(cm(1, 1)), epoch)
		if broken := c.Remove("more", epoch); !cmp.Equal(broken, []string{"p"}) {
			t.Errorf("Remove broke %v, want p", broken)
		}
		mustAudit(t, c)
	})
	t.Run("the last offer", func(t *testing.T) {
		c := setup(t)
		reserveIn(t, c, "web", "a", "p", wantOf(cm(0, 0), func(w *Want) { w.Owner = "web-0" }), epoch)
		if broken := append(c.Remove("plain", epoch), c.Remove("static", epoch)...); broken != nil {
			t.Errorf("Remove broke %v", broken)
		}
		if broken := c.Remove("rev", epoch); !cmp.Equal(broken, []string{"p"}) {
			t.Errorf("Remove broke %v, want p", broken)
		}
		mustAudit(t, c)
	})
}

// Offers of one agent are added up by flavour, and a flavour is forgotten with the
// last offer that had it.
func TestFlavoursMerge(t *testing.T) {
	c := NewCache(Config{Classify: byOwner})
	addNodes(c, "a")
	r := c.Role("web")
	for _, id := range []string{"o1", "o2"} {
		o := offerOf(id, "a", cm(1, 0))
		o.Unreserved.Ports = resources.NewRanges(resources.Range{Begin: uint64(len(id)), End: 5})
		o.Special = []resources.Portion{portion(reservedFor("web", false), cm(2, 2)), portion(&resources.Flavour{Revocable: true, Wire: id}, cm(1, 1))}
		mustAdd(t, c, o)
	}
	if free, _ := r.FreeOf(0); free != (Free{AgentID: "a", Regular: cm(6, 4), All: cm(8, 6)}) {
		t.Errorf("FreeOf = %v, want the sums", free)
	}
	parts := reserveIn(t, c, "web", "a", "p", wantOf(cm(2, 2), func(w *Want) { w.Revocable = RevocableRequired }), epoch)
	if diff := cmp.Diff([]resources.Portion{portion(riding, cm(2, 2))}, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	v := viewOf(t, c, "a")
	if len(v.Flavours) != 4 || len(v.Flavours[0].Bundle.Ports) == 0 || v.Flavours[1].Bundle.Vector != cm(4, 4) {
		t.Errorf("the view shows %+v", v.Flavours)
	}
	c.Release("p")
	c.Remove("o1", epoch)
	if free, _ := r.FreeOf(0); free != (Free{AgentID: "a", Regular: cm(3, 2), All: cm(4, 3)}) {
		t.Errorf("FreeOf = %v, want the second offer's", free)
	}
	c.Sweep(epoch, func(Held) bool { return true })
	mustAdd(t, c, offerOf("o3", "a", cm(1, 1)))
	if free, _ := r.FreeOf(0); free != (Free{AgentID: "a", Regular: cm(1, 1), All: cm(1, 1)}) {
		t.Errorf("FreeOf = %v, want the third offer's", free)
	}
	mustAudit(t, c)
}
