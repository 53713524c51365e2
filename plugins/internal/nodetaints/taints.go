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

// Package nodetaints shows on nodes that their machines leave the service, so that pods
// are kept away: by a taint, and an annotation that says more and tells which taint is
// ours.
package nodetaints

import (
	"encoding/json"
	"slices"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
)

// change is what to write to a node.
type change struct {
	// annotation is the new value, nil to remove it.
	annotation any
	// taints are all that the node is to have, if retaint is set.
	taints  []v1.Taint
	retaint bool
}

// patch is the change as a JSON merge patch that fails if the node is not as it was:
// the list of taints is written as a whole, and those of others are in it.
func (c change) patch(resourceVersion string) ([]byte, error) {
	patch := map[string]any{"metadata": map[string]any{
		"resourceVersion": resourceVersion, "annotations": map[string]any{maintenance.Annotation: c.annotation},
	}}
	if c.retaint {
		patch["spec"] = map[string]any{"taints": c.taints}
	}
	return json.Marshal(patch)
}

// plan returns what makes a node show the mark and nothing else of ours, nil for no
// mark; false if it does already. A taint with our key that is not as we wrote it is
// somebody else's, and stays.
func plan(node *v1.Node, mark *maintenance.Mark) (c change, needed bool) {
	_, wrote := maintenance.Shown(node)
	text, noted := node.Annotations[maintenance.Annotation]
	ours := func(t v1.Taint) bool {
		return wrote != "" && t.Key == maintenance.TaintKey && t.Effect == v1.TaintEffectNoSchedule && t.Value == wrote
	}
	foreign := func(t v1.Taint) bool {
		return t.Key == maintenance.TaintKey && t.Effect == v1.TaintEffectNoSchedule && !ours(t)
	}
	c.taints = slices.DeleteFunc(slices.Clone(node.Spec.Taints), ours)
	if mark == nil {
		c.retaint = len(c.taints) != len(node.Spec.Taints)
		return c, noted || c.retaint
	}
	c.annotation = mark.Text()
	// A node may not have two taints of one key and effect.
	if want := mark.Taint(); !slices.ContainsFunc(node.Spec.Taints, foreign) {
		c.taints = append(c.taints, want)
		c.retaint = !slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return ours(t) && t.Value == want.Value })
	}
	return c, !noted || text != c.annotation || c.retaint
}
