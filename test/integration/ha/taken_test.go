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

package ha

import (
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// onLost says what is to become of the pod if its task is lost.
func onLost(policy string) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		pod.Annotations = map[string]string{"kube-mesos.io/on-claim-lost": policy}
		pod.Labels = map[string]string{"app": pod.Name}
	}
}

// TestTakenAway ends tasks of running pods on Mesos' side.
func TestTakenAway(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("and claimed again", func(t *testing.T) { reacquires(kube.New(t, 2, cluster.Quick())) })
	t.Run("and the pod stays as it is", func(t *testing.T) { keeps(kube.New(t, 1, cluster.Quick())) })
	t.Run("and a budget protects the pod for a while", func(t *testing.T) { honoursBudgets(kube.New(t, 1, cluster.Quick())) })
	t.Run("from most pods at once", func(t *testing.T) { halts(kube.New(t, 4, cluster.Quick())) })
}

func reacquires(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi", onLost("Reacquire"))
	c.AddPod("other", "1", "1Gi")
	c.WaitBound("one", "other")
	c.WaitSettled()
	one, other, task := c.Pod("one"), c.Pod("other"), c.Task("one").TaskID
	c.Must(c.Mesos.LoseTask(task))
	c.WaitEvent("one", "MesosTaskLost", "The pod runs on", "TASK_GONE")
	c.WaitEvent("one", "MesosClaimReacquired")
	c.WaitSettled()
	if is := c.Pod("one"); is == nil || is.UID != one.UID || is.Annotations["kube-mesos.io/task-id"] == task {
		c.T.Errorf("the pod is %+v", is)
	}
	if is := c.Pod("other"); is == nil || is.Annotations["kube-mesos.io/task-id"] != other.Annotations["kube-mesos.io/task-id"] {
		c.T.Errorf("the other pod is %+v", is)
	}
	c.WaitIdle()
	c.Finish()
}

func keeps(c *cluster.Cluster) {
	s := c.StartScheduler()
	c.AddPod("one", "1", "1Gi", onLost("Keep"))
	c.WaitBound("one")
	c.Must(c.Mesos.LoseTask(c.Task("one").TaskID))
	c.WaitEvent("one", "MesosTaskLost", "The pod stays")
	c.WaitClaim(s, "one", "Lost")
	c.AddPod("next", "1", "1Gi")
	c.WaitBound("next")
	if pod := c.Pod("one"); pod == nil || pod.DeletionTimestamp != nil {
		c.T.Fatalf("the pod is %+v", pod)
	}
	c.AnnotatePod("one", "kube-mesos.io/on-claim-lost", "Reacquire")
	c.WaitSettled()
	c.WaitIdle()
	c.Finish()
}

func honoursBudgets(c *cluster.Cluster) {
	c.Args = `
      claims: {pdbDeadline: 4s}`
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi", onLost("Evict"))
	c.AddPod("other", "1", "1Gi")
	one := intstr.FromInt32(1)
	_, err := c.Client.PolicyV1().PodDisruptionBudgets(c.Namespace).Create(c.T.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "one"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "one"}}},
	}, metav1.CreateOptions{})
	c.Must(err)
	c.WaitBound("one", "other")
	c.SetPhase("one", v1.PodRunning)
	c.WaitSettled()
	c.Must(c.Mesos.LoseTask(c.Task("one").TaskID))
	c.Eventually("the pod is marked and still there", func() string {
		pod := c.Pod("one")
		if pod == nil {
			c.T.Fatal("the pod went although its budget does not allow it")
		}
		for _, cond := range pod.Status.Conditions {
			if cond.Type == v1.DisruptionTarget && cond.Reason == "MesosClaimLost" && cond.Status == v1.ConditionTrue {
				return ""
			}
		}
		return fmt.Sprint(pod.Status.Conditions)
	})
	c.WaitGone("one")
	c.WaitSettled()
	if pod := c.Pod("other"); pod == nil || pod.DeletionTimestamp != nil {
		c.T.Error("the other pod went, too")
	}
	c.Finish()
}

// halts: most pods lose their tasks at once. The master confirms it, so that all go in
// the end; that evictions stop meanwhile is said.
func halts(c *cluster.Cluster) {
	c.Args = `
      claims: {evictionBurst: 2, evictionsPerMinute: 600, evictionPercent: 20}`
	c.StartScheduler()
	names := addPods(c, "pod", 12)
	c.WaitBound(names...)
	c.WaitSettled()
	uids := map[string]types.UID{}
	for _, name := range names {
		uids[name] = c.Pod(name).UID
	}
	for _, name := range names[:8] {
		c.Must(c.Mesos.LoseTask(c.Task(name).TaskID))
	}
	identityEvent(c, "MesosEvictionsHalted")
	c.WaitGone(names[:8]...)
	identityEvent(c, "MesosEvictionsResumed")
	c.WaitSettled()
	for _, name := range names[8:] {
		if pod := c.Pod(name); pod == nil || pod.UID != uids[name] || pod.DeletionTimestamp != nil {
			c.T.Errorf("pod %s is %+v", name, pod)
		}
	}
	c.Finish()
}
