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
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// stickyRig lets pods have reservations.
func stickyRig(r *rig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg.Pods.Sticky = true
}

// stickyPod is a pod of a StatefulSet that wants to find its resources again.
func stickyPod(name string) *v1.Pod {
	pod := testPod(name)
	controller := true
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "set", UID: "uid-set", Controller: &controller}}
	pod.Annotations = map[string]string{reservations.Annotation: "true"}
	return pod
}

// flavourOf is the pod's reservation for a role, as the master tells of it.
func flavourOf(t *testing.T, role string, pod *v1.Pod) *resources.Flavour {
	t.Helper()
	owner, err := reservations.OwnerOf(pod)
	if err != nil {
		t.Fatal(err)
	}
	f := *reservations.Flavour("fw", role, "", owner)
	f.Wire = role + " " + pod.Name
	return &f
}

// reservedOffer offers a pod's reservation on a node, and nothing else.
func reservedOffer(t *testing.T, role, id, node string, pod *v1.Pod) offers.Offer {
	t.Helper()
	o := offerTo(role, id, node, 0)
	o.Special = []resources.Portion{{Flavour: flavourOf(t, role, pod), Bundle: resources.Bundle{Vector: podNeed}}}
	return o
}

// agentWith is an agent of a node on which resources are reserved for the pods.
func agentWith(t *testing.T, role, node string, pods ...*v1.Pod) mesos.Agent {
	t.Helper()
	a := mesos.Agent{ID: "a-" + node, Hostname: node, Active: true}
	for _, pod := range pods {
		a.Reserved = append(a.Reserved, mesos.AgentReservation{Role: role, Flavour: flavourOf(t, role, pod), Bundle: resources.Bundle{Vector: podNeed}})
	}
	return a
}

func (r *rig) listed(list ...mesos.Agent) {
	r.t.Helper()
	if !r.agentsListed(r.generation, r.failures, time.Now(), list) {
		r.t.Fatal("the list of agents was not taken")
	}
}

// Of many pods that ask for the same, that one is tried whose reservation is offered.
func TestReservationThatIsOfferedWakesItsOwner(t *testing.T) {
	inBubble(t, func(r *rig) {
		stickyRig(r)
		r.node("n1")
		r.listed(agentWith(t, "web", "n1", stickyPod("set-9")))
		r.master.take()
		for i := range 10 {
			pod := stickyPod(fmt.Sprint("set-", i))
			r.podChanged(pod)
			r.park(pod)
		}
		r.wantActivated()
		r.Offers([]offers.Offer{reservedOffer(t, "web", "o1", "n1", stickyPod("set-9"))})
		r.pass(tickEvery)
		r.activatedMu.Lock()
		defer r.activatedMu.Unlock()
		if !slices.Contains(r.activated, "ns/set-9") {
			t.Errorf("activated %q, want ns/set-9 among them", r.activated)
		}
	})
}

// Offers are asked for in the role that a reservation is for, whichever it is.
func TestHomeInTheSecondRole(t *testing.T) {
	inBubble(t, func(r *rig) {
		stickyRig(r)
		r.namespace("ns", "web,eng")
		r.node("n1")
		r.listed(agentWith(t, "eng", "n1", stickyPod("set-0")))
		pod := stickyPod("set-0")
		r.podChanged(pod)
		if !r.asks("eng", pod) {
			t.Error("no offers are asked for in the role that has the reservation")
		}
		c := r.Begin(pod)
		if home := r.HomeOf(&c.Plan); !home.Known || len(home.Places) != 1 || home.Places[0] != (Place{Role: "eng", Node: "n1"}) {
			t.Errorf("the pod's home is %+v", home)
		}
	})
}

