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
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestPreFilterSaysWhyNothingFits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(10, func(i int) resources.Vector {
			return []resources.Vector{{}, {}, {}, little, little, cm(16000, 1), cm(16000, 1), cm(16000, 1), cm(16000, 1), {}}[i]
		})
		_, result, status := w.preFilter(w.addPod(podOf("p").Obj()))
		if result != nil {
			t.Errorf("nodes %v", result.NodeNames)
		}
		// The agents of four nodes are not known yet, nor that they are none.
		wantStatus(t, "PreFilter", status, fwk.UnschedulableAndUnresolvable,
			"4 no Mesos offer, 2 Mesos offer short of cpu, 4 Mesos offer short of memory")
		// The pod sleeps, and the offer that fits wakes it.
		w.manager.Offers([]offers.Offer{w.offer("n0", lots)})
		if got := w.handle.takeActivated(); !slices.Equal(got, []string{"ns/p"}) {
			t.Errorf("woken: %v", got)
		}
	})
}

// Pods that no agent could hold are told from those that merely wait, be there offers
// or not.
func TestReasonsOfTooSmallAgents(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(3, func(i int) resources.Vector {
			return []resources.Vector{little, little, cm(16000, 1)}[i]
		})
		w.manager.Rescinded("o2")
		w.manager.Cache().SetCapacities(map[string]offers.Capacity{"a-n0": {Total: little}, "a-n1": {Total: little}, "a-n2": {Total: lots}})
		_, _, status := w.preFilter(w.addPod(podOf("p").Obj()))
		wantStatus(t, "PreFilter", status, fwk.UnschedulableAndUnresolvable, "1 Mesos offer short of memory, 2 Mesos agent short of cpu")
		for node, reason := range map[string]string{
			"n0": "Mesos agent short of cpu", "n1": "Mesos agent short of cpu", "n2": "Mesos offer short of memory",
		} {
			wantStatus(t, node, w.Filter(context.Background(), w.fullCycle(), podOf("p").Obj(), w.nodes[node]), fwk.UnschedulableAndUnresolvable, reason)
		}
	})
}

func TestPreFilterWithoutMaster(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(3, all(lots))
		w.manager.Disconnected(errors.New("gone"))
		pod := w.addPod(podOf("p").Obj())
		_, _, status := w.preFilter(pod)
		wantStatus(t, "PreFilter", status, fwk.UnschedulableAndUnresolvable, reasonNotConnected)
		for _, test := range []struct {
			err    error
			reason string
		}{{mesos.ErrFailedOver, "another scheduler instance took over the Mesos framework"}, {mesos.ErrFrameworkRemoved, "the Mesos master removed our framework"}} {
			w.runtime.fail(test.err)
			_, _, status = w.preFilter(pod)
			wantStatus(t, "PreFilter", status, fwk.UnschedulableAndUnresolvable, test.reason)
		}
	})
}

func TestPreFilterOfUnsupportedResource(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(3, all(lots))
		pod := w.addPod(podOf("p").Req(map[v1.ResourceName]string{"example.com/fpga": "1"}).Obj())
		cycle, _, status := w.preFilter(pod)
		wantStatus(t, "PreFilter", status, fwk.UnschedulableAndUnresolvable, "")
		if !strings.Contains(status.Message(), "example.com/fpga") {
			t.Errorf("message %q names no resource", status.Message())
		}
		_, status = w.PostFilter(context.Background(), cycle, pod, nil)
		wantStatus(t, "PostFilter", status, fwk.Unschedulable, "")
	})
}

func TestPreFilterNamesFewNodes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(300, func(i int) resources.Vector {
			if i%10 == 0 {
				return lots
			}
			return little
		})
		pod := w.addPod(podOf("p").NodeAffinityIn("zone", []string{"a"}, st.NodeSelectorTypeMatchExpressions).Obj())
		cycle, result, status := w.preFilter(pod)
		if status != nil || result == nil || len(result.NodeNames) != 30 || !result.NodeNames.HasAll("n0", "n10", "n290") {
			t.Fatalf("PreFilter: %v, %v", result, status)
		}
		// No second look at nodes that were chosen by the same look.
		if status := w.Filter(context.Background(), cycle, pod, w.nodes["n10"]); status != nil {
			t.Errorf("Filter: %v", status)
		}
	})
}

func TestPreFilterLimitsTheChoiceInTurn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.args.Offers.CandidateLimit = 8
		w.addNodes(20, all(lots))
		pod := w.addPod(podOf("p").Obj())
		seen := map[string]int{}
		for range 5 {
			_, result, status := w.preFilter(pod)
			if status != nil || result == nil || len(result.NodeNames) != 8 {
				t.Fatalf("PreFilter: %v, %v", result, status)
			}
			for name := range result.NodeNames {
				seen[name]++
			}
		}
		// Five choices of eight are each of the twenty nodes twice.
		if counts := slices.Compact(slices.Sorted(maps.Values(seen))); len(seen) != 20 || !slices.Equal(counts, []int{2}) {
			t.Errorf("the nodes had these turns: %v", seen)
		}
	})
}

