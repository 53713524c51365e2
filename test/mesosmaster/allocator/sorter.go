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
	"strings"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// sorter orders clients by how little they have: dominant resource fairness in
// a tree (Mesos allocator/mesos/sorter/drf/sorter.cpp DRFSorter). A client is a
// path such as "eng/ads"; siblings are compared with each other, level by level,
// so that "eng" as a whole competes with "ops" as a whole. A client that has
// sub-clients competes with them as one of them: in the tree it becomes an inner
// node with a virtual leaf "." below it.
//
// The allocator has one sorter of the roles, and in each role one of the
// frameworks; framework ids have no slashes, so that tree is flat.
type sorter[C any] struct {
	root     *node[C]
	clients  map[string]*node[C] // leaves by client path
	weights  map[string]float64  // of paths in the tree or not
	total    *Quantities         // scalars of all agents
	excluded map[string]bool     // names that do not count for a share
	dirty    bool                // shares are not up to date, children not in order

	order      []C // the last result of sort
	orderStale bool
}

// kind tells what a node of the tree stands for.
type kind uint8

const (
	inner        kind = iota // only structure
	activeLeaf               // a client that wants resources
	inactiveLeaf             // a client that does not at the moment
)

type node[C any] struct {
	name, path string
	kind       kind
	client     C // of leaves
	parent     *node[C]
	// children has inner nodes and active leaves first, in the order of their
	// shares unless the tree is dirty, then inactive leaves.
	children []*node[C]
	share    float64
	held     ledger
	count    uint64 // allocations ever made; equal shares take turns by it
}

// virtual is the name of the leaf of a client that has sub-clients.
const virtual = "."

func newSorter[C any](total *Quantities, weights map[string]float64, excluded map[string]bool) *sorter[C] {
	return &sorter[C]{
		root: &node[C]{}, clients: map[string]*node[C]{}, weights: weights, total: total, excluded: excluded, orderStale: true,
	}
}

