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
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/neighbour"
)

func TestMessages(t *testing.T) {
	kube := cluster.StartKube(t)
	for _, test := range []struct {
		name  string
		nodes int
		play  func(*cluster.Cluster)
	}{
		{"no offer, as agents are full", 2, agentsFull},
		{"offers too small", 3, offersTooSmall},
		{"agents too small", 3, agentsTooSmall},
		{"a resource that Mesos cannot give", 1, unsupportedResource},
		{"the master is not there", 1, masterMissing},
		{"a pod that fits later is woken by the offer", 1, fitsLater},
		{"idle after work", 3, idle},
		{"a pod too big for any machine hoards nothing", 2, tooBig},
	} {
		t.Run(test.name, func(t *testing.T) { test.play(kube.New(t, test.nodes, cluster.Quick())) })
	}
}

// agentsFull: nothing is left of one agent to be offered, and one node has none.
func agentsFull(c *cluster.Cluster) {
	c.AddNode("bare")
	c.StartScheduler()
	for i := range 2 {
		c.AddPod(fmt.Sprintf("full-%d", i), "4", "8Gi")
	}
	c.WaitBound("full-0", "full-1")
	// Which nodes are agents is known a moment after the subscription began.
	c.AddPod("early", "1", "1Gi")
	c.WaitUnscheduled("early", "0/3 nodes are available: 2 no Mesos offer, 1 not a Mesos agent")
	c.AddPod("more", "1", "1Gi")
	c.WaitUnscheduled("more", "0/3 nodes are available: 2 no Mesos offer, 1 not a Mesos agent")
	// An event keeps the text of its first time: repetitions are only counted.
	c.Eventually("the event tells the same", func() string {
		notes := c.EventNotes("more", "FailedScheduling")
		for _, note := range notes {
			if strings.Contains(note, "0/3 nodes are available: 2 no Mesos offer, 1 not a Mesos agent") {
				return ""
			}
		}
		return fmt.Sprintf("%q", notes)
	})
	c.Finish()
}

// offersTooSmall: offers are held for another pod, which cannot use them yet, and
// do not hold the pods that look at them.
func offersTooSmall(c *cluster.Cluster) {
	c.Args = "      offers: {maxHold: 5m}\n"
	c.StartScheduler()
	for i := range 3 {
		c.AddPod(fmt.Sprintf("part-%d", i), "3", "4Gi")
	}
	c.WaitBound("part-0", "part-1", "part-2")
	c.AddBystander()
	c.Eventually("offers of all agents", func() string {
		if n := len(c.Mesos.OutstandingOffers()); n != 3 {
			return fmt.Sprintf("%d", n)
		}
		return ""
	})
	c.AddPod("cpu", "2", "1Gi")
	c.WaitUnscheduled("cpu", "0/3 nodes are available: 3 Mesos offer short of cpu")
	c.AddPod("memory", "1", "5Gi")
	c.WaitUnscheduled("memory", "0/3 nodes are available: 3 Mesos offer short of memory")
	c.Finish()
}

// agentsTooSmall: what no agent could hold is told at once, be there offers or not.
func agentsTooSmall(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("cpu", "5", "1Gi")
	c.WaitUnscheduled("cpu", "0/3 nodes are available: 3 Mesos agent short of cpu")
	c.AddPod("memory", "1", "9Gi")
	c.WaitUnscheduled("memory", "0/3 nodes are available: 3 Mesos agent short of memory")
	c.AddPod("disk", "1", "1Gi", func(pod *v1.Pod) {
		pod.Spec.Containers[0].Resources.Requests[v1.ResourceEphemeralStorage] = resource.MustParse("20Gi")
	})
	c.WaitUnscheduled("disk", "0/3 nodes are available: 3 Mesos agent short of ephemeral-storage")
	c.Finish()
}

func unsupportedResource(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi", func(pod *v1.Pod) {
		gpus := v1.ResourceList{"example.com/gpu": resource.MustParse("1")}
		r := &pod.Spec.Containers[0].Resources
		r.Requests["example.com/gpu"], r.Limits = gpus["example.com/gpu"], gpus
	})
	c.WaitUnscheduled("one", "cannot be claimed from Mesos: example.com/gpu")
	// It is no demand: nothing Mesos offers could help.
	c.WaitIdle()
	c.Finish()
}

func masterMissing(c *cluster.Cluster) {
	c.Args = impatientArgs
	c.Mesos.Stop()
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitUnscheduled("one", "0/1 nodes are available: the Mesos master is not connected")
	c.Must(c.Mesos.StartAgain())
	c.WaitBound("one")
	c.WaitSettled()
	c.Finish()
}

// impatientArgs make the session try again soon.
const impatientArgs = "      session: {backoffInitial: 20ms, backoffMax: 100ms}\n"

// fitsLater: neither the scheduler's flush after five minutes nor an event of the
// API wakes the pod; the end of the other pod is seen only as an offer.
func fitsLater(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("first", "4", "8Gi")
	c.WaitBound("first")
	c.AddPod("second", "4", "8Gi")
	c.WaitUnscheduled("second", "0/1 nodes are available: 1 no Mesos offer")
	c.FinishPod("first")
	c.WaitBound("second")
	c.WaitSettled()
	c.Finish()
}

// idle: nothing is held and nothing asked for before, between and after pods.
func idle(c *cluster.Cluster) {
	c.StartScheduler()
	c.WaitCalls("SUBSCRIBE", 1)
	c.WaitIdle()
	for i := range 2 {
		name := fmt.Sprintf("pod-%d", i)
		c.AddPod(name, "1", "1Gi")
		c.WaitBound(name)
		c.WaitIdle()
		c.WaitSettled()
	}
	c.Finish()
}

// tooBig: a framework that can use the machines gets all of them.
func tooBig(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("big", "64", "1Gi")
	c.WaitUnscheduled("big", "0/2 nodes are available: 2 Mesos agent short of cpu")
	other, err := neighbour.New(neighbour.Config{URL: c.Mesos.URL(), Machines: 2})
	c.Must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- other.Run(ctx) }()
	c.T.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			c.T.Errorf("the neighbour failed: %v", err)
		}
	})
	c.Eventually("the neighbour has both machines", func() string {
		if s := other.Stats(); s.Running != 2 {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	})
	if pod := c.Pod("big"); pod.Spec.NodeName != "" {
		c.T.Errorf("a pod of 64 cpus was bound to %s", pod.Spec.NodeName)
	}
	cancel()
	c.Eventually("the neighbour gone", func() string {
		if n := len(c.LiveTasks()); n > 0 {
			return fmt.Sprintf("%d tasks left", n)
		}
		return ""
	})
	c.Finish()
}
