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

package lifecycle

import (
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// PodRules say what pods ask of Mesos beside their requests.
type PodRules struct {
	// Table names what can be claimed.
	Table *resources.Table
	// Defaults are claimed where a pod requests nothing.
	Defaults v1.ResourceList
	// Order is for pods without AnnotationOrder.
	Order offers.Order
	// Sticky lets pods of StatefulSets have reservations of their own.
	Sticky bool
	// Revocable tells that Mesos is asked for revocable resources; PriorityClasses
	// says which pods may use them, for those without AnnotationRevocable.
	Revocable       bool
	PriorityClasses map[string]offers.Revocable
}

// Values of pod annotations.
const (
	OrderReservedFirst   = "ReservedFirst"
	OrderUnreservedFirst = "UnreservedFirst"
	OrderReservedOnly    = "ReservedOnly"
	RevocableNever       = "Never"
	RevocableAllowed     = "Allowed"
	RevocableRequired    = "Required"
)

// Orders and Revocables are the values by name.
var (
	Orders = map[string]offers.Order{
		OrderReservedFirst: offers.ReservedFirst, OrderUnreservedFirst: offers.UnreservedFirst, OrderReservedOnly: offers.ReservedOnly,
	}
	Revocables = map[string]offers.Revocable{
		RevocableNever: offers.RevocableNever, RevocableAllowed: offers.RevocableAllowed, RevocableRequired: offers.RevocableRequired,
	}
)

// want returns what the pod asks of one agent's offers, without a reservation of
// its own. The error is for the pod's users.
func (r *PodRules) want(pod *v1.Pod) (want offers.Want, err error) {
	if want.Need, err = r.Table.ForPod(pod, r.Defaults); err != nil {
		return want, err
	}
	want.Order = r.Order
	if text, set := pod.Annotations[AnnotationOrder]; set {
		order, known := Orders[text]
		if !known {
			return want, fmt.Errorf("annotation %s is %q; it may be %s, %s or %s", AnnotationOrder, text, OrderReservedFirst, OrderUnreservedFirst, OrderReservedOnly)
		}
		want.Order = order
	}
	if r.Revocable {
		want.Revocable = r.PriorityClasses[pod.Spec.PriorityClassName]
	}
	if text, set := pod.Annotations[AnnotationRevocable]; set {
		use, known := Revocables[text]
		switch {
		case !known:
			return want, fmt.Errorf("annotation %s is %q; it may be %s, %s or %s", AnnotationRevocable, text, RevocableNever, RevocableAllowed, RevocableRequired)
		case use == offers.RevocableRequired && !r.Revocable:
			return want, fmt.Errorf("annotation %s asks for revocable resources, which this scheduler does not take (argument revocable.enabled)", AnnotationRevocable)
		case r.Revocable:
			want.Revocable = use
		}
	}
	if text, set := pod.Annotations[AnnotationOnLost]; set && OnLosts[text] == "" {
		return want, fmt.Errorf("annotation %s is %q; it may be %s, %s or %s", AnnotationOnLost, text, claims.OnLostEvict, claims.OnLostReacquire, claims.OnLostKeep)
	}
	return want, nil
}

// special tells whether the pod may use what ordinary pods may not; see demand.Ask.
func special(want *offers.Want) bool {
	return want.Revocable != offers.RevocableNever || want.Owner != "" || want.Need.Vector[resources.GPU] > 0
}

// ask is what the pod asks of its roles' offers.
func (p *podInfo) ask() demand.Ask {
	want := &p.plan.Want
	return demand.Ask{Need: want.Need.Vector, Special: special(want) || p.plan.lasts > 0, Require: p.require, Choosy: p.choosy}
}

// NeedOf returns what a pod claims, nothing of a pod that can claim nothing.
func (m *Manager) NeedOf(pod *v1.Pod) resources.Bundle {
	need, err := m.cfg.Pods.Table.ForPod(pod, m.cfg.Pods.Defaults)
	if err != nil {
		return resources.Bundle{}
	}
	return need
}

// FitsNode tells whether the pod fits the offers of a node, in one of its roles.
func (m *Manager) FitsNode(pod *v1.Pod, node string) bool {
	plan := m.plan(pod)
	if plan.Problem != "" {
		return false
	}
	slot := m.index.LookupName(node)
	return slices.ContainsFunc(plan.Roles, func(role string) bool {
		verdict, _ := m.cache.Role(role).Fits(slot, &plan.Want)
		return verdict == offers.Fitting
	})
}

// Plan is what a pod asks for, and in which roles.
type Plan struct {
	Want offers.Want
	// Roles are in the order of preference.
	Roles []string
	// Problem says why the pod cannot be placed as it is, "" if it can.
	Problem string
	// lasts is how long it runs at most on machines that leave the service, 0 if it must
	// not go there.
	lasts time.Duration
	// owner is whose reservation it wants; the zero Owner if it wants none.
	owner reservations.Owner
}

// Sticky tells whether the pod wants a reservation of its own.
func (p *Plan) Sticky() bool { return p.Want.Owner != "" }

// equal tells whether both ask for the same.
func (p *Plan) equal(other *Plan) bool {
	a, b := &p.Want, &other.Want
	return p.Problem == other.Problem && p.lasts == other.lasts && slices.Equal(p.Roles, other.Roles) && a.Need.Equal(&b.Need) &&
		a.Order == b.Order && a.Revocable == b.Revocable && a.Owner == b.Owner
}
