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
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Reasons of events on ResourceQuotas that are to be pushed.
const (
	ReasonPushed   = "MesosQuotaPushed"
	ReasonRefused  = "MesosQuotaRefused"
	ReasonOperator = "MesosQuotaNotOurs"
	ReasonUnusable = "MesosQuotaNotPushed"
)

// planAll is the item of the push queue that finds the roles to look at. It is no
// legal role.
const planAll = ""

const (
	// pushTimeout bounds one call to the master.
	pushTimeout = 30 * time.Second
	// firstRetry doubles up to lastRetry while the master refuses the same limits.
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
)

// try is the last attempt at the quota of a role.
type try struct {
	at time.Time
	// want was asked for. wait is how long it is not asked for again, 0 after success.
	want Limits
	wait time.Duration
	// set is what we set last. It outlives namespaces.
	set Limits
}

// situation is all that is to be pushed, and remembered as pushed.
type situation struct {
	demands map[string]*demand
	// records are those of each role, by namespace.
	records map[string]map[string]record
}

// syncPush brings the quota of one role up to date, or finds all that may need it.
func (c *Controller) syncPush(ctx context.Context, role string) error {
	now, err := c.situation()
	if err != nil {
		return err
	}
	if role != planAll {
		return c.pushRole(ctx, role, now.demands[role], now.records[role])
	}
	roles := map[string]bool{}
	for role := range now.demands {
		roles[role] = true
	}
	for role := range now.records {
		roles[role] = true
	}
	for role := range c.tries {
		roles[role] = true
	}
	for role := range roles {
		c.pushes.Add(role)
	}
	return nil
}

// situation looks through namespaces and ResourceQuotas.
func (c *Controller) situation() (*situation, error) {
	s := &situation{demands: map[string]*demand{}, records: map[string]map[string]record{}}
	namespaces, err := c.namespaces.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	for _, ns := range namespaces {
		for role, r := range recordsOf(ns) {
			if role == planAll || Top(role) != role {
				continue // we wrote no such thing
			}
			if s.records[role] == nil {
				s.records[role] = map[string]record{}
			}
			s.records[role][ns.Name] = r
		}
	}
	quotas, err := c.quotas.List(labels.SelectorFromSet(labels.Set{PushLabel: "true"}))
	if err != nil {
		return nil, err
	}
	for _, q := range quotas {
		if q.Labels[ManagedByLabel] == Manager || q.DeletionTimestamp != nil {
			continue
		}
		role := ""
		if roles := c.from.Roles.Of(q.Namespace); len(roles) > 0 {
			role = Top(roles[0])
		}
		limits := c.options.Names.limitsOf(q)
		why := unusable(q, limits, role)
		c.tell(aboutHard+q.Namespace+"/"+q.Name, q, v1.EventTypeWarning, ReasonUnusable, why)
		if why != "" {
			continue
		}
		if s.demands[role] == nil {
			s.demands[role] = &demand{}
		}
		s.demands[role].add(q, limits)
	}
	return s, nil
}

// pushRole does the next step about the quota of a role; d is nil if no
// ResourceQuota asks for one.
func (c *Controller) pushRole(ctx context.Context, role string, d *demand, records map[string]record) error {
	if d == nil {
		d = &demand{}
	}
	last, want := c.tries[role], d.limits()
	now := time.Now()
	if !c.from.Book.ReadAt().After(last.at) {
		// The reading may be from before the last attempt. The next one is a reason to
		// look again.
		return nil
	}
	if left := last.at.Add(last.wait).Sub(now); left > 0 && maps.Equal(last.want, want) {
		c.pushes.AddAfter(role, left)
		return nil
	}
	var ours []Limits
	for _, r := range records {
		ours = append(ours, fromMesosUnits(r.Limits))
		if len(r.Before) > 0 {
			ours = append(ours, fromMesosUnits(r.Before))
		}
	}
	if len(last.set) > 0 {
		ours = append(ours, last.set)
	}
	is := c.from.Book.quotaOf(role)
	switch is.next(want, ours) {
	case set:
		return c.set(ctx, role, is, d, records)
	case confirm:
		c.tries[role] = try{set: want}
		return c.remember(ctx, role, newRecord(want, nil), d, records)
	case forget:
		delete(c.tries, role)
		return c.remember(ctx, role, record{}, &demand{}, records)
	case refuse:
		c.tellAll(role, d, v1.EventTypeWarning, ReasonOperator, is.foreign(role, want))
	case keep:
		if len(want) == 0 {
			delete(c.tries, role)
		}
		c.tellAll(role, d, "", "", "")
	}
	return nil
}

