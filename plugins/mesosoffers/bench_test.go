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

package mesosoffers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

const benchNodes = 10000

// benchWorld has 10,000 nodes with an offer each; fitting of them, evenly spread,
// have plenty, and the others too little of cpu or memory, at random.
func benchWorld(b *testing.B, fitting int) *world {
	w := newWorld(b, testArgs(b))
	w.subscribe()
	random := rand.New(rand.NewPCG(1, 1))
	w.addNodes(benchNodes, func(i int) resources.Vector {
		if fitting > 0 && i%(benchNodes/fitting) == 0 {
			return cm(64000, 256000000)
		}
		return []resources.Vector{cm(10, 256000000), cm(64000, 10)}[random.IntN(2)]
	})
	return w
}

// BenchmarkFilter judges one node of 10,000 after another, in a cycle in which all
// nodes are judged: in the order of the scheduler's list, as the scheduler does,
// and at random, where hardly anything is in the processor's caches.
func BenchmarkFilter(b *testing.B) {
	inOrder := make([]int, benchNodes)
	for i := range inOrder {
		inOrder[i] = i
	}
	for name, order := range map[string][]int{"list": inOrder, "random": rand.New(rand.NewPCG(2, 2)).Perm(benchNodes)} {
		b.Run(name, func(b *testing.B) {
			w := benchWorld(b, benchNodes)
			ctx, cycle, pod := context.Background(), w.fullCycle(), podOf("p").Obj()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if status := w.Filter(ctx, cycle, pod, w.infos[order[i]]); status != nil {
					b.Fatal(status)
				}
				if i++; i == len(order) {
					i = 0
				}
			}
		})
	}
}

// BenchmarkPreFilter reads the offers of 10,000 agents for one pod.
func BenchmarkPreFilter(b *testing.B) {
	plain := podOf("p").Obj()
	choosy := podOf("p").NodeAffinityIn("zone", []string{"a"}, st.NodeSelectorTypeMatchExpressions).Obj()
	for _, test := range []struct {
		name    string
		fitting int
		pod     *v1.Pod
		names   int
		code    fwk.Code
	}{
		{"narrowed/100fit", 100, choosy, 100, fwk.Success},
		{"nonefit", 0, plain, -1, fwk.UnschedulableAndUnresolvable},
		{"limited/allfit", benchNodes, plain, 128, fwk.Success},
		{"skipped/allfit", benchNodes, choosy, -1, fwk.Skip},
		{"full/halffit", benchNodes / 2, choosy, -1, fwk.Success},
	} {
		b.Run(test.name, func(b *testing.B) {
			w := benchWorld(b, test.fitting)
			w.addPod(test.pod)
			ctx, cycle := context.Background(), framework.NewCycleState()
			b.ReportAllocs()
			for b.Loop() {
				result, status := w.PreFilter(ctx, cycle, test.pod, w.infos)
				if status.Code() != test.code || (test.names >= 0) != (result != nil) || (result != nil && len(result.NodeNames) != test.names) {
					b.Fatalf("%v, %v", result, status)
				}
			}
		})
	}
}

// BenchmarkReserve reserves for one pod on each of 10,000 nodes in turn, and gives
// everything back.
func BenchmarkReserve(b *testing.B) {
	w := benchWorld(b, benchNodes)
	ctx := context.Background()
	pods, cycles, nodes := make([]*v1.Pod, benchNodes), make([]fwk.CycleState, benchNodes), make([]string, benchNodes)
	for i, at := range rand.New(rand.NewPCG(3, 3)).Perm(benchNodes) {
		pods[i], cycles[i], nodes[i] = w.addPod(podOf(fmt.Sprint("p", i)).Obj()), w.fullCycle(), fmt.Sprint("n", at)
	}
	reserve := func(b *testing.B, i int) {
		if status := w.Reserve(ctx, cycles[i], pods[i], nodes[i]); status != nil {
			b.Fatal(status)
		}
	}
	unreserve := func(_ *testing.B, i int) { w.Unreserve(ctx, cycles[i], pods[i], nodes[i]) }
	// run measures one of them on all pods, and then does the other on those.
	run := func(name string, measured, other func(*testing.B, int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				measured(b, i)
				if i++; i == benchNodes {
					b.StopTimer()
					for i = range i {
						other(b, i)
					}
					i = 0
					b.StartTimer()
				}
			}
			b.StopTimer()
			for i := range i {
				other(b, i)
			}
		})
	}
	run("Reserve", reserve, unreserve)
	for i := range pods {
		reserve(b, i)
	}
	run("Unreserve", unreserve, reserve)
	for i := range pods {
		unreserve(b, i)
	}
}

// BenchmarkOffers takes in one event of 10,000 offers.
func BenchmarkOffers(b *testing.B) {
	for _, test := range []struct {
		name   string
		asleep int
		fresh  bool
	}{{"known agents", 0, false}, {"known agents, 1000 pods asleep", 1000, false}, {"new subscription", 0, true}} {
		b.Run(test.name, func(b *testing.B) {
			w := benchWorld(b, benchNodes)
			list := make([]offers.Offer, 0, benchNodes)
			for i := range benchNodes {
				list = append(list, w.offer(fmt.Sprint("n", i), lots))
			}
			pods := make([]*v1.Pod, test.asleep)
			for i := range pods {
				pods[i] = w.addPod(podOf(fmt.Sprint("p", i)).Obj())
			}
			cache := w.manager.Cache()
			before := func() {
				if test.fresh {
					w.manager.Disconnected(nil)
					w.subscribe()
				} else {
					cache.Sweep(time.Now(), func(offers.Held) bool { return true })
				}
				for _, pod := range pods {
					w.manager.Park(pod, w.manager.Begin(pod).Seen)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				before()
				w.handle.takeActivated()
				b.StartTimer()
				w.manager.Offers(list)
			}
			if held, _ := cache.Totals(); held != benchNodes || len(w.handle.takeActivated()) != test.asleep {
				b.Fatalf("%d offers are held, %d pods should have been woken", held, test.asleep)
			}
		})
	}
}
