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

package reservations

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
)

// Reason is why a reservation is given back. It is a constant: metrics and events
// show it.
type Reason string

const (
	// StatefulSetGone is that the StatefulSet is not there any more. One of the same name
	// that was made later is another one.
	StatefulSetGone Reason = "StatefulSetGone"
	// VolumeClaimsGone is that none of the volume claims is left that the StatefulSet made
	// for this pod, so nothing is left on the node to come back to.
	VolumeClaimsGone Reason = "VolumeClaimsGone"
	// ScaledDown is that the StatefulSet makes no volume claims and has no such pod now.
	ScaledDown Reason = "ScaledDown"
	// ByHand is that somebody asked for it.
	ByHand Reason = "ByHand"
	// Surplus is that the pod uses another reservation of its own elsewhere.
	Surplus Reason = "Surplus"
)

// judge returns why the owner needs its reservation no more, "" if it does. set is
// the StatefulSet of the owner's name, nil if there is none; pod is the pod of its
// name, nil likewise; claimed tells whether a volume claim of the owner's namespace
// exists.
func judge(owner Owner, set *appsv1.StatefulSet, pod *v1.Pod, claimed func(name string) (bool, error)) (Reason, error) {
	if holds(owner, pod) {
		return "", nil
	}
	if set == nil || set.UID != owner.StatefulSetUID {
		return StatefulSetGone, nil
	}
	if len(set.Spec.VolumeClaimTemplates) == 0 {
		if inRange(owner, set) {
			return "", nil
		}
		return ScaledDown, nil
	}
	for i := range set.Spec.VolumeClaimTemplates {
		there, err := claimed(set.Spec.VolumeClaimTemplates[i].Name + "-" + owner.Pod)
		if there || err != nil {
			return "", err
		}
	}
	return VolumeClaimsGone, nil
}

// holds reports whether the pod lives and may use the owner's reservation. A pod
// of the same name that another StatefulSet controls never does: it has a
// reservation of its own. A pod that nobody controls may have been left behind.
func holds(owner Owner, pod *v1.Pod) bool {
	if pod == nil || pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
		return false
	}
	set, ok := statefulSetOf(pod)
	return !ok || set.UID == owner.StatefulSetUID
}

// inRange reports whether the StatefulSet has a pod with the owner's ordinal.
func inRange(owner Owner, set *appsv1.StatefulSet) bool {
	text, found := strings.CutPrefix(owner.Pod, set.Name+"-")
	ordinal, err := strconv.ParseInt(text, 10, 32)
	if !found || err != nil {
		return false
	}
	start, replicas := int64(0), int64(1)
	if set.Spec.Ordinals != nil {
		start = int64(set.Spec.Ordinals.Start)
	}
	if set.Spec.Replicas != nil {
		replicas = int64(*set.Spec.Replicas)
	}
	return start <= ordinal && ordinal < start+replicas
}
