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
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// runs is a pod bound on n1 by task uid-p.7, which holds n test pods' resources, that
// requests as much.
func runs(n int64, change ...func(*v1.Pod)) *v1.Pod {
	pod := boundPod("p", "n1", "uid-p.7", "a-n1")
	pod.Annotations[AnnotationResources] = units(n)
	request(pod, n)
	for _, f := range change {
		f(pod)
	}
	return pod
}

// units is what n test pods need, in text.
func units(n int64) string {
	return resources.Vector{resources.CPU: n * podNeed[resources.CPU], resources.Memory: n * podNeed[resources.Memory]}.String()
}

func request(pod *v1.Pod, n int64) {
	pod.Spec.Containers[0].Resources.Requests = v1.ResourceList{
		v1.ResourceCPU: *resource.NewQuantity(n, resource.DecimalSI), v1.ResourceMemory: *resource.NewQuantity(n<<26, resource.BinarySI),
	}
}

// inResize runs a test with a pod that runs on node n1, and whose task is held.
func inResize(t *testing.T, pod *v1.Pod, test func(r *rig)) {
	t.Helper()
	inBubble(t, func(r *rig) {
		r.node("n1")
		r.Offers([]offers.Offer{offer("o-first", "n1", 1)})
		r.podChanged(pod.DeepCopy())
		r.pass(2 * time.Second)
		r.runsTask("uid-p.7")
		r.master.take()
		test(r)
	}, pod)
}

// runsTask tells that the task runs on n1.
func (r *rig) runsTask(id string) {
	r.Updated(claims.TaskStatus{TaskID: id, AgentID: "a-n1", State: claims.TaskRunning})
	synctest.Wait()
}

// ends tells that the task ended.
func (r *rig) ends(id string, state claims.TaskState, reason string) {
	r.Updated(claims.TaskStatus{TaskID: id, AgentID: "a-n1", State: state, Reason: reason, Source: "SOURCE_AGENT"})
	synctest.Wait()
}

// atAPI returns the pod as the API server has it.
func (r *rig) atAPI() *v1.Pod {
	r.t.Helper()
	pod, err := r.api.CoreV1().Pods("ns").Get(r.t.Context(), "p", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return pod
}

// resized makes the pod request what n test pods need.
func (r *rig) resized(n int64) {
	r.t.Helper()
	pod := r.atAPI()
	request(pod, n)
	if _, err := r.api.CoreV1().Pods("ns").Update(r.t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		r.t.Fatal(err)
	}
	r.follow()
}

// follow tells what the API server has, as the informer does.
func (r *rig) follow() {
	r.t.Helper()
	r.podChanged(r.atAPI())
	synctest.Wait()
}

// taken waits for the launch of a further task, and returns its id.
func (r *rig) taken(need string) string {
	r.t.Helper()
	r.pass(50 * time.Millisecond)
	l := r.master.lastLaunch(r.t)
	if len(l.Tasks) != 1 || len(l.Tasks[0].Parts) != 1 || l.Tasks[0].Parts[0].Bundle.String() != need || l.AgentID != "a-n1" {
		r.t.Fatalf("launched %+v, want one task of %s on a-n1", l, need)
	}
	return l.Tasks[0].ID
}

// grown makes the pod grow by n, from an offer that comes, and returns the new task.
func (r *rig) grown(to, by int64) string {
	r.t.Helper()
	r.resized(to)
	r.Offers([]offers.Offer{offer("o-more", "n1", by+1)})
	id := r.taken(units(by))
	r.runsTask(id)
	r.follow()
	return id
}

// wantNamed checks the pod's annotations.
func (r *rig) wantNamed(task, holds, extras string) {
	r.t.Helper()
	synctest.Wait()
	got := r.atAPI().Annotations
	if got[AnnotationTask] != task || got[AnnotationResources] != holds || got[AnnotationExtras] != extras {
		r.t.Errorf("the pod names task %q with %q and %q, want %q with %q and %q",
			got[AnnotationTask], got[AnnotationResources], got[AnnotationExtras], task, holds, extras)
	}
}

// wantHeld checks what is held for the pod.
func (r *rig) wantHeld(n int64) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.ledger.HeldOf("uid-p"); got.String() != units(n) {
		r.t.Errorf("%s is held for the pod, want %s", got, units(n))
	}
}

// wantKills checks which tasks were killed since the calls were last taken.
func (r *rig) wantKills(want ...string) {
	r.t.Helper()
	synctest.Wait()
	var kills []string
	for _, call := range r.master.take() {
		if id, ok := strings.CutPrefix(call, "KILL "); ok {
			kills = append(kills, id)
		}
	}
	slices.Sort(kills)
	kills = slices.Compact(kills) // they are repeated until the end is told
	slices.Sort(want)
	if !slices.Equal(kills, want) {
		r.t.Errorf("killed %q, want %q", kills, want)
	}
}

