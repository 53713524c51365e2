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
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/backend/queue"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// copyingQueue keeps a race of kube-scheduler from the race detector: having put a
// pod back into the queue, its failure handler goes on to read what informers
// change there (kubernetes/kubernetes#115762 and later). It only compares what it
// reads, so nothing comes of it. Here the queue gets a copy.
type copyingQueue struct{ queue.SchedulingQueue }

// AddUnschedulableIfNotPresent implements queue.SchedulingQueue.
func (q copyingQueue) AddUnschedulableIfNotPresent(logger klog.Logger, pod *framework.QueuedPodInfo, cycle int64) error {
	own, info := *pod, *pod.PodInfo
	own.PodInfo = &info
	return q.SchedulingQueue.AddUnschedulableIfNotPresent(logger, &own, cycle)
}
