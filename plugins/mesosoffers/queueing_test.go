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
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestHints(t *testing.T) {
	const nodeEvent, lessNeed, deleted = "node", "less need", "deleted"
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(2, func(i int) resources.Vector { return []resources.Vector{lots, little}[i] })
		events, err := w.EventsToRegister(context.Background())
		if err != nil || len(events) != 3 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		hints := map[string]fwk.QueueingHintFn{nodeEvent: events[0].QueueingHintFn, lessNeed: events[1].QueueingHintFn, deleted: events[2].QueueingHintFn}
		pod := podOf("p").Obj()
		unsupported := podOf("u").Req(map[v1.ResourceName]string{"example.com/fpga": "1"}).Obj()
		for _, test := range []struct {
			name     string
			event    string
			pod      *v1.Pod
			old, obj any
			want     fwk.QueueingHint
		}{
			{"a node with an offer that fits", nodeEvent, pod, nil, w.nodes["n0"].Node(), fwk.Queue},
			{"a node with an offer too small", nodeEvent, pod, nil, w.nodes["n1"].Node(), fwk.QueueSkip},
			{"a node without an agent", nodeEvent, pod, nil, st.MakeNode().Name("lonely").Obj(), fwk.QueueSkip},
			{"a pod that nothing helps", nodeEvent, unsupported, nil, w.nodes["n0"].Node(), fwk.QueueSkip},
			{"a surprise", nodeEvent, pod, nil, pod, fwk.Queue},
			{"the pod itself needs less", lessNeed, pod, nil, pod, fwk.Queue},
			{"another pod needs less", lessNeed, pod, nil, podOf("q").Obj(), fwk.QueueSkip},
			{"a placed pod ends: its offer wakes", deleted, pod, podOf("q").Node("n0").Obj(), nil, fwk.QueueSkip},
			{"a pending pod ends", deleted, pod, podOf("q").Obj(), nil, fwk.QueueSkip},
			{"a pod ends that kept an offer that fits", deleted, pod, podOf("q").NominatedNodeName("n0").Obj(), nil, fwk.Queue},
			{"a pod ends that kept an offer too small", deleted, pod, podOf("q").NominatedNodeName("n1").Obj(), nil, fwk.QueueSkip},
			{"a pod of others ends", deleted, pod, podOf("q").SchedulerName("other").NominatedNodeName("n0").Obj(), nil, fwk.QueueSkip},
			{"another surprise", deleted, pod, nil, nil, fwk.Queue},
		} {
			if got, err := hints[test.event](w.runtime.logger, test.pod, test.old, test.obj); got != test.want || err != nil {
				t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
			}
		}
	})
}

// An event of one node wakes as many pods as its offer holds, and a few more, out of
// any number.
func TestHintsWakeNoHerd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(1, all(cm(10000, 1024000)))
		for round := range 2 {
			node, queued := w.nodes["n0"].Node().DeepCopy(), 0
			for i := range 200 {
				if hint, _ := w.afterNodeChange(w.runtime.logger, podOf(fmt.Sprint(i)).Obj(), nil, node); hint == fwk.Queue {
					queued++
				}
			}
			if queued != 12 {
				t.Errorf("event %d: %d pods of a core each are queued for an offer of ten cores, want 12", round, queued)
			}
		}
	})
}
