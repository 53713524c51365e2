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

package reservations

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
)

// grace is what the tests configure.
const grace = 30 * time.Second

// long is more than enough for a reservation to be given back.
const long = grace + 2*SweepEvery + 2*time.Minute

func TestLivingOwnersAreLeftAlone(t *testing.T) {
	objects := []runtime.Object{setOf("u1", "data"), claim("data-db-0"), claim("data-db-1"), claim("data-db-9")}
	inBubble(t, objects, func(r *rig) {
		r.reserve("db-0", "db-1", "db-9")
		r.pass(3 * time.Hour)
		r.wants("db-0", "db-1", "db-9")
		r.wantsEvents()
		if n := r.asked.Load(); n != 0 {
			t.Errorf("the API server was asked %d times about living owners", n)
		}
	})
}

func TestStatefulSetGone(t *testing.T) {
	released := testutil.ToFloat64(metrics.ReservationsReleased.WithLabelValues(string(StatefulSetGone)))
	inBubble(t, []runtime.Object{setOf("u1", "data"), claim("data-db-0")}, func(r *rig) {
		r.reserve("db-0")
		r.pass(time.Minute)
		r.deleteSet() // its claims stay
		time.Sleep(grace - time.Second)
		r.list()
		r.wants("db-0")
		r.pass(long)
		r.wants()
		r.wantsEvents("Namespace shop/shop MesosReservationReleased: Resources reserved for pod db-0 on Mesos agent agent-of-n in role eng were given back: its StatefulSet is gone")
	})
	if got := testutil.ToFloat64(metrics.ReservationsReleased.WithLabelValues(string(StatefulSetGone))) - released; got != 1 {
		t.Errorf("%v reservations are counted as released", got)
	}
}

func TestStatefulSetMadeAnew(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1")}, func(r *rig) {
		r.reserve("db-0")
		r.pass(time.Minute)
		r.deleteSet()
		_, err := r.api.AppsV1().StatefulSets("shop").Create(t.Context(), setOf("u2"), metav1.CreateOptions{})
		r.must(err)
		r.createPod(podOf("shop", "db-0", "db", "u2"))
		r.pass(long)
		r.wants()
	})
}

func TestVolumeClaimsGone(t *testing.T) {
	objects := []runtime.Object{setOf("u1", "data", "log"), claim("data-db-0"), claim("log-db-0"), claim("data-db-1"), claim("log-db-1")}
	inBubble(t, objects, func(r *rig) {
		r.reserve("db-0", "db-1")
		r.deleteClaim("data-db-0")
		r.pass(long)
		r.wants("db-0", "db-1")
		r.deleteClaim("log-db-0")
		r.pass(long)
		r.wants("db-1")
		r.wantsEvents("StatefulSet shop/db MesosReservationReleased: Resources reserved for pod db-0 on Mesos agent agent-of-n in role eng were given back: its volume claims are gone")
	})
}

func TestScaledDown(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1")}, func(r *rig) {
		r.reserve("db-0", "db-1")
		r.createPod(podOf("shop", "db-1", "db", "u1"))
		r.pass(long)
		r.wants("db-0", "db-1")
		one, set := int32(1), setOf("u1")
		set.Spec.Replicas = &one
		r.changeSet(set)
		r.pass(long)
		r.wants("db-0", "db-1") // its pod is still there
		r.deletePod("db-1")
		r.pass(long)
		r.wants("db-0")
	})
}

// A pod that is deleted with its volumes comes again at once.
func TestGrace(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1", "data"), claim("data-db-0"), podOf("shop", "db-0", "db", "u1")}, func(r *rig) {
		r.reserve("db-0")
		r.pass(time.Minute)
		for range 10 {
			r.deletePod("db-0")
			r.deleteClaim("data-db-0")
			time.Sleep(grace - time.Second)
			r.list()
			_, err := r.api.CoreV1().PersistentVolumeClaims("shop").Create(t.Context(), claim("data-db-0"), metav1.CreateOptions{})
			r.must(err)
			r.createPod(podOf("shop", "db-0", "db", "u1"))
			r.pass(2 * time.Second)
		}
		r.wants("db-0")
		if n := r.asked.Load(); n != 0 {
			t.Errorf("the API server was asked %d times", n)
		}
	})
}

