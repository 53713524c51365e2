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
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// narrowLimit is the largest number of fitting nodes that PreFilter names one by
// one. The framework copies the set, which costs 50 ns a name; above this, looking
// at each node in Filter is cheaper than naming it.
const narrowLimit = 512

// practicallyAll is the share of nodes, in thousandths, above which Filter is
// skipped: Reserve, which is the authority anyway, finds the rare miss.
const practicallyAll = 995

// slotBuffers saves the garbage of one slice per scheduling cycle.
var slotBuffers = sync.Pool{New: func() any { b := make([]int32, 0, 1024); return &b }}

// PreFilter implements framework.PreFilterPlugin: it reads the offers once. Few
// fitting nodes are named one by one, so that no other plugin looks at the rest;
// of many, a pod without wishes gets a choice; practically all are left to
// Reserve. A pod that nothing fits waits for an offer: it must not preempt others
// because of an offer that is merely late.
func (p *Plugin) PreFilter(ctx context.Context, cycle fwk.CycleState, pod *v1.Pod, infos []fwk.NodeInfo) (*framework.PreFilterResult, *fwk.Status) {
	p.runtime.onCycle()
	if problem := p.profile.check(p.handle, klog.FromContext(ctx), pod); problem != "" {
		return nil, reject(fwk.UnschedulableAndUnresolvable, problem)
	}
	s, begun, turnedAway := p.begin(cycle, pod)
	if turnedAway != nil {
		return nil, turnedAway
	}
	// More than narrowLimit are never named, unless as a choice.
	limit, choice := narrowLimit+1, false
	if !begun.Wide && p.args.Offers.CandidateLimit > 0 && simple(pod) {
		limit, choice = int(p.args.Offers.CandidateLimit), true
	}
	if begun.Plan.Sticky() {
		if result, problem := p.home(s, &begun.Plan); problem != "" {
			return nil, p.noneFits(ctx, pod, s, problem)
		} else if result != nil {
			return result, nil
		}
	}
	buf := slotBuffers.Get().(*[]int32)
	defer slotBuffers.Put(buf)
	sel, problem := p.selectIn(s, &begun, limit, *buf)
	*buf = sel.Slots[:0]
	switch n := len(sel.Slots); {
	case n == 0:
		return nil, p.noneFits(ctx, pod, s, problem)
	case choice && sel.More:
		p.next.Store(int64(sel.Next))
		s.mode = modeLimited
	case n <= narrowLimit:
		s.mode = modeNarrowed
	case !begun.Wide && s.role.Count(&s.want)*1000 >= len(infos)*practicallyAll:
		s.mode = modeSkipped
		return nil, fwk.NewStatus(fwk.Skip)
	default:
		return nil, nil
	}
	return &framework.PreFilterResult{NodeNames: p.names(sel.Slots)}, nil
}

// begin starts a cycle. The status says why there is no use in looking at offers.
func (p *Plugin) begin(cycle fwk.CycleState, pod *v1.Pod) (*state, lifecycle.Cycle, *fwk.Status) {
	begun := p.manager.Begin(pod)
	s := &state{want: begun.Plan.Want, seen: begun.Seen}
	cycle.Write(stateKey, s)
	problem, kind := begun.Plan.Problem, "Problem"
	if problem == "" && !begun.Connected {
		problem, kind = p.runtime.notConnected(), "NotConnected"
	}
	if problem != "" {
		metrics.Rejections.WithLabelValues("PreFilter", kind).Inc()
		p.manager.Park(pod, begun.Seen)
		return s, begun, reject(fwk.UnschedulableAndUnresolvable, problem)
	}
	s.role = p.manager.Cache().Role(begun.Plan.Roles[0])
	return s, begun, nil
}

// noneFits puts the pod to sleep that no offer fits, and says why.
func (p *Plugin) noneFits(ctx context.Context, pod *v1.Pod, s *state, problem string) *fwk.Status {
	if logger := klog.FromContext(ctx).V(4); logger.Enabled() {
		logger.Info("No Mesos offer fits the pod", "pod", klog.KObj(pod), "need", s.want.Need.String(), "reasons", problem)
	}
	metrics.Rejections.WithLabelValues("PreFilter", "NoFittingOffer").Inc()
	p.manager.Park(pod, s.seen)
	return reject(fwk.UnschedulableAndUnresolvable, problem)
}

// selectIn looks at what is offered to each of the pod's roles, and settles for the
// first in which a node fits under the quota. If none does, problem says why, of the
// first role: that is the one whose offers the pod waits for.
func (p *Plugin) selectIn(s *state, begun *lifecycle.Cycle, limit int, buf []int32) (sel offers.Selection, problem string) {
	plan := &begun.Plan
	for i, name := range plan.Roles {
		if i < begun.First || i >= begun.End {
			continue
		}
		role := p.manager.Cache().Role(name)
		ways, lack := p.manager.WithinQuota(name, p.manager.WantIn(plan, name))
		for _, want := range ways {
			sel = role.Select(&want, int(p.next.Load()), limit, buf)
			if len(sel.Slots) > 0 {
				s.role, s.want = role, want
				if i+1 < len(plan.Roles) {
					// A copy, for most pods have no other role, and theirs is to need no heap.
					kept := *plan
					s.plan, s.later = &kept, i+1
				}
				return sel, ""
			}
			if problem == "" && lack == "" {
				role.Explain(&want, &sel)
				problem = p.reasons.message(&sel, p.manager.Shortage())
			}
		}
		if problem == "" {
			problem = quota.Reason(lack)
		}
	}
	return sel, problem
}

