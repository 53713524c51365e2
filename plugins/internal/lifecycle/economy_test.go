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

package lifecycle

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// economySeeds and economyFrom are the seeds that TestEconomy runs.
var (
	economySeeds = flag.Int("economy-seeds", 100, "how many worlds TestEconomy runs")
	economyFrom  = flag.Uint64("economy-from", 1, "the first seed of TestEconomy")
	economyLog   = flag.Bool("economy-log", false, "print all that happens in TestEconomy")
)

// economy is a world of pods, nodes and agents around a Manager: a model of the Mesos
// master with a neighbour, and one of the scheduler.
type economy struct {
	*Manager
	t      *testing.T
	seed   uint64
	rng    *rand.Rand
	market *market
	queue  *queue

	mu sync.Mutex
	// nodes are what the scheduler knows of them, hosts all that may exist.
	nodes map[string]*v1.Node
	begun time.Time
	log   []string
	wrong []string
	names int
	// watch are the states that must not last.
	watch *watch

	// informing orders what the manager is told of pods; ended are those that are gone.
	informing sync.Mutex
	ended     map[string]bool
}

// TestEconomy runs worlds of random events, and looks at what must hold in each.
func TestEconomy(t *testing.T) {
	for i := range *economySeeds {
		seed := *economyFrom + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runEconomy(t, seed) })
		})
	}
}

func runEconomy(t *testing.T, seed uint64) {
	w := newEconomy(t, seed)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	running.Go(func() { w.market.run(ctx) })
	running.Go(func() { w.queue.run(ctx) })
	defer func() {
		w.queue.close()
		cancel()
		running.Wait()
		if len(w.wrong) > 0 {
			if !*economyLog && len(w.log) > 150 {
				w.log = w.log[len(w.log)-150:]
			}
			t.Errorf("%s\n\nwhat happened:\n%s", strings.Join(w.wrong, "\n"), strings.Join(w.log, "\n"))
		}
	}()
	w.settle()
	for range 25 {
		if len(w.wrong) == 0 {
			w.happen()
			w.pass(time.Duration(w.rng.IntN(900)) * time.Millisecond)
		}
	}
	for _, part := range []func(){w.calm, w.still, w.idle, w.first, w.watch.calls} {
		if len(w.wrong) == 0 {
			part()
		}
	}
}

func newEconomy(t *testing.T, seed uint64) *economy {
	w := &economy{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), nodes: map[string]*v1.Node{}, begun: time.Now(), ended: map[string]bool{}}
	w.market, w.queue, w.watch = newMarket(w, rand.New(rand.NewPCG(seed, 2))), newQueue(w, rand.New(rand.NewPCG(seed, 3))), newWatch(w)
	cfg := testConfig()
	cfg.Terms = TermsConfig{Constraints: w.rng.IntN(5) > 0, MinAllocatable: w.rng.IntN(4) > 0, MaxHosts: 1 + w.rng.IntN(8)}
	if w.rng.IntN(2) == 0 {
		cfg.PredictedWait = 3 * time.Second
	}
	w.market.heeds = w.rng.IntN(5) > 0
	w.market.greed = []float64{0, 0.2, 0.6}[w.rng.IntN(3)]
	w.market.flaky = []float64{0, 0, 0.05}[w.rng.IntN(3)]
	w.Manager = New(cfg, fake.NewClientset(), events.NewFakeRecorder(100000), func(pods map[string]*v1.Pod) { w.queue.activate(pods) }, klog.Logger{})
	w.Attach(w.market, w.market, nil)
	for i, of := range []string{"", "batch", "web,batch", "batch,web"} {
		(&rig{Manager: w.Manager}).namespace(namespaceOf(i), of)
	}
	return w
}

func namespaceOf(i int) string { return []string{"web", "batch", "webfirst", "batchfirst"}[i] }