// A pod that comes after the verdict saves what is not given back yet.
func TestAPodThatComesLate(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1")}, func(r *rig) {
		late := ownerOf("db-5")
		r.onAgents["agent-of-n"] = []resourcesOf{{owner: late, used: true}}
		r.pass(long)
		if !r.Registry.Condemned(late.Key()) {
			t.Fatal("the owner is not condemned")
		}
		r.createPod(podOf("shop", "db-5", "db", "u1"))
		synctest.Wait()
		if agent, ok := r.Registry.Where(late.Key()); !ok || agent != "agent-of-n" {
			t.Errorf("Where = %q, %t", agent, ok)
		}
		r.onAgents["agent-of-n"][0].used = false
		r.pass(long)
		r.wants("db-5")
	})
}

// A pod that comes after the API server was asked about pods.
func TestAPodThatComesInBetween(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1")}, func(r *rig) {
		late := ownerOf("db-5")
		var once sync.Once
		r.api.PrependReactor("get", "statefulsets", func(clienttesting.Action) (bool, runtime.Object, error) {
			once.Do(func() {
				r.must(r.api.Tracker().Add(podOf("shop", "db-5", "db", "u1")))
				time.Sleep(time.Millisecond)
			})
			return false, nil, nil
		})
		r.onAgents["agent-of-n"] = []resourcesOf{{owner: late, used: true}}
		r.list()
		for range 200 {
			time.Sleep(time.Second)
			synctest.Wait()
			if r.Registry.Condemned(late.Key()) {
				t.Fatal("a living pod's owner is condemned")
			}
		}
		if r.asked.Load() == 0 {
			t.Error("nobody asked")
		}
	})
}

// What the informers do not know yet, the API server does.
func TestTheApiServerHasTheLastWord(t *testing.T) {
	for name, test := range map[string]struct {
		resource string
		answer   runtime.Object
	}{
		"set":   {"statefulsets", startingAt(5, setOf("u1"))},
		"pod":   {"pods", podOf("shop", "db-5", "db", "u1")},
		"claim": {"persistentvolumeclaims", claim("data-db-5")},
	} {
		t.Run(name, func(t *testing.T) {
			set := setOf("u1")
			if name == "claim" {
				set = setOf("u1", "data")
			}
			inBubble(t, []runtime.Object{set}, func(r *rig) {
				r.api.PrependReactor("get", test.resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, test.answer, nil })
				r.reserve("db-5")
				r.pass(long)
				r.wants("db-5")
				r.wantsEvents()
			})
		})
	}
}

func TestAFailingApiServerCondemnsNobody(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		r.failing.Store(true)
		r.reserve("db-0")
		r.pass(time.Hour)
		r.wants("db-0")
		if n := r.asked.Load(); n == 0 || n > 25 {
			t.Errorf("the API server was asked %d times in an hour", n)
		}
		r.failing.Store(false)
		r.pass(5*time.Minute + long)
		r.wants()
	})
}

// Nothing is in the informers before they are synced; that says nothing of anybody.
func TestNobodyIsJudgedBeforeTheInformersAreSynced(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1"), node("n", "*")}, func(r *rig) {
		r.stop()
		r.held = true
		r.start()
		r.reserve("db-0", "db-7")
		r.pass(time.Hour)
		r.wants("db-0", "db-7")
		r.annotate("n", "")
		r.begin()
		r.pass(long)
		r.wants("db-0")
	})
}

