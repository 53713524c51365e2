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
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/breaker"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// master records the calls it gets, and fails those it is told to.
type master struct {
	mu       sync.Mutex
	calls    []string
	launches []mesos.Launch
	asks     []mesos.RoleAsk
	// fail holds the errors of the next calls of a type, meanwhile what happens while
	// the next one is made.
	fail      map[string][]error
	meanwhile map[string]func()
}

// while makes something happen while the next call of a type is made.
func (f *master) while(call string, happen func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meanwhile = map[string]func(){call: happen}
}

func (f *master) record(call, detail string) error {
	f.mu.Lock()
	happen := f.meanwhile[call]
	delete(f.meanwhile, call)
	f.calls = append(f.calls, strings.TrimSpace(call+" "+detail))
	f.mu.Unlock()
	if happen != nil {
		happen()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if errs := f.fail[call]; len(errs) > 0 {
		f.fail[call] = errs[1:]
		return errs[0]
	}
	return nil
}

func (f *master) failNext(call string, errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[call] = append(f.fail[call], errs...)
}

// take returns the calls since it was last called.
func (f *master) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func (f *master) lastLaunch(t *testing.T) mesos.Launch {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.launches) == 0 {
		t.Fatal("no ACCEPT was sent")
	}
	return f.launches[len(f.launches)-1]
}

// lastTerms returns what the last UPDATE_FRAMEWORK told of a role.
func (f *master) lastTerms(role string) terms.Terms {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ask := range f.asks {
		if ask.Name == role {
			return ask.Terms
		}
	}
	return terms.Terms{}
}

func (f *master) Accept(_ context.Context, l mesos.Launch) error {
	f.mu.Lock()
	f.launches = append(f.launches, l)
	f.mu.Unlock()
	return f.record("ACCEPT", fmt.Sprintf("%s of %s, %d tasks", strings.Join(l.OfferIDs, "+"), l.AgentID, len(l.Tasks)))
}

func (f *master) Decline(_ context.Context, ids []string, refuse time.Duration) error {
	return f.record("DECLINE", fmt.Sprintf("%s for %s", strings.Join(slices.Sorted(slices.Values(ids)), "+"), refuse))
}

func (f *master) Kill(_ context.Context, task mesos.TaskRef) error {
	return f.record("KILL", task.TaskID)
}
func (f *master) Revive(_ context.Context, roles ...string) error {
	return f.record("REVIVE", others(roles))
}

func (f *master) Suppress(_ context.Context, roles ...string) error {
	return f.record("SUPPRESS", others(roles))
}

func (f *master) UpdateRoles(_ context.Context, asks []mesos.RoleAsk) error {
	f.mu.Lock()
	f.asks = asks
	f.mu.Unlock()
	roles, suppressed := mesos.SplitRoles(asks)
	return f.record("UPDATE_FRAMEWORK", fmt.Sprintf("%s, suppressed %s", strings.Join(roles, "+"), strings.Join(suppressed, "+")))
}

func (f *master) Unreserve(_ context.Context, c mesos.UnreserveCall) error {
	return f.record("UNRESERVE", fmt.Sprintf("%s of %s: %s", strings.Join(c.OfferIDs, "+"), c.AgentID, strings.Join(portionTexts(c.Portions), "+")))
}

func (f *master) AnswerInverse(_ context.Context, accept bool, ids []string, refuse time.Duration) error {
	return f.record("ANSWER_INVERSE", fmt.Sprintf("%t %s for %s", accept, strings.Join(slices.Sorted(slices.Values(ids)), "+"), refuse))
}

func (f *master) ReleaseAck(taskID string) { _ = f.record("RELEASE_ACK", taskID) }

// others names the roles of a call, unless it is for the one that most tests use.
func others(roles []string) string {
	if slices.Equal(roles, []string{"web"}) {
		return ""
	}
	return strings.Join(roles, "+")
}

func (f *master) Reconcile(_ context.Context, tasks ...mesos.TaskRef) error {
	for _, task := range tasks {
		return f.record("RECONCILE", task.TaskID)
	}
	return f.record("RECONCILE", "all")
}

// rig is a Manager between a fake API server and a fake master.
type rig struct {
	*Manager
	t      *testing.T
	api    *fake.Clientset
	master *master
	events *events.FakeRecorder

	activatedMu sync.Mutex
	activated   []string
}

func testConfig() Config {
	return Config{
		Roles:         roles.Config{Default: "web", Annotation: true},
		Subscriptions: roles.Options{Default: "web", UpdatePeriod: 10 * time.Second, KeepUnused: time.Minute},
		FallbackAfter: 3 * time.Second, QuotaPeriod: 10 * time.Second,
		Pods:      PodRules{Table: resources.NewTable(resources.Options{}), Revocable: true, Sticky: true},
		Evictions: breaker.Config{Burst: 20, PerMinute: 30, Percent: 20, Window: 5 * time.Minute, Settle: -1},
		Claims:    claims.DefaultConfig(30 * time.Second), Identity: v1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "kube-system", Name: "identity"},
		Demand: demand.Config{
			MaxHold: 10 * time.Second, RefuseUnused: time.Minute, RefuseForeign: time.Hour, IdleGrace: time.Second,
		},
		Command: []string{"sleep", "infinity"},
		Linger:  5 * time.Millisecond, MaxLinger: 20 * time.Millisecond, MaxTasks: 100, PDBDeadline: 5 * time.Minute,
	}
}

