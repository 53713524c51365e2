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
// because of an offer that is merely late. One that starves may: then Filter looks at
// all nodes.
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
	s.found = len(sel.Slots) > 0
	if p.preempts(s, &begun, pod) {
		s.mode = modeStarved
		return nil, nil
	} else if !s.found {
		return nil, p.noneFits(ctx, pod, s, problem)
	}
	s.mode = p.modeOf(s, &sel, choice, begun.Wide, len(infos))
	switch s.mode {
	case modeSkipped:
		return nil, fwk.NewStatus(fwk.Skip)
	case modeNarrowed, modeLimited:
		return &framework.PreFilterResult{NodeNames: p.names(sel.Slots)}, nil
	}
	return nil, nil
}

// modeOf says how to answer with these slots, which are all that fit, or a choice, of
// a cluster of so many nodes. Nothing is left to Reserve alone while pods are nominated:
// only Filter knows what others must leave them.
func (p *Plugin) modeOf(s *state, sel *offers.Selection, choice, wide bool, nodes int) mode {
	switch {
	case choice && sel.More:
		p.next.Store(int64(sel.Next))
		return modeLimited
	case len(sel.Slots) <= narrowLimit:
		return modeNarrowed
	case !wide && s.nominated == "" && !p.manager.AnyNominated() && s.role.Count(&s.want)*1000 >= nodes*practicallyAll:
		return modeSkipped
	}
	return modeFull
}

// begin starts a cycle. The status says why there is no use in looking at offers.
func (p *Plugin) begin(cycle fwk.CycleState, pod *v1.Pod) (*state, lifecycle.Cycle, *fwk.Status) {
	begun := p.manager.Begin(pod)
	s := &state{want: begun.Plan.Want, seen: begun.Seen, hungry: begun.Starvation, nominated: pod.Status.NominatedNodeName}
	cycle.Write(stateKey, s)
	problem, kind := begun.Plan.Problem, "Problem"
	s.barred = problem != ""
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
	p.starves(pod, s)
	p.manager.Park(pod, s.seen)
	return reject(fwk.UnschedulableAndUnresolvable, problem)
}

// selectIn looks at what is offered to each of the pod's roles, and settles for the
// first in which a node fits under the quota. If none does, problem says why, of the
// first role: that is the one whose offers the pod waits for.
func (p *Plugin) selectIn(s *state, begun *lifecycle.Cycle, limit int, buf []int32) (sel offers.Selection, problem string) {
	plan := &begun.Plan
	s.barred = true
	for i, name := range plan.Roles {
		if i < begun.First || i >= begun.End {
			continue
		}
		role := p.manager.Cache().Role(name)
		ways, lack := p.manager.WithinQuota(name, p.manager.WantIn(plan, name))
		s.barred = s.barred && lack != ""
		for _, want := range ways {
			sel = role.Select(&want, int(p.next.Load()), limit, buf)
			if len(sel.Slots) > 0 {
				s.role, s.want = role, want
				s.want.Predicted = sel.Predicted
				if i+1 < len(plan.Roles) {
					// A copy, for most pods have no other role, and theirs is to need no heap.
					kept := *plan
					s.plan, s.later = &kept, i+1
				}
				return sel, ""
			}
			if problem == "" && lack == "" {
				undersized := role.Explain(&want, &sel)
				problem = p.reasons.message(&sel, undersized, p.manager.Shortage())
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

// Filter implements framework.FilterPlugin: one look at the node's columns, no
// lock, no allocation on success.
func (p *Plugin) Filter(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	s, err := getState(cycle)
	if err != nil {
		return fwk.AsStatus(err)
	}
	node := info.Node()
	if s.overlay != nil {
		verdict, lacks := p.manager.FitsAssuming(node.Name, s.role.Name(), &s.want, s.overlay.sum(node.Name, s.mode == modeStarved))
		return p.judged(s, node.Name, verdict, lacks)
	}
	// The node itself is not looked at unless it must be: of thousands, few are in the
	// processor's cache.
	if s.mode != modeFull && s.mode != modeStarved && (s.nominated == "" || node.Name != s.nominated) {
		return nil
	}
	verdict, lacks := s.role.Fits(p.manager.Index().Lookup(node), &s.want)
	if verdict == offers.Fitting {
		return nil
	}
	return p.judged(s, node.Name, verdict, lacks)
}

// judged is Filter's answer. Unschedulable is what preemption looks at.
func (p *Plugin) judged(s *state, node string, verdict offers.Verdict, lacks string) *fwk.Status {
	switch {
	case verdict == offers.Fitting:
		return nil
	case s.preemptable[node]:
		return reject(fwk.Unschedulable, p.reasons.of(verdict, lacks))
	}
	reason := p.reasons.of(verdict, lacks)
	if verdict == offers.NoOffer || verdict == offers.InFlight || verdict == offers.ShortOf {
		if lacks := s.role.TooSmall(p.manager.Index().LookupName(node), &s.want); lacks != "" {
			reason = p.reasons.small(lacks)
		}
	}
	return reject(fwk.UnschedulableAndUnresolvable, reason)
}

// PostFilter implements framework.PostFilterPlugin. It changes nothing in the
// cluster: a pod that failed on a choice of nodes is tried again on all of them, one
// that failed on all of a role with the offers of its next role, and one that failed
// on those, too, waits for others. It must run before DefaultPreemption, which it
// keeps from pods that wait for what they preempted.
func (p *Plugin) PostFilter(_ context.Context, cycle fwk.CycleState, pod *v1.Pod, _ framework.NodeToStatusReader) (*framework.PostFilterResult, *fwk.Status) {
	s, err := getState(cycle)
	if err != nil {
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	i, later := p.laterRole(s)
	switch {
	case s.mode == modeLimited:
		p.manager.Widen(pod)
	case later:
		p.manager.NextRole(pod, i)
	case s.found && s.mode != modeStarved && s.hungry.Starved && !s.hungry.Refused:
		p.manager.Refused(pod)
	default:
		p.starves(pod, s)
		p.manager.Park(pod, s.seen)
	}
	if s.waits() {
		// No result: the pod keeps its nomination, which is what keeps others from the
		// node's next offer.
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable)
	}
	return nil, fwk.NewStatus(fwk.Unschedulable)
}
