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
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

const (
	// managedLabel marks the nodes we made, which we may change and delete.
	managedLabel, managedValue = "app.kubernetes.io/managed-by", "kube-mesos-up"
	// podsPerNode is the kubelet's default for --max-pods.
	podsPerNode = 110
	// nodeWriters is how many nodes are written at the same time.
	nodeWriters = 8
)

// nodesFor returns one node per agent, named after the agent's hostname and as
// large as the agent. Agents that cannot be a node (no valid name, or a name
// that several agents share) are returned as warnings.
func nodesFor(agents []mesosstate.Agent) (nodes []*v1.Node, warnings []string) {
	count := map[string]int{}
	for _, a := range agents {
		count[a.Hostname]++
	}
	for _, a := range agents {
		if errs := validation.IsDNS1123Subdomain(a.Hostname); len(errs) > 0 {
			warnings = append(warnings, fmt.Sprintf("agent %s: its hostname %q cannot name a node: %s", a.ID, a.Hostname, errs[0]))
			continue
		}
		if count[a.Hostname] > 1 {
			warnings = append(warnings, fmt.Sprintf("agent %s: %d agents have the hostname %q: it gets no node", a.ID, count[a.Hostname], a.Hostname))
			continue
		}
		nodes = append(nodes, nodeFor(a))
	}
	slices.SortFunc(nodes, func(a, b *v1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, warnings
}

func nodeFor(a mesosstate.Agent) *v1.Node {
	size := capacity(a.Total)
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: a.Hostname,
			Labels: map[string]string{
				v1.LabelHostname: a.Hostname, v1.LabelOSStable: "linux", v1.LabelArchStable: "amd64",
				managedLabel: managedValue,
			},
		},
		Status: v1.NodeStatus{
			Capacity: size, Allocatable: size,
			Addresses: []v1.NodeAddress{
				{Type: v1.NodeInternalIP, Address: "127.0.0.1"},
				{Type: v1.NodeHostName, Address: a.Hostname},
			},
			NodeInfo: v1.NodeSystemInfo{
				KubeletVersion: "v1.34.4", OperatingSystem: "linux", Architecture: "amd64",
			},
		},
	}
}

// capacity converts an agent's resources exactly: Mesos counts in thousandths
// of a CPU and of a MiB; parts of a byte are rounded down.
func capacity(r mesosstate.Resources) v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceCPU:              *resource.NewMilliQuantity(int64(r.CPUs), resource.DecimalSI),
		v1.ResourceMemory:           *resource.NewQuantity(mebibytes(r.Mem), resource.BinarySI),
		v1.ResourceEphemeralStorage: *resource.NewQuantity(mebibytes(r.Disk), resource.BinarySI),
		v1.ResourcePods:             *resource.NewQuantity(podsPerNode, resource.DecimalSI),
	}
}

// mebibytes converts thousandths of a MiB to bytes without overflow on the way.
func mebibytes(m mesosstate.Milli) int64 {
	whole, part := int64(m)/1000, int64(m)%1000
	return whole<<20 + part<<20/1000
}

// ensureNodes makes the cluster's nodes be these: it creates and resizes nodes,
// and deletes the ones made by us whose agents are gone.
func ensureNodes(ctx context.Context, client kubernetes.Interface, nodes []*v1.Node) error {
	wanted := map[string]bool{}
	errs := make(chan error)
	slots := make(chan struct{}, nodeWriters)
	for _, node := range nodes {
		wanted[node.Name] = true
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs <- ensureNode(ctx, client, node)
		}()
	}
	var first error
	for range nodes {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	existing, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: managedLabel + "=" + managedValue})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	for i := range existing.Items {
		name := existing.Items[i].Name
		if wanted[name] {
			continue
		}
		if err := client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete node %s, whose agent is gone: %w", name, err)
		}
	}
	return nil
}

func ensureNode(ctx context.Context, client kubernetes.Interface, node *v1.Node) error {
	_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err == nil {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create node %s: %w", node.Name, err)
	}
	old, err := client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read node %s: %w", node.Name, err)
	}
	old.Status.Capacity, old.Status.Allocatable = node.Status.Capacity, node.Status.Allocatable
	if _, err := client.CoreV1().Nodes().UpdateStatus(ctx, old, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("resize node %s: %w", node.Name, err)
	}
	return nil
}

// schedulable tells whether the node is Ready and free of taints that keep
// ordinary pods away.
func schedulable(node *v1.Node) bool {
	for _, t := range node.Spec.Taints {
		if t.Effect != v1.TaintEffectPreferNoSchedule {
			return false
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == v1.NodeReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}