func TestPostFilterWidensTheChoice(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.args.Offers.CandidateLimit = 8
		w.addNodes(1000, func(i int) resources.Vector { return []resources.Vector{lots, little}[i%10/9] })
		pod := w.addPod(podOf("p").Obj())
		cycle, _, _ := w.preFilter(pod)
		w.handle.takeActivated()
		_, status := w.PostFilter(context.Background(), cycle, pod, nil)
		wantStatus(t, "PostFilter", status, fwk.Unschedulable, "")
		if got := w.handle.takeActivated(); !slices.Equal(got, []string{"ns/p"}) {
			t.Errorf("tried again: %v", got)
		}
		cycle, result, status := w.preFilter(pod)
		if result != nil || status != nil {
			t.Fatalf("the second PreFilter, of all 900 nodes: %v, %v", result, status)
		}
		wantStatus(t, "Filter", w.Filter(context.Background(), cycle, pod, w.nodes["n9"]), fwk.UnschedulableAndUnresolvable, "Mesos offer short of cpu")
		wantStatus(t, "Filter", w.Filter(context.Background(), cycle, pod, w.nodes["n8"]), fwk.Success, "")
		// Turned away by others on all nodes: it sleeps until an offer comes.
		_, _ = w.PostFilter(context.Background(), cycle, pod, nil)
		if got := w.handle.takeActivated(); len(got) > 0 {
			t.Errorf("tried again: %v", got)
		}
		w.manager.Offers([]offers.Offer{w.offer("n9", lots)})
		if got := w.handle.takeActivated(); !slices.Equal(got, []string{"ns/p"}) {
			t.Errorf("woken: %v", got)
		}
	})
}

func TestPreFilterLeavesPracticallyAllToReserve(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(1000, func(i int) resources.Vector {
			if i < 5 {
				return resources.Vector{}
			}
			return lots
		})
		pod := w.addPod(podOf("p").NodeAffinityIn("zone", []string{"a"}, st.NodeSelectorTypeMatchExpressions).Obj())
		cycle, _, status := w.preFilter(pod)
		wantStatus(t, "PreFilter", status, fwk.Skip, "")
		// The others may like a node best that has no offer, and would do so for ever.
		wantStatus(t, "Reserve", w.Reserve(context.Background(), cycle, pod, "n0"), fwk.Unschedulable, reasonNoOffer)
		if got := w.handle.takeActivated(); !slices.Equal(got, []string{"ns/p"}) {
			t.Errorf("tried again: %v", got)
		}
		cycle, _, status = w.preFilter(pod)
		wantStatus(t, "the second PreFilter", status, fwk.Success, "")
		wantStatus(t, "Filter", w.Filter(context.Background(), cycle, pod, w.nodes["n0"]), fwk.UnschedulableAndUnresolvable, reasonNotAgent)
	})
}

// fullCycle is a cycle in which every node is judged by Filter.
func (w *world) fullCycle() fwk.CycleState {
	cycle := framework.NewCycleState()
	cycle.Write(stateKey, &state{want: *offers.Plain(need), role: w.manager.Cache().Role("*")})
	return cycle
}

func TestFilterReasons(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(5, func(i int) resources.Vector {
			return []resources.Vector{lots, little, cm(5000, 5), {}, need}[i]
		})
		w.manager.Offers([]offers.Offer{w.offer("n3", cm(1, 1))})
		w.manager.Rescinded("o5")
		w.hold(w.addPod(podOf("other").Obj()), "n4")
		w.addNode("lonely")
		pod := podOf("p").Obj()
		for node, reason := range map[string]string{
			"n0": "", "n1": "Mesos offer short of cpu", "n2": "Mesos offer short of memory", "n3": reasonNoOffer,
			"n4": reasonNoOffer, "lonely": reasonNotAgent,
		} {
			code := fwk.UnschedulableAndUnresolvable
			if reason == "" {
				code = fwk.Success
			}
			wantStatus(t, node, w.Filter(context.Background(), w.fullCycle(), pod, w.nodes[node]), code, reason)
		}
		if status := w.Filter(context.Background(), framework.NewCycleState(), pod, w.nodes["n0"]); status.Code() != fwk.Error {
			t.Errorf("Filter without PreFilter: %v", status)
		}
	})
}

