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
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/cli"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-scheduler/app"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// commandVariable makes the test binary be our command instead.
const commandVariable = "KUBE_MESOS_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) == "" {
		os.Exit(m.Run())
	}
	os.Exit(cli.Run(app.NewCommand()))
}

// startReplica starts our command with leader election.
func startReplica(c *cluster.Cluster) *cluster.Process {
	c.T.Helper()
	kubeconfig := c.Kubeconfig()
	head := "leaderElection: {leaderElect: true, resourceNamespace: kube-system, resourceName: " + c.Namespace + ", leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 500ms}\n" +
		"clientConnection: {kubeconfig: " + kubeconfig + "}\n"
	return c.StartProcess(commandVariable+"=ours", "--config="+c.ConfigFile(head), "--secure-port=0")
}

// addPods adds n pods and returns their names.
func addPods(c *cluster.Cluster, prefix string, n int) (names []string) {
	for i := range n {
		name := fmt.Sprintf("%s-%d", prefix, i)
		c.AddPod(name, "100m", "64Mi")
		names = append(names, name)
	}
	return names
}

// Two replicas are replaced one after the other, or the leader is killed, while pods
// come: the subscription moves, every pod is bound once, and no task is lost or doubled.
func TestReplicas(t *testing.T) {
	kube := cluster.StartKube(t)
	ways := map[string]func(*cluster.Process){
		"rolling upgrade": func(p *cluster.Process) { p.Terminate() },
		"leader killed":   func(p *cluster.Process) { p.Kill() },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			c := kube.New(t, 4, cluster.Quick())
			replicas := []*cluster.Process{startReplica(c), startReplica(c)}
			c.WaitCalls("SUBSCRIBE", 1)
			names := addPods(c, "first", 10)
			c.WaitBound(names[:5]...)
			for round := range 2 {
				leader := leaderOf(c, replicas)
				end(replicas[leader])
				names = append(names, addPods(c, fmt.Sprint("meanwhile-", round), 10)...)
				replicas[leader].Wait()
				replicas[leader] = startReplica(c)
				c.WaitCalls("SUBSCRIBE", 2+round)
				names = append(names, addPods(c, fmt.Sprint("then-", round), 5)...)
			}
			c.WaitBound(names...)
			c.WaitSettled()
			if n := c.Mesos.CallCount("SUBSCRIBE"); n != 3 {
				t.Errorf("%d SUBSCRIBEs, want one of each leader", n)
			}
			if n := len(c.Mesos.Frameworks()); n != 1 {
				t.Errorf("the master knows %d frameworks, want one", n)
			}
			for task, times := range c.Launched() {
				if times != 1 {
					t.Errorf("task %s was launched %d times", task, times)
				}
			}
			c.WaitIdle()
			c.Finish()
		})
	}
}

// leaderOf is the index of the replica that holds the lease.
func leaderOf(c *cluster.Cluster, replicas []*cluster.Process) (leader int) {
	c.T.Helper()
	c.Eventually("a leader", func() string {
		for i, p := range replicas {
			if strings.Contains(p.Output(), "Successfully acquired lease") || strings.Contains(p.Output(), "successfully acquired lease") {
				if !p.Ended() {
					leader = i
					return ""
				}
			}
		}
		return "none"
	})
	return leader
}

