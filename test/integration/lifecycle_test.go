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

package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// losses are the ways in which Mesos ends a task under its pod.
var losses = []struct {
	name  string
	end   func(m *mesosmaster.Master, task mesosmaster.TaskSnapshot) error
	words []string
}{
	{"taken away", func(m *mesosmaster.Master, t mesosmaster.TaskSnapshot) error { return m.LoseTask(t.TaskID) },
		[]string{"TASK_GONE", "REASON_CONTAINER_PREEMPTED", "Container preempted by QoS correction"}},
	{"failed", func(m *mesosmaster.Master, t mesosmaster.TaskSnapshot) error { return m.FailTask(t.TaskID) },
		[]string{"TASK_FAILED", "Command exited with status 1"}},
	{"finished", func(m *mesosmaster.Master, t mesosmaster.TaskSnapshot) error { return m.FinishTask(t.TaskID) },
		[]string{"TASK_FINISHED", "Command exited with status 0"}},
	{"out of memory", func(m *mesosmaster.Master, t mesosmaster.TaskSnapshot) error {
		return m.TakeTask(t.TaskID, mesos.TASK_FAILED, mesos.REASON_CONTAINER_LIMITATION_MEMORY, "Memory limit exceeded")
	}, []string{"TASK_FAILED", "REASON_CONTAINER_LIMITATION_MEMORY", "Memory limit exceeded"}},
	{"gone with its machine", func(m *mesosmaster.Master, t mesosmaster.TaskSnapshot) error { return m.MarkGone(t.Hostname) },
		[]string{"TASK_GONE_BY_OPERATOR"}},
}

func TestLifecycle(t *testing.T) {
	kube := cluster.StartKube(t)
	for _, phase := range []v1.PodPhase{v1.PodSucceeded, v1.PodFailed} {
		t.Run("a pod that "+string(phase)+" gives its task back", func(t *testing.T) { endsByItself(kube.New(t, 1, cluster.Quick()), phase) })
	}
	for _, loss := range losses {
		t.Run("a pod whose task is "+loss.name+" is evicted, no other", func(t *testing.T) {
			c := kube.New(t, 2, cluster.Quick())
			lose(c, "3", func() error { return loss.end(c.Mesos, c.Task("victim")) }, loss.words)
		})
	}
	t.Run("one of two tasks on an agent is lost", func(t *testing.T) { losesNeighbour(kube.New(t, 1, cluster.Quick())) })
	t.Run("a disruption budget delays an eviction", func(t *testing.T) { budget(kube.New(t, 1, cluster.Quick())) })
	t.Run("an agent out of reach and back", func(t *testing.T) { unreachable(kube.New(t, 1, cluster.Quick())) })
	t.Run("an agent restarts", func(t *testing.T) {
		config := cluster.Quick()
		config.AgentReregisterDelay = 200 * time.Millisecond
		agentRestarts(kube.New(t, 1, config))
	})
	t.Run("a KILL that gets lost is repeated", func(t *testing.T) { killLost(kube.New(t, 1, cluster.Quick())) })
}

// endsByItself: the pod object stays, its resources go back.
func endsByItself(c *cluster.Cluster, phase v1.PodPhase) {
	c.StartScheduler()
	c.AddPod("one", "4", "1Gi")
	c.WaitBound("one")
	c.SetPhase("one", phase)
	c.WaitSettled()
	if n := c.Mesos.CallCount("KILL"); n == 0 {
		c.T.Error("the task ended without a KILL")
	}
	if pod := c.Pod("one"); pod == nil || pod.Status.Phase != phase {
		c.T.Errorf("the pod that ended is %v now", pod)
	}
	// All of the agent is free for another.
	c.AddPod("next", "4", "1Gi")
	c.WaitBound("next")
	c.WaitSettled()
	c.Finish()
}

// lose ends the task of a pod; another pod must not notice. Of 4 cpus each, two
// pods of 3 need two machines.
func lose(c *cluster.Cluster, cpus string, end func() error, words []string) {
	c.StartScheduler()
	c.AddPod("victim", cpus, "1Gi")
	c.AddPod("bystander", cpus, "1Gi")
	c.WaitBound("victim", "bystander")
	c.SetPhase("victim", v1.PodRunning)
	c.SetPhase("bystander", v1.PodRunning)
	c.WaitSettled()
	other := c.Pod("bystander")
	c.Must(end())
	c.WaitGone("victim")
	c.WaitEvent("victim", "MesosTaskLost", words...)
	c.WaitSettled()
	unchanged(c, other)
	if notes := c.EventNotes("bystander", "MesosTaskLost"); len(notes) > 0 {
		c.T.Errorf("the bystander was told %q", notes)
	}
	c.Finish()
}

