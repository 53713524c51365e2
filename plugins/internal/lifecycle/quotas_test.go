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
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// limitCPU makes the quota of "web" hold for so much cpu, read a moment ago.
func (r *rig) limitCPU(milli int64) {
	r.mu.Lock()
	r.cfg.EnforceQuota = true
	r.mu.Unlock()
	r.readQuotas(quotaOf(milli))
}

// quotaOf is a quota of "web" that limits cpu.
func quotaOf(milli int64) []quota.Role {
	return []quota.Role{{Name: "web", Limit: resources.Bundle{Vector: resources.Vector{resources.CPU: milli}}, Limited: map[string]bool{"cpus": true}}}
}

func (r *rig) readQuotas(list []quota.Role) {
	r.cfg.Book.Set(list, r.cfg.Usage.Snapshot(), time.Now())
	r.mu.Lock()
	r.recheck, r.quotaReadings = true, firstReadings
	r.mu.Unlock()
}

func (r *rig) wantSuppressed(role string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked := r.demandOf(role).Asked(); asked != demand.Suppressed {
		r.t.Errorf("the role %s is %s, want it suppressed", role, asked)
	}
}

// end makes the pod and its task end.
func (r *rig) end(pod *v1.Pod, task string) {
	r.podGone(pod)
	r.Updated(claims.TaskStatus{TaskID: task, AgentID: "a-n1", State: claims.TaskKilled})
}

func TestPodsOverQuotaWantNoOffers(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.limitCPU(2000)
		var ids []string
		for _, name := range []string{"p1", "p2"} {
			ids = append(ids, r.held(testPod(name), "n1"))
		}
		for i := range 10 {
			pod := testPod(fmt.Sprint("q", i))
			r.podChanged(pod)
			r.park(pod)
		}
		r.pass(2 * time.Second)
		r.wantSuppressed("web")
		r.wantActivated()
		r.master.take()
		if all, parked := r.demanded(); all != 10 || parked != 10 {
			t.Errorf("%d pods wait and %d sleep, want 10 and 10", all, parked)
		}

		// One claim ends: as many are tried as the quota has room for.
		r.end(testPod("p1"), ids[0])
		r.pass(tickEvery)
		r.wantActivated("ns/q0")
		if calls := r.master.take(); !slices.Contains(calls, "REVIVE") {
			t.Errorf("calls %q, want a REVIVE", calls)
		}
	})
}

func TestMostImportantPodGetsTheQuota(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.limitCPU(1000)
		id := r.held(testPod("p"), "n1")
		for i, priority := range []int32{1, 3, 2} {
			pod := testPod(fmt.Sprint("q", i))
			pod.Spec.Priority = &priority
			r.podChanged(pod)
			r.park(pod)
		}
		r.end(testPod("p"), id)
		r.pass(tickEvery)
		r.wantActivated("ns/q1")
	})
}

// fakeQuotas is read by the manager.
type fakeQuotas struct{ list atomic.Pointer[[]quota.Role] }

func (f *fakeQuotas) Quotas(context.Context) ([]quota.Role, error) { return *f.list.Load(), nil }

func (f *fakeQuotas) set(list []quota.Role) { f.list.Store(&list) }

// A larger quota wakes as many as it has room for, also those that go on asking for
// offers because they may use others: what they let go is offered again.
func TestLargerQuotaWakes(t *testing.T) {
	for name, riding := range map[string]bool{"who wants none": false, "who may ride": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				source := &fakeQuotas{}
				source.set(quotaOf(1000))
				r.Attach(r.master, nil, source)
				r.limitCPU(1000)
				r.held(testPod("p"), "n1")
				pod := testPod("q")
				if riding {
					pod.Annotations = map[string]string{AnnotationRevocable: RevocableAllowed}
				}
				r.podChanged(pod)
				r.park(pod)
				if r.asks("web", pod) != riding {
					t.Errorf("asks for offers: %v, want %v", !riding, riding)
				}
				r.pass(20 * time.Second)
				r.wantActivated()
				r.master.take()
				source.set(quotaOf(2000))
				r.pass(11 * time.Second)
				r.wantActivated("ns/q")
				if calls := r.master.take(); !slices.Contains(calls, "REVIVE") {
					t.Errorf("calls %q, want a REVIVE", calls)
				}
			})
		})
	}
}

