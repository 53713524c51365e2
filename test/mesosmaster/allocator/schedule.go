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

package allocator

import (
	"maps"
	"slices"
	"time"
)

// recoveryFactor is the part of the agents known from the registry that must be
// back before a new master with quotas allocates, recoveryTimeout how long it
// waits for them (Mesos master/constants.hpp).
const (
	recoveryFactor  = 0.8
	recoveryTimeout = 10 * time.Minute
)

// runOver makes a run over one agent due at once; several requests make one run
// (Mesos generateOffers).
func (a *Allocator) runOver(on *agent) {
	if !a.paused {
		a.candidates[on] = true
	}
	a.touch()
}

// runEverywhere makes a run over all agents due at once.
func (a *Allocator) runEverywhere() {
	a.everywhere = a.everywhere || !a.paused
	a.touch()
}

// touch makes sure that the next tick allocates. A real master allocates at each
// tick; over an unchanged state that offers nothing, and is left out here.
func (a *Allocator) touch() {
	if a.tick.IsZero() {
		a.tick = a.tickAfter(a.now())
	}
}

// tickAfter is the first tick after t. Ticks have a phase of their own, from the
// election of the master on.
func (a *Allocator) tickAfter(t time.Time) time.Time {
	if t.Before(a.phase) {
		return a.phase
	}
	return t.Add(a.Interval - t.Sub(a.phase)%a.Interval)
}

// AlignTicks moves the phase of the ticks: the next one comes at that time, the
// others every interval after it.
func (a *Allocator) AlignTicks(at time.Time) {
	a.phase = at
	if !a.tick.IsZero() {
		a.tick = a.tickAfter(a.now())
	}
}

// restless tells whether a run may offer something though nothing has changed:
// shared resources are offered again and again, and guarantees make a run depend
// on the random order of the last one.
func (a *Allocator) restless() bool {
	if a.guarantees > 0 {
		return true
	}
	for _, on := range a.order {
		if len(on.shared) > 0 {
			return true
		}
	}
	return false
}

// Due is when Run wants to be called; false for not before something happens.
func (a *Allocator) Due() (time.Time, bool) {
	now := a.now()
	if a.paused && !a.resumes.After(now) {
		a.resume()
	}
	if a.everywhere || len(a.candidates) > 0 {
		return now, true
	}
	return a.tickDue()
}

// tickDue is the next tick that has something to do.
func (a *Allocator) tickDue() (time.Time, bool) {
	due := a.tick
	if len(a.expiries) > 0 {
		if t := a.tickAfter(a.expiries[0].at); due.IsZero() || t.Before(due) {
			due = t
		}
	}
	if a.paused && !due.IsZero() && due.Before(a.resumes) {
		due = a.tickAfter(a.resumes)
	}
	return due, !due.IsZero()
}

// Run allocates if a run is due at the present time, and returns what is to be
// offered.
func (a *Allocator) Run() Result {
	due, ok := a.Due()
	now := a.now()
	if !ok || due.After(now) {
		return Result{}
	}
	tick, ok := a.tickDue()
	a.expire(now)
	var over []*agent
	if a.everywhere || ok && !tick.After(now) {
		over = slices.Clone(a.order)
		a.tick = time.Time{}
	} else {
		over = slices.SortedFunc(maps.Keys(a.candidates), func(x, y *agent) int { return x.number - y.number })
	}
	a.everywhere = false
	clear(a.candidates)
	a.runs++
	result := a.allocate(over)
	a.invert(over, &result)
	if a.restless() {
		a.touch()
	}
	return result
}

// AwaitAgents makes a new master with quotas wait for the agents it knows from the
// registry (Mesos hierarchical.cpp recover). Quotas must be set before.
func (a *Allocator) AwaitAgents(agents int) {
	for _, r := range a.tree.root.children {
		if r.quota.Default() {
			continue
		}
		if a.expected = int(float64(agents) * recoveryFactor); a.expected > 0 {
			a.paused, a.resumes = true, a.now().Add(recoveryTimeout)
		}
		return
	}
}

// resume ends the wait; runs asked for meanwhile are made up for at the next
// tick.
func (a *Allocator) resume() {
	a.paused = false
	a.touch()
}
