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

func attribute(name string, op terms.Op, value string) terms.Constraint {
	return terms.Constraint{Attribute: name, Op: op, Value: value}
}

func notHost(name string) terms.Constraint { return terms.Constraint{Op: terms.NotEquals, Value: name} }

func affine(all ...v1.NodeSelectorRequirement) *v1.Pod {
	required := &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: all}}}
	return &v1.Pod{Spec: v1.PodSpec{Affinity: &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}}}}
}

func onRack(op v1.NodeSelectorOperator, values ...string) v1.NodeSelectorRequirement {
	return v1.NodeSelectorRequirement{Key: nodelabels.AttributePrefix + "rack", Operator: op, Values: values}
}

func cordon(c *Compiler, name string, rack string) {
	node := newNode(name, map[string]string{v1.LabelHostname: name, nodelabels.AttributePrefix + "rack": rack})
	node.Spec.Unschedulable = true
	c.SetNode(node)
}

// TestForms goes through the forms that constraints have, in a cluster of 1000 machines
// in racks of 50.
func TestForms(t *testing.T) {
	plain := &v1.Pod{}
	for _, tc := range []struct {
		name   string
		change func(c *Compiler)
		pods   []*v1.Pod
		want   terms.Constraints
	}{
		{"no pods", nil, nil, nil},
		{"pods that take any node", nil, []*v1.Pod{plain, rack("r1")}, nil},
		{"a cordoned node", func(c *Compiler) { cordon(c, "n7", "r0") }, []*v1.Pod{plain}, terms.Constraints{{notHost("n7")}}},
		{"agents that are no nodes", func(c *Compiler) {
			c.SetAgent("x", Agent{Hostname: "X.example"})
			c.SetAgent("y", Agent{Hostname: "y"})
		}, []*v1.Pod{plain}, terms.Constraints{{notHost("X.example"), notHost("y")}}},
		{"some hosts", nil, []*v1.Pod{selecting(v1.LabelHostname, "n9"), selecting(v1.LabelHostname, "n10")}, hosts("n10", "n9")},
		{"the agent's own spelling", func(c *Compiler) {
			c.SetAgent("a-n9", Agent{Hostname: "N9.", Node: "n9"})
		}, []*v1.Pod{selecting(v1.LabelHostname, "n9")}, hosts("N9.")},
		{"a node without an agent", func(c *Compiler) {
			c.SetNode(newNode("new", map[string]string{v1.LabelHostname: "new", "kube-mesos.io/agent-hostname": "New.example"}))
		}, []*v1.Pod{selecting(v1.LabelHostname, "new")}, hosts("New.example", "new.example")},
		{"two racks", nil, []*v1.Pod{affine(onRack(v1.NodeSelectorOpIn, "r1", "r2"))},
			terms.Constraints{{attribute("rack", terms.Equals, "r1")}, {attribute("rack", terms.Equals, "r2")}}},
		{"all racks but two", nil, []*v1.Pod{affine(onRack(v1.NodeSelectorOpNotIn, "r1", "r2"))},
			terms.Constraints{{attribute("rack", terms.NotEquals, "r1"), attribute("rack", terms.NotEquals, "r2")}}},
		{"any rack", func(c *Compiler) {
			for i := range 300 {
				c.SetAgent(fmt.Sprint("foreign", i), Agent{Hostname: fmt.Sprint("f", i)})
			}
		}, []*v1.Pod{affine(onRack(v1.NodeSelectorOpExists))}, terms.Constraints{{attribute("rack", terms.Exists, "")}}},
		{"no rack", func(c *Compiler) {
			for i := range 300 {
				name := fmt.Sprint("p", i)
				c.SetNode(newNode(name, nil))
				c.SetAgent(name, Agent{Hostname: name, Node: name})
			}
		}, []*v1.Pod{affine(onRack(v1.NodeSelectorOpDoesNotExist))}, terms.Constraints{{attribute("rack", terms.NotExists, "")}}},
		{"a rack and a host", nil, []*v1.Pod{rack("r1"), selecting(v1.LabelHostname, "n7")},
			terms.Constraints{{attribute("rack", terms.Equals, "r1")}, {{Op: terms.Equals, Value: "n7"}}}},
		{"a rack with a cordoned node", func(c *Compiler) { cordon(c, "n60", "r1") }, []*v1.Pod{rack("r1")},
			terms.Constraints{{notHost("n60"), attribute("rack", terms.Equals, "r1")}}},
		{"a rack with a label that is not the agent's", func(c *Compiler) {
			c.SetAgent("a-n60", Agent{Hostname: "n60", Text: map[string]string{"rack": "moved"}, Node: "n60"})
		}, []*v1.Pod{rack("r1")}, terms.Constraints{{attribute("rack", terms.Equals, "r1")}, {{Op: terms.Equals, Value: "n60"}}}},
		{"a rack and a label no attribute shows", func(c *Compiler) {
			c.SetNode(newNode("n60", map[string]string{nodelabels.AttributePrefix + "rack": "r1", "disk": "ssd"}))
		}, []*v1.Pod{selecting(nodelabels.AttributePrefix+"rack", "r1", "disk", "ssd")}, hosts("n60")},
		{"a term that matches nothing", nil, []*v1.Pod{affine(onRack("Nonsense"))}, None()},
		{"an affinity without terms", nil, []*v1.Pod{affine()}, None()},
		{"nothing there", func(c *Compiler) { c.ClearAgents(); c.SetComplete(true) }, []*v1.Pod{selecting("no", "such")}, None()},
		{"agents not known", func(c *Compiler) {
			c.SetComplete(false)
			c.SetNode(newNode("new", map[string]string{"pool": "x"}))
		}, []*v1.Pod{selecting("pool", "x")}, nil},
		{"agents not known, but those that matter", func(c *Compiler) { c.SetComplete(false) }, []*v1.Pod{selecting(v1.LabelHostname, "n9")}, hosts("n9")},
		{"two agents of one host", func(c *Compiler) {
			c.SetAgent("again", Agent{Hostname: "N9"})
			c.SetAgent("a-n9", Agent{Hostname: "n9"})
		}, []*v1.Pod{selecting(v1.LabelHostname, "n9")}, hosts("N9", "n9")},
		{"too much to say", func(c *Compiler) {
			for i := range 500 {
				name := fmt.Sprint("n", i)
				c.SetNode(newNode(name, map[string]string{"half": "1"}))
			}
		}, []*v1.Pod{selecting("half", "1")}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(1000, 50)
			if tc.change != nil {
				tc.change(c)
			}
			var keys []string
			for _, pod := range tc.pods {
				keys = append(keys, c.Require(pod))
			}
			if got := c.Compile(keys); !got.Equal(tc.want) || (got == nil) != (tc.want == nil) {
				t.Errorf("compiled %v, want %v", got, tc.want)
			}
		})
	}
}