// A pod that looked before it was known where it has a reservation is tried again.
func TestFirstListWakesStickyPods(t *testing.T) {
	inBubble(t, func(r *rig) {
		stickyRig(r)
		r.node("n1")
		r.mu.Lock()
		r.agentSeen("a-n1", "n1")
		r.mu.Unlock()
		early, late := stickyPod("set-0"), stickyPod("set-1")
		r.podChanged(early)
		r.podChanged(late)
		r.park(early)
		c := r.Begin(late)
		if r.HomeOf(&c.Plan).Known {
			t.Fatal("known before the first list")
		}
		r.listed(agentWith(t, "web", "n1"))
		r.Park(late, c.Seen)
		r.pass(tickEvery)
		r.activatedMu.Lock()
		defer r.activatedMu.Unlock()
		if !slices.Contains(r.activated, "ns/set-0") || !slices.Contains(r.activated, "ns/set-1") {
			t.Errorf("activated %q, want both pods", r.activated)
		}
	})
}

// What is to be given back is unreserved as it is offered, but not again and again if
// the master keeps it: pods need the rest of the agent.
func TestGiveBack(t *testing.T) {
	inBubble(t, func(r *rig) {
		stickyRig(r)
		r.node("n1")
		gone := stickyPod("gone")
		r.listed(agentWith(t, "web", "n1", gone))
		owner, _ := reservations.OwnerOf(gone)
		r.cfg.Registry.ReleaseNow(owner.Key(), time.Now())
		r.pass(time.Second)
		r.wantCalls("REVIVE")
		mixed := reservedOffer(t, "web", "o1", "n1", gone)
		mixed.Unreserved = resources.Bundle{Vector: podNeed}
		r.Offers([]offers.Offer{mixed})
		r.pass(0)
		if calls := r.master.take(); len(calls) != 1 || !strings.HasPrefix(calls[0], "UNRESERVE o1 of a-n1: reserved for web") {
			t.Fatalf("calls %q, want one UNRESERVE", calls)
		}
		if held, _ := r.cache.Totals(); held != 0 {
			t.Errorf("%d offers are held that were spent", held)
		}

		r.podChanged(testPod("p"))
		mixed.ID = "o2"
		r.Offers([]offers.Offer{mixed})
		r.pass(0)
		if calls := r.master.take(); slices.ContainsFunc(calls, func(call string) bool { return strings.HasPrefix(call, "UNRESERVE") }) {
			t.Errorf("calls %q: told again at once", calls)
		}
		if sel := r.cache.Role("web").Select(offers.Plain(podNeed), 0, 0, nil); len(sel.Slots) != 1 {
			t.Error("the rest of the agent is not to be had by pods")
		}
		r.pass(penaltyMin + tickEvery)
		// The pod may need a REVIVE, or not: that is not ours here.
		calls := slices.DeleteFunc(r.master.take(), func(call string) bool { return call == "REVIVE" })
		if len(calls) != 1 || !strings.HasPrefix(calls[0], "UNRESERVE o2 of a-n1") {
			t.Errorf("calls %q, want one UNRESERVE", calls)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, due := range r.cfg.Registry.Due() {
			if len(due.Offers) > 0 {
				t.Errorf("spent offers are remembered: %q", due.Offers)
			}
		}
	})
}

// With nothing left to give back the role is suppressed again.
func TestGivingBackEnds(t *testing.T) {
	inBubble(t, func(r *rig) {
		stickyRig(r)
		r.node("n1")
		gone := stickyPod("gone")
		r.listed(agentWith(t, "eng", "n1", gone))
		owner, _ := reservations.OwnerOf(gone)
		r.cfg.Registry.ReleaseNow(owner.Key(), time.Now())
		r.pass(time.Second)
		r.wantCalls("UPDATE_FRAMEWORK eng+web, suppressed eng+web", "REVIVE eng")
		r.Offers([]offers.Offer{reservedOffer(t, "eng", "o1", "n1", gone)})
		r.pass(10 * time.Millisecond)
		r.listed(agentWith(t, "eng", "n1"))
		r.master.take()
		r.pass(5 * time.Second)
		r.wantCalls("SUPPRESS eng")
		r.pass(2 * time.Minute)
		r.wantCalls("UPDATE_FRAMEWORK web, suppressed web")
	})
}
