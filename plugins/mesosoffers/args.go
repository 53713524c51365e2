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
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
)

// The arguments are validated before they come here: names are known, selectors
// can be parsed.

func rolesConfig(args *config.MesosOffersArgs) roles.Config {
	c := roles.Config{Default: args.Framework.Role, Annotation: args.Roles.Annotation}
	for _, rule := range args.Roles.Rules {
		r := roles.Rule{Templates: rule.Roles}
		if rule.NamespaceSelector != nil {
			selector, err := metav1.LabelSelectorAsSelector(rule.NamespaceSelector)
			if err != nil {
				selector = labels.Nothing()
			}
			r.Selector = selector
		}
		c.Rules = append(c.Rules, r)
	}
	return c
}

func podRules(args *config.MesosOffersArgs) lifecycle.PodRules {
	r := lifecycle.PodRules{
		Table: resources.NewTable(tableOptions(&args.Resources)), Defaults: args.DefaultRequests,
		Order: lifecycle.Orders[string(args.Reservations.Policy)], Sticky: args.Reservations.Sticky,
		Revocable: args.Revocable.Enabled, PriorityClasses: map[string]offers.Revocable{},
	}
	for _, rule := range args.Revocable.PriorityClasses {
		r.PriorityClasses[rule.Name] = lifecycle.Revocables[string(rule.Use)]
	}
	return r
}

func tableOptions(args *config.Resources) resources.Options {
	o := resources.Options{HostPorts: args.HostPorts == config.HostPortsClaim, Extended: map[v1.ResourceName]string{}}
	if args.GPUs.Agents != config.GPUAgentsUnused {
		o.GPU = v1.ResourceName(args.GPUs.ResourceName)
	}
	for _, e := range args.Extended {
		o.Extended[v1.ResourceName(e.Kubernetes)] = e.Mesos
	}
	return o
}
