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
	"maps"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// ledger sums scalars held on many agents. A shared resource counts once however
// often it is held (Mesos DRFSorter::Node::Allocation).
type ledger struct {
	sum    Quantities
	copies map[sharedKey]int
}

// sharedKey names one shared resource.
type sharedKey struct{ agent, name, flavor string }

// add books resources of an agent.
func (l *ledger) add(agent string, rs resource.Resources) {
	for i := range rs {
		r := &rs[i]
		if r.Kind != resource.Scalar {
			continue
		}
		if r.Flavor.Shared() {
			if l.copies == nil {
				l.copies = map[sharedKey]int{}
			}
			key := sharedKey{agent, r.Name, r.Flavor.Key()}
			if l.copies[key]++; l.copies[key] > 1 {
				continue
			}
		}
		l.sum.add(r.Name, r.Milli)
	}
}

// remove takes resources of an agent off the books.
func (l *ledger) remove(agent string, rs resource.Resources) {
	for i := range rs {
		r := &rs[i]
		if r.Kind != resource.Scalar {
			continue
		}
		if r.Flavor.Shared() {
			key := sharedKey{agent, r.Name, r.Flavor.Key()}
			if l.copies[key]--; l.copies[key] > 0 {
				continue
			}
			delete(l.copies, key)
		}
		l.sum.sub(r.Name, r.Milli)
	}
}

// subtract takes everything another ledger has off this one.
func (l *ledger) subtract(o *ledger) {
	l.sum.shrink(o.sum)
	for key, n := range o.copies {
		if l.copies[key] -= n; l.copies[key] <= 0 {
			delete(l.copies, key)
		}
	}
}

func (l *ledger) clone() ledger {
	return ledger{sum: append(Quantities(nil), l.sum...), copies: maps.Clone(l.copies)}
}
