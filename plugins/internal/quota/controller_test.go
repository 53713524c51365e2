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

package quota

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// master is a Mesos master as far as quotas go.
type master struct {
	mu sync.Mutex
	// roles are those with a quota or a consumption.
	roles map[string]Role
	// calls are the UPDATE_QUOTA that came, refusal what it says to them.
	calls   []string
	refusal error
	// late makes the effect of a call follow its failure.
	late bool
}

func (m *master) UpdateQuota(_ context.Context, role string, limits Limits, force bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, role+" "+limits.String())
	switch {
	case force:
		return errors.New("forced")
	case m.refusal != nil && !m.late:
		return m.refusal
	}
	r := Role{Name: role, Consumed: m.roles[role].Consumed, Limited: map[string]bool{}}
	for name, milli := range limits {
		r.Limited[name] = true
		if kind, ok := resources.KindOfMesos(name); ok {
			r.Limit.Vector[kind] = milli
		}
	}
	m.roles[role] = r
	return m.refusal
}

// operator sets the quota of a role behind our back.
func (m *master) operator(r Role) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roles[r.Name] = r
}

func (m *master) refuse(err error, late bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusal, m.late = err, late
}

// took returns the calls since it was last asked.
func (m *master) took() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

// rig is a Controller between a fake API server and a master, in virtual time.
type rig struct {
	*Controller
	t   *testing.T
	api *fake.Clientset
	// Of the namespaces.
	mu     sync.Mutex
	roles  map[string][]string
	claims map[string]resources.Bundle
	ours   Usage
	book   *Book
	mesos  *master
	events *events.FakeRecorder
	// writes are those to the API server. failures are how many fail from now on.
	writes, failures atomic.Int32
	end              func()
}

func (r *rig) Of(namespace string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roles[namespace]
}

func (r *rig) OfNamespace(namespace string) resources.Bundle {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claims[namespace]
}

// claim notes that pods of a namespace hold more.
func (r *rig) claim(namespace string, b resources.Bundle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims[namespace] = r.claims[namespace].Add(b)
	r.ours.Add(r.roles[namespace][0], &b)
}

func (r *rig) is(namespace string, roles ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roles[namespace] = roles
}

// inBubble runs a test with these roles of namespaces, which exist.
func inBubble(t *testing.T, options Options, roles map[string][]string, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{
			t: t, api: fake.NewClientset(), roles: maps.Clone(roles), claims: map[string]resources.Bundle{},
			mesos: &master{roles: map[string]Role{}},
		}
		for name := range roles {
			if err := r.api.Tracker().Add(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"a": "b"}}}); err != nil {
				t.Fatal(err)
			}
		}
		r.api.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if slices.Contains([]string{"get", "list", "watch"}, action.GetVerb()) {
				return false, nil, nil
			}
			r.writes.Add(1)
			if r.failures.Add(-1) >= 0 {
				return true, nil, apierrors.NewInternalError(errors.New("no"))
			}
			return false, nil, nil
		})
		r.start(options)
		test(r)
		r.end()
	})
}

