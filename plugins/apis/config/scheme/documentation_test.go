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

package scheme_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	configv1 "github.com/kube-mesos/kube-mesos/plugins/apis/config/v1"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

func documentation(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// argumentPaths lists the fields of the arguments by their paths as they are
// written in YAML: those of our own structs, not those inside of lists.
func argumentPaths(prefix string, of reflect.Type) (paths []string) {
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		switch of := of.Field(i).Type; {
		case name == "": // Type meta.
		case of.Kind() == reflect.Struct:
			paths = append(paths, argumentPaths(prefix+name+".", of)...)
		default:
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

// TestEveryArgumentIsDocumented: each field has a row in the documentation's
// table, or a row with a field before it ("`a.b`, `.c`").
func TestEveryArgumentIsDocumented(t *testing.T) {
	rows := map[string]bool{}
	for line := range strings.Lines(documentation(t)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		parent := ""
		for name := range strings.SplitSeq(cells[1], ",") {
			name = strings.Trim(name, " `")
			if strings.HasPrefix(name, ".") {
				name = parent + name
			} else if dot := strings.LastIndex(name, "."); dot >= 0 {
				parent = name[:dot]
			}
			rows[name] = true
		}
	}
	paths := argumentPaths("", reflect.TypeFor[configv1.MesosOffersArgs]())
	if len(paths) < 40 {
		t.Errorf("only %d fields found: %v", len(paths), paths)
	}
	for _, path := range paths {
		if !rows[path] {
			t.Errorf("docs/configuration.md has no row for %s", path)
		}
	}
}

// TestDocumentedExamples: what the documentation shows of arguments is read and
// valid.
func TestDocumentedExamples(t *testing.T) {
	blocks := strings.Split(documentation(t), "```yaml\n")[1:]
	if len(blocks) < 3 {
		t.Errorf("only %d examples found", len(blocks))
	}
	for _, block := range blocks {
		example, _, closed := strings.Cut(block, "```")
		if !closed {
			t.Fatalf("an example does not end:\n%s", block)
		}
		args := ""
		if !strings.Contains(example, "masters:") {
			args = "      masters: [\"a:5050\"]\n"
		}
		for line := range strings.Lines(example) {
			args += "      " + line
		}
		object, err := decode(configuration(args))
		if err != nil {
			t.Errorf("%v:\n%s", err, example)
			continue
		}
		if errs := validation.ValidateMesosOffersArgs(nil, pluginArgs(t, object)); len(errs) > 0 {
			t.Errorf("%v:\n%s", errs, example)
		}
	}
}
