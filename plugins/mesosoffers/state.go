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
	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

const stateKey fwk.StateKey = Name

// mode is how PreFilter answered.
type mode uint8

const (
	// modeFull leaves all nodes to Filter.
	modeFull mode = iota
	// modeNarrowed named every fitting node: Filter need not look again.
	modeNarrowed
	// modeLimited named a choice of the fitting nodes; see PostFilter.
	modeLimited
	// modeSkipped left all nodes to Reserve.
	modeSkipped
	// modeStarved leaves all nodes to Filter, which tells the nodes where preemption can
	// help from others.
	modeStarved
)

// state is one scheduling cycle of one pod. It is written by PreFilter, changed
// by AddPod and RemovePod on clones of their own, and by Reserve; Filter only
// reads it.
type state struct {
	// want is what the pod asks for, role where it is looked for.
	want offers.Want
	role *offers.Role
	mode mode
	// seen is the offers' version from before the pod looked.
	seen uint64
	// overlay is what a dry run assumes of single nodes. Nil outside dry runs.
	overlay overlay
	// nominated is the node that the pod preempted others on, "" if none: the framework
	// shows it to Filter first, whatever PreFilter named.
	nominated string
	// preemptable are the nodes where preemption can help, of a starved pod.
	preemptable map[string]bool
	// hungry is how long the pod has found nothing, as of the cycle's begin; found that
	// offers fit in this cycle; barred that it is not the offers that keep it waiting.
	hungry        lifecycle.Starvation
	found, barred bool
	// plan is what the pod asks for in all its roles, and later the index of the role
	// after the one that was settled for; nil if there is none.
	plan  *lifecycle.Plan
	later int
	// taskID is the claim, set by Reserve.
	taskID string
}

// Clone implements fwk.StateData.
func (s *state) Clone() fwk.StateData {
	c := *s
	c.overlay = s.overlay.clone()
	return &c
}

func getState(cycle fwk.CycleState) (*state, error) {
	data, err := cycle.Read(stateKey)
	if err != nil {
		return nil, err
	}
	return data.(*state), nil
}

// simple tells whether any fitting node is likely to do for the pod, so that it
// can be shown a choice of them. Pods with wishes about nodes see all.
func simple(pod *v1.Pod) bool {
	spec := &pod.Spec
	if len(spec.NodeSelector) > 0 || spec.Affinity != nil || len(spec.TopologySpreadConstraints) > 0 ||
		len(spec.ResourceClaims) > 0 || pod.Status.NominatedNodeName != "" {
		return false
	}
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.CSI != nil {
			return false
		}
	}
	for i := range spec.Containers {
		for j := range spec.Containers[i].Ports {
			if spec.Containers[i].Ports[j].HostPort != 0 {
				return false
			}
		}
	}
	return !spec.HostNetwork
}
