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

package main

import (
	"go/parser"
	"go/token"
	"testing"
)

// TestMutationsApply sees to it that the table follows the code: each mutation is
// of one place, and what comes of it is Go. Whether recordings notice takes too
// long for here; see the package comment.
func TestMutationsApply(t *testing.T) {
	names := map[string]bool{}
	for _, m := range Mutations {
		if names[m.Name] {
			t.Errorf("%q is there twice", m.Name)
		}
		names[m.Name] = true
		path, content, err := m.apply("../../..")
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), path, content, 0); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}
