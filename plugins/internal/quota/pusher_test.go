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
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var pushes = map[string]string{PushLabel: "true"}

const pushedFour = `{"eng":{"limits":{"cpus":4}}}`

func TestPushes(t *testing.T) {
	roles := map[string][]string{"ads": {"eng/ads", "other"}, "web": {"eng"}, "engine": {"engine"}}
	inBubble(t, Options{Push: true}, roles, func(r *rig) {
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "3"))
		r.apply(resourceQuota("ads", "not-labelled", nil, "requests.cpu", "1"))
		r.apply(resourceQuota("ads", ResourceQuotaName, map[string]string{PushLabel: "true", ManagedByLabel: Manager}, "requests.cpu", "1"))
		r.apply(resourceQuota("web", "q", pushes, "cpu", "1"))
		r.wantCalls() // nothing is known yet
		r.poll()
		r.wantCalls("eng cpus:4")
		r.wantTold("Normal "+ReasonPushed, "Normal "+ReasonPushed)
		r.poll()
		r.wantAnnotation("ads", PushedAnnotation, pushedFour)
		r.wantAnnotation("web", PushedAnnotation, pushedFour)
		r.wantAnnotation("engine", PushedAnnotation, "")
		r.quiet()
		r.wantCalls()

		// Changes are pushed without waiting for a reading.
		r.apply(resourceQuota("web", "q", pushes, "cpu", "2"))
		r.wantCalls("eng cpus:5")
		r.wantAnnotation("web", PushedAnnotation, `{"eng":{"limits":{"cpus":5},"before":{"cpus":4}}}`)
		// But not on the ground of a reading from before what was pushed.
		r.apply(resourceQuota("web", "q", pushes, "cpu", "3"))
		r.wantCalls()
		r.poll()
		r.wantCalls("eng cpus:6")
		r.poll()

		// A namespace goes to another role.
		r.is("web", "engine")
		r.poll()
		r.wantCallsInAnyOrder("engine cpus:3", "eng cpus:3")
	})
}

// wantCallsInAnyOrder is wantCalls for several roles, of which any may be first.
func (r *rig) wantCallsInAnyOrder(want ...string) {
	r.t.Helper()
	got := r.mesos.took()
	if len(got) != len(want) {
		r.t.Fatalf("the master was told %q, want %q", got, want)
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(got, "\n"), w) {
			r.t.Fatalf("the master was told %q, want %q", got, want)
		}
	}
}

func TestResetOnce(t *testing.T) {
	for name, gone := range map[string]func(r *rig){
		"deleted": func(r *rig) { r.remove("ads", "q") },
		"not labelled any more": func(r *rig) {
			r.apply(resourceQuota("ads", "q", nil, "requests.cpu", "4"))
		},
		"limits nothing any more": func(r *rig) {
			r.apply(resourceQuota("ads", "q", pushes, "pods", "4"))
		},
		"deleted while we are down": func(r *rig) {
			r.end()
			if err := r.api.CoreV1().ResourceQuotas("ads").Delete(r.t.Context(), "q", metav1.DeleteOptions{}); err != nil {
				r.t.Fatal(err)
			}
			r.start(r.options)
			r.poll()
		},
		"with its namespace": func(r *rig) {
			if err := r.api.CoreV1().Namespaces().Delete(r.t.Context(), "ads", metav1.DeleteOptions{}); err != nil {
				r.t.Fatal(err)
			}
			r.remove("ads", "q")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}, "idle": {"eng"}}, func(r *rig) {
				r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "4"))
				r.poll()
				r.wantCalls("eng cpus:4")
				r.poll()
				gone(r)
				r.wantCalls("eng none")
				r.poll()
				r.quiet()
				r.wantCalls()
				if name != "with its namespace" {
					r.wantAnnotation("ads", PushedAnnotation, "")
				}
				// What an operator sets by now is none of our business.
				r.mesos.operator(cpus("eng", 4, 0))
				r.quiet()
				r.wantCalls()
				if len(r.tries) != 0 {
					t.Errorf("%d roles are remembered for ever", len(r.tries))
				}
			})
		})
	}
}

func TestOperatorsQuotaStays(t *testing.T) {
	inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.mesos.operator(cpus("eng", 8, 0))
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "4"))
		r.poll()
		r.poll()
		r.wantCalls()
		r.wantTold("Warning " + ReasonOperator + " Mesos quota of role eng not set to cpus:4: it has limits cpus:8")
		// As the operator resets it, it follows.
		r.mesos.operator(Role{Name: "eng"})
		r.poll()
		r.wantCalls("eng cpus:4")
		r.poll()
		r.wantTold("Normal " + ReasonPushed)
		// The operator changes what we set, then adds a guarantee to it.
		r.mesos.operator(cpus("eng", 5, 0))
		r.poll()
		r.wantTold("Warning " + ReasonOperator)
		guaranteed := cpus("eng", 4, 0)
		guaranteed.Guarantee = of(1, 0)
		r.mesos.operator(guaranteed)
		r.poll()
		r.wantTold("limits cpus:4 and guarantees that were not pushed")
		r.remove("ads", "q")
		r.poll()
		r.wantCalls()
		r.wantAnnotation("ads", PushedAnnotation, "")
	})
}

