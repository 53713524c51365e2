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

package mesosoffers

import (
	"maps"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// overlay is what a dry run assumes, by node. It remembers pod by pod what it assumed,
// so that taking that back restores what was before, whatever became of the pod's
// claim meanwhile.
type overlay map[string]*assumptions

// assumptions are those of one node.
type assumptions struct {
	// given is what each pod assumed gone gives back, taken what each pod assumed there
	// will need: nothing of one that holds it already.
	given map[types.UID][]resources.Portion
	taken map[types.UID]resources.Bundle
}

func (o overlay) clone() overlay {
	if o == nil {
		return nil
	}
	c := make(overlay, len(o))
	for node, a := range o {
		c[node] = &assumptions{given: maps.Clone(a.given), taken: maps.Clone(a.taken)}
	}
	return c
}

func (o overlay) of(node string) *assumptions {
	a := o[node]
	if a == nil {
		a = &assumptions{given: map[types.UID][]resources.Portion{}, taken: map[types.UID]resources.Bundle{}}
		o[node] = a
	}
	return a
}

// add assumes a pod on the node. need is asked for what it will need, unless it was
// assumed gone before.
func (o overlay) add(node string, pod types.UID, need func() resources.Bundle) {
	a := o.of(node)
	if _, gone := a.given[pod]; gone {
		delete(a.given, pod)
	} else {
		a.taken[pod] = need()
	}
}

// remove assumes a pod gone from the node. held is asked for what it gives back, unless
// it was assumed there before.
func (o overlay) remove(node string, pod types.UID, held func() []resources.Portion) {
	a := o.of(node)
	if _, there := a.taken[pod]; there {
		delete(a.taken, pod)
	} else {
		a.given[pod] = held()
	}
}

// sum returns what is assumed of a node. Without counting what pods give back, only
// needs are.
func (o overlay) sum(node string, giving bool) *lifecycle.Assumed {
	sum := &lifecycle.Assumed{}
	a := o[node]
	if a == nil {
		return sum
	}
	for _, need := range a.taken {
		sum.Taken = sum.Taken.Add(need)
	}
	if giving {
		for _, parts := range a.given {
			sum.Given = append(sum.Given, parts...)
		}
	}
	return sum
}
