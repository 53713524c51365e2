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

package demand

import (
	"cmp"
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// target is for how many pods of a class offers are to be held.
type target struct {
	ask  Ask
	left int
	// choosy tells that such pods wait that choose for themselves.
	choosy bool
	size   float64
}

// aim orders the targets, big classes first.
func (r *Round) aim() {
	for i := range r.targets {
		r.targets[i].size = size(&r.targets[i].ask.Need, &r.most)
	}
	slices.SortFunc(r.targets, func(a, b target) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(b.ask.Need[resources.GPU], a.ask.Need[resources.GPU]),
			cmp.Compare(a.ask.Require, b.ask.Require), cmp.Compare(a.ask.AgentID, b.ask.AgentID))
	})
}

// targets appends the target of each class. Which pods have a reservation is not known
// but that they are awake: they are spread over the classes by how many are.
func (d *Demand) targets(list []target, reserved int) []target {
	awake := len(d.pods) - d.parked
	reserved = min(reserved, awake)
	latency := d.revives.run.mean.Seconds()
	for ask, s := range d.shapes {
		waiting := s.pods
		if awake > 0 {
			// Rounded down: rather too much is held than too little.
			waiting -= int(int64(reserved) * int64(s.pods-s.parked) / int64(awake))
		}
		t := target{ask: ask, left: waiting + (waiting+4)/5 + int(s.arrivals.rate*latency+0.5), choosy: ask.Choosy && waiting > 0}
		if s.pods == 0 {
			// The next one may come soon.
			t.left = max(t.left, 1)
		}
		list = append(list, t)
	}
	return list
}

// warm is the agents on which offers are held without need.
type warm struct {
	agents map[string]bool
	// full tells that there are as many as wanted. Then others are of use only if they
	// are larger than the smallest, measured by what was largest in the last round.
	full     bool
	smallest float64
	most     resources.Vector
}

// candidate tells whether an agent, of no other use, may be a warm one.
func (w *warm) candidate(f *offers.Free, wanted int) bool {
	switch {
	case wanted == 0:
		return false
	case !w.full || w.agents[f.AgentID]:
		return true
	}
	return size(&f.Regular, &w.most) > w.smallest
}

func (w *warm) begin(most resources.Vector) {
	clear(w.agents)
	w.full, w.most = false, most
}

func (w *warm) add(a *heldAgent) {
	w.agents[a.free.AgentID] = true
	w.smallest = a.score
}

func (w *warm) end(full bool) { w.full = full && len(w.agents) > 0 }
