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

package quota

import (
	"sync"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Usage is the running sum of what we hold and Mesos charges to quotas, by top-level
// role. The zero Usage is nothing. It may be used from several goroutines.
type Usage struct {
	mu    sync.RWMutex
	trees map[string]*resources.Bundle
}

// Add notes that we hold more by a role. Ports are not counted.
func (u *Usage) Add(role string, b *resources.Bundle) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.add(role, b)
}

// add is Add with the mutex held.
func (u *Usage) add(role string, b *resources.Bundle) {
	sum := u.sumOf(role)
	if b.Scalars == nil {
		sum.Vector = sum.Vector.Add(b.Vector)
	} else {
		*sum = sum.Add(scalarsOf(*b))
	}
	u.forget(role, sum)
}

// Sub notes that we hold less by a role.
func (u *Usage) Sub(role string, b *resources.Bundle) {
	u.mu.Lock()
	defer u.mu.Unlock()
	sum := u.sumOf(role)
	if b.Scalars == nil {
		sum.Vector = sum.Vector.Sub(b.Vector)
	} else {
		*sum = sum.Sub(scalarsOf(*b))
	}
	u.forget(role, sum)
}

// sumOf returns the sum of a role's tree, to be changed. The mutex is held.
func (u *Usage) sumOf(role string) *resources.Bundle {
	top := Top(role)
	sum := u.trees[top]
	if sum == nil {
		if u.trees == nil {
			u.trees = map[string]*resources.Bundle{}
		}
		sum = &resources.Bundle{}
		u.trees[top] = sum
	}
	return sum
}

// forget drops the sum of a role's tree if it is nothing. The mutex is held.
func (u *Usage) forget(role string, sum *resources.Bundle) {
	if sum.IsZero() {
		delete(u.trees, Top(role))
	}
}

// held is what we hold by the tree of a role. The mutex is held.
func (u *Usage) held(role string) resources.Bundle {
	if sum := u.trees[Top(role)]; sum != nil {
		return *sum
	}
	return resources.Bundle{}
}

// OfTree returns what we hold by all roles of the tree that a role belongs to.
func (u *Usage) OfTree(role string) resources.Bundle {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.held(role)
}

// Snapshot returns what we hold now, by top-level role.
func (u *Usage) Snapshot() map[string]resources.Bundle {
	u.mu.RLock()
	defer u.mu.RUnlock()
	trees := make(map[string]resources.Bundle, len(u.trees))
	for top, sum := range u.trees {
		trees[top] = *sum
	}
	return trees
}

// Least returns the lesser of two snapshots: what was held at both times, as
// Book.Set wants it of the times when the master was asked and when it answered.
func Least(before, after map[string]resources.Bundle) map[string]resources.Bundle {
	least := map[string]resources.Bundle{}
	for top, a := range before {
		b, ok := after[top]
		if !ok {
			continue
		}
		held := resources.Bundle{Vector: a.Vector.Min(b.Vector)}
		for _, s := range a.Scalars {
			if milli := min(s.Milli, b.Scalars.Of(s.Name)); milli != 0 {
				held.Scalars = append(held.Scalars, resources.Scalar{Name: s.Name, Milli: milli})
			}
		}
		least[top] = held
	}
	return least
}
