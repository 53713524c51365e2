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
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Measure is what one run measured.
type Measure struct {
	Pods int
	// Took is the time from the first pod's creation to the last one's binding.
	Took time.Duration
	// P50 and P99 are quantiles of the time from a pod's creation to its binding.
	P50, P99 time.Duration
	// Cycles are the scheduler's scheduling_algorithm_duration.
	Cycles Histogram
	// Process and Master are CPU time.
	Process, Master time.Duration
	Placement       Placement
}

// Quantile returns the smallest of the sorted values that the given part of all does not
// exceed.
func Quantile(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(part*float64(len(sorted))))-1)]
}

// Histogram is a Prometheus histogram in seconds.
type Histogram struct {
	// Bounds are the buckets' upper bounds, Counts how many values are not above each.
	Bounds []float64
	Counts []uint64
	Count  uint64
	Sum    float64
}

// Since returns what was added to an earlier state of the histogram.
func (h Histogram) Since(old Histogram) Histogram {
	d := Histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Count: h.Count - old.Count, Sum: h.Sum - old.Sum}
	for i := range old.Counts {
		d.Counts[i] -= old.Counts[i]
	}
	return d
}

// Mean is the mean value in seconds.
func (h Histogram) Mean() float64 { return h.Sum / float64(max(1, h.Count)) }

// Quantile estimates a quantile, linearly within a bucket as Prometheus does.
func (h Histogram) Quantile(part float64) float64 {
	rank, low, below := part*float64(h.Count), 0.0, uint64(0)
	for i, count := range h.Counts {
		if float64(count) >= rank && count > below {
			return low + (h.Bounds[i]-low)*(rank-float64(below))/float64(count-below)
		}
		low, below = h.Bounds[i], count
	}
	return low
}

// Line is the run's result in the format of Go benchmarks. harness is the average of
// scheduler_perf itself, 0 if the run was too short for it.
func (m *Measure) Line(r *Run, cpu CPU, harness float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Benchmark%s 1", r.Name())
	add := func(x float64, unit string) { fmt.Fprintf(&b, " %.6g %s", x, unit) }
	perPod := func(seconds float64, unit string) { add(1000*seconds/float64(m.Pods), unit+"-ms/pod") }
	add(float64(m.Pods)/m.Took.Seconds(), "pods/s")
	if harness > 0 {
		add(harness, "harness-pods/s")
	}
	add(1000*m.P50.Seconds(), "p50-ms")
	add(1000*m.P99.Seconds(), "p99-ms")
	add(1000*m.Cycles.Mean(), "cycle-ms")
	add(1000*m.Cycles.Quantile(0.99), "cycle-p99-ms")
	perPod(cpu.Cycle, "sched")
	perPod(cpu.Bind, "bind")
	if r.UsesMesos() {
		perPod(cpu.Plugin, "plugin")
		perPod(cpu.Ours, "ours")
		perPod(m.Master.Seconds(), "master")
	}
	perPod(m.Process.Seconds(), "cpu")
	if r.Workload.Pod == "mixed.yaml" {
		add(m.Placement.Fragmented, "fragmented-%")
		add(m.Placement.StrandedCPU, "stranded-cpu-%")
		add(m.Placement.StrandedMemory, "stranded-memory-%")
		add(m.Placement.Spread, "spread-pods")
	}
	return b.String()
}
