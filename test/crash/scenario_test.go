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

package crash

import (
	"context"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/stage"
)

// scenario is what users and Mesos do in a run. It goes by what can be seen from
// outside, so that it goes on whatever happens to us.
type scenario struct {
	name string
	args string
	// launch is how long an agent takes to start a task.
	launch time.Duration
	play   func(w *world)
}

var scenarios = []*scenario{
	{name: "a pod's life", play: life},
	{name: "a task is taken, its pod is evicted", play: evicted},
	{name: "a task is taken, and claimed again", args: "      claims: {onLost: Reacquire}\n", play: reacquired},
	{name: "a pod grows and shrinks", play: resized},
	{name: "a pod is deleted while its task is launched", launch: 3 * time.Second, play: deletedInFlight},
	{name: "one of three pods is deleted", play: deletedOfThree},
}

// life is a pod from its creation to its deletion.
func life(w *world) {
	w.create("one", "1")
	w.awaitHeld("one", 1)
	time.Sleep(settled)
	w.judge.still("one", 1)
	w.delete("one")
	w.awaitGone("one")
}

// evicted is a pod whose task Mesos ends.
func evicted(w *world) {
	w.create("one", "1")
	w.awaitHeld("one", 1)
	w.special()
	w.judge.mayGo("one")
	w.take("one")
	w.awaitGone("one")
	// The room is there for others.
	w.create("two", "4")
	w.awaitHeld("two", 4)
	w.delete("two")
	w.awaitGone("two")
}

// reacquired is a pod whose task Mesos ends, and that may stay.
func reacquired(w *world) {
	w.create("one", "1")
	w.awaitHeld("one", 1)
	w.special()
	taken := w.take("one")
	w.await("the pod has another task", func() string {
		if pod := w.pod("one"); pod != nil && pod.Annotations[annotationTask] == taken {
			return "it names the one that was taken"
		}
		return ""
	})
	w.awaitHeld("one", 1)
	time.Sleep(settled)
	w.judge.still("one", 1)
	w.delete("one")
	w.awaitGone("one")
}

// resized is a pod that gets a further task, and gives it back.
func resized(w *world) {
	w.create("one", "1")
	w.awaitHeld("one", 1)
	w.special()
	w.resize("one", "2500m")
	w.awaitHeld("one", 2.5)
	time.Sleep(settled)
	w.judge.still("one", 2.5)
	w.resize("one", "1")
	w.awaitHeld("one", 1)
	w.delete("one")
	w.awaitGone("one")
}

// deletedInFlight is a pod whose user does not wait for it.
func deletedInFlight(w *world) {
	w.create("one", "1")
	time.Sleep(time.Second)
	w.delete("one")
	w.awaitGone("one")
}

// deletedOfThree is a pod that others were launched with, and live on without.
func deletedOfThree(w *world) {
	names := []string{"one", "two", "three"}
	for _, name := range names {
		w.create(name, "1")
	}
	for _, name := range names {
		w.awaitHeld(name, 1)
	}
	w.delete("two")
	w.awaitGone("two")
	time.Sleep(settled)
	w.judge.still("one", 1)
	w.judge.still("three", 1)
	w.delete("one")
	w.delete("three")
	w.awaitGone("one")
	w.awaitGone("three")
}

// take ends the task by which the pod lives, as an agent does, and returns its id.
func (w *world) take(name string) (id string) {
	w.t.Helper()
	w.await("the agent takes the task away", func() string {
		pod := w.pod(name)
		if pod == nil {
			return "there is no pod"
		}
		id = pod.Annotations[annotationTask]
		if err := w.master.TakeTask(id, mesos.TASK_FAILED, mesos.REASON_CONTAINER_LIMITATION_MEMORY, "Memory limit exceeded"); err != nil {
			return err.Error()
		}
		return ""
	})
	return id
}

// resize changes what the pod requests, in place.
func (w *world) resize(name, cpus string) {
	w.t.Helper()
	pods := w.api.Client().CoreV1().Pods(stage.Namespace)
	w.await("the pod is resized", func() string {
		pod, err := pods.Get(context.Background(), name, metav1.GetOptions{})
		if err == nil {
			pod.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse(cpus)
			_, err = pods.Update(context.Background(), pod, metav1.UpdateOptions{})
		}
		if err != nil {
			return err.Error()
		}
		return ""
	})
}
