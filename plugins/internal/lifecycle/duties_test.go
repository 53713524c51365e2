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
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
)

var podsResource = schema.GroupResource{Resource: "pods"}

// onEviction answers evictions; nil deletes the pod.
func (r *rig) onEviction(answer func(n int) error) *int {
	n := 0
	r.api.PrependReactor("create", "pods", func(action k8stesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		n++
		if err := answer(n); err != nil {
			return true, nil, err
		}
		create := action.(k8stesting.CreateAction)
		name := create.GetObject().(metav1.Object).GetName()
		return true, nil, r.api.Tracker().Delete(v1.SchemeGroupVersion.WithResource("pods"), action.GetNamespace(), name)
	})
	return &n
}

func (r *rig) exists(name string) bool {
	_, err := r.api.CoreV1().Pods("ns").Get(r.t.Context(), name, metav1.GetOptions{})
	return err == nil
}

// lose makes the pod bound by a task that Mesos then ends.
func (r *rig) lose(pod *v1.Pod) string {
	id := pod.Annotations[AnnotationTask]
	r.podChanged(pod)
	r.Updated(claims.TaskStatus{TaskID: id, AgentID: "a-n1", State: claims.TaskLost, Reason: "REASON_AGENT_REMOVED", Message: "gone for good"})
	return id
}

func TestLostTaskEvictsItsPod(t *testing.T) {
	pod := boundPod("p", "n1", "uid-p.7", "a-n1")
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return nil })
		r.lose(pod)
		r.pass(0)
		if r.exists("p") {
			t.Error("the pod was not evicted")
		}
		select {
		case event := <-r.events.Events:
			if !strings.Contains(event, EventTaskLost) || !strings.Contains(event, "TASK_LOST, REASON_AGENT_REMOVED): gone for good") {
				t.Errorf("event %q", event)
			}
		default:
			t.Error("no event on the pod")
		}
	}, pod)
}

// A pod of ours that somebody else bound has no claim: it is treated as one that lost
// its task, once Mesos has said so for long enough.
func TestPodBoundByOthers(t *testing.T) {
	pod := boundPod("p", "n1", "", "")
	pod.Annotations = nil
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return nil })
		r.podChanged(pod)
		unknown := claims.TaskStatus{TaskID: claims.TaskID("uid-p", 0), State: claims.TaskUnknown, Reason: "REASON_RECONCILIATION"}
		r.Updated(unknown)
		r.pass(r.cfg.Claims.UnknownGrace / 2)
		if !r.exists("p") {
			t.Fatal("the pod went at the first word of the master")
		}
		r.pass(r.cfg.Claims.UnknownGrace)
		r.Updated(unknown)
		r.pass(time.Second)
		if r.exists("p") {
			t.Error("the pod has no claim and stays")
		}
	}, pod)
}

func TestEvictionRefused(t *testing.T) {
	refused := map[string]error{
		"by a budget":         apierrors.NewTooManyRequests("disruption budget", 0),
		"for several budgets": apierrors.NewInternalError(errors.New("more than one PodDisruptionBudget")),
		"by a conflict":       apierrors.NewConflict(podsResource, "p", errors.New("changed")),
		"by the network":      errors.New("connection reset"),
	}
	for name, refusal := range refused {
		t.Run(name+" for a while", func(t *testing.T) {
			pod := boundPod("p", "n1", "uid-p.7", "a-n1")
			inBubble(t, func(r *rig) {
				tries := r.onEviction(func(n int) error {
					if n < 4 {
						return refusal
					}
					return nil
				})
				r.lose(pod)
				r.pass(200 * time.Millisecond)
				if c := r.disruption("p"); c == nil || c.Status != v1.ConditionTrue || c.Reason != ReasonClaimLost || !strings.Contains(c.Message, "gone for good") {
					t.Errorf("the pod waits for its end with condition %+v", c)
				}
				r.pass(time.Minute)
				if r.exists("p") || *tries != 4 {
					t.Errorf("after %d evictions the pod exists: %v", *tries, r.exists("p"))
				}
			}, pod)
		})
		t.Run(name+" until the deadline", func(t *testing.T) {
			pod := boundPod("p", "n1", "uid-p.7", "a-n1")
			inBubble(t, func(r *rig) {
				r.onEviction(func(int) error { return refusal })
				r.lose(pod)
				r.pass(r.cfg.PDBDeadline - time.Second)
				if !r.exists("p") {
					t.Fatal("the pod was deleted before the deadline")
				}
				r.pass(20 * time.Second)
				if r.exists("p") {
					t.Error("the pod outlived the deadline")
				}
			}, pod)
		})
	}
}

