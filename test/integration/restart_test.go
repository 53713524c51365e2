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
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// restart is a moment at which the scheduler ends and another one starts.
type restart struct {
	name string
	// config changes the master, args are lines of plugin arguments.
	config func(*mesosmaster.Config)
	args   string
	// before comes before the first scheduler starts, reach brings things to the
	// moment, meanwhile happens while no scheduler runs, then after the next one
	// started.
	before    func(c *cluster.Cluster) *cluster.Hold
	reach     func(c *cluster.Cluster, s *cluster.Scheduler)
	meanwhile func(c *cluster.Cluster)
	then      func(c *cluster.Cluster)
	// only is how the scheduler ends, if one way shows all there is to see.
	only string
	// launches is how many tasks are launched in all; a pod that runs needs no
	// second one.
	launches int
}

// slowBatches keep a batch open for a second after the last scheduling cycle, as
// long as another pod might join it.
const slowBatches = `
      offers: {batchLinger: 1s, maxBatchLinger: 5s}`

var restarts = []restart{
	{
		name: "pod pending",
		before: func(c *cluster.Cluster) *cluster.Hold {
			c.Must(c.Mesos.DeactivateAgent(cluster.Host(0)))
			return nil
		},
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			// Why there is no offer is known once the agents are listed.
			c.Eventually("the pod finds no offer", func() string {
				text := c.Unscheduled("one")
				if strings.Contains(text, "no Mesos offer") || strings.Contains(text, "Mesos agent is to go down") {
					return ""
				}
				return "it says " + text
			})
		},
		meanwhile: func(c *cluster.Cluster) { c.Must(c.Mesos.ReactivateAgent(cluster.Host(0))) },
		then:      func(c *cluster.Cluster) { c.WaitBound("one") },
		launches:  1,
	}, {
		name: "batch open", args: slowBatches,
		reach: func(c *cluster.Cluster, s *cluster.Scheduler) {
			// A pod that another plugin turns away may yet join the batch.
			c.AddPod("other", "1", "1Gi", func(pod *v1.Pod) {
				pod.Spec.Volumes = []v1.Volume{{Name: "none", VolumeSource: v1.VolumeSource{
					PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "none"}}}}
			})
			c.AddPod("one", "1", "1Gi")
			c.WaitClaim(s, "one", "Reserved")
		},
		then: func(c *cluster.Cluster) {
			c.DeletePod("other")
			c.WaitBound("one")
		},
		launches: 1,
	}, {
		name:   "launch not started",
		config: func(config *mesosmaster.Config) { config.LaunchDelay = time.Second },
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			c.WaitTask("TASK_STAGING")
		},
		then:     func(c *cluster.Cluster) { c.WaitBound("one") },
		launches: 2,
	}, {
		name: "launch confirmed by an update that is under way",
		before: func(c *cluster.Cluster) *cluster.Hold {
			c.Mesos.Faults().DelayUpdates(time.Hour)
			return nil
		},
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			c.WaitTask("TASK_STAGING", "TASK_STARTING", "TASK_RUNNING")
		},
		meanwhile: func(c *cluster.Cluster) { c.Mesos.Faults().DelayUpdates(0) },
		then:      func(c *cluster.Cluster) { c.WaitBound("one") },
		launches:  2,
	}, {
		name:     "launch confirmed, binding never sent",
		before:   func(c *cluster.Cluster) *cluster.Hold { return c.HoldBindings(false) },
		reach:    func(c *cluster.Cluster, _ *cluster.Scheduler) { c.AddPod("one", "1", "1Gi") },
		then:     func(c *cluster.Cluster) { c.WaitBound("one") },
		launches: 2,
	}, {
		name:     "bound, and nobody was told",
		before:   func(c *cluster.Cluster) *cluster.Hold { return c.HoldBindings(true) },
		reach:    func(c *cluster.Cluster, _ *cluster.Scheduler) { c.AddPod("one", "1", "1Gi") },
		launches: 1,
	}, {
		name: "pods running",
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			c.AddPod("two", "2", "1Gi")
			c.WaitBound("one", "two")
			c.SetPhase("one", v1.PodRunning)
		},
		launches: 2,
	}, {
		name:   "task being killed",
		config: func(config *mesosmaster.Config) { config.KillDelay = time.Second },
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			c.WaitBound("one")
			c.DeletePod("one")
			c.WaitCalls("KILL", 1)
		},
		launches: 1,
	}, {
		name: "pod deleted while no scheduler runs",
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			c.WaitBound("one")
			c.WaitSettled()
		},
		meanwhile: func(c *cluster.Cluster) { c.DeletePod("one") },
		only:      "killed",
		launches:  1,
	}, {
		name: "pod finished while no scheduler runs",
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			c.WaitBound("one")
			c.WaitSettled()
		},
		meanwhile: func(c *cluster.Cluster) { c.SetPhase("one", v1.PodFailed) },
		only:      "stopped",
		launches:  1,
	}, {
		name: "task lost while no scheduler runs",
		reach: func(c *cluster.Cluster, _ *cluster.Scheduler) {
			c.AddPod("one", "1", "1Gi")
			c.AddPod("two", "1", "1Gi")
			c.WaitBound("one", "two")
			c.WaitSettled()
		},
		meanwhile: func(c *cluster.Cluster) { c.Must(c.Mesos.LoseTask(c.Task("one").TaskID)) },
		then: func(c *cluster.Cluster) {
			c.WaitGone("one")
			c.WaitEvent("one", "MesosTaskLost", "TASK_GONE")
		},
		launches: 2,
	},
}

