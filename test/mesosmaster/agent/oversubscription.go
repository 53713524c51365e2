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

package agent

import (
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// splitRevocable parts revocable resources from the others: the former are what
// the fixed resource estimator of Mesos answers.
func splitRevocable(all resource.Resources) (plain, revocable resource.Resources) {
	for _, r := range all {
		if r.Flavor.Revocable() {
			revocable = append(revocable, r)
		} else {
			plain = append(plain, r)
		}
	}
	return plain, revocable
}

// SetEstimate changes how much revocable resources there are. The agent notices
// at its next look, or when it starts.
func (a *Agent) SetEstimate(revocable resource.Resources) {
	_, a.estimate = splitRevocable(revocable)
	if a.running {
		a.watchResources()
	}
}

// SetLoad changes the load of the machine that the QoS controller sees.
func (a *Agent) SetLoad(load float64) { a.load = load }

// revocable is the larger of the estimate and of what is in use, entry by entry:
// nothing is taken away from running tasks (Mesos slave.cpp
// forwardOversubscribed).
func (a *Agent) revocable() resource.Resources {
	var used resource.Resources
	for _, e := range a.executors {
		_, rev := splitRevocable(e.all().WithAlloc(""))
		used = used.Add(rev)
	}
	return a.estimate.Sub(used).Add(used)
}

// watchResources starts what the agent does regularly about revocable resources,
// if it has any to do with them.
func (a *Agent) watchResources() {
	if !a.running {
		return
	}
	a.watch++
	if len(a.estimate) > 0 || len(a.announced) > 0 {
		interval := a.cfg.OversubscribedInterval
		if interval == 0 {
			interval = 15 * time.Second
		}
		a.every(StepEstimate, interval, a.forwardOversubscribed)
	}
	if a.cfg.LoadThreshold > 0 {
		a.every(StepCorrect, max(a.cfg.QoSInterval, time.Second), a.correctQoS)
	}
}

// every repeats do while the process lives and is not told otherwise.
func (a *Agent) every(step Step, d time.Duration, do func()) {
	watch, life := a.watch, a.life
	var again func()
	again = func() {
		if a.watch == watch && a.life == life && a.running {
			do()
			a.world.After(d, again)
		}
	}
	a.world.After(a.set.Takes(step, a.cfg.Hostname, d), again)
}

// forwardOversubscribed tells the master of a changed amount of revocable
// resources.
func (a *Agent) forwardOversubscribed() {
	now := a.revocable()
	if !a.Reachable() || now.Contains(a.announced) && a.announced.Contains(now) {
		return
	}
	a.announced = now
	a.master.Oversubscribed(a, now)
}

// correctQoS is the load QoS controller: above the threshold it kills executors
// that hold revocable resources (Mesos slave/qos_controllers/load.cpp).
func (a *Agent) correctQoS() {
	if a.load <= a.cfg.LoadThreshold {
		return
	}
	for _, e := range a.sortedExecutors() {
		if _, rev := splitRevocable(e.all()); len(rev) > 0 {
			a.destroy(e, &termination{
				a.oneOf(e.FrameworkID, mesos.TASK_GONE), mesos.REASON_CONTAINER_PREEMPTED, "Container preempted by QoS correction",
			})
		}
	}
}
