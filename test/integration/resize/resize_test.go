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

// Package resize tests pods that are resized in place, with a real API server.
package resize

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

func TestResize(t *testing.T) {
	kube := cluster.StartKube(t)
	for name, test := range map[string]func(c *cluster.Cluster){
		"up and down":                           upAndDown,
		"down, step by step with the kubelet":   downWithKubelet,
		"shrunk for good":                       shrink,
		"restarted":                             restarted,
		"resized while no scheduler runs":       unwatched,
		"no room on the node":                   noRoom,
		"a further task is lost":                extraLost,
		"the annotation is refused for a while": annotationRefused,
	} {
		t.Run(name, func(t *testing.T) { test(kube.New(t, 1, cluster.Quick())) })
	}
}

func requests(cpu, memory string) v1.ResourceList {
	return v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}
}

// run makes a pod and plays its kubelet.
func run(c *cluster.Cluster, name, cpu, memory string) {
	c.T.Helper()
	c.AddPod(name, cpu, memory)
	c.WaitBound(name)
	granted(c, name, cpu, memory)
	c.WaitSettled()
}

// resized asks for other requests of a pod, as kubectl does.
func resized(c *cluster.Cluster, name, cpu, memory string) {
	c.T.Helper()
	pod := c.Pod(name)
	pod.Spec.Containers[0].Resources.Requests = requests(cpu, memory)
	_, err := c.Client.CoreV1().Pods(c.Namespace).UpdateResize(c.T.Context(), name, pod, metav1.UpdateOptions{})
	c.Must(err)
}

// granted plays the kubelet that runs the pod with so much.
func granted(c *cluster.Cluster, name, cpu, memory string) {
	c.T.Helper()
	status, err := json.Marshal(map[string]any{"status": v1.PodStatus{
		Phase: v1.PodRunning,
		ContainerStatuses: []v1.ContainerStatus{{
			Name: "main", Ready: true, AllocatedResources: requests(cpu, memory),
			Resources: &v1.ResourceRequirements{Requests: requests(cpu, memory)},
			State:     v1.ContainerState{Running: &v1.ContainerStateRunning{}},
		}},
	}})
	c.Must(err)
	_, err = c.Client.CoreV1().Pods(c.Namespace).Patch(c.T.Context(), name, "application/merge-patch+json", status, metav1.PatchOptions{}, "status")
	c.Must(err)
}

