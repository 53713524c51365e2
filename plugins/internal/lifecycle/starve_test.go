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
	"maps"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// victim is a bound pod of the priority, whose task the master has told of.
func (r *rig) victim(name, node string, priority int32, state claims.TaskState) *v1.Pod {
	task := "uid-" + name + ".7"
	pod := boundPod(name, node, task, "a-"+node)
	pod.Spec.Priority = &priority
	r.node(node)
	r.mu.Lock()
	r.agentSeen("a-"+node, node)
	r.mu.Unlock()
	r.podChanged(pod)
	r.Updated(claims.TaskStatus{TaskID: task, AgentID: "a-" + node, State: state})
	return pod
}

func (r *rig) parts(name string, parts ...resources.Portion) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ledger.SetParts("uid-"+name+".7", parts)
}

func of(f *resources.Flavour) resources.Portion {
	return resources.Portion{Flavour: f, Bundle: resources.Bundle{Vector: podNeed}}
}

func reservedFor(role string) *resources.Flavour {
	return &resources.Flavour{Reservations: []resources.Reservation{{Role: role}}, Wire: role}
}

// Preemption can help where what pods of lower priority hold of Mesos, as it will be
// offered again, is enough with what is offered.
func TestPreemptable(t *testing.T) {
	const below = 10
	plain, twice := offers.Plain(podNeed), offers.Plain(podNeed.Add(podNeed))
	reservedOnly := &offers.Want{Need: resources.Bundle{Vector: podNeed}, Order: offers.ReservedOnly}
	riding := &offers.Want{Need: resources.Bundle{Vector: podNeed}, Revocable: offers.RevocableRequired}
	for _, test := range []struct {
		name  string
		setUp func(r *rig)
		want  *offers.Want
		role  string
		helps bool
	}{
		{"a pod of lower priority", func(r *rig) { r.victim("a", "n1", 1, claims.TaskRunning) }, plain, "web", true},
		{"for another role", func(r *rig) { r.victim("a", "n1", 1, claims.TaskRunning) }, plain, "eng", true},
		{"one of the same", func(r *rig) { r.victim("a", "n1", below, claims.TaskRunning) }, plain, "web", false},
		{"one of higher", func(r *rig) { r.victim("a", "n1", below+1, claims.TaskRunning) }, plain, "web", false},
		{"one that is too small", func(r *rig) { r.victim("a", "n1", 1, claims.TaskRunning) }, twice, "web", false},
		{"two together", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.victim("b", "n1", 2, claims.TaskRunning)
		}, twice, "web", true},
		{"two on two nodes", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.victim("b", "n2", 2, claims.TaskRunning)
		}, twice, "web", false},
		{"one with an offer", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.Offers([]offers.Offer{offer("o1", "n1", 1)})
		}, twice, "web", true},
		{"one whose agent is away", func(r *rig) { r.victim("a", "n1", 1, claims.TaskUnreachable) }, plain, "web", false},
		{"one whose task is being killed", func(r *rig) { r.victim("a", "n1", 1, claims.TaskKilling) }, plain, "web", false},
		{"one beside another that ends anyway", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.podGone(r.victim("b", "n1", 20, claims.TaskRunning))
		}, plain, "web", false},
		{"one beside another that ends and is not enough", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.victim("c", "n1", 1, claims.TaskRunning)
			r.podGone(r.victim("b", "n1", 20, claims.TaskRunning))
		}, twice, "web", true},
		{"one on another agent than its node's", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.forgetAgent("a-n1")
			r.agentSeen("new", "n1")
		}, plain, "web", false},
		{"what is reserved for the role", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.parts("a", of(reservedFor("web")))
		}, plain, "web", true},
		{"what is reserved for the role above", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.parts("a", of(reservedFor("web")))
		}, plain, "web/shop", true},
		{"what is reserved for another role", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.parts("a", of(reservedFor("web")))
		}, plain, "webshop", false},
		{"what is unreserved, for reserved only", func(r *rig) { r.victim("a", "n1", 1, claims.TaskRunning) }, reservedOnly, "web", false},
		{"what is reserved, for reserved only", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.parts("a", of(reservedFor("web")))
		}, reservedOnly, "web", true},
		{"what is revocable, for a pod that must not ride", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.parts("a", of(resources.RevocableFlavour))
		}, plain, "web", false},
		{"what is revocable, for one that must", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.parts("a", of(resources.RevocableFlavour))
		}, riding, "web", true},
		{"what is regular, for one that must ride", func(r *rig) { r.victim("a", "n1", 1, claims.TaskRunning) }, riding, "web", false},
		{"what is withheld of the node", func(r *rig) {
			r.victim("a", "n1", 1, claims.TaskRunning)
			r.Withhold(map[string]resources.Vector{"n1": {resources.CPU: 1}})
		}, plain, "web", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				priority := int32(below)
				high := testPod("high")
				high.Spec.Priority = &priority
				r.podChanged(high)
				test.setUp(r)
				found := slices.Sorted(maps.Keys(r.Preemptable(high, test.role, test.want)))
				if helps := slices.Equal(found, []string{"n1"}); helps != test.helps || len(found) > 1 {
					t.Errorf("preemption helps on %v", found)
				}
				never := v1.PreemptNever
				high.Spec.PreemptionPolicy = &never
				if found := r.Preemptable(high, test.role, test.want); len(found) > 0 {
					t.Errorf("a pod that must not preempt may on %v", found)
				}
			})
		})
	}
}