// laterRole returns the index of the first role after the one settled for in which a
// node fits, false if there is none.
func (p *Plugin) laterRole(s *state) (int, bool) {
	if s.plan == nil {
		return 0, false
	}
	for i := s.later; i < len(s.plan.Roles); i++ {
		name := s.plan.Roles[i]
		ways, _ := p.manager.WithinQuota(name, p.manager.WantIn(s.plan, name))
		for _, want := range ways {
			if sel := p.manager.Cache().Role(name).Select(&want, 0, 1, nil); len(sel.Slots) > 0 {
				return i, true
			}
		}
	}
	return 0, false
}

// home sends a pod to its own reservation. The result is nil if there is none yet.
func (p *Plugin) home(s *state, plan *lifecycle.Plan) (*framework.PreFilterResult, string) {
	home := p.manager.HomeOf(plan)
	for _, place := range home.Places {
		role := p.manager.Cache().Role(place.Role)
		ways, _ := p.manager.WithinQuota(place.Role, p.manager.WantIn(plan, place.Role))
		for _, want := range ways {
			if verdict, _ := role.Fits(p.manager.Index().LookupName(place.Node), &want); verdict == offers.Fitting {
				s.role, s.want, s.mode = role, want, modeNarrowed
				return &framework.PreFilterResult{NodeNames: sets.New(place.Node)}, ""
			}
		}
	}
	switch {
	case len(home.Places) > 0:
		return nil, reasonHome
	case !home.Known:
		return nil, reasonHomeUnknown
	case home.Lost:
		return nil, reasonHomeLost
	}
	return nil, ""
}

// names returns the slots' nodes. A slot that lost its node since the scan is left
// out.
func (p *Plugin) names(slots []int32) sets.Set[string] {
	cache := p.manager.Cache()
	names := make(sets.Set[string], len(slots))
	for _, slot := range slots {
		if name := cache.NodeOf(slot); name != "" {
			names[name] = sets.Empty{}
		}
	}
	return names
}

// PreFilterExtensions implements framework.PreFilterPlugin.
func (p *Plugin) PreFilterExtensions() framework.PreFilterExtensions { return p }

// AddPod implements framework.PreFilterExtensions. A pod assumed on the node that
// has no claim yet (a nominated pod) will need its part of the node's offers.
func (p *Plugin) AddPod(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, added fwk.PodInfo, info fwk.NodeInfo) *fwk.Status {
	return p.assume(cycle, added.GetPod(), info, 1)
}

// RemovePod implements framework.PreFilterExtensions. What a pod assumed gone
// holds of the agent returns to Mesos and, as a rule, is offered to us again.
func (p *Plugin) RemovePod(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, removed fwk.PodInfo, info fwk.NodeInfo) *fwk.Status {
	return p.assume(cycle, removed.GetPod(), info, -1)
}

func (p *Plugin) assume(cycle fwk.CycleState, pod *v1.Pod, info fwk.NodeInfo, sign int) *fwk.Status {
	if !p.runtime.mine(pod) {
		return nil
	}
	s, err := getState(cycle)
	if err != nil {
		return fwk.AsStatus(err)
	}
	need := p.manager.NeedOf(pod)
	if s.overlay == nil {
		s.overlay = map[string]resources.Vector{}
	}
	node := nodeNameOf(info)
	if sign > 0 {
		s.overlay[node] = s.overlay[node].Add(need)
	} else {
		s.overlay[node] = s.overlay[node].Sub(need)
	}
	return nil
}

// Filter implements framework.FilterPlugin: one look at the node's columns, no
// lock, no allocation on success.
func (p *Plugin) Filter(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	s, err := getState(cycle)
	if err != nil {
		return fwk.AsStatus(err)
	}
	node := info.Node()
	if s.overlay == nil {
		if s.mode != modeFull {
			return nil
		}
		verdict, lacks := s.role.Fits(p.manager.Index().Lookup(node), &s.want)
		if verdict == offers.Fitting {
			return nil
		}
		return reject(fwk.UnschedulableAndUnresolvable, p.reasons.of(verdict, lacks))
	}
	want := s.want
	// Never less than nothing: that would fit a node without any offer.
	want.Need.Vector = want.Need.Vector.Add(s.overlay[node.Name]).Max(resources.Vector{})
	verdict, lacks := s.role.Fits(p.manager.Index().Lookup(node), &want)
	if verdict == offers.Fitting {
		return nil
	}
	return reject(fwk.UnschedulableAndUnresolvable, p.reasons.of(verdict, lacks))
}

// PostFilter implements framework.PostFilterPlugin. It changes nothing in the
// cluster: a pod that failed on a choice of nodes is tried again on all of them, one
// that failed on all of a role with the offers of its next role, and one that failed
// on those, too, waits for others.
func (p *Plugin) PostFilter(_ context.Context, cycle fwk.CycleState, pod *v1.Pod, _ framework.NodeToStatusReader) (*framework.PostFilterResult, *fwk.Status) {
	if s, err := getState(cycle); err == nil {
		if s.mode == modeLimited {
			p.manager.Widen(pod)
		} else if i, ok := p.laterRole(s); ok {
			p.manager.NextRole(pod, i)
		} else {
			p.manager.Park(pod, s.seen)
		}
	}
	return nil, fwk.NewStatus(fwk.Unschedulable)
}
