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

package constraints

import (
	"cmp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kube-mesos/kube-mesos/plugins/internal/nodelabels"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// maxGroups is how many groups one alternative of a requirement may become, and
// maxValues how many conditions one expression.
const (
	maxGroups = 32
	maxValues = 64
)

// attributeGroups returns what a pod with at most one affinity term asks of agents'
// attributes, by the labels that show them: groups of which an agent must meet one.
// It is nil if that is nothing. What cannot be said is left away, so that the groups
// may ask for too little, and never for more than the labels as long as those show what
// the attributes are.
func attributeGroups(pod *v1.Pod) []terms.Group {
	var expressions []v1.NodeSelectorRequirement
	for key, value := range pod.Spec.NodeSelector {
		expressions = append(expressions, v1.NodeSelectorRequirement{Key: key, Operator: v1.NodeSelectorOpIn, Values: []string{value}})
	}
	if required := requiredAffinity(pod); required != nil {
		for _, t := range required.NodeSelectorTerms {
			expressions = append(expressions, t.MatchExpressions...)
		}
	}
	groups := []terms.Group{{}}
	for i := range expressions {
		alternatives := conditions(&expressions[i])
		if len(alternatives) == 0 || len(alternatives)*len(groups) > maxGroups {
			continue
		}
		var product []terms.Group
		for _, g := range groups {
			for _, a := range alternatives {
				product = append(product, slices.Concat(g, a))
			}
		}
		groups = product
	}
	if len(groups[0]) == 0 {
		return nil
	}
	for i, g := range groups {
		slices.SortFunc(g, compareConstraints)
		groups[i] = slices.Compact(g)
	}
	return groups
}

// conditions returns what an expression on a label asks of the attribute that the label
// shows: alternatives, none if it cannot be said.
func conditions(e *v1.NodeSelectorRequirement) []terms.Group {
	name, ok := strings.CutPrefix(e.Key, nodelabels.AttributePrefix)
	if !ok || len(validation.IsQualifiedName(e.Key)) > 0 || len(e.Values) > maxValues {
		return nil
	}
	var all terms.Group
	switch e.Operator {
	case v1.NodeSelectorOpIn:
		var in []terms.Group
		for _, value := range e.Values {
			in = append(in, terms.Group{{Attribute: name, Op: terms.Equals, Value: value}})
		}
		return in
	case v1.NodeSelectorOpNotIn:
		for _, value := range e.Values {
			all = append(all, terms.Constraint{Attribute: name, Op: terms.NotEquals, Value: value})
		}
	case v1.NodeSelectorOpDoesNotExist:
		all = terms.Group{{Attribute: name, Op: terms.NotExists}}
	case v1.NodeSelectorOpExists, v1.NodeSelectorOpGt, v1.NodeSelectorOpLt:
		all = terms.Group{{Attribute: name, Op: terms.Exists}}
	}
	if len(all) == 0 {
		return nil
	}
	return []terms.Group{all}
}

func compareConstraints(a, b terms.Constraint) int {
	return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Value, b.Value))
}

func compareGroups(a, b terms.Group) int { return slices.CompareFunc(a, b, compareConstraints) }
