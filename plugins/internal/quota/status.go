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
	"encoding/json"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// StatusAnnotation on a namespace says what quota its roles have in Mesos, as JSON:
//
//	{"roles":[{"role":"eng/ads","quotaRole":"eng",
//	  "hard":{"cpu":"4","memory":"8Gi"},"used":{"cpu":"3","memory":"512Mi"},
//	  "guaranteed":{"cpu":"2"}}]}
//
// There is an entry for each role of the namespace, in its order, whose top-level
// role, quotaRole, has a quota. hard and used are shaped as in the status of a
// ResourceQuota: used has the names that hard has, and counts the whole tree of
// quotaRole, other frameworks and reservations included, as the master last said.
// guaranteed is absent where nothing is. The names are those of resources, "cpu" and
// not "requests.cpu", because Mesos counts what is taken, be it requested by a pod
// or not; "nvidia.com/gpu" stands for gpus, and what Kubernetes has no name for
// keeps its name in Mesos.
const StatusAnnotation = "kube-mesos.io/quota"

type status struct {
	Roles []roleStatus `json:"roles"`
}

type roleStatus struct {
	Role       string  `json:"role"`
	QuotaRole  string  `json:"quotaRole"`
	Hard       amounts `json:"hard,omitempty"`
	Used       amounts `json:"used,omitempty"`
	Guaranteed amounts `json:"guaranteed,omitempty"`
}

// amounts is written in the order of names, so that equal ones are equal texts.
type amounts map[string]resource.Quantity

// Status returns the value of StatusAnnotation for a namespace with these roles, ""
// if none of them has a quota.
func (b *Book) Status(roles []string, names *Names) string {
	var s status
	for _, role := range roles {
		if t := b.treeOf(role); t != nil {
			s.Roles = append(s.Roles, t.status(role, names))
		}
	}
	if len(s.Roles) == 0 {
		return ""
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "" // texts and quantities cannot fail
	}
	return string(text)
}

func (t *tree) status(role string, names *Names) roleStatus {
	s := roleStatus{Role: role, QuotaRole: t.role.Name, Hard: amounts{}, Used: amounts{}, Guaranteed: amounts{}}
	for name, limit := range t.limits {
		s.Hard[names.shown(name)] = quantityOf(name, limit, false)
		s.Used[names.shown(name)] = quantityOf(name, amountOf(&t.role.Consumed, name), true)
	}
	for _, name := range namesIn(&t.role.Guarantee) {
		s.Guaranteed[names.shown(name)] = quantityOf(name, amountOf(&t.role.Guarantee, name), false)
	}
	return s
}

// shown returns the name in Kubernetes or else that in Mesos.
func (n *Names) shown(mesos string) string {
	if name, ok := n.kubernetes(mesos); ok {
		return string(name)
	}
	return mesos
}

// namesIn returns the Mesos names of which a bundle has anything, ascending.
func namesIn(b *resources.Bundle) []string {
	names := map[string]bool{}
	for k, milli := range b.Vector {
		if milli != 0 {
			names[resources.Kind(k).MesosName()] = true
		}
	}
	for _, s := range b.Scalars {
		names[s.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}