// start starts a Controller that knows nothing yet.
func (r *rig) start(options Options) {
	ctx, cancel := context.WithCancel(r.t.Context())
	// Without a resync period, reflectors wait on a channel from outside the bubble.
	factory := informers.NewSharedInformerFactory(r.api, 24*time.Hour)
	namespaces, quotas := factory.Core().V1().Namespaces(), factory.Core().V1().ResourceQuotas()
	r.events, r.book = events.NewFakeRecorder(1000), &Book{}
	r.Controller = New(options, Sources{Book: r.book, Ours: &r.ours, Roles: r, Claims: r, Pusher: r.mesos}, r.api,
		namespaces.Lister(), quotas.Lister(), r.events, klog.Background())
	if _, err := namespaces.Informer().AddEventHandler(r.NamespaceHandler()); err != nil {
		r.t.Fatal(err)
	}
	if _, err := quotas.Informer().AddEventHandler(r.ResourceQuotaHandler()); err != nil {
		r.t.Fatal(err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	r.end = func() {
		cancel()
		<-done
		factory.Shutdown()
	}
}

// restart ends the Controller and starts another one.
func (r *rig) restart() {
	r.end()
	r.start(r.options)
	r.poll()
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// poll reads what the master says, and lets it have its effect.
func (r *rig) poll() {
	at := time.Now()
	r.mesos.mu.Lock()
	list := slices.Collect(maps.Values(r.mesos.roles))
	r.mesos.mu.Unlock()
	r.Set(list, r.ours.Snapshot(), at)
	r.pass(10 * time.Second)
}

// told returns the events since it was last asked.
func (r *rig) told() (list []string) {
	for {
		select {
		case event := <-r.events.Events:
			list = append(list, event)
		default:
			return list
		}
	}
}

func (r *rig) wantTold(parts ...string) {
	r.t.Helper()
	got := r.told()
	if len(got) != len(parts) {
		r.t.Fatalf("told %q, want %q", got, parts)
	}
	for i := range parts {
		if !strings.Contains(got[i], parts[i]) {
			r.t.Errorf("told %q, want %q", got[i], parts[i])
		}
	}
}

func (r *rig) wantCalls(want ...string) {
	r.t.Helper()
	if got := r.mesos.took(); !slices.Equal(got, want) {
		r.t.Fatalf("the master was told %q, want %q", got, want)
	}
}

func (r *rig) annotation(namespace, key string) string {
	r.t.Helper()
	ns, err := r.api.CoreV1().Namespaces().Get(r.t.Context(), namespace, metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	if ns.Annotations["a"] != "b" {
		r.t.Errorf("annotations of others are lost: %v", ns.Annotations)
	}
	return ns.Annotations[key]
}

func (r *rig) wantAnnotation(namespace, key, want string) {
	r.t.Helper()
	if got := r.annotation(namespace, key); got != want {
		r.t.Fatalf("%s of %s is\n%s, want\n%s", key, namespace, got, want)
	}
}

// wantHard fails the test unless the ResourceQuota of our name has these limits, or
// is not there for nil.
func (r *rig) wantHard(namespace string, want v1.ResourceList) {
	r.t.Helper()
	q, err := r.api.CoreV1().ResourceQuotas(namespace).Get(r.t.Context(), ResourceQuotaName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && want == nil:
	case err != nil:
		r.t.Fatal(err)
	default:
		if diff := cmp.Diff(want, q.Spec.Hard); diff != "" {
			r.t.Fatalf("hard of %s (-want +got):\n%s", namespace, diff)
		}
	}
}

func (r *rig) apply(q *v1.ResourceQuota) {
	r.t.Helper()
	api := r.api.CoreV1().ResourceQuotas(q.Namespace)
	_, err := api.Create(r.t.Context(), q, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = api.Update(r.t.Context(), q, metav1.UpdateOptions{})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.pass(settleFor + time.Second)
}

func (r *rig) remove(namespace, name string) {
	r.t.Helper()
	if err := r.api.CoreV1().ResourceQuotas(namespace).Delete(r.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
	r.pass(settleFor + time.Second)
}

// quiet fails the test if polls write anything more.
func (r *rig) quiet() {
	r.t.Helper()
	before := r.writes.Load()
	for range 3 {
		r.poll()
	}
	r.pass(time.Hour)
	if got := r.writes.Load() - before; got != 0 {
		r.t.Errorf("%d writes though nothing changed", got)
	}
}

func cpus(role string, limit, consumed int64) Role {
	return Role{Name: role, Limit: of(limit, 0), Limited: limited("cpus"), Consumed: of(consumed, 0)}
}

func showsCPU(role, top string, hard, used int) string {
	return fmt.Sprintf(`{"roles":[{"role":%q,"quotaRole":%q,"hard":{"cpu":"%d"},"used":{"cpu":"%d"}}]}`, role, top, hard, used)
}

func TestShowsQuota(t *testing.T) {
	roles := map[string][]string{"ads": {"eng/ads"}, "free": {"free"}, "none": nil}
	inBubble(t, Options{Status: true}, roles, func(r *rig) {
		r.mesos.operator(cpus("eng", 4, 3))
		r.pass(time.Hour)
		r.wantAnnotation("ads", StatusAnnotation, "")
		r.poll()
		r.wantAnnotation("ads", StatusAnnotation, showsCPU("eng/ads", "eng", 4, 3))
		r.wantAnnotation("free", StatusAnnotation, "")
		r.wantAnnotation("none", StatusAnnotation, "")
		r.quiet()
		r.mesos.operator(cpus("eng", 4, 2))
		r.poll()
		r.wantAnnotation("ads", StatusAnnotation, showsCPU("eng/ads", "eng", 4, 2))
		r.is("free", "eng")
		r.poll()
		r.wantAnnotation("free", StatusAnnotation, showsCPU("eng", "eng", 4, 2))
		r.failures.Store(3)
		r.mesos.operator(Role{Name: "eng", Consumed: of(2, 0)})
		r.poll()
		r.wantAnnotation("ads", StatusAnnotation, "")
		r.wantAnnotation("free", StatusAnnotation, "")
		r.quiet()
		if got := r.writes.Load(); got != 3+2+3 {
			t.Errorf("%d writes, want 8", got)
		}
	})
}

// What a predecessor with other options wrote goes, and forgeries do too.
func TestStatusOfOthers(t *testing.T) {
	inBubble(t, Options{}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.mesos.operator(cpus("eng", 4, 3))
		ns, err := r.api.CoreV1().Namespaces().Get(t.Context(), "ads", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ns.Annotations[StatusAnnotation] = "old"
		if _, err = r.api.CoreV1().Namespaces().Update(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Hour)
		r.wantAnnotation("ads", StatusAnnotation, "old")
		r.poll()
		r.wantAnnotation("ads", StatusAnnotation, "")
	})
}

func TestNamespacesThatCome(t *testing.T) {
	inBubble(t, Options{Status: true, ResourceQuota: true}, map[string][]string{}, func(r *rig) {
		r.mesos.operator(cpus("eng", 4, 3))
		r.poll()
		r.is("ads", "eng/ads")
		if _, err := r.api.CoreV1().Namespaces().Create(t.Context(), &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ads", Annotations: map[string]string{"a": "b"}}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.pass(settleFor + time.Second)
		r.wantAnnotation("ads", StatusAnnotation, showsCPU("eng/ads", "eng", 4, 3))
		r.wantHard("ads", resourceList("requests.cpu", "1"))
		if err := r.api.CoreV1().Namespaces().Delete(t.Context(), "ads", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		r.poll()
	})
}

func TestResourceQuotaFollows(t *testing.T) {
	roles := map[string][]string{"ads": {"eng/ads"}, "web": {"eng/web"}}
	inBubble(t, Options{ResourceQuota: true}, roles, func(r *rig) {
		r.mesos.operator(cpus("eng", 4, 1))
		r.poll()
		r.wantHard("ads", resourceList("requests.cpu", "3"))
		q, err := r.api.CoreV1().ResourceQuotas("ads").Get(t.Context(), ResourceQuotaName, metav1.GetOptions{})
		if err != nil || q.Labels[ManagedByLabel] != Manager {
			t.Errorf("labels are %v, %v", q.Labels, err)
		}
		r.quiet()
		// A claim moves what is left to what is used of its own namespace.
		r.claim("ads", of(2, 0))
		r.mesos.operator(cpus("eng", 4, 3))
		r.poll()
		r.wantHard("ads", resourceList("requests.cpu", "3"))
		r.wantHard("web", resourceList("requests.cpu", "1"))
		// Somebody else changes what is ours.
		mine := resourceQuota("ads", ResourceQuotaName, map[string]string{ManagedByLabel: Manager}, "requests.cpu", "100", "pods", "1")
		mine.Spec.Scopes = []v1.ResourceQuotaScope{v1.ResourceQuotaScopeBestEffort}
		r.apply(mine)
		r.wantHard("ads", resourceList("requests.cpu", "3"))
		r.remove("ads", ResourceQuotaName)
		r.wantHard("ads", resourceList("requests.cpu", "3"))
		r.quiet()
		r.wantTold()
		r.failures.Store(2)
		r.mesos.operator(Role{Name: "eng"})
		r.poll()
		r.wantHard("ads", nil)
		r.wantHard("web", nil)
		r.quiet()
	})
}

func TestResourceQuotaSwitchedOff(t *testing.T) {
	inBubble(t, Options{}, map[string][]string{"ads": {"eng/ads"}, "web": {"eng/web"}}, func(r *rig) {
		r.mesos.operator(cpus("eng", 4, 1))
		r.apply(resourceQuota("ads", ResourceQuotaName, map[string]string{ManagedByLabel: Manager}, "requests.cpu", "2"))
		r.apply(resourceQuota("web", ResourceQuotaName, nil, "requests.cpu", "2"))
		r.wantHard("ads", resourceList("requests.cpu", "2"))
		r.poll()
		r.wantHard("ads", nil)
		r.wantHard("web", resourceList("requests.cpu", "2"))
		r.wantTold()
	})
}

func TestResourceQuotaOfSomebodyElse(t *testing.T) {
	inBubble(t, Options{ResourceQuota: true}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.mesos.operator(cpus("eng", 4, 1))
		theirs := resourceList("requests.cpu", "100")
		r.apply(resourceQuota("ads", ResourceQuotaName, map[string]string{ManagedByLabel: "Helm"}, "requests.cpu", "100"))
		r.poll()
		r.poll()
		r.wantHard("ads", theirs)
		r.wantTold("Warning " + ReasonNotOurs)
		r.mesos.operator(Role{Name: "eng"})
		r.poll()
		r.wantHard("ads", theirs)
		r.mesos.operator(cpus("eng", 4, 1))
		r.remove("ads", ResourceQuotaName)
		r.poll()
		r.wantHard("ads", resourceList("requests.cpu", "3"))
		r.wantTold()
	})
}
