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

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
)

func validateRevocable(path *field.Path, revocable *config.Revocable) field.ErrorList {
	var errs field.ErrorList
	rules := path.Child("priorityClasses")
	if len(revocable.PriorityClasses) > 0 && !revocable.Enabled {
		errs = append(errs, field.Forbidden(rules, fmt.Sprintf("only allowed if %s is true", path.Child("enabled"))))
	}
	first := map[string]int{}
	for i, rule := range revocable.PriorityClasses {
		errs = append(errs, validateRevocableRule(rules.Index(i), rule)...)
		if j, seen := first[rule.Name]; seen {
			errs = append(errs, duplicate(rules.Index(i).Child("name"), rule.Name,
				fmt.Sprintf("names the same PriorityClass as %s", rules.Index(j))))
			continue
		}
		first[rule.Name] = i
	}
	return errs
}

func validateRevocableRule(path *field.Path, rule config.RevocableRule) field.ErrorList {
	var errs field.ErrorList
	// The name of a PriorityClass is a DNS subdomain.
	for _, message := range validation.IsDNS1123Subdomain(rule.Name) {
		errs = append(errs, field.Invalid(path.Child("name"), rule.Name, message))
	}
	return append(errs, oneOf(path.Child("use"), rule.Use,
		config.RevocableUseNever, config.RevocableUseAllowed, config.RevocableUseRequired)...)
}
