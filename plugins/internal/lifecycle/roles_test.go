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
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
)

// podIn is a test pod in another namespace.
func podIn(namespace, name string) *v1.Pod {
	pod := testPod(name)
	pod.Namespace = namespace
	return pod
}

// offerTo is an offer to a role.
func offerTo(role, id, node string, pods int64) offers.Offer {
	o := offer(id, node, pods)
	o.Role = role
	return o
}

func (r *rig) asks(role string, pod *v1.Pod) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.demandOf(role).Has(string(pod.UID))
}

func TestNamespacesShareARole(t *testing.T) {
	inBubble(t, func(r *rig) {
		for _, ns := range []string{"a", "b", "c"} {
			r.namespace(ns, "eng")
			r.podChanged(podIn(ns, "p-"+ns))
		}
		r.pass(100 * time.Millisecond)
		r.wantCalls("UPDATE_FRAMEWORK eng+web, suppressed eng+web", "REVIVE eng")
		r.podGone(podIn("a", "p-a"))
		r.podGone(podIn("b", "p-b"))
		r.pass(2 * time.Minute)
		r.wantCalls("REVIVE eng") // no offers came
		r.podGone(podIn("c", "p-c"))
		r.pass(2 * time.Second)
		r.wantCalls("SUPPRESS eng")
		r.pass(2 * time.Minute)
		r.wantCalls("UPDATE_FRAMEWORK web, suppressed web")
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.demands) != 1 {
			t.Errorf("%d roles are remembered, want the default one", len(r.demands))
		}
	})
}

// A pod that waits for offers in one role is woken by those of the next, too, once it
// asks for them.
func TestFallbackWakesSleepers(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("two", "web,eng")
		r.node("n1")
		pod := podIn("two", "p")
		r.podChanged(pod)
		r.park(pod)
		r.pass(time.Second)
		r.wantCalls("REVIVE", "UPDATE_FRAMEWORK eng+web, suppressed eng")
		if r.asks("eng", pod) {
			t.Error("the second role is asked for offers at once")
		}
		r.pass(3 * time.Second)
		r.wantCalls("REVIVE", "REVIVE eng") // no offers came for the first
		r.wantActivated()
		r.Offers([]offers.Offer{offerTo("eng", "o1", "n1", 1)})
		r.wantActivated("two/p")
		if all, parked := r.demanded(); all != 1 || parked != 0 {
			t.Errorf("%d pods want offers and %d sleep, want 1 and 0", all, parked)
		}
	})
}

// The offers may be there before the pod asks in their role.
func TestFallbackShowsOffersInHand(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("two", "web,eng")
		r.namespace("other", "eng")
		r.node("n1")
		holder, pod := podIn("other", "holder"), podIn("two", "p")
		r.podChanged(holder)
		r.pass(time.Second)
		r.podChanged(pod)
		r.Offers([]offers.Offer{offerTo("eng", "o1", "n1", 1)})
		r.park(pod)
		r.wantActivated()
		r.pass(3500 * time.Millisecond)
		r.wantActivated("two/p")
	})
}

func TestRefusedRole(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("two", "bad,web,spare")
		r.namespace("one", "bad")
		refusal := &mesos.CallError{Type: "UPDATE_FRAMEWORK", Status: 400, Sent: true, Body: "Roles { bad } are not present in the master's --roles"}
		r.master.failNext("UPDATE_FRAMEWORK", refusal)
		pod, lone := podIn("two", "p"), podIn("one", "lone")
		for _, p := range []*v1.Pod{pod, lone} {
			r.podChanged(p)
			r.park(p)
		}
		r.pass(time.Second)
		// The pods say what is wrong, and the next role is asked at once.
		r.wantActivated("one/lone", "two/p")
		if !r.asks("web", pod) || r.asks("bad", pod) || r.asks("bad", lone) {
			t.Error("offers are not asked for in the second role instead of the refused one")
		}
		for range 3 {
			r.podChanged(pod)
			r.pass(500 * time.Millisecond)
		}
		if r.asks("spare", pod) {
			t.Error("the third role is asked before its time")
		}
		if problem := r.Begin(lone).Plan.Problem; !strings.Contains(problem, "bad") {
			t.Errorf("the pod is told %q", problem)
		}
		if problem := r.Begin(pod).Plan.Problem; problem != "" {
			t.Errorf("the pod with another role is told %q", problem)
		}
		namespaces := 0
		for len(r.events.Events) > 0 {
			if event := <-r.events.Events; strings.Contains(event, EventRoleRefused) {
				namespaces++
			}
		}
		if namespaces != 2 {
			t.Errorf("%d namespaces were told, want 2", namespaces)
		}

		// The master lets us have it: the pod that has no other one is tried again.
		r.park(lone)
		r.pass(time.Second)
		r.wantActivated()
		r.pass(roles.RetryMax)
		if !r.asks("bad", lone) {
			t.Error("offers are not asked for in the role that is not refused any more")
		}
		r.activatedMu.Lock()
		defer r.activatedMu.Unlock()
		if !slices.Contains(r.activated, "one/lone") {
			t.Errorf("activated %q, want one/lone among them", r.activated)
		}
	})
}

