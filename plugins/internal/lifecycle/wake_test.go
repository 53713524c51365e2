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
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/cache"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// park lets the pod look for offers and fall asleep.
func (r *rig) park(pod *v1.Pod) { r.Park(pod, r.Begin(pod).Seen) }

func TestOfferWakesWhoFits(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		for _, name := range []string{"p1", "p2", "p3", "p4"} {
			r.podChanged(testPod(name))
			r.park(testPod(name))
		}
		r.wantActivated()
		// Two, and a fifth more, rounded up.
		r.Offers([]offers.Offer{offer("o1", "n1", 2)})
		r.wantActivated("ns/p1", "ns/p2", "ns/p3")
	})
}

func TestPodThatParksTooLateIsTriedAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.podChanged(testPod("p"))
		seen := r.Begin(testPod("p")).Seen
		r.Offers([]offers.Offer{offer("o1", "n1", 1)})
		r.Park(testPod("p"), seen)
		r.wantActivated("ns/p")
		if _, parked := r.demanded(); parked != 0 {
			t.Error("the pod is asleep nevertheless")
		}
	})
}

// Whatever the order of looking, parking and offering, nobody sleeps beside an
// offer that fits.
func TestWakeParkRace(t *testing.T) {
	for i := range 200 {
		inBubble(t, func(r *rig) {
			r.node("n1")
			r.podChanged(testPod("p"))
			found := false
			var racing sync.WaitGroup
			racing.Go(func() {
				seen := r.Begin(testPod("p")).Seen
				if sel := r.cache.Role("web").Select(offers.Plain(podNeed), 0, 0, nil); len(sel.Slots) > 0 {
					found = true
					return
				}
				r.Park(testPod("p"), seen)
			})
			racing.Go(func() { r.Offers([]offers.Offer{offer(fmt.Sprint("o", i), "n1", 1)}) })
			racing.Wait()
			synctest.Wait()
			r.activatedMu.Lock()
			defer r.activatedMu.Unlock()
			if !found && len(r.activated) == 0 {
				t.Fatal("the pod sleeps beside an offer that fits")
			}
		})
	}
}

func TestFreedReservationWakes(t *testing.T) {
	for name, free := range map[string]func(r *rig, id string){
		"by Cancel":         func(r *rig, id string) { r.Cancel(id); r.Cancel(id) },
		"by the pod's end":  func(r *rig, _ string) { r.podGone(testPod("first")) },
		"while it is asked": nil,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				big := testPod("big")
				big.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse("3")
				r.node("n1")
				r.podChanged(testPod("first"))
				r.podChanged(big)
				r.Offers([]offers.Offer{offer("o1", "n1", 3)})
				seen := r.Begin(big).Seen
				r.keepOpen()
				id := r.mustReserve(testPod("first"), "n1")
				if free == nil {
					r.Cancel(id)
					r.Park(big, seen)
				} else {
					r.Park(big, seen)
					r.wantActivated()
					free(r, id)
				}
				r.wantActivated("ns/big")
			})
		})
	}
}

func TestAgentThatBecomesANodeWakes(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.podChanged(testPod("p"))
		r.park(testPod("p"))
		// Held while it is judged: a sweep would decline it as foreign.
		r.mu.Lock()
		r.sweepAt = time.Now().Add(time.Hour)
		r.mu.Unlock()
		o := offer("o1", "n1", 1)
		r.mu.Lock()
		r.agentSeen(o.AgentID, o.Hostname)
		r.cache.Add(&o, time.Now())
		r.mu.Unlock()
		r.wantActivated()
		r.node("n1")
		r.wantActivated("ns/p")
	})
}

func TestPodThatLookedBeforeItWasKnownIsTriedAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.park(testPod("p"))
		r.wantActivated()
		r.podChanged(testPod("p"))
		r.wantActivated("ns/p")
		r.podChanged(testPod("p"))
		r.wantActivated()

		// A pod of which the informer never tells is forgotten.
		r.park(testPod("ghost"))
		r.pass(2 * earlyFor)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.early) != 0 {
			t.Errorf("remembered for ever: %v", r.early)
		}
		if all, _ := r.waiting(); all != 1 {
			t.Errorf("%d pods want offers, want 1", all)
		}
	})
}

func TestPodThatNeedsLessIsTriedAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.podChanged(testPod("p"))
		r.park(testPod("p"))
		less := testPod("p")
		less.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse("500m")
		r.podChanged(less)
		r.wantActivated("ns/p")
	})
}

