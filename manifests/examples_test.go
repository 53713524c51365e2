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

package manifests

import (
	"bytes"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	schedscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

// explained are the folders of examples that a page of docs with their name explains.
var explained = []string{"roles-and-quota", "revocable"}

// TestExplainedExamples decodes the objects and the arguments of the examples, as
// strictly as the API server and the scheduler do.
func TestExplainedExamples(t *testing.T) {
	for _, folder := range explained {
		for file, data := range files(t, Examples, "examples/"+folder+"/*.yaml") {
			if path.Base(file) == "arguments.yaml" {
				checkArguments(t, file, data)
				continue
			}
			for _, obj := range decode(t, data) {
				var spec v1.PodSpec
				switch o := obj.(type) {
				case *v1.Namespace, *schedulingv1.PriorityClass:
					continue
				case *appsv1.StatefulSet:
					spec = o.Spec.Template.Spec
				case *appsv1.Deployment:
					spec = o.Spec.Template.Spec
				case *batchv1.Job:
					spec = o.Spec.Template.Spec
				case *v1.Pod:
					spec = o.Spec
				default:
					t.Errorf("%s: unexpected %T", file, obj)
					continue
				}
				if spec.SchedulerName != "kube-mesos" {
					t.Errorf("%s: schedulerName %q", file, spec.SchedulerName)
				}
			}
		}
	}
}

func checkArguments(t *testing.T, file string, data []byte) {
	t.Helper()
	head := "apiVersion: kubescheduler.config.k8s.io/v1\nkind: MesosOffersArgs\nmasters: [m:5050]\n"
	obj, _, err := schedscheme.Codecs.UniversalDecoder().Decode([]byte(head+string(data)), nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := validation.ValidateMesosOffersArgs(nil, obj.(*config.MesosOffersArgs)); err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

var codeBlock = regexp.MustCompile("(?ms)^\\[([^]]+)\\]\\(\\.\\./manifests/([^)]+)\\):\n\n```[a-z]+\n(.*?)^```$")

// TestDocsShowTheExamples makes sure that the docs link to every file of their
// example, and that what they show of a file is all of it, as it is.
func TestDocsShowTheExamples(t *testing.T) {
	for _, folder := range explained {
		page, err := os.ReadFile("../docs/" + folder + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range []string{"/*.yaml", "/*.json"} {
			if folder == "revocable" && pattern == "/*.json" {
				continue
			}
			for file := range files(t, Examples, "examples/"+folder+pattern) {
				if !strings.Contains(string(page), "(../manifests/"+file+")") {
					t.Errorf("%s.md has no link to %s", folder, file)
				}
			}
		}
		_, example, found := bytes.Cut(page, []byte("\n## An example\n"))
		shown := codeBlock.FindAllSubmatch(example, -1)
		if blocks := bytes.Count(example, []byte("\n```\n")); !found || len(shown) != blocks || blocks == 0 {
			t.Errorf("%s.md: of %d blocks in the example %d are named as a file", folder, blocks, len(shown))
		}
		for _, block := range shown {
			data, err := Examples.ReadFile(string(block[2]))
			if err != nil || path.Base(string(block[2])) != string(block[1]) {
				t.Errorf("%s.md: %s is %s: %v", folder, block[1], block[2], err)
			} else if !bytes.Equal(data, block[3]) {
				t.Errorf("%s.md shows another %s than there is:\n%s", folder, block[1], block[3])
			}
		}
	}
}
