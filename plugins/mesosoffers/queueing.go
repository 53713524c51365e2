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
	"context"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// EventsToRegister implements framework.EnqueueExtensions. Offers are no object
// of the API and wake pods by Activate. Of the API's own events these can help
// a pod that we turned away: a node whose agent has an offer that fits, less
// need of the pod itself, and the end of a pod that was nominated for a node and kept
// its offers from others. What a pod held that ends shows as an offer, not before.
func (p *Plugin) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	const ofNode = fwk.Add | fwk.UpdateNodeLabel | fwk.UpdateNodeTaint | fwk.UpdateNodeAllocatable
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: ofNode}, QueueingHintFn: p.afterNodeChange},
		{Event: fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.UpdatePodScaleDown}, QueueingHintFn: p.afterPodScaleDown},
		{Event: fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Delete}, QueueingHintFn: p.afterPodDelete},
	}, nil
}

func (p *Plugin) afterNodeChange(_ klog.Logger, pod *v1.Pod, _, obj any) (fwk.QueueingHint, error) {
	node, ok := obj.(*v1.Node)
	if !ok {
		return fwk.Queue, nil
	}
	return p.hintFor(pod, node.Name, obj), nil
}

func (p *Plugin) afterPodScaleDown(_ klog.Logger, pod *v1.Pod, _, obj any) (fwk.QueueingHint, error) {
	if changed, ok := obj.(*v1.Pod); ok && changed.UID == pod.UID {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// afterPodDelete lets the pods go on that a nominated pod kept from its node's offers.
// The claim of a pod that was placed is another matter: its resources are not ours
// before Mesos offers them, and that offer wakes the pods that it fits.
func (p *Plugin) afterPodDelete(_ klog.Logger, pod *v1.Pod, old, _ any) (fwk.QueueingHint, error) {
	gone, ok := old.(*v1.Pod)
	if !ok {
		return fwk.Queue, nil
	}
	if gone.Spec.NodeName != "" || gone.Status.NominatedNodeName == "" || !p.runtime.mine(gone) {
		return fwk.QueueSkip, nil
	}
	return p.hintFor(pod, gone.Status.NominatedNodeName, old), nil
}

// hintFor queues a pod that fits a node's offers in hand, but no more pods for one
// event than these can hold. The others sleep until they are shown the offers.
func (p *Plugin) hintFor(pod *v1.Pod, node string, event any) fwk.QueueingHint {
	if p.manager.FitsNode(pod, node) && p.budget.spend(event, func() resources.Vector { return p.manager.FreeOf(node) }, p.manager.NeedOf(pod).Vector) {
		return fwk.Queue
	}
	return fwk.QueueSkip
}

// hintBudget is what the pods may need, together, that one event queues.
type hintBudget struct {
	mu    sync.Mutex
	event any
	left  resources.Vector
}

// spend takes the need off the event's budget, which free tells at its first use, and a
// fifth more for pods that other plugins will turn away. It reports false if nothing
// is left; the last pod may be larger than what is.
func (b *hintBudget) spend(event any, free func() resources.Vector, need resources.Vector) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.event != event {
		b.event, b.left = event, free()
		for kind := range b.left {
			b.left[kind] += b.left[kind] / 5
		}
	}
	for kind := range need {
		if need[kind] > 0 && b.left[kind] <= 0 {
			return false
		}
	}
	b.left = b.left.Sub(need)
	return true
}
