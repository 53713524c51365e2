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
	"time"

	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/backend/queue"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Gate makes the scheduler start the Mesos session with the first pod it asks its
// queue for: it asks as soon as it leads, even if there is no pod, and never
// before. Call it before the scheduler's informers run. The returned function tells whether
// this process leads.
//
// It also gives the scheduler's failure handler a copy of the pod it is called
// for: the handler replaces parts of it while the scheduling queue may still read
// them (kubernetes/kubernetes#139340, mended the same way in later releases). And it
// gives the queue a copy of the pod that the handler puts back, which the handler goes
// on to read while the queue may already update it.
func (r *Runtime) Gate(sched *scheduler.Scheduler) (leads func() bool) {
	fail := sched.FailureHandler
	sched.FailureHandler = func(ctx context.Context, f framework.Framework, pod *framework.QueuedPodInfo,
		status *fwk.Status, nominated *framework.NominatingInfo, start time.Time) {
		own := *pod
		fail(ctx, f, &own, status, nominated, start)
	}
	sched.SchedulingQueue = ownPods{sched.SchedulingQueue}
	next := sched.NextPod
	first := true
	sched.NextPod = func(logger klog.Logger) (*framework.QueuedPodInfo, error) {
		if first {
			first = false
			logger.Info("This replica leads, starting the Mesos session")
			r.Lead()
		}
		return next(logger)
	}
	return r.led.Load
}

// ownPods is a scheduling queue that shares no pod with who puts it back.
type ownPods struct{ queue.SchedulingQueue }

func (q ownPods) AddUnschedulableIfNotPresent(logger klog.Logger, pod *framework.QueuedPodInfo, cycle int64) error {
	own, info := *pod, *pod.PodInfo
	own.PodInfo = &info
	return q.SchedulingQueue.AddUnschedulableIfNotPresent(logger, &own, cycle)
}
