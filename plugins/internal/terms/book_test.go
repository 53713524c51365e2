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

package terms

import (
	"fmt"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

// on are constraints that admit one host.
func on(host string) Constraints { return Constraints{{{Op: Equals, Value: host}}} }

// mib is a minimum of memory, a step of the grid.
func mib(n int64) *resources.Vector { return &resources.Vector{resources.Memory: n * 1000} }

// rig is a book that is subscribed at start with nothing told of role a.
func rig(t *testing.T) (*Book, func(d time.Duration) *Change, func(d time.Duration, again time.Duration)) {
	t.Helper()
	b := NewBook(Config{})
	b.Subscribed(map[string]Terms{"a": {}}, true, start)
	due := func(d time.Duration) *Change {
		t.Helper()
		c, _ := b.Next(at(d))
		if c == nil {
			t.Fatalf("nothing is due after %v", d)
		}
		return c
	}
	quiet := func(d time.Duration, again time.Duration) {
		t.Helper()
		c, when := b.Next(at(d))
		if c != nil {
			t.Fatalf("after %v %v is due, want nothing", d, c.Terms)
		}
		if again < 0 && !when.IsZero() || again >= 0 && !when.Equal(at(again)) {
			t.Fatalf("after %v the book says to ask at %v, want after %v", d, when.Sub(start), again)
		}
	}
	return b, due, quiet
}

const never = -1

func TestNothingIsDueWhenNothingChanged(t *testing.T) {
	b, due, quiet := rig(t)
	quiet(0, never)
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	b.Accepted(due(0), at(0))
	quiet(time.Hour, never)
	b.Want("a", Terms{Constraints: on("h")}, true, at(time.Hour))
	quiet(time.Hour, never)
	if got := b.Told("a"); !got.Equal(Terms{Constraints: on("h")}) {
		t.Errorf("told %v", got)
	}
}

func TestUrgentConstraints(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	if b.InForce("a", at(0)) {
		t.Error("constraints are in force that the master was not told")
	}
	c := due(0)
	if c.Minimum {
		t.Error("constraints change the FrameworkInfo")
	}
	quiet(time.Minute, never) // one at a time
	b.Accepted(c, at(100*time.Millisecond))
	if !b.InForce("a", at(time.Second)) {
		t.Error("constraints that the master took are not in force")
	}
	b.Want("a", Terms{Constraints: on("i")}, true, at(200*time.Millisecond))
	quiet(200*time.Millisecond, time.Second)
	b.Want("a", Terms{Constraints: on("j")}, true, at(300*time.Millisecond))
	quiet(999*time.Millisecond, time.Second)
	c = due(time.Second)
	if got := c.Terms["a"].Constraints; !got.Equal(on("j")) {
		t.Errorf("told %v, want the newest", got)
	}
}

func TestConstraintsThatCanWait(t *testing.T) {
	b, due, quiet := rig(t)
	for i := range 4 { // each change puts them off
		d := time.Duration(i) * 4 * time.Second
		b.Want("a", Terms{Constraints: on(fmt.Sprint(i))}, false, at(d))
		quiet(d, d+5*time.Second)
	}
	quiet(16999*time.Millisecond, 17*time.Second)
	b.Accepted(due(17*time.Second), at(17*time.Second))

	for i := range 8 { // but not for ever
		b.Want("a", Terms{Constraints: on(fmt.Sprint("x", i))}, false, at(20*time.Second+time.Duration(i)*4*time.Second))
	}
	quiet(49999*time.Millisecond, 50*time.Second)
	due(50 * time.Second)
}

func TestConstraintsThatAreWantedNoMore(t *testing.T) {
	b, _, quiet := rig(t)
	b.Want("a", Terms{Constraints: on("h")}, false, at(0))
	b.Want("a", Terms{}, false, at(time.Second))
	quiet(time.Hour, never)
}

func TestMinimum(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Min: mib(1500)}, false, at(0))
	c := due(0) // the first does not wait
	if got := c.Terms["a"].Min; !c.Minimum || *got != *mib(1024) {
		t.Errorf("told %v, want 1024 MiB", got)
	}
	b.Accepted(c, at(0))

	b.Want("a", Terms{Min: mib(1300)}, false, at(0)) // the same step
	quiet(0, never)
	b.Want("a", Terms{Min: mib(512)}, false, at(0))
	b.Accepted(due(time.Second), at(time.Second)) // the first lowering does not wait
	b.Want("a", Terms{Min: mib(256)}, false, at(2*time.Second))
	quiet(2*time.Second, 11*time.Second)
	b.Accepted(due(11*time.Second), at(11*time.Second))

	b.Want("a", Terms{Min: mib(2048)}, false, at(20*time.Second))
	quiet(20*time.Second, 620*time.Second)
	b.Want("a", Terms{Min: mib(256)}, false, at(60*time.Second))
	quiet(60*time.Second, never)
	b.Want("a", Terms{Min: mib(512)}, false, at(70*time.Second))
	quiet(70*time.Second, 670*time.Second)
	c = due(670 * time.Second)
	b.Accepted(c, at(670*time.Second))
	// A raise that was wrong is taken back at once.
	b.Want("a", Terms{Min: mib(64)}, false, at(671*time.Second))
	if got := due(671 * time.Second).Terms["a"].Min; *got != *mib(64) {
		t.Errorf("told %v, want 64 MiB", got)
	}
}