// All that was known in memory is lost, at each stage of a release.
func TestRestarts(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1"), podOf("shop", "db-0", "db", "u1")}, func(r *rig) {
		r.onAgents["agent-of-n"] = []resourcesOf{{owner: db0, used: true}, {owner: ownerOf("db-1")}, {owner: ownerOf("db-7"), used: true}}
		restart := func() {
			r.stop()
			r.start()
			if len(r.Registry.Owners(nil)) != 0 || r.Registry.Synced() {
				t.Error("the new process knows what it was not told")
			}
			r.list()
		}
		for range 5 {
			time.Sleep(grace / 2) // never enough for a verdict
			restart()
		}
		r.wants("db-0", "db-1", "db-7")
		r.pass(long)
		if !r.Registry.Condemned(ownerOf("db-7").Key()) || r.Registry.Condemned(db0.Key()) || r.Registry.Condemned(ownerOf("db-1").Key()) {
			t.Fatal("wrong verdicts")
		}
		restart() // condemned, in use
		r.pass(long)
		r.onAgents["agent-of-n"][2].used = false
		restart() // condemned, not in use
		r.wants("db-0", "db-1", "db-7")
		r.pass(long)
		r.wants("db-0", "db-1")
		r.stop()
		r.deleteSet() // while nobody looks
		r.deletePod("db-0")
		r.onAgents["agent-of-n"][0].used = false
		r.start()
		r.pass(long)
		r.wants()
	})
}

func TestByHandOnANode(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1"), node("n", ""), node("m", "")}, func(r *rig) {
		r.reserve("db-0", "db-1")
		r.onAgents["agent-of-n"][1].used = true
		r.onAgents["agent-of-m"] = []resourcesOf{{owner: db0}}
		r.pass(long)
		r.annotate("n", "shop/db-0")
		r.pass(long)
		r.wants("db-1")
		r.wantsAnnotation("n", "")
		if len(r.onAgents["agent-of-m"]) != 1 {
			t.Error("another node's was given back")
		}
		r.wantsEvents(
			"StatefulSet shop/db MesosReservationReleased: Resources reserved for pod db-0 on Mesos agent agent-of-n in role eng were given back: somebody asked for it",
			"Node /n MesosReservationReleased: Nothing is left on the node's Mesos agent of the reservations that annotation kube-mesos.io/release-reservations=shop/db-0 meant")

		r.annotate("n", "*")
		r.pass(long)
		r.wants("db-1") // in use
		r.wantsAnnotation("n", "*")
		if _, ok := r.Registry.Where(ownerOf("db-1").Key()); ok {
			t.Error("its next pod would be sent there again")
		}
		r.reserve("db-0") // made after the annotation was seen
		r.stop()
		r.start() // the annotation is seen anew
		r.onAgents["agent-of-n"][0].used = false
		r.pass(long)
		r.wants()
		r.wantsAnnotation("n", "")
	})
}

func TestByHandMeansWhatIsThere(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1"), node("n", "*"), node("stranger", "*")}, func(r *rig) {
		r.reserve("db-0")
		r.onAgents["agent-of-n"][0].used = true
		r.pass(long)
		r.reserve("db-1")
		r.pass(long)
		r.onAgents["agent-of-n"][0].used = false
		r.pass(long)
		r.wants("db-1")
		r.wantsAnnotation("n", "")
		r.wantsAnnotation("stranger", "*")
	})
}

func TestByHandTakenBack(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1"), node("n", "")}, func(r *rig) {
		r.reserve("db-0")
		r.onAgents["agent-of-n"][0].used = true
		r.pass(long)
		r.annotate("n", "*")
		r.pass(long)
		r.annotate("n", "")
		r.onAgents["agent-of-n"][0].used = false
		r.pass(long)
		r.wants("db-0")
	})
}

func TestByHandInvalid(t *testing.T) {
	inBubble(t, []runtime.Object{setOf("u1"), node("n", "")}, func(r *rig) {
		r.reserve("db-0")
		r.pass(long)
		r.annotate("n", "db-0")
		r.pass(time.Hour)
		r.wants("db-0")
		r.wantsAnnotation("n", "db-0")
		r.wantsEvents(`Node /n MesosReleaseInvalid: Annotation kube-mesos.io/release-reservations: "db-0" is neither "*" nor "<namespace>/<pod>" nor "<framework id>/<namespace>/<pod>"`)
		r.annotate("n", "shop/db-0")
		r.pass(long)
		r.wants()
		r.wantsAnnotation("n", "")
	})
}

