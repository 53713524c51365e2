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

package roles

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

func selector(t *testing.T, s string) labels.Selector {
	t.Helper()
	parsed, err := labels.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestResolve(t *testing.T) {
	rules := []Rule{
		{Selector: selector(t, "team=ads"), Templates: []string{"eng/ads/{namespace}", "eng/ads", "eng/ads"}},
		{Selector: selector(t, "team"), Templates: []string{"k8s/{namespace}"}},
		{Selector: selector(t, "odd"), Templates: []string{"-{namespace}", "{namespace}//{namespace}"}},
		{Selector: selector(t, "none")},
	}
	everyone := []Rule{{Templates: []string{"all/{namespace}"}}, {Selector: selector(t, "team"), Templates: []string{"later"}}}
	for _, test := range []struct {
		name        string
		config      Config
		labels      map[string]string
		annotations map[string]string
		roles       []string
		source      string
		// problems are parts of the Problems, in order.
		problems []string
	}{
		{name: "default", config: Config{Default: "k8s", Annotation: true, Rules: rules}, roles: []string{"k8s"}, source: "default"},
		{name: "first matching rule", config: Config{Default: "k8s", Rules: rules}, labels: map[string]string{"team": "ads"},
			roles: []string{"eng/ads/web", "eng/ads"}, source: "rule 1"},
		{name: "second rule", config: Config{Default: "k8s", Rules: rules}, labels: map[string]string{"team": "x"},
			roles: []string{"k8s/web"}, source: "rule 2"},
		{name: "rule without selector", config: Config{Default: "k8s", Rules: everyone}, labels: map[string]string{"team": "x"},
			roles: []string{"all/web"}, source: "rule 1"},
		{name: "rule of illegal roles only", config: Config{Default: "k8s", Rules: rules}, labels: map[string]string{"odd": ""},
			source: "rule 3", problems: []string{`role "-web" of the scheduler's configuration (roles.rules[2])`, `role "web//web"`}},
		{name: "rule without roles", config: Config{Default: "k8s", Rules: rules}, labels: map[string]string{"none": ""},
			source: "rule 4", problems: []string{"(roles.rules[3]) gives no roles"}},
		{name: "annotation before rules", config: Config{Default: "k8s", Annotation: true, Rules: rules}, labels: map[string]string{"team": "ads"},
			annotations: map[string]string{Annotation: " eng/ads ,eng,\teng/ads"}, roles: []string{"eng/ads", "eng"}, source: "annotation"},
		{name: "one illegal role", config: Config{Default: "k8s", Annotation: true},
			annotations: map[string]string{Annotation: "a b,eng,/x"}, roles: []string{"eng"}, source: "annotation",
			problems: []string{`role "a b" of the namespace's annotation kube-mesos.io/roles is left out: a Mesos role must not contain whitespace`, `role "/x"`}},
		{name: "nothing legal", config: Config{Default: "k8s", Annotation: true, Rules: rules}, labels: map[string]string{"team": "ads"},
			annotations: map[string]string{Annotation: "a//b"}, source: "annotation", problems: []string{"two in a row"}},
		{name: "empty annotation", config: Config{Default: "k8s", Annotation: true},
			annotations: map[string]string{Annotation: ""}, source: "annotation", problems: []string{"must not be empty"}},
		{name: "the same problem once", config: Config{Default: "k8s", Annotation: true},
			annotations: map[string]string{Annotation: ",, eng"}, roles: []string{"eng"}, source: "annotation", problems: []string{"must not be empty"}},
		{name: "annotation not allowed", config: Config{Default: "k8s"},
			annotations: map[string]string{Annotation: "eng"}, roles: []string{"k8s"}, source: "default", problems: []string{"is ignored"}},
		{name: "a star", config: Config{Default: "*"}, roles: []string{"*"}, source: "default"},
		{name: "illegal default", config: Config{Default: "a b"}, source: "default", problems: []string{"(framework.role)"}},
		{name: "long role", config: Config{Default: "k8s", Annotation: true},
			annotations: map[string]string{Annotation: "-" + strings.Repeat("x", 5000)}, source: "annotation", problems: []string{`xxx"... of the`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := New(test.config).Resolve("web", test.labels, test.annotations)
			if !slices.Equal(a.Roles, test.roles) || a.Source != test.source {
				t.Errorf("roles %q from %q, want %q from %q", a.Roles, a.Source, test.roles, test.source)
			}
			if len(a.Problems) != len(test.problems) {
				t.Fatalf("problems %q, want %q", a.Problems, test.problems)
			}
			for i, part := range test.problems {
				if !strings.Contains(a.Problems[i], part) || len(a.Problems[i]) > 400 {
					t.Errorf("problem %q, want %q", a.Problems[i], part)
				}
			}
		})
	}
}

func TestChoose(t *testing.T) {
	two := Assignment{Roles: []string{"eng/ads", "eng"}, Source: "rule 2"}
	for _, test := range []struct {
		name       string
		assignment Assignment
		annotation string
		want       []string
		wrong      []string
	}{
		{name: "all", assignment: two, want: []string{"eng/ads", "eng"}},
		{name: "one", assignment: two, annotation: " eng ", want: []string{"eng"}},
		{name: "another", assignment: two, annotation: "prod", wrong: []string{`"prod"`, `only "eng/ads", "eng"`, "rule 2", PodAnnotation}},
		{name: "a parent is another", assignment: Assignment{Roles: []string{"eng/ads"}}, annotation: "eng", wrong: []string{`"eng/ads"`}},
		{name: "blank", assignment: two, annotation: " ", wrong: []string{`""`}},
		{name: "none", assignment: Assignment{Problems: []string{"one", "two"}}, wrong: []string{"one; two"}},
		{name: "none, although named", assignment: Assignment{}, annotation: "eng", wrong: []string{"no Mesos role"}},
		{name: "many", assignment: Assignment{Roles: strings.Split("abcdefghijkl", "")}, annotation: "z", wrong: []string{`"h" and 4 more`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Choose(test.assignment, test.annotation)
			if !slices.Equal(got, test.want) || (err != nil) != (test.wrong != nil) {
				t.Fatalf("%q, %v", got, err)
			}
			for _, part := range test.wrong {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %s", err, part)
				}
			}
		})
	}
}

// TestChosenDoesNotReachTheOthers: who appends to a choice must not write into the
// namespace's list.
func TestChosenDoesNotReachTheOthers(t *testing.T) {
	a := Assignment{Roles: []string{"a", "b"}}
	got, err := Choose(a, "a")
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got, "x")
	if a.Roles[1] != "b" {
		t.Errorf("%q", a.Roles)
	}
}