// eventsOf returns the events of one reason since it was last called.
func (r *rig) eventsOf(reason string) (notes []string) {
	synctest.Wait()
	for {
		select {
		case event := <-r.events.Events:
			if strings.Contains(event, reason) {
				notes = append(notes, event)
			}
		default:
			return notes
		}
	}
}

func extrasJSON(id string, n int64) string { return `{"` + id + `":"` + units(n) + `"}` }

func TestGrownPodTakesAnotherTask(t *testing.T) {
	inResize(t, runs(1), func(r *rig) {
		r.resized(3)
		r.pass(time.Second)
		r.wantCalls("REVIVE")
		r.Offers([]offers.Offer{offer("o-other", "n2", 9), offer("o-small", "n1", 1)})
		r.pass(500 * time.Millisecond)
		for _, call := range r.master.take() {
			if strings.HasPrefix(call, "ACCEPT") {
				t.Errorf("%s, of an offer that is of no use", call)
			}
		}
		r.Offers([]offers.Offer{offer("o", "n1", 5)})
		id := r.taken(units(2))
		r.wantNamed("uid-p.7", units(1), "")
		r.wantHeld(1)
		r.runsTask(id)
		r.wantNamed("uid-p.7", units(1), extrasJSON(id, 2))
		r.wantHeld(3)
		r.follow()
		if notes := r.eventsOf(EventResized); len(notes) != 1 || !strings.Contains(notes[0], units(3)) {
			t.Errorf("events: %q", notes)
		}
		// Nothing is wanted any more.
		r.master.take()
		r.pass(5 * time.Second)
		if calls := r.master.take(); !slices.Equal(calls, []string{"SUPPRESS"}) {
			t.Errorf("calls when all is done: %q", calls)
		}
	})
}

func TestPodBackToItsSizeGivesBack(t *testing.T) {
	inResize(t, runs(1), func(r *rig) {
		id := r.grown(3, 2)
		r.master.take()
		// The annotation comes first.
		var away atomic.Bool
		away.Store(true)
		r.api.PrependReactor("patch", "pods", func(k8stesting.Action) (bool, runtime.Object, error) {
			return away.Load(), nil, errors.New("the API server is away")
		})
		r.resized(1)
		r.pass(3 * time.Second)
		r.wantKills()
		r.wantHeld(3)
		away.Store(false)
		r.pass(10 * time.Second)
		r.wantNamed("uid-p.7", units(1), "")
		r.wantKills(id)
		r.wantHeld(1)
		// Old news of the pod change nothing.
		old := runs(1)
		old.Annotations[AnnotationExtras] = extrasJSON(id, 2)
		r.podChanged(old)
		r.ends(id, claims.TaskKilled, "")
		r.follow()
		r.pass(10 * time.Second)
		r.wantHeld(1)
		r.wantKills()
	})
}

func TestShrunkPodMovesToASmallerTask(t *testing.T) {
	inResize(t, runs(3), func(r *rig) {
		r.resized(1)
		r.Offers([]offers.Offer{offer("o", "n1", 2)})
		id := r.taken(units(1))
		r.wantHeld(3)
		r.wantKills()
		r.runsTask(id)
		r.wantNamed(id, units(1), "")
		r.wantKills("uid-p.7")
		r.wantHeld(1)
		r.follow()
		r.ends("uid-p.7", claims.TaskKilled, "")
		r.pass(time.Minute)
		r.wantHeld(1)
		r.wantKills()
		if notes := r.eventsOf(EventTaskLost); len(notes) > 0 {
			t.Errorf("events: %q", notes)
		}
	})
}

// The kubelet still runs the pod with what it had.
func TestShrinkingPodHoldsWhatItIsGranted(t *testing.T) {
	granted := runs(3)
	granted.Status.ContainerStatuses = []v1.ContainerStatus{{Name: granted.Spec.Containers[0].Name,
		AllocatedResources: granted.Spec.Containers[0].Resources.Requests, Resources: granted.Spec.Containers[0].Resources.DeepCopy()}}
	inResize(t, granted, func(r *rig) {
		r.resized(1)
		r.pass(10 * time.Second)
		r.wantCalls()
		r.wantHeld(3)
	})
}