func (n *node[C]) child(name string) *node[C] {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// adopt adds a child: inactive leaves at the end, others in front.
func (n *node[C]) adopt(c *node[C]) {
	if c.kind == inactiveLeaf {
		n.children = append(n.children, c)
		return
	}
	n.children = slices.Insert(n.children, 0, c)
}

func (n *node[C]) disown(c *node[C]) {
	if at := slices.Index(n.children, c); at >= 0 {
		n.children = slices.Delete(n.children, at, at+1)
	}
}

// grow adds a child of that name below n.
func (n *node[C]) sprout(name string, k kind) *node[C] {
	c := &node[C]{name: name, path: name, kind: k, parent: n}
	if n.parent != nil {
		c.path = n.path + "/" + name
	}
	n.adopt(c)
	return c
}

// add makes path a client, inactive at first (Mesos DRFSorter::add).
func (s *sorter[C]) add(path string, client C) {
	s.touch()
	tokens := strings.Split(path, "/")
	n := s.root
	for len(tokens) > 0 {
		if n != s.root && n.kind != inner {
			s.deepen(n)
		}
		c := n.child(tokens[0])
		if c == nil {
			break
		}
		n, tokens = c, tokens[1:]
	}
	if len(tokens) == 0 { // an inner node: its sub-clients were there first
		n = n.sprout(virtual, inactiveLeaf)
	}
	for i, token := range tokens {
		k := inner
		if i == len(tokens)-1 {
			k = inactiveLeaf
		}
		n = n.sprout(token, k)
	}
	n.client = client
	s.clients[path] = n
}

// deepen turns a leaf into an inner node with a virtual leaf.
func (s *sorter[C]) deepen(n *node[C]) {
	old := n.kind
	n.parent.disown(n)
	n.kind = inner
	n.parent.adopt(n)
	leaf := n.sprout(virtual, old)
	leaf.client, leaf.count = n.client, n.count
	leaf.held = n.held.clone()
	s.clients[n.path] = leaf
}

// remove forgets a client and what it holds (Mesos DRFSorter::remove).
func (s *sorter[C]) remove(path string) {
	n := s.clients[path]
	if n == nil {
		return
	}
	s.touch()
	delete(s.clients, path)
	held := n.held
	for n != s.root {
		parent := n.parent
		parent.held.subtract(&held)
		switch {
		case len(n.children) == 0:
			parent.disown(n)
		case len(n.children) == 1 && n.children[0].name == virtual:
			leaf := n.children[0]
			parent.disown(n)
			n.kind, n.client, n.children = leaf.kind, leaf.client, nil
			parent.adopt(n)
			s.clients[n.path] = n
		}
		n = parent
	}
}

// activate makes a client a candidate, deactivate ends that.
func (s *sorter[C]) activate(path string) {
	if n := s.clients[path]; n != nil && n.kind == inactiveLeaf {
		n.parent.disown(n)
		n.kind = activeLeaf
		n.parent.adopt(n)
		s.touch()
	}
}

func (s *sorter[C]) deactivate(path string) {
	if n := s.clients[path]; n != nil && n.kind == activeLeaf {
		n.parent.disown(n)
		n.kind = inactiveLeaf
		n.parent.adopt(n)
		s.orderStale = true
	}
}

// touch says that shares have changed.
func (s *sorter[C]) touch() { s.dirty, s.orderStale = true, true }

// allocated books what a client was given and moves it, and the nodes above it,
// to their new places (Mesos DRFSorter::allocated).
func (s *sorter[C]) allocated(path, agent string, rs resource.Resources) {
	for n := s.clients[path]; n != nil; n = n.parent {
		n.held.add(agent, rs)
		n.count++
		if n != s.root && !s.dirty && n.kind != inactiveLeaf {
			n.share = s.shareOf(n)
			s.place(n)
		}
	}
}

// place moves a node to where its share belongs among its siblings.
func (s *sorter[C]) place(n *node[C]) {
	list := n.parent.children
	at := slices.Index(list, n)
	for at > 0 && less(n, list[at-1]) {
		list[at], list[at-1] = list[at-1], list[at]
		at--
		s.orderStale = true
	}
	for at+1 < len(list) && list[at+1].kind != inactiveLeaf && less(list[at+1], n) {
		list[at], list[at+1] = list[at+1], list[at]
		at++
		s.orderStale = true
	}
}

// unallocated books what a client gave back (Mesos DRFSorter::unallocated).
func (s *sorter[C]) unallocated(path, agent string, rs resource.Resources) {
	for n := s.clients[path]; n != nil; n = n.parent {
		n.held.remove(agent, rs)
	}
	s.touch()
}

// converted books that what a client holds has changed its identity (Mesos
// DRFSorter::update): that is not another allocation.
func (s *sorter[C]) converted(path, agent string, from, to resource.Resources) {
	for n := s.clients[path]; n != nil; n = n.parent {
		n.held.remove(agent, from)
		n.held.add(agent, to)
	}
	s.touch()
}

// sort lists the active clients, those with the smallest shares first. The list
// is valid until the next call.
func (s *sorter[C]) sort() []C {
	if s.dirty {
		s.sortBelow(s.root)
		s.dirty = false
	}
	if s.orderStale {
		s.order = appendActive(s.order[:0], s.root)
		s.orderStale = false
	}
	return s.order
}

func (s *sorter[C]) sortBelow(n *node[C]) {
	wanting := n.children
	for i, c := range n.children {
		if c.kind == inactiveLeaf {
			wanting = n.children[:i]
			break
		}
		c.share = s.shareOf(c)
	}
	slices.SortFunc(wanting, func(a, b *node[C]) int {
		if less(a, b) {
			return -1
		}
		return 1 // paths differ
	})
	for _, c := range wanting {
		if c.kind == inner {
			s.sortBelow(c)
		}
	}
}

func appendActive[C any](dst []C, n *node[C]) []C {
	for _, c := range n.children {
		switch c.kind {
		case activeLeaf:
			dst = append(dst, c.client)
		case inner:
			dst = appendActive(dst, c)
		case inactiveLeaf:
			return dst
		}
	}
	return dst
}

// less compares siblings: by share, then by how often they were served (Mesos
// DRFSorter::Node::compareDRF).
func less[C any](a, b *node[C]) bool {
	if a.share != b.share {
		return a.share < b.share
	}
	if a.count != b.count {
		return a.count < b.count
	}
	return a.path < b.path
}

// shareOf is the dominant share, the largest part of any scalar resource, by the
// weight of the path.
func (s *sorter[C]) shareOf(n *node[C]) float64 {
	var share float64
	for _, t := range *s.total {
		if !s.excluded[t.Name] {
			share = max(share, float64(n.held.sum.Of(t.Name))/float64(t.Milli))
		}
	}
	if w, ok := s.weights[n.path]; ok {
		return share / w
	}
	return share
}
