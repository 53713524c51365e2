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

package faults

import (
	"net/http"
	"testing"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// never is longer than any test: what takes so long does not happen.
const never = time.Hour

func TestDeleted(t *testing.T) {
	kube := cluster.StartKube(t)
	with := func(change func(*mesosmaster.Config)) mesosmaster.Config {
		config := cluster.Quick()
		change(&config)
		return config
	}
	unstarted := with(func(c *mesosmaster.Config) { c.LaunchDelay = never })
	tests := []struct {
		name   string
		config mesosmaster.Config
		play   func(*cluster.Cluster)
	}{
		{"pending without an offer that fits", cluster.Quick(), deletedPending},
		{"reserved in an open batch", cluster.Quick(), deletedReserved},
		{"one of two in an open batch", cluster.Quick(), deletedOfTwo},
		{"the ACCEPT on its way", cluster.Quick(), func(c *cluster.Cluster) { deletedLaunching(c, false) }},
		{"the answer to the ACCEPT on its way", unstarted, func(c *cluster.Cluster) { deletedLaunching(c, true) }},
		{"launched, not confirmed", unstarted, deletedUnconfirmed},
		{"confirmed, the binding on its way", cluster.Quick(), func(c *cluster.Cluster) { deletedBinding(c, false) }},
		{"confirmed, the binding on its way, and made again", cluster.Quick(), func(c *cluster.Cluster) { deletedBinding(c, true) }},
		{"bound, and made again while its task is killed", with(func(c *mesosmaster.Config) { c.KillDelay = time.Second }), deletedBound},
		{"bound, with a grace period", cluster.Quick(), deletedGracefully},
		{"every KILL is lost at first", cluster.Quick(), deletedKillLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := kube.New(t, 1, tt.config)
			tt.play(c)
			c.WaitSettled()
			c.WaitIdle()
			c.Finish()
		})
	}
}

func deletedPending(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "8", "256Mi")
	c.WaitUnscheduled("one", "Mesos agent short of cpu")
	c.DeletePod("one")
	c.WaitIdle()
	if n := c.Mesos.CallCount("ACCEPT"); n > 0 {
		c.T.Errorf("%d ACCEPTs for a pod that fits nowhere", n)
	}
}

func deletedReserved(c *cluster.Cluster) {
	c.Args = lingering
	s := c.StartScheduler()
	c.AddBystander()
	c.AddPod("one", "1", "256Mi")
	claim := waitClaimed(c, s, "one")
	c.DeletePod("one")
	c.Eventually("the claim is given up", func() string {
		if left := c.ClaimOf(s, "one", "Reserved", "Launching", "Held", "Releasing"); left.TaskID != "" {
			return left.Phase
		}
		return ""
	})
	c.DeletePod("bystander")
	c.WaitIdle()
	// Had the batch gone out before the pod was deleted, there was a task and its
	// end: the log of calls tells which.
	if n := c.Launched()[claim.TaskID]; n == 0 && c.Mesos.CallCount("ACCEPT") > 0 {
		c.T.Error("an ACCEPT was sent without the only pod of its batch")
	}
}

// waitClaimed waits until the pod has a claim that is not being released.
func waitClaimed(c *cluster.Cluster, s *cluster.Scheduler, pod string) (claim cluster.Claim) {
	c.T.Helper()
	c.Eventually("the pod has a claim", func() string {
		if claim = c.ClaimOf(s, pod, "Reserved", "Launching", "Held"); claim.TaskID == "" {
			return "none"
		}
		return ""
	})
	return claim
}

func deletedOfTwo(c *cluster.Cluster) {
	c.Args = lingering
	s := c.StartScheduler()
	c.AddBystander()
	c.AddPod("one", "1", "256Mi")
	c.AddPod("two", "1", "256Mi")
	waitClaimed(c, s, "one")
	waitClaimed(c, s, "two")
	c.DeletePod("one")
	c.WaitBound("two")
	c.DeletePod("bystander")
}

