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
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"google.golang.org/protobuf/proto"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
	"github.com/kube-mesos/kube-mesos/test/recordings"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

func setOf(t testing.TB, asks ...RoleAsk) roleSet {
	t.Helper()
	r, err := newRoleSet(asks)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTermsOnTheWire(t *testing.T) {
	host := terms.Constraints{{{Op: terms.Equals, Value: "n1"}}}
	two := terms.Constraints{{{Attribute: "r", Op: terms.Exists}, {Attribute: "r", Op: terms.NotEquals, Value: ""}}, {{Attribute: "s", Op: terms.NotExists}}}
	r := setOf(t,
		RoleAsk{Name: "b", Terms: terms.Terms{Min: &resources.Vector{}}},
		RoleAsk{Name: "c", Terms: terms.Terms{Constraints: two}},
		RoleAsk{Name: "a", Terms: terms.Terms{Constraints: host, Min: &resources.Vector{resources.CPU: 250, resources.Memory: -1}}})
	filters := "6a1c 0a0161 1217 0a15 0a13 0a11 0a0463707573 1209 09000000000000d03f" + // a
		"6a07 0a0162 1202 0a00" // b
	constraints := "0a15 0a0161 1210 0a0e 0a0c 0a020801 1206 1a040a026e31" + // a
		"0a2c 0a0163 1227 0a18 0a09 0a03120172 1202 0a00 0a0b 0a03120172 1204 22020a00 0a0b 0a09 0a03120173 1202 1200" // c
	bytes := func(text string) string { return strings.ReplaceAll(text, " ", "") }
	if got := hex.EncodeToString(r.filters()); got != bytes(filters) {
		t.Errorf("filters are\n%s, want\n%s", got, bytes(filters))
	}
	if got := hex.EncodeToString(r.constraints()); got != bytes(constraints) {
		t.Errorf("constraints are\n%s, want\n%s", got, bytes(constraints))
	}
}

// TestRolesWithoutTermsOnTheWire: the calls are those that mesos-go writes.
func TestRolesWithoutTermsOnTheWire(t *testing.T) {
	info := testConfig().Framework
	r := setOf(t, AskRoles([]string{"b", "a", "c"}, []string{"a", "c"})...)
	for _, id := range []string{"", "fw"} {
		want, err := (&scheduler.Call{
			Type: scheduler.Call_SUBSCRIBE, FrameworkID: frameworkID(id),
			Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: frameworkInfo(info, []string{"b", "a", "c"}, id, time.Minute), SuppressedRoles: []string{"a", "c"}},
		}).Marshal()
		if got, e := encodeSubscribe(info, r, id, time.Minute); err != nil || e != nil || string(got) != string(want) {
			t.Errorf("SUBSCRIBE is %x, want %x (%v, %v)", got, want, err, e)
		}
	}
	want, err := (&scheduler.Call{
		Type: scheduler.Call_UPDATE_FRAMEWORK, FrameworkID: frameworkID("fw"),
		UpdateFramework: &scheduler.Call_UpdateFramework{FrameworkInfo: *frameworkInfo(info, []string{"b", "a", "c"}, "fw", info.FailoverTimeout), SuppressedRoles: []string{"a", "c"}},
	}).Marshal()
	if got, e := encodeUpdateFramework(info, r, "fw", true); err != nil || e != nil || string(got) != string(want) {
		t.Errorf("UPDATE_FRAMEWORK is %x, want %x (%v, %v)", got, want, err, e)
	}
}