// A leader that loses its lease ends at once; its tasks stay, and the next leader takes
// them over.
func TestLostLease(t *testing.T) {
	kube := cluster.StartKube(t)
	c := kube.New(t, 2, cluster.Quick())
	leader := startReplica(c)
	names := addPods(c, "pod", 3)
	c.WaitBound(names...)
	c.WaitSettled()
	leases := c.Client.CoordinationV1().Leases("kube-system")
	c.Eventually("the lease is taken", func() string {
		lease, err := leases.Get(t.Context(), c.Namespace, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		other, now, seconds := "somebody-else", metav1.NowMicro(), int32(6)
		lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &other, RenewTime: &now, AcquireTime: &now, LeaseDurationSeconds: &seconds}
		if _, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	if status, _ := leader.Wait(); status == 0 {
		t.Error("who lost its lease ended as if all were well")
	}
	if n := len(c.LiveTasks()); n != len(names) {
		t.Errorf("%d tasks live, want %d", n, len(names))
	}
	startReplica(c)
	c.WaitCalls("SUBSCRIBE", 2)
	names = append(names, addPods(c, "next", 2)...)
	c.WaitBound(names...)
	c.WaitSettled()
	c.Finish()
}

// identityEvent waits for an event on the ConfigMap of the framework id.
func identityEvent(c *cluster.Cluster, reason string) {
	c.T.Helper()
	c.Eventually("event "+reason, func() string {
		list, err := c.Client.EventsV1().Events("kube-system").List(c.T.Context(), metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		for _, e := range list.Items {
			if e.Reason == reason && e.Regarding.Name == c.Namespace+"-framework" {
				return ""
			}
		}
		return "none"
	})
}

func identity(c *cluster.Cluster) *v1.ConfigMap {
	cm, err := c.Client.CoreV1().ConfigMaps("kube-system").Get(c.T.Context(), c.Namespace+"-framework", metav1.GetOptions{})
	if err != nil {
		return &v1.ConfigMap{}
	}
	return cm
}

// An operator tears our framework down: the pods run on, a new framework claims again
// what they need, and says so.
func TestFrameworkRemoved(t *testing.T) {
	kube := cluster.StartKube(t)
	c := kube.New(t, 2, cluster.Quick())
	c.StartScheduler()
	names := addPods(c, "pod", 6)
	c.WaitBound(names...)
	c.WaitSettled()
	before := map[string]*v1.Pod{}
	for _, name := range names {
		before[name] = c.Pod(name)
	}
	former := identity(c).Data["frameworkID"]
	resp, err := http.PostForm(c.Mesos.URL()+"/teardown", url.Values{"frameworkId": {former}})
	c.Must(err)
	c.Must(resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the master answers %s to the teardown", resp.Status)
	}
	c.Eventually("a new framework", func() string {
		cm := identity(c)
		if id := cm.Data["frameworkID"]; id == "" || id == former || !strings.Contains(cm.Data["removedFrameworkIDs"], former) {
			return fmt.Sprint(cm.Data)
		}
		return ""
	})
	identityEvent(c, "MesosFrameworkRemoved")
	c.WaitSettled()
	for name, was := range before {
		is := c.Pod(name)
		if is == nil || is.UID != was.UID || is.DeletionTimestamp != nil {
			t.Errorf("pod %s is %+v", name, is)
			continue
		}
		if is.Annotations["kube-mesos.io/task-id"] == was.Annotations["kube-mesos.io/task-id"] {
			t.Errorf("pod %s still names its first task", name)
		}
		if id := is.Annotations["kube-mesos.io/framework-id"]; id == former || id == "" {
			t.Errorf("pod %s names framework %q", name, id)
		}
	}
	c.AddPod("next", "100m", "64Mi")
	c.WaitBound("next")
	c.WaitSettled()
	c.WaitIdle()
}

// The stored id is deleted while we run: it is written again, and nothing else happens.
func TestIdentityDeleted(t *testing.T) {
	kube := cluster.StartKube(t)
	c := kube.New(t, 1, cluster.Quick())
	c.StartScheduler()
	c.AddPod("one", "100m", "64Mi")
	c.WaitBound("one")
	id := identity(c).Data["frameworkID"]
	c.Must(c.Client.CoreV1().ConfigMaps("kube-system").Delete(t.Context(), c.Namespace+"-framework", metav1.DeleteOptions{}))
	c.Eventually("the id is stored again", func() string {
		if got := identity(c).Data["frameworkID"]; got != id {
			return fmt.Sprintf("stored is %q, want %q", got, id)
		}
		return ""
	})
	identityEvent(c, "MesosIdentityRestored")
	if n := c.Mesos.CallCount("SUBSCRIBE"); n != 1 {
		t.Errorf("%d SUBSCRIBEs, want one", n)
	}
	c.WaitSettled()
	c.Finish()
}
