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

package resource

import (
	"strings"
	"testing"
)

func TestRolesAndIDs(t *testing.T) {
	for role, want := range map[string]string{
		"*": "", "a": "", "k8s/ns": "", `a\b`: "", "é": "", strings.Repeat("a", 300): "",
		"": "Role names cannot be the empty string", "/a": "Role '/a' cannot start with a slash",
		"a/": "Role 'a/' cannot end with a slash", "a//b": "Role 'a//b' cannot contain two adjacent slashes",
		".": "Role '.' cannot include '.' as a component", "a/..": "Role 'a/..' cannot include '..' as a component",
		"*/a": "Role '*/a' cannot include '*' as a component", "-a": "Role component '-a' is invalid because it starts with a dash",
		"a/-b": "Role component '-b' is invalid because it starts with a dash",
		"a b":  "Role component 'a b' is invalid because it contains backspace or whitespace",
	} {
		if got := textOf(ValidRole(role)); got != want {
			t.Errorf("role %q: got %q, want %q", role, got, want)
		}
	}
	for id, want := range map[string]string{
		"ns pod é": "", strings.Repeat("y", 255): "", "": "ID must not be empty", ".": "'.' is disallowed", "..": "'..' is disallowed",
		strings.Repeat("x", 256): "ID must not be greater than 255 characters", "ns/pod": "'ns/pod' contains invalid characters",
		`a\b`: `'a\b' contains invalid characters`, "a\nb": "'a\nb' contains invalid characters",
	} {
		if got := textOf(ValidID(id)); got != want {
			t.Errorf("id %q: got %q, want %q", id, got, want)
		}
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
