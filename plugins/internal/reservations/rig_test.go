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

package reservations

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/reference"
	"k8s.io/klog/v2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a fake API server with a controller, in virtual time. The Mesos in it has
// what onAgents says and unreserves what it is told to.
type rig struct {
	*Controller
	t        *testing.T
	api      *fake.Clientset
	failing  atomic.Bool
	asked    atomic.Int32
	onAgents map[string][]resourcesOf

	// held keeps start from starting the informers; begin does.
	held        bool
	begin, stop func()

	mu   sync.Mutex
	told []string
}

// resourcesOf is one reservation of one cpu, and whether a task uses it.
type resourcesOf struct {
	owner Owner
	used  bool
}

// Eventf implements events.EventRecorder.
func (r *rig) Eventf(regarding, _ runtime.Object, _, reason, _, note string, args ...any) {
	ref, err := reference.GetReference(scheme.Scheme, regarding)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf("%s %s/%s %s: %s", ref.Kind, ref.Namespace, ref.Name, reason, fmt.Sprintf(note, args...)))
}

func inBubble(t *testing.T, objects []runtime.Object, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, api: fake.NewClientset(), onAgents: map[string][]resourcesOf{}}
		for _, o := range objects {
			if err := r.api.Tracker().Add(o); err != nil {
				t.Fatal(err)
			}
		}
		r.api.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
			r.asked.Add(1)
			if r.failing.Load() {
				return true, nil, apierrors.NewInternalError(fmt.Errorf("no"))
			}
			return false, nil, nil
		})
		r.start()
		test(r)
		r.stop()
	})
}

// start begins a process of ours: all it knows is in Mesos and Kubernetes.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(r.t.Context())
	// Without a resync period, reflectors wait on a channel from outside the bubble.
	factory := informers.NewSharedInformerFactory(r.api, 24*time.Hour)
	pods := factory.Core().V1().Pods()
	controller, err := New(Config{
		Registry: registry(), Client: r.api, Recorder: r, Grace: grace,
		StatefulSets: factory.Apps().V1().StatefulSets(), Claims: factory.Core().V1().PersistentVolumeClaims(), Nodes: factory.Core().V1().Nodes(),
		Pod: func(namespace, name string) *v1.Pod {
			pod, err := pods.Lister().Pods(namespace).Get(name)
			if err != nil {
				return nil
			}
			return pod
		},
		AgentOf: func(node string) string {
			if node == "stranger" {
				return ""
			}
			return "agent-of-" + node
		},
	}, klog.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	r.Controller = controller
	if _, err := pods.Informer().AddEventHandler(r.PodHandler()); err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { controller.Run(ctx); close(done) }()
	r.begin = func() { factory.Start(ctx.Done()) }
	if !r.held {
		r.begin()
	}
	r.stop = func() {
		cancel()
		<-done
		factory.Shutdown()
	}
	synctest.Wait()
}

// pass lets time pass, with a list from the master every minute.
func (r *rig) pass(d time.Duration) {
	for ; d > 0; d -= time.Minute {
		time.Sleep(min(d, time.Minute))
		r.list()
	}
}

// list takes in what is on agents, and gives back what is due.
func (r *rig) list() {
	synctest.Wait()
	now := time.Now()
	agents := []Agent{{ID: "agent-of-n"}, {ID: "agent-of-m"}}
	for i := range agents {
		for _, h := range r.onAgents[agents[i].ID] {
			agents[i].Reserved = append(agents[i].Reserved, portion(h.owner, 1))
			if h.used {
				agents[i].Used = append(agents[i].Used, portion(h.owner, 1))
			}
		}
	}
	r.Registry.Listed(now, agents)
	for agent, list := range r.onAgents {
		r.onAgents[agent] = slices.DeleteFunc(list, func(h resourcesOf) bool {
			gone := !h.used && r.Registry.Wanted()["eng"] && r.Registry.Release(agent, portion(h.owner, 1))
			if gone {
				r.Registry.Unreserved(agent, portion(h.owner, 1), now)
			}
			return gone
		})
	}
	synctest.Wait()
}

// wants fails the test unless exactly these pods have something reserved on n.
func (r *rig) wants(pods ...string) {
	r.t.Helper()
	var got []string
	for _, h := range r.onAgents["agent-of-n"] {
		got = append(got, h.owner.Pod)
	}
	if !slices.Equal(got, pods) {
		r.t.Errorf("reserved are %q, want %q", got, pods)
	}
}

// reserve puts reservations of the pods on node n.
func (r *rig) reserve(pods ...string) {
	for _, pod := range pods {
		r.onAgents["agent-of-n"] = append(r.onAgents["agent-of-n"], resourcesOf{owner: ownerOf(pod)})
	}
}

// wantsEvents fails the test unless these events were recorded since the last call,
// in any order: what happens at the same time is told in either.
func (r *rig) wantsEvents(want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.told)
	slices.Sort(want)
	if !slices.Equal(r.told, want) {
		r.t.Errorf("events are\n%q, want\n%q", r.told, want)
	}
	r.told = nil
}

func claim(name string) *v1.PersistentVolumeClaim {
	return &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
}

func node(name, annotation string) *v1.Node {
	n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if annotation != "" {
		n.Annotations = map[string]string{ReleaseAnnotation: annotation}
	}
	return n
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) deleteSet() {
	r.must(r.api.AppsV1().StatefulSets("shop").Delete(r.t.Context(), "db", metav1.DeleteOptions{}))
}

// changeSet writes a StatefulSet as the API server does: with a new generation.
func (r *rig) changeSet(set *appsv1.StatefulSet) {
	old, err := r.api.AppsV1().StatefulSets("shop").Get(r.t.Context(), "db", metav1.GetOptions{})
	r.must(err)
	set.Generation = old.Generation + 1
	_, err = r.api.AppsV1().StatefulSets("shop").Update(r.t.Context(), set, metav1.UpdateOptions{})
	r.must(err)
}

func (r *rig) deleteClaim(name string) {
	r.must(r.api.CoreV1().PersistentVolumeClaims("shop").Delete(r.t.Context(), name, metav1.DeleteOptions{}))
}

func (r *rig) createPod(pod *v1.Pod) {
	_, err := r.api.CoreV1().Pods("shop").Create(r.t.Context(), pod, metav1.CreateOptions{})
	r.must(err)
}

func (r *rig) deletePod(name string) {
	r.must(r.api.CoreV1().Pods("shop").Delete(r.t.Context(), name, metav1.DeleteOptions{}))
}

// annotate sets or, with "", removes the node's annotation.
func (r *rig) annotate(name, value string) {
	_, err := r.api.CoreV1().Nodes().Update(r.t.Context(), node(name, value), metav1.UpdateOptions{})
	r.must(err)
	synctest.Wait()
}

// wantsAnnotation fails the test unless the node has this annotation.
func (r *rig) wantsAnnotation(name, want string) {
	r.t.Helper()
	got, err := r.api.CoreV1().Nodes().Get(r.t.Context(), name, metav1.GetOptions{})
	r.must(err)
	if value := got.Annotations[ReleaseAnnotation]; value != want {
		r.t.Errorf("the annotation of %s is %q, want %q", name, value, want)
	}
}
