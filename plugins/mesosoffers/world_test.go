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
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/scheme"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const profile = "kube-mesos"

// handle is as much of a profile as the plugin uses.
type handle struct {
	framework.Handle
	profile  string
	api      *fake.Clientset
	events   *events.FakeRecorder
	informer informers.SharedInformerFactory

	mu        sync.Mutex
	activated []string
}

func newHandle(profile string, objects ...apiruntime.Object) *handle {
	api := fake.NewClientset(objects...)
	return &handle{profile: profile, api: api, events: events.NewFakeRecorder(1000), informer: informers.NewSharedInformerFactory(api, 0)}
}

func (h *handle) ProfileName() string                                    { return h.profile }
func (h *handle) ClientSet() clientset.Interface                         { return h.api }
func (h *handle) EventRecorder() events.EventRecorder                    { return h.events }
func (h *handle) SharedInformerFactory() informers.SharedInformerFactory { return h.informer }
func (h *handle) Activate(_ klog.Logger, pods map[string]*v1.Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.activated = append(h.activated, slices.Sorted(maps.Keys(pods))...)
}

// takeActivated returns the pods activated since it was last called.
func (h *handle) takeActivated() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.activated
	h.activated = nil
	return list
}

// master answers every call at once, with err.
type master struct {
	mu       sync.Mutex
	err      error
	launched []string
	killed   []string
}

func (f *master) answer() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *master) Accept(_ context.Context, l mesos.Launch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, task := range l.Tasks {
		f.launched = append(f.launched, task.ID)
	}
	return f.err
}

func (f *master) Kill(_ context.Context, task mesos.TaskRef) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed = append(f.killed, task.TaskID)
	return f.err
}
func (f *master) Decline(context.Context, []string, time.Duration) error { return f.answer() }
func (f *master) Revive(context.Context, ...string) error                { return f.answer() }
func (f *master) Suppress(context.Context, ...string) error              { return f.answer() }
func (f *master) UpdateRoles(context.Context, []mesos.RoleAsk) error     { return f.answer() }
func (f *master) Unreserve(context.Context, mesos.UnreserveCall) error   { return f.answer() }
func (f *master) AnswerInverse(context.Context, bool, []string, time.Duration) error {
	return f.answer()
}
func (f *master) ReleaseAck(string)                                 {}
func (f *master) Reconcile(context.Context, ...mesos.TaskRef) error { return f.answer() }

// world is a plugin between a fake API server and a fake master.
type world struct {
	*Plugin
	t      testing.TB
	handle *handle
	master *master
	nodes  map[string]fwk.NodeInfo
	infos  []fwk.NodeInfo
	offers int
}

func testArgs(t testing.TB) *config.MesosOffersArgs {
	t.Helper()
	args, err := scheme.DefaultArgs("master.example:5050")
	if err != nil {
		t.Fatal(err)
	}
	return args
}

func newWorld(t testing.TB, args *config.MesosOffersArgs, objects ...apiruntime.Object) *world {
	t.Helper()
	w := &world{t: t, handle: newHandle(profile, objects...), master: &master{}, nodes: map[string]fwk.NodeInfo{}}
	ctx, cancel := context.WithCancel(context.Background())
	built, err := NewRuntime().New(ctx, args, w.handle)
	if err != nil {
		t.Fatal(err)
	}
	w.Plugin = built.(*Plugin)
	w.manager.Attach(w.master, nil, nil)
	w.manager.NamespaceHandler().OnAdd(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}, false)
	var running sync.WaitGroup
	if _, bench := t.(*testing.B); !bench {
		running.Go(func() { w.manager.Run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		if _, bench := t.(*testing.B); bench {
			w.manager.Run(ctx)
		}
		running.Wait()
	})
	return w
}

// inWorld runs a test in virtual time, with a live subscription.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testArgs(t))
		w.subscribe()
		test(t, w)
	})
}

func (w *world) subscribe() {
	w.manager.Subscribed(mesos.Subscription{FrameworkID: "fw", Master: "master.example:5050", Roles: []mesos.RoleAsk{{Name: "*"}}})
}

