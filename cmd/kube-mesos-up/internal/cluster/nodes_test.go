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

package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

func TestCapacity(t *testing.T) {
	for _, tc := range []struct {
		in                mesosstate.Resources
		cpu, memory, disk string
	}{
		{mesosstate.Resources{CPUs: 4000, Mem: 16_384_000, Disk: 100_000_000}, "4", "16Gi", "100000Mi"},
		{mesosstate.Resources{CPUs: 1, Mem: 1, Disk: 999}, "1m", "1048", "1047527"},
		{mesosstate.Resources{CPUs: 15_500, Mem: 500}, "15500m", "512Ki", "0"},
		{mesosstate.Resources{CPUs: 1 << 40, Mem: 1 << 50, Disk: 0}, "1099511627776m", "1180591620717411303", "0"},
	} {
		got := capacity(tc.in)
		for name, want := range map[v1.ResourceName]string{
			v1.ResourceCPU: tc.cpu, v1.ResourceMemory: tc.memory, v1.ResourceEphemeralStorage: tc.disk,
		} {
			quantity := got[name]
			if quantity.Cmp(resource.MustParse(want)) != 0 {
				t.Errorf("%v: %s is %s, want %s", tc.in, name, quantity.String(), want)
			}
		}
		if got.Pods().Value() != podsPerNode {
			t.Errorf("%v: %d pods", tc.in, got.Pods().Value())
		}
	}
}

func TestNodesForAgents(t *testing.T) {
	nodes, warnings := nodesFor([]mesosstate.Agent{
		{ID: "S3", Hostname: "b.example.com"},
		{ID: "S1", Hostname: "a", Total: mesosstate.Resources{CPUs: 2000}},
		{ID: "S2", Hostname: "twin"}, {ID: "S4", Hostname: "twin"},
		{ID: "S5", Hostname: "Upper_Case"}, {ID: "S6"},
	})
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
		if n.Labels[v1.LabelHostname] != n.Name {
			t.Errorf("node %s has hostname label %q", n.Name, n.Labels[v1.LabelHostname])
		}
	}
	if diff := cmp.Diff([]string{"a", "b.example.com"}, names); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if nodes[0].Status.Allocatable.Cpu().MilliValue() != 2000 {
		t.Errorf("node a has %v", nodes[0].Status.Allocatable)
	}
	all := strings.Join(warnings, "\n")
	for _, id := range []string{"S2", "S4", "S5", "S6"} {
		if !strings.Contains(all, "agent "+id+":") {
			t.Errorf("no warning of agent %s in:\n%s", id, all)
		}
	}
	if len(warnings) != 4 {
		t.Errorf("%d warnings", len(warnings))
	}
}

func TestEnsureNodes(t *testing.T) {
	ours := map[string]string{managedLabel: managedValue}
	client := fake.NewClientset(
		&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "gone", Labels: ours}},
		&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}},
		&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "kept", Labels: ours}},
	)
	nodes, _ := nodesFor([]mesosstate.Agent{
		{ID: "S1", Hostname: "kept", Total: mesosstate.Resources{CPUs: 3000}}, {ID: "S2", Hostname: "new"},
	})
	if err := ensureNodes(t.Context(), client, nodes); err != nil {
		t.Fatal(err)
	}
	for name, wanted := range map[string]bool{"gone": false, "foreign": true, "kept": true, "new": true} {
		node, err := client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if found := !apierrors.IsNotFound(err); found != wanted {
			t.Errorf("node %s exists: %v, %v", name, found, err)
		}
		if name == "kept" && node.Status.Capacity.Cpu().Value() != 3 {
			t.Errorf("node kept was not resized: %v", node.Status.Capacity)
		}
	}
}

func TestSchedulable(t *testing.T) {
	ready := v1.NodeStatus{Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}}
	taint := func(effect v1.TaintEffect) v1.NodeSpec {
		return v1.NodeSpec{Taints: []v1.Taint{{Key: v1.TaintNodeNotReady, Effect: effect}}}
	}
	for name, tc := range map[string]struct {
		node v1.Node
		want bool
	}{
		"new":         {node: v1.Node{}},
		"ready":       {node: v1.Node{Status: ready}, want: true},
		"tainted":     {node: v1.Node{Status: ready, Spec: taint(v1.TaintEffectNoSchedule)}},
		"discouraged": {node: v1.Node{Status: ready, Spec: taint(v1.TaintEffectPreferNoSchedule)}, want: true},
	} {
		if got := schedulable(&tc.node); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
