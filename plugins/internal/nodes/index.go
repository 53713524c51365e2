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
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
)

// NoSlot is the slot of a node that is no usable agent.
const NoSlot int32 = -1

// Index finds a node's offer slot by the node object's pointer: the scheduler's
// snapshot holds the very objects of the informer, and a pointer costs a third
// of a string key. It is safe for concurrent use; Lookup takes no lock for an
// object that it knows.
type Index struct {
	pointers atomic.Pointer[table]

	mu     sync.Mutex
	byName map[string]*ref
}

// ref is one node by name; guarded by Index.mu.
type ref struct {
	name string
	slot int32
	// node is the object the pointer table knows, nil if none.
	node *v1.Node
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	x := &Index{byName: map[string]*ref{}}
	x.pointers.Store(newTable(0))
	return x
}

// Set makes the index know a node object; an older object of the same node is
// forgotten.
func (x *Index) Set(node *v1.Node) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.ref(node.Name)
	if r.node == node {
		return
	}
	old := r.node
	r.node = node
	if t := x.pointers.Load(); t.full() {
		x.rebuild()
	} else {
		t.insert(node, r.slot)
		if old != nil {
			t.remove(old)
		}
	}
}

// rebuild makes a table of the nodes there are. The mutex is held.
func (x *Index) rebuild() {
	t := newTable(len(x.byName))
	for _, r := range x.byName {
		if r.node != nil {
			t.insert(r.node, r.slot)
		}
	}
	x.pointers.Store(t)
}

// Delete forgets a node.
func (x *Index) Delete(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.byName[name]; r != nil {
		if r.node != nil {
			x.pointers.Load().remove(r.node)
		}
		delete(x.byName, name)
	}
}

// Assign says which slot a node has; NoSlot withdraws it. The node's object may
// become known later, or be forgotten already.
func (x *Index) Assign(name string, slot int32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if slot != NoSlot {
		x.put(x.ref(name), slot)
	} else if r := x.byName[name]; r != nil {
		x.withdraw(r)
	}
}

// ClearSlots withdraws all slots.
func (x *Index) ClearSlots() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.byName {
		x.withdraw(r)
	}
}

// put gives a node a slot. The mutex is held.
func (x *Index) put(r *ref, slot int32) {
	r.slot = slot
	if r.node == nil {
		return
	}
	if e := x.pointers.Load().find(r.node); e != nil {
		e.slot.Store(slot)
	}
}

// withdraw takes the slot, and forgets a node of which nothing else is known.
func (x *Index) withdraw(r *ref) {
	x.put(r, NoSlot)
	if r.node == nil {
		delete(x.byName, r.name)
	}
}

// Lookup returns the slot of a node, NoSlot if it has none.
func (x *Index) Lookup(node *v1.Node) int32 {
	if e := x.pointers.Load().find(node); e != nil {
		return e.slot.Load()
	}
	// The snapshot holds an older or newer object than the last we were told of.
	return x.LookupName(node.Name)
}

// LookupName returns the slot of the named node, NoSlot if it has none.
func (x *Index) LookupName(name string) int32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.byName[name]; r != nil {
		return r.slot
	}
	return NoSlot
}

func (x *Index) ref(name string) *ref {
	r := x.byName[name]
	if r == nil {
		r = &ref{name: name, slot: NoSlot}
		x.byName[name] = r
	}
	return r
}
