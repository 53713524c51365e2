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

package scheduler

import (
	"bytes"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestWrite reads all files of all runs as the harness does.
func TestWrite(t *testing.T) {
	for _, run := range Rounds(nil, 0, 1) {
		t.Run(run.Name(), func(t *testing.T) {
			dir := t.TempDir()
			if err := run.Write(dir, "127.0.0.1:5050"); err != nil {
				t.Fatal(err)
			}
			agents := map[string]bool{}
			for _, a := range run.Agents() {
				agents[a.Hostname] = true
			}
			if want := run.Nodes * run.Percent / 100; len(agents) != want {
				t.Errorf("want agents for %d %% of %d nodes, got %d", run.Percent, run.Nodes, len(agents))
			}
			for i := range run.Nodes {
				node := instance[v1.Node](t, filepath.Join(dir, "node.yaml"), i)
				if offered := node.Labels["example.com/offered"] == "true"; offered != agents[node.Name] {
					t.Fatalf("%s is labelled offered=%v, but has an agent: %v", node.Name, offered, agents[node.Name])
				}
				if i == 20 {
					break
				}
			}
			checkHarness(t, dir, &run)
			checkScheduler(t, dir, &run)
		})
	}
}

// instance makes the object with an index of a file, which the harness takes for a
// template.
func instance[T any](t *testing.T, file string, index int) *T {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := template.New("object").Funcs(template.FuncMap{"mod": func(a, b int) int { return a % b }}).Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, map[string]any{"Index": index, "Count": 1000}); err != nil {
		t.Fatal(err)
	}
	obj := new(T)
	if err := yaml.UnmarshalStrict(out.Bytes(), obj); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(file), err, out.String())
	}
	return obj
}

// checkHarness looks at the steps, and whether all pods have room.
func checkHarness(t *testing.T, dir string, run *Run) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "harness.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name             string
		WorkloadTemplate []struct {
			PodTemplatePath string
			TemplatePaths   []string
		}
		Workloads []struct{ Params map[string]int }
	}
	if err := yaml.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 1 || len(cases[0].Workloads) != 1 {
		t.Fatalf("want one workload, got\n%s", text)
	}
	if got := cases[0].Workloads[0].Params; got["nodes"] != run.Nodes || got["initPods"] != run.Init || got["pods"] != run.Pods {
		t.Errorf("want %+v, got %v", run.Size, got)
	}
	var cpu, memory int64
	for _, step := range cases[0].WorkloadTemplate {
		for _, path := range step.TemplatePaths {
			instance[v1.Pod](t, path, 0)
		}
		if step.PodTemplatePath == "" {
			continue
		}
		count := run.Pods
		if filepath.Base(step.PodTemplatePath) == run.Workload.InitPod {
			count = run.Init
		}
		for i := range 5 {
			pod := instance[v1.Pod](t, step.PodTemplatePath, i)
			need := pod.Spec.Containers[0].Resources.Requests
			cpu, memory = cpu+need.Cpu().MilliValue()*int64(count)/5, memory+need.Memory().Value()*int64(count)/5
		}
	}
	nodes := int64(len(run.Agents()))
	if cpu > nodes*int64(run.Workload.CPU)*1000 && run.Workload.Name != "Preemption" {
		t.Errorf("the pods need %d m of CPU, there are %d nodes of %d", cpu, nodes, run.Workload.CPU)
	}
	if memory > nodes*int64(run.Workload.Memory)<<20 {
		t.Errorf("the pods need %d bytes of memory, there are %d nodes of %d MiB", memory, nodes, run.Workload.Memory)
	}
}

// checkScheduler looks whether the measured pods go to the profile they should.
func checkScheduler(t *testing.T, dir string, run *Run) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "scheduler.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Profiles []struct {
			SchedulerName string
			PluginConfig  []struct {
				Args struct{ Offers map[string]int }
			}
		}
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	withPlugin := map[string]bool{}
	for _, profile := range config.Profiles {
		withPlugin[profile.SchedulerName] = len(profile.PluginConfig) > 0
		for _, plugin := range profile.PluginConfig {
			if limit, set := plugin.Args.Offers["candidateLimit"]; set != (run.Variant == FullScan) || limit != 0 {
				t.Errorf("candidateLimit: %d, set: %v", limit, set)
			}
		}
	}
	pod := instance[v1.Pod](t, filepath.Join(dir, run.Workload.Pod), 0)
	if got, want := withPlugin[pod.Spec.SchedulerName], run.Variant == Ours || run.Variant == FullScan; got != want {
		t.Errorf("measured pods are for a profile with our plugin: %v, want %v", got, want)
	}
	first := instance[v1.Pod](t, filepath.Join(dir, run.Workload.InitPod), 0)
	if got := withPlugin[first.Spec.SchedulerName]; got != run.UsesMesos() {
		t.Errorf("pods placed beforehand are for a profile with our plugin: %v, want %v", got, run.UsesMesos())
	}
}

func TestRounds(t *testing.T) {
	var got []string
	for _, run := range Rounds([]string{"Basic"}, 500, 2) {
		got = append(got, run.Name())
	}
	const prefix = "Scheduler/workload=SchedulingBasic/nodes=500/variant="
	want := []string{"stock", "ours", "full-scan", "opted-out", "ours", "full-scan", "opted-out", "stock"}
	for i := range want {
		want[i] = prefix + want[i]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	few := Rounds([]string{"FewOffers"}, 0, 1)
	if len(few) != 6 || !strings.HasSuffix(few[0].Name(), "/nodes=5000/offers=1/variant=stock") {
		t.Errorf("got %d runs, the first is %s", len(few), few[0].Name())
	}
}

func TestWriteUnknownVariant(t *testing.T) {
	run := Run{Workload: &Workloads[0], Variant: "other"}
	if err := run.Write(t.TempDir(), ""); err == nil {
		t.Error("want an error")
	}
}
