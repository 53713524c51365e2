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

// Package stage puts our scheduler, as its command assembles it, before an emulated
// Mesos master in one process and in virtual time: the scheduler is the stock one
// with the plugin and its real Mesos session, the API server is client-go's fake, and
// the session's HTTP runs over connections in memory. All of it must be made, run and
// ended inside one testing/synctest bubble.
package stage

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// Namespace is where the stage's pods live.
const Namespace = "default"

// API is a fake API server as far as a scheduler needs one: it carries out bindings
// as the real one does, and runs pods for their time as kubelets do.
type API struct {
	fake *fake.Clientset
	// OnBound is told of each pod that was bound. It is called with the API's lock
	// held and must not call the API.
	OnBound func(pod *v1.Pod)

	running sync.WaitGroup
}

var podsResource = v1.SchemeGroupVersion.WithResource("pods")

// NewAPI returns an API server with the stage's namespaces and a node for each of
// the names.
func NewAPI(nodes []string) *API {
	objects := []runtime.Object{
		&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}},
		&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}},
	}
	for _, name := range nodes {
		objects = append(objects, newNode(name))
	}
	// NewClientset also keeps field managers, at ten times the cost of a call; nobody
	// here applies anything.
	a := &API{fake: fake.NewSimpleClientset(objects...)}
	a.fake.PrependReactor("create", "pods", a.bind)
	return a
}

// Client returns a client of the API server.
func (a *API) Client() kubernetes.Interface { return a.fake }

// bind carries out a binding. The fake would only take note of it.
func (a *API) bind(action clienttesting.Action) (handled bool, result runtime.Object, err error) {
	create, ok := action.(clienttesting.CreateAction)
	if !ok || action.GetSubresource() != "binding" {
		return false, nil, nil
	}
	binding, ok := create.GetObject().(*v1.Binding)
	if !ok {
		return true, nil, fmt.Errorf("stage: a binding is a %T", create.GetObject())
	}
	object, err := a.fake.Tracker().Get(podsResource, binding.Namespace, binding.Name)
	if err != nil {
		return true, nil, err
	}
	pod := object.(*v1.Pod).DeepCopy()
	switch {
	case binding.UID != "" && binding.UID != pod.UID:
		return true, nil, fmt.Errorf("stage: binding of pod %s names UID %s, it has %s", pod.Name, binding.UID, pod.UID)
	case pod.Spec.NodeName != "":
		return true, nil, fmt.Errorf("stage: pod %s is already assigned to node %s", pod.Name, pod.Spec.NodeName)
	}
	pod.Spec.NodeName = binding.Target.Name
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	maps.Copy(pod.Annotations, binding.Annotations)
	pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{
		Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: metav1.Now(),
	})
	if err := a.fake.Tracker().Update(podsResource, pod, pod.Namespace); err != nil {
		return true, nil, err
	}
	if a.OnBound != nil {
		a.OnBound(pod)
	}
	return true, binding, nil
}

// CreatePod makes a pending pod that asks for our scheduler and the resources.
func (a *API) CreatePod(ctx context.Context, name string, requests v1.ResourceList) error {
	zero := int64(0)
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.Now()},
		Spec: v1.PodSpec{
			SchedulerName: SchedulerName, RestartPolicy: v1.RestartPolicyNever, TerminationGracePeriodSeconds: &zero,
			Containers: []v1.Container{{Name: "main", Image: "none", Resources: v1.ResourceRequirements{Requests: requests}}},
		},
		Status: v1.PodStatus{Phase: v1.PodPending},
	}
	_, err := a.fake.CoreV1().Pods(Namespace).Create(ctx, pod, metav1.CreateOptions{})
	return err
}

// EndPodAfter makes the pod succeed after d, and removes it then as a garbage
// collector does. It returns at once and may be called from OnBound.
func (a *API) EndPodAfter(ctx context.Context, name string, d time.Duration, ended func(error)) {
	a.running.Go(func() {
		select {
		case <-ctx.Done():
		case <-time.After(d):
			ended(a.endPod(ctx, name))
		}
	})
}

func (a *API) endPod(ctx context.Context, name string) error {
	pods := a.fake.CoreV1().Pods(Namespace)
	pod, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	pod = pod.DeepCopy()
	pod.Status.Phase = v1.PodSucceeded
	if _, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return err
	}
	// The fake keeps a record of every call, which nobody reads.
	a.fake.ClearActions()
	return pods.Delete(ctx, name, metav1.DeleteOptions{})
}

// Wait returns when no pod runs any more that EndPodAfter was called for.
func (a *API) Wait() { a.running.Wait() }

func newNode(name string) *v1.Node {
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1.LabelHostname: name}},
		Status: v1.NodeStatus{
			Capacity: nodeCapacity(), Allocatable: nodeCapacity(),
			Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}},
			Addresses:  []v1.NodeAddress{{Type: v1.NodeHostName, Address: name}},
		},
	}
}