func TestFailOverChangesNothing(t *testing.T) {
	c := world(300, 50)
	c.SetAgent("x", Agent{Hostname: "X.example"})
	c.SetAgent("a-n7", Agent{Hostname: "N7", Node: "n7"})
	pinned, every := []string{c.Require(selecting(v1.LabelHostname, "n7"))}, []string{""}
	before := c.Compile(pinned)
	c.ClearAgents()
	if c.TooNarrow(before, pinned) {
		t.Errorf("%v is too narrow once the agents are gone", before)
	}
	for _, known := range []bool{false, true} {
		// It spells its host as before, if it is not another one. Once all are known no
		// other agent came back.
		wantPinned, wantAny := hosts("N7", "n7"), terms.Constraints{{notHost("X.example")}}
		if known {
			wantPinned, wantAny = nil, nil
		}
		if got := c.Compile(pinned); !got.Equal(wantPinned) {
			t.Errorf("complete %v: compiled %v, want %v", known, got, wantPinned)
		}
		if got := c.Compile(every); !got.Equal(wantAny) {
			t.Errorf("complete %v: compiled %v, want %v", known, got, wantAny)
		}
		c.SetComplete(true)
	}
	if len(c.hosts) != 300 {
		t.Errorf("%d hosts are remembered, want 300", len(c.hosts))
	}
}