// A dry run sees what other pods will need or give back, on a clone of its own.
func TestDryRunsOverlayTheOffers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(2, func(i int) resources.Vector { return []resources.Vector{cm(1500, 128000), lots}[i] })
		w.manager.Rescinded("o2")
		ctx, pod, n0, n1 := context.Background(), podOf("p").Obj(), w.nodes["n0"], w.nodes["n1"]
		info := func(name, scheduler string) fwk.PodInfo {
			podInfo, err := framework.NewPodInfo(podOf(name).SchedulerName(scheduler).Obj())
			if err != nil {
				t.Fatal(err)
			}
			return podInfo
		}
		ours, theirs := info("nominated", profile), info("theirs", "default-scheduler")
		cycle := w.fullCycle()
		dry := cycle.Clone()
		wantStatus(t, "AddPod", w.AddPod(ctx, dry, pod, ours, n0), fwk.Success, "")
		wantStatus(t, "with the nominated pod", w.Filter(ctx, dry, pod, n0), fwk.UnschedulableAndUnresolvable, "Mesos offer short of cpu")
		wantStatus(t, "the cycle itself", w.Filter(ctx, cycle, pod, n0), fwk.Success, "")
		nested := dry.Clone()
		wantStatus(t, "RemovePod", w.RemovePod(ctx, nested, pod, ours, n0), fwk.Success, "")
		wantStatus(t, "without it again", w.Filter(ctx, nested, pod, n0), fwk.Success, "")
		wantStatus(t, "the outer dry run", w.Filter(ctx, dry, pod, n0), fwk.UnschedulableAndUnresolvable, "Mesos offer short of cpu")

		foreign := cycle.Clone()
		wantStatus(t, "AddPod", w.AddPod(ctx, foreign, pod, theirs, n0), fwk.Success, "")
		wantStatus(t, "with a pod of another scheduler", w.Filter(ctx, foreign, pod, n0), fwk.Success, "")

		// Preempting pods without claims gives a node no offer that it has not got.
		preempt := cycle.Clone()
		for _, name := range []string{"x", "y", "z"} {
			w.RemovePod(ctx, preempt, pod, info(name, profile), n1)
		}
		wantStatus(t, "without three victims", w.Filter(ctx, preempt, pod, n1), fwk.UnschedulableAndUnresolvable, reasonNoOffer)
	})
}

func TestScoreAvoidsMaintenance(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.addNodes(1, all(lots))
		// Of agents that are to go, only offers for pods that end in time are kept.
		pod, ctx := podOf("p").Toleration(maintenance.TaintKey).Obj(), context.Background()
		pod.Spec.ActiveDeadlineSeconds = new(int64(60))
		w.manager.PodHandler(func(*v1.Pod) bool { return true }).OnAdd(pod, false)
		wantStatus(t, "PreScore without maintenance", w.PreScore(ctx, nil, pod, w.infos), fwk.Skip, "")
		for name, in := range map[string]time.Duration{"soon": time.Hour, "later": 20 * time.Hour, "far": 1000 * time.Hour} {
			w.addNode(name)
			o := w.offer(name, lots)
			o.Unavailability = &offers.Unavailability{Start: time.Now().Add(in)}
			w.manager.Offers([]offers.Offer{o})
		}
		wantStatus(t, "PreScore", w.PreScore(ctx, nil, pod, w.infos), fwk.Success, "")
		wantStatus(t, "PreScore of others", w.PreScore(ctx, nil, pod, w.infos[:1]), fwk.Skip, "")
		last := int64(-1)
		for _, name := range []string{"soon", "later", "far", "n0"} {
			score, status := w.Score(ctx, nil, pod, w.nodes[name])
			if status != nil || score <= last || score > framework.MaxNodeScore {
				t.Errorf("%s scores %d after %d, %v", name, score, last, status)
			}
			last = score
		}
	})
}

// The scheduler's messages count nodes by reason: a reason with a number or a
// name in it would be a line of its own for each node.
func TestReasonsAreConstant(t *testing.T) {
	known := &reasons{table: resources.NewTable(resources.Options{})}
	reasons := []string{reasonNotConnected, reasonAmbiguous, reasonClaimLost, reasonMasterBusy, reasonPodGone, problemBinder, problemPoints}
	for _, reason := range notConnected {
		reasons = append(reasons, reason)
	}
	for v := offers.NoOffer; v <= offers.NotAgent; v++ {
		for k := range resources.NumKinds {
			reasons = append(reasons, known.of(v, k.String()), known.of(v, "revocable "+k.String()), known.small(k.String()))
		}
	}
	for _, c := range []claims.Cause{claims.CauseOfferGone, claims.CauseDisconnected, claims.CauseRejected, claims.CauseFailed, claims.CauseTimeout, claims.CausePodGone, "new"} {
		reasons = append(reasons, reasonOfCause(c))
	}
	for _, reason := range reasons {
		if reason == "" || strings.ContainsAny(reason, "0123456789,\n") || strings.HasSuffix(reason, ".") {
			t.Errorf("reason %q", reason)
		}
	}
	// As the scheduler shows them.
	nodes := framework.NewDefaultNodeToStatus()
	for i, v := range []offers.Verdict{offers.NoOffer, offers.NoOffer, offers.ShortOf, offers.NotAgent} {
		nodes.Set(string(rune('a'+i)), reject(fwk.UnschedulableAndUnresolvable, known.of(v, resources.CPU.String())))
	}
	fit := framework.FitError{Pod: podOf("p").Obj(), NumAllNodes: 4, Diagnosis: framework.Diagnosis{NodeToStatus: nodes}}
	if got, want := fit.Error(), "0/4 nodes are available: 1 Mesos offer short of cpu, 1 not a Mesos agent, 2 no Mesos offer."; got != want {
		t.Errorf("the scheduler says %q, want %q", got, want)
	}
}