// deletedLaunching deletes the pod while the call that launches its task, or the
// answer to it, is on its way: the KILL must not overtake the ACCEPT. It need not
// wait for the answer, if the master tells of the task before.
func deletedLaunching(c *cluster.Cluster, answered bool) {
	var hold *cluster.Hold
	hold, c.MesosAPI = holdFirst(scheduler.Call_ACCEPT, answered) //nolint:bodyclose // A hook, not a response.
	s := c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitHeld("the ACCEPT", hold)
	c.DeletePod("one")
	c.Eventually("the claim is given up", func() string { return c.ClaimOf(s, "one", "Reserved", "Launching", "Held").Phase })
	if n := c.Mesos.CallCount("KILL"); n > 0 && !answered {
		c.T.Errorf("%d KILLs while the ACCEPT was on its way", n)
	}
	hold.Open()
	c.WaitSettled()
	c.WaitCalls("ACCEPT", 1)
	c.WaitCalls("KILL", 1)
	c.WaitSettled()
	if launched := c.Launched(); len(launched) != 1 {
		c.T.Errorf("launched %v, want the held task alone", launched)
	}
}

func deletedUnconfirmed(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitTask("TASK_STAGING")
	c.DeletePod("one")
	c.WaitCalls("KILL", 1)
}

// deletedBinding deletes the pod while its binding is on its way, and makes
// another one of the same name: the binding must not bind that.
func deletedBinding(c *cluster.Cluster, again bool) {
	hold := cluster.NewHold()
	c.API = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if isBinding(req) {
			hold.Pass(req.Context())
		}
		return next.RoundTrip(req)
	}
	s := c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitHeld("the binding", hold)
	held := waitClaimed(c, s, "one")
	c.DeletePod("one")
	c.WaitCalls("KILL", 1)
	if again {
		c.AddPod("one", "1", "256Mi")
	}
	hold.Open()
	if again {
		c.WaitBound("one")
		c.WaitSettled()
		if id := c.Pod("one").Annotations["kube-mesos.io/task-id"]; id == held.TaskID {
			c.T.Errorf("the second pod is bound by the first one's task %s", id)
		}
	}
}

func deletedBound(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "3", "256Mi")
	c.WaitBound("one")
	first := c.Task("one")
	c.DeletePod("one")
	// The machine is full until the first task has ended.
	c.AddPod("one", "3", "256Mi")
	c.WaitBound("one")
	c.WaitSettled()
	if second := c.Task("one"); second.TaskID == first.TaskID {
		c.T.Errorf("two pods were bound by task %s", first.TaskID)
	}
}

// deletedGracefully has a pod take its time to end: its resources are its own
// until its kubelet says that it ended.
func deletedGracefully(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitBound("one")
	grace := int64(3600)
	c.Must(c.Client.CoreV1().Pods(c.Namespace).Delete(c.T.Context(), "one", metav1.DeleteOptions{GracePeriodSeconds: &grace}))
	if c.Pod("one").DeletionTimestamp == nil {
		c.T.Fatal("the pod is not being deleted")
	}
	// A pod made and bound later shows that the deletion was seen.
	c.AddPod("two", "1", "256Mi")
	c.WaitBound("two")
	c.WaitSettled()
	if n := c.Mesos.CallCount("KILL"); n > 0 {
		c.T.Errorf("%d KILLs although the pod still runs", n)
	}
	c.SetPhase("one", v1.PodSucceeded)
	c.WaitCalls("KILL", 1)
}

// deletedKillLost loses the calls that end the task.
func deletedKillLost(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "256Mi")
	c.WaitBound("one")
	c.WaitIdle()
	c.Mesos.Faults().FailNext("KILL", http.StatusAccepted, "") // nothing follows
	c.Mesos.Faults().FailNext("KILL", http.StatusInternalServerError, "Something broke")
	c.DeletePod("one")
	c.WaitCalls("KILL", 3)
}
