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
	"fmt"
	"slices"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Check recomputes the books from what frameworks hold on agents, and tells the
// first difference: for tests.
func (a *Allocator) Check() error {
	roles, all := map[string]*ledger{}, &ledger{}
	perFramework := map[string]*ledger{}
	account := func(at map[string]*ledger, key string) *ledger {
		if at[key] == nil {
			at[key] = &ledger{}
		}
		return at[key]
	}
	var total Quantities
	for _, on := range a.order {
		total.grow(Scalars(on.Total))
		var sum resource.Resources
		for f, rs := range on.held {
			if a.frameworks[f.ID] != f {
				return fmt.Errorf("agent %s: framework %s holds %v and is unknown", on.ID, f.ID, rs)
			}
			sum = sum.Add(unshared(rs).WithAlloc(""))
			for _, path := range rolesIn(rs, nil) {
				part := allocatedTo(rs, path)
				all.add(on.ID, part)
				account(roles, path).add(on.ID, part)
				account(perFramework, path+" "+f.ID).add(on.ID, part)
			}
		}
		taken := unshared(on.taken)
		if !sum.Contains(taken) || !taken.Contains(sum) {
			return fmt.Errorf("agent %s: booked are %v, held are %v", on.ID, taken, sum)
		}
	}
	if !slices.Equal(total, a.total) {
		return fmt.Errorf("total is %v, of agents %v", a.total, total)
	}
	if !slices.Equal(all.sum, a.sorter.root.held.sum) {
		return fmt.Errorf("sorters hold %v, agents %v", a.sorter.root.held.sum, all.sum)
	}
	for _, r := range a.tree.roles {
		if r.sorter == nil {
			continue
		}
		if have, want := a.sorter.clients[r.path].held.sum, account(roles, r.path).sum; !slices.Equal(have, want) {
			return fmt.Errorf("role %s: booked are %v, held are %v", r.path, have, want)
		}
		for id := range r.frameworks {
			if have, want := r.sorter.clients[id].held.sum, account(perFramework, r.path+" "+id).sum; !slices.Equal(have, want) {
				return fmt.Errorf("framework %s in role %s: booked are %v, held are %v", id, r.path, have, want)
			}
		}
	}
	return nil
}
