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

package lifecycle

import (
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// capacitiesOf is what agents have as they are listed, by their ids.
func capacitiesOf(list []mesos.Agent) map[string]offers.Capacity {
	capacities := make(map[string]offers.Capacity, len(list))
	for i := range list {
		a := &list[i]
		// Every agent has cpus; of one without the master says nothing.
		if a.Total[resources.CPU] <= 0 {
			continue
		}
		c := offers.Capacity{Total: a.Total}
		for _, r := range a.Reserved {
			c.Reserved = append(c.Reserved, resources.Portion{Flavour: r.Flavour, Bundle: r.Bundle})
		}
		capacities[a.ID] = c
	}
	return capacities
}
