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

package flavours

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

const ridesAnnotation = "kube-mesos.io/revocable"

const revocableArgs = `
      revocable:
        enabled: true
        priorityClasses: [{name: batch, use: Required}, {name: opportunistic, use: Allowed}]`

func rides(use string) func(*v1.Pod) { return annotated(ridesAnnotation, use) }

func class(name string) func(*v1.Pod) {
	return func(pod *v1.Pod) { pod.Spec.PriorityClassName = name }
}

func TestRevocable(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("who rides", func(t *testing.T) { whoRides(stage(t, kube, "cpus:2;mem:8192;disk:1000")) })
	t.Run("who asks without being enabled", func(t *testing.T) {
		c := stage(t, kube, plainAgent)
		c.Must(c.Mesos.SetEstimate(cluster.Host(0), "cpus:4"))
		c.StartScheduler()
		c.AddPod("one", "1", "512Mi", rides("Required"))
		waits(c, "one", ridesAnnotation, "revocable.enabled")
		c.AddPod("two", "1", "512Mi", rides("Allowed"))
		wantParts(c, "two", "cpus:1", "mem:512")
		finish(c)
	})
	t.Run("one of three is taken", func(t *testing.T) { takenOne(stage(t, kube, plainAgent)) })
	t.Run("the machine is too busy", func(t *testing.T) {
		config := cluster.Quick()
		config.Agents = append(config.Agents, agent(0, plainAgent))
		config.Agents[0].LoadThreshold = 10
		c := kube.New(t, 0, config)
		c.AddNode(cluster.Host(0))
		busy(c)
	})
	t.Run("estimates change all the time", func(t *testing.T) { estimates(stage(t, kube, plainAgent, plainAgent)) })
}

func whoRides(c *cluster.Cluster) {
	c.Args = revocableArgs
	c.Must(c.Mesos.SetEstimate(cluster.Host(0), "cpus:3"))
	c.StartScheduler()
	c.AddPod("required", "500m", "512Mi", rides("Required"))
	wantParts(c, "required", "cpus{REV}:0.5", "mem:512")
	c.AddPod("class", "500m", "512Mi", class("batch"))
	wantParts(c, "class", "cpus{REV}:0.5", "mem:512")
	// The annotation goes before the class.
	c.AddPod("never", "500m", "512Mi", class("batch"), rides("Never"))
	wantParts(c, "never", "cpus:0.5", "mem:512")
	c.AddPod("regular", "1", "512Mi")
	wantParts(c, "regular", "cpus:1", "mem:512")
	// 0.5 regular and 2 revocable cpus are left.
	c.AddPod("full", "1", "512Mi")
	waits(c, "full", "1 Mesos offer short of cpu")
	c.AddPod("allowed", "1", "512Mi", rides("Allowed"))
	wantParts(c, "allowed", "cpus{REV}:1", "mem:512")
	c.AddPod("opportunist", "500m", "512Mi", class("opportunistic"))
	wantParts(c, "opportunist", "cpus:0.5", "mem:512")
	c.AddPod("waits", "2", "512Mi", rides("Required"))
	waits(c, "waits", "short of revocable cpu")
	c.AddPod("typo", "1", "512Mi", rides("required"))
	waits(c, "typo", ridesAnnotation, `"required"`, "Required")
	c.WaitSettled()
	if node := c.Pod("full").Spec.NodeName; node != "" {
		c.T.Errorf("a regular pod was placed where only revocable cpus were left: %q", parts(c, "full"))
	}
	c.Must(c.Mesos.SetEstimate(cluster.Host(0), "cpus:4"))
	c.WaitBound("waits")
	c.DeletePod("never")
	c.DeletePod("opportunist")
	c.WaitBound("full")
	wantParts(c, "full", "cpus:1", "mem:512")
	c.WaitSettled()
	finish(c)
}

// hold adds a finalizer, so that the test sees the pod that is deleted.
func hold(pod *v1.Pod) { pod.Finalizers = []string{"example.com/hold"} }

// revoked waits until the pod is deleted because its resources were revoked, and
// lets it go.
func revoked(c *cluster.Cluster, name string) {
	c.T.Helper()
	c.Eventually("pod revoked", func() string {
		pod := c.Pod(name)
		if pod == nil {
			c.T.Fatalf("pod %s is gone in spite of its finalizer", name)
		}
		if pod.DeletionTimestamp == nil {
			return "pod " + name + " is not deleted"
		}
		i := slices.IndexFunc(pod.Status.Conditions, func(c v1.PodCondition) bool { return c.Type == v1.DisruptionTarget })
		if i < 0 {
			return "it has no condition DisruptionTarget"
		}
		if got := pod.Status.Conditions[i]; got.Status != v1.ConditionTrue || got.Reason != "Revoked" {
			return fmt.Sprintf("its condition is %+v", got)
		}
		return ""
	})
	c.WaitEvent(name, "MesosResourcesRevoked", "revocable")
	letGo(c, name)
}