// Quota that is used up while a pod waits for offers takes it out of the demand.
func TestQuotaThatRunsOutEndsDemand(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.limitCPU(1000)
		r.podChanged(testPod("late"))
		r.held(testPod("p"), "n1")
		r.park(testPod("late"))
		if r.asks("web", testPod("late")) {
			t.Error("a pod that the quota has no room for asks for offers")
		}
		r.pass(2 * time.Second)
		r.wantSuppressed("web")
	})
}

func TestReserveOverQuota(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.limitCPU(1500)
		r.node("n1")
		r.keepOpen()
		r.podChanged(testPod("p"))
		r.podChanged(testPod("q"))
		r.Offers([]offers.Offer{offer("o1", "n1", 3)})
		r.mustReserve(testPod("p"), "n1")
		var over *QuotaError
		if _, err := r.Reserve(testPod("q"), "n1", "web", offers.Plain(podNeed)); !errors.As(err, &over) || over.Lack != "cpu" {
			t.Errorf("Reserve over the quota: %v", err)
		}
		// Nothing is left of the attempt.
		sel := r.cache.Role("web").Select(offers.Plain(podNeed.Add(podNeed)), 0, 0, nil)
		if len(sel.Slots) != 1 || r.cfg.Usage.OfTree("web").Vector[resources.CPU] != 1000 {
			t.Errorf("%d nodes have two pods' need left, %v is used", len(sel.Slots), r.cfg.Usage.OfTree("web"))
		}
	})
}

// The quota of a top-level role holds for all roles below it together.
func TestQuotaOfATreeOfRoles(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("a", "web/a")
		r.namespace("b", "web/b")
		r.limitCPU(1000)
		r.node("n1")
		r.podChanged(podIn("a", "p"))
		r.podChanged(podIn("b", "q"))
		r.pass(time.Second)
		r.Offers([]offers.Offer{offerTo("web/a", "o1", "n1", 1), offerTo("web/b", "o2", "n1", 1)})
		if _, err := r.Reserve(podIn("a", "p"), "n1", "web/a", offers.Plain(podNeed)); err != nil {
			t.Fatal(err)
		}
		r.park(podIn("b", "q"))
		if r.asks("web/b", podIn("b", "q")) {
			t.Error("asks for offers although the tree's quota is used up")
		}
		if _, lack := r.WithinQuota("web/b", *offers.Plain(podNeed)); lack != "cpu" {
			t.Errorf("lacks %q", lack)
		}
	})
}

// An offer that goes from under a batch may leave a member only what the quota has no
// room for.
func TestQuotaAfterARescind(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.limitCPU(500)
		r.node("n1")
		r.keepOpen()
		// Pods that the quota never keeps back, or nobody is left to keep the batch open
		// for: more than have a reservation.
		for _, name := range []string{"small", "smaller"} {
			small := testPod(name)
			delete(small.Spec.Containers[0].Resources.Requests, v1.ResourceCPU)
			r.podChanged(small)
		}
		r.podChanged(testPod("p"))
		reserved := offer("o1", "n1", 0)
		reserved.Special = []resources.Portion{{
			Flavour: &resources.Flavour{Reservations: []resources.Reservation{{Role: "web"}}, Wire: "web"},
			Bundle:  resources.Bundle{Vector: podNeed},
		}}
		r.Offers([]offers.Offer{reserved, offer("o2", "n1", 2)})
		id := r.mustReserve(testPod("p"), "n1")
		r.Rescinded("o1")
		r.pass(2 * time.Second)
		synctest.Wait()
		if len(r.master.launches) > 0 {
			t.Errorf("launched %+v over the quota", r.master.launches[0].Tasks)
		}
		if outcome, err := r.Await(r.t.Context(), id); err != nil || outcome.Cause != claims.CauseOfferGone {
			t.Errorf("the launch ended with %+v, %v", outcome, err)
		}
		if used := r.cfg.Usage.OfTree("web"); !used.IsZero() {
			t.Errorf("%s is still used", used)
		}
	})
}
