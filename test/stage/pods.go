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

package stage

import (
	"fmt"
	"maps"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var (
	podsResource = v1.SchemeGroupVersion.WithResource("pods")
	pdbsResource = policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets")
)

// fieldsOf are the fields that objects are selected by.
func fieldsOf(o object) fields.Set {
	set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	if pod, ok := o.(*v1.Pod); ok {
		set["spec.nodeName"] = pod.Spec.NodeName
		set["spec.schedulerName"] = pod.Spec.SchedulerName
		set["status.phase"] = string(pod.Status.Phase)
	}
	return set
}

// postTo carries out what is posted to a subresource. The lock is held.
func (a *API) postTo(t *table, q *request, body runtime.Object) (runtime.Object, error) {
	o, err := t.get(q.namespace, q.name)
	if err != nil {
		return nil, err
	}
	pod, ok := o.(*v1.Pod)
	switch body := body.(type) {
	case *v1.Binding:
		if ok && q.subresource == "binding" {
			return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}, a.bind(t, pod, body)
		}
	case *policyv1.Eviction:
		if ok && q.subresource == "eviction" {
			return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}, a.evict(t, pod, body)
		}
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("a %T cannot be posted to %s/%s", body, t.gvr.Resource, q.subresource))
}

// bind carries out a binding as the API server does (pkg/registry/core/pod/storage,
// BindingREST).
func (a *API) bind(t *table, was *v1.Pod, binding *v1.Binding) error {
	refuse := func(why string) error {
		return apierrors.NewConflict(t.gvr.GroupResource(), was.Name, fmt.Errorf("%s", why))
	}
	switch {
	case binding.UID != "" && binding.UID != was.UID:
		return refuse(fmt.Sprintf("Precondition failed: UID in precondition: %s, UID in object meta: %s", binding.UID, was.UID))
	case was.DeletionTimestamp != nil:
		return refuse(fmt.Sprintf("pod %s is being deleted, cannot be assigned to a host", was.Name))
	case was.Spec.NodeName != "":
		return refuse(fmt.Sprintf("pod %s is already assigned to node %q", was.Name, was.Spec.NodeName))
	}
	pod := was.DeepCopy()
	pod.Spec.NodeName = binding.Target.Name
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	maps.Copy(pod.Annotations, binding.Annotations)
	setCondition(pod, v1.PodCondition{Type: v1.PodScheduled, Status: v1.ConditionTrue})
	a.commit(t, was, pod)
	if a.OnBound != nil {
		a.OnBound(pod)
	}
	return nil
}

// setCondition writes a condition of a pod's status.
func setCondition(pod *v1.Pod, c v1.PodCondition) {
	c.LastTransitionTime = metav1.Now()
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == c.Type {
			pod.Status.Conditions[i] = c
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, c)
}

// evict carries out an eviction as the API server does (EvictionREST): a pod that no
// budget protects, or that does not run, goes.
func (a *API) evict(t *table, pod *v1.Pod, e *policyv1.Eviction) error {
	options := e.DeleteOptions
	if options == nil {
		options = &metav1.DeleteOptions{}
	}
	done := pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed || pod.Status.Phase == v1.PodPending
	if err := precondition(t, pod, options); err != nil {
		return err
	}
	if !done && pod.DeletionTimestamp == nil {
		budgets, allowed, err := a.budgets(pod)
		switch {
		case err != nil:
			return err
		case budgets > 1:
			return apierrors.NewInternalError(fmt.Errorf("this pod has more than one PodDisruptionBudget, which the eviction subresource does not support"))
		case budgets == 1 && allowed <= 0:
			err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
			err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause}}
			return err
		}
	}
	if pod.DeletionTimestamp == nil {
		marked := pod.DeepCopy()
		setCondition(marked, v1.PodCondition{
			Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
		})
		a.commit(t, pod, marked)
		pod = marked
	}
	_, err := a.remove(t, pod, options)
	return err
}