// tasks returns what our tasks hold, in order, as "cpus/mem".
func tasks(c *cluster.Cluster) string {
	var texts []string
	for _, task := range c.LiveTasks() {
		texts = append(texts, fmt.Sprintf("%v/%v", task.CPUs, task.MemMB))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// wantTasks waits until the tasks are these, and pods and tasks agree.
func wantTasks(c *cluster.Cluster, want string) {
	c.T.Helper()
	c.Eventually("tasks "+want, func() string {
		if got := tasks(c); got != want {
			return "they are " + got
		}
		return c.Disagreement()
	})
	c.WaitSettled()
	c.WaitIdle()
}

func upAndDown(c *cluster.Cluster) {
	c.StartScheduler()
	run(c, "one", "1", "1Gi")
	main := c.Pod("one").Annotations["kube-mesos.io/task-id"]
	resized(c, "one", "2500m", "2Gi")
	wantTasks(c, "1.5/1024 1/1024")
	granted(c, "one", "2500m", "2Gi")
	c.WaitEvent("one", "MesosResized", "cpus:2.5;mem:2048")
	// Once more, and of the memory alone.
	resized(c, "one", "2500m", "3Gi")
	wantTasks(c, "0.01/1024 1.5/1024 1/1024")
	granted(c, "one", "2500m", "3Gi")
	resized(c, "one", "1", "1Gi")
	granted(c, "one", "1", "1Gi")
	wantTasks(c, "1/1024")
	if pod := c.Pod("one"); pod.Annotations["kube-mesos.io/task-id"] != main || pod.Annotations["kube-mesos.io/extra-tasks"] != "" {
		c.T.Errorf("the pod's annotations are %v, and its task was %s", pod.Annotations, main)
	}
	c.Finish()
}

// A pod that is to shrink holds what it had until its kubelet says that it runs with
// less.
func downWithKubelet(c *cluster.Cluster) {
	c.StartScheduler()
	run(c, "one", "1", "1Gi")
	resized(c, "one", "2", "1Gi")
	wantTasks(c, "1/1024 1/32")
	granted(c, "one", "2", "1Gi")
	resized(c, "one", "1", "1Gi")
	// Another pod's whole way comes after the news of the resize.
	run(c, "two", "500m", "1Gi")
	if got := tasks(c); got != "0.5/1024 1/1024 1/32" {
		c.T.Errorf("while the kubelet runs the pod with 2 cores the tasks are %s", got)
	}
	granted(c, "one", "1", "1Gi")
	wantTasks(c, "0.5/1024 1/1024")
	c.Finish()
}

func shrink(c *cluster.Cluster) {
	c.StartScheduler()
	run(c, "one", "2500m", "4Gi")
	was := c.Pod("one").Annotations["kube-mesos.io/task-id"]
	resized(c, "one", "500m", "1Gi")
	granted(c, "one", "500m", "1Gi")
	wantTasks(c, "0.5/1024")
	pod := c.Pod("one")
	if is := pod.Annotations["kube-mesos.io/task-id"]; is == was || pod.Annotations["kube-mesos.io/extra-tasks"] != "" {
		c.T.Errorf("the pod's annotations are %v, and its task was %s", pod.Annotations, was)
	}
	if held := pod.Annotations["kube-mesos.io/task-resources"]; held != "cpus:0.5;mem:1024" {
		c.T.Errorf("the pod's task is said to hold %s", held)
	}
	c.Finish()
}

func restarted(c *cluster.Cluster) {
	s := c.StartScheduler()
	run(c, "one", "1", "1Gi")
	resized(c, "one", "3", "2Gi")
	granted(c, "one", "3", "2Gi")
	wantTasks(c, "1/1024 2/1024")
	before := len(c.Launched())
	s.Kill()
	s = c.StartScheduler()
	c.Eventually("both claims are held again", func() string {
		held := 0
		for _, claim := range c.Claims(s) {
			if claim.Phase == "Held" && claim.Bound {
				held++
			}
		}
		if held != 2 {
			return fmt.Sprintf("claims: %+v", c.Claims(s))
		}
		return ""
	})
	wantTasks(c, "1/1024 2/1024")
	if n := len(c.Launched()); n != before || c.Mesos.CallCount("KILL") > 0 {
		c.T.Errorf("%d tasks were launched, %d before the restart; %d were killed", n, before, c.Mesos.CallCount("KILL"))
	}
	// It still knows which of them goes.
	resized(c, "one", "1", "1Gi")
	granted(c, "one", "1", "1Gi")
	wantTasks(c, "1/1024")
	c.Finish()
}

func unwatched(c *cluster.Cluster) {
	s := c.StartScheduler()
	run(c, "one", "1", "1Gi")
	s.Kill()
	resized(c, "one", "2", "1Gi")
	granted(c, "one", "2", "1Gi")
	s = c.StartScheduler()
	wantTasks(c, "1/1024 1/32")
	s.Kill()
	c.DeletePod("one")
	c.StartScheduler()
	wantTasks(c, "")
	c.Finish()
}

func noRoom(c *cluster.Cluster) {
	c.StartScheduler()
	run(c, "one", "1", "1Gi")
	run(c, "two", "2500m", "1Gi")
	resized(c, "one", "2", "1Gi")
	// The role asks for offers, and what comes is too little.
	c.Eventually("offers are asked for", func() string {
		for _, f := range c.Mesos.Frameworks() {
			if f.Name == cluster.FrameworkName && len(f.SuppressedRoles) > 0 {
				return "suppressed"
			}
		}
		return ""
	})
	// A pod that fits is not held up.
	c.AddPod("three", "250m", "64Mi")
	c.WaitBound("three")
	if got := tasks(c); got != "0.25/64 1/1024 2.5/1024" {
		c.T.Errorf("without room the tasks are %s", got)
	}
	c.DeletePod("two")
	wantTasks(c, "0.25/64 1/1024 1/32")
	c.Finish()
}

func extraLost(c *cluster.Cluster) {
	c.StartScheduler()
	run(c, "one", "1", "1Gi")
	resized(c, "one", "2", "1Gi")
	wantTasks(c, "1/1024 1/32")
	main := c.Pod("one").Annotations["kube-mesos.io/task-id"]
	for _, task := range c.LiveTasks() {
		if task.TaskID != main {
			c.Must(c.Mesos.FailTask(task.TaskID))
		}
	}
	c.WaitEvent("one", "MesosTaskLost", "another one is taken")
	wantTasks(c, "1/1024 1/32")
	if len(c.Launched()) != 3 || c.Pod("one").Annotations["kube-mesos.io/task-id"] != main {
		c.T.Errorf("launched: %v; the pod lived by %s and lives by %s", c.Launched(), main, c.Pod("one").Annotations["kube-mesos.io/task-id"])
	}
	c.Finish()
}

// The task is kept while the annotation cannot be written, and the old one, too.
func annotationRefused(c *cluster.Cluster) {
	refused := make(chan struct{}, 3)
	for range cap(refused) {
		refused <- struct{}{}
	}
	c.API = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "/pods/one") {
			select {
			case <-refused:
				return nil, http.ErrServerClosed
			default:
			}
		}
		return next.RoundTrip(req)
	}
	c.StartScheduler()
	run(c, "one", "3", "1Gi")
	resized(c, "one", "1", "1Gi")
	granted(c, "one", "1", "1Gi")
	wantTasks(c, "1/1024")
	if len(c.Launched()) != 2 || len(refused) > 0 {
		c.T.Errorf("launched: %v; %d patches were not tried", c.Launched(), len(refused))
	}
	c.Finish()
}
