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
	"fmt"
	"strings"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

// shownBytes is how much of a role is shown in messages: events and conditions are
// bounded in length, roles are not.
const shownBytes = 80

// Validate returns what is wrong with a Mesos role, nothing if it is legal (Mesos
// source, common/roles.cpp, validate).
func Validate(role string) []string {
	if role == "" {
		return []string{"must not be empty"}
	}
	var wrong []string
	for _, err := range validation.ValidateRole(nil, role) {
		wrong = append(wrong, err.Detail)
	}
	return wrong
}

// check returns the problem with a role of the given origin, "" if it is legal.
func check(role, origin string) string {
	wrong := Validate(role)
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("role %s of the %s is left out: a Mesos role %s", shown(role), origin, strings.Join(wrong, "; "))
}

// shown quotes a role for people.
func shown(role string) string {
	if len(role) > shownBytes {
		return fmt.Sprintf("%q...", role[:shownBytes])
	}
	return fmt.Sprintf("%q", role)
}

// shownList quotes roles for people, the first few of many.
func shownList(roles []string) string {
	const most = 8
	var b strings.Builder
	for i, role := range roles {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(roles)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(shown(role))
	}
	return b.String()
}