func letGo(c *cluster.Cluster, name string) {
	c.T.Helper()
	_, err := c.Client.CoreV1().Pods(c.Namespace).Patch(c.T.Context(), name, types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
	c.Must(err)
	c.WaitGone(name)
}

// stays checks that nothing happened to the pod.
func stays(c *cluster.Cluster, before *v1.Pod) {
	c.T.Helper()
	pod := c.Pod(before.Name)
	switch {
	case pod == nil || pod.UID != before.UID || pod.DeletionTimestamp != nil:
		c.T.Errorf("pod %s was to stay", before.Name)
	case c.Task(pod.Name).State != "TASK_RUNNING":
		c.T.Errorf("the task of pod %s is %s", pod.Name, c.Task(pod.Name).State)
	case slices.ContainsFunc(pod.Status.Conditions, func(c v1.PodCondition) bool { return c.Type == v1.DisruptionTarget }):
		c.T.Errorf("pod %s has conditions %+v", pod.Name, pod.Status.Conditions)
	}
}

func takenOne(c *cluster.Cluster) {
	c.Args = revocableArgs
	c.Must(c.Mesos.SetEstimate(cluster.Host(0), "cpus:4"))
	c.StartScheduler()
	c.AddPod("regular", "1", "512Mi")
	for i := range 3 {
		c.AddPod(fmt.Sprintf("rider-%d", i), "1", "512Mi", rides("Required"), hold)
	}
	c.WaitBound("regular", "rider-0", "rider-1", "rider-2")
	c.WaitSettled()
	peers := []*v1.Pod{c.Pod("regular"), c.Pod("rider-0"), c.Pod("rider-2")}
	c.Must(c.Mesos.LoseTask(c.Task("rider-1").TaskID))
	revoked(c, "rider-1")
	c.WaitSettled()
	for _, pod := range peers {
		stays(c, pod)
	}
	// Its place is for another.
	c.AddPod("next", "1", "512Mi", rides("Required"))
	c.WaitBound("next")
	for _, pod := range []string{"rider-0", "rider-2"} {
		c.DeletePod(pod)
		letGo(c, pod)
	}
	finish(c)
}

// busy: the agent's controller takes all that is revocable, and nothing else.
func busy(c *cluster.Cluster) {
	c.Args = revocableArgs
	c.Must(c.Mesos.SetEstimate(cluster.Host(0), "cpus:4"))
	c.StartScheduler()
	c.AddPod("regular", "1", "512Mi")
	c.AddPod("rider-0", "1", "512Mi", rides("Required"), hold)
	c.AddPod("rider-1", "1", "512Mi", class("batch"), hold)
	c.WaitBound("regular", "rider-0", "rider-1")
	c.WaitSettled()
	regular := c.Pod("regular")
	c.Must(c.Mesos.SetLoad(cluster.Host(0), 20))
	revoked(c, "rider-0")
	revoked(c, "rider-1")
	c.WaitSettled()
	stays(c, regular)
	c.Must(c.Mesos.SetLoad(cluster.Host(0), 0))
	c.AddPod("after", "1", "512Mi", rides("Required"))
	c.WaitBound("after")
	finish(c)
}

// estimates: each change of an estimate rescinds the agent's offers with revocable
// resources, which may be on their way into an ACCEPT.
func estimates(c *cluster.Cluster) {
	c.Args = revocableArgs
	for i := range 2 {
		c.Must(c.Mesos.SetEstimate(cluster.Host(i), "cpus:20"))
	}
	c.StartScheduler()
	const n = 24
	var names []string
	for i := range n {
		name := fmt.Sprintf("pod-%d", i)
		names = append(names, name)
		change := rides("Required")
		if i%4 == 0 {
			change = rides("Never")
		}
		c.AddPod(name, "500m", "128Mi", change)
		c.Must(c.Mesos.SetEstimate(cluster.Host(i%2), fmt.Sprintf("cpus:%d", 20+i)))
	}
	c.WaitBound(names...)
	c.WaitSettled()
	attempts := map[string]int{}
	for id := range c.Launched() {
		uid, _, _ := strings.Cut(id, ".")
		attempts[uid]++
	}
	for _, pod := range c.Pods() {
		if got := attempts[string(pod.UID)]; got < 1 || got > 2 {
			c.T.Errorf("pod %s took %d launches", pod.Name, got)
		}
		if regular := pod.Annotations[ridesAnnotation] == "Never"; regular == c.Task(pod.Name).Revocable {
			c.T.Errorf("pod %s with %v has %s", pod.Name, pod.Annotations[ridesAnnotation], c.Task(pod.Name).Resources)
		}
	}
	finish(c)
}
