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
	"strings"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// role is a node of the tree of roles (Mesos hierarchical.hpp Role). All sums
// are those of the whole subtree.
type role struct {
	path     string
	parent   *role
	children map[string]*role

	quota      Quota
	frameworks map[string]*framework // subscribed to the role or holding something in it
	sorter     *sorter[*framework]   // of those; nil without any

	reserved Quantities // reservations on all agents, held by anybody or not
	inUse    ledger     // of reservations: offered or allocated
	charged  ledger     // unreserved, not revocable: offered or allocated
}

// consumed is what counts against the quota of a role: all reservations, and
// what is offered or allocated of the rest (Mesos Role::quotaOfferedOrConsumed).
func (r *role) consumed() Quantities { return r.reserved.Plus(r.charged.sum) }

// empty tells whether nothing is known of a role any more.
func (r *role) empty() bool {
	return len(r.children) == 0 && len(r.frameworks) == 0 && len(r.reserved) == 0 && r.quota.Default()
}

// roleTree has the roles that have frameworks, reservations or a quota, and
// their ancestors (Mesos hierarchical.hpp RoleTree).
type roleTree struct {
	root  *role
	roles map[string]*role
}

func newRoleTree() *roleTree {
	return &roleTree{root: &role{children: map[string]*role{}}, roles: map[string]*role{}}
}

// at is the role of that path, made with its ancestors if it is new.
func (t *roleTree) at(path string) *role {
	if r := t.roles[path]; r != nil {
		return r
	}
	n := t.root
	for _, token := range strings.Split(path, "/") {
		c := n.children[token]
		if c == nil {
			c = &role{path: token, parent: n, children: map[string]*role{}, frameworks: map[string]*framework{}}
			if n != t.root {
				c.path = n.path + "/" + token
			}
			n.children[token] = c
			t.roles[c.path] = c
		}
		n = c
	}
	return n
}

// prune removes a role, and then its ancestors, if they are empty.
func (t *roleTree) prune(r *role) {
	for r != t.root && r.empty() {
		delete(r.parent.children, r.path[strings.LastIndex(r.path, "/")+1:])
		delete(t.roles, r.path)
		r = r.parent
	}
}

// reserve and unreserve book the reservations of an agent's total.
func (t *roleTree) reserve(total resource.Resources) {
	for i := range total {
		if x := &total[i]; x.Flavor.Role() != "" && x.Kind == resource.Scalar {
			for r := t.at(x.Flavor.Role()); r != nil; r = r.parent {
				r.reserved.add(x.Name, x.Milli)
			}
		}
	}
}

func (t *roleTree) unreserve(total resource.Resources) {
	for i := range total {
		if x := &total[i]; x.Flavor.Role() != "" && x.Kind == resource.Scalar {
			leaf := t.at(x.Flavor.Role())
			for r := leaf; r != nil; r = r.parent {
				r.reserved.sub(x.Name, x.Milli)
			}
			t.prune(leaf)
		}
	}
}

// charge books what was offered or allocated to a role, uncharge takes it back
// (Mesos RoleTree::trackOfferedOrAllocated).
func (r *role) charge(agent string, rs resource.Resources) {
	reserved, plain := byReservation(rs)
	for ; r != nil; r = r.parent {
		r.inUse.add(agent, reserved)
		r.charged.add(agent, plain)
	}
}

func (r *role) uncharge(agent string, rs resource.Resources) {
	reserved, plain := byReservation(rs)
	for ; r != nil; r = r.parent {
		r.inUse.remove(agent, reserved)
		r.charged.remove(agent, plain)
	}
}

// byReservation parts scalars into reserved ones and those that count against a
// quota: unreserved and not revocable.
func byReservation(rs resource.Resources) (reserved, plain resource.Resources) {
	if len(rs) > 0 && !special(rs) {
		return nil, rs
	}
	for i := range rs {
		switch r := &rs[i]; {
		case r.Flavor.Role() != "":
			reserved = append(reserved, *r)
		case !r.Flavor.Revocable():
			plain = append(plain, *r)
		}
	}
	return reserved, plain
}

// special tells whether any entry is reserved, revocable or shared: the common
// lists have none.
func special(rs resource.Resources) bool {
	for i := range rs {
		if f := rs[i].Flavor; f.Role() != "" || f.Revocable() || f.Shared() {
			return true
		}
	}
	return false
}
