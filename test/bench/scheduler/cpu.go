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

// The functions whose presence on a stack tells what the time was used for.
const (
	ours       = "github.com/kube-mesos/kube-mesos/plugins/"
	perPod     = "k8s.io/kubernetes/pkg/scheduler.(*Scheduler).ScheduleOne"
	bindCycle  = "k8s.io/kubernetes/pkg/scheduler.(*Scheduler).ScheduleOne.func1"
	worker     = "k8s.io/kubernetes/pkg/scheduler/framework/parallelize."
	preemption = "k8s.io/kubernetes/pkg/scheduler/framework/preemption."
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
	var cycle, bind, own bool
	for _, location := range sample.Location {
		for _, line := range location.Line {
			if line.Function == nil {
				continue
			}
			name := line.Function.Name
			own = own || strings.HasPrefix(name, ours)
			bind = bind || strings.HasPrefix(name, bindCycle)
			cycle = cycle || strings.HasPrefix(name, perPod) || strings.HasPrefix(name, worker) || strings.HasPrefix(name, preemption)
		}
	}
	switch {
	case bind:
		c.Bind += seconds
	case cycle:
		c.Cycle += seconds
		if own {
			c.Plugin += seconds
		}
	case own:
		c.Ours += seconds
	}
}
