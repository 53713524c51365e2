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

// Package mesosstate reads a Mesos master from outside: its legacy GET endpoints
// /state, /slaves and /metrics/snapshot, as any operator's tool would.
package mesosstate

import (
	"math"
	"strconv"
	"strings"
)

// Milli is a quantity in thousandths, the precision Mesos computes with
// (llround(x*1000), src/common/values.cpp).
type Milli int64

// milli rounds a scalar as Mesos does. Values outside of its range, which no
// master sends, are clamped.
func milli(x float64) Milli {
	scaled := math.Round(x * 1000)
	switch {
	case math.IsNaN(scaled):
		return 0
	case scaled >= math.MaxInt64:
		return math.MaxInt64
	case scaled <= math.MinInt64:
		return math.MinInt64
	}
	return Milli(scaled)
}

// String returns the quantity in units, such as "1.5".
func (m Milli) String() string { return strconv.FormatFloat(float64(m)/1000, 'f', -1, 64) }

// Resources are the scalars of an agent or a task: CPUs in thousandths of a
// CPU, Mem and Disk in thousandths of a MiB, GPUs in thousandths.
type Resources struct {
	CPUs, Mem, Disk, GPUs Milli
}

// scalars is how /state writes resources: one number per scalar, ranges (ports)
// and sets as text, which are skipped.
type scalars map[string]any

func (s scalars) resources() Resources {
	get := func(name string) Milli {
		x, _ := s[name].(float64)
		return milli(x)
	}
	return Resources{CPUs: get("cpus"), Mem: get("mem"), Disk: get("disk"), GPUs: get("gpus")}
}

// Add returns the sum of both.
func (r Resources) Add(o Resources) Resources {
	return Resources{CPUs: r.CPUs + o.CPUs, Mem: r.Mem + o.Mem, Disk: r.Disk + o.Disk, GPUs: r.GPUs + o.GPUs}
}

// Agent is a registered agent.
type Agent struct {
	ID, Hostname string
	// Active agents are offered to frameworks.
	Active bool
	// Total is all of the agent, Used what tasks and executors hold, Offered
	// what is out in offers.
	Total, Used, Offered Resources
}

// Task is a task the master knows of and that it did not move to a framework's
// completed ones: live, or ended and not acknowledged yet.
type Task struct {
	ID, Name, FrameworkID, AgentID string
	// State is the Mesos name of its state, such as "TASK_RUNNING".
	State     string
	Resources Resources
}

// Live tells whether the task holds resources and is meant to go on: staged,
// starting or running. A task being killed is not live.
func (t Task) Live() bool {
	switch t.State {
	case "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING":
		return true
	}
	return false
}

// Ended tells whether the state is terminal (or lost for good): the agent's
// resources are free again.
func (t Task) Ended() bool {
	switch t.State {
	case "TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST",
		"TASK_DROPPED", "TASK_GONE", "TASK_GONE_BY_OPERATOR":
		return true
	}
	return false
}

// Framework is a framework the master knows of and that was not removed.
type Framework struct {
	ID, Name          string
	Active, Connected bool
	// Offered is what the framework holds in offers.
	Offered Resources
	Tasks   []Task
}

// State is one consistent look at a master.
type State struct {
	Agents     []Agent
	Frameworks []Framework
}

// Named returns the frameworks with a name; several when older ones are still
// in their failover timeout.
func (s *State) Named(name string) []Framework {
	var out []Framework
	for _, f := range s.Frameworks {
		if f.Name == name {
			out = append(out, f)
		}
	}
	return out
}

// Metrics is the flat map of /metrics/snapshot.
type Metrics map[string]float64

// FrameworkSum adds up a metric over all frameworks with a name: the keys are
// "master/frameworks/<name>/<id>/<metric>" (src/master/metrics.cpp).
func (m Metrics) FrameworkSum(name, metric string) float64 {
	prefix, suffix := "master/frameworks/"+escape(name)+"/", "/"+metric
	sum := 0.0
	for key, value := range m {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if id, ok := strings.CutSuffix(rest, suffix); ok && !strings.Contains(id, "/") {
			sum += value
		}
	}
	return sum
}
