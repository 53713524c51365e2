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

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// EventsToRegister implements framework.EnqueueExtensions. Offers are no object
// of the API and wake pods by Activate. Of the API's own events only two can help
// a pod that we turned away: a node whose agent has an offer that fits, and less
// need of the pod itself. The end of other pods shows as an offer, not before.
func (p *Plugin) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{
			Event:          fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeLabel},
			QueueingHintFn: p.afterNodeChange,
		},
		{
			Event:          fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.UpdatePodScaleDown},
			QueueingHintFn: p.afterPodScaleDown,
		},
	}, nil
}

func (p *Plugin) afterNodeChange(_ klog.Logger, pod *v1.Pod, _, obj any) (fwk.QueueingHint, error) {
	node, ok := obj.(*v1.Node)
	if !ok {
		return fwk.Queue, nil
	}
	if p.manager.FitsNode(pod, node.Name) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

func (p *Plugin) afterPodScaleDown(_ klog.Logger, pod *v1.Pod, _, obj any) (fwk.QueueingHint, error) {
	if changed, ok := obj.(*v1.Pod); ok && changed.UID == pod.UID {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}
