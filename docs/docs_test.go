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
	"maps"
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

// metricPattern finds the names of metrics, without their prefix.
const metricPattern = `(?:Namespace: namespace, Name: |desc\()"(\w+)"`

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
		{"metric", metricPattern, func(value string) []string {
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

// rows returns the first two cells of a page's table rows that begin with an argument.
func rows(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, match := range regexp.MustCompile("(?m)^\\| `((?:offers|preemption)\\.\\w+)` \\| (`[^`]+`) \\|").FindAllStringSubmatch(string(text), -1) {
		found[match[1]] = match[2]
	}
	return found
}

// TestOffersTellsArguments makes sure that the page on offers has every argument about
// them, with the same default as the list of all arguments.
func TestOffersTellsArguments(t *testing.T) {
	got, want := rows(t, "offers.md"), rows(t, "configuration.md")
	if len(want) < 15 {
		t.Errorf("configuration.md has only the arguments %v", want)
	}
	if !maps.Equal(got, want) {
		t.Errorf("offers.md has %v, configuration.md %v", got, want)
	}
}

// TestQueriesNameMetrics makes sure that metrics in examples of queries exist.
func TestQueriesNameMetrics(t *testing.T) {
	metrics := constants(t, metricPattern)
	text, err := os.ReadFile("offers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`kube_mesos_(\w+)`).FindAllStringSubmatch(string(text), -1) {
		name := match[1]
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		if !slices.Contains(metrics, name) {
			t.Errorf("offers.md names the metric %s, which does not exist", match[0])
		}
	}
}

// TestLinks makes sure that links between pages lead somewhere.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			target := page
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(page), match[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, target)
			} else if match[2] != "" && !slices.Contains(anchors(t, target), match[2]) {
				t.Errorf("%s links to %s#%s: no such heading", page, target, match[2])
			}
		}
	}
}

// TestFailuresAreShown makes sure that each row of the page on failures names tests, and
// that there are such tests.
func TestFailuresAreShown(t *testing.T) {
	text, err := os.ReadFile("failures.md")
	if err != nil {
		t.Fatal(err)
	}
	proof, shown, rows := regexp.MustCompile(`\[(Test\w+)(?:/([^\]]+))?\]\(([^)]+_test\.go)\)`), false, 0
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "| what | what happens | shown by |"):
			shown = true
		case !strings.HasPrefix(line, "|"):
			shown = false
		case !shown || strings.HasPrefix(line, "|---"):
		default:
			rows++
			cells := strings.Split(line, " | ")
			tests := proof.FindAllStringSubmatch(cells[len(cells)-1], -1)
			if len(cells) != 3 || len(tests) == 0 {
				t.Errorf("a row names no test: %s", line)
			}
			for _, test := range tests {
				if problem := missing(t, test[3], test[1], test[2]); problem != "" {
					t.Errorf("%s: %s", test[0], problem)
				}
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d rows found", rows)
	}
}

// missing returns why there is no such test, or subtest, "" if there is. Names of subtests
// are written somewhere in the package; the test may put something before or after.
func missing(t *testing.T, path, test, sub string) string {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if !strings.Contains(string(source), "\nfunc "+test+"(t *testing.T)") {
		return "the file has no such test"
	}
	if sub == "" {
		return ""
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), `"`+sub+`"`) {
			return ""
		}
	}
	return "its package writes no such name of a subtest"
}

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(t *testing.T, page string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		list = append(list, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-"))
	}
	return list
}

func quoted(value string) []string { return []string{"`" + value + "`"} }
