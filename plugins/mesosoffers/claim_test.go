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

package mesosoffers

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestReserveErrors(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		w.addNodes(3, func(i int) resources.Vector { return []resources.Vector{lots, little, {}}[i] })
		pod := w.addPod(podOf("p").Obj())
		synctest.Wait() // until the manager's loop has looked at what there is
		for node, reason := range map[string]string{"n1": "Mesos offer short of cpu", "n2": reasonNoOffer, "unknown": reasonNoOffer} {
			cycle, _, _ := w.preFilter(pod)
			wantStatus(t, node, w.Reserve(ctx, cycle, pod, node), fwk.Unschedulable, reason)
			if got := w.handle.takeActivated(); !slices.Equal(got, []string{"ns/p"}) {
				t.Errorf("%s: tried again: %v", node, got)
			}
			// As the scheduler does.
			w.Unreserve(ctx, cycle, pod, node)
		}
		cycle := w.hold(pod, "n0")
		again, _, _ := w.preFilter(pod)
		wantStatus(t, "a pod with a claim", w.Reserve(ctx, again, pod, "n0"), fwk.Unschedulable, reasonMasterBusy)
		w.manager.Bound(taskOf(t, cycle))
		other := w.addPod(podOf("q").Obj())
		late := w.fullCycle()
		w.manager.Disconnected(errors.New("gone"))
		wantStatus(t, "without a master", w.Reserve(ctx, late, other, "n0"), fwk.Unschedulable, reasonNotConnected)
		wantStatus(t, "without PreFilter", w.Reserve(ctx, framework.NewCycleState(), pod, "n0"), fwk.Error, "")
	})
}

func TestPreBindOutcomes(t *testing.T) {
	status := func(state claims.TaskState, reason string) func(*world, string) {
		return func(w *world, task string) {
			w.manager.Updated(claims.TaskStatus{TaskID: task, AgentID: "a-n0", State: state, Reason: reason, Message: "because"})
		}
	}
	for _, test := range []struct {
		name   string
		then   func(w *world, task string)
		reason string
		// sleeps tells that an offer brings the pod back before its back-off ends.
		sleeps bool
	}{
		{"running", status(claims.TaskRunning, ""), "", false},
		{"starting", status(claims.TaskStarting, ""), "", false},
		{"offer gone", status(claims.TaskDropped, "REASON_INVALID_OFFERS"), reasonOfferGone, true},
		{"dropped by the agent", status(claims.TaskDropped, "REASON_SLAVE_DISCONNECTED"), reasonFailed, false},
		{"refused", status(claims.TaskError, "REASON_TASK_INVALID"), reasonRejected, false},
		{"failed", status(claims.TaskFailed, "REASON_COMMAND_EXECUTOR_FAILED"), reasonFailed, false},
		{"silence", func(w *world, _ string) { w.pass(time.Minute) }, reasonTimeout, false},
		{"pod gone", func(w *world, _ string) {
			w.manager.PodHandler(w.runtime.mine).OnDelete(podOf("p").Obj())
		}, reasonPodGone, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				ctx := context.Background()
				w.addNodes(1, all(lots))
				pod := w.addPod(podOf("p").Obj())
				cycle := w.reserve(pod, "n0")
				if status := w.PreBindPreFlight(ctx, cycle, pod, "n0"); status != nil {
					t.Errorf("PreBindPreFlight: %v", status)
				}
				var got *fwk.Status
				done := make(chan struct{})
				go func() {
					got = w.PreBind(ctx, cycle, pod, "n0")
					close(done)
				}()
				w.pass(100 * time.Millisecond)
				select {
				case <-done:
					t.Fatal("PreBind did not wait for the master")
				default:
				}
				test.then(w, taskOf(t, cycle))
				<-done
				if test.reason == "" {
					wantStatus(t, "PreBind", got, fwk.Success, "")
					return
				}
				wantStatus(t, "PreBind", got, fwk.Unschedulable, test.reason)
				if again := w.handle.takeActivated(); !slices.Equal(again, []string{"ns/p"}) {
					t.Errorf("tried again: %v", again)
				}
				if _, parked := parkedOf(w); (parked == 1) != test.sleeps {
					t.Errorf("%d pods sleep", parked)
				}
			})
		})
	}
}

func parkedOf(w *world) (all, parked int) {
	view := w.manager.View()
	return view.PodsWaiting, view.PodsParked
}

func TestPreBindWhileTheMasterIsLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.args.Offers.BatchLinger.Duration = time.Second
		w.addNodes(1, all(lots))
		pod := w.addPod(podOf("p").Obj())
		cycle := w.reserve(pod, "n0")
		w.manager.Disconnected(errors.New("gone"))
		got := w.PreBind(context.Background(), cycle, pod, "n0")
		if got.Code() == fwk.Success {
			t.Fatal("bound without a claim")
		}
		wantStatus(t, "PreBind", got, fwk.Unschedulable, reasonDisconnected)
	})
}

func TestPreBindEndsWithItsContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(1, all(lots))
		pod := w.addPod(podOf("p").Obj())
		cycle := w.reserve(pod, "n0")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		wantStatus(t, "PreBind", w.PreBind(ctx, cycle, pod, "n0"), fwk.Unschedulable, reasonTimeout)
	})
}

// onBinding answers bindings; done tells whether it takes effect.
func (w *world) onBinding(done bool, err error) *v1.Binding {
	binding := &v1.Binding{}
	w.handle.api.PrependReactor("create", "pods", func(action k8stesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "binding" {
			return false, nil, nil
		}
		*binding = *action.(k8stesting.CreateAction).GetObject().(*v1.Binding)
		if done {
			pod := podOf(binding.Name).Obj()
			pod.Spec.NodeName, pod.Annotations = binding.Target.Name, binding.Annotations
			if err := w.handle.api.Tracker().Add(pod); err != nil {
				return true, nil, err
			}
		}
		return true, binding, err
	})
	return binding
}

func TestBindWritesTheClaim(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		w.addNodes(1, all(lots))
		pod := w.addPod(podOf("p").Obj())
		cycle := w.hold(pod, "n0")
		binding := w.onBinding(true, nil)
		wantStatus(t, "Bind", w.Bind(ctx, cycle, pod, "n0"), fwk.Success, "")
		for key, want := range map[string]string{
			lifecycle.AnnotationTask: taskOf(t, cycle), lifecycle.AnnotationAgent: "a-n0",
			lifecycle.AnnotationFramework: "fw", lifecycle.AnnotationRole: "*",
		} {
			if got := binding.Annotations[key]; got != want {
				t.Errorf("annotation %s is %q, want %q", key, got, want)
			}
		}
		if binding.UID != pod.UID || binding.Target.Kind != "Node" || binding.Target.Name != "n0" {
			t.Errorf("binding %+v", binding)
		}
		w.PostBind(ctx, cycle, pod, "n0")
		if view := w.manager.View(); len(view.Claims) != 1 || !view.Claims[0].Bound {
			t.Errorf("claims %+v", view.Claims)
		}
	})
}

func TestBindAnswers(t *testing.T) {
	lost := errors.New("connection reset")
	for _, test := range []struct {
		name string
		done bool
		err  error
		want fwk.Code
	}{
		{"the answer is lost", true, lost, fwk.Success},
		{"conflict with our own binding", true, apierrors.NewConflict(v1.Resource("pods/binding"), "p", errors.New("bound")), fwk.Success},
		{"the call is lost", false, lost, fwk.Error},
		{"the pod is gone", false, apierrors.NewNotFound(v1.Resource("pods"), "p"), fwk.Error},
		{"forbidden", false, apierrors.NewForbidden(v1.Resource("pods/binding"), "p", errors.New("no rights")), fwk.Error},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.addNodes(1, all(lots))
				pod := w.addPod(podOf("p").Obj())
				cycle := w.hold(pod, "n0")
				w.onBinding(test.done, test.err)
				status := w.Bind(context.Background(), cycle, pod, "n0")
				wantStatus(t, "Bind", status, test.want, "")
				if test.want == fwk.Error && !errors.Is(status.AsError(), test.err) {
					t.Errorf("the error %v hides why", status.AsError())
				}
			})
		})
	}
}

func TestBindWithoutAClaim(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(1, all(lots))
		pod := w.addPod(podOf("p").Obj())
		cycle := w.hold(pod, "n0")
		binding := w.onBinding(true, nil)
		w.manager.Updated(claims.TaskStatus{TaskID: taskOf(t, cycle), AgentID: "a-n0", State: claims.TaskLost})
		wantStatus(t, "Bind", w.Bind(context.Background(), cycle, pod, "n0"), fwk.Unschedulable, reasonClaimLost)
		if binding.Name != "" {
			t.Error("the pod was bound on a claim that was lost")
		}
		if again := w.handle.takeActivated(); !slices.Equal(again, []string{"ns/p"}) {
			t.Errorf("tried again: %v", again)
		}
	})
}

func TestUnreserve(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		w.addNodes(1, all(lots))
		pod := w.addPod(podOf("p").Obj())
		cycle := w.hold(pod, "n0")
		task := taskOf(t, cycle)
		w.Unreserve(ctx, cycle, pod, "n0")
		w.Unreserve(ctx, cycle, pod, "n0")
		w.Unreserve(ctx, framework.NewCycleState(), pod, "n0")
		w.Unreserve(ctx, w.fullCycle(), pod, "n0")
		synctest.Wait()
		w.master.mu.Lock()
		defer w.master.mu.Unlock()
		if !slices.Equal(w.master.killed, []string{task}) {
			t.Errorf("killed: %v, want %s once", w.master.killed, task)
		}
	})
}
