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

package nodebalance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

type amounts = map[string]resources.Vector

// wantsTold fails the test unless Withhold was called with just these since the
// last time, within the time that changes are gathered.
func (r *rig) wantsTold(want ...amounts) {
	r.t.Helper()
	r.pass(gatherFor + time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	same := len(r.told) == len(want)
	for i := range want {
		same = same && maps.Equal(r.told[i], want[i])
	}
	if !same {
		r.t.Errorf("told %v, want %v", r.told, want)
	}
	r.told = nil
}

func cpus(n int64) resources.Vector { return resources.Vector{resources.CPU: n * 1000} }

func TestWithheldFollowsPodsNodesAndAgents(t *testing.T) {
	withholding(t, func(r *rig) {
		r.begin()
		r.pod("before", "default-scheduler", "1")
		r.wantsTold()
		r.advertise(4)
		r.wantsTold(amounts{"n": cpus(1)})
		r.pod("ours", "kube-mesos", "3")
		r.wantsTold()
		r.advertise(4) // again
		r.wantsTold()
		daemon := r.pod("daemon", "default-scheduler", "2")
		r.wantsTold(amounts{"n": cpus(3)})
		daemon.Status.Phase = v1.PodFailed
		if _, err := r.api.CoreV1().Pods("ns").UpdateStatus(t.Context(), daemon, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wantsTold(amounts{"n": cpus(1)})
		if _, err := r.api.CoreV1().Nodes().Create(t.Context(), nodeOf("m"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wantsTold() // it has no agent
		r.SetAgents(amounts{"n": cpus(4), "m": {resources.CPU: 6000, resources.GPU: 3000}, "unknown": cpus(9)})
		r.wantsTold(amounts{"n": cpus(1), "m": {resources.CPU: 2000, resources.GPU: 1000}})
		r.SetAgents(amounts{"m": cpus(6)})
		r.wantsTold(amounts{"m": cpus(2)})
		if err := r.api.CoreV1().Nodes().Delete(t.Context(), "m", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wantsTold(amounts{})
		r.pass(time.Hour)
		r.wantsTold()
	})
}

// Both numbers, and that it has a consequence, are on the node.
func TestConditionTellsOfWithholding(t *testing.T) {
	withholding(t, func(r *rig) {
		r.begin()
		r.pod("daemon", "default-scheduler", "1")
		r.SetAgents(amounts{"n": {resources.CPU: 4000, resources.GPU: 3000}})
		r.wants(v1.ConditionTrue, "advertises cpus:4;gpus:3", "leave cpus:3;mem:8192;gpus:2", "cpus:1;gpus:1 less", "left unused")
	})
	inBubble(t, func(r *rig) {
		r.advertise(5)
		r.wants(v1.ConditionTrue)
		node, err := r.api.CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if text := node.Status.Conditions[1].Message; strings.Contains(text, "unused") {
			t.Errorf("message %q tells of withholding that is not wanted", text)
		}
	})
}

func TestGPUsCountUnderTheirConfiguredName(t *testing.T) {
	withholding(t, func(r *rig) {
		r.begin()
		r.SetAgents(amounts{"n": {resources.CPU: 4000, resources.GPU: 2000}})
		r.wantsTold()
		pod := podOf("training", "default-scheduler", "1")
		pod.Spec.Containers[0].Resources.Requests[gpu] = resource.MustParse("1")
		r.create(pod)
		r.wantsTold(amounts{"n": {resources.CPU: 1000, resources.GPU: 1000}})
		node, err := r.api.CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// The device plugin is gone.
		node.Status.Allocatable[gpu] = resource.MustParse("0")
		if _, err := r.api.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wantsTold(amounts{"n": {resources.CPU: 1000, resources.GPU: 2000}})
	})
}

// Pods that are not listed yet would seem to leave room.
func TestNothingIsToldBeforeTheInformersAreSynced(t *testing.T) {
	withholding(t, func(r *rig) {
		r.pod("before", "default-scheduler", "1")
		r.pod("static", "default-scheduler", "1")
		// One pod is known first.
		r.podHandler().OnAdd(podOf("before", "default-scheduler", "1"), true)
		r.nodeHandler().OnAdd(nodeOf("n"), true)
		r.advertise(4)
		var complete atomic.Bool
		r.synced = append(r.synced, complete.Load)
		r.begin()
		r.pass(time.Hour)
		r.wantsTold()
		r.wants("")
		complete.Store(true)
		r.pass(time.Second)
		r.wantsTold(amounts{"n": cpus(2)})
		r.wants(v1.ConditionTrue)
	})
}

// What changes in a crowd is told at once, and what changes back is not.
func TestCrowds(t *testing.T) {
	withholding(t, func(r *rig) {
		r.begin()
		r.advertise(4)
		r.wantsTold()
		for i := range 40 {
			r.pod(fmt.Sprint("p", i), "default-scheduler", "100m")
		}
		r.wantsTold(amounts{"n": cpus(4)})
		r.SetAgents(nil)
		synctest.Wait()
		r.advertise(4)
		r.wantsTold()
	})
}

// A mirror pod that was replaced while the informer was cut off comes as a change of
// the old one.
func TestReplacedPod(t *testing.T) {
	withholding(t, func(r *rig) {
		r.begin()
		r.advertise(4)
		was, is := podOf("etcd-n", "default-scheduler", "3"), podOf("etcd-n", "default-scheduler", "1")
		was.UID, is.UID = "1", "2"
		handler := r.podHandler()
		handler.OnAdd(was, true)
		r.wantsTold(amounts{"n": cpus(3)})
		handler.OnUpdate(was, is)
		r.wantsTold(amounts{"n": cpus(1)})
		r.SetAgents(amounts{"n": cpus(4), "m": cpus(1)})
		r.nodeHandler().OnAdd(nodeOf("m"), false)
		moved := is.DeepCopy()
		moved.Spec.NodeName = "m" // as no API server has it
		handler.OnUpdate(is, moved)
		r.wantsTold(amounts{})
		handler.OnDelete(moved)
		r.wantsTold()
	})
}

// TestUsableProperty lets agents, nodes, pods and tasks come and go at random. What
// is left of an offer is exactly what the node has free where the agent advertises
// too much, and all of it elsewhere.
func TestUsableProperty(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 2))
		vector := func(most int64) (v resources.Vector) {
			for k := range v {
				v[k] = random.Int64N(most)
			}
			return v
		}
		b := NewBooks()
		var total resources.Vector
		var node Capacity
		foreign := map[string]resources.Vector{}
		for range 300 {
			switch random.IntN(4) {
			case 0:
				total = vector(2000)
				b.SetAgents(amounts{"n": total})
			case 1:
				node = Capacity{Amount: vector(2000)}
				for k := range node.Says {
					if node.Says[k] = random.IntN(4) > 0; !node.Says[k] {
						node.Amount[k] = 0
					}
				}
				b.SetNode("n", node)
			case 2:
				uid := fmt.Sprint(random.IntN(5))
				foreign[uid] = vector(400)
				b.SetPod(uid, "n", foreign[uid])
			default:
				uid := fmt.Sprint(random.IntN(5))
				delete(foreign, uid)
				b.DeletePod(uid)
			}
			withheld := b.Of("n").Over()
			// Tasks are within what the agent has, those for pods within what the
			// kubelet has, too; the others it knows nothing of.
			for k := range total {
				left := node.Amount[k]
				for _, requests := range foreign {
					left -= requests[k]
				}
				for range 5 {
					ours := random.Int64N(total[k] + 1)
					others := random.Int64N(total[k] - ours + 1)
					offered := total[k] - ours - others
					kubelet, machine := left-ours, left-ours-others
					usable := max(0, offered-withheld[k])
					want := max(0, min(offered, machine))
					if !node.Says[k] {
						kubelet, want = offered, offered
					}
					if usable != want || usable > max(0, kubelet) || others == 0 && usable < min(offered, kubelet) || withheld[k] < 0 {
						// An agent of a node that is not known yet is nowhere to be used.
						if b.Of("n").Known {
							t.Fatalf("seed %d: usable of %s is %d, want %d: offered %d of %d, free %d, others use %d, withheld %d",
								seed, resources.Kind(k), usable, want, offered, total[k], kubelet, others, withheld[k])
						}
					}
				}
			}
		}
	}
}
