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
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Annotation on the pods of a StatefulSet, with the value "true", reserves what
// they get, so that they find it again on the same node.
const Annotation = "kube-mesos.io/reserve"

// prefix begins the labels that reservations of ours have.
const prefix = "kube-mesos.io/"

// Labels of a reservation. They are part of its identity (Mesos source,
// common/resources.cpp, operator== of ReservationInfo), and all that is ever
// stored about it.
const (
	LabelFrameworkID    = prefix + "framework-id"
	LabelNamespace      = prefix + "namespace"
	LabelPod            = prefix + "pod"
	LabelStatefulSet    = prefix + "statefulset"
	LabelStatefulSetUID = prefix + "statefulset-uid"
)

// Owner is the pod for whose sake a reservation is there: not one that lives now,
// but all that ever have its name and are of its StatefulSet.
type Owner struct {
	Namespace, Pod, StatefulSet string
	StatefulSetUID              types.UID
}

// Key names the owner: no two owners have the same one. Names and UIDs contain no
// "/".
func (o Owner) Key() string {
	return o.Namespace + "/" + o.Pod + "/" + string(o.StatefulSetUID)
}

// Asked reports whether the pod is to get a reservation of its own. What is neither
// "true" nor "false" is asked for too, so that OwnerOf tells what is wrong.
func Asked(pod *v1.Pod) bool {
	value, ok := pod.Annotations[Annotation]
	return ok && value != "false"
}

// OwnerOf returns the owner of the reservation that the pod asks for. The error
// tells users why there cannot be one.
func OwnerOf(pod *v1.Pod) (Owner, error) {
	if value := pod.Annotations[Annotation]; value != "true" {
		return Owner{}, fmt.Errorf("annotation %s is %q; it must be \"true\" or \"false\"", Annotation, value)
	}
	set, ok := statefulSetOf(pod)
	if !ok {
		return Owner{}, fmt.Errorf("annotation %s needs a StatefulSet as the pod's controller: other pods have no name to find their reservation by again", Annotation)
	}
	return Owner{Namespace: pod.Namespace, Pod: pod.Name, StatefulSet: set.Name, StatefulSetUID: set.UID}, nil
}

// statefulSetOf returns the StatefulSet that controls the pod.
func statefulSetOf(pod *v1.Pod) (*metav1.OwnerReference, bool) {
	ref := metav1.GetControllerOf(pod)
	if ref == nil || ref.Kind != "StatefulSet" || !strings.HasPrefix(ref.APIVersion, "apps/") {
		return nil, false
	}
	return ref, true
}

// Flavour returns what to reserve unreserved resources as: dynamically, for the
// role they are allocated to, by our principal ("" without authentication).
func Flavour(frameworkID, role, principal string, owner Owner) *resources.Flavour {
	return &resources.Flavour{Reservations: []resources.Reservation{{
		Role: role, Dynamic: true, Principal: principal,
		Labels: []resources.Label{
			{Key: LabelFrameworkID, Value: frameworkID},
			{Key: LabelNamespace, Value: owner.Namespace},
			{Key: LabelPod, Value: owner.Pod},
			{Key: LabelStatefulSet, Value: owner.StatefulSet},
			{Key: LabelStatefulSetUID, Value: string(owner.StatefulSetUID)},
		},
	}}}
}

// Parse returns the owner of a reservation of ours: one that Flavour made for the
// framework, whatever its role, principal and the order of its labels.
func Parse(f *resources.Flavour, frameworkID string) (Owner, bool) {
	id := identify(f, frameworkID)
	return id.owner, id.kind == ours
}

// Classify tells who may use resources of the flavour. Without labels that is any
// pod of the role: key is "". A reservation of ours is for the pods with that
// Owner.Key alone. Other labelled reservations are other people's: not usable.
func Classify(f *resources.Flavour, frameworkID string) (key string, usable bool) {
	switch id := identify(f, frameworkID); id.kind {
	case unlabelled:
		return "", true
	case ours:
		return id.name, true
	default:
		return "", false
	}
}

// kind tells reservations apart by whom they are for.
type kind uint8

const (
	// unlabelled is what no label reserves, and what is not reserved at all.
	unlabelled kind = iota
	// ours are the reservations that Flavour made for us.
	ours
	// foreign are reservations of another framework of this kind.
	foreign
	// unreadable are those with labels like ours that Flavour never makes.
	unreadable
	// others have labels that mean nothing to us.
	others
)

// identity is what the labels of a flavour say.
type identity struct {
	kind  kind
	owner Owner
	// name is Owner.Key for ours; different for different identities.
	name string
	// framework is whose a foreign one is.
	framework string
}

// identify reads the labels of a flavour. Labels of any entry of the stack decide
// who may use it, but only on the last one ours mean anything.
func identify(f *resources.Flavour, frameworkID string) identity {
	last := f.Reserved()
	if last == nil {
		return identity{}
	}
	below := slices.ContainsFunc(f.Reservations[:len(f.Reservations)-1], func(r resources.Reservation) bool { return len(r.Labels) > 0 })
	switch {
	case len(last.Labels) == 0 && !below:
		return identity{}
	case !slices.ContainsFunc(last.Labels, func(l resources.Label) bool { return strings.HasPrefix(l.Key, prefix) }):
		return identity{kind: others}
	}
	values, complete := valuesOf(last.Labels)
	id := identity{framework: values[LabelFrameworkID], owner: Owner{
		Namespace: values[LabelNamespace], Pod: values[LabelPod],
		StatefulSet: values[LabelStatefulSet], StatefulSetUID: types.UID(values[LabelStatefulSetUID]),
	}}
	switch {
	case id.framework != "" && id.framework != frameworkID:
		id.kind, id.name = foreign, "foreign "+f.String()
	case !complete || below || !last.Dynamic:
		id.kind, id.name = unreadable, "unreadable "+f.String()
	default:
		id.kind, id.name = ours, id.owner.Key()
	}
	return id
}

// valuesOf returns the labels by key. They are complete if they are those that
// Flavour makes: each of them once, no others, and none of them empty.
func valuesOf(labels []resources.Label) (values map[string]string, complete bool) {
	values, complete = make(map[string]string, len(labels)), len(labels) == 5
	for _, l := range labels {
		switch l.Key {
		case LabelFrameworkID, LabelNamespace, LabelPod, LabelStatefulSet, LabelStatefulSetUID:
			complete = complete && values[l.Key] == "" && l.Value != "" && !strings.Contains(l.Value, "/")
			values[l.Key] = l.Value
		default:
			complete = false
		}
	}
	return values, complete
}