func TestMinimumIsRaisedAlong(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Min: mib(256)}, false, at(0))
	b.Want("b", Terms{Min: mib(256)}, false, at(0))
	b.Accepted(due(0), at(0))
	b.Want("a", Terms{Min: mib(4096)}, false, at(time.Second))
	b.Want("b", Terms{Constraints: on("h"), Min: mib(256)}, true, at(time.Second))
	c := due(time.Second)
	if c.Minimum || *c.Terms["a"].Min != *mib(256) {
		t.Errorf("constraints take minimums along: %v", c.Terms)
	}
	b.Accepted(c, at(time.Second))
	b.Want("b", Terms{Constraints: on("h"), Min: mib(128)}, false, at(time.Minute))
	c = due(time.Minute)
	if !c.Minimum || *c.Terms["a"].Min != *mib(4096) || *c.Terms["b"].Min != *mib(128) {
		t.Errorf("a minimum that is lowered does not take others along: %v", c.Terms)
	}
	b.Accepted(c, at(time.Minute))
	quiet(time.Minute, never)
}

func TestJoinTellsAll(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Min: mib(64)}, false, at(0))
	b.Accepted(due(0), at(0))
	b.Want("a", Terms{Constraints: on("h"), Min: mib(256)}, false, at(time.Second))
	c := b.Join(at(time.Second))
	if got := c.Terms["a"]; !c.Minimum || !got.Equal(Terms{Constraints: on("h"), Min: mib(256)}) || !got.Equal(b.Current("a", at(time.Second))) {
		t.Errorf("told %v", got)
	}
	quiet(time.Hour, never)
	b.Accepted(c, at(time.Second))
	quiet(time.Hour, never)
}

func TestUnknownOutcome(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Constraints: on("h"), Min: mib(512)}, true, at(0))
	b.Failed(due(0), at(500*time.Millisecond))
	if b.InForce("a", at(time.Second)) {
		t.Error("constraints are in force that the master may not have")
	}
	quiet(time.Second, 1500*time.Millisecond)
	c := due(1500 * time.Millisecond)
	if got := c.Terms["a"]; !c.Minimum || !got.Equal(Terms{Constraints: on("h"), Min: mib(512)}) {
		t.Errorf("told %v again", got)
	}
	b.Accepted(c, at(1500*time.Millisecond))
	quiet(time.Hour, never)
	if !b.InForce("a", at(time.Second)) {
		t.Error("constraints that the master took at last are not in force")
	}
}

func TestUnknownOutcomeOfWhatIsWantedNoMore(t *testing.T) {
	b, due, _ := rig(t)
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	c := due(0)
	b.Want("a", Terms{}, false, at(0))
	b.Failed(c, at(0))
	if got := due(time.Second).Terms["a"]; !got.Equal(Terms{}) {
		t.Errorf("told %v again, want what is wanted by now", got)
	}
}

func TestLateAnswer(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	first := due(0)
	b.Want("a", Terms{Constraints: on("i")}, true, at(0))
	second := b.Join(at(0))
	b.Accepted(second, at(0))
	b.Failed(first, at(0))
	b.Accepted(first, at(0)) // answered twice
	quiet(0, never)
	if got := b.Told("a").Constraints; !got.Equal(on("i")) {
		t.Errorf("told %v, want what was sent last", got)
	}
}

func TestRefused(t *testing.T) {
	const empty = "'UpdateFramework' call is not valid: Offer constraints are not valid: 'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role "
	const quantity = "Supplied FrameworkInfo is not valid: Invalid resource quantity for 'mem': Subnormal values not supported"
	for _, tc := range []struct {
		name, text string
		a, b       Terms
	}{
		{"constraints of a", empty + "a", Terms{Min: mib(512)}, Terms{Constraints: on("i"), Min: mib(64)}},
		{"constraints of a role that is named otherwise", "'UpdateFramework' call is not valid: Offer constraints are not valid: A role b has an invalid 'AttributeConstraint': Unknown predicate type", Terms{Constraints: on("h"), Min: mib(512)}, Terms{Min: mib(64)}},
		{"constraints of a role that is quoted", "Offer constraints specify `role_constraints` for a role 'a'not contained in the set of roles", Terms{Min: mib(512)}, Terms{Constraints: on("i"), Min: mib(64)}},
		{"constraints of a role not known", empty + "zzz", Terms{Min: mib(512)}, Terms{Min: mib(64)}},
		{"minimum", quantity, Terms{Constraints: on("h")}, Terms{Constraints: on("i")}},
		{"something else", "Supplied FrameworkInfo is not valid: what?", Terms{}, Terms{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, due, quiet := rig(t)
			wanted := map[string]Terms{"a": {Constraints: on("h"), Min: mib(512)}, "b": {Constraints: on("i"), Min: mib(64)}}
			for name, w := range wanted {
				b.Want(name, w, true, at(0))
			}
			b.Refused(due(0), tc.text, at(0))
			if tc.a.Equal(Terms{}) {
				quiet(time.Second, 600*time.Second)
			} else {
				c := due(10 * time.Second)
				if !c.Terms["a"].Equal(tc.a) || !c.Terms["b"].Equal(tc.b) {
					t.Errorf("told %v, want %v and %v", c.Terms, tc.a, tc.b)
				}
				b.Accepted(c, at(10*time.Second))
			}
			quiet(599*time.Second, 600*time.Second)
			c := due(610 * time.Second)
			for name, w := range wanted {
				if !c.Terms[name].Equal(w) {
					t.Errorf("after ten minutes told %v of role %s, want %v", c.Terms[name], name, w)
				}
			}
		})
	}
}