// What a pod holds counts with its further tasks.
func TestHeldAt(t *testing.T) {
	inBubble(t, func(r *rig) {
		pod := r.victim("a", "n1", 1, claims.TaskRunning)
		r.mu.Lock()
		id, err := r.ledger.OpenExtra("uid-a", "a-n1", resources.Bundle{Vector: podNeed}, time.Now())
		r.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		for node, want := range map[string]string{"n1": "2 true", "n2": "0 false"} {
			held, holds := r.HeldAt(pod, node)
			if got := fmt.Sprint(len(held), holds); got != want {
				t.Errorf("on %s the pod holds %s, want %s, with task %s", node, got, want, id)
			}
		}
		if held, holds := r.HeldAt(testPod("none"), "n1"); len(held) > 0 || holds {
			t.Errorf("a pod without a claim holds %v", held)
		}
	})
}

// A pod starves by the offers of one subscription, and after it preempted others its
// time runs anew, from the end of the last victim on.
func TestHunger(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.mu.Lock()
		r.cfg.Preempt, r.cfg.StarvationTimeout = true, 30*time.Second
		r.mu.Unlock()
		priority := int32(10)
		pod := testPod("high")
		pod.Spec.Priority = &priority
		r.podChanged(pod)
		starved := func(when string, want bool) {
			t.Helper()
			if got := r.Begin(pod).Starvation.Starved; got != want {
				t.Errorf("%s: starved is %v", when, got)
			}
			r.Starve(pod)
		}
		starved("at first", false)
		r.pass(29 * time.Second)
		starved("before the timeout", false)
		r.pass(time.Second)
		starved("after the timeout", true)
		r.Subscribed(r.subscription)
		starved("in a new subscription", false)
		r.pass(30 * time.Second)
		starved("after the timeout", true)

		victim := r.victim("a", "n1", 1, claims.TaskRunning)
		r.Attempted(pod)
		nominated := pod.DeepCopy()
		nominated.Status.NominatedNodeName = "n1"
		r.podChanged(nominated)
		r.pass(20 * time.Second)
		starved("after it preempted", false)
		r.podGone(victim)
		r.pass(20 * time.Second)
		starved("after its victim's end", false)
		r.pass(10 * time.Second)
		starved("when nothing came of it", true)

		r.reserved(pod, "n2")
		starved("with a claim", false)
	})
}

// Starved pods are tried without an offer, few at a time, and only if there is
// anybody whom they may preempt.
func TestStarvedPodsAreTried(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.mu.Lock()
		r.cfg.Preempt, r.cfg.StarvationTimeout = true, 30*time.Second
		r.mu.Unlock()
		r.victim("a", "n1", 1, claims.TaskRunning)
		never := v1.PreemptNever
		for i := range 20 {
			pod := testPod(fmt.Sprintf("p%02d", i))
			priority := int32(2)
			pod.Spec.Priority = &priority
			switch i {
			case 18:
				priority = 1
			case 19:
				pod.Spec.PreemptionPolicy = &never
			}
			r.podChanged(pod)
			r.Starve(pod)
			r.park(pod)
		}
		r.pass(29 * time.Second)
		r.wantActivated()
		r.pass(time.Second + tickEvery)
		var first []string
		for i := range starvedAtOnce {
			first = append(first, fmt.Sprintf("ns/p%02d", i))
		}
		r.activatedMu.Lock()
		got := slices.Sorted(slices.Values(r.activated))
		r.activatedMu.Unlock()
		if len(got) < starvedAtOnce || !slices.Equal(got[:starvedAtOnce], first) || len(got) > 2*starvedAtOnce {
			t.Errorf("tried first: %v", got)
		}
		r.pass(2 * time.Second)
		r.activatedMu.Lock()
		defer r.activatedMu.Unlock()
		if len(r.activated) != 18 {
			t.Errorf("tried: %v", r.activated)
		}
	})
}