func TestEvictionSparesOthers(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *rig, pod *v1.Pod)
	}{
		{"a new pod of the same name", func(r *rig, pod *v1.Pod) {
			again := pod.DeepCopy()
			again.UID = types.UID("another")
			_ = r.api.Tracker().Update(v1.SchemeGroupVersion.WithResource("pods"), again, "ns")
		}},
		{"a pod that is ending", func(r *rig, pod *v1.Pod) {
			ending := pod.DeepCopy()
			ending.DeletionTimestamp = &metav1.Time{Time: time.Now()}
			ending.Finalizers = []string{"example.com/wait"}
			_ = r.api.Tracker().Update(v1.SchemeGroupVersion.WithResource("pods"), ending, "ns")
		}},
		{"a pod that is gone", func(r *rig, pod *v1.Pod) {
			_ = r.api.Tracker().Delete(v1.SchemeGroupVersion.WithResource("pods"), "ns", pod.Name)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := boundPod("p", "n1", "uid-p.7", "a-n1")
			inBubble(t, func(r *rig) {
				tries := r.onEviction(func(int) error { return nil })
				test.change(r, pod)
				r.lose(pod)
				r.pass(10 * time.Minute)
				if *tries != 0 {
					t.Errorf("%d evictions", *tries)
				}
			}, pod)
		})
	}
}

func TestTaskThatComesBackEndsTheEviction(t *testing.T) {
	pod := boundPod("p", "n1", "uid-p.7", "a-n1")
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return apierrors.NewTooManyRequests("disruption budget", 0) })
		id := r.lose(pod)
		r.pass(time.Second)
		r.Updated(claims.TaskStatus{TaskID: id, AgentID: "a-n1", State: claims.TaskRunning})
		r.pass(2 * r.cfg.PDBDeadline)
		if !r.exists("p") || r.phase(id) != claims.Held {
			t.Errorf("the pod exists: %v, its claim is %q", r.exists("p"), r.phase(id))
		}
		if c := r.disruption("p"); c == nil || c.Status != v1.ConditionFalse {
			t.Errorf("the pod that stays has condition %+v", c)
		}
	}, pod)
}

// disruption returns the pod's condition DisruptionTarget, nil without one.
func (r *rig) disruption(name string) *v1.PodCondition {
	pod, err := r.api.CoreV1().Pods("ns").Get(r.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == v1.DisruptionTarget {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// unexplained tells of a running task that nobody here launched.
func (r *rig) unexplained(task string) {
	r.Updated(claims.TaskStatus{TaskID: task, AgentID: "a-n1", State: claims.TaskRunning})
}

func TestExamine(t *testing.T) {
	const task = "uid-p.7"
	finished := boundPod("p", "n1", task, "a-n1")
	finished.Status.Phase = v1.PodSucceeded
	for _, test := range []struct {
		name    string
		pod     *v1.Pod
		known   bool
		adopted bool
	}{
		{"pod bound by the task", boundPod("p", "n1", task, "a-n1"), false, true},
		{"pod bound by another task", boundPod("p", "n1", "uid-p.8", "a-n1"), false, false},
		{"pod not bound", testPod("p"), false, false},
		{"pod not bound but known", testPod("p"), true, false},
		{"pod finished", finished, false, false},
		{"another pod", testPod("q"), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				if test.known {
					r.podChanged(test.pod)
				}
				r.unexplained(task)
				r.pass(time.Second)
				for _, call := range r.master.take() {
					if strings.HasPrefix(call, "KILL") {
						t.Error("the task was killed before anybody looked for its pod")
					}
				}
				r.pass(r.cfg.Claims.OrphanGrace)
				if test.adopted {
					if got := r.phase(task); got != claims.Held {
						t.Errorf("the claim is %q, want Held", got)
					}
					r.wantCalls()
					return
				}
				if got := r.master.take(); len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "KILL "+task) {
					t.Errorf("calls %q, want a KILL", got)
				}
			}, test.pod)
		})
	}
}

// As long as the API server does not say who a task belongs to, it lives.
func TestExamineNeverKillsOnAnError(t *testing.T) {
	for _, known := range []bool{false, true} {
		pod := boundPod("p", "n1", "uid-p.7", "a-n1")
		inBubble(t, func(r *rig) {
			if known {
				unbound := testPod("p")
				r.podChanged(unbound)
			}
			var broken atomic.Bool
			var asked atomic.Int32
			broken.Store(true)
			fail := func(k8stesting.Action) (bool, runtime.Object, error) {
				asked.Add(1)
				return broken.Load(), nil, apierrors.NewServiceUnavailable("etcd is away")
			}
			r.api.PrependReactor("list", "pods", fail)
			r.api.PrependReactor("get", "pods", fail)
			r.unexplained("uid-p.7")
			r.pass(10 * time.Minute)
			for _, call := range r.master.take() {
				if strings.HasPrefix(call, "KILL") {
					t.Fatalf("known %v: %s", known, call)
				}
			}
			if n := asked.Load(); n < 10 {
				t.Errorf("known %v: asked %d times in 10 minutes", known, n)
			}
			broken.Store(false)
			r.pass(time.Minute)
			if got := r.phase("uid-p.7"); got != claims.Held {
				t.Errorf("known %v: the claim is %q, want Held", known, got)
			}
		}, pod)
	}
}