// TestRestart ends the scheduler at each step of a pod's way, as a crash and in
// good order, and starts another one.
func TestRestart(t *testing.T) {
	kube := cluster.StartKube(t)
	ends := map[string]func(*cluster.Scheduler) error{
		"killed":  func(s *cluster.Scheduler) error { s.Kill(); return nil },
		"stopped": func(s *cluster.Scheduler) error { return s.Stop(context.Background()) },
	}
	for _, r := range restarts {
		for _, how := range []string{"killed", "stopped"} {
			if r.only != "" && r.only != how {
				continue
			}
			t.Run(r.name+", "+how, func(t *testing.T) {
				config := cluster.Quick()
				if r.config != nil {
					r.config(&config)
				}
				c := kube.New(t, 1, config)
				c.Args = r.args
				r.play(c, ends[how])
			})
		}
	}
	leadership(t, kube)
}

func (r *restart) play(c *cluster.Cluster, end func(*cluster.Scheduler) error) {
	var hold *cluster.Hold
	if r.before != nil {
		hold = r.before(c)
	}
	s := c.StartScheduler()
	r.reach(c, s)
	if hold != nil {
		c.WaitHeld("the binding", hold)
	}
	bound := boundPods(c)
	id := frameworkID(c)
	c.Must(end(s))
	if r.meanwhile != nil {
		r.meanwhile(c)
	}
	c.API = nil
	c.StartScheduler()
	c.WaitCalls("SUBSCRIBE", 2)
	if r.then != nil {
		r.then(c)
	}
	c.WaitSettled()
	for name, was := range bound {
		is := c.Pod(name)
		if is == nil {
			continue // deleted or evicted, as the scenario says
		}
		if is.UID != was.UID || is.Spec.NodeName != was.Spec.NodeName || is.Annotations["kube-mesos.io/task-id"] != was.Annotations["kube-mesos.io/task-id"] {
			c.T.Errorf("pod %s was on %s with %v, is on %s with %v", name, was.Spec.NodeName, was.Annotations, is.Spec.NodeName, is.Annotations)
		}
	}
	if again := frameworkID(c); again != id {
		c.T.Errorf("the next scheduler is framework %s, the one before was %s", again, id)
	}
	c.WaitIdle()
	c.Finish()
	if n := len(c.Launched()); n != r.launches {
		c.T.Errorf("%d tasks launched, want %d: %v", n, r.launches, c.Launched())
	}
}