func TestShrunkPodRestsWithoutOffers(t *testing.T) {
	inResize(t, runs(3), func(r *rig) {
		r.resized(1)
		r.pass(time.Second)
		r.wantCalls("REVIVE")
		r.pass(shrinkSeek + 5*time.Second)
		// No offers came, and the last call ends the search.
		calls := slices.Compact(r.master.take())
		if !slices.Equal(calls, []string{"REVIVE", "SUPPRESS"}) {
			t.Errorf("calls to Mesos: %q", calls)
		}
		asked := func() bool {
			return slices.ContainsFunc(r.master.take(), func(call string) bool { return !strings.HasPrefix(call, "RECONCILE") })
		}
		r.pass(shrinkRest - 10*time.Second)
		if asked() {
			t.Error("offers were asked for while the pod was to rest")
		}
		r.pass(10 * time.Second)
		if !asked() {
			t.Error("offers were not asked for again")
		}
		if notes := r.eventsOf(EventResizePending); len(notes) > 0 {
			t.Errorf("a pod that has enough is said to lack something: %q", notes)
		}
		// A pod that rests and grows does not wait.
		r.pass(shrinkSeek + 5*time.Second)
		r.master.take()
		r.resized(4)
		r.Offers([]offers.Offer{offer("o", "n1", 2)})
		r.taken(units(1))
	})
}

func TestNoRoomIsTold(t *testing.T) {
	inResize(t, runs(1), func(r *rig) {
		r.resized(3)
		r.Offers([]offers.Offer{offer("o", "n1", 1)})
		r.pass(resizeTell - time.Second)
		if notes := r.eventsOf(EventResizePending); len(notes) > 0 {
			t.Errorf("told too early: %q", notes)
		}
		r.pass(3 * time.Second)
		notes := r.eventsOf(EventResizePending)
		if len(notes) != 1 {
			t.Fatalf("events: %q", notes)
		}
		for _, words := range []string{units(2), "does not offer", "may use more than it holds", "node n1", "resize the pod back"} {
			if !strings.Contains(notes[0], words) {
				t.Errorf("event %q does not say %q", notes[0], words)
			}
		}
		r.pass(resizeRetell - 10*time.Second)
		if notes := r.eventsOf(EventResizePending); len(notes) > 0 {
			t.Errorf("told too often: %q", notes)
		}
		r.pass(20 * time.Second)
		if notes := r.eventsOf(EventResizePending); len(notes) != 1 {
			t.Errorf("events: %q", notes)
		}
		r.Offers([]offers.Offer{offer("o2", "n1", 2)})
		r.taken(units(2))
	})
}

func runsSticky(n int64) *v1.Pod {
	controller := true
	return runs(n, func(pod *v1.Pod) {
		pod.Annotations[reservations.Annotation] = "true"
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "s", UID: "u", Controller: &controller}}
	})
}

// A pod with a reservation of its own makes one of what it takes besides.
func TestStickyPodReservesMore(t *testing.T) {
	inResize(t, runsSticky(1), func(r *rig) {
		r.resized(3)
		r.Offers([]offers.Offer{offer("o", "n1", 5)})
		r.runsTask(r.taken(units(2)))
		l := r.master.lastLaunch(t)
		if len(l.Reserve) != 1 || l.Reserve[0].Bundle.String() != units(2) || l.Reserve[0].Flavour.Reserved().Label(reservations.LabelPod) != "p" {
			t.Errorf("reserved %v", l.Reserve)
		}
		r.follow()
		r.wantHeld(3)
		r.resized(1)
		r.pass(5 * time.Second)
		r.wantHeld(1)
	})
}

// What is reserved for a pod stays so when it shrinks: a smaller task would give
// nothing to others.
func TestStickyPodStaysOnItsTask(t *testing.T) {
	inResize(t, runsSticky(3), func(r *rig) {
		r.resized(1)
		r.pass(10 * time.Second)
		r.wantCalls()
		r.wantHeld(3)
	})
}

func TestLostExtraIsReplaced(t *testing.T) {
	inResize(t, runs(1), func(r *rig) {
		id := r.grown(3, 2)
		r.ends(id, claims.TaskFailed, "")
		r.wantNamed("uid-p.7", units(1), "")
		r.wantHeld(1)
		if notes := r.eventsOf(EventTaskLost); len(notes) != 1 {
			t.Errorf("events: %q", notes)
		}
		r.follow()
		r.pass(time.Minute) // the agent is left alone for a while
		r.Offers([]offers.Offer{offer("o-again", "n1", 2)})
		again := r.taken(units(2))
		r.runsTask(again)
		r.wantNamed("uid-p.7", units(1), extrasJSON(again, 2))
		r.wantHeld(3)
		if !r.exists("p") {
			t.Error("the pod is gone")
		}
	})
}

