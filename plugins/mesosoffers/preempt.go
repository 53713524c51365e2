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

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// preempts settles for the first role of a starved pod in which preemption can help
// on any node. From then on the time until it starves again runs anew, whatever comes
// of it: what its victims give back is offered later, and until then it must not
// preempt more.
func (p *Plugin) preempts(s *state, begun *lifecycle.Cycle, pod *v1.Pod) bool {
	if !begun.Starvation.Starved || s.found && !begun.Starvation.Refused {
		return false
	}
	plan := &begun.Plan
	for i, name := range plan.Roles {
		if i < begun.First || i >= begun.End {
			continue
		}
		ways, _ := p.manager.WithinQuota(name, p.manager.WantIn(plan, name))
		for _, want := range ways {
			if found := p.manager.Preemptable(pod, name, &want); len(found) > 0 {
				s.role, s.want, s.preemptable, s.plan = p.manager.Cache().Role(name), want, found, nil
				p.manager.Attempted(pod)
				return true
			}
		}
	}
	return false
}

// starves notes that the pod found nothing. It does not starve by the offers if a
// quota or something else keeps it from them.
func (p *Plugin) starves(pod *v1.Pod, s *state) {
	switch {
	case s.barred:
		p.manager.Feed(pod)
	case s.mode != modeStarved:
		p.manager.Starve(pod)
	}
}

// waits tells whether the pod preempted others and what they had may still be offered.
func (s *state) waits() bool {
	return !s.hungry.Off && s.mode != modeStarved && !s.barred && !s.hungry.Starved && (s.nominated != "" || s.hungry.Waits && !s.found)
}

// PreFilterExtensions implements framework.PreFilterPlugin.
func (p *Plugin) PreFilterExtensions() framework.PreFilterExtensions { return p }

// AddPod implements framework.PreFilterExtensions. A pod assumed on the node that
// has no claim there yet (a nominated pod) will need its part of the node's offers.
func (p *Plugin) AddPod(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, added fwk.PodInfo, info fwk.NodeInfo) *fwk.Status {
	s, pod, node, err := p.dryRun(cycle, added, info)
	if err != nil || s == nil {
		return fwk.AsStatus(err)
	}
	s.overlay.add(node, pod.UID, func() resources.Bundle {
		if _, holds := p.manager.HeldAt(pod, node); holds {
			return resources.Bundle{}
		}
		return p.manager.NeedOf(pod)
	})
	return nil
}

// RemovePod implements framework.PreFilterExtensions. What the claim of a pod assumed
// gone holds of the node's agent returns to Mesos and, as a rule, is offered to us
// again. It is counted for pods that starve; for others nodes must do as they are.
func (p *Plugin) RemovePod(_ context.Context, cycle fwk.CycleState, _ *v1.Pod, removed fwk.PodInfo, info fwk.NodeInfo) *fwk.Status {
	s, pod, node, err := p.dryRun(cycle, removed, info)
	if err != nil || s == nil {
		return fwk.AsStatus(err)
	}
	s.overlay.remove(node, pod.UID, func() []resources.Portion {
		held, _ := p.manager.HeldAt(pod, node)
		return held
	})
	return nil
}

// dryRun returns what a dry run changes, with an overlay; nothing if the pod is not
// ours: it has no claim and needs none.
func (p *Plugin) dryRun(cycle fwk.CycleState, info fwk.PodInfo, on fwk.NodeInfo) (*state, *v1.Pod, string, error) {
	pod := info.GetPod()
	if !p.runtime.mine(pod) {
		return nil, nil, "", nil
	}
	s, err := getState(cycle)
	if err != nil {
		return nil, nil, "", err
	}
	if s.overlay == nil {
		s.overlay = overlay{}
	}
	return s, pod, nodeNameOf(on), nil
}
