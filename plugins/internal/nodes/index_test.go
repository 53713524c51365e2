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

package nodes

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func nodeNamed(name string) *v1.Node { return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }

func TestIndex(t *testing.T) {
	n := nodeNamed("n")
	renewed := nodeNamed("n")
	tests := []struct {
		name string
		do   func(*Index)
		want int32
		// refs is how many nodes the index still remembers.
		refs int
	}{
		{"unknown", func(*Index) {}, NoSlot, 0},
		{"known without slot", func(x *Index) { x.Set(n) }, NoSlot, 1},
		{"slot after node", func(x *Index) { x.Set(n); x.Assign("n", 4) }, 4, 1},
		{"slot before node", func(x *Index) { x.Assign("n", 4); x.Set(n) }, 4, 1},
		{"slot without node", func(x *Index) { x.Assign("n", 0) }, 0, 1},
		{"another slot", func(x *Index) { x.Set(n); x.Assign("n", 4); x.Assign("n", 5) }, 5, 1},
		{"withdrawn", func(x *Index) { x.Set(n); x.Assign("n", 4); x.Assign("n", NoSlot) }, NoSlot, 1},
		{"renewed object", func(x *Index) { x.Set(n); x.Assign("n", 4); x.Set(renewed) }, 4, 1},
		{"told twice", func(x *Index) { x.Set(n); x.Assign("n", 4); x.Set(n) }, 4, 1},
		{"deleted", func(x *Index) { x.Set(n); x.Assign("n", 4); x.Delete("n") }, NoSlot, 0},
		{"deleted, then withdrawn", func(x *Index) {
			x.Set(n)
			x.Assign("n", 4)
			x.Delete("n")
			x.Assign("n", NoSlot)
		}, NoSlot, 0},
		{"withdrawn without node", func(x *Index) { x.Assign("n", 4); x.Assign("n", NoSlot) }, NoSlot, 0},
		{"back after deletion", func(x *Index) { x.Set(n); x.Assign("n", 4); x.Delete("n"); x.Set(n) }, NoSlot, 1},
		{"slots cleared", func(x *Index) { x.Set(n); x.Assign("n", 4); x.Assign("m", 5); x.ClearSlots() }, NoSlot, 1},
		{"deleted but never known", func(x *Index) { x.Delete("n") }, NoSlot, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			x := NewIndex()
			tc.do(x)
			// The snapshot may hold the known object, an older or a newer one.
			for _, node := range []*v1.Node{n, renewed, nodeNamed("n")} {
				if got := x.Lookup(node); got != tc.want {
					t.Errorf("slot is %d, want %d", got, tc.want)
				}
			}
			if got := x.LookupName("n"); got != tc.want {
				t.Errorf("slot by name is %d, want %d", got, tc.want)
			}
			if len(x.byName) != tc.refs {
				t.Errorf("%d nodes are remembered, want %d", len(x.byName), tc.refs)
			}
			if pointers := known(x); pointers > len(x.byName) {
				t.Errorf("%d objects of %d nodes are remembered", pointers, len(x.byName))
			}
		})
	}
}

// known counts the objects in the pointer table.
func known(x *Index) (n int) {
	entries := x.pointers.Load().entries
	for i := range entries {
		if node := entries[i].node.Load(); node != nil && node != deleted {
			n++
		}
	}
	return n
}

// TestIndexFollowsChanges renews, adds and deletes many nodes, so that the table is
// made anew again and again, and compares with a map.
func TestIndexFollowsChanges(t *testing.T) {
	x, random := NewIndex(), rand.New(rand.NewPCG(1, 2))
	objects, slots := map[string]*v1.Node{}, map[string]int32{}
	tables := map[*table]bool{}
	for range 20000 {
		name := fmt.Sprint("n", random.IntN(300))
		switch random.IntN(6) {
		case 0:
			x.Delete(name)
			delete(objects, name)
			delete(slots, name)
		case 1:
			x.Assign(name, NoSlot)
			delete(slots, name)
		case 2:
			slots[name] = random.Int32N(1000)
			x.Assign(name, slots[name])
		default:
			objects[name] = nodeNamed(name)
			x.Set(objects[name])
		}
		tables[x.pointers.Load()] = true
		want, ok := slots[name]
		if !ok {
			want = NoSlot
		}
		if object := objects[name]; object != nil && x.Lookup(object) != want {
			t.Fatalf("slot of %s is %d, want %d", name, x.Lookup(object), want)
		}
	}
	for name, object := range objects {
		want, ok := slots[name]
		if !ok {
			want = NoSlot
		}
		if e := x.pointers.Load().find(object); e == nil || e.slot.Load() != want {
			t.Errorf("the table does not have %s with slot %d", name, want)
		}
	}
	if got := known(x); got != len(objects) {
		t.Errorf("%d objects are known, want %d", got, len(objects))
	}
	if len(tables) < 10 {
		t.Errorf("only %d tables: growth was not tested", len(tables))
	}
}

// TestIndexConcurrently lets readers look up nodes while their objects and slots
// change: node i only ever has slots i, i+1000 or none.
func TestIndexConcurrently(t *testing.T) {
	const nodes, rounds = 50, 300
	x := NewIndex()
	objects := make([]*v1.Node, nodes)
	for i := range objects {
		objects[i] = nodeNamed(fmt.Sprint("n", i))
		x.Set(objects[i])
	}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i, object := range objects {
					if got := int(x.Lookup(object)); got != int(NoSlot) && got%1000 != i {
						t.Errorf("node %d has the slot %d", i, got)
					}
				}
			}
		})
	}
	writers.Go(func() {
		for r := range rounds {
			for i := range objects {
				x.Assign(objects[i].Name, int32(i+1000*(r%2)))
			}
		}
	})
	writers.Go(func() {
		for range rounds {
			for i := range objects {
				x.Set(nodeNamed(objects[i].Name))
			}
		}
	})
	writers.Go(func() {
		for r := range rounds {
			x.Delete(objects[r%nodes].Name)
			x.Assign(objects[r%nodes].Name, NoSlot)
			if r%50 == 0 {
				x.ClearSlots()
			}
		}
	})
	writers.Wait()
	close(stop)
	readers.Wait()
	for i, object := range objects {
		x.Set(object)
		x.Assign(object.Name, int32(i))
		if got := x.Lookup(object); got != int32(i) {
			t.Errorf("node %d ends with the slot %d", i, got)
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	x := NewIndex()
	known, unknown := nodeNamed("n"), nodeNamed("n")
	x.Set(known)
	x.Assign("n", 3)
	if n := testing.AllocsPerRun(100, func() { x.Lookup(known); x.Lookup(unknown) }); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	const nodes = 10_000
	x := NewIndex()
	objects := make([]*v1.Node, nodes)
	for i := range objects {
		objects[i] = nodeNamed(fmt.Sprint("node-", i))
		x.Set(objects[i])
		x.Assign(objects[i].Name, int32(i))
	}
	b.ReportAllocs()
	i, sum := 0, int32(0)
	for b.Loop() {
		sum += x.Lookup(objects[i])
		if i++; i == nodes {
			i = 0
		}
	}
	if sum == 0 {
		b.Fatal("no node was found")
	}
}
