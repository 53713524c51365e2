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

package quota

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// ResourceQuotaName is the name of the ResourceQuota that follows the quota in
// Mesos. It is ours only with the label ManagedByLabel=Manager; one without is never
// touched.
//
// Its hard limits are, for requests.cpu, requests.memory,
// requests.ephemeral-storage and requests of extended resources: what the
// namespace's own claims hold, and what the quota of its role leaves to everybody in
// the role's tree. The API server charges all pods of the namespace to it: those
// that still wait, those on reserved or revocable resources (which is why all claims
// count) and those of other schedulers too. If the namespace has roles of several
// trees, what they leave is added up, and only what all of them limit is limited.
const ResourceQuotaName = "kube-mesos"

// ManagedByLabel and its value Manager mark objects that are ours.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	Manager        = "kube-mesos"
)

// fieldManager is whom the API server notes as the writer.
const fieldManager = "kube-mesos-scheduler"

// ReasonNotOurs is the reason of the event on a namespace whose ResourceQuota of our
// name is not ours.
const ReasonNotOurs = "ResourceQuotaNotOurs"

// syncNamespace brings the annotation and the ResourceQuota of one namespace up to
// date.
func (c *Controller) syncNamespace(ctx context.Context, name string) error {
	ns, err := c.namespaces.Get(name)
	if apierrors.IsNotFound(err) {
		c.tell(aboutSpace+name, nil, "", "", "")
		return nil
	}
	if err != nil {
		return err
	}
	if ns.DeletionTimestamp != nil {
		return nil
	}
	roles := c.from.Roles.Of(name)
	if err := c.annotate(ctx, ns, roles); err != nil {
		return err
	}
	return c.mirror(ctx, ns, roles)
}

// Subjects of tell are namespaces, ResourceQuotas and the two things that may be
// wrong with these.
const (
	aboutSpace = "namespace/"
	aboutHard  = "hard/"
	aboutPush  = "push/"
)

// annotate keeps StatusAnnotation.
func (c *Controller) annotate(ctx context.Context, ns *v1.Namespace, roles []string) error {
	want := ""
	if c.options.Status {
		want = c.from.Book.Status(roles, &c.options.Names)
	}
	if now, there := ns.Annotations[StatusAnnotation]; now == want && there == (want != "") {
		return nil
	}
	var value any
	if want != "" {
		value = want
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{StatusAnnotation: value}}})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Namespaces().Patch(ctx, ns.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("patching namespace %s: %w", ns.Name, err)
	}
	return nil
}

// mirror keeps the ResourceQuota.
func (c *Controller) mirror(ctx context.Context, ns *v1.Namespace, roles []string) error {
	if c.quotas == nil {
		return nil
	}
	var want v1.ResourceList
	if c.options.ResourceQuota {
		want = hard(roles, c.from.Claims.OfNamespace(ns.Name), c.from.Book, c.from.Ours, &c.options.Names)
	}
	is, err := c.quotas.ResourceQuotas(ns.Name).Get(ResourceQuotaName)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	there, foreign := err == nil, ""
	if there && want != nil && is.Labels[ManagedByLabel] != Manager {
		foreign = fmt.Sprintf("The ResourceQuota %s does not follow the quota in Mesos, because it has no label %s=%s: rename or delete it", ResourceQuotaName, ManagedByLabel, Manager)
	}
	c.tell(aboutSpace+ns.Name, ns, v1.EventTypeWarning, ReasonNotOurs, foreign)
	switch {
	case !there && want != nil:
		err = c.createResourceQuota(ctx, ns.Name, want)
	case there && is.Labels[ManagedByLabel] == Manager && is.DeletionTimestamp == nil: // its end is an event
		err = c.changeResourceQuota(ctx, is, want)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("keeping the ResourceQuota %s/%s: %w", ns.Name, ResourceQuotaName, err)
	}
	return nil
}

func (c *Controller) createResourceQuota(ctx context.Context, namespace string, want v1.ResourceList) error {
	q := &v1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ResourceQuotaName, Labels: map[string]string{ManagedByLabel: Manager}},
		Spec:       v1.ResourceQuotaSpec{Hard: want},
	}
	_, err := c.client.CoreV1().ResourceQuotas(namespace).Create(ctx, q, metav1.CreateOptions{FieldManager: fieldManager})
	if apierrors.HasStatusCause(err, v1.NamespaceTerminatingCause) {
		return nil
	}
	return err
}

// changeResourceQuota makes a ResourceQuota of ours what it is to be, or deletes it.
func (c *Controller) changeResourceQuota(ctx context.Context, is *v1.ResourceQuota, want v1.ResourceList) error {
	api := c.client.CoreV1().ResourceQuotas(is.Namespace)
	spec := v1.ResourceQuotaSpec{Hard: want}
	switch {
	case want == nil:
		err := api.Delete(ctx, is.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &is.UID, ResourceVersion: &is.ResourceVersion}})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	case apiequality.Semantic.DeepEqual(is.Spec, spec):
		return nil
	}
	next := is.DeepCopy()
	next.Spec = spec
	_, err := api.Update(ctx, next, metav1.UpdateOptions{FieldManager: fieldManager})
	return err
}

// hard returns the limits of the ResourceQuota of a namespace whose claims hold
// something, nil if there is none to be.
func hard(roles []string, claimed resources.Bundle, book *Book, ours *Usage, names *Names) v1.ResourceList {
	var left Limits
	seen := map[string]bool{}
	for _, role := range roles {
		if seen[Top(role)] {
			continue
		}
		more := book.Left(role, ours)
		if len(seen) == 0 {
			left = more
		} else {
			left = sumOfShared(left, more)
		}
		seen[Top(role)] = true
	}
	var list v1.ResourceList
	for name, milli := range left {
		known, ok := names.kubernetes(name)
		if !ok {
			continue
		}
		if list == nil {
			list = v1.ResourceList{}
		}
		milli += amountOf(&claimed, name)
		if !inBytes(name) && known != v1.ResourceCPU {
			milli -= milli % 1000 // extended resources are whole
		}
		list[v1.DefaultResourceRequestsPrefix+known] = quantityOf(name, milli, false)
	}
	return list
}

// sumOfShared adds up what both limit.
func sumOfShared(a, b Limits) Limits {
	sum := Limits{}
	for name, milli := range a {
		if other, ok := b[name]; ok {
			sum[name] = milli + other
		}
	}
	return sum
}