func TestHostsAreForgotten(t *testing.T) {
	c := NewCompiler(Config{})
	for i := range 10 {
		c.SetAgent("a", Agent{Hostname: fmt.Sprint("foreign", i)})
		c.ClearAgents() // and never complete
	}
	if len(c.hosts) > 2 {
		t.Errorf("%d hosts are remembered", len(c.hosts))
	}
	c.SetNode(newNode("n", nil))
	c.SetAgent("a", Agent{Hostname: "N"})
	c.DeleteAgent("a")
	c.DeleteNode("n")
	c.SetComplete(true)
	if len(c.hosts) != 0 || len(c.agents) != 0 || len(c.nodes) != 0 {
		t.Errorf("%d hosts, %d agents and %d nodes are left of nothing", len(c.hosts), len(c.agents), len(c.nodes))
	}
}

func TestGeneration(t *testing.T) {
	c := world(10, 5)
	node := newNode("n3", map[string]string{v1.LabelHostname: "n3", nodelabels.AttributePrefix + "rack": "r0"})
	before := c.Generation()
	node.ResourceVersion, node.Status.NodeInfo.KernelVersion = "7", "new"
	node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady}}
	node.Spec.Taints = []v1.Taint{{Key: "k", Effect: v1.TaintEffectPreferNoSchedule}}
	c.SetNode(node)
	c.SetAgent("a-n3", Agent{Hostname: "n3", Text: map[string]string{"rack": "r0"}, Node: "n3"})
	c.SetComplete(true)
	c.DeleteNode("not there")
	c.DeleteAgent("not there")
	c.Compile([]string{c.Require(rack("r0"))})
	if c.Generation() != before {
		t.Error("the generation changes although nothing else does")
	}
	for _, tc := range []struct {
		name   string
		change func()
	}{
		{"a label", func() { node.Labels["a"] = "b"; c.SetNode(node) }},
		{"a taint", func() { node.Spec.Taints[0].Effect = v1.TaintEffectNoExecute; c.SetNode(node) }},
		{"cordon", func() { node.Spec.Unschedulable = true; c.SetNode(node) }},
		{"an attribute", func() { c.SetAgent("a-n4", Agent{Hostname: "n4", Node: "n4"}) }},
		{"an agent", func() { c.DeleteAgent("a-n5") }},
		{"a node", func() { c.DeleteNode("n6") }},
		{"not complete", func() { c.SetComplete(false) }},
		{"no agents", func() { c.ClearAgents() }},
	} {
		before = c.Generation()
		if tc.change(); c.Generation() == before {
			t.Errorf("%s changes and the generation does not", tc.name)
		}
	}
}

func TestKeysOfOthers(t *testing.T) {
	c := world(1000, 50)
	cordon(c, "n7", "r0")
	if !c.Matches("no key of ours", "a-n7") {
		t.Error("a requirement that is not known excludes a node")
	}
	if got := c.Compile([]string{"no key of ours"}); got != nil {
		t.Errorf("a requirement that is not known compiles to %v", got)
	}
}

func TestKeysAreForgottenAndMadeAnew(t *testing.T) {
	c := NewCompiler(Config{MaxKeys: 10})
	for i := range 100 {
		name := fmt.Sprint("n", i)
		c.SetNode(newNode(name, map[string]string{v1.LabelHostname: name}))
		c.SetAgent(name, Agent{Hostname: name, Node: name})
	}
	c.SetComplete(true)
	var keys []string
	for i := range 100 {
		keys = append(keys, c.Require(selecting(v1.LabelHostname, fmt.Sprint("n", i))))
	}
	if len(c.requirements) > 10 {
		t.Errorf("%d requirements are kept, want at most 10", len(c.requirements))
	}
	for i, key := range keys {
		if name := fmt.Sprint("n", i); !c.Matches(key, name) || !c.Compile([]string{key}).Equal(hosts(name)) {
			t.Errorf("the requirement of %s is not what it was", name)
		}
	}
}