// note logs what happens.
func (w *economy) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%8s ", time.Since(w.begun).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// violated notes that something is not as it must be.
func (w *economy) violated(format string, args ...any) {
	w.note("WRONG: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) < 5 {
		w.wrong = append(w.wrong, fmt.Sprintf("%8s ", time.Since(w.begun).Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

// look is how often the invariants are looked at.
const look = 100 * time.Millisecond

// pass lets time pass, and looks at the invariants.
func (w *economy) pass(d time.Duration) { w.passIn(d, look) }

func (w *economy) passIn(d, step time.Duration) {
	for ; d > 0 && len(w.wrong) == 0; d -= step {
		time.Sleep(min(d, step))
		synctest.Wait()
		w.watch.look()
	}
}

// settle makes the world's first agents and nodes.
func (w *economy) settle() {
	for i := range 2 + w.rng.IntN(8) {
		w.nodeComes(fmt.Sprint("n", i))
		if w.rng.IntN(8) > 0 {
			w.agentComes(fmt.Sprint("n", i))
		}
	}
	w.market.subscribe()
	w.pass(2 * time.Second)
}

// happen makes something happen.
func (w *economy) happen() {
	hosts := slices.Sorted(maps.Keys(w.nodes))
	host := hosts[w.rng.IntN(len(hosts))]
	switch w.rng.IntN(16) {
	case 0, 1, 2, 3, 4:
		w.podsCome(1 + w.rng.IntN(5))
	case 5:
		w.podGoes(parked, queued, backoff, binding, cycling)
	case 6, 7:
		for range 3 {
			w.podGoes(bound)
		}
	case 8, 9:
		w.nodeChanges(host)
	case 10:
		w.agentGoes(host)
	case 11, 12:
		w.agentComes(host)
	case 13:
		w.market.mu.Lock()
		w.market.rescind(func(*marketOffer) bool { return w.market.rng.IntN(2) == 0 })
		w.market.mu.Unlock()
	case 14:
		w.nodeComes(fmt.Sprint("n", w.rng.IntN(12)))
	case 15:
		if w.rng.IntN(2) == 0 {
			w.market.disconnect()
			w.pass(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
			w.market.subscribe()
		} else if len(hosts) > 2 {
			w.nodeGoes(host)
		}
	}
}

// tell tells the manager and the scheduler of something, in any order.
func (w *economy) tell(manager, scheduler func()) {
	if w.rng.IntN(2) == 0 {
		manager, scheduler = scheduler, manager
	}
	manager()
	if w.rng.IntN(3) == 0 {
		time.Sleep(time.Duration(w.rng.IntN(2000)) * time.Microsecond)
	}
	scheduler()
}

// informed tells the manager of a pod.
func (w *economy) informed(pod *v1.Pod) {
	w.informing.Lock()
	defer w.informing.Unlock()
	if !w.ended[string(pod.UID)] {
		w.podChanged(pod)
	}
}

// informedOfEnd tells the manager of a pod's end.
func (w *economy) informedOfEnd(pod *v1.Pod) {
	w.informing.Lock()
	defer w.informing.Unlock()
	w.ended[string(pod.UID)] = true
	w.podGone(pod)
}

func (w *economy) podsCome(n int) {
	like := w.newPod()
	for range n {
		pod := like.DeepCopy()
		w.names++
		pod.Name = fmt.Sprint("p", w.names)
		pod.UID = types.UID("uid-" + pod.Name)
		w.note("pod %s/%s comes: %v, %v, tolerations %d", pod.Namespace, pod.Name, pod.Spec.Containers[0].Resources.Requests, pod.Spec.NodeSelector, len(pod.Spec.Tolerations))
		w.tell(func() { w.informed(pod) }, func() { w.queue.add(pod) })
	}
}

// newPod is a pod of any shape.
func (w *economy) newPod() *v1.Pod {
	req := map[v1.ResourceName]string{
		v1.ResourceCPU:    []string{"250m", "1", "2", "4"}[w.rng.IntN(4)],
		v1.ResourceMemory: []string{"16Mi", "128Mi", "1Gi"}[w.rng.IntN(3)],
	}
	pod := st.MakePod().Namespace(namespaceOf(w.rng.IntN(4))).Req(req).SchedulerName("kube-mesos")
	switch w.rng.IntN(4) {
	case 0:
		pod = pod.NodeSelector(map[string]string{"rack": fmt.Sprint("r", w.rng.IntN(3))})
	case 1:
		pod = pod.NodeSelector(map[string]string{v1.LabelHostname: fmt.Sprint("n", w.rng.IntN(8))})
	}
	if w.rng.IntN(3) == 0 {
		pod = pod.Toleration("dedicated")
	}
	if w.rng.IntN(8) == 0 {
		pod = pod.Label("picky", "yes")
	}
	return pod.Obj()
}

func (w *economy) podGoes(states ...queueState) {
	list := w.queue.in(states...)
	if len(list) == 0 {
		return
	}
	w.deletePod(list[w.rng.IntN(len(list))].pod)
}

func (w *economy) deletePod(pod *v1.Pod) {
	w.note("pod %s goes", pod.Name)
	w.tell(func() { w.informedOfEnd(pod) }, func() { w.queue.remove(string(pod.UID)) })
}

func (w *economy) nodeComes(name string) {
	if w.nodes[name] == nil {
		w.setNode(st.MakeNode().Name(name).Label(v1.LabelHostname, name).Label("rack", fmt.Sprint("r", w.rng.IntN(3))).Obj())
	}
}

// nodeChanges moves a node to another rack, or taints it or not.
func (w *economy) nodeChanges(name string) {
	node := w.nodes[name].DeepCopy()
	switch {
	case w.rng.IntN(2) == 0:
		node.Labels["rack"] = fmt.Sprint("r", w.rng.IntN(3))
	case len(node.Spec.Taints) > 0:
		node.Spec.Taints = nil
	default:
		node.Spec.Taints = []v1.Taint{{Key: "dedicated", Effect: v1.TaintEffectNoSchedule}}
	}
	w.setNode(node)
}

func (w *economy) setNode(node *v1.Node) {
	w.note("node %s: %s, %d taints", node.Name, node.Labels["rack"], len(node.Spec.Taints))
	w.tell(func() { w.nodeChanged(node) }, func() {
		w.mu.Lock()
		w.nodes[node.Name] = node
		w.mu.Unlock()
		w.queue.nodeChanged(node.Name)
	})
}

func (w *economy) nodeGoes(name string) {
	for _, p := range w.queue.in(bound) {
		if p.pod.Spec.NodeName == name {
			w.deletePod(p.pod)
		}
	}
	w.note("node %s goes", name)
	w.tell(func() { w.nodeGone(name) }, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.nodes, name)
	})
}

// agentOf returns the agent of a host, "" if there is none.
func (w *economy) agentOf(host string) string {
	w.market.mu.Lock()
	defer w.market.mu.Unlock()
	for id, a := range w.market.agents {
		if a.host == host {
			return id
		}
	}
	return ""
}

func (w *economy) agentComes(host string) {
	if w.agentOf(host) != "" {
		return
	}
	size := int64(1 + w.rng.IntN(8))
	attributes := map[string]string{}
	if node := w.nodes[host]; node != nil && w.rng.IntN(2) == 0 {
		attributes["rack"] = node.Labels["rack"]
	}
	w.market.addAgent(host, attributes, resources.Vector{resources.CPU: size * 1000, resources.Memory: size * 512_000})
}

func (w *economy) agentGoes(host string) {
	for _, p := range w.queue.in(bound) {
		if p.pod.Spec.NodeName == host {
			w.deletePod(p.pod)
		}
	}
	if id := w.agentOf(host); id != "" {
		w.market.removeAgent(id)
	}
}

// needOf is what a pod needs.
func needOf(pod *v1.Pod) resources.Vector {
	req := pod.Spec.Containers[0].Resources.Requests
	return resources.Vector{resources.CPU: req.Cpu().MilliValue(), resources.Memory: req.Memory().Value() >> 20 * 1000}
}