// losesNeighbour: both pods' tasks are on one agent.
func losesNeighbour(c *cluster.Cluster) {
	lose(c, "1", func() error { return c.Mesos.LoseTask(c.Task("victim").TaskID) }, nil)
}

// unchanged fails the test if the pod is not bound by the same task any more.
func unchanged(c *cluster.Cluster, was *v1.Pod) {
	c.T.Helper()
	is := c.Pod(was.Name)
	if is == nil || is.UID != was.UID || is.DeletionTimestamp != nil || is.Annotations["kube-mesos.io/task-id"] != was.Annotations["kube-mesos.io/task-id"] {
		c.T.Errorf("pod %s was %v with %v, is %v", was.Name, was.UID, was.Annotations, is)
	}
}

// budget: evictions that a PodDisruptionBudget refuses are repeated until it does
// not.
func budget(c *cluster.Cluster) {
	var refused atomic.Int32
	c.API = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil && strings.HasSuffix(req.URL.Path, "/eviction") && resp.StatusCode == http.StatusTooManyRequests {
			refused.Add(1)
		}
		return resp, err
	}
	c.StartScheduler()
	labels := map[string]string{"app": "guarded"}
	one := intstr.FromInt32(1)
	pdb, err := c.Client.PolicyV1().PodDisruptionBudgets(c.Namespace).Create(c.T.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "guard"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: labels}},
	}, metav1.CreateOptions{})
	c.Must(err)
	pdb.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: pdb.Generation, CurrentHealthy: 1, DesiredHealthy: 1, ExpectedPods: 1}
	pdb, err = c.Client.PolicyV1().PodDisruptionBudgets(c.Namespace).UpdateStatus(c.T.Context(), pdb, metav1.UpdateOptions{})
	c.Must(err)

	c.AddPod("guarded", "1", "1Gi", func(pod *v1.Pod) { pod.Labels = labels })
	c.WaitBound("guarded")
	pod := c.Pod("guarded")
	pod.Status = v1.PodStatus{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}}
	_, err = c.Client.CoreV1().Pods(c.Namespace).UpdateStatus(c.T.Context(), pod, metav1.UpdateOptions{})
	c.Must(err)
	c.WaitSettled()
	c.Must(c.Mesos.LoseTask(c.Task("guarded").TaskID))
	c.Eventually("evictions refused", func() string {
		if refused.Load() < 3 {
			return "fewer than three"
		}
		return ""
	})
	if pod := c.Pod("guarded"); pod == nil || pod.DeletionTimestamp != nil {
		c.T.Error("the pod is gone although its disruption budget forbids it")
	}
	pdb.Status.DisruptionsAllowed = 1
	_, err = c.Client.PolicyV1().PodDisruptionBudgets(c.Namespace).UpdateStatus(c.T.Context(), pdb, metav1.UpdateOptions{})
	c.Must(err)
	c.WaitGone("guarded")
	c.WaitEvent("guarded", "MesosTaskLost")
	if n := len(c.EventNotes("guarded", "MesosTaskLost")); n != 1 {
		c.T.Errorf("%d events MesosTaskLost, want one", n)
	}
	c.Finish()
}

// unreachable: the pod outlives the time in which the master does not reach its
// agent.
func unreachable(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitBound("one")
	c.WaitSettled()
	pod := c.Pod("one")
	asked := c.Mesos.CallCount("RECONCILE")
	c.Must(c.Mesos.MarkUnreachable(cluster.Host(0)))
	c.WaitTask("TASK_UNREACHABLE")
	// The scheduler knows, because it asks what becomes of the task.
	c.WaitCalls("RECONCILE", asked+1)
	unchanged(c, pod)
	c.Must(c.Mesos.ReturnAgent(cluster.Host(0)))
	c.WaitSettled()
	unchanged(c, pod)
	if notes := c.EventNotes("one", "MesosTaskLost"); len(notes) > 0 {
		c.T.Errorf("the pod was told %q", notes)
	}
	c.Finish()
}

// agentRestarts: tasks live on through it.
func agentRestarts(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitBound("one")
	c.WaitSettled()
	pod := c.Pod("one")
	c.Must(c.Mesos.RestartAgent(cluster.Host(0)))
	// What is bound after it shows that the agent is back.
	c.AddPod("two", "1", "1Gi")
	c.WaitBound("two")
	c.WaitSettled()
	unchanged(c, pod)
	c.Finish()
}

// killLost: a KILL answered with an error is sent again.
func killLost(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitBound("one")
	c.WaitSettled()
	for range 2 {
		c.Mesos.Faults().FailNext("KILL", http.StatusServiceUnavailable, "Master has not finished recovery")
	}
	c.Finish()
	if n := c.Mesos.CallCount("KILL"); n < 3 {
		c.T.Errorf("%d KILLs, want the two that were lost and one more", n)
	}
}
