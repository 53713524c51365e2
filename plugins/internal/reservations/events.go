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
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
)

// Reasons and the action of the events we record.
const (
	// EventReleased is on a StatefulSet, or on its namespace if it is gone: resources
	// reserved for one of its pods were given back. On a node: what was asked for by
	// hand is done.
	EventReleased = "MesosReservationReleased"
	// EventReleaseInvalid is on a node whose annotation cannot be understood.
	EventReleaseInvalid = "MesosReleaseInvalid"
	actionRelease       = "Releasing"
)

// texts tell users of reasons.
var texts = map[Reason]string{
	StatefulSetGone:  "its StatefulSet is gone",
	VolumeClaimsGone: "its volume claims are gone",
	ScaledDown:       "the StatefulSet was scaled down",
	ByHand:           "somebody asked for it",
	Surplus:          "it uses others on another agent",
}

// report tells what was given back since the last time.
func (c *Controller) report() {
	for _, gone := range c.Registry.TakeReleased() {
		metrics.ReservationsReleased.WithLabelValues(string(gone.Reason)).Inc()
		c.logger.Info("Reserved resources were given back", "pod", klog.KRef(gone.Owner.Namespace, gone.Owner.Pod), "agent", gone.AgentID,
			"role", gone.Role, "reason", gone.Reason)
		if gone.Owner == (Owner{}) {
			continue
		}
		c.Recorder.Eventf(c.regarding(gone.Owner), nil, v1.EventTypeNormal, EventReleased, actionRelease,
			"Resources reserved for pod %s on Mesos agent %s in role %s were given back: %s", gone.Owner.Pod, gone.AgentID, gone.Role, texts[gone.Reason])
	}
}

// regarding returns the owner's StatefulSet, or its namespace if that is gone.
func (c *Controller) regarding(owner Owner) runtime.Object {
	set, err := c.StatefulSets.Lister().StatefulSets(owner.Namespace).Get(owner.StatefulSet)
	if err == nil && set.UID == owner.StatefulSetUID {
		return set
	}
	// With its own name as the namespace, the event is among those of the namespace
	// and not in "default".
	return &v1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: owner.Namespace, Namespace: owner.Namespace}
}

// nodeReference names a node to the event recorder. Node events carry the name as
// UID, as those of the kubelet do: kubectl describe node looks for them by it.
func nodeReference(name string) runtime.Object {
	return &v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name, UID: types.UID(name)}
}