// budgets tells how many budgets protect a pod, and how many of their pods may be
// evicted now, as the disruption controller says.
func (a *API) budgets(pod *v1.Pod) (count, allowed int, err error) {
	t, err := a.table(pdbsResource)
	if err != nil {
		return 0, 0, err
	}
	for _, o := range t.objects {
		b, ok := o.(*policyv1.PodDisruptionBudget)
		if !ok || b.Namespace != pod.Namespace {
			continue
		}
		s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			return 0, 0, err
		}
		if !s.Matches(labels.Set(pod.Labels)) {
			continue
		}
		count++
		if allowed, err = a.allowed(b, s); err != nil {
			return 0, 0, err
		}
	}
	return count, allowed, nil
}

func (a *API) allowed(b *policyv1.PodDisruptionBudget, s labels.Selector) (int, error) {
	expected, healthy := 0, 0
	for _, o := range a.tables[podsResource].objects {
		pod, ok := o.(*v1.Pod)
		if !ok || pod.Namespace != b.Namespace || !s.Matches(labels.Set(pod.Labels)) || pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
			continue
		}
		expected++
		if pod.Status.Phase == v1.PodRunning && pod.DeletionTimestamp == nil {
			healthy++
		}
	}
	if b.Spec.MaxUnavailable != nil {
		n, err := intstr.GetScaledValueFromIntOrPercent(b.Spec.MaxUnavailable, expected, true)
		return healthy - (expected - n), err
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(b.Spec.MinAvailable, expected, true)
	return healthy - n, err
}

// delete carries out a DELETE.
func (a *API) delete(t *table, q *request) (runtime.Object, error) {
	o, err := t.get(q.namespace, q.name)
	if err != nil {
		return nil, err
	}
	options := &metav1.DeleteOptions{}
	if q.http.Body != nil {
		body, err := decode(q.http.Body)
		if err != nil {
			return nil, err
		}
		if given, ok := body.(*metav1.DeleteOptions); ok {
			options = given
		}
	}
	return a.remove(t, o, options)
}

func precondition(t *table, o object, options *metav1.DeleteOptions) error {
	p := options.Preconditions
	if p == nil || (p.UID == nil || *p.UID == o.GetUID()) && (p.ResourceVersion == nil || *p.ResourceVersion == o.GetResourceVersion()) {
		return nil
	}
	return apierrors.NewConflict(t.gvr.GroupResource(), o.GetName(), fmt.Errorf("Precondition failed: the object is %s in version %s", o.GetUID(), o.GetResourceVersion()))
}

// remove deletes an object: a pod on a node in good order, which its kubelet sees to,
// all else at once unless a finalizer keeps it.
func (a *API) remove(t *table, o object, options *metav1.DeleteOptions) (object, error) {
	if err := precondition(t, o, options); err != nil {
		return nil, err
	}
	grace := int64(0)
	if pod, ok := o.(*v1.Pod); ok {
		grace = graceOf(pod, options)
	}
	if grace == 0 && len(o.GetFinalizers()) == 0 {
		a.commit(t, o, nil)
		return o, nil
	}
	at := metav1.NewTime(time.Now().Add(time.Duration(grace) * time.Second))
	if since := o.GetDeletionTimestamp(); since != nil && !at.Before(since) {
		return o, nil
	}
	going := o.DeepCopyObject().(object)
	going.SetDeletionTimestamp(&at)
	going.SetDeletionGracePeriodSeconds(&grace)
	a.commit(t, o, going)
	return going, nil
}

// graceOf is how long a pod's deletion may take (CheckGracefulDelete).
func graceOf(pod *v1.Pod, options *metav1.DeleteOptions) int64 {
	switch {
	case pod.Spec.NodeName == "", pod.Status.Phase == v1.PodSucceeded, pod.Status.Phase == v1.PodFailed:
		return 0
	case options.GracePeriodSeconds != nil:
		return *options.GracePeriodSeconds
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		return *pod.Spec.TerminationGracePeriodSeconds
	}
	return v1.DefaultTerminationGracePeriodSeconds
}
