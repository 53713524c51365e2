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
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// preempted is what the agent says of a task whose revocable resources it takes back.
func preempted(task string) claims.TaskStatus {
	return claims.TaskStatus{TaskID: task, AgentID: "a-n1", State: claims.TaskGone, Reason: "REASON_CONTAINER_PREEMPTED", Source: "SOURCE_AGENT", Message: "Container preempted by QoS correction"}
}

// Only the pod that rode on what was taken back goes, at once and marked; one that
// asked for no such thing is evicted as any other that lost its task.
func TestRevocation(t *testing.T) {
	for name, rides := range map[string]bool{"of a pod that may ride": true, "of one that may not": false} {
		t.Run(name, func(t *testing.T) {
			pod, other := boundPod("p", "n1", "uid-p.7", "a-n1"), boundPod("other", "n1", "uid-other.7", "a-n1")
			for _, p := range []*v1.Pod{pod, other} {
				p.Annotations[AnnotationRevocable] = RevocableRequired
			}
			if !rides {
				delete(pod.Annotations, AnnotationRevocable)
			}
			inBubble(t, func(r *rig) {
				evictions := r.onEviction(func(int) error { return nil })
				var marks []string
				r.api.PrependReactor("patch", "pods", func(action k8stesting.Action) (bool, runtime.Object, error) {
					patch := action.(k8stesting.PatchAction)
					marks = append(marks, patch.GetName()+" "+patch.GetSubresource()+" "+string(patch.GetPatch()))
					return true, pod, nil
				})
				r.podChanged(pod)
				r.podChanged(other)
				for _, id := range []string{"uid-p.7", "uid-other.7"} {
					r.Updated(claims.TaskStatus{TaskID: id, AgentID: "a-n1", State: claims.TaskRunning})
				}
				r.Updated(preempted("uid-p.7"))
				r.pass(time.Second)
				if r.exists("p") || !r.exists("other") {
					t.Errorf("the revoked pod exists: %v, its neighbour: %v", r.exists("p"), r.exists("other"))
				}
				if rides != (*evictions == 0) {
					t.Errorf("%d evictions", *evictions)
				}
				if !rides {
					return
				}
				if len(marks) != 1 || !strings.HasPrefix(marks[0], "p status ") || !strings.Contains(marks[0], `"reason":"`+ReasonRevoked+`"`) || !strings.Contains(marks[0], string(v1.DisruptionTarget)) {
					t.Errorf("marked %q", marks)
				}
			}, pod, other)
		})
	}
}

// Agents with GPUs are kept for pods that need some: others neither get them nor are
// woken by their offers.
func TestKeptGPUs(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.cache = offers.NewCache(offers.Config{KeepGPUs: true, Classify: r.classify})
		r.mu.Lock()
		r.cfg.Pods.Table = resources.NewTable(resources.Options{GPU: "nvidia.com/gpu"})
		r.mu.Unlock()
		plain, graphics := testPod("plain"), testPod("graphics")
		graphics.Spec.Containers[0].Resources.Requests["nvidia.com/gpu"] = *twoCPUs()
		r.node("n1")
		for _, pod := range []*v1.Pod{plain, graphics} {
			r.podChanged(pod)
			r.park(pod)
		}
		o := offer("o1", "n1", 4)
		o.Unreserved.Vector[resources.GPU] = 2000
		r.Offers([]offers.Offer{o})
		r.wantActivated("ns/graphics")
		if _, err := r.Reserve(plain, "n1", "web", offers.Plain(podNeed)); err == nil {
			t.Error("a pod without need got the agent")
		}
		want := r.Begin(graphics).Plan.Want
		id, err := r.Reserve(graphics, "n1", "web", &want)
		if err != nil {
			t.Fatal(err)
		}
		r.pass(50 * time.Millisecond)
		if parts := r.master.lastLaunch(t).Tasks[0].Parts; len(parts) != 1 || parts[0].Bundle.Vector[resources.GPU] != 2000 {
			t.Errorf("task %s asks for %v", id, parts)
		}
	})
}

// A host port becomes a port of the agent; two pods never get the same one.
func TestHostPorts(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.mu.Lock()
		r.cfg.Pods.Table = resources.NewTable(resources.Options{HostPorts: true})
		r.mu.Unlock()
		r.node("n1")
		r.keepOpen()
		pods := []*v1.Pod{testPod("p"), testPod("q")}
		for _, pod := range pods {
			pod.Spec.Containers[0].Ports = []v1.ContainerPort{{ContainerPort: 80, HostPort: 31000}}
			r.podChanged(pod)
		}
		o := offer("o1", "n1", 4)
		o.Unreserved.Ports = resources.NewRanges(resources.Range{Begin: 31000, End: 31005})
		r.Offers([]offers.Offer{o})
		want := r.Begin(pods[0]).Plan.Want
		if _, err := r.Reserve(pods[0], "n1", "web", &want); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Reserve(pods[1], "n1", "web", &want); err == nil || !strings.Contains(err.Error(), "ports") {
			t.Errorf("the second pod with this port: %v", err)
		}
		r.pass(2 * time.Second)
		if parts := r.master.lastLaunch(t).Tasks[0].Parts; len(parts) != 1 || parts[0].Bundle.Ports.String() != "[31000-31000]" {
			t.Errorf("the task asks for %v", parts)
		}
	})
}

// A role takes memory for each agent: what nobody wants is forgotten, and is there
// again when it is wanted.
func TestIdleRolesAreForgotten(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.namespace("eng", "eng")
		r.node("n1")
		bound := boundPod("used", "n1", "uid-used.7", "a-n1")
		bound.Annotations[AnnotationRole] = "eng"
		r.podChanged(bound) // so that the role stays subscribed
		roles := func() (names []string) {
			r.cache.Roles(func(role *offers.Role) { names = append(names, role.Name()) })
			return names
		}
		r.podChanged(podIn("eng", "p"))
		r.pass(time.Second)
		r.Offers([]offers.Offer{offerTo("eng", "o1", "n1", 1)})
		r.cache.Role("looked-at")
		if got := roles(); len(got) != 2 {
			t.Fatalf("roles %q", got)
		}
		r.podGone(podIn("eng", "p"))
		r.pass(3 * keepIdle)
		if got := roles(); len(got) != 0 {
			t.Errorf("roles %q are remembered", got)
		}
		r.master.take()
		r.podChanged(podIn("eng", "again"))
		r.pass(time.Second)
		if calls := r.master.take(); !slices.Contains(calls, "REVIVE eng") {
			t.Errorf("calls %q, want a REVIVE", calls)
		}
		r.Offers([]offers.Offer{offerTo("eng", "o2", "n1", 1)})
		if sel := r.cache.Role("eng").Select(offers.Plain(podNeed), 0, 0, nil); len(sel.Slots) != 1 {
			t.Error("the offer is not there")
		}
	})
}