func TestNewSubscriptionVoidsOffersAndOpenBatches(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.podChanged(testPod("p"))
		r.podChanged(testPod("q"))
		r.Offers([]offers.Offer{offer("o1", "n1", 3)})
		r.keepOpen()
		id := r.mustReserve(testPod("p"), "n1")
		r.Disconnected(errors.New("gone"))
		if outcome, err := r.Await(r.t.Context(), id); err != nil || outcome.Cause != claims.CauseDisconnected {
			t.Errorf("the launch ended with %+v, %v", outcome, err)
		}
		if held, _ := r.cache.Totals(); held != 0 {
			t.Errorf("%d offers outlived their subscription", held)
		}
		if _, err := r.Reserve(testPod("q"), "n1", "web", offers.Plain(podNeed)); !errors.Is(err, ErrNotConnected) {
			t.Errorf("Reserve while disconnected: %v", err)
		}
		if r.Begin(testPod("q")).Connected {
			t.Error("connected without a subscription")
		}
	})
}

func TestAgentListOfAnEarlierSubscriptionIsIgnored(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.node("n2")
		list := []mesos.Agent{{ID: "a-n1", Hostname: "n1", Active: true}, {ID: "a-n2", Hostname: "n2"}}
		old := r.generation
		r.Disconnected(errors.New("gone"))
		r.Subscribed(mesos.Subscription{FrameworkID: "fw", Roles: []mesos.RoleAsk{{Name: "web", Suppressed: true}}})
		r.agentsListed(old, r.failures, time.Now(), list)
		if got, want := r.Shortage(), (Shortage{NoOffer: 2}); got != want {
			t.Errorf("shortage %+v, want %+v", got, want)
		}
		failures := r.failures
		r.Failed("a-n3", "", 0)
		if r.agentsListed(r.generation, failures, time.Now(), list) {
			t.Error("a list was taken that may have an agent which is gone")
		}
		r.agentsListed(r.generation, r.failures, time.Now(), list)
		// Agent a-n2 is not active, but is the node's: it merely makes no offer.
		if got, want := r.Shortage(), (Shortage{}); got != want {
			t.Errorf("shortage %+v, want %+v", got, want)
		}
		// It was installed anew, and the master has not given up the old one.
		r.agentsListed(r.generation, r.failures, time.Now(), append(list, mesos.Agent{ID: "b-n2", Hostname: "n2", Active: true}))
		if got, want := r.nodes.AgentOf("n2"), "b-n2"; got != want {
			t.Errorf("node n2 is agent %q, want %q", got, want)
		}
		r.agentsListed(r.generation, r.failures, time.Now(), list[:1])
		if got, want := r.Shortage(), (Shortage{NotAgent: 1}); got != want {
			t.Errorf("shortage %+v, want %+v", got, want)
		}
	})
}

func TestReserveErrors(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.node("n2")
		r.podChanged(testPod("p"))
		r.podChanged(testPod("q"))
		r.Offers([]offers.Offer{offer("o1", "n1", 3)})
		r.keepOpen()
		for _, node := range []string{"n2", "unknown"} {
			if _, err := r.Reserve(testPod("p"), node, "web", offers.Plain(podNeed)); !errors.Is(err, offers.ErrNoOffer) {
				t.Errorf("Reserve on %s: %v", node, err)
			}
		}
		r.mustReserve(testPod("p"), "n1")
		var short *offers.ShortError
		if _, err := r.Reserve(testPod("q"), "n1", "web", offers.Plain(podNeed.Add(podNeed).Add(podNeed))); !errors.As(err, &short) {
			t.Errorf("Reserve of what is reserved: %v", err)
		}
		if _, err := r.Reserve(testPod("p"), "n1", "web", offers.Plain(podNeed)); err == nil || errors.As(err, &short) {
			t.Errorf("second Reserve of a pod: %v", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := r.ledger.Count(claims.Reserved); n != 1 {
			t.Errorf("%d claims are reserved, want 1", n)
		}
	})
}

func TestAgentsOfNodesAreShown(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.mu.Lock()
		var shown []map[string]mesos.Agent
		r.cfg.ShowAgents = func(agents map[string]mesos.Agent) { shown = append(shown, agents) }
		r.mu.Unlock()
		r.node("n1")
		list := []mesos.Agent{
			{ID: "a1", Hostname: "n1", Active: true, Attributes: map[string]string{"rack": "r1"}, Region: "eu", Zone: "eu-1"},
			{ID: "a2", Hostname: "no-node", Active: true},
		}
		r.agentsListed(r.generation, r.failures, time.Now(), list)
		r.agentsListed(r.generation+1, r.failures, time.Now(), list) // of another subscription
		want := []map[string]mesos.Agent{{"n1": list[0]}}
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
	})
}

