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

package mesos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

func TestVersionsThatHeedConstraints(t *testing.T) {
	for version, want := range map[string]bool{
		"1.11.0": true, "1.12.0": true, "1.12.0-dev": true, "1.11": true, "1.11-rc1": true, "2.0.0": true, "1.100.3": true, "1.11+x": true,
		"1.10.1": false, "1.9.0": false, "0.28.2": false, "1.1.11": false, "0.11.12": false,
		"": false, "1": false, "2": false, "1.": false, "x": false, "v1.12.0": false, ".12": false, "1,12": false, "1.12x": false,
		"1.-12": false, "1.99999999999999999999": false, " 1.12.0": false,
	} {
		if got := heedsConstraints(version); got != want {
			t.Errorf("version %q: %v, want %v", version, got, want)
		}
	}
}

// refusals are texts of 400, and what they are about.
var refusals = map[string]error{
	"'UpdateFramework' call is not valid: Offer constraints are not valid: A role batch has an invalid 'AttributeConstraint': Unknown pseudoattribute type":      ErrTermsRefused,
	"'UpdateFramework' call is not valid: Offer constraints specify `role_constraints` for a role 'nope'not contained in the set of roles":                       ErrTermsRefused,
	"Supplied FrameworkInfo is not valid: Resource quantities must contain at least one quantity":                                                                ErrTermsRefused,
	"Supplied FrameworkInfo is not valid: Invalid resource quantity for 'cpus': Negative values not supported":                                                   ErrTermsRefused,
	"Supplied FrameworkInfo is not valid: 'FrameworkInfo.roles' contains invalid role: Role 'a//b' cannot contain two adjacent slashes":                          ErrRolesRefused,
	"Supplied FrameworkInfo is not valid: Roles { Invalid } are not present in the master's --roles":                                                             ErrRolesRefused,
	"'UpdateFramework' call is not valid: Suppressed roles { b } are not contained in the set of roles":                                                          nil,
	"FrameworkInfo update is not valid: Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update framework 'f' from checkpoint 'true' to 'false'": nil,
}

func TestRefusalsOfUpdates(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, _ := live(t, n, nil)
		for text, want := range refusals {
			m.onCall = func(seenCall) (int, string) { return 400, text }
			err := r.session.UpdateRoles(t.Context(), AskRoles([]string{"k8s"}, nil))
			var call *CallError
			if !errors.As(err, &call) || call.Body != text || call.OutcomeUnknown() {
				t.Fatalf("%q: %v", text, err)
			}
			for _, kind := range []error{ErrTermsRefused, ErrRolesRefused} {
				if errors.Is(err, kind) != errors.Is(want, kind) {
					t.Errorf("%q is refused as %v, want %v", text, err, want)
				}
			}
		}
		if got := r.session.Status(); got.State != StateSubscribed {
			t.Errorf("status is %+v", got)
		}
		if got, _ := SplitRoles(r.session.current.currentRoles()); !slices.Equal(got, []string{"k8s", "batch"}) {
			t.Errorf("after refusals the roles are %q", got)
		}
		r.stop()
	})
}

// TestRecordedRefusalsOfTerms: each 400 of the recording is about the terms, but for
// what is no message at all.
func TestRecordedRefusalsOfTerms(t *testing.T) {
	lines, err := recordings.Read("16-offer-constraints-and-filters")
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, l := range lines {
		if l.Kind != "response" || l.Status != 400 {
			continue
		}
		judged++
		text := string(l.Body)
		if got := errors.Is(refusedFramework(l.Status, text), ErrTermsRefused); got == strings.Contains(text, "Failed to convert JSON") {
			t.Errorf("line %d: refused for its terms: %v: %s", l.Number, got, text)
		}
	}
	if judged < 8 {
		t.Errorf("%d refusals in the recording", judged)
	}
}

// TestTermsThatAreNeverSent: nothing that the master would refuse leaves us, and the
// owner learns of it as of a refusal.
func TestTermsThatAreNeverSent(t *testing.T) {
	for _, c := range []terms.Constraints{
		{{}}, {nil}, {{{Attribute: "a", Op: "matches", Value: "x"}}}, {{{Attribute: "a"}}},
		{{{Attribute: "\xff", Op: terms.Exists}}}, {{{Attribute: "a", Op: terms.Equals, Value: "\xff"}}},
	} {
		bad := []RoleAsk{{Name: "k8s", Terms: terms.Terms{Constraints: c}}}
		bubble(t, func(t *testing.T, n *memNet) {
			m := newFakeMaster(t, n, "m1:5050")
			asks := bad
			r := newRig(t, n, testConfig("m1"), func(r *rig, cfg *Config) {
				asked := 0
				cfg.Roles = func() []RoleAsk {
					if asked++; asked > 5 {
						return AskRoles([]string{"k8s"}, nil) // nobody was told
					}
					return asks
				}
				r.handler.onDisconnected = func(err error) {
					if !errors.Is(err, ErrTermsRefused) || errors.Is(err, ErrRolesRefused) {
						t.Errorf("the handler was told %v", err)
					}
					asks = AskRoles([]string{"k8s"}, nil)
				}
			}).start()
			m.next("fw")
			r.handler.wants(t, "disconnected", "subscribed fw at m1:5050")
			r.handler.onDisconnected = nil
			var call *CallError
			if err := r.session.UpdateRoles(t.Context(), bad); !errors.As(err, &call) || call.Sent || !errors.Is(err, ErrTermsRefused) {
				t.Errorf("%v: %v", bad, err)
			}
			if calls := m.seen(scheduler.Call_SUBSCRIBE, scheduler.Call_UPDATE_FRAMEWORK); len(calls) != 1 {
				t.Errorf("%d calls were sent", len(calls))
			}
			r.stop()
		})
	}
}

// TestFewestCallsLane: an agent keeps its lane while it has calls, and comes to the
// one with the fewest else.
func TestFewestCallsLane(t *testing.T) {
	l := newLanes()
	var dones []func()
	take := func(agent string) *lane {
		way, done := l.forAgent(agent)
		dones = append(dones, done)
		return way
	}
	seen := map[*lane]bool{}
	for i := range acceptLanes {
		seen[take(fmt.Sprint("S", i))] = true
	}
	if len(seen) != acceptLanes {
		t.Errorf("%d agents go by %d lanes", acceptLanes, len(seen))
	}
	first := take("S0")
	for i := range 2 * acceptLanes {
		if take("S0") != first {
			t.Fatal("an agent with calls changed its lane")
		}
		if i < acceptLanes && take(fmt.Sprint("T", i)) == first {
			t.Error("the fullest lane got another agent")
		}
	}
	for _, done := range dones {
		done()
	}
	if len(l.agents) != 0 || l.calls != [acceptLanes]int{} {
		t.Errorf("left over: %v, %v", l.agents, l.calls)
	}
}
