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
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

const capArgs = `
      balance: {cap: true}`

func TestBalance(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("pods of others leave less", func(t *testing.T) { capped(stage(t, kube, plainAgent)) })
	t.Run("an agent that comes later", func(t *testing.T) { cappedLater(stage(t, kube, plainAgent)) })
	t.Run("not capped", func(t *testing.T) {
		c := stage(t, kube, plainAgent)
		allocate(c, 0, "4", "64Gi")
		daemon(c, "daemon", 0, "3", "1Gi")
		c.StartScheduler()
		waitOvercommitted(c, 0, v1.ConditionTrue)
		c.AddPod("one", "1", "512Mi")
		wantParts(c, "one", "cpus:1", "mem:512")
		c.AddPod("three", "3", "512Mi")
		// Mesos has it; only kube-scheduler's own count is against it.
		waits(c, "three", "Insufficient cpu")
		finishOurs(c)
	})
}

// allocate sets what a node has for pods.
func allocate(c *cluster.Cluster, i int, cpu, memory string) {
	c.T.Helper()
	node, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), cluster.Host(i), metav1.GetOptions{})
	c.Must(err)
	for _, list := range []v1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
		list[v1.ResourceCPU], list[v1.ResourceMemory] = resource.MustParse(cpu), resource.MustParse(memory)
	}
	_, err = c.Client.CoreV1().Nodes().UpdateStatus(c.T.Context(), node, metav1.UpdateOptions{})
	c.Must(err)
}

// daemon is a pod of another scheduler on a node, as DaemonSets have them.
func daemon(c *cluster.Cluster, name string, i int, cpu, memory string) {
	c.T.Helper()
	c.AddPod(name, cpu, memory, func(pod *v1.Pod) {
		pod.Spec.SchedulerName, pod.Spec.NodeName = v1.DefaultSchedulerName, cluster.Host(i)
		pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(
			&metav1.ObjectMeta{Name: "agents", UID: "3f9fa0c1-2d6b-4a59-8f0e-3b9c1d6f7a10"}, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))}
	})
}

// waitOvercommitted waits for the node's condition.
func waitOvercommitted(c *cluster.Cluster, i int, status v1.ConditionStatus) {
	c.T.Helper()
	c.Eventually("MesosAgentOvercommitted", func() string {
		node, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), cluster.Host(i), metav1.GetOptions{})
		c.Must(err)
		for _, condition := range node.Status.Conditions {
			if condition.Type == "MesosAgentOvercommitted" && condition.Status == status {
				return ""
			}
		}
		return "the node's conditions are not so"
	})
}

// capped: of the agent's 4 cpus the node has only as many as pods of others leave.
func capped(c *cluster.Cluster) {
	c.Args = capArgs
	allocate(c, 0, "8", "64Gi")
	daemon(c, "daemon-1", 0, "6500m", "1Gi")
	c.StartScheduler()
	waitOvercommitted(c, 0, v1.ConditionTrue)
	c.AddPod("one", "1", "512Mi")
	wantParts(c, "one", "cpus:1", "mem:512")
	c.AddPod("two", "1", "512Mi")
	waits(c, "two", "1 Mesos offer short of cpu")
	// Half a cpu is left.
	c.AddPod("half", "500m", "512Mi")
	wantParts(c, "half", "cpus:0.5", "mem:512")
	c.DeletePod("daemon-1")
	wantParts(c, "two", "cpus:1", "mem:512")
	c.AddPod("rest", "1500m", "512Mi")
	wantParts(c, "rest", "cpus:1.5", "mem:512")
	waitOvercommitted(c, 0, v1.ConditionFalse)
	finishOurs(c)
}

// cappedLater: the agent of a node that is full of others' pods comes while pods
// wait for it.
func cappedLater(c *cluster.Cluster) {
	c.Args = capArgs
	c.AddNode(cluster.Host(1))
	allocate(c, 1, "8", "64Gi")
	daemon(c, "daemon", 1, "7", "1Gi")
	c.StartScheduler()
	c.AddPod("fills", "4", "512Mi")
	wantParts(c, "fills", "cpus:4", "mem:512")
	c.Mesos.AddAgent(agent(1, plainAgent))
	waitOvercommitted(c, 1, v1.ConditionTrue)
	c.AddPod("big", "2", "512Mi")
	waits(c, "big", "Mesos offer short of cpu")
	c.AddPod("small", "1", "512Mi")
	wantParts(c, "small", "cpus:1", "mem:512")
	c.DeletePod("daemon")
	wantParts(c, "big", "cpus:2", "mem:512")
	finishOurs(c)
}

// finishOurs is finish where pods of others run that have no task.
func finishOurs(c *cluster.Cluster) {
	c.T.Helper()
	for _, pod := range c.Pods() {
		if pod.Spec.SchedulerName != cluster.SchedulerName {
			c.DeletePod(pod.Name)
		}
	}
	finish(c)
}
