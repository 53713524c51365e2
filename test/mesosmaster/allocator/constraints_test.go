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

package allocator

import (
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

func matches(re string) OfferConstraints {
	host := "HOSTNAME"
	return OfferConstraints{RoleConstraints: map[string]RoleConstraints{"r": {Groups: []ConstraintGroup{{AttributeConstraints: []AttributeConstraint{{
		Selector: &ConstraintSelector{PseudoAttribute: &host}, Predicate: &ConstraintPredicate{TextMatches: &ConstraintRegex{Regex: re}},
	}}}}}}}
}

// Patterns match the whole text, and are refused in RE2's words.
func TestPatterns(t *testing.T) {
	for _, tc := range []struct {
		pattern, err string
		hosts        string // those of a, ab, b, "a b" that match
	}{
		{"a", "", "a"},
		{"a|b", "", "a,b"},
		{"a.?b?", "", "a,ab,a b"},
		{`\w+`, "", "a,ab,b"},
		{"(?i)A", "", "a"},
		{"(", "missing ): (", ""},
		{")", "unexpected ): )", ""},
		{"[a", "missing ]: [a", ""},
		{"[b-a]", "invalid character class range: b-a", ""},
		{"a**", "bad repetition operator: **", ""},
		{"*", "no argument for repetition operator: *", ""},
		{"a{1001}", "invalid repetition size: {1001}", ""},
		{`\`, `trailing \`, ""},
		{`\8`, `invalid escape sequence: \8`, ""},
		{"(?<", "invalid perl operator: (?<", ""},
		{"a\xff", "invalid UTF-8", ""},
		{"(a{100}){10}", "pattern too large - compile failed", ""},
		{strings.Repeat("a", 97), "", ""},
		{strings.Repeat("a", 200), "!Regex '" + strings.Repeat("a", 200) + "' is too complex: program size of 202 is larger than maximum of 100 allowed", ""},
	} {
		c := matches(tc.pattern)
		err := c.Validate([]string{"r"})
		if tc.err != "" {
			want := "Offer constraints are not valid: A role r has an invalid 'AttributeConstraint': Failed to construct regex from pattern '" + tc.pattern + "': " + tc.err
			if rest, whole := strings.CutPrefix(tc.err, "!"); whole {
				want = "Offer constraints are not valid: A role r has an invalid 'AttributeConstraint': " + rest
			}
			if err == nil || err.Error() != want {
				t.Errorf("%q:\n got %v\nwant %s", tc.pattern, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tc.pattern, err)
			continue
		}
		var got []string
		for _, host := range []string{"a", "ab", "b", "a b"} {
			if !c.Excludes("r", &AgentInfo{Hostname: host}) {
				got = append(got, host)
			}
		}
		if strings.Join(got, ",") != tc.hosts {
			t.Errorf("%q matches %v, want %s", tc.pattern, got, tc.hosts)
		}
	}
}

// Constraints keep agents away from the roles they are of, of their framework.
func TestConstraintsInRun(t *testing.T) {
	w := newWorld(t, Options{})
	w.agents(2)
	c := matches("a00")
	if err := c.Validate([]string{"r"}); err != nil {
		t.Fatal(err)
	}
	w.AddFramework(FrameworkInfo{ID: "f", Roles: []string{"r", "s"}, Capabilities: capable(), Constraints: c})
	w.Activate("f")
	w.Suppress("f", []string{"s"})
	w.want("r", w.run().Offers, "f/r@a00 cpus:4; mem:4096")
	w.Revive("f", []string{"s"})
	w.want("s", w.run().Offers, "f/s@a01 cpus:4; mem:4096")
	if c.Excludes("s", &AgentInfo{Hostname: "a01", Attributes: []mesos.Attribute{{Name: "x"}}}) {
		t.Error("a role without constraints is not constrained")
	}
}
