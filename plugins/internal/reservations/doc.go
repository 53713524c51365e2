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

// Package reservations gives pods of StatefulSets what they had on their node back:
// labelled dynamic reservations, which outlive the pod's task and which nobody else
// may use.
//
// A pod annotated kube-mesos.io/reserve: "true" has its resources reserved when it
// is first launched (RESERVE and LAUNCH in one ACCEPT). The labels of the reservation
// name its Owner: the StatefulSet, by UID, and the pod's name. Labels are part of a
// reservation's identity to Mesos, so no other pod and no other framework of the role
// gets it by mistake. The next pod of that name is sent to the node where it is.
//
// # When it ends
//
// A reservation is given back (UNRESERVE) when
//
//   - the StatefulSet is gone; or
//   - the StatefulSet has volumeClaimTemplates and all claims of this pod are gone
//     (what its persistentVolumeClaimRetentionPolicy keeps, keeps the reservation); or
//   - it has none and the pod's ordinal is not among its replicas any more; or
//   - the pod has been using another reservation of its own for SurplusAfter: an agent
//     that was thought lost came back; or
//   - somebody asks for it by hand.
//
// Except by hand and for the surplus, never while a pod of that name lives, unless
// another StatefulSet controls that pod: such a pod has a reservation of its own. The
// Controller judges only with synced informers, waits for Config.Grace, and then asks the
// API server itself before it condemns. Mesos unreserves nothing that a task uses, so
// whatever we do no pod loses resources under its feet.
//
// Nothing is kept but in Mesos and Kubernetes. After a restart the master's list of
// agents brings the reservations back, and their owners are judged anew.
//
// # By hand
//
// The annotation kube-mesos.io/release-reservations on a Node gives back what is
// reserved on its agent:
//
//	kubectl annotate node n1 kube-mesos.io/release-reservations=shop/db-0
//	kubectl annotate node n1 'kube-mesos.io/release-reservations=*'
//
// "<namespace>/<pod>" means that pod's reservations, "*" all that are ours, also
// those whose labels cannot be read; several are separated by commas. What another
// framework of this kind reserved (or this one under a former id) is only given back
// under its full name, "<framework id>/<namespace>/<pod>". It applies to what is
// reserved when the annotation is seen. What a task uses is given back when the task
// ends, and the pod is not sent to this node for it any more: to move a pod, annotate,
// then delete the pod. The annotation is removed when nothing is left.
//
// # Events
//
// MesosReservationReleased on the StatefulSet, or on its namespace if it is gone, tells
// what was given back once the master's list shows it; on a node, that its annotation
// is done. MesosReleaseInvalid on a node: its annotation cannot be understood.
//
// # Metrics
//
//	kube_mesos_reservations{state}                 reservations with our labels, by state:
//	    kept         the owner lives, or was not judged yet
//	    releasing    being given back
//	    stuck        being given back for longer than StuckAfter: its role gets no offers
//	                 of it, the master refuses, or a task still uses it
//	    unreadable   labels like ours that name no owner
//	    foreign      of another framework of this kind, or of a former framework id
//	kube_mesos_reservations_released_total{reason} given back, by Reason
//
// # What the caller does
//
// The Registry is told what happens in Mesos. Before it is Synced, pods that have a
// reservation must wait, because it is not known where. PreFilter restricts a pod to
// Agents (or Where). Roles of Wanted must be subscribed and not suppressed. Each
// portion of an offer for which Release is true is unreserved instead of used; Due
// names the offers in hand that hold such ones. The pods' informer gets the
// Controller's PodHandler.
package reservations