// jsonTerms adds the terms to a call in JSON, as the documentation of Mesos has them.
func jsonTerms(t testing.TB, call []byte, member string, asks []RoleAsk, heeds bool) []byte {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(call, &tree); err != nil {
		t.Fatal(err)
	}
	filters, byRole := map[string]any{}, map[string]any{}
	for _, ask := range asks {
		if m := ask.Terms.Min; m != nil {
			set := map[string]any{}
			for k := range m {
				if m[k] > 0 {
					set[resources.Kind(k).MesosName()] = map[string]any{"value": float64(m[k]) / 1000}
				}
			}
			sets := []any{map[string]any{"quantities": set}}
			if len(set) == 0 {
				sets = nil
			}
			filters[ask.Name] = map[string]any{"min_allocatable_resources": map[string]any{"quantities": sets}}
		}
		var groups []any
		for _, group := range ask.Terms.Constraints {
			var all []any
			for _, c := range group {
				selector, operand := map[string]any{"attribute_name": c.Attribute}, map[string]any{}
				if c.Attribute == "" {
					selector = map[string]any{"pseudoattribute_type": "HOSTNAME"}
				}
				if strings.HasPrefix(string(c.Op), "text_") {
					operand["value"] = c.Value
				}
				all = append(all, map[string]any{"selector": selector, "predicate": map[string]any{string(c.Op): operand}})
			}
			groups = append(groups, map[string]any{"attribute_constraints": all})
		}
		if groups != nil {
			byRole[ask.Name] = map[string]any{"groups": groups}
		}
	}
	inner := tree[member].(map[string]any)
	if len(filters) > 0 {
		inner["framework_info"].(map[string]any)["offer_filters"] = filters
	}
	if len(byRole) > 0 && heeds {
		inner["offer_constraints"] = map[string]any{"role_constraints": byRole}
	}
	out, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzTerms: the whole call is what its JSON says, the same terms are the same bytes
// in any order of the roles, and who does not know constraints reads all else.
func FuzzTerms(f *testing.F) {
	f.Add(uint64(1), "a", "rack", "r1")
	f.Add(uint64(2), "eng/ads", "", "")
	f.Add(uint64(3), "*", "zone", "ü\x00")
	f.Add(uint64(4), "x", "\xff", "v")
	f.Fuzz(func(t *testing.T, seed uint64, role, attribute, value string) {
		rng := rand.New(rand.NewPCG(seed, 7))
		asks := randomAsks(rng, role, attribute, value)
		r, err := newRoleSet(asks)
		if err != nil {
			legal := role != "" && utf8.ValidString(attribute) && utf8.ValidString(value)
			if legal || role != "" && !errors.Is(err, ErrTermsRefused) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if !utf8.ValidString(role) {
			return // the master judges names of roles
		}
		info, plain := testConfig().Framework, slices.Clone(r)
		for i := range plain {
			plain[i].Terms = terms.Terms{}
		}
		shuffled := slices.Clone(r)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if string(shuffled.filters()) != string(r.filters()) || string(shuffled.constraints()) != string(r.constraints()) {
			t.Error("the bytes depend on the order of the roles")
		}
		for member, encode := range map[string]func(roleSet) ([]byte, error){
			"subscribe":        func(r roleSet) ([]byte, error) { return encodeSubscribe(info, r, "fw", time.Minute) },
			"update_framework": func(r roleSet) ([]byte, error) { return encodeUpdateFramework(info, r, "fw", seed%2 == 0) },
		} {
			with, without := encoded(t, encode, r), encoded(t, encode, plain)
			compareTerms(t, with, without, member, r, member == "subscribe" || seed%2 == 0)
		}
	})
}

func encoded(t *testing.T, encode func(roleSet) ([]byte, error), r roleSet) []byte {
	t.Helper()
	b, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compareTerms(t *testing.T, with, without []byte, member string, r roleSet, heeds bool) {
	t.Helper()
	message, err := wire.DecodeCall(without)
	if err != nil {
		t.Fatal(err)
	}
	text, err := wire.JSON(message)
	if err != nil {
		t.Fatal(err)
	}
	want, err := wire.Call(jsonTerms(t, text, member, r, heeds))
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeCall(with)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("the call is\n%v\nwant\n%v", got, want)
	}
	var a, b scheduler.Call
	if err := errors.Join(a.Unmarshal(with), b.Unmarshal(without)); err != nil {
		t.Fatal(err)
	}
	if a.Subscribe != nil {
		a.Subscribe.FrameworkInfo.OfferFilters = nil
	} else {
		a.UpdateFramework.FrameworkInfo.OfferFilters = nil
	}
	if diff := cmp.Diff(&b, &a); diff != "" {
		t.Errorf("all but the terms (-want +got):\n%s", diff)
	}
}

// randomAsks asks for a few roles, with the texts given in some places.
func randomAsks(rng *rand.Rand, role, attribute, value string) []RoleAsk {
	ops := []terms.Op{terms.Exists, terms.NotExists, terms.Equals, terms.NotEquals}
	asks := make([]RoleAsk, 1+rng.IntN(4))
	for i := range asks {
		ask := RoleAsk{Name: role + strings.Repeat("x", i), Suppressed: rng.IntN(2) == 0}
		if rng.IntN(3) > 0 {
			ask.Terms.Min = &resources.Vector{}
			for k := range ask.Terms.Min {
				ask.Terms.Min[k] = rng.Int64N(3) * rng.Int64N(math.MaxInt32)
			}
		}
		for range rng.IntN(3) {
			group := make(terms.Group, 1+rng.IntN(3))
			for j := range group {
				group[j] = terms.Constraint{Attribute: attribute, Op: ops[rng.IntN(len(ops))], Value: value}
				if rng.IntN(3) == 0 {
					group[j].Attribute = fmt.Sprint("a", rng.IntN(9))
				}
			}
			ask.Terms.Constraints = append(ask.Terms.Constraints, group)
		}
		asks[i] = ask
	}
	return asks
}

// TestTermsThatMastersTook: what a real master was recorded accepting is what we send
// when we mean it.
func TestTermsThatMastersTook(t *testing.T) {
	lines, err := recordings.Read("16-offer-constraints-and-filters")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, l := range lines {
		if l.Kind != "call" {
			continue
		}
		call, err := wire.Call(l.Body)
		if err != nil || wire.Enum(call, "type") != "UPDATE_FRAMEWORK" {
			continue
		}
		ask, ok := askOf(t, l.Body)
		if !ok {
			continue
		}
		b, err := encodeUpdateFramework(FrameworkInfo{Name: "n", User: "u"}, setOf(t, ask), "fw", true)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := wire.DecodeCall(b)
		if err != nil {
			t.Fatal(err)
		}
		recorded, sent := wire.Sub(call, "update_framework"), wire.Sub(ours, "update_framework")
		constraints := recorded.Descriptor().Fields().ByName("offer_constraints")
		info := wire.Sub(recorded, "framework_info").Descriptor().Fields().ByName("offer_filters")
		if got, want := sent.Get(constraints), recorded.Get(constraints); !got.Equal(want) {
			t.Errorf("line %d: constraints are %v, want %v", l.Number, got, want)
		}
		got, want := wire.Sub(sent, "framework_info").Get(info), wire.Sub(recorded, "framework_info").Get(info)
		if !got.Equal(want) {
			t.Errorf("line %d: filters are %v, want %v", l.Number, got, want)
		}
		compared++
	}
	if compared < 15 {
		t.Errorf("only %d calls were compared", compared)
	}
}

// askOf reads the terms of the role "batch" from the JSON of UPDATE_FRAMEWORK; false
// if it has any that we cannot say.
func askOf(t *testing.T, body []byte) (RoleAsk, bool) {
	var call struct {
		Update struct {
			Info struct {
				Filters map[string]struct {
					Min struct {
						Quantities []struct {
							Quantities map[string]struct{ Value float64 }
						}
					} `json:"min_allocatable_resources"`
				} `json:"offer_filters"`
			} `json:"framework_info"`
			Constraints struct {
				Roles map[string]struct {
					Groups []struct {
						All []struct {
							Selector  map[string]string
							Predicate map[string]struct{ Value string }
						} `json:"attribute_constraints"`
					}
				} `json:"role_constraints"`
			} `json:"offer_constraints"`
		} `json:"update_framework"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		t.Fatal(err)
	}
	ask, ok := RoleAsk{Name: "batch"}, true
	for role, filter := range call.Update.Info.Filters {
		ok = ok && role == "batch" && len(filter.Min.Quantities) < 2
		ask.Terms.Min = &resources.Vector{}
		for _, set := range filter.Min.Quantities {
			ok = ok && len(set.Quantities) > 0
			for name, q := range set.Quantities {
				k := -1
				for i := range ask.Terms.Min {
					if resources.Kind(i).MesosName() == name {
						k = i
					}
				}
				if k < 0 || q.Value < 0 {
					return ask, false
				}
				ask.Terms.Min[k] = int64(q.Value * 1000)
			}
		}
	}
	for role, rc := range call.Update.Constraints.Roles {
		ok = ok && role == "batch" && len(rc.Groups) > 0
		for _, g := range rc.Groups {
			group := terms.Group{}
			for _, c := range g.All {
				name, named := c.Selector["attribute_name"]
				ok = ok && len(c.Selector) == 1 && len(c.Predicate) == 1 && (named || c.Selector["pseudoattribute_type"] == "HOSTNAME")
				for op, operand := range c.Predicate {
					ok = ok && predicates[terms.Op(op)] != 0
					group = append(group, terms.Constraint{Attribute: name, Op: terms.Op(op), Value: operand.Value})
				}
			}
			ok = ok && len(group) > 0
			ask.Terms.Constraints = append(ask.Terms.Constraints, group)
		}
	}
	return ask, ok
}
