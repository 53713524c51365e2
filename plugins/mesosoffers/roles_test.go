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
	"slices"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
)

// inRoles runs a test in which the namespace has two roles, of which the framework is
// a part.
func inRoles(t *testing.T, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, testArgs(t))
		w.manager.NamespaceHandler().OnAdd(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "ns", Annotations: map[string]string{roles.Annotation: "eng/ads,eng"},
		}}, false)
		w.manager.Subscribed(mesos.Subscription{FrameworkID: "fw", Master: "master.example:5050", Roles: []mesos.RoleAsk{{Name: "*"}, {Name: "eng"}, {Name: "eng/ads"}}})
		test(t, w)
	})
}

// offerTo offers so much of a node, which it makes known, to a role.
func (w *world) offerTo(role, node string, free resources.Vector) {
	w.addNode(node)
	o := w.offer(node, free)
	o.Role = role
	w.manager.Offers([]offers.Offer{o})
}

func namesOf(t *testing.T, w *world, pod *v1.Pod) (fwk.CycleState, []string) {
	t.Helper()
	cycle, result, status := w.preFilter(pod)
	if status != nil || result == nil {
		t.Fatalf("PreFilter: %v, %v", result, status)
	}
	return cycle, sets.List(result.NodeNames)
}

func TestFirstRoleThatFits(t *testing.T) {
	inRoles(t, func(t *testing.T, w *world) {
		pod := w.addPod(podOf("p").Obj())
		w.offerTo("eng", "n1", lots)
		w.offerTo("eng/ads", "n2", little)
		if _, result, status := w.preFilter(pod); result != nil || status.Code() != fwk.UnschedulableAndUnresolvable {
			t.Errorf("PreFilter before the pod may fall back to its second role: %v, %v", result, status)
		}
		w.pass(4 * time.Second)
		again := w.offer("n1", lots)
		again.Role = "eng"
		w.manager.Offers([]offers.Offer{again})
		cycle, names := namesOf(t, w, pod)
		if !slices.Equal(names, []string{"n1"}) {
			t.Errorf("offered: %q, want the node of the second role", names)
		}
		if status := w.Reserve(context.Background(), cycle, pod, "n1"); status != nil {
			t.Errorf("Reserve: %v", status)
		}
		w.Unreserve(context.Background(), cycle, pod, "n1")
		w.offerTo("eng/ads", "n3", lots)
		if _, names := namesOf(t, w, pod); !slices.Equal(names, []string{"n3"}) {
			t.Errorf("offered: %q, want the node of the first role", names)
		}
	})
}

// If other plugins refuse all nodes of a role, the pod is tried with those of the next,
// and with the first again when other offers come.
func TestNextRoleIfTheFirstWillNotDo(t *testing.T) {
	inRoles(t, func(t *testing.T, w *world) {
		pod := w.addPod(podOf("p").Obj())
		w.offerTo("eng/ads", "n1", lots)
		w.offerTo("eng", "n2", lots)
		w.pass(0)
		w.handle.takeActivated()
		for round := range 2 {
			cycle, names := namesOf(t, w, pod)
			if !slices.Equal(names, []string{"n1"}) {
				t.Fatalf("round %d: offered %q, want n1", round, names)
			}
			w.PostFilter(context.Background(), cycle, pod, nil)
			if got := w.handle.takeActivated(); !slices.Equal(got, []string{"ns/p"}) {
				t.Fatalf("round %d: activated %q after the first role", round, got)
			}
			cycle, names = namesOf(t, w, pod)
			if !slices.Equal(names, []string{"n2"}) {
				t.Fatalf("round %d: offered %q, want n2", round, names)
			}
			w.PostFilter(context.Background(), cycle, pod, nil)
			w.pass(0)
			if got := w.handle.takeActivated(); len(got) != 0 {
				t.Fatalf("round %d: activated %q although all roles were looked at", round, got)
			}
		}
	})
}

func TestReasonIsThatOfTheFirstRole(t *testing.T) {
	inRoles(t, func(t *testing.T, w *world) {
		pod := w.addPod(podOf("p").Obj())
		w.offerTo("eng/ads", "n1", little)
		_, _, status := w.preFilter(pod)
		wantStatus(t, "PreFilter", status, fwk.UnschedulableAndUnresolvable, "1 Mesos offer short of cpu")
	})
}
