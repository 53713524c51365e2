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
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/neighbour"
)

const machines = 50

// sizes are what the pods ask for, in turn: 187.5m on average. A thousand need
// 187.5 cores. Machines of 4 cores lose less than 225m each to the largest size
// when nothing fits any more, so 50 of them always hold 188.75: the thousand fit
// in whatever order they come, and just so.
var sizes = []string{"150m", "175m", "200m", "225m"}

func TestScale(t *testing.T) {
	kube := cluster.StartKube(t)
	t.Run("a thousand pods that just fit", func(t *testing.T) { thousand(kube.New(t, machines, cluster.Quick())) })
	t.Run("a neighbour takes and returns half of the machines", func(t *testing.T) { shared(kube.New(t, machines, cluster.Quick())) })
}

// addPods makes n pods of mixed sizes, several at a time.
func addPods(c *cluster.Cluster, n int) {
	c.T.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, n)
	next := make(chan int)
	zero := int64(0)
	for range 8 {
		wg.Go(func() {
			for i := range next {
				_, err := c.Client.CoreV1().Pods(c.Namespace).Create(c.T.Context(), &v1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%04d", i)},
					Spec: v1.PodSpec{SchedulerName: cluster.SchedulerName, TerminationGracePeriodSeconds: &zero, Containers: []v1.Container{{
						Name: "main", Image: "none", Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
							v1.ResourceCPU: resource.MustParse(sizes[i%len(sizes)]), v1.ResourceMemory: resource.MustParse("256Mi")}}}}},
				}, metav1.CreateOptions{})
				errs <- err
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	close(errs)
	for err := range errs {
		c.Must(err)
	}
}

// waitBoundPods waits until n pods are bound, as long as it goes on: each eighth
// of them has as much time as any condition.
func waitBoundPods(c *cluster.Cluster, n int) {
	c.T.Helper()
	for part := 1; part <= 8; part++ {
		want := n * part / 8
		c.Eventually("tasks", func() string {
			if got := len(c.LiveTasks()); got < want {
				return fmt.Sprintf("%d of %d tasks", got, want)
			}
			return ""
		})
	}
	c.Eventually("pods bound", func() string {
		bound := 0
		for _, pod := range c.Pods() {
			if pod.Spec.NodeName != "" {
				bound++
			}
		}
		if bound < n {
			return fmt.Sprintf("%d of %d pods", bound, n)
		}
		return ""
	})
}

func deleteAll(c *cluster.Cluster) {
	c.T.Helper()
	zero := int64(0)
	c.Must(c.Client.CoreV1().Pods(c.Namespace).DeleteCollection(c.T.Context(), metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{}))
	c.WaitSettled()
	c.WaitIdle()
	c.Finish()
}

func thousand(c *cluster.Cluster) {
	const pods = 1000
	// Batches stay open for longer than the pauses of a busy test machine.
	c.Args = lingering
	addPods(c, pods)
	c.StartScheduler()
	waitBoundPods(c, pods)
	c.WaitSettled()
	c.WaitIdle()
	accepts, launched := c.Mesos.CallCount("ACCEPT"), len(c.Launched())
	c.T.Logf("%d pods: %d ACCEPTs, %d tasks launched, %d calls in all", pods, accepts, launched, c.Mesos.CallCount(""))
	if accepts >= pods/2 {
		c.T.Errorf("%d ACCEPTs for %d pods: too few pods share one", accepts, pods)
	}
	deleteAll(c)
}

// shared has another framework take half of the machines, return them and take
// them again, while we fill what is free: each gets its part.
func shared(c *cluster.Cluster) {
	const pods = 600
	other, err := neighbour.New(neighbour.Config{URL: c.Mesos.URL(), Machines: machines / 2, Hold: 500 * time.Millisecond, Rest: 200 * time.Millisecond})
	c.Must(err)
	ctx, leave := context.WithCancel(c.T.Context())
	left := make(chan error, 1)
	go func() { left <- other.Run(ctx) }()
	defer leave()
	taken := func(n int) {
		c.T.Helper()
		c.Eventually("the neighbour takes machines", func() string {
			if s := other.Stats(); s.Launched < n {
				return fmt.Sprintf("%+v, want %d launched", s, n)
			}
			return ""
		})
	}
	taken(machines / 2)

	addPods(c, pods)
	c.StartScheduler()
	// Half of the machines hold 4/5 of the pods, whatever the neighbour has.
	waitBoundPods(c, pods*4/5)
	// While a pod of ours waits in vain we want offers, and must not keep them.
	c.AddPod("too-big", "8", "256Mi")
	c.WaitUnscheduled("too-big", "Mesos agent short of cpu")
	taken(other.Stats().Launched + machines/2)
	if err := c.Mesos.CheckInvariants(); err != nil {
		c.T.Error(err)
	}

	leave()
	c.Must(<-left)
	waitBoundPods(c, pods)
	c.WaitSettled()
	c.DeletePod("too-big")
	c.WaitIdle()
	s := other.Stats()
	c.T.Logf("neighbour: %+v; %d ACCEPTs of both", s, c.Mesos.CallCount("ACCEPT"))
	if s.Lost > 0 {
		c.T.Errorf("the neighbour lost tasks: %+v", s)
	}
	deleteAll(c)
}
