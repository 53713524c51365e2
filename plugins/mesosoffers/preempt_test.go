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
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	internalcache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	internalqueue "k8s.io/kubernetes/pkg/scheduler/backend/queue"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultbinder"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/queuesort"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	tf "k8s.io/kubernetes/pkg/scheduler/testing/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// realFramework is the scheduler's own framework around the world's plugin, with
// DefaultPreemption: what a cycle does, step by step.
type realFramework struct {
	*world
	framework.Framework
}

// frame shows the framework these pods, which are on nodes or nominated for some.
func (w *world) frame(pods ...*v1.Pod) *realFramework {
	w.t.Helper()
	metrics.Register()
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(func() {
		cancel()
		w.pass(2 * time.Second) // until the framework's recorder of metrics sees it
	})
	var nodes []*v1.Node
	for _, info := range w.infos {
		nodes = append(nodes, info.Node())
	}
	var placed []*v1.Pod
	queue := internalqueue.NewSchedulingQueue(nil, w.handle.informer)
	for _, pod := range pods {
		_ = w.handle.informer.Core().V1().Pods().Informer().GetIndexer().Add(pod)
		_ = w.handle.api.Tracker().Add(pod)
		if pod.Spec.NodeName != "" {
			placed = append(placed, pod)
		} else if pod.Status.NominatedNodeName != "" {
			queue.Add(w.runtime.logger, pod)
		}
	}
	built, err := tf.NewFramework(ctx, []tf.RegisterPluginFunc{
		tf.RegisterQueueSortPlugin(queuesort.Name, queuesort.New),
		tf.RegisterBindPlugin(defaultbinder.Name, defaultbinder.New),
		tf.RegisterPluginAsExtensions(Name, func(context.Context, apiruntime.Object, framework.Handle) (framework.Plugin, error) {
			return w.Plugin, nil
		}, "PreFilter", "Filter"),
		tf.RegisterPluginAsExtensions(defaultpreemption.Name, func(ctx context.Context, _ apiruntime.Object, h framework.Handle) (framework.Plugin, error) {
			return defaultpreemption.New(ctx, &schedulerconfig.DefaultPreemptionArgs{MinCandidateNodesPercentage: 100, MinCandidateNodesAbsolute: 100}, h, feature.Features{})
		}),
		func(_ *frameworkruntime.Registry, p *schedulerconfig.KubeSchedulerProfile) {
			p.Plugins.PostFilter.Enabled = []schedulerconfig.Plugin{{Name: Name}, {Name: defaultpreemption.Name}}
		},
	}, profile, frameworkruntime.WithClientSet(w.handle.api), frameworkruntime.WithEventRecorder(w.handle.events),
		frameworkruntime.WithInformerFactory(w.handle.informer), frameworkruntime.WithPodNominator(queue), frameworkruntime.WithWaitingPods(frameworkruntime.NewWaitingPodsMap()),
		frameworkruntime.WithSnapshotSharedLister(internalcache.NewSnapshot(placed, nodes)), frameworkruntime.WithLogger(w.runtime.logger))
	if err != nil {
		w.t.Fatal(err)
	}
	return &realFramework{w, built}
}

// outcome is how a cycle ended.
type outcome struct {
	fits      []string
	nominated string
	// cleared tells that the pod's nomination is to be taken back.
	cleared bool
	victims []string
}

// cycle runs PreFilter, Filter on all nodes and, if none does, PostFilter.
func (f *realFramework) cycle(pod *v1.Pod) (o outcome) {
	f.t.Helper()
	ctx, state := context.Background(), framework.NewCycleState()
	before := f.gone()
	result, status, _ := f.RunPreFilterPlugins(ctx, state, pod)
	diagnosis := framework.NewDefaultNodeToStatus()
	if !status.IsSuccess() {
		diagnosis.SetAbsentNodesStatus(status)
	} else {
		if !result.AllNodes() {
			diagnosis.SetAbsentNodesStatus(fwk.NewStatus(fwk.UnschedulableAndUnresolvable))
		}
		for _, info := range f.infos {
			snapshot, err := f.SnapshotSharedLister().NodeInfos().Get(info.Node().Name)
			if err != nil {
				f.t.Fatal(err)
			}
			if name := info.Node().Name; result.AllNodes() || result.NodeNames.Has(name) || pod.Status.NominatedNodeName == name {
				if status := f.RunFilterPluginsWithNominatedPods(ctx, state, pod, snapshot); status.IsSuccess() {
					o.fits = append(o.fits, name)
				} else {
					diagnosis.Set(name, status)
				}
			}
		}
	}
	if len(o.fits) > 0 {
		return o
	}
	post, status := f.RunPostFilterPlugins(ctx, state, pod, diagnosis)
	if status.Code() == fwk.Error {
		f.t.Errorf("PostFilter: %v", status)
	}
	if post != nil && post.NominatingInfo != nil {
		o.nominated = post.NominatedNodeName
		o.cleared = post.NominatedNodeName == ""
	}
	for _, name := range f.gone() {
		if !slices.Contains(before, name) {
			o.victims = append(o.victims, name)
		}
	}
	slices.Sort(o.victims)
	return o
}

