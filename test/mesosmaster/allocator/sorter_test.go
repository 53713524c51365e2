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
	"slices"
	"testing"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

func testSorter(t *testing.T, weights map[string]float64) (*sorter[string], func(text string) resource.Resources) {
	total := Scalars(parse(t, "cpus:100;mem:1000"))
	s := newSorter[string](&total, weights, map[string]bool{"disk": true})
	return s, func(text string) resource.Resources { return parse(t, text) }
}

func wantOrder(t *testing.T, s *sorter[string], want ...string) {
	t.Helper()
	if got := s.sort(); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	// What is kept in order while it changes must be what sorting gives.
	s.dirty = true
	s.orderStale = true
	if again := s.sort(); !slices.Equal(again, want) {
		t.Fatalf("kept in order as %v, sorted %v", want, again)
	}
}

// The share is that of the dominant resource; excluded names do not count, and
// equal shares take turns.
func TestDominantShare(t *testing.T) {
	s, rs := testSorter(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		s.add(name, name)
		s.activate(name)
	}
	wantOrder(t, s, "a", "b", "c")
	s.allocated("a", "x", rs("cpus:5;mem:10;disk:1000")) // 5 %
	s.allocated("b", "x", rs("cpus:1;mem:100"))          // 10 %
	wantOrder(t, s, "c", "a", "b")
	s.unallocated("b", "x", rs("cpus:1;mem:100"))
	wantOrder(t, s, "c", "b", "a") // both have nothing, b was served once
	s.deactivate("c")
	wantOrder(t, s, "b", "a")
	s.remove("b")
	s.add("b", "b")
	s.activate("b")
	s.activate("c")
	wantOrder(t, s, "b", "c", "a") // a new b was never served
}

// Weights divide shares; they can be set before a client is there.
func TestWeightedShare(t *testing.T) {
	s, rs := testSorter(t, map[string]float64{"heavy": 4})
	for _, name := range []string{"heavy", "light"} {
		s.add(name, name)
		s.activate(name)
	}
	s.allocated("heavy", "x", rs("cpus:30"))
	s.allocated("light", "x", rs("cpus:10"))
	wantOrder(t, s, "heavy", "light") // 7.5 % and 10 %
	s.allocated("heavy", "x", rs("cpus:15"))
	wantOrder(t, s, "light", "heavy")
}

// Siblings are compared with each other; an inner client competes with its
// sub-clients as one of them.
func TestHierarchy(t *testing.T) {
	s, rs := testSorter(t, nil)
	for _, path := range []string{"eng", "ops", "eng/ads", "eng/search/web"} {
		s.add(path, path)
		s.activate(path)
	}
	wantOrder(t, s, "eng", "eng/ads", "eng/search/web", "ops")
	s.allocated("eng/ads", "x", rs("cpus:20"))
	s.allocated("ops", "x", rs("cpus:10"))
	wantOrder(t, s, "ops", "eng", "eng/search/web", "eng/ads") // eng as a whole has more than ops
	s.allocated("ops", "x", rs("cpus:30"))
	wantOrder(t, s, "eng", "eng/search/web", "eng/ads", "ops")
	s.allocated("eng", "x", rs("cpus:1"))
	wantOrder(t, s, "eng/search/web", "eng", "eng/ads", "ops")
	if sum := s.clients["eng"].parent.held.sum; sum.Of("cpus") != 21000 {
		t.Fatalf("the subtree of eng holds %v", sum)
	}
	s.remove("eng/search/web")
	s.remove("eng/ads")
	if n := s.clients["eng"]; n.name != "eng" || len(n.children) != 0 || n.held.sum.Of("cpus") != 1000 {
		t.Fatalf("without sub-clients eng is a leaf again, with its own: %+v", n)
	}
	wantOrder(t, s, "eng", "ops")
	s.deactivate("ops")
	s.add("ops/night", "ops/night") // an inactive leaf becomes an inner node
	wantOrder(t, s, "eng")
	s.activate("ops/night")
	wantOrder(t, s, "eng", "ops/night")
	if sum := s.root.held.sum; sum.Of("cpus") != 41000 {
		t.Fatalf("all hold %v", sum)
	}
}

// A shared resource counts once for a client, however many copies it holds.
func TestSharedCountsOnce(t *testing.T) {
	s, _ := testSorter(t, nil)
	s.add("a", "a")
	s.activate("a")
	volume := shared(t, "mem:100")
	s.allocated("a", "x", volume)
	s.allocated("a", "x", volume)
	s.allocated("a", "y", volume)
	if got := s.clients["a"].held.sum.Of("mem"); got != 200_000 {
		t.Fatalf("two volumes are %d", got)
	}
	s.unallocated("a", "x", volume)
	if got := s.clients["a"].held.sum.Of("mem"); got != 200_000 {
		t.Fatalf("one copy is left: %d", got)
	}
	s.unallocated("a", "x", volume)
	s.unallocated("a", "y", volume)
	if got := s.clients["a"].held.sum.Of("mem"); got != 0 {
		t.Fatalf("nothing is left: %d", got)
	}
}
