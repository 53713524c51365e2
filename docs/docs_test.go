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

// Package docs tests the documentation against the source.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// constants returns the values of string constants in the sources of the plugin whose
// declaration matches; the pattern's group is the value.
func constants(t *testing.T, pattern string) []string {
	t.Helper()
	find, values := regexp.MustCompile(pattern), []string{}
	err := filepath.WalkDir("../plugins", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range find.FindAllStringSubmatch(string(source), -1) {
			values = append(values, match[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(values); len(values) == 0 {
		t.Fatalf("nothing matches %s", pattern)
	}
	return slices.Compact(values)
}

// TestOperationsTellsAll makes sure that users find what they see: events, annotations
// and labels, and metrics.
func TestOperationsTellsAll(t *testing.T) {
	page, err := os.ReadFile("operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []struct {
		name, pattern string
		// forms are how the page may write the value.
		forms func(value string) []string
	}{
		{"event", `(?m)^\s+Event\w+\s+= "(\w+)"`, quoted},
		{"event", `(?m)^\s+Reason\w+\s+= "(Mesos\w+)"`, quoted},
		{"annotation or label", `"kube-mesos\.io/([a-z-]+)"`, quoted},
		{"metric", `(?:Namespace: namespace, Name: |desc\()"(\w+)"`, func(value string) []string {
			// Of metrics that begin alike only the rest is written out.
			_, rest, _ := strings.Cut(value, "_")
			return []string{"`kube_mesos_" + value + "`", "`kube_mesos_" + value + "{", "`_" + rest + "`", "`_" + rest + "{"}
		}},
	} {
		for _, value := range constants(t, what.pattern) {
			if !slices.ContainsFunc(what.forms(value), func(form string) bool { return strings.Contains(string(page), form) }) {
				t.Errorf("operations.md does not tell of the %s %s", what.name, value)
			}
		}
	}
}

func quoted(value string) []string { return []string{"`" + value + "`"} }
