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
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Workload is one kind of load.
type Workload struct {
	Name string
	// InitPod and Pod are the files of the pods placed before and of the measured ones,
	// Churn that of pods that are created beside, if any.
	InitPod, Pod, Churn string
	// CPU, Memory (in MiB) and MaxPods are the size of a node and of its agent.
	CPU, Memory, MaxPods int
	// Sizes are how many nodes and pods there are.
	Sizes []Size
	// Variants are what is compared; the first is the baseline.
	Variants []Variant
	// Percent are the parts of the nodes that have offers; empty for all nodes.
	Percent []int
	// Preemption are the plugin's arguments of that name.
	Preemption string
}

// Size is how large a workload is.
type Size struct{ Nodes, Init, Pods int }

// Variant is a set-up of the scheduler; see the package comment.
type Variant string

// The variants.
const (
	Stock    Variant = "stock"
	Ours     Variant = "ours"
	FullScan Variant = "full-scan"
	OptedOut Variant = "opted-out"
)

const offeredPod = "offered.yaml"

// Workloads are all that make bench-scheduler runs.
var Workloads = []Workload{
	{
		Name: "SchedulingBasic", InitPod: "init.yaml", Pod: "basic.yaml", CPU: 4, Memory: 32 << 10, MaxPods: 110,
		Sizes:    []Size{{500, 500, 5000}, {5000, 1000, 10000}},
		Variants: []Variant{Stock, Ours, FullScan, OptedOut},
	},
	{
		Name: "FewOffers", InitPod: "init.yaml", Pod: "basic.yaml", CPU: 32, Memory: 256 << 10, MaxPods: 400,
		Sizes:    []Size{{5000, 500, 5000}},
		Variants: []Variant{Stock, Ours},
		Percent:  []int{1, 5, 20},
	},
	{
		Name: "TopologySpreading", InitPod: "init.yaml", Pod: "spread.yaml", CPU: 4, Memory: 32 << 10, MaxPods: 110,
		Sizes:    []Size{{500, 500, 2000}, {5000, 1000, 2000}},
		Variants: []Variant{Stock, Ours},
	},
	{
		Name: "PodAffinity", InitPod: "init.yaml", Pod: "affine.yaml", CPU: 4, Memory: 32 << 10, MaxPods: 110,
		Sizes:    []Size{{500, 500, 2000}, {5000, 1000, 2000}},
		Variants: []Variant{Stock, Ours},
	},
	{
		Name: "Unschedulable", InitPod: "init.yaml", Pod: "basic.yaml", Churn: "unfit.yaml", CPU: 4, Memory: 32 << 10, MaxPods: 110,
		Sizes:    []Size{{500, 500, 5000}, {5000, 1000, 10000}},
		Variants: []Variant{Stock, Ours},
	},
	{
		Name: "Preemption", InitPod: "low.yaml", Pod: "high.yaml", CPU: 4, Memory: 32 << 10, MaxPods: 110,
		Sizes:    []Size{{500, 2000, 500}},
		Variants: []Variant{Stock, Ours}, Preemption: "starvationTimeout: 1s",
	},
	{
		Name: "Mixed", InitPod: "init.yaml", Pod: "mixed.yaml", CPU: 4, Memory: 32 << 10, MaxPods: 110,
		Sizes:    []Size{{500, 0, 3400}},
		Variants: []Variant{Stock, Ours, FullScan},
	},
}

// Run is one run of the harness.
type Run struct {
	Workload *Workload
	Size
	Variant Variant
	// Percent of the nodes have offers.
	Percent int
}

// Name is the name of the run's results.
func (r *Run) Name() string {
	name := fmt.Sprintf("Scheduler/workload=%s/nodes=%d", r.Workload.Name, r.Nodes)
	if len(r.Workload.Percent) > 0 {
		name += fmt.Sprintf("/offers=%d", r.Percent)
	}
	return name + "/variant=" + string(r.Variant)
}

// every is the distance of nodes that have offers.
func (r *Run) every() int { return max(1, 100/max(1, r.Percent)) }

// UsesMesos tells whether the run needs a master.
func (r *Run) UsesMesos() bool { return r.Variant != Stock }

// Agent is an agent of the master, for a node.
type Agent struct{ Hostname, Resources string }

// Agents are the master's agents.
func (r *Run) Agents() []Agent {
	var list []Agent
	for i := 0; i < r.Nodes; i += r.every() {
		list = append(list, Agent{
			Hostname:  fmt.Sprintf("node-%d", i),
			Resources: fmt.Sprintf("cpus:%d;mem:%d;disk:100000;ports:[31000-32000]", r.Workload.CPU, r.Workload.Memory),
		})
	}
	return list
}

//go:embed config
var files embed.FS

// fill is what the files of a run are filled with.
type fill struct {
	*Run
	Dir, Master string
	Every       int
	Pod         string
	// Plain tells that there is a profile without our plugin, Mesos is the name of that
	// with it.
	Plain  bool
	Mesos  string
	Offers string
}

// Write writes the harness' files into a directory, for a master at an address.
func (r *Run) Write(dir, master string) error {
	f := fill{Run: r, Dir: dir, Master: master, Every: r.every(), Pod: r.Workload.Pod}
	switch r.Variant {
	case Stock:
		f.Plain = true
		if len(r.Workload.Percent) > 0 {
			f.Pod = offeredPod
		}
	case Ours:
		f.Mesos = "default-scheduler"
	case FullScan:
		f.Mesos, f.Offers = "default-scheduler", "candidateLimit: 0"
	case OptedOut:
		f.Plain, f.Mesos = true, "kube-mesos"
	default:
		return fmt.Errorf("unknown variant %q", r.Variant)
	}
	entries, err := files.ReadDir("config")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		t, err := template.New(entry.Name()).Delims("[[", "]]").ParseFS(files, "config/"+entry.Name())
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, &f); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name()), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	agents, err := json.Marshal(r.Agents())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "agents.json"), agents, 0o644)
}

// Rounds returns the runs of so many rounds of the workloads whose names contain one of
// the words, of the size of so many nodes; 0 for all. In each round each variant runs
// once, and another one comes first.
func Rounds(words []string, nodes, rounds int) []Run {
	var runs []Run
	for round := range rounds {
		for i := range Workloads {
			w := &Workloads[i]
			if !named(w.Name, words) {
				continue
			}
			for _, size := range w.Sizes {
				if nodes > 0 && size.Nodes != nodes {
					continue
				}
				runs = append(runs, w.runs(size, round)...)
			}
		}
	}
	return runs
}

func (w *Workload) runs(size Size, round int) (runs []Run) {
	percents := w.Percent
	if len(percents) == 0 {
		percents = []int{100}
	}
	for _, percent := range percents {
		for i := range w.Variants {
			variant := w.Variants[(i+round)%len(w.Variants)]
			runs = append(runs, Run{Workload: w, Size: size, Variant: variant, Percent: percent})
		}
	}
	return runs
}

func named(name string, words []string) bool {
	for _, word := range words {
		if strings.Contains(name, word) {
			return true
		}
	}
	return len(words) == 0
}
