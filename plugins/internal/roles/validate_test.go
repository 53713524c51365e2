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
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	legal := []string{"*", "eng", "eng/ads", "k8s/team-1", "a.b", "é", `a\b`, "a,b", strings.Repeat("x", 300)}
	for _, role := range legal {
		if wrong := Validate(role); len(wrong) > 0 {
			t.Errorf("%q: %v", role, wrong)
		}
	}
	illegal := map[string]string{
		"": "empty", "a b": "whitespace", "a\tb": "whitespace", "a\x7f": "whitespace", "/a": "slash", "a/": "slash",
		"a//b": "slash", ".": `"."`, "a/..": `".."`, "a/*": `"*"`, "-a": `"-"`, "a/-b": `"-"`,
	}
	for role, part := range illegal {
		if wrong := strings.Join(Validate(role), "; "); !strings.Contains(wrong, part) {
			t.Errorf("%q: %q does not speak of %s", role, wrong, part)
		}
	}
}
