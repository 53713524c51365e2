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

import "math"

// Use is a node's room, what pods request of it and how many they are. CPU is in
// thousandths, memory in bytes.
type Use struct {
	CPU, Memory         int64
	UsedCPU, UsedMemory int64
	Pods                int
}

// Placement tells how well pods were placed.
type Placement struct {
	// Fragmented is the part, in percent, of the largest pods that would fit into all
	// free room taken together, and fit on no node.
	Fragmented float64
	// StrandedCPU is free CPU, in percent of all, that no pod of mean shape can use
	// because its node's memory ends first; StrandedMemory the reverse.
	StrandedCPU, StrandedMemory float64
	// Spread is the standard deviation of the number of pods per node.
	Spread float64
}

// Judge tells how well pods were placed whose mean and largest requests are these.
func Judge(nodes []Use, mean, largest Use) Placement {
	var p Placement
	var all Use
	var fitting, sum, squares float64
	for i := range nodes {
		n := &nodes[i]
		cpu, memory := float64(n.CPU-n.UsedCPU), float64(n.Memory-n.UsedMemory)
		fitting += fits(cpu, memory, largest)
		all.CPU, all.Memory = all.CPU+n.CPU, all.Memory+n.Memory
		all.UsedCPU, all.UsedMemory = all.UsedCPU+n.UsedCPU, all.UsedMemory+n.UsedMemory
		more := min(cpu/float64(mean.CPU), memory/float64(mean.Memory))
		p.StrandedCPU += cpu - more*float64(mean.CPU)
		p.StrandedMemory += memory - more*float64(mean.Memory)
		sum, squares = sum+float64(n.Pods), squares+float64(n.Pods)*float64(n.Pods)
	}
	count := float64(len(nodes))
	if together := fits(float64(all.CPU-all.UsedCPU), float64(all.Memory-all.UsedMemory), largest); together > 0 {
		p.Fragmented = 100 * (1 - fitting/together)
	}
	p.StrandedCPU *= 100 / float64(all.CPU)
	p.StrandedMemory *= 100 / float64(all.Memory)
	p.Spread = math.Sqrt(max(0, squares/count-sum/count*sum/count))
	return p
}

func fits(cpu, memory float64, pod Use) float64 {
	return max(0, math.Floor(min(cpu/float64(pod.CPU), memory/float64(pod.Memory))))
}
