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
	"sync/atomic"
	"unsafe"

	v1 "k8s.io/api/core/v1"
)

// table maps node objects to slots by their address: open addressing in one flat
// array, so that a look-up costs one cache line where a map of pointers to structs
// costs three. One writer at a time; readers take no lock. Entries are never used
// for a second key: a writer makes a new table when this one fills up.
type table struct {
	entries []entry
	shift   uint
	// used counts entries that are not empty, deleted ones included.
	used int
}

type entry struct {
	node atomic.Pointer[v1.Node]
	slot atomic.Int32
}

// deleted marks an entry whose node is forgotten: a search goes on behind it.
var deleted = &v1.Node{}

// newTable returns an empty table with room for n nodes and as many changes.
func newTable(n int) *table {
	bits := uint(6)
	for 1<<bits < 4*n {
		bits++
	}
	return &table{entries: make([]entry, 1<<bits), shift: 64 - bits}
}

// first returns where the search for a node begins. Go's collector does not move
// objects, so an address is as good as a hash of the content; the multiplication
// (Fibonacci hashing) spreads addresses that differ by multiples of their size.
func (t *table) first(node *v1.Node) int {
	const golden = 0x9E3779B97F4A7C15
	return int(uint64(uintptr(unsafe.Pointer(node))) * golden >> t.shift) //nolint:gosec // The address is only hashed, never made a pointer again.
}

// find returns the node's entry, nil if it has none.
func (t *table) find(node *v1.Node) *entry {
	mask := len(t.entries) - 1
	for i := t.first(node); ; i = (i + 1) & mask {
		e := &t.entries[i]
		switch e.node.Load() {
		case node:
			return e
		case nil:
			return nil
		}
	}
}

// full tells that the next insertion must go to a new table.
func (t *table) full() bool { return 4*(t.used+1) > 3*len(t.entries) }

// insert adds a node that is not there. The table must not be full.
func (t *table) insert(node *v1.Node, slot int32) {
	mask := len(t.entries) - 1
	i := t.first(node)
	for t.entries[i].node.Load() != nil {
		i = (i + 1) & mask
	}
	t.entries[i].slot.Store(slot)
	t.entries[i].node.Store(node)
	t.used++
}

// remove forgets a node.
func (t *table) remove(node *v1.Node) {
	if e := t.find(node); e != nil {
		e.node.Store(deleted)
	}
}
