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
// with the plugin and its real Mesos session, the API server is one in memory that
// real clients reach by HTTP without sockets, and the session's HTTP runs over
// connections in memory. Schedulers can be stopped, or killed at any instant, and
// others started on the same API server and master. All of it must be made, run and
// ended inside one testing/synctest bubble.
package stage

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Namespace is where the stage's pods live.
const Namespace = "default"

// API is an API server in memory, as far as a scheduler and its surroundings need
// one: the resources client-go knows with optimistic locking, selectors, watches that
// can be too old, bindings, evictions with PodDisruptionBudgets and graceful deletion
// of pods. It checks no right and no field, and sets no default.
type API struct {
	// OnBound is told of each pod that was bound. It is called with the API's lock
	// held and must not call the API.
	OnBound func(pod *v1.Pod)

	mu      sync.Mutex
	tables  map[schema.GroupVersionResource]*table
	version uint64
	uids    uint64
	names   uint64
	down    bool
	hooks   []func(was, is object)
	client  kubernetes.Interface

	running sync.WaitGroup
}

// NewAPI returns an API server with the stage's namespaces and a node for each of
// the names.
func NewAPI(nodes []string) *API {
	a := &API{tables: map[schema.GroupVersionResource]*table{}}
	a.client = newClient(a)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range []string{Namespace, metav1.NamespaceSystem} {
		a.add("namespaces", &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for _, name := range nodes {
		a.add("nodes", newNode(name))
	}
	return a
}

// add creates an object of the core group, whose table is known to be there.
func (a *API) add(resource string, o object) {
	t, err := a.table(v1.SchemeGroupVersion.WithResource(resource))
	if err == nil {
		_, err = a.create(t, o)
	}
	if err != nil {
		panic(err)
	}
}

// newClient returns a client over a transport, as fast as the other side answers.
func newClient(transport http.RoundTripper) kubernetes.Interface {
	config := &rest.Config{
		Host: "http://apiserver.example", QPS: -1, Transport: transport,
		ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf},
	}
	// A configuration this small has nothing that could be refused.
	return kubernetes.NewForConfigOrDie(config)
}

// Client returns a client of the API server.
func (a *API) Client() kubernetes.Interface { return a.client }

// Pods returns all pods, by namespace and name, as the API server has them, whether it
// can be reached or not. They must not be changed.
func (a *API) Pods() []*v1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tables[podsResource]
	if t == nil {
		return nil
	}
	pods := make([]*v1.Pod, 0, len(t.objects))
	for _, o := range t.objects {
		if pod, ok := o.(*v1.Pod); ok {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(x, y *v1.Pod) int { return strings.Compare(x.Namespace+"/"+x.Name, y.Namespace+"/"+y.Name) })
	return pods
}

// Pod returns a pod of the stage's namespace, nil if there is none of that name. It must
// not be changed.
func (a *API) Pod(name string) *v1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.tables[podsResource]; t != nil {
		pod, _ := t.objects[types.NamespacedName{Namespace: Namespace, Name: name}].(*v1.Pod)
		return pod
	}
	return nil
}

// PodByUID is Pod for a UID in any namespace.
func (a *API) PodByUID(uid string) *v1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.tables[podsResource]; t != nil {
		for _, o := range t.objects {
			if pod, ok := o.(*v1.Pod); ok && string(pod.UID) == uid {
				return pod
			}
		}
	}
	return nil
}

// OnPod calls f for every change of a pod from now on, with what it was and is: nil if
// it was not there or is no more. f is called with the API's lock held: it must not
// call the API, nor change the pods.
func (a *API) OnPod(f func(was, is *v1.Pod)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hooks = append(a.hooks, func(was, is object) {
		old, before := was.(*v1.Pod)
		pod, after := is.(*v1.Pod)
		if before || after {
			f(old, pod)
		}
	})
}

// CreatePod makes a pending pod that asks for our scheduler and the resources.
func (a *API) CreatePod(ctx context.Context, name string, requests v1.ResourceList) error {
	zero := int64(0)
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, UID: types.UID("uid-" + name)},
		Spec: v1.PodSpec{
			SchedulerName: SchedulerName, RestartPolicy: v1.RestartPolicyNever, TerminationGracePeriodSeconds: &zero,
			Containers: []v1.Container{{Name: "main", Image: "none", Resources: v1.ResourceRequirements{Requests: requests}}},
		},
		Status: v1.PodStatus{Phase: v1.PodPending},
	}
	_, err := a.client.CoreV1().Pods(Namespace).Create(ctx, pod, metav1.CreateOptions{})
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
	pods := a.client.CoreV1().Pods(Namespace)
	pod, err := pods.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	pod.Status.Phase = v1.PodSucceeded
	if _, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return err
	}
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
