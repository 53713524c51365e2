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

package recorded

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

const namespace = "default"

// world is a recorded life with the whole of our scheduler but the scheduler
// itself: the session, the Manager with its cache, claims and demand, and an API
// server in memory. What the recorded framework launched, pods ask for: the Manager
// makes its own ACCEPT for them, and the recorded updates then tell of its tasks.
type world struct {
	*run
	api *fake.Clientset
	// logger keeps what the Manager says with the test.
	logger klog.Logger
	// idle worlds have no pods: nobody wants offers.
	idle bool

	end     context.CancelFunc
	running sync.WaitGroup

	mu sync.Mutex
	// present is the process that runs now. The last stream of one may outlast it.
	present process
	// ours are the ids of our tasks by recorded id, of the newest launch.
	ours map[string]string
	// told are the states that were told of our tasks, in order; fresh are the tasks
	// of which the present process was told.
	told  map[string][]claims.TaskStatus
	fresh map[string]bool
	// foreign are the recorded tasks that no pod of ours asked for: when one was
	// first told to be live, and the last state told, of the present process.
	foreign map[string]*foreignTask
	// ended counts the claims of our tasks by phase at the end of the last stream, ""
	// for those that have none any more.
	ended map[claims.Phase]int
}

// process is one run of our scheduler.
type process struct {
	manager *lifecycle.Manager
	pods    cache.ResourceEventHandler
	done    context.Context
}

func (w *world) process() process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.present
}

type foreignTask struct {
	since time.Time
	last  claims.TaskState
}

func newWorld(t *testing.T, l *life, idle bool) *world {
	w := &world{
		run: newRun(t, l), api: fake.NewClientset(), idle: idle,
		ours: map[string]string{}, told: map[string][]claims.TaskStatus{},
	}
	w.logger, _ = ktesting.NewTestContext(t)
	w.api.PrependReactor("create", "pods", w.evicted)
	w.newHandler, w.attach, w.leave, w.away = w.boot, w.attached, w.leaving, w.gone
	w.wantsOffers = func() bool {
		all, suppressed := mesos.SplitRoles(w.process().manager.SubscribeRoles())
		return len(suppressed) < len(all)
	}
	w.master.play = func(p *player) {
		now := w.process()
		p.rename = w.rename
		p.drive = func(p *player, x exchange) { w.launch(now, p, x) }
		p.atEnd = func(p *player) { w.look(now, p) }
		p.run()
	}
	for _, host := range hosts(l) {
		node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: host}}
		if _, err := w.api.CoreV1().Nodes().Create(context.Background(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if !idle {
		// As long as this one waits, offers are wanted: it is never tried.
		w.create(podOf("waiting", resources.Vector{resources.CPU: 1, resources.Memory: 1000}))
	}
	return w
}

// hosts are the agents that the life's offers name.
func hosts(l *life) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range l.streams {
		for _, f := range s.frames {
			if f.kind() != "OFFERS" {
				continue
			}
			for _, o := range wire.List(wire.Sub(f.event, "offers"), "offers") {
				if host := wire.Text(o, "hostname"); !seen[host] {
					seen[host] = true
					out = append(out, host)
				}
			}
		}
	}
	return out
}

// boot starts a process: its Manager learns from the informers what there is.
func (w *world) boot() mesos.Handler {
	ctx, end := context.WithCancel(context.Background())
	role := rolesOfLife(w.master.life)[0]
	manager := lifecycle.New(lifecycle.Config{
		Roles:         roles.Config{Default: role},
		Subscriptions: roles.Options{Default: role, UpdatePeriod: time.Minute, KeepUnused: 1000 * time.Hour},
		Pods:          lifecycle.PodRules{Table: resources.NewTable(resources.Options{})},
		Claims:        claims.DefaultConfig(30 * time.Second),
		Demand:        demand.Config{MaxHold: time.Hour, SurplusAfter: time.Hour, RefuseUnused: time.Minute, RefuseForeign: time.Hour, IdleGrace: time.Second},
		Command:       []string{"sleep", "infinity"}, Linger: time.Millisecond, MaxLinger: 5 * time.Millisecond, MaxTasks: 100,
		PDBDeadline: 5 * time.Minute,
	}, w.api, &events.FakeRecorder{}, func(map[string]*v1.Pod) {}, w.logger)
	now := process{manager: manager, pods: manager.PodHandler(func(*v1.Pod) bool { return true }), done: ctx}
	w.mu.Lock()
	w.present, w.end = now, end
	w.fresh, w.foreign = map[string]bool{}, map[string]*foreignTask{}
	w.mu.Unlock()
	manager.NamespaceHandler().OnAdd(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, true)
	nodes, err := w.api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range nodes.Items {
		manager.NodeHandler().OnAdd(&nodes.Items[i], true)
	}
	pods, err := w.api.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range pods.Items {
		now.pods.OnAdd(&pods.Items[i], true)
	}
	return manager
}

func (w *world) attached(s *mesos.Session) {
	now := w.process()
	var agents lifecycle.Agents
	if done := recordedUpkeep(w.t, w.master.life.file); len(done) > 0 {
		agents = listed{w, done}
	}
	now.manager.Attach(s, agents, nil)
	w.running.Go(func() { now.manager.Run(now.done) })
}

// leaving ends the process in good order: nothing is held back from others.
func (w *world) leaving() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.process().manager.Stop(ctx)
	w.master.mu.Lock()
	defer w.master.mu.Unlock()
	if p := w.master.live; p != nil && len(p.offers) > 0 && w.session.Status().State == mesos.StateSubscribed {
		w.t.Errorf("%s %s: left with %d offers still outstanding", p.stream.file, p.stream.conn, len(p.offers))
	}
}