// gone lists the pods that were deleted.
func (f *realFramework) gone() (names []string) {
	for _, action := range f.handle.api.Actions() {
		if d, ok := action.(interface{ GetName() string }); ok && action.GetVerb() == "delete" && action.GetResource().Resource == "pods" {
			names = append(names, d.GetName())
		}
	}
	return names
}

// place makes a pod of the priority hold its claim on the node, all of whose offer is
// gone then, and returns it as it is bound.
func (w *world) place(name, node, cpu string, priority int32) *v1.Pod {
	w.t.Helper()
	made := w.addPod(sized(name, cpu, priority))
	w.manager.Offers([]offers.Offer{w.offer(node, w.manager.NeedOf(made).Vector)})
	cycle := w.hold(made, node)
	w.PostBind(context.Background(), cycle, made, node)
	bound := made.DeepCopy()
	bound.Spec.NodeName = node
	return bound
}

func highPod(name, cpu string) *v1.Pod { return sized(name, cpu, 100) }

func sized(name, cpu string, priority int32) *v1.Pod {
	pod := podOf(name).Priority(priority).Obj()
	pod.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse(cpu)
	return pod
}

// want compares a cycle's outcome.
func (o outcome) want(t *testing.T, when, nominated string, victims ...string) {
	t.Helper()
	if o.nominated != nominated || !slices.Equal(o.victims, victims) || len(o.fits) > 0 {
		t.Errorf("%s: nominated %q, victims %v, fitting %v; want %q, %v", when, o.nominated, o.victims, o.fits, nominated, victims)
	}
}

func TestPreemptionAfterStarvationOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, name := range []string{"n0", "n1", "n2"} {
			w.addNode(name)
		}
		// n0 could give two cores, one of a more important pod; n1 half a core; the pods of
		// n2 hold nothing of Mesos.
		pods := []*v1.Pod{w.place("a", "n0", "1", 5), w.place("b", "n0", "1", 6), w.place("c", "n1", "500m", 1)}
		for i := range 3 {
			theirs := podOf(fmt.Sprintf("their%d", i)).SchedulerName("default-scheduler").Priority(0).Node("n2").Obj()
			pods = append(pods, theirs)
		}
		pods = append(pods, w.addPod(podOf("claimless").Priority(0).Node("n2").Obj()))
		high := w.addPod(highPod("high", "1"))
		f := w.frame(append(pods, high)...)
		f.cycle(high).want(t, "at first", "")
		w.pass(29 * time.Second)
		f.cycle(high).want(t, "before the timeout", "")
		w.handle.takeActivated()
		w.pass(1500 * time.Millisecond)
		if got := w.handle.takeActivated(); !slices.Contains(got, "ns/high") {
			t.Errorf("after the timeout these pods are tried: %v", got)
		}
		f.cycle(high).want(t, "after the timeout", "n0", "a")
		// Its victim ends, and the offer is late.
		high = high.DeepCopy()
		high.Status.NominatedNodeName = "n0"
		w.addPod(high)
		w.manager.PodHandler(w.runtime.mine).OnDelete(pods[0])
		f = w.frame(pods[1], pods[2], high)
		w.pass(29 * time.Second)
		if o := f.cycle(high); o.nominated != "" || o.cleared || len(o.victims) > 0 {
			t.Errorf("while the offer is late: %+v", o)
		}
	})
}

