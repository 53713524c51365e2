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

package resize

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// cores is an amount of cpu and as many times 64 MiB.
func cores(n float64) resources.Bundle {
	return resources.Bundle{Vector: resources.Vector{resources.CPU: int64(n * 1000), resources.Memory: int64(n * 64_000)}}
}

func task(attempt int64, need resources.Bundle) Task {
	return Task{ID: fmt.Sprint("t", attempt), Attempt: attempt, Need: need}
}

func TestDecide(t *testing.T) {
	withPort := func(n float64) resources.Bundle {
		b := cores(n)
		b.Ports = resources.NewRanges(resources.Range{Begin: 80, End: 80})
		return b
	}
	for name, test := range map[string]struct {
		State
		// keep is the tasks of the plan, in order.
		keep  string
		take  resources.Bundle
		whole bool
	}{
		"as it was":                        {State{Need: cores(1), Main: task(1, cores(1))}, "t1", cores(0), false},
		"grown":                            {State{Need: cores(3), Main: task(1, cores(1))}, "t1", cores(2), false},
		"grown again":                      {State{Need: cores(4), Main: task(1, cores(1)), Extras: []Task{task(2, cores(2))}}, "t1 t2", cores(1), false},
		"grown, one is coming":             {State{Need: cores(4), Main: task(1, cores(1)), Coming: []Task{task(2, cores(2))}}, "t1", cores(0), false},
		"back to what it was":              {State{Need: cores(1), Main: task(1, cores(1)), Extras: []Task{task(2, cores(2))}}, "t1", cores(0), false},
		"back in part":                     {State{Need: cores(2), Main: task(1, cores(1)), Extras: []Task{task(2, cores(1)), task(3, cores(1))}}, "t1 t2", cores(0), false},
		"the later one is enough":          {State{Need: cores(2), Main: task(1, cores(1)), Extras: []Task{task(2, cores(2))}}, "t2", cores(0), false},
		"the later one is enough, earlier": {State{Need: cores(2), Main: task(3, cores(1)), Extras: []Task{task(2, cores(2))}}, "t3 t2", cores(2), true},
		"shrunk":                           {State{Need: cores(1), Main: task(1, cores(3))}, "t1", cores(1), true},
		"shrunk, the smaller one is there": {State{Need: cores(1), Main: task(1, cores(3)), Extras: []Task{task(2, cores(1))}}, "t2", cores(0), false},
		"shrunk, the smaller one is coming": {
			State{Need: cores(1), Main: task(1, cores(3)), Coming: []Task{task(2, cores(1))}}, "t1", cores(0), false},
		"shrunk and back, the smaller one is there": {State{Need: cores(3), Main: task(1, cores(3)), Extras: []Task{task(2, cores(1))}}, "t1", cores(0), false},
		"shrunk a little":    {State{Need: cores(2.95), Main: task(1, cores(3))}, "t1", cores(0), false},
		"shrunk, fixed":      {State{Need: cores(1), Main: task(1, cores(3)), Fixed: true}, "t1", cores(0), false},
		"shrunk, with ports": {State{Need: withPort(1), Main: task(1, withPort(3))}, "t1", cores(0), false},
		"grown, with ports":  {State{Need: withPort(3), Main: task(1, withPort(1))}, "t1", cores(2), false},
		"with ports and a larger later one": {
			State{Need: withPort(2), Main: task(1, withPort(1)), Extras: []Task{task(2, cores(2))}}, "t1 t2", cores(0), false},
		"other ways at once": {
			State{Need: resources.Bundle{Vector: resources.Vector{resources.CPU: 500, resources.Memory: 900_000}}, Main: task(1, cores(2))},
			"t1", resources.Bundle{Vector: resources.Vector{resources.CPU: 10, resources.Memory: 772_000}}, false},
		"gone":                           {State{Need: cores(2), Main: task(1, cores(2)), Gone: true}, "t1", cores(2), false},
		"gone, one is coming":            {State{Need: cores(2), Main: task(1, cores(2)), Coming: []Task{task(2, cores(2))}, Gone: true}, "t1", cores(0), false},
		"gone, the next is there":        {State{Need: cores(2), Main: task(1, cores(2)), Extras: []Task{task(2, cores(2))}, Gone: true}, "t2", cores(0), false},
		"gone, with ports":               {State{Need: withPort(1), Main: task(1, withPort(1)), Gone: true}, "t1", withPort(1), false},
		"gone of a pod that grew":        {State{Need: cores(3), Main: task(1, cores(1)), Extras: []Task{task(2, cores(2))}, Gone: true}, "t2", cores(1), false},
		"gone, the others are earlier":   {State{Need: cores(3), Main: task(3, cores(1)), Extras: []Task{task(2, cores(2))}, Gone: true}, "t3 t2", cores(1), false},
		"gone, the earlier one suffices": {State{Need: cores(2), Main: task(3, cores(1)), Extras: []Task{task(2, cores(2))}, Gone: true}, "t3 t2", cores(2), false},
		"nothing":                        {State{Main: task(1, cores(1)), Extras: []Task{task(2, cores(1))}, Fixed: true}, "t1", cores(0), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := Decide(test.State)
			if keep := strings.Join(append([]string{p.Main}, p.Extras...), " "); keep != test.keep {
				t.Errorf("keeps %s, want %s", keep, test.keep)
			}
			if !p.Take.Equal(&test.take) || p.Whole != test.whole {
				t.Errorf("takes %v (whole: %v), want %v (%v)", p.Take, p.Whole, test.take, test.whole)
			}
		})
	}
}