// A REVIVE that names a role of which the framework is not a part is ignored as a
// whole: none may name one that is being given up.
func TestRoleThatComesBackWhileItIsGivenUp(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("eng", "eng")
		first, again := podIn("eng", "first"), podIn("eng", "again")
		r.podChanged(first)
		r.pass(time.Second)
		r.podGone(first)
		r.pass(10 * time.Second)
		r.wantCalls("UPDATE_FRAMEWORK eng+web, suppressed eng+web", "REVIVE eng", "SUPPRESS eng")
		r.master.while("UPDATE_FRAMEWORK", func() {
			r.podChanged(again)
			r.podChanged(testPod("p"))
			time.Sleep(100 * time.Millisecond)
		})
		r.pass(2 * time.Minute)
		calls := r.master.take()
		want := []string{"UPDATE_FRAMEWORK web, suppressed web", "REVIVE", "REVIVE", "UPDATE_FRAMEWORK eng+web, suppressed eng", "REVIVE eng", "REVIVE eng"}
		if !slices.Equal(calls, want) {
			t.Errorf("calls to Mesos:\n got %q\nwant %q", calls, want)
		}
	})
}

// The same if the answer is lost, and the master may have given it up or not.
func TestRoleThatComesBackAfterALostAnswer(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("eng", "eng")
		r.podChanged(podIn("eng", "first"))
		r.pass(time.Second)
		r.podGone(podIn("eng", "first"))
		r.pass(10 * time.Second)
		r.master.take()
		r.master.failNext("UPDATE_FRAMEWORK", &mesos.CallError{Type: "UPDATE_FRAMEWORK", Sent: true, Err: errors.New("reset")})
		r.pass(55 * time.Second)
		r.wantCalls("UPDATE_FRAMEWORK web, suppressed web")
		r.podChanged(podIn("eng", "again"))
		r.podChanged(testPod("p"))
		r.pass(time.Minute)
		r.wantCalls("REVIVE", "REVIVE", "UPDATE_FRAMEWORK eng+web, suppressed eng", "REVIVE eng", "REVIVE eng")
	})
}

func TestNewSubscriptionAsksForAllRolesInUse(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("eng", "eng,ops")
		r.podChanged(podIn("eng", "p"))
		bound := boundPod("q", "n1", "uid-q.7", "a-n1")
		bound.Annotations[AnnotationRole] = "used"
		forged := boundPod("f", "n1", "uid-f.7", "a-n1")
		forged.Annotations[AnnotationRole] = "/illegal//"
		r.podChanged(bound)
		r.podChanged(forged)
		r.pass(time.Second)
		r.Disconnected(errors.New("gone"))
		r.master.take()
		all, suppressed := mesos.SplitRoles(r.SubscribeRoles())
		if want := []string{"eng", "ops", "used", "web"}; !slices.Equal(all, want) {
			t.Errorf("subscribes to %q, want %q", all, want)
		}
		if want := []string{"ops", "used", "web"}; !slices.Equal(suppressed, want) {
			t.Errorf("suppressed: %q, want %q", suppressed, want)
		}
		r.Subscribed(mesos.Subscription{FrameworkID: "fw", Roles: mesos.AskRoles(all, suppressed)})
		synctest.Wait()
		calls := slices.DeleteFunc(r.master.take(), func(call string) bool { return strings.HasPrefix(call, "RECONCILE") })
		if !slices.Equal(calls, []string{"REVIVE eng"}) {
			t.Errorf("calls %q, want a REVIVE of the role that has a pod", calls)
		}
	})
}

// What is told of a namespace must not bring back pods as they were.
func TestNamespacesRacePods(t *testing.T) {
	inBubble(t, func(r *rig) {
		for i := range 300 {
			r.namespace("n", "web")
			var pods []*v1.Pod
			for _, name := range []string{"a", "b", "c", "d"} {
				pods = append(pods, podIn("n", name))
				r.podChanged(pods[len(pods)-1])
			}
			var racing sync.WaitGroup
			racing.Go(func() { r.namespace("n", "eng") })
			racing.Go(func() {
				for _, pod := range pods {
					r.podGone(pod)
				}
			})
			racing.Wait()
			if all, _ := r.demanded(); all != 0 {
				t.Fatalf("round %d: %d pods that are gone want offers", i, all)
			}
		}
	})
}

func TestPodSeenBeforeItsNamespace(t *testing.T) {
	inBubble(t, func(r *rig) {
		pod := podIn("late", "p")
		r.podChanged(pod)
		if c := r.Begin(pod); c.Plan.Problem == "" {
			t.Error("a pod of an unknown namespace can be placed")
		}
		r.park(pod)
		r.namespace("late", "")
		r.wantActivated("late/p")
		r.namespace("late", "eng")
		r.wantActivated("late/p")
		if c := r.Begin(pod); !slices.Equal(c.Plan.Roles, []string{"eng"}) {
			t.Errorf("the pod's roles are %q", c.Plan.Roles)
		}
	})
}

// A pod that was given larger requests while its claim was made is not bound on less.
func TestConfirmedHoldsEnough(t *testing.T) {
	inBubble(t, func(r *rig) {
		pod := testPod("p")
		id := r.held(pod, "n1")
		more := testPod("p")
		more.ResourceVersion = "2"
		more.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = *twoCPUs()
		r.podChanged(more)
		if _, ok := r.Confirmed(id); ok {
			t.Error("confirmed a claim of less than the pod requests")
		}
		if r.phase(id) != claims.Held {
			t.Errorf("the claim is %s", r.phase(id))
		}
	})
}