// set sets the quota of a role in Mesos. What is about to be set is remembered
// before: should we end meanwhile, it is known as ours.
func (c *Controller) set(ctx context.Context, role string, is present, d *demand, records map[string]record) error {
	want, last := d.limits(), c.tries[role]
	if len(want) > 0 {
		if err := c.remember(ctx, role, newRecord(want, is.limits), d, records); err != nil {
			return err
		}
	}
	call, cancel := context.WithTimeout(ctx, pushTimeout)
	err := c.from.Pusher.UpdateQuota(call, role, want, false)
	cancel()
	if err != nil {
		wait := firstRetry
		if maps.Equal(last.want, want) && last.wait > 0 {
			wait = min(2*last.wait, lastRetry)
		}
		c.tries[role] = try{at: time.Now(), want: want, wait: wait, set: last.set}
		c.tellAll(role, d, v1.EventTypeWarning, ReasonRefused, fmt.Sprintf("Mesos quota of role %s not set to %s: %v", role, want, err))
		c.logger.Error(err, "Cannot set a quota in Mesos; will try again", "role", role, "limits", want.String(), "after", wait)
		c.pushes.AddAfter(role, wait)
		return nil
	}
	c.logger.Info("Set a quota in Mesos", "role", role, "limits", want.String(), "before", is.limits.String())
	c.tries[role] = try{at: time.Now(), set: want}
	if len(want) == 0 {
		return c.remember(ctx, role, record{}, d, records)
	}
	c.tellAll(role, d, v1.EventTypeNormal, ReasonPushed, fmt.Sprintf("Mesos quota of role %s set to %s", role, want))
	return nil
}

// tellAll tells on all ResourceQuotas of a role.
func (c *Controller) tellAll(role string, d *demand, kind, reason, text string) {
	for _, q := range d.quotas {
		c.tell(aboutPush+role+"/"+q.Namespace+"/"+q.Name, q, kind, reason, text)
	}
}

// remember makes each namespace of a demand hold a record, and others that have one
// of the role none.
func (c *Controller) remember(ctx context.Context, role string, r record, d *demand, records map[string]record) error {
	var failed []error
	for _, ns := range slices.Sorted(maps.Keys(d.shares)) {
		if now, ok := records[ns]; !ok || !now.equal(r) {
			failed = append(failed, c.note(ctx, ns, role, &r))
		}
	}
	for _, ns := range slices.Sorted(maps.Keys(records)) {
		if _, ok := d.shares[ns]; !ok {
			failed = append(failed, c.note(ctx, ns, role, nil))
		}
	}
	return errors.Join(failed...)
}

// note writes the record of a role on a namespace, or removes it.
func (c *Controller) note(ctx context.Context, name, role string, r *record) error {
	api := c.client.CoreV1().Namespaces()
	ns, err := api.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading namespace %s: %w", name, err)
	}
	records := recordsOf(ns)
	if records == nil {
		records = map[string]record{}
	}
	switch now, ok := records[role]; {
	case r == nil && !ok, r != nil && ok && now.equal(*r):
		return nil
	case r == nil:
		delete(records, role)
	default:
		records[role] = *r
	}
	var value any
	if len(records) > 0 {
		text, err := json.Marshal(records)
		if err != nil {
			return err
		}
		value = string(text)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": ns.ResourceVersion, "annotations": map[string]any{PushedAnnotation: value},
	}})
	if err != nil {
		return err
	}
	_, err = api.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("noting on namespace %s what was pushed for role %s: %w", name, role, err)
	}
	return nil
}