func TestRefusedForAnotherReason(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	b.Accepted(due(0), at(0))
	b.Want("a", Terms{}, true, at(time.Minute))
	b.Refused(due(time.Minute), "Offer constraints are not to my taste today", at(time.Minute))
	quiet(time.Minute, 70*time.Second)
	due(70 * time.Second)
}

func TestRefusedAtSubscribe(t *testing.T) {
	b := NewBook(Config{})
	b.Want("a", Terms{Constraints: on("h"), Min: mib(64)}, true, at(0))
	b.Refused(nil, "Offer constraints are not valid", at(0))
	if got := b.Current("a", at(time.Second)); !got.Equal(Terms{Min: mib(64)}) {
		t.Errorf("%v is said once more", got)
	}
}

func TestSubscriptions(t *testing.T) {
	b := NewBook(Config{})
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	if c, again := b.Next(at(0)); c != nil || !again.IsZero() {
		t.Error("something is due without a subscription")
	}
	b.Subscribed(map[string]Terms{"a": {Constraints: on("h")}}, true, at(0))
	if c, _ := b.Next(at(time.Hour)); c != nil {
		t.Errorf("what SUBSCRIBE said is said again: %v", c.Terms)
	}
	b.Want("a", Terms{Constraints: on("i")}, true, at(time.Hour))
	c, _ := b.Next(at(time.Hour))
	b.Disconnected()
	b.Accepted(c, at(time.Hour)) // too late to matter
	b.Subscribed(map[string]Terms{"a": {Constraints: on("h")}}, true, at(time.Hour))
	if c, _ = b.Next(at(time.Hour + time.Second)); c == nil || !c.Terms["a"].Constraints.Equal(on("i")) {
		t.Error("what changed while the connection was lost is not said")
	}
}

func TestMasterWithoutConstraints(t *testing.T) {
	b := NewBook(Config{})
	b.Subscribed(map[string]Terms{"a": {Constraints: on("h")}}, false, at(0))
	b.Want("a", Terms{Constraints: on("i"), Min: mib(64)}, true, at(0))
	c, _ := b.Next(at(0))
	if c == nil || !c.Terms["a"].Equal(Terms{Min: mib(64)}) {
		t.Fatalf("due is %v, want the minimum alone", c)
	}
	b.Accepted(c, at(0))
	if !b.InForce("a", at(0)) || !b.Current("a", at(0)).Equal(Terms{Min: mib(64)}) {
		t.Error("constraints are waited for that the master does not heed")
	}
	if c, _ := b.Next(at(time.Hour)); c != nil {
		t.Errorf("due is %v", c.Terms)
	}
}

func TestForget(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	c := due(0)
	b.Forget("a")
	b.Accepted(c, at(0))
	quiet(time.Hour, never)
	if !b.Told("a").Equal(Terms{}) || !b.Current("a", at(0)).Equal(Terms{}) || !b.InForce("a", at(0)) {
		t.Error("a role that is forgotten has terms")
	}
}

func TestMinimumNil(t *testing.T) {
	for _, tc := range []struct {
		least, told *resources.Vector
		lower       bool
	}{
		{nil, nil, false},
		{nil, mib(64), true},  // what masters ask for is not known
		{mib(64), nil, false}, // within "mem:32"
		{&resources.Vector{resources.CPU: 62}, nil, false},                               // within "cpus:0.01"
		{&resources.Vector{}, nil, true},                                                 // offers of any size
		{&resources.Vector{resources.CPU: 62}, mib(64), true},                            // one up, one down
		{&resources.Vector{resources.CPU: 62, resources.Memory: 64_000}, mib(64), false}, // one up
	} {
		if got := lower(tc.least, tc.told); got != tc.lower {
			t.Errorf("lower(%v, %v) = %v", tc.least, tc.told, got)
		}
	}
}

func TestSubscribeSettlesWhatWasUnknown(t *testing.T) {
	b, due, quiet := rig(t)
	b.Want("a", Terms{Constraints: on("h")}, true, at(0))
	b.Failed(due(0), at(0))
	b.Disconnected()
	b.Subscribed(map[string]Terms{"a": {Constraints: on("h")}}, true, at(0))
	quiet(time.Hour, never)
}
