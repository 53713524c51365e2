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
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestQuantile(t *testing.T) {
	list := make([]time.Duration, 200)
	for i := range list {
		list[i] = time.Duration(i + 1)
	}
	for part, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := Quantile(list, part); got != want {
			t.Errorf("quantile %v: got %d, want %d", part, got, want)
		}
	}
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: got %d", got)
	}
}

func TestHistogram(t *testing.T) {
	old := Histogram{Bounds: []float64{1, 2, 4}, Counts: []uint64{10, 10, 10}, Count: 10, Sum: 5}
	now := Histogram{Bounds: []float64{1, 2, 4}, Counts: []uint64{10, 30, 110}, Count: 110, Sum: 305}
	d := now.Since(old)
	if d.Count != 100 || d.Mean() != 3 {
		t.Errorf("got %d values of mean %v, want 100 of 3", d.Count, d.Mean())
	}
	// 20 values in (1, 2], 80 in (2, 4].
	for part, want := range map[float64]float64{0.1: 1.5, 0.2: 2, 0.6: 3, 1: 4} {
		if got := d.Quantile(part); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v: got %v, want %v", part, got, want)
		}
	}
	if got := d.Since(Histogram{}).Count; got != 100 {
		t.Errorf("since nothing: got %d", got)
	}
}

func TestLine(t *testing.T) {
	m := Measure{
		Pods: 1000, Took: 4 * time.Second, P50: time.Second, P99: 1500 * time.Millisecond, Process: 5 * time.Second, Master: time.Second,
		Placement: Placement{Fragmented: 7},
	}
	cpu := CPU{Cycle: 2, Plugin: 0.25, Bind: 0.5, Ours: 0.125}
	run := Run{Workload: &Workloads[0], Size: Size{Nodes: 500}, Variant: Ours}
	const want = "BenchmarkScheduler/workload=SchedulingBasic/nodes=500/variant=ours 1 250 pods/s 1000 p50-ms 1500 p99-ms 0 cycle-ms 0 cycle-p99-ms " +
		"2 sched-ms/pod 0.5 bind-ms/pod 0.25 plugin-ms/pod 0.125 ours-ms/pod 1 master-ms/pod 5 cpu-ms/pod"
	if got := m.Line(&run, cpu, 0); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	run = Run{Workload: &Workloads[len(Workloads)-1], Variant: Stock}
	got := m.Line(&run, cpu, 240)
	for text, has := range map[string]bool{" 240 harness-pods/s ": true, " 7 fragmented-% ": true, "master-ms": false, "plugin-ms": false} {
		if strings.Contains(got, text) != has {
			t.Errorf("%q in %s: want %v", text, got, has)
		}
	}
}

// TestReadCPU builds a profile of one second for each kind of stack.
func TestReadCPU(t *testing.T) {
	const plugin = ours + "mesosoffers.(*Plugin).Filter"
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7,
	}
	for _, stack := range [][]string{
		{"runtime.mapaccess", perPod},
		{plugin, perPod},
		{plugin, scheduler + ".(*Scheduler).findNodesThatPassFilters.func1", worker + "1"},
		{"runtime.mapaccess", preemption + "(*Executor).prepareCandidate"},
		{"net/http.(*Client).Do", worker + "1"},
		{plugin, bindCycle},
		{ours + "internal/lifecycle.(*Manager).Run"},
		{"net/http.(*conn).serve"},
	} {
		sample := &profile.Sample{Value: []int64{100, 1e9}}
		for _, name := range stack {
			f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name}
			l := &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f}}}
			p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			sample.Location = append(sample.Location, l)
		}
		p.Sample = append(p.Sample, sample)
	}
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	got, err := ReadCPU(&file)
	if want := (CPU{Cycle: 4, Plugin: 2, Bind: 1, Ours: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := ReadCPU(strings.NewReader("no profile")); err == nil {
		t.Error("want an error for what is no profile")
	}
}