func TestConfirmed(t *testing.T) {
	inBubble(t, func(r *rig) {
		id := r.held(testPod("p"), "n1")
		want := Binding{TaskID: id, AgentID: "a-n1", FrameworkID: "fw", Role: "web", Resources: "cpus:1;mem:64"}
		if b, ok := r.Confirmed(id); !ok || b != want {
			t.Errorf("Confirmed: %+v, %v, want %+v", b, ok, want)
		}
		// The agent turns out to be another node.
		r.nodeGone("n1")
		r.nodeChanged(st.MakeNode().Name("n9").Label(nodes.HostnameLabel, "n1").Obj())
		if _, ok := r.Confirmed(id); ok {
			t.Error("confirmed for a node that is another agent's")
		}
		if _, ok := r.Confirmed("uid-p.1"); ok {
			t.Error("confirmed a task that never was")
		}
	})
}

func TestCancelKillsWhatMayRun(t *testing.T) {
	inBubble(t, func(r *rig) {
		id := r.held(testPod("p"), "n1")
		r.Cancel(id)
		r.Cancel(id)
		calls := 0
		synctest.Wait()
		for _, call := range r.master.take() {
			if call == "KILL "+id {
				calls++
			}
		}
		if calls != 1 || r.phase(id) != claims.Releasing {
			t.Errorf("%d KILLs, claim %q", calls, r.phase(id))
		}
		if outcome, err := r.Await(r.t.Context(), id); err != nil || outcome.OK {
			t.Errorf("Await of a cancelled claim: %+v, %v", outcome, err)
		}
	})
}

func TestAmbiguousHostIsReportedOnce(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.agentsListed(r.generation, r.failures, time.Now(), []mesos.Agent{{ID: "a1", Hostname: "n1", Active: true}, {ID: "a2", Hostname: "N1.", Active: true}})
		r.node("n2")
		r.agentsListed(r.generation, r.failures, time.Now(), []mesos.Agent{{ID: "a1", Hostname: "n1", Active: true}, {ID: "a2", Hostname: "N1.", Active: true}})
		if n := len(r.events.Events); n != 1 {
			t.Fatalf("%d events, want 1", n)
		}
		if got, want := r.Shortage(), (Shortage{NotAgent: 1, Ambiguous: 1}); got != want {
			t.Errorf("shortage %+v, want %+v", got, want)
		}
		r.Failed("a2", "", 0)
		r.mu.Lock()
		defer r.mu.Unlock()
		if got := r.nodes.AgentOf("n1"); got != "a1" {
			t.Errorf("n1 is agent %q after the other one went", got)
		}
	})
}

func TestPodHandlerSeesOnlyOurPods(t *testing.T) {
	inBubble(t, func(r *rig) {
		h := r.PodHandler(func(pod *v1.Pod) bool { return pod.Spec.SchedulerName == "kube-mesos" })
		theirs := testPod("theirs")
		theirs.Spec.SchedulerName = "default-scheduler"
		gated := testPod("gated")
		gated.Spec.SchedulingGates = []v1.PodSchedulingGate{{Name: "wait"}}
		odd := testPod("odd")
		odd.Spec.Containers[0].Resources.Requests["example.com/fpga"] = resource.MustParse("1")
		for _, pod := range []*v1.Pod{testPod("p"), theirs, gated, odd} {
			h.OnAdd(pod, false)
		}
		if all, _ := r.demanded(); all != 1 {
			t.Errorf("%d pods want offers, want 1", all)
		}
		has := func(uid string) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.demandOf("web").Has(uid)
		}
		// Deleted and made anew under the same name while the watch was away.
		again := testPod("p")
		again.UID = "uid-again"
		h.OnUpdate(testPod("p"), again)
		if all, _ := r.demanded(); all != 1 || !has("uid-again") {
			t.Errorf("%d pods want offers, want the new one only", all)
		}
		h.OnDelete(cache.DeletedFinalStateUnknown{Key: "ns/p", Obj: again})
		h.OnDelete(theirs)
		if all, _ := r.demanded(); all != 0 {
			t.Errorf("%d pods want offers, want none", all)
		}
	})
}
