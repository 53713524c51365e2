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

package quota

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// task is what one task or reservation takes, in the model: amounts by Mesos name.
type task struct {
	role string
	mine bool
	// free resources are charged to no quota: revocable ones, or reserved ones whose
	// reservation is a task of its own here.
	free  bool
	takes map[string]int64
}

// world is a master as it is, and what it said last. It shares no arithmetic with
// the Book.
type world struct {
	tasks []task
	// limits by top-level role and name.
	limits map[string]map[string]int64
	// before is what others took when the master was last asked, by top-level role
	// and name; known are the limits of that time.
	before, known map[string]map[string]int64
}

var modelNames = []string{"cpus", "mem", "disk", "gpus", "fpgas", "zeta"}

var modelRoles = []string{"a", "a/b", "a/b/c", "a/d", "ab", "ab/a", "b", "b/a", "a-b", "a-b/c"}

// below reports whether role is top or in its tree.
func below(role, top string) bool { return role == top || strings.HasPrefix(role, top+"/") }

// charged sums what is charged to a role's tree.
func (w *world) charged(top, name string, which func(task) bool) (sum int64) {
	for _, t := range w.tasks {
		if below(t.role, top) && !t.free && which(t) {
			sum += t.takes[name]
		}
	}
	return sum
}

func mine(t task) bool   { return t.mine }
func others(t task) bool { return !t.mine }
func anyone(task) bool   { return true }

func bundle(amounts map[string]int64) resources.Bundle {
	var b resources.Bundle
	for _, name := range modelNames {
		if kind, ok := resources.KindOfMesos(name); ok {
			b.Vector[kind] = amounts[name]
		} else if amounts[name] != 0 {
			b.Scalars = append(b.Scalars, resources.Scalar{Name: name, Milli: amounts[name]})
		}
	}
	return b
}

// poll is the master's answer, and what we hold at that time.
func (w *world) poll() (list []Role, ours held) {
	ours = held{}
	w.before, w.known = map[string]map[string]int64{}, map[string]map[string]int64{}
	for _, role := range modelRoles {
		r := Role{Name: role, Limited: map[string]bool{}}
		consumed := map[string]int64{}
		for _, name := range modelNames {
			consumed[name] = w.charged(role, name, anyone)
		}
		r.Consumed = bundle(consumed)
		for name := range w.limits[role] {
			r.Limited[name] = true
		}
		r.Limit = bundle(w.limits[role])
		list = append(list, r)
		if !strings.Contains(role, "/") {
			w.before[role], w.known[role] = map[string]int64{}, map[string]int64{}
			for _, name := range modelNames {
				w.before[role][name] = w.charged(role, name, others)
				if limit, ok := w.limits[role][name]; ok {
					w.known[role][name] = limit
				}
			}
		}
	}
	for _, t := range w.tasks {
		if t.mine && !t.free {
			ours[t.role] = ours[t.role].Add(bundle(t.takes))
		}
	}
	return list, ours
}

// short returns whether need of a role exceeds what was known.
func (w *world) short(role string, need map[string]int64) []string {
	var lacks []string
	for top := range w.known {
		if !below(role, top) {
			continue
		}
		for _, name := range modelNames {
			limit, limited := w.known[top][name]
			if limited && need[name] > 0 && w.before[top][name]+w.charged(top, name, mine)+need[name] > limit {
				lacks = append(lacks, name)
			}
		}
	}
	return lacks
}

func amountsOf(r *rand.Rand) map[string]int64 {
	m := map[string]int64{}
	for _, name := range modelNames {
		if r.IntN(3) > 0 {
			m[name] = r.Int64N(4) * 500
		}
	}
	return m
}

// What Check allows is exactly what a model allows that keeps lists of tasks instead
// of sums; and while nobody else moves, our claims never exceed a limit.
func TestCheckAgainstModel(t *testing.T) {
	refused, allowed := 0, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := &world{limits: map[string]map[string]int64{}}
		var book Book
		ours := &Usage{}
		for step := range 120 {
			at := fmt.Sprintf("seed %d, step %d", seed, step)
			role := modelRoles[r.IntN(len(modelRoles))]
			switch action := r.IntN(10); {
			case action == 0:
				if top := Top(role); r.IntN(3) == 0 {
					delete(w.limits, top)
				} else {
					w.limits[top] = map[string]int64{}
					for _, name := range modelNames {
						if r.IntN(2) == 0 {
							w.limits[top][name] = r.Int64N(20) * 500
						}
					}
				}
			case action == 1:
				list, held := w.poll()
				r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				if r.IntN(2) == 0 {
					held = ours.Snapshot()
				}
				book.Set(list, held, time.Unix(int64(step), 0))
			case action == 2:
				w.tasks = append(w.tasks, task{role: role, takes: amountsOf(r), free: r.IntN(3) == 0})
			case action <= 4 && len(w.tasks) > 0:
				i := r.IntN(len(w.tasks))
				if gone := w.tasks[i]; gone.mine && !gone.free {
					b := bundle(gone.takes)
					ours.Sub(gone.role, &b)
				}
				w.tasks = append(w.tasks[:i], w.tasks[i+1:]...)
			case action == 5:
				w.tasks = append(w.tasks, task{role: role, mine: true, free: true, takes: amountsOf(r)})
			default:
				takes := amountsOf(r)
				need := bundle(takes)
				want := w.short(role, takes)
				lack, ok := book.Check(role, &need, ours)
				if ok != (len(want) == 0) || !ok && lack != resourceName(want[0]) {
					t.Fatalf("%s: %s needs %v: lacks %q, want %q", at, role, need, lack, want)
				}
				if again, ok := book.Reserve(role, &need, ours); again != lack || ok != (lack == "") {
					t.Fatalf("%s: Check lacks %q, Reserve %q", at, lack, again)
				}
				if !ok {
					refused++
					continue
				}
				allowed++
				w.tasks = append(w.tasks, task{role: role, mine: true, takes: takes})
			}
		}
	}
	if refused < 1000 || allowed < 1000 {
		t.Errorf("%d refused, %d allowed: the test says little", refused, allowed)
	}
}

// resourceName is how lacks are named.
func resourceName(mesos string) string {
	if kind, ok := resources.KindOfMesos(mesos); ok {
		return kind.String()
	}
	return mesos
}