// world carries the plans out for a pod whose need changes at random, with tasks that
// get lost.
type world struct {
	t        *testing.T
	rnd      *rand.Rand
	s        State
	attempts int64
}

func (w *world) random() resources.Bundle {
	return resources.Bundle{Vector: resources.Vector{resources.CPU: 100 + w.rnd.Int64N(4000), resources.Memory: 64_000 + w.rnd.Int64N(4_000_000)}}
}

func (w *world) held() resources.Bundle { return sum(append([]Task{w.s.Main}, w.s.Extras...)) }

// step carries one plan out and reports whether there was anything to do.
func (w *world) step() bool {
	had := w.held()
	p := Decide(w.s)
	if n := 1 + len(p.Extras) + len(p.Drop); n != 1+len(w.s.Extras) {
		w.t.Fatalf("the plan %+v is about %d tasks of %+v", p, n, w.s)
	}
	var keep []Task
	var main Task
	for _, task := range append([]Task{w.s.Main}, w.s.Extras...) {
		switch {
		case task.ID == p.Main:
			main = task
		case slices.Contains(p.Extras, task.ID):
			keep = append(keep, task)
		}
	}
	if main.ID == "" || len(keep) != len(p.Extras) {
		w.t.Fatalf("the plan %+v names others than %+v has", p, w.s)
	}
	if main.Attempt < w.s.Main.Attempt {
		w.t.Fatalf("moves back from %s to %s", w.s.Main.ID, main.ID)
	}
	moved := main.ID != w.s.Main.ID || len(keep) != len(w.s.Extras)
	w.s.Gone = w.s.Gone && main.ID == w.s.Main.ID
	w.s.Main, w.s.Extras = main, keep
	have := w.held()
	if w.s.Need.Fits(&had) && !w.s.Need.Fits(&have) {
		w.t.Fatalf("had %v, which is enough for %v, and keeps %v", had, w.s.Need, have)
	}
	if !w.s.Need.Fits(&had) && !have.Equal(&had) {
		w.t.Fatalf("had %v, too little for %v, and keeps only %v", had, w.s.Need, have)
	}
	if p.Take.IsZero() {
		return moved
	}
	if p.Take.AnyNegative() || len(w.s.Coming) > 0 {
		w.t.Fatalf("takes %v while %v come", p.Take, w.s.Coming)
	}
	w.attempts++
	w.s.Coming = []Task{{ID: fmt.Sprint("t", w.attempts), Attempt: w.attempts, Need: p.Take}}
	return true
}

// Whatever happens, a pod that needs nothing new comes to rest with enough, and with
// little to spare.
func TestPlansConverge(t *testing.T) {
	for seed := range uint64(300) {
		w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), attempts: 1}
		w.s.Need = w.random()
		w.s.Main = task(1, w.s.Need)
		arrive := func() {
			w.s.Extras, w.s.Coming = append(w.s.Extras, w.s.Coming...), nil
		}
		for range 30 {
			switch w.rnd.IntN(6) {
			case 5:
				w.s.Main.Need, w.s.Gone = resources.Bundle{}, true
			case 0:
				w.s.Need = w.random()
			case 1:
				arrive()
			case 2:
				w.s.Coming = nil
			case 3:
				if n := len(w.s.Extras); n > 0 {
					w.s.Extras = slices.Delete(w.s.Extras, 0, 1)
				}
			}
			w.step()
		}
		steps := 0
		for ; w.step() || len(w.s.Coming) > 0; steps++ {
			arrive()
			if steps > 20 {
				t.Fatalf("seed %d: no rest: %+v", seed, w.s)
			}
		}
		have := w.held()
		if w.s.Gone || !w.s.Need.Fits(&have) || Worthwhile(w.s.Need, have) {
			t.Fatalf("seed %d: at rest with %v for %v", seed, have, w.s.Need)
		}
	}
}