func TestExtrasAreAdopted(t *testing.T) {
	pod := runs(3, func(pod *v1.Pod) {
		pod.Annotations[AnnotationResources] = units(1)
		pod.Annotations[AnnotationExtras] = extrasJSON("uid-p.8", 2)
	})
	inResize(t, pod, func(r *rig) {
		r.wantHeld(1)
		r.runsTask("uid-p.8")
		r.wantHeld(3)
		r.pass(time.Minute)
		r.wantCalls()
		r.podGone(pod)
		r.wantKills("uid-p.7", "uid-p.8")
	})
}

func TestUnnamedExtraIsKilled(t *testing.T) {
	inResize(t, runs(1), func(r *rig) {
		r.runsTask("uid-p.8")
		r.pass(10 * time.Second)
		r.wantKills("uid-p.8")
		r.wantHeld(1)
	})
}

func TestStaleNewsOfExtras(t *testing.T) {
	inResize(t, runs(1), func(r *rig) {
		id := r.grown(3, 2)
		old := r.atAPI()
		delete(old.Annotations, AnnotationExtras)
		r.podChanged(old)
		r.pass(time.Minute)
		r.wantNamed("uid-p.7", units(1), extrasJSON(id, 2))
		r.wantHeld(3)
		r.wantKills()
	})
}

func TestExtrasEndWithThePod(t *testing.T) {
	for name, until := range map[string]func(r *rig) (kills []string){
		"reserved": func(r *rig) []string {
			r.resized(3)
			r.keepOpen()
			r.Offers([]offers.Offer{offer("o", "n1", 5)})
			synctest.Wait()
			return nil
		},
		"launching": func(r *rig) []string {
			r.resized(3)
			r.Offers([]offers.Offer{offer("o", "n1", 5)})
			return []string{r.taken(units(2))}
		},
		"held": func(r *rig) []string { return []string{r.grown(3, 2)} },
	} {
		t.Run(name, func(t *testing.T) {
			inResize(t, runs(1), func(r *rig) {
				kills := until(r)
				r.master.take()
				r.podGone(r.atAPI())
				r.wantKills(append(kills, "uid-p.7")...)
				r.mu.Lock()
				defer r.mu.Unlock()
				if len(r.resizes) > 0 || len(r.outcomes) > 0 || r.demandOf("web").Has(resizer("uid-p")) {
					t.Errorf("%d resizes and %d outcomes are left", len(r.resizes), len(r.outcomes))
				}
			})
		})
	}
}

// A task that the agent does not run is tried again, and not all the time.
func TestFailedExtraIsTriedAgain(t *testing.T) {
	inResize(t, runs(1), func(r *rig) {
		r.resized(3)
		tries := 0
		for range 60 {
			r.Offers([]offers.Offer{offer("o", "n1", 5)})
			r.pass(time.Second)
			if l := r.master.lastLaunch(t); r.phase(l.Tasks[0].ID) == claims.Launching {
				tries++
				r.Updated(claims.TaskStatus{TaskID: l.Tasks[0].ID, AgentID: "a-n1", State: claims.TaskError, Source: "SOURCE_MASTER", Reason: "REASON_TASK_INVALID"})
			}
		}
		if tries < 3 || tries > 8 {
			t.Errorf("%d launches in a minute", tries)
		}
		if notes := r.eventsOf(EventLaunchFailed); len(notes) != tries {
			t.Errorf("%d events for %d failures", len(notes), tries)
		}
	})
}

func revocable(id string, n int64) offers.Offer {
	o := offer(id, "n1", 0)
	o.Unreserved = resources.Bundle{}
	o.Special = []resources.Portion{{Flavour: resources.RevocableFlavour, Bundle: resources.Bundle{
		Vector: resources.Vector{resources.CPU: n * podNeed[resources.CPU], resources.Memory: n * podNeed[resources.Memory]}}}}
	return o
}

// A pod on revocable resources grows on such ones, and ends when they are taken back.
func TestRevokedExtraEndsThePod(t *testing.T) {
	pod := runs(1, func(pod *v1.Pod) { pod.Annotations[AnnotationRevocable] = RevocableRequired })
	inResize(t, pod, func(r *rig) {
		r.resized(3)
		r.Offers([]offers.Offer{offer("regular", "n1", 9)})
		r.pass(time.Second)
		r.Offers([]offers.Offer{revocable("lent", 9)})
		id := r.taken(units(2))
		if parts := r.master.lastLaunch(t).Tasks[0].Parts; !parts[0].Flavour.IsRevocable() {
			t.Errorf("launched on %v", parts)
		}
		r.runsTask(id)
		r.follow()
		r.ends(id, claims.TaskGone, "REASON_CONTAINER_PREEMPTED")
		r.pass(time.Second)
		if r.exists("p") {
			t.Error("the pod was not deleted")
		}
		r.podGone(pod)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.revoked)+len(r.evicting) > 0 {
			t.Errorf("left: %v, %v", r.revoked, r.evicting)
		}
	})
}
