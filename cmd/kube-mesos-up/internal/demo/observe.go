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

package demo

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/cluster"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

const (
	// schedulerName is that of the examples.
	schedulerName = "kube-mesos"
	// impossiblePod is the example that fits nowhere.
	impossiblePod = "too-big"
)

// observation is one look at both sides, Kubernetes first.
type observation struct {
	pods      []v1.Pod
	workloads []workload
	mesos     *mesosstate.State
	// ours are our scheduler's frameworks.
	ours []mesosstate.Framework
}

// observe looks at both sides.
func observe(ctx context.Context, c *cluster.Cluster, objects []*unstructured.Unstructured) (*observation, error) {
	o := &observation{}
	var err error
	if o.workloads, err = workloads(ctx, c.Client, objects); err != nil {
		return nil, err
	}
	pods, err := c.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.schedulerName", schedulerName).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	o.pods = pods.Items
	if o.mesos, err = c.Mesos.State(ctx); err != nil {
		return nil, err
	}
	o.ours = o.mesos.Named(c.FrameworkName)
	return o, nil
}

// pending says what the examples still wait for; empty when they are at rest.
func (o *observation) pending() string {
	for _, w := range o.workloads {
		if !w.done() {
			return fmt.Sprintf("%s: %d of %d pods %s", w.name, w.have, w.wanted, w.state)
		}
	}
	for i := range o.pods {
		pod := &o.pods[i]
		if pod.Name == impossiblePod {
			if _, told := unschedulable(pod); told {
				return ""
			}
			return "Pod/" + impossiblePod + ": nobody said why it is not scheduled"
		}
	}
	return "Pod/" + impossiblePod + ": it does not exist"
}

// counts sums up pods by what happened to them.
type counts struct{ pending, bound, running, over int }

func (o *observation) counts() counts {
	var c counts
	for i := range o.pods {
		switch pod := &o.pods[i]; {
		case pod.Spec.NodeName == "":
			c.pending++
		case pod.Status.Phase == v1.PodRunning:
			c.running++
		case pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed:
			c.over++
		default:
			c.bound++
		}
	}
	return c
}

// machine is one agent and who holds what of it.
type machine struct {
	hostname           string
	total, used        mesosstate.Resources
	ours, others, free mesosstate.Milli // CPUs
	offered            mesosstate.Milli // CPUs
	claims             int
}

// machines tells who holds the CPUs of each agent, in the master's order.
func (o *observation) machines() []machine {
	index := map[string]int{}
	out := make([]machine, 0, len(o.mesos.Agents))
	for _, a := range o.mesos.Agents {
		index[a.ID] = len(out)
		out = append(out, machine{hostname: a.Hostname, total: a.Total, used: a.Used, offered: a.Offered.CPUs})
	}
	for _, f := range o.ours {
		for _, t := range f.Tasks {
			if i, ok := index[t.AgentID]; ok && !t.Ended() {
				out[i].ours += t.Resources.CPUs
				out[i].claims++
			}
		}
	}
	for i := range out {
		m := &out[i]
		m.others = max(0, m.used.CPUs-m.ours)
		m.free = max(0, m.total.CPUs-m.used.CPUs-m.offered)
	}
	return out
}