// Events of others, and of what is only a status, are no work.
func TestWhatIsWork(t *testing.T) {
	factory := informers.NewSharedInformerFactory(fake.NewClientset(), 0)
	c, err := New(Config{
		Registry: registry(), StatefulSets: factory.Apps().V1().StatefulSets(),
		Claims: factory.Core().V1().PersistentVolumeClaims(), Nodes: factory.Core().V1().Nodes(),
	}, klog.Background())
	if err != nil {
		t.Fatal(err)
	}
	c.Registry.Listed(at(0), []Agent{agent("a", portion(db0, 1), portion(ownerOf("db-1"), 1))})
	set, next, otherSet := setOf("u1"), setOf("u1"), setOf("u1")
	next.Generation++
	otherSet.Name = "other"
	elsewhere := claim("data-db-0")
	elsewhere.Namespace = "else"
	for name, test := range map[string]struct {
		event func()
		want  int
	}{
		"status":              {func() { c.setHandler().OnUpdate(set, setOf("u1")) }, 0},
		"spec":                {func() { c.setHandler().OnUpdate(set, next) }, 2},
		"made anew":           {func() { c.setHandler().OnUpdate(set, setOf("u2")) }, 2},
		"set gone":            {func() { c.setHandler().OnDelete(set) }, 2},
		"set gone unseen":     {func() { c.setHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: set}) }, 2},
		"other set":           {func() { c.setHandler().OnAdd(otherSet, false) }, 0},
		"claim":               {func() { c.claimHandler().OnDelete(claim("data-db-0")) }, 1},
		"claim unseen":        {func() { c.claimHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: claim("data-db-0")}) }, 1},
		"other claim":         {func() { c.claimHandler().OnDelete(claim("data-db-2")) }, 0},
		"claim elsewhere":     {func() { c.claimHandler().OnDelete(elsewhere) }, 0},
		"something else":      {func() { c.claimHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: set}) }, 0},
		"pod":                 {func() { c.PodHandler().OnDelete(podOf("shop", "db-0", "db", "u1")) }, 1},
		"pod that comes":      {func() { c.PodHandler().OnAdd(podOf("shop", "db-0", "db", "u1"), false) }, 1},
		"pod that asks not":   {func() { c.PodHandler().OnDelete(&v1.Pod{}) }, 0},
		"node":                {func() { c.nodeHandler().OnAdd(node("n", "*"), false) }, 1},
		"node, nothing asked": {func() { c.nodeHandler().OnAdd(node("n", ""), false) }, 0},
		"node, status":        {func() { c.nodeHandler().OnUpdate(node("n", "*"), node("n", "*")) }, 0},
		"node, taken back":    {func() { c.nodeHandler().OnUpdate(node("n", "*"), node("n", "")) }, 1},
		"node gone":           {func() { c.nodeHandler().OnDelete(node("n", "*")) }, 1},
	} {
		c.Registry.Condemn(db0.Key(), ScaledDown, at(1))
		test.event() // on a replica that does not lead
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var got []item
			var run sync.WaitGroup
			run.Go(func() {
				c.loop.Run(ctx, test.event, func(_ context.Context, i item) (time.Duration, error) {
					got = append(got, i)
					return 0, nil
				}, nil)
			})
			synctest.Wait()
			cancel()
			run.Wait()
			if len(got) != test.want {
				t.Errorf("%s: worked on %v, want %d", name, got, test.want)
			}
		})
		if got, want := c.Registry.Condemned(db0.Key()), name != "pod that comes"; got != want {
			t.Errorf("%s: condemned is %t, want %t", name, got, want)
		}
	}
}