func TestNobodyIsPreemptedInVain(t *testing.T) {
	never := v1.PreemptNever
	for _, test := range []struct {
		name   string
		change func(w *world, high *v1.Pod)
	}{
		{"for a pod that must not preempt", func(_ *world, high *v1.Pod) { high.Spec.PreemptionPolicy = &never }},
		{"of the same priority", func(_ *world, high *v1.Pod) { *high.Spec.Priority = 5 }},
		{"if it does not suffice", func(_ *world, high *v1.Pod) {
			high.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse("3")
		}},
		{"while the master is not connected", func(w *world, _ *v1.Pod) { w.manager.Disconnected(nil) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.addNode("n0")
				pods := []*v1.Pod{w.place("a", "n0", "1", 5), w.place("b", "n0", "1", 5)}
				high := highPod("high", "2")
				test.change(w, high)
				w.addPod(high)
				f := w.frame(append(pods, high)...)
				for range 5 {
					f.cycle(high).want(t, "cycle", "")
					w.pass(20 * time.Second)
				}
			})
		})
	}
}

// A nominated pod gets its node's next offer, which lower ones do not pass.
func TestNominatedPodGetsTheOffer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNode("n0")
		w.addNode("n1")
		var sleeping []*v1.Pod
		high := highPod("high", "1")
		high.Status.NominatedNodeName = "n0"
		for i := range 10 {
			sleeping = append(sleeping, w.addPod(podOf(fmt.Sprintf("low%d", i)).Priority(1).Obj()))
		}
		w.addPod(high)
		f := w.frame(append(sleeping, high)...)
		for _, pod := range append(sleeping, high) {
			f.cycle(pod).want(t, pod.Name, "")
		}
		w.handle.takeActivated()
		w.manager.Offers([]offers.Offer{w.offer("n0", cm(1000, 128000))})
		if got := w.handle.takeActivated(); !slices.Contains(got, "ns/high") {
			t.Errorf("the offer wakes %v", got)
		}
		f.cycle(sleeping[0]).want(t, "a lower one", "")
		if o := f.cycle(high); !slices.Equal(o.fits, []string{"n0"}) {
			t.Errorf("the nominated pod: %+v", o)
		}
		// An offer elsewhere does not make the node fit that it is nominated for.
		w.manager.Rescinded(fmt.Sprintf("o%d", w.offers))
		w.manager.Offers([]offers.Offer{w.offer("n1", lots)})
		if o := f.cycle(high); !slices.Equal(o.fits, []string{"n1"}) {
			t.Errorf("the nominated pod: %+v", o)
		}
	})
}

// Any sequence of pods assumed and assumed gone, taken back in any order, leaves
// nothing behind, whatever claims do meanwhile.
func TestOverlayIsSymmetric(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		o, start := overlay{}, overlay{}
		amount := func() resources.Bundle {
			return resources.Bundle{Vector: cm(random.Int64N(1000), random.Int64N(1000))}
		}
		type step struct {
			node  string
			pod   types.UID
			added bool
		}
		var done []step
		there := map[step]int{}
		apply := func(s step) {
			if s.added {
				o.add(s.node, s.pod, amount)
				there[step{node: s.node, pod: s.pod}]++
			} else {
				o.remove(s.node, s.pod, func() []resources.Portion { return []resources.Portion{{Bundle: amount()}} })
				there[step{node: s.node, pod: s.pod}]--
			}
		}
		for range 50 {
			s := step{fmt.Sprint("n", random.IntN(2)), types.UID(fmt.Sprint("p", random.IntN(5))), random.IntN(2) == 0}
			// A pod is on a node or is not: it is not added or removed twice.
			if n := there[step{node: s.node, pod: s.pod}]; s.added && n > 0 || !s.added && n < 0 {
				continue
			}
			copied := o.clone()
			before := fmt.Sprint(copied.sum(s.node, true).Taken, len(copied.sum(s.node, true).Given))
			apply(s)
			if after := fmt.Sprint(copied.sum(s.node, true).Taken, len(copied.sum(s.node, true).Given)); after != before {
				t.Fatalf("seed %d: a clone changed from %s to %s", seed, before, after)
			}
			done = append(done, s)
		}
		for _, s := range slices.Backward(done) {
			s.added = !s.added
			apply(s)
		}
		for _, node := range []string{"n0", "n1"} {
			got, want := o.sum(node, true), start.sum(node, true)
			if !got.Taken.Equal(&want.Taken) || len(got.Given) != 0 {
				t.Fatalf("seed %d: %s is left with %v", seed, node, got)
			}
		}
	}
}