func newRig(t *testing.T, objects ...runtime.Object) *rig {
	r := &rig{t: t, api: fake.NewClientset(objects...), master: &master{fail: map[string][]error{}}, events: events.NewFakeRecorder(1000)}
	r.Manager = New(testConfig(), r.api, r.events, func(pods map[string]*v1.Pod) {
		r.activatedMu.Lock()
		defer r.activatedMu.Unlock()
		r.activated = append(r.activated, slices.Sorted(maps.Keys(pods))...)
	}, klog.Background())
	r.Attach(r.master, nil, nil)
	r.namespace("ns", "")
	return r
}

// inBubble runs a test in virtual time with a running, subscribed rig whose master
// was told what a new subscription is told.
func inBubble(t *testing.T, test func(r *rig), objects ...runtime.Object) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, objects...)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		defer func() {
			cancel()
			running.Wait()
		}()
		r.Subscribed(mesos.Subscription{FrameworkID: "fw", Roles: []mesos.RoleAsk{{Name: "web", Suppressed: true}}})
		synctest.Wait()
		if got := r.master.take(); !slices.Equal(got, []string{"RECONCILE all"}) {
			t.Fatalf("calls of a new subscription: %q", got)
		}
		test(r)
	})
}

// pass lets virtual time pass, and everything that is due happen.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) wantCalls(want ...string) {
	r.t.Helper()
	synctest.Wait()
	if got := r.master.take(); !slices.Equal(got, want) {
		r.t.Errorf("calls to Mesos:\n got %q\nwant %q", got, want)
	}
}

func (r *rig) wantActivated(want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.activatedMu.Lock()
	defer r.activatedMu.Unlock()
	if !slices.Equal(r.activated, want) {
		r.t.Errorf("pods activated: %q, want %q", r.activated, want)
	}
	r.activated = nil
}

func testPod(name string) *v1.Pod {
	return st.MakePod().Namespace("ns").Name(name).UID("uid-" + name).SchedulerName("kube-mesos").
		Req(map[v1.ResourceName]string{v1.ResourceCPU: "1", v1.ResourceMemory: "64Mi"}).Obj()
}

// boundPod is a pod bound by the task.
func boundPod(name, node, task, agent string) *v1.Pod {
	pod := testPod(name)
	pod.Spec.NodeName = node
	pod.Annotations = Binding{TaskID: task, AgentID: agent, FrameworkID: "fw", Role: "web"}.Annotations()
	return pod
}

func twoCPUs() *resource.Quantity { return resource.NewQuantity(2, resource.DecimalSI) }

var podNeed = resources.Vector{resources.CPU: 1000, resources.Memory: 64000}

// offer is of the agent "a-NODE" of a node, and holds so many test pods.
func offer(id, node string, pods int64) offers.Offer {
	return offers.Offer{
		ID: id, AgentID: "a-" + node, Hostname: node, Role: "web",
		Unreserved: resources.Bundle{Vector: resources.Vector{resources.CPU: pods * podNeed[resources.CPU], resources.Memory: pods * podNeed[resources.Memory]}},
	}
}

// namespace makes a namespace known, with an annotation that names its roles.
func (r *rig) namespace(name, roleNames string) {
	ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if roleNames != "" {
		ns.Annotations = map[string]string{roles.Annotation: roleNames}
	}
	r.namespaceChanged(ns)
}

func (r *rig) node(name string) { r.nodeChanged(st.MakeNode().Name(name).Obj()) }

// mustReserve reserves for a test pod that the informer told of.
func (r *rig) mustReserve(pod *v1.Pod, node string) string {
	r.t.Helper()
	id, err := r.Reserve(pod, node, "web", offers.Plain(podNeed))
	if err != nil {
		r.t.Fatalf("Reserve(%s, %s): %v", pod.Name, node, err)
	}
	return id
}

// reserved makes the node's agent and the pod known, and reserves for the pod.
func (r *rig) reserved(pod *v1.Pod, node string) string {
	r.t.Helper()
	r.node(node)
	r.podChanged(pod)
	r.Offers([]offers.Offer{offer("o-"+pod.Name, node, 1)})
	return r.mustReserve(pod, node)
}

// held brings a pod to a confirmed claim on the node, whose agent it makes known.
func (r *rig) held(pod *v1.Pod, node string) string {
	r.t.Helper()
	id := r.reserved(pod, node)
	r.pass(50 * time.Millisecond)
	r.Updated(claims.TaskStatus{TaskID: id, AgentID: "a-" + node, State: claims.TaskRunning})
	if outcome, err := r.Await(r.t.Context(), id); err != nil || !outcome.OK {
		r.t.Fatalf("the launch of %s ended with %+v, %v", id, outcome, err)
	}
	synctest.Wait()
	r.master.take()
	return id
}

// keepOpen lets batches linger for seconds, while another pod, which exists from now
// on and has just been looked at, may join.
func (r *rig) keepOpen() {
	r.t.Helper()
	r.mu.Lock()
	r.cfg.Linger, r.cfg.MaxLinger = time.Second, time.Second
	r.mu.Unlock()
	r.podChanged(testPod("other"))
	r.Begin(testPod("other"))
}

// demanded returns how many pods want offers, and how many of them sleep.
func (r *rig) demanded() (all, parked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting()
}

func (r *rig) phase(task string) claims.Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.ledger.ByTask(task); c != nil {
		return c.Phase
	}
	return ""
}
