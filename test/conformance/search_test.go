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

package conformance

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

var search = flag.Bool("search", false, "look for better orders of visits and print them")

// TestVisits checks that each order of visits that is pinned is needed: without
// it the guess is wrong and something differs. With -search it looks for orders
// that explain the recorded offers better, and prints them.
func TestVisits(t *testing.T) {
	for _, name := range recordings.Names() {
		t.Run(name, func(t *testing.T) {
			if *search {
				searchVisits(t, name)
				return
			}
			with := len(differences(t, name, visits[name]))
			for line := range visits[name] {
				pins := maps.Clone(visits[name])
				delete(pins, line)
				if without := len(differences(t, name, pins)); without <= with {
					t.Errorf("the order of visits at line %d makes no difference: take it out", line)
				}
			}
		})
	}
}

func searchVisits(t *testing.T, name string) {
	t.Helper()
	pins := map[int]string{}
	for line, order := range visits[name] {
		pins[line] = order
	}
	best := differences(t, name, pins)
	for range 3 {
		best = improve(t, name, pins, best)
	}
	for _, line := range slices.Sorted(maps.Keys(pins)) {
		t.Logf("%d: %q,", line, pins[line])
	}
}

// improve tries all orders at each recorded run of up to three agents, in the
// order of the recording, and keeps those that leave fewer differences.
func improve(t *testing.T, name string, pins map[int]string, best []Difference) []Difference {
	t.Helper()
	lines, err := readLines(name)
	if err != nil {
		t.Fatal(err)
	}
	hosts := lines[0].Agents
	for _, l := range lines {
		if l.Kind != "event" || l.eventType() != "OFFERS" || !differsAt(best, l.Number) {
			continue
		}
		for _, order := range permutations(hosts) {
			was, had := pins[l.Number]
			pins[l.Number] = order
			if d := differences(t, name, pins); len(d) < len(best) || len(d) == len(best) && firstLine(d) > firstLine(best) {
				best = d
				continue
			}
			if pins[l.Number] = was; !had {
				delete(pins, l.Number)
			}
		}
	}
	return best
}

func differences(t *testing.T, name string, pins map[int]string) (out []Difference) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		report, err := replayWith(name, pins)
		if err != nil {
			t.Fatal(err)
		}
		out = report.Differences
	})
	return out
}

// differsAt tells whether a difference lies at most a few lines from a line.
func differsAt(ds []Difference, line int) bool {
	for _, d := range ds {
		if d.Line >= line-6 && d.Line <= line+6 && strings.Contains(d.What, "OFFERS") {
			return true
		}
	}
	return false
}

func firstLine(ds []Difference) int {
	if len(ds) == 0 {
		return 1 << 30
	}
	return ds[0].Line
}

func permutations(n int) []string {
	if n == 1 {
		return []string{"node-1"}
	}
	var out []string
	for _, p := range permutations(n - 1) {
		words := strings.Fields(p)
		for i := range n {
			w := append(append(append([]string{}, words[:i]...), fmt.Sprintf("node-%d", n)), words[i:]...)
			out = append(out, strings.Join(w, " "))
		}
	}
	return out
}