func TestRequire(t *testing.T) {
	c := NewCompiler(Config{})
	for _, tc := range []struct {
		name string
		spec v1.PodSpec
		want string
	}{
		{"nothing", v1.PodSpec{}, ""},
		{"tolerations that all have", v1.PodSpec{Tolerations: defaultTolerations}, ""},
		{"a toleration of a preference", v1.PodSpec{Tolerations: []v1.Toleration{{Operator: v1.TolerationOpExists, Effect: v1.TaintEffectPreferNoSchedule}}}, ""},
		{"a preference", v1.PodSpec{Affinity: &v1.Affinity{NodeAffinity: &v1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []v1.PreferredSchedulingTerm{{Weight: 1}}}}}, ""},
		{"a selector", v1.PodSpec{NodeSelector: map[string]string{"b": "1", "a": "2"}}, `{"selector":{"a":"2","b":"1"}}`},
		{"tolerations one of which covers others", v1.PodSpec{Tolerations: []v1.Toleration{
			{Key: "k", Value: "v"}, {Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute}, {Key: "k", Operator: v1.TolerationOpExists, Value: "odd"},
		}}, `{"tolerations":[{"operator":"Exists","effect":"NoExecute"},{"key":"k","operator":"Exists"}]}`},
	} {
		if got := c.Require(&v1.Pod{Spec: tc.spec}); got != tc.want {
			t.Errorf("%s: key %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestAdmits(t *testing.T) {
	c := NewCompiler(Config{})
	c.SetAgent("a", Agent{Hostname: "Host", Text: map[string]string{"rack": "r1"}, NotText: []string{"cores"}})
	for _, tc := range []struct {
		attribute string
		op        terms.Op
		value     string
		want      bool
	}{
		{"", terms.Exists, "", true}, {"", terms.NotExists, "", false},
		{"", terms.Equals, "Host", true}, {"", terms.Equals, "host", false},
		{"", terms.NotEquals, "Host", false}, {"", terms.NotEquals, "host", true},
		{"rack", terms.Exists, "", true}, {"rack", terms.NotExists, "", false},
		{"rack", terms.Equals, "r1", true}, {"rack", terms.Equals, "r2", false},
		{"rack", terms.NotEquals, "r1", false}, {"rack", terms.NotEquals, "r2", true},
		{"cores", terms.Exists, "", true}, {"cores", terms.NotExists, "", false},
		{"cores", terms.Equals, "4", true}, {"cores", terms.NotEquals, "4", true},
		{"none", terms.Exists, "", false}, {"none", terms.NotExists, "", true},
		{"none", terms.Equals, "", false}, {"none", terms.NotEquals, "", true},
	} {
		if got := c.Admits(terms.Constraints{{attribute(tc.attribute, tc.op, tc.value)}}, "a"); got != tc.want {
			t.Errorf("%q %s %q: %v, want %v", tc.attribute, tc.op, tc.value, got, tc.want)
		}
	}
	both := terms.Constraints{{attribute("rack", terms.Equals, "r1"), notHost("Host")}}
	if c.Admits(both, "a") || !c.Admits(append(both, hosts("Host")...), "a") || !c.Admits(nil, "a") || !c.Admits(both, "unknown") {
		t.Error("groups are not alternatives of what must be met as a whole")
	}
}

func TestTooNarrow(t *testing.T) {
	c := world(10, 5)
	c.SetNode(newNode("new", map[string]string{"pool": "x"}))
	pinned, added := []string{c.Require(selecting(v1.LabelHostname, "n7"))}, []string{c.Require(selecting("pool", "x"))}
	for _, tc := range []struct {
		set  terms.Constraints
		keys []string
		want bool
	}{
		{nil, pinned, false}, {hosts("n7", "n8"), pinned, false}, {hosts("n8"), pinned, true}, {None(), pinned, true},
		{None(), nil, false}, {hosts("n8"), added, true}, {hosts("new"), added, false},
	} {
		if got := c.TooNarrow(tc.set, tc.keys); got != tc.want {
			t.Errorf("TooNarrow(%v, %v) = %v", tc.set, tc.keys, got)
		}
	}
}