func TestRefusals(t *testing.T) {
	inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "4"))
		r.mesos.refuse(errors.New("Role 'eng' is already consuming 'cpus:6'"), false)
		for range 30 {
			r.poll()
		}
		// 5 minutes: at 0, 10 s (5 s, and a reading), 20, 40, 80, 160 and so on.
		if calls := r.mesos.took(); len(calls) < 4 || len(calls) > 7 {
			t.Errorf("%d calls in 5 minutes: %q", len(calls), calls)
		}
		r.wantTold("Warning " + ReasonRefused + " Mesos quota of role eng not set to cpus:4: Role 'eng' is already consuming 'cpus:6'")
		// Other limits are tried at once.
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "5"))
		r.wantCalls("eng cpus:5")
		r.wantTold("not set to cpus:5")
		r.mesos.refuse(nil, false)
		r.poll()
		r.poll()
		r.wantCalls("eng cpus:5")
		r.poll()
		r.wantAnnotation("ads", PushedAnnotation, `{"eng":{"limits":{"cpus":5}}}`)
		r.wantTold("Normal " + ReasonPushed)
	})
}

// The answer to a call is lost, and whoever made it too.
func TestPushCutShort(t *testing.T) {
	inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "4"))
		r.mesos.refuse(errors.New("connection lost"), true)
		r.poll()
		r.wantCalls("eng cpus:4")
		r.restart()
		r.wantCalls()
		r.wantAnnotation("ads", PushedAnnotation, pushedFour)
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "3"))
		r.wantCalls("eng cpus:3")
		r.wantAnnotation("ads", PushedAnnotation, `{"eng":{"limits":{"cpus":3},"before":{"cpus":4}}}`)
		// The call failed for good: what was there before is ours as well.
		r.mesos.operator(cpus("eng", 4, 0))
		r.mesos.refuse(nil, false)
		r.restart()
		r.wantCalls("eng cpus:3")
		r.restart()
		r.wantAnnotation("ads", PushedAnnotation, `{"eng":{"limits":{"cpus":3}}}`)
		r.quiet()
		r.wantCalls()
	})
}

// Nothing is set before it is remembered.
func TestRemembersFirst(t *testing.T) {
	inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "4"))
		r.failures.Store(3)
		r.Set(nil, nil, time.Now())
		r.pass(2 * time.Second)
		r.wantCalls()
		r.pass(10 * time.Second)
		r.wantCalls("eng cpus:4")
	})
}

func TestUnusableIsTold(t *testing.T) {
	inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}, "none": nil}, func(r *rig) {
		r.apply(resourceQuota("ads", "q", pushes, "pods", "4"))
		r.apply(resourceQuota("none", "q", pushes, "cpu", "4"))
		r.poll()
		r.poll()
		got := strings.Join(r.told(), "\n")
		if strings.Count(got, ReasonUnusable) != 2 || !strings.Contains(got, "limits no requests") || !strings.Contains(got, "no role") {
			t.Errorf("told %s", got)
		}
		r.wantCalls()
		r.remove("none", "q")
		r.apply(resourceQuota("none", "q", pushes, "cpu", "4"))
		r.wantTold("no role")
	})
}

func TestForgedRecords(t *testing.T) {
	inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.mesos.operator(cpus("eng", 4, 0))
		ns, err := r.api.CoreV1().Namespaces().Get(t.Context(), "ads", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ns.Annotations[PushedAnnotation] = `{"":{"limits":{}},"eng/ads":{"limits":{"cpus":4}},"ops":{}}`
		if _, err = r.api.CoreV1().Namespaces().Update(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.poll()
		r.quiet()
		r.wantCalls()
	})
}

// Without the option, nothing is pushed and nothing is reset.
func TestPushSwitchedOff(t *testing.T) {
	inBubble(t, Options{Push: true}, map[string][]string{"ads": {"eng/ads"}}, func(r *rig) {
		r.apply(resourceQuota("ads", "q", pushes, "requests.cpu", "4"))
		r.poll()
		r.poll()
		r.wantCalls("eng cpus:4")
		r.options.Push = false
		r.restart()
		r.remove("ads", "q")
		r.quiet()
		r.wantCalls()
		r.wantAnnotation("ads", PushedAnnotation, pushedFour)
	})
}