func boundPods(c *cluster.Cluster) map[string]v1.Pod {
	bound := map[string]v1.Pod{}
	for _, pod := range c.Pods() {
		if pod.Spec.NodeName != "" {
			bound[pod.Name] = pod
		}
	}
	return bound
}

// frameworkID returns the id of the only framework the master knows, which must
// be the one that is stored.
func frameworkID(c *cluster.Cluster) string {
	c.T.Helper()
	frameworks := c.Mesos.Frameworks()
	if len(frameworks) != 1 {
		c.T.Fatalf("the master knows %d frameworks, want one: %+v", len(frameworks), frameworks)
	}
	stored, err := c.Client.CoreV1().ConfigMaps("kube-system").Get(c.T.Context(), c.Namespace+"-framework", metav1.GetOptions{})
	c.Must(err)
	if id := stored.Data["frameworkID"]; id != frameworks[0].ID {
		c.T.Fatalf("stored is framework %q, the master knows %q", id, frameworks[0].ID)
	}
	return frameworks[0].ID
}

// leadership tells who of several schedulers talks to the master.
func leadership(t *testing.T, kube *cluster.Kube) {
	t.Run("a leader subscribes at once, suppressed", func(t *testing.T) {
		c := kube.New(t, 2, cluster.Quick())
		c.StartScheduler()
		c.Eventually("subscribed", func() string {
			if f := c.Mesos.Frameworks(); len(f) != 1 || !f[0].Connected {
				return "no framework"
			}
			return ""
		})
		for _, call := range c.Mesos.Calls() {
			if call.Type != "SUBSCRIBE" {
				continue
			}
			if got := call.Call.Subscribe.SuppressedRoles; len(got) != 1 || got[0] != "*" {
				t.Errorf("SUBSCRIBE with suppressed roles %v, want [*]", got)
			}
		}
		c.WaitIdle()
		if n := c.Mesos.CallCount("DECLINE"); n != 0 {
			t.Errorf("%d DECLINEs: offers were made although nobody wanted any", n)
		}
	})
	t.Run("a standby never subscribes", func(t *testing.T) {
		c := kube.New(t, 1, cluster.Quick())
		standby := c.BuildScheduler(false)
		c.AddPod("one", "1", "1Gi")
		c.StartScheduler()
		c.WaitBound("one")
		c.WaitSettled()
		if err := standby.Runtime.Ready(); err != nil {
			t.Errorf("a standby is not ready: %v", err)
		}
		c.Finish()
		if n := c.Mesos.CallCount("SUBSCRIBE"); n != 1 {
			t.Errorf("%d SUBSCRIBEs, want the leader's only", n)
		}
	})
	t.Run("who is taken over steps down", func(t *testing.T) {
		c := kube.New(t, 1, cluster.Quick())
		first := c.StartScheduler()
		c.AddPod("one", "1", "1Gi")
		c.WaitBound("one")
		c.WaitSettled()
		id := frameworkID(c)
		c.StartScheduler()
		select {
		case err := <-first.Runtime.Fatal():
			if !errors.Is(err, mesosoffers.ErrTakenOver) {
				t.Fatalf("fatal error is %v, want ErrTakenOver", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("the first instance was not told to step down")
		}
		if err := first.Runtime.Ready(); !errors.Is(err, mesosoffers.ErrTakenOver) {
			t.Errorf("the first instance's readiness is %v, want ErrTakenOver", err)
		}
		// Both look at the pod now, and only the second can place it.
		c.AddPod("two", "1", "1Gi")
		c.WaitBound("two")
		c.WaitSettled()
		c.Finish()
		if again := frameworkID(c); again != id {
			t.Errorf("the second instance is framework %s, the first was %s", again, id)
		}
		if n := c.Mesos.CallCount("SUBSCRIBE"); n != 2 {
			t.Errorf("%d SUBSCRIBEs, want one of each instance", n)
		}
	})
}
