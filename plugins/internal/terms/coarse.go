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

package terms

import "github.com/kube-mesos/kube-mesos/plugins/internal/resources"

// grid is how coarsely the least amount of one kind is said: unit times a power of
// two, positive or negative, and nothing below floor. All in 1/1000.
type grid struct{ unit, floor int64 }

var grids = [resources.NumKinds]grid{
	resources.CPU:    {unit: 1000, floor: 62},      // down to 1/16 core
	resources.Memory: {unit: 1000, floor: 32_000},  // down to 32 MiB
	resources.Disk:   {unit: 1000, floor: 128_000}, // down to 128 MiB
	resources.GPU:    {unit: 1000, floor: 1000},    // down to one device
}

// Coarse returns what offers must hold at least if the smallest pod to be placed needs
// smallest: each amount rounded down to a coarse step, and nothing where it is small.
// A changed minimum costs the master a message to every agent, so that pods of about
// the same size must not change it. Coarse of a coarse vector is that vector.
func Coarse(smallest resources.Vector) resources.Vector {
	for kind, amount := range smallest {
		smallest[kind] = grids[kind].down(amount)
	}
	return smallest
}

// down returns the largest step that is at most amount.
func (g grid) down(amount int64) int64 {
	if amount < g.floor {
		return 0
	}
	step := g.unit
	for step <= amount/2 {
		step *= 2
	}
	for step > amount {
		step /= 2
	}
	return step
}
