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
	"encoding/json"
	"slices"

	v1 "k8s.io/api/core/v1"
)

// defaultTolerations are what admission gives every pod. A pod without them is treated
// as if it had them: taints of that kind come with others that are not tolerated.
var defaultTolerations = []v1.Toleration{
	{Key: v1.TaintNodeNotReady, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute},
	{Key: v1.TaintNodeUnreachable, Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute},
}

// spec is what a pod requires of its node in canonical form; its JSON is the key.
type spec struct {
	// Selector is the node selector.
	Selector map[string]string `json:"selector,omitempty"`
	// Terms are those of the required node affinity; Never tells that it has none,
	// which matches no node.
	Terms []v1.NodeSelectorTerm `json:"terms,omitempty"`
	Never bool                  `json:"never,omitempty"`
	// Tolerations are those that may make a difference.
	Tolerations []v1.Toleration `json:"tolerations,omitempty"`
}

// Require returns the key of what a pod requires of its node: node selector, required
// node affinity, and tolerations of taints that keep pods away. It is "" for a pod that
// takes any node without such taints, and the same for pods that require the same.
func (c *Compiler) Require(pod *v1.Pod) string {
	s := spec{Tolerations: tolerationsOf(pod)}
	if required := requiredAffinity(pod); required != nil {
		s.Terms = canonicalTerms(required.NodeSelectorTerms)
		s.Never = len(s.Terms) == 0
	}
	if len(pod.Spec.NodeSelector) > 0 {
		s.Selector = pod.Spec.NodeSelector
	}
	if s.Selector == nil && s.Terms == nil && !s.Never && s.Tolerations == nil {
		return ""
	}
	key, err := json.Marshal(s)
	if err != nil { // cannot be: maps, slices and strings
		return ""
	}
	if r := c.requirements[string(key)]; r != nil {
		c.uses++
		r.used = c.uses
		return r.key
	}
	return c.requirement(string(key)).key
}

func requiredAffinity(pod *v1.Pod) *v1.NodeSelector {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

// pods returns a pod for each alternative of the spec, with at most one term.
func (s spec) pods() []*v1.Pod {
	if s.Never {
		return nil
	}
	if len(s.Terms) == 0 {
		return []*v1.Pod{{Spec: v1.PodSpec{NodeSelector: s.Selector}}}
	}
	var pods []*v1.Pod
	for _, term := range s.Terms {
		required := &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{term}}
		pods = append(pods, &v1.Pod{Spec: v1.PodSpec{
			NodeSelector: s.Selector,
			Affinity:     &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}},
		}})
	}
	return pods
}

// canonicalTerms returns the terms that are not empty, which match nothing, sorted and
// each once.
func canonicalTerms(list []v1.NodeSelectorTerm) (out []v1.NodeSelectorTerm) {
	for _, t := range list {
		if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
			continue
		}
		out = append(out, v1.NodeSelectorTerm{
			MatchExpressions: canonicalExpressions(t.MatchExpressions, true),
			MatchFields:      canonicalExpressions(t.MatchFields, false),
		})
	}
	slices.SortFunc(out, compareTerms)
	return slices.CompactFunc(out, func(a, b v1.NodeSelectorTerm) bool { return compareTerms(a, b) == 0 })
}

// canonicalExpressions sorts expressions and their values. Values are a set in labels
// only: a field with two is an error.
func canonicalExpressions(list []v1.NodeSelectorRequirement, set bool) []v1.NodeSelectorRequirement {
	if len(list) == 0 {
		return nil
	}
	out := slices.Clone(list)
	for i := range out {
		e := &out[i]
		if len(e.Values) == 0 {
			e.Values = nil
		}
		if e.Operator != v1.NodeSelectorOpIn && e.Operator != v1.NodeSelectorOpNotIn {
			continue
		}
		e.Values = slices.Sorted(slices.Values(e.Values))
		if set {
			e.Values = slices.Compact(e.Values)
		}
	}
	slices.SortFunc(out, compareExpressions)
	return slices.CompactFunc(out, func(a, b v1.NodeSelectorRequirement) bool { return compareExpressions(a, b) == 0 })
}

func compareTerms(a, b v1.NodeSelectorTerm) int {
	return cmp.Or(
		slices.CompareFunc(a.MatchExpressions, b.MatchExpressions, compareExpressions),
		slices.CompareFunc(a.MatchFields, b.MatchFields, compareExpressions),
	)
}

func compareExpressions(a, b v1.NodeSelectorRequirement) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), slices.Compare(a.Values, b.Values))
}

// tolerationsOf returns the tolerations of a pod that may make a difference: of taints
// that keep pods away, not covered by others or by those that all have. Sorted.
func tolerationsOf(pod *v1.Pod) (out []v1.Toleration) {
	for _, t := range pod.Spec.Tolerations {
		t = v1.Toleration{Key: t.Key, Operator: t.Operator, Value: t.Value, Effect: t.Effect}
		switch t.Operator {
		case "":
			t.Operator = v1.TolerationOpEqual
		case v1.TolerationOpExists:
			t.Value = ""
		}
		if t.Effect == v1.TaintEffectPreferNoSchedule || slices.ContainsFunc(defaultTolerations, func(d v1.Toleration) bool { return covers(d, t) }) {
			continue
		}
		out = append(out, t)
	}
	slices.SortFunc(out, compareTolerations)
	out = slices.Compact(out)
	all := slices.Clone(out)
	return slices.DeleteFunc(out, func(t v1.Toleration) bool {
		return slices.ContainsFunc(all, func(o v1.Toleration) bool { return o != t && covers(o, t) })
	})
}

// covers tells whether a tolerates whatever b does. Operators that are not known cover
// nothing.
func covers(a, b v1.Toleration) bool {
	known := func(o v1.TolerationOperator) bool { return o == v1.TolerationOpExists || o == v1.TolerationOpEqual }
	if !known(a.Operator) || !known(b.Operator) {
		return false
	}
	return (a.Key == "" || a.Key == b.Key) && (a.Effect == "" || a.Effect == b.Effect) &&
		(a.Operator == v1.TolerationOpExists || b.Operator == v1.TolerationOpEqual && a.Value == b.Value)
}

func compareTolerations(a, b v1.Toleration) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Effect, b.Effect))
}
