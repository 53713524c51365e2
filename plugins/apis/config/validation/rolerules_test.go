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

package validation_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

func TestRoleRules(t *testing.T) {
	selector := func(key string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: "x"}}
	}
	roles := func(roles ...string) []config.RoleRule { return []config.RoleRule{{Roles: roles}} }
	const rule0, rule1 = "roles.rules[0].", "roles.rules[1]"
	tests := []struct {
		name  string
		rules []config.RoleRule
		want  []string
	}{
		{"none", nil, nil},
		{"selectors, then all", []config.RoleRule{
			{NamespaceSelector: selector("team"), Roles: []string{"a"}}, {NamespaceSelector: selector("tier"), Roles: []string{"a"}}, {Roles: []string{"b"}}}, nil},
		{"selector with expression", []config.RoleRule{
			{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Exists"}}}, Roles: []string{"a"}},
			{Roles: []string{"b"}}}, nil},
		{"all, then another", []config.RoleRule{{Roles: []string{"b"}}, {NamespaceSelector: selector("team"), Roles: []string{"a"}}},
			[]string{"FieldValueForbidden " + rule1}},
		{"empty selector, then others", []config.RoleRule{
			{NamespaceSelector: &metav1.LabelSelector{}, Roles: []string{"b"}}, {Roles: []string{"a"}}, {Roles: []string{"c"}}},
			[]string{"FieldValueForbidden " + rule1}},
		{"bad label", []config.RoleRule{{NamespaceSelector: selector("a b"), Roles: []string{"a"}}},
			[]string{"FieldValueInvalid " + rule0 + "namespaceSelector.matchLabels"}},
		{"bad operator", []config.RoleRule{{Roles: []string{"a"}, NamespaceSelector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}}}},
			[]string{"FieldValueInvalid " + rule0 + "namespaceSelector.matchExpressions[0].operator"}},
		{"no roles", roles(), []string{"FieldValueRequired " + rule0 + "roles"}},
		{"templates", roles("k8s/{namespace}", "{namespace}", "a-{namespace}", "{namespace}/{namespace}", "*"), nil},
		{"empty role", roles("a", ""), []string{"FieldValueRequired " + rule0 + "roles[1]"}},
		{"same role twice", roles("a", "b", "a"), []string{"FieldValueDuplicate " + rule0 + "roles[2]"}},
		{"role that Mesos refuses", roles("/{namespace}"), []string{"FieldValueInvalid " + rule0 + "roles[0]"}},
		{"template that Mesos refuses for any namespace", roles("-{namespace}"), []string{"FieldValueInvalid " + rule0 + "roles[0]"}},
		{"blank in the braces", roles("k8s/{ namespace }"), []string{"FieldValueInvalid " + rule0 + "roles[0]"}},
		{"other name", roles("k8s/{pod}"), []string{"FieldValueInvalid " + rule0 + "roles[0]"}},
		{"brace left open", roles("k8s/{namespace", "k8s/namespace}", "{{namespace}}"),
			[]string{"FieldValueInvalid " + rule0 + "roles[0]", "FieldValueInvalid " + rule0 + "roles[1]", "FieldValueInvalid " + rule0 + "roles[2]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			judgeFields(t, func(a *config.MesosOffersArgs) { a.Roles.Rules = tt.rules }, tt.want)
		})
	}
}

// TestRoleTemplateErrors: an error shows the template as it was written, not as
// it was judged.
func TestRoleTemplateErrors(t *testing.T) {
	args := validArgs(t)
	args.Roles.Rules = []config.RoleRule{{Roles: []string{"/{namespace}"}}, {Roles: []string{"b"}}}
	errs := validation.ValidateMesosOffersArgs(nil, args)
	want := []string{
		`roles.rules[0].roles[0]: Invalid value: "/{namespace}": must not begin or end with a slash nor have two in a row`,
		`roles.rules[1]: Forbidden: no rule may follow roles.rules[0], which has no namespaceSelector and so matches every namespace`,
	}
	if len(errs) != len(want) || errs[0].Error() != want[0] || errs[1].Error() != want[1] {
		t.Errorf("got %v, want %q", errs, want)
	}
}

// TestSampleNamespaceStandsForAll: a template that is taken makes a legal role of
// every name a namespace can have.
func TestSampleNamespaceStandsForAll(t *testing.T) {
	for _, template := range []string{"{namespace}", "k8s/{namespace}", "a-{namespace}", "{namespace}-", "{namespace}.{namespace}"} {
		judgeFields(t, func(a *config.MesosOffersArgs) { a.Roles.Rules = []config.RoleRule{{Roles: []string{template}}} }, nil)
		for _, namespace := range []string{"a", "0", "kube-system", strings.Repeat("x", 63)} {
			role := strings.ReplaceAll(template, config.RoleTemplateNamespace, namespace)
			if errs := validation.ValidateRole(nil, role); len(errs) != 0 {
				t.Errorf("%q for namespace %q: %v", template, namespace, errs)
			}
		}
	}
}
