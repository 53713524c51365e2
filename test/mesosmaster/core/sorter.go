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

package core

import (
	"sort"
	"strings"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// allocation is what a client of a sorter holds, offered resources included.
type allocation struct {
	milli map[string]int64
	count int64 // allocations ever made; breaks ties, as in Mesos sorter/drf
}

func (a *allocation) change(rs resource.Resources, sign int64) {
	if a.milli == nil {
		a.milli = map[string]int64{}
	}
	for i := range rs {
		if rs[i].Kind == resource.Scalar {
			a.milli[rs[i].Name] += sign * rs[i].Milli
		}
	}
}

// share is the dominant share: the largest part of any scalar resource.
func (a *allocation) share(total map[string]int64, weight float64) float64 {
	var s float64
	for name, n := range a.milli {
		if t := total[name]; t > 0 {
			s = max(s, float64(n)/float64(t))
		}
	}
	return s / weight
}

// roleNode is one role in the tree of hierarchical roles. all is what the whole
// subtree holds, own what the role itself holds: among its children a role
// competes as a virtual leaf "role/.".
type roleNode struct {
	path     string
	weight   float64
	own, all allocation
	children map[string]*roleNode
	byFw     map[string]*allocation
	inRole   map[string]bool // frameworks that may get offers in this role now
}

// allocator decides who is offered what: the role tree, the frameworks in each
// role, and what is pending.
type allocator struct {
	root    *roleNode
	weights map[string]float64
	total   map[string]int64

	dirty      bool // something changed since the last run
	tickArmed  bool
	runPending bool
	runs       int64

	order      []*roleNode
	orderStale bool
}

func (a *allocator) init(weights map[string]float64) {
	*a = allocator{weights: weights, total: map[string]int64{}, orderStale: true}
	a.root = a.newNode("")
}

func (a *allocator) newNode(path string) *roleNode {
	w := a.weights[path]
	if w <= 0 {
		w = 1
	}
	return &roleNode{path: path, weight: w, children: map[string]*roleNode{}, byFw: map[string]*allocation{}, inRole: map[string]bool{}}
}

// walk calls visit for every node from the top to role, creating missing ones.
func (a *allocator) walk(role string, visit func(*roleNode)) *roleNode {
	n := a.root
	for i, part := range strings.Split(role, "/") {
		child := n.children[part]
		if child == nil {
			path := part
			if i > 0 {
				path = n.path + "/" + part
			}
			child = a.newNode(path)
			n.children[part] = child
			a.orderStale = true
		}
		n = child
		if visit != nil {
			visit(n)
		}
	}
	return n
}

// enter makes a framework a candidate in a role; leave ends that.
func (a *allocator) enter(role, fw string) {
	a.walk(role, nil).inRole[fw] = true
	a.orderStale = true
}

func (a *allocator) leave(role, fw string) {
	delete(a.walk(role, nil).inRole, fw)
	a.orderStale = true
}

// charge and discharge book what a framework holds in a role.
func (a *allocator) charge(role, fw string, rs resource.Resources) {
	n := a.walk(role, func(n *roleNode) {
		n.all.change(rs, 1)
		n.all.count++
	})
	n.own.change(rs, 1)
	n.own.count++
	f := n.byFw[fw]
	if f == nil {
		f = &allocation{}
		n.byFw[fw] = f
	}
	f.change(rs, 1)
	f.count++
	a.orderStale = true
}

func (a *allocator) discharge(role, fw string, rs resource.Resources) {
	n := a.walk(role, func(n *roleNode) { n.all.change(rs, -1) })
	n.own.change(rs, -1)
	if f := n.byFw[fw]; f != nil {
		f.change(rs, -1)
	}
	a.orderStale = true
}

// forget drops the account of a framework that holds nothing any more.
func (a *allocator) forget(fw string) { a.root.forget(fw) }

func (n *roleNode) forget(fw string) {
	delete(n.byFw, fw)
	for _, c := range n.children {
		c.forget(fw)
	}
}

// roles are the roles that have candidates, fairest first: siblings are
// compared level by level (Mesos sorter/drf).
func (a *allocator) roles() []*roleNode {
	if a.orderStale {
		a.order = a.appendRoles(a.order[:0], a.root)
		a.orderStale = false
	}
	return a.order
}

type sibling struct {
	node  *roleNode
	leaf  bool // the virtual leaf of a role that also has sub-roles
	share float64
	count int64
	path  string
}

func (a *allocator) appendRoles(dst []*roleNode, n *roleNode) []*roleNode {
	if len(n.children) == 0 {
		if len(n.inRole) > 0 {
			dst = append(dst, n)
		}
		return dst
	}
	list := make([]sibling, 0, len(n.children)+1)
	for _, c := range n.children {
		list = append(list, sibling{c, false, c.all.share(a.total, c.weight), c.all.count, c.path})
	}
	if len(n.inRole) > 0 {
		list = append(list, sibling{n, true, n.own.share(a.total, 1), n.own.count, n.path + "/."})
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].share != list[j].share {
			return list[i].share < list[j].share
		}
		if list[i].count != list[j].count {
			return list[i].count < list[j].count
		}
		return list[i].path < list[j].path
	})
	for _, s := range list {
		if s.leaf {
			dst = append(dst, s.node)
			continue
		}
		dst = a.appendRoles(dst, s.node)
	}
	return dst
}

// candidates are the frameworks of a role, fairest first.
func (a *allocator) candidates(n *roleNode) []string {
	if len(n.inRole) == 1 {
		for fw := range n.inRole {
			return []string{fw}
		}
	}
	list := make([]string, 0, len(n.inRole))
	shares := make(map[string]float64, len(n.inRole))
	for fw := range n.inRole {
		list = append(list, fw)
		if b := n.byFw[fw]; b != nil {
			shares[fw] = b.share(a.total, 1)
		}
	}
	count := func(fw string) int64 {
		if b := n.byFw[fw]; b != nil {
			return b.count
		}
		return 0
	}
	sort.Slice(list, func(i, j int) bool {
		x, y := list[i], list[j]
		if shares[x] != shares[y] {
			return shares[x] < shares[y]
		}
		if count(x) != count(y) {
			return count(x) < count(y)
		}
		return x < y
	})
	return list
}
