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
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// roleForbiddenBytes are the bytes Mesos allows nowhere in a role (Mesos source,
// common/roles.cpp: whitespace and backspace, as it calls them).
const roleForbiddenBytes = "\x09\x0a\x0b\x0c\x0d\x20\x7f"

// ValidateRole returns what is wrong with a Mesos role, nothing if it is legal. It
// applies the rules of Mesos (Mesos source, common/roles.cpp, validate): a role is
// "*" or a path of components parted by single slashes. A master answers a
// SUBSCRIBE that breaks them with an ERROR event, after the scheduler started and
// became leader: too late to be noticed with ease.
func ValidateRole(path *field.Path, role string) field.ErrorList {
	if role == "" {
		return field.ErrorList{field.Required(path, `a Mesos role, for example "*" or "engineering/batch"`)}
	}
	if role == "*" {
		return nil
	}
	var errs field.ErrorList
	if strings.ContainsAny(role, roleForbiddenBytes) {
		errs = append(errs, field.Invalid(path, role, "must not contain whitespace or the byte 0x7f"))
	}
	if strings.HasPrefix(role, "/") || strings.HasSuffix(role, "/") || strings.Contains(role, "//") {
		errs = append(errs, field.Invalid(path, role, "must not begin or end with a slash nor have two in a row"))
	}
	for component := range strings.SplitSeq(role, "/") {
		switch {
		case component == "." || component == "..":
			errs = append(errs, field.Invalid(path, role, `must not have a component "." or ".."`))
		case component == "*":
			errs = append(errs, field.Invalid(path, role, `must not have a component "*": it is the whole name or no part of it`))
		case strings.HasPrefix(component, "-"):
			errs = append(errs, field.Invalid(path, role, `must not have a component that begins with "-"`))
		}
	}
	return errs
}
