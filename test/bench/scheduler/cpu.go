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
	"io"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// CPU is CPU time by what it was used for, in seconds.
type CPU struct {
	// Cycle is that of scheduling cycles with their workers, Plugin the part of it in
	// our packages.
	Cycle, Plugin float64
	// Bind is that of binding cycles.
	Bind float64
	// Ours is that of our packages elsewhere.
	Ours float64
}

// The functions whose presence on a stack tells what the time was used for. Workers of
// a scheduling cycle run in ParallelizeUntil, as does the harness' creation of pods.
const (
	ours       = "github.com/kube-mesos/kube-mesos/plugins/"
	scheduler  = "k8s.io/kubernetes/pkg/scheduler"
	perPod     = scheduler + ".(*Scheduler).ScheduleOne"
	bindCycle  = scheduler + ".(*Scheduler).ScheduleOne.func1"
	preemption = scheduler + "/framework/preemption."
	worker     = "k8s.io/client-go/util/workqueue.ParallelizeUntil.func"
)

// ReadCPU takes a CPU profile apart.
func ReadCPU(r io.Reader) (CPU, error) {
	var c CPU
	p, err := profile.Parse(r)
	if err != nil {
		return c, fmt.Errorf("cannot read the CPU profile: %w", err)
	}
	value := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "cpu" && t.Unit == "nanoseconds" })
	if value < 0 {
		return c, fmt.Errorf("the profile holds no CPU time in nanoseconds, but %v", p.SampleType)
	}
	for _, sample := range p.Sample {
		c.add(sample, float64(sample.Value[value])/1e9)
	}
	return c, nil
}

func (c *CPU) add(sample *profile.Sample, seconds float64) {
	on := func(prefix string) bool {
		return slices.ContainsFunc(sample.Location, func(location *profile.Location) bool {
			return slices.ContainsFunc(location.Line, func(line profile.Line) bool {
				return line.Function != nil && strings.HasPrefix(line.Function.Name, prefix)
			})
		})
	}
	switch {
	case on(bindCycle):
		c.Bind += seconds
	case on(perPod), on(preemption), on(worker) && on(scheduler):
		c.Cycle += seconds
		if on(ours) {
			c.Plugin += seconds
		}
	case on(ours):
		c.Ours += seconds
	}
}