func (w *world) gone() {
	w.end()
	w.running.Wait()
}

// podOf is a pod that needs so much.
func podOf(name string, need resources.Vector) *v1.Pod {
	requests := v1.ResourceList{}
	for kind, resourceName := range map[resources.Kind]v1.ResourceName{resources.CPU: v1.ResourceCPU, resources.Memory: v1.ResourceMemory, resources.Disk: v1.ResourceEphemeralStorage} {
		amount := need[kind]
		switch {
		case amount == 0:
		case kind == resources.CPU:
			requests[resourceName] = *resource.NewMilliQuantity(amount, resource.DecimalSI)
		default:
			requests[resourceName] = *resource.NewQuantity(amount*(1<<20)/1000, resource.BinarySI)
		}
	}
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name)},
		Spec:       v1.PodSpec{Containers: []v1.Container{{Name: "c", Resources: v1.ResourceRequirements{Requests: requests}}}},
	}
}

func (w *world) create(pod *v1.Pod) {
	if _, err := w.api.CoreV1().Pods(namespace).Create(context.Background(), pod, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if now := w.process(); now.pods != nil {
		now.pods.OnAdd(pod, false)
	}
}

func (w *world) remove(pod *v1.Pod) {
	_ = w.api.Tracker().Delete(v1.SchemeGroupVersion.WithResource("pods"), namespace, pod.Name)
	w.process().pods.OnDelete(pod)
}

// evicted deletes a pod whose eviction was asked for.
func (w *world) evicted(action k8stesting.Action) (bool, runtime.Object, error) {
	if action.GetSubresource() != "eviction" {
		return false, nil, nil
	}
	name := action.(k8stesting.CreateAction).GetObject().(metav1.Object).GetName()
	pod, err := w.api.Tracker().Get(v1.SchemeGroupVersion.WithResource("pods"), namespace, name)
	if err != nil {
		return true, nil, err
	}
	w.remove(pod.(*v1.Pod))
	return true, nil, nil
}

// launch lets pods ask for what the recorded framework launched from offers that
// the Manager has, too.
func (w *world) launch(now process, p *player, x exchange) {
	if w.idle || wire.Enum(x.message, "type") != "ACCEPT" || wire.Sub(x.message, "accept") == nil {
		return
	}
	role := rolesOfLife(w.master.life)[0]
	l, ok := launchOf(wire.Sub(x.message, "accept"), role)
	host := ""
	w.master.mu.Lock()
	for _, id := range l.OfferIDs {
		o, outstanding := p.offers[id]
		ok = ok && outstanding && o.agent == l.AgentID && o.role == role
		host = o.host
	}
	w.master.mu.Unlock()
	if !ok {
		return
	}
	for _, task := range l.Tasks {
		w.reserve(now, task, host)
	}
	// The batch goes out before the next recorded event comes.
	time.Sleep(20 * time.Millisecond)
	w.driven++
}

// reserve makes a pod, finds it a place as the scheduler does, and waits for the
// outcome, as its binding does.
func (w *world) reserve(now process, task mesos.Task, host string) {
	w.mu.Lock()
	name := fmt.Sprintf("p%d", len(w.told))
	w.mu.Unlock()
	need := task.Parts[0].Bundle.Vector
	pod := podOf(name, need)
	w.create(pod)
	now.manager.Begin(pod)
	id, err := now.manager.Reserve(pod, host, rolesOfLife(w.master.life)[0], offers.Plain(need))
	if err != nil {
		w.remove(pod)
		return
	}
	w.mu.Lock()
	w.ours[task.ID] = id
	w.told[id], w.fresh[id] = nil, true
	w.mu.Unlock()
	w.running.Go(func() {
		outcome, err := now.manager.Await(now.done, id)
		binding, held := now.manager.Confirmed(id)
		switch {
		case err != nil:
		case !outcome.OK || !held:
			now.manager.Cancel(id)
			w.remove(pod)
		default:
			bound := pod.DeepCopy()
			bound.Spec.NodeName, bound.Annotations = host, binding.Annotations()
			if _, err := w.api.CoreV1().Pods(namespace).Update(context.Background(), bound, metav1.UpdateOptions{}); err != nil {
				w.t.Error(err)
			}
			now.manager.Bound(id)
			now.pods.OnUpdate(pod, bound)
		}
	})
}

// rename makes an update of a recorded task one of ours, and notes what is told.
func (w *world) rename(f frame) frame {
	if f.kind() != "UPDATE" {
		return f
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	status := statusIn(f.event)
	id, mine := w.ours[status.TaskID]
	if !mine {
		w.noteForeign(status)
		return f
	}
	w.told[id], w.fresh[id] = append(w.told[id], status), true
	f.event = proto.Clone(f.event).(*dynamicpb.Message)
	renamed := wire.Sub(wire.Sub(f.event, "update"), "status")
	for _, field := range []protoreflect.Name{"task_id", "executor_id"} {
		if m := wire.Sub(renamed, field); m != nil {
			m.Set(m.Descriptor().Fields().ByName("value"), protoreflect.ValueOfString(id))
		}
	}
	var err error
	if f.record, err = wire.Marshal(f.event); err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *world) noteForeign(s claims.TaskStatus) {
	t := w.foreign[s.TaskID]
	if t == nil || !t.last.Live() {
		t = &foreignTask{since: time.Now()}
		w.foreign[s.TaskID] = t
	}
	t.last = s.State
}

// play lives the life, and looks after the goroutines of all processes.
func (w *world) live(t *testing.T) {
	w.play()
	synctest.Wait()
	for _, fault := range w.master.faults {
		t.Error("the master was sent what it should not: ", fault)
	}
}
