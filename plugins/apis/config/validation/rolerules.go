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

package validation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
)

// sampleNamespace stands for {namespace} when a role template is judged. Any
// other name of a namespace, being a DNS label, makes a legal role of it too.
const sampleNamespace = "namespace"

func validateRoles(path *field.Path, roles *config.Roles) field.ErrorList {
	errs := validateRoleRules(path.Child("rules"), roles.Rules)
	errs = append(errs, inRange(path.Child("fallbackAfter"), roles.FallbackAfter, 0, 10*time.Minute)...)
	errs = append(errs, inRange(path.Child("updatePeriod"), roles.UpdatePeriod, time.Second, 10*time.Minute)...)
	errs = append(errs, inRange(path.Child("keepUnused"), roles.KeepUnused, 0, 24*time.Hour)...)
	return errs
}

func validateRoleRules(path *field.Path, rules []config.RoleRule) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		rule := path.Index(i)
		errs = append(errs, metav1validation.ValidateLabelSelector(rules[i].NamespaceSelector,
			metav1validation.LabelSelectorValidationOptions{}, rule.Child("namespaceSelector"))...)
		errs = append(errs, validateRoleTemplates(rule.Child("roles"), rules[i].Roles)...)
	}
	if i := slices.IndexFunc(rules, matchesEveryNamespace); i >= 0 && i+1 < len(rules) {
		errs = append(errs, field.Forbidden(path.Index(i+1),
			fmt.Sprintf("no rule may follow %s, which has no namespaceSelector and so matches every namespace", path.Index(i))))
	}
	return errs
}

func matchesEveryNamespace(rule config.RoleRule) bool {
	s := rule.NamespaceSelector
	return s == nil || len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}

func validateRoleTemplates(path *field.Path, templates []string) field.ErrorList {
	if len(templates) == 0 {
		return field.ErrorList{field.Required(path, `at least one Mesos role, for example "engineering/batch" or "k8s/{namespace}"`)}
	}
	var errs field.ErrorList
	for i, template := range templates {
		if slices.Contains(templates[:i], template) {
			errs = append(errs, field.Duplicate(path.Index(i), template))
			continue
		}
		errs = append(errs, validateRoleTemplate(path.Index(i), template)...)
	}
	return errs
}

func validateRoleTemplate(path *field.Path, template string) field.ErrorList {
	sample := strings.ReplaceAll(template, config.RoleTemplateNamespace, sampleNamespace)
	if strings.ContainsAny(sample, "{}") {
		return field.ErrorList{field.Invalid(path, template, "must not have braces but in "+config.RoleTemplateNamespace)}
	}
	errs := ValidateRole(path, sample)
	for _, err := range errs {
		err.BadValue = template
	}
	return errs
}
