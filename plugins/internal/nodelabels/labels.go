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

// Package nodelabels shows what Mesos agents are as labels of their nodes, so that
// ordinary node selectors, affinity and topology spread can use agent attributes
// and fault domains.
package nodelabels

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// AttributePrefix begins the labels made of agent attributes. All labels with it
// are ours.
const AttributePrefix = "attribute.kube-mesos.io/"

// TopologyAnnotation on a node holds the topology labels that we set, as a JSON
// object. One whose value is not what stands there has become somebody else's.
const TopologyAnnotation = "kube-mesos.io/topology-labels"

// Facts are what is to be shown of an agent.
type Facts struct {
	// Attributes by name, in Mesos' text form.
	Attributes map[string]string
	// Region and Zone are the agent's fault domain, "" for none.
	Region, Zone string
}

// labels returns the labels for the facts, and the attributes that cannot be one.
// Those are left away rather than changed: two that differ must not look alike.
func (f Facts) labels() (attributes, topology map[string]string, unusable []string) {
	attributes, topology = map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(f.Attributes)) {
		key, value := AttributePrefix+name, f.Attributes[name]
		if len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 {
			unusable = append(unusable, name+":"+value)
			continue
		}
		attributes[key] = value
	}
	for key, value := range map[string]string{v1.LabelTopologyRegion: f.Region, v1.LabelTopologyZone: f.Zone} {
		switch {
		case value == "":
		case len(validation.IsValidLabelValue(value)) > 0:
			unusable = append(unusable, "fault domain "+value)
		default:
			topology[key] = value
		}
	}
	slices.Sort(unusable)
	return attributes, topology, unusable
}

// change is what to write to a node: labels and annotations, nil values to remove
// them.
type change struct {
	labels, annotations map[string]any
}

func (c change) empty() bool { return len(c.labels) == 0 && len(c.annotations) == 0 }

// patch is the change as a JSON merge patch that fails if the node is not as it
// was.
func (c change) patch(resourceVersion string) ([]byte, error) {
	meta := map[string]any{"resourceVersion": resourceVersion}
	if len(c.labels) > 0 {
		meta["labels"] = c.labels
	}
	if len(c.annotations) > 0 {
		meta["annotations"] = c.annotations
	}
	return json.Marshal(map[string]any{"metadata": meta})
}

// plan returns what makes a node show attributes and topology and nothing more.
// Topology labels are set only where there is none, and then followed.
func plan(node *v1.Node, attributes, topology map[string]string) change {
	c := change{labels: map[string]any{}, annotations: map[string]any{}}
	for key := range node.Labels {
		if _, ok := attributes[key]; !ok && strings.HasPrefix(key, AttributePrefix) {
			c.labels[key] = nil
		}
	}
	for key, value := range attributes {
		if now, ok := node.Labels[key]; !ok || now != value {
			c.labels[key] = value
		}
	}
	c.note(node, c.planTopology(node, topology))
	return c
}

// planTopology plans the topology labels and returns those that are ours then.
func (c *change) planTopology(node *v1.Node, topology map[string]string) (ours map[string]string) {
	set := setByUs(node)
	ours = map[string]string{}
	for _, key := range []string{v1.LabelTopologyRegion, v1.LabelTopologyZone} {
		want, wanted := topology[key]
		now, there := node.Labels[key]
		before, was := set[key]
		switch {
		case there && !(was && now == before):
			// Somebody else's, from the beginning or by now.
		case wanted && (!there || now != want):
			c.labels[key], ours[key] = want, want
		case wanted:
			ours[key] = want
		case there:
			c.labels[key] = nil
		}
	}
	return ours
}

// note plans the annotation that says which topology labels are ours.
func (c *change) note(node *v1.Node, ours map[string]string) {
	text, there := node.Annotations[TopologyAnnotation]
	if len(ours) == 0 {
		if there {
			c.annotations[TopologyAnnotation] = nil
		}
		return
	}
	if should, _ := json.Marshal(ours); text != string(should) { // strings cannot fail
		c.annotations[TopologyAnnotation] = string(should)
	}
}

// setByUs reads which topology labels we set; an annotation that does not parse
// says none.
func setByUs(node *v1.Node) map[string]string {
	var set map[string]string
	if err := json.Unmarshal([]byte(node.Annotations[TopologyAnnotation]), &set); err != nil {
		return nil
	}
	return set
}
