//go:build bench

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

package economy

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// Benchmarks on the stage of the tests. They take minutes and print tables, so that
// they are built with the tag bench only: make bench-offers.

// onePerAccept is a scheduler that sends an ACCEPT for each pod: others wait until the
// master offers the agent again, with its next allocation.
const onePerAccept = `
      offers: {maxTasksPerAccept: 1, batchLinger: 0s, maxBatchLinger: 0s, reviveEvery: 1h}
`

const (
	rounds = 3
	// fewAgents with bigAgent have room for all pods of a round at once.
	fewAgents = 10
	bigAgent  = "cpus:64;mem:262144;disk:100000"
	// The variant places few pods a second: its rate is measured with fewer.
	batchedPods, singlePods = 2000, 200
)

// TestBenchFewAgents: pods per second, from the creation of the first to the binding of
// the last, against one ACCEPT per pod, in turns.
func TestBenchFewAgents(t *testing.T) {
	kube := cluster.StartKube(t)
	var batched, single []float64
	for round := range rounds {
		for _, v := range []struct {
			args string
			pods int
			into *[]float64
		}{{"      offers: {}\n", batchedPods, &batched}, {onePerAccept, singlePods, &single}} {
			t.Run(fmt.Sprintf("%d pods, round %d", v.pods, round+1), func(t *testing.T) {
				*v.into = append(*v.into, throughput(t, kube, v.args, v.pods))
			})
		}
	}
	if len(batched) < rounds || len(single) < rounds {
		t.Fatal("rounds are missing")
	}
	t.Logf("pods/s on %d agents, allocation interval 1 s (median of %d rounds: all)", fewAgents, rounds)
	t.Logf("  %-32s %8.1f  %.1f", fmt.Sprintf("batched, %d pods", batchedPods), median(batched), batched)
	t.Logf("  %-32s %8.1f  %.1f", fmt.Sprintf("one ACCEPT per pod, %d pods", singlePods), median(single), single)
	t.Logf("  ratio %.1f", median(batched)/median(single))
}

func throughput(t *testing.T, kube *cluster.Kube, args string, pods int) float64 {
	c := stage(t, kube, fewAgents, recording(time.Second), bigAgent)
	c.Args = args
	waitAgents(c, c.StartScheduler())
	c.WaitIdle()
	seen := watchBindings(c)
	begun := time.Now()
	addPods(c, "pod", pods, "100m", "64Mi")
	took := seen.last(pods).Sub(begun)
	accepts := len(calls(c, begun, "ACCEPT"))
	t.Logf("%d pods in %v: %v, %.1f launches per ACCEPT", pods, took.Round(time.Millisecond), counts(c, begun), float64(len(c.Launched()))/float64(max(accepts, 1)))
	c.WaitSettled()
	return float64(pods) / took.Seconds()
}

// TestBenchFirstPod: the time from the creation of one pod to its binding, while all is
// suppressed and nothing is held.
func TestBenchFirstPod(t *testing.T) {
	const pods = 200
	kube := cluster.StartKube(t)
	for _, interval := range []time.Duration{time.Second, 250 * time.Millisecond} {
		t.Run(interval.String(), func(t *testing.T) {
			c := stage(t, kube, fewAgents, recording(interval), bigAgent)
			c.Args = `
      offers: {idleGrace: 100ms}
`
			waitAgents(c, c.StartScheduler())
			seen := watchBindings(c)
			var took []time.Duration
			for i := range pods {
				c.WaitIdle()
				begun := time.Now()
				c.AddPod(fmt.Sprintf("pod-%03d", i), "100m", "64Mi")
				took = append(took, seen.last(i+1).Sub(begun))
			}
			slices.Sort(took)
			t.Logf("first pod from idle, %d times, allocation interval %v: p50 %v, p99 %v, most %v", pods, interval,
				took[pods/2].Round(time.Millisecond), took[pods*99/100].Round(time.Millisecond), took[pods-1].Round(time.Millisecond))
			if limit := interval + 50*time.Millisecond; took[pods*99/100] > limit {
				t.Errorf("p99 is above %v", limit)
			}
		})
	}
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// bindings tells when pods were bound, as a watcher of the API server sees it.
type bindings struct {
	c     *cluster.Cluster
	times chan time.Time
	seen  int
	at    time.Time
}

func watchBindings(c *cluster.Cluster) *bindings {
	c.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	open := func() watch.Interface {
		w, err := c.Client.CoreV1().Pods(c.Namespace).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			return nil
		}
		return w
	}
	b := &bindings{c: c, times: make(chan time.Time, batchedPods)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		bound := map[string]bool{}
		// The API server ends watches that fall behind. A new one tells of all pods.
		for w := open(); w != nil; w = open() {
			for e := range w.ResultChan() {
				pod, ok := e.Object.(*v1.Pod)
				if !ok || e.Type == watch.Deleted || pod.Spec.NodeName == "" || bound[pod.Name] {
					continue
				}
				bound[pod.Name] = true
				b.times <- time.Now()
			}
		}
	}()
	c.T.Cleanup(func() {
		cancel()
		<-done
	})
	return b
}

// last waits until n pods are bound and returns when the last one was.
func (b *bindings) last(n int) time.Time {
	b.c.T.Helper()
	for ; b.seen < n; b.seen++ {
		select {
		case b.at = <-b.times:
		case <-time.After(2 * time.Minute):
			b.c.T.Fatalf("%d of %d pods are bound, and no more for 2 minutes", b.seen, n)
		}
	}
	return b.at
}
