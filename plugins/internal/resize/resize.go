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

// Package resize decides which Mesos tasks a pod keeps, takes and gives back when
// what it needs changes while it runs, or Mesos took a task away. A task's resources
// never change, so a pod that grew holds a second one, and a pod that shrank gives one
// back or moves to a smaller one.
//
// It is pure: no I/O and no clock.
package resize

import (
	"cmp"
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Task is one of the tasks that hold resources for a pod.
type Task struct {
	ID string
	// Attempt orders the tasks of a pod by when they were made.
	Attempt int64
	Need    resources.Bundle
}

// State is what a pod needs and what is held for it.
type State struct {
	Need resources.Bundle
	// Main is the task that the pod lives by, Extras are its further ones, the oldest
	// first. All of them are known to be held.
	Main   Task
	Extras []Task
	// Coming are tasks on their way, to be held soon or to be forgotten.
	Coming []Task
	// Fixed tells that no smaller task is to be looked for in place of Main.
	Fixed bool
	// Gone tells that Main ended: it holds nothing, and the pod is to live by another
	// task, which is taken if there is none.
	Gone bool
}

// Plan is what becomes of a pod's tasks.
type Plan struct {
	// Main is the task to live by from now on, and Extras are the further ones to be
	// kept. Drop are the others that are held: they may go as soon as it is written
	// down that the pod does not rely on them.
	Main   string
	Extras []string
	Drop   []string
	// Take is what another task should hold, nothing if none is missing. It is never
	// too small for a task.
	Take resources.Bundle
	// Whole tells that the other task should hold all that the pod needs, so that those
	// it has can go: the pod is well without it.
	Whole bool
}

// Decide returns the plan. What is kept holds at least the need, or everything that is
// held if that is less.
func Decide(s State) Plan {
	if s.Gone {
		return s.replace()
	}
	held := append([]Task{s.Main}, s.Extras...)
	keep := s.choose(held)
	p := Plan{Main: keep[0].ID}
	for _, t := range keep[1:] {
		p.Extras = append(p.Extras, t.ID)
	}
	for _, t := range held {
		if !contains(keep, t.ID) {
			p.Drop = append(p.Drop, t.ID)
		}
	}
	if len(s.Coming) > 0 {
		// One at a time: the need may have changed again when it is here.
		return p
	}
	have := sum(held)
	if missing := s.Need.Missing(have); !missing.IsZero() {
		missing.Vector = missing.Vector.Max(smallest)
		p.Take = missing
		return p
	}
	// A second task for the same ports could not be had.
	if !s.Fixed && len(s.Need.Ports) == 0 && Worthwhile(s.Need, sum(keep)) {
		p.Take, p.Whole = s.Need, true
	}
	return p
}

// replace is the plan for a pod whose main task is gone. It lives by the latest of its
// further tasks, or by one to come.
func (s *State) replace() Plan {
	have := sum(s.Extras)
	missing := s.Need.Missing(have)
	if missing.IsZero() {
		missing = s.Need
	}
	missing.Vector = missing.Vector.Max(smallest)
	p := Plan{Main: s.Main.ID}
	if latest := s.latest(); latest >= 0 {
		// Whatever is missing then is taken as for any pod that grew.
		rest := *s
		rest.Main, rest.Extras, rest.Gone = s.Extras[latest], slices.Delete(slices.Clone(s.Extras), latest, latest+1), false
		p = Decide(rest)
		p.Drop = append(p.Drop, s.Main.ID)
		return p
	}
	for _, t := range s.Extras {
		p.Extras = append(p.Extras, t.ID)
	}
	if len(s.Coming) == 0 {
		p.Take = missing
	}
	return p
}

// latest is the index of the latest further task, -1 if none is later than Main: a pod
// only ever moves on to a later task.
func (s *State) latest() int {
	at := -1
	for i, t := range s.Extras {
		if t.Attempt > s.Main.Attempt && (at < 0 || t.Attempt > s.Extras[at].Attempt) {
			at = i
		}
	}
	return at
}

// smallest is what a task holds at least: with less Mesos warns of it, and its cgroups
// leave the placeholder too little to live (Mesos source, master/constants.hpp,
// MIN_CPUS and MIN_MEM).
var smallest = resources.Vector{resources.CPU: 10, resources.Memory: 32_000}

// choose returns the tasks to keep, the one to live by first: that of now, unless
// moving on to a later one gives more back.
func (s *State) choose(held []Task) []Task {
	newest := slices.Clone(s.Extras)
	slices.Reverse(newest)
	stay := s.without(held, newest)
	move := s.without(held, held)
	latest := slices.MaxFunc(move, func(a, b Task) int { return cmp.Compare(a.Attempt, b.Attempt) })
	// A pod only ever moves on to a later task.
	if contains(move, s.Main.ID) || latest.Attempt <= s.Main.Attempt {
		return stay
	}
	less, more := sum(move), sum(stay)
	if !less.Fits(&more) || less.Equal(&more) {
		return stay
	}
	others := slices.DeleteFunc(move, func(t Task) bool { return t.ID == latest.ID })
	return append([]Task{latest}, others...)
}

// without returns held without those of the candidates, in their order, that the need
// can do without. One stays in any case.
func (s *State) without(held, candidates []Task) []Task {
	keep := slices.Clone(held)
	for _, c := range candidates {
		rest := slices.DeleteFunc(slices.Clone(keep), func(t Task) bool { return t.ID == c.ID })
		have := sum(rest)
		if len(rest) > 0 && s.Need.Fits(&have) {
			keep = rest
		}
	}
	return keep
}

func contains(tasks []Task, id string) bool {
	return slices.ContainsFunc(tasks, func(t Task) bool { return t.ID == id })
}

func sum(tasks []Task) (have resources.Bundle) {
	for _, t := range tasks {
		have = have.Add(t.Need)
	}
	return have
}

// least is from how much on it is worth while to give it back, where that means to
// take everything else anew: a tenth of a core, 64 MiB. Other resources of a running
// pod do not change.
var least = map[resources.Kind]int64{resources.CPU: 100, resources.Memory: 64_000}

// Worthwhile tells whether so much more is held than needed that others should have
// it: of one resource at least a tenth of what is held, and not just a little.
func Worthwhile(need, have resources.Bundle) bool {
	for kind, amount := range least {
		if spare := have.Vector[kind] - need.Vector[kind]; spare >= amount && spare >= have.Vector[kind]/10 {
			return true
		}
	}
	return false
}