// pass lets virtual time pass, and everything that is due happen.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// addNode adds a node to the cluster.
func (w *world) addNode(name string) {
	node := st.MakeNode().Name(name).Obj()
	info := framework.NewNodeInfo()
	info.SetNode(node)
	w.nodes[name] = info
	w.infos = append(w.infos, info)
	w.manager.NodeHandler().OnAdd(node, false)
}

// addNodes adds "n0", "n1" and so on, and offers free of each unless it is zero.
func (w *world) addNodes(n int, free func(i int) resources.Vector) {
	// A pod that fits everywhere, so that no offer is declined as too small.
	w.addPod(st.MakePod().Namespace("ns").Name("tiny").UID("uid-tiny").SchedulerName(profile).
		Req(map[v1.ResourceName]string{v1.ResourceCPU: "1m", v1.ResourceMemory: "1"}).Obj())
	var list []offers.Offer
	for i := range n {
		name := fmt.Sprintf("n%d", i)
		w.addNode(name)
		if amount := free(i); !amount.IsZero() {
			list = append(list, w.offer(name, amount))
		}
	}
	w.manager.Offers(list)
}

func (w *world) offer(node string, free resources.Vector) offers.Offer {
	w.offers++
	return offers.Offer{ID: fmt.Sprintf("o%d", w.offers), AgentID: "a-" + node, Hostname: node, Role: "*", Unreserved: resources.Bundle{Vector: free}}
}

// addPod tells of a pod of ours.
func (w *world) addPod(pod *v1.Pod) *v1.Pod {
	w.manager.PodHandler(w.runtime.mine).OnAdd(pod, false)
	return pod
}

func podOf(name string) *st.PodWrapper {
	return st.MakePod().Namespace("ns").Name(name).UID("uid-" + name).SchedulerName(profile).
		Req(map[v1.ResourceName]string{v1.ResourceCPU: "1", v1.ResourceMemory: "64Mi"})
}

var need, lots, little = cm(1000, 64000), cm(16000, 1024000), cm(10, 64000)

func cm(cpu, memory int64) resources.Vector {
	return resources.Vector{resources.CPU: cpu, resources.Memory: memory}
}

func all(v resources.Vector) func(int) resources.Vector {
	return func(int) resources.Vector { return v }
}

// preFilter runs PreFilter in a new cycle.
func (w *world) preFilter(pod *v1.Pod) (fwk.CycleState, *framework.PreFilterResult, *fwk.Status) {
	cycle := framework.NewCycleState()
	result, status := w.PreFilter(context.Background(), cycle, pod, w.infos)
	return cycle, result, status
}

// reserve brings a pod to a reservation on the node.
func (w *world) reserve(pod *v1.Pod, node string) fwk.CycleState {
	w.t.Helper()
	cycle, _, status := w.preFilter(pod)
	if status != nil && !status.IsSkip() {
		w.t.Fatalf("PreFilter of %s: %v", pod.Name, status)
	}
	if status := w.Reserve(context.Background(), cycle, pod, node); status != nil {
		w.t.Fatalf("Reserve of %s on %s: %v", pod.Name, node, status)
	}
	return cycle
}

func taskOf(t testing.TB, cycle fwk.CycleState) string {
	t.Helper()
	s, err := getState(cycle)
	if err != nil {
		t.Fatal(err)
	}
	return s.taskID
}

// hold brings a pod to a confirmed claim on the node.
func (w *world) hold(pod *v1.Pod, node string) fwk.CycleState {
	w.t.Helper()
	cycle := w.reserve(pod, node)
	w.pass(100 * time.Millisecond)
	w.manager.Updated(claims.TaskStatus{TaskID: taskOf(w.t, cycle), AgentID: "a-" + node, State: claims.TaskRunning})
	if status := w.PreBind(context.Background(), cycle, pod, node); status != nil {
		w.t.Fatalf("PreBind of %s: %v", pod.Name, status)
	}
	return cycle
}

func wantStatus(t testing.TB, what string, got *fwk.Status, code fwk.Code, reason string) {
	t.Helper()
	if got.Code() != code || (reason != "" && got.Message() != reason) {
		t.Errorf("%s: %s %q, want %s %q", what, got.Code(), got.Message(), code, reason)
	}
}
