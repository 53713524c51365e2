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
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/nodelabels"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// world is a cluster of n machines, every one a node and an agent, with the attribute
// rack: r0, r1, ... of size machines each.
func world(n, size int) *Compiler {
	c := NewCompiler(Config{})
	for i := range n {
		name, rack := fmt.Sprintf("n%d", i), fmt.Sprintf("r%d", i/size)
		c.SetNode(newNode(name, map[string]string{v1.LabelHostname: name, nodelabels.AttributePrefix + "rack": rack}))
		c.SetAgent("a-"+name, Agent{Hostname: name, Text: map[string]string{"rack": rack}, Node: name})
	}
	c.SetComplete(true)
	return c
}

func newNode(name string, labels map[string]string, taints ...v1.Taint) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: v1.NodeSpec{Taints: taints}}
}

func selecting(kv ...string) *v1.Pod {
	pod := &v1.Pod{Spec: v1.PodSpec{NodeSelector: map[string]string{}}}
	for i := 0; i < len(kv); i += 2 {
		pod.Spec.NodeSelector[kv[i]] = kv[i+1]
	}
	return pod
}

func rack(name string) *v1.Pod { return selecting(nodelabels.AttributePrefix+"rack", name) }

func hosts(names ...string) (set terms.Constraints) {
	for _, name := range names {
		set = append(set, terms.Group{{Op: terms.Equals, Value: name}})
	}
	return set
}

func TestOneHostOfMany(t *testing.T) {
	c := world(1000, 50)
	key := c.Require(selecting(v1.LabelHostname, "n7"))
	if got, want := c.Compile([]string{key}), hosts("n7"); !got.Equal(want) {
		t.Errorf("compiled %v, want %v", got, want)
	}
	if !c.Matches(key, "a-n7") || c.Matches(key, "a-n8") {
		t.Error("not just n7 matches")
	}
}

func TestRack(t *testing.T) {
	c := world(1000, 50)
	want := terms.Constraints{{{Attribute: "rack", Op: terms.Equals, Value: "r3"}}}
	if got := c.Compile([]string{c.Require(rack("r3"))}); !got.Equal(want) {
		t.Errorf("compiled %v, want %v", got, want)
	}
	if got := c.Compile([]string{c.Require(rack("none"))}); !got.Equal(None()) {
		t.Errorf("compiled %v for a rack that is not there, want none", got)
	}
	if got := c.Compile([]string{c.Require(&v1.Pod{})}); got != nil {
		t.Errorf("compiled %v for pods that take any node, want nil", got)
	}
}
