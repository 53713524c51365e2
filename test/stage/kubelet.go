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

package stage

import (
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RunsAnnotation says how long a pod runs before it succeeds, such as "90s". A pod
// without it runs for ever.
const RunsAnnotation = "stage.kube-mesos.io/runs"

// KubeletOptions say how long things take on nodes.
type KubeletOptions struct {
	// Start is how long a pod takes from its binding to running, Stop from its deletion
	// to its end, or its grace period if that is less.
	Start, Stop time.Duration
	// Collect is how long a pod that has ended is kept.
	Collect time.Duration
}

// Kubelets run the pods of all nodes, and remove what has ended as a garbage collector
// does. They act on timers alone, in virtual time.
type Kubelets struct {
	api     *API
	options KubeletOptions
	pods    map[types.UID]*plannedStep
	dead    map[string]bool // nodes by name
	stopped bool
	mu      sync.Mutex
}

// step is what a kubelet does next with a pod.
type step string

const (
	stepNone    step = ""
	stepRun     step = "run"
	stepSucceed step = "succeed"
	stepEnd     step = "end"
	stepCollect step = "collect"
)

// plannedStep is a step that has been planned.
type plannedStep struct {
	step  step
	timer *time.Timer
}

// again is how long a kubelet waits that does not reach the API server.
const again = 5 * time.Second

// StartKubelets makes the nodes run pods from now on.
func (a *API) StartKubelets(o KubeletOptions) *Kubelets {
	k := &Kubelets{api: a, options: o, pods: map[types.UID]*plannedStep{}, dead: map[string]bool{}}
	a.OnPod(k.plan)
	return k
}

// Stop ends all kubelets at once; pods stay as they are.
func (k *Kubelets) Stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	for _, p := range k.pods {
		p.timer.Stop()
	}
	clear(k.pods)
}

// SetDead ends the kubelet of a node, or starts it again. Nothing of its pods changes
// meanwhile.
func (k *Kubelets) SetDead(node string, dead bool) {
	k.api.mu.Lock()
	defer k.api.mu.Unlock()
	k.mu.Lock()
	k.dead[node] = dead
	k.mu.Unlock()
	t := k.api.tables[podsResource]
	if t == nil {
		return
	}
	for _, o := range t.objects {
		if pod, ok := o.(*v1.Pod); ok && pod.Spec.NodeName == node {
			k.plan(nil, pod)
		}
	}
}

// plan sees to a pod that changed. The API's lock is held.
func (k *Kubelets) plan(was, pod *v1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if pod == nil {
		k.drop(was.UID)
		return
	}
	next, in := k.next(pod)
	if p := k.pods[pod.UID]; p != nil && p.step == next {
		return
	}
	k.drop(pod.UID)
	if next == stepNone || k.stopped {
		return
	}
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	p, uid := &plannedStep{step: next}, pod.UID
	p.timer = time.AfterFunc(in, func() { k.act(name, uid, p) })
	k.pods[pod.UID] = p
}

func (k *Kubelets) drop(uid types.UID) {
	if p := k.pods[uid]; p != nil {
		p.timer.Stop()
		delete(k.pods, uid)
	}
}

func (k *Kubelets) next(pod *v1.Pod) (step, time.Duration) {
	ended := pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
	switch {
	case pod.Spec.NodeName == "":
		return stepNone, 0
	case ended && pod.DeletionTimestamp == nil:
		return stepCollect, k.options.Collect
	case k.dead[pod.Spec.NodeName]:
		return stepNone, 0
	case pod.DeletionTimestamp != nil:
		return stepEnd, max(0, min(k.options.Stop, time.Until(pod.DeletionTimestamp.Time)))
	case pod.Status.Phase != v1.PodRunning:
		return stepRun, k.options.Start
	}
	runs, err := time.ParseDuration(pod.Annotations[RunsAnnotation])
	if err != nil {
		return stepNone, 0
	}
	return stepSucceed, time.Until(pod.Status.StartTime.Add(runs))
}

// act takes a planned step.
func (k *Kubelets) act(name types.NamespacedName, uid types.UID, p *plannedStep) {
	k.api.mu.Lock()
	defer k.api.mu.Unlock()
	k.mu.Lock()
	if k.pods[uid] != p || k.stopped {
		k.mu.Unlock()
		return
	}
	if k.api.down {
		p.timer.Reset(again)
		k.mu.Unlock()
		return
	}
	delete(k.pods, uid)
	k.mu.Unlock()
	t := k.api.tables[podsResource]
	was, ok := t.objects[name].(*v1.Pod)
	if !ok || was.UID != uid {
		return
	}
	pod := was.DeepCopy()
	now := metav1.Now()
	switch p.step {
	case stepRun:
		pod.Status.Phase, pod.Status.StartTime = v1.PodRunning, &now
		setCondition(pod, v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionTrue})
	case stepSucceed:
		pod.Status.Phase = v1.PodSucceeded
		setCondition(pod, v1.PodCondition{Type: v1.PodReady, Status: v1.ConditionFalse, Reason: "PodCompleted"})
	case stepEnd, stepCollect:
		pod = nil
	}
	if pod == nil {
		k.api.commit(t, was, nil)
		return
	}
	k.api.commit(t, was, pod)
}
