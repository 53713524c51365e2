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
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resize"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// noteBound tells the ledger of the tasks that a pod's annotations name, if it is
// bound. A pod that somebody else bound names none: it is taken to name one that Mesos
// does not know, so that it is treated as any other that has lost its task. The mutex is
// held.
func (m *Manager) noteBound(p *podInfo, now time.Time) {
	pod := p.pod
	if pod.Spec.NodeName == "" {
		return
	}
	task, role := pod.Annotations[AnnotationTask], pod.Annotations[AnnotationRole]
	if task == "" {
		task = claims.TaskID(string(pod.UID), 0)
	}
	if role == "" && len(p.plan.Roles) > 0 {
		role = p.plan.Roles[0]
	}
	need := p.plan.Want.Need
	if text := pod.Annotations[AnnotationResources]; text != "" {
		if held, err := resources.ParseBundle(text); err == nil {
			need = held
		} else {
			m.logger.Info("A pod's annotation cannot be read; its requests are taken for what its task holds", "pod", pod.Namespace+"/"+pod.Name, "annotation", AnnotationResources, "err", err)
		}
	}
	onLost, explicit := m.onLost(p)
	m.ledger.PodBound(claims.Binding{
		Pod: podOf(pod), Node: pod.Spec.NodeName, TaskID: task, AgentID: pod.Annotations[AnnotationAgent], Role: role, Need: need,
		OnLost: onLost, Explicit: explicit,
	}, now)
	extras, err := extrasOf(pod)
	if err != nil {
		m.logger.Info("A pod's annotation cannot be read; its further tasks are given up", "pod", pod.Namespace+"/"+pod.Name, "annotation", AnnotationExtras, "err", err)
	}
	ids := slices.Sorted(maps.Keys(extras))
	for _, id := range ids {
		m.ledger.PodExtra(string(pod.UID), id, extras[id], now)
	}
	m.ledger.NamedExtras(string(pod.UID), ids, now)
}

// extrasOf returns the further tasks that a pod's annotation names, and what each
// holds.
func extrasOf(pod *v1.Pod) (map[string]resources.Bundle, error) {
	text := pod.Annotations[AnnotationExtras]
	if text == "" {
		return nil, nil
	}
	var texts map[string]string
	if err := json.Unmarshal([]byte(text), &texts); err != nil {
		return nil, fmt.Errorf("it is no JSON object of task ids and resources: %w", err)
	}
	extras := make(map[string]resources.Bundle, len(texts))
	for id, text := range texts {
		need, err := resources.ParseBundle(text)
		if err != nil {
			return nil, fmt.Errorf("what task %s holds: %w", id, err)
		}
		extras[id] = need
	}
	return extras, nil
}

// names tells whether the pod is bound and its annotations name the task.
func names(pod *v1.Pod, taskID string) bool {
	if pod.Spec.NodeName == "" {
		return false
	}
	extras, _ := extrasOf(pod)
	_, named := extras[taskID]
	return named || pod.Annotations[AnnotationTask] == taskID
}

// inscription returns the annotations of a pod with these tasks; the further ones are
// "" if there are none. The mutex is held.
func (m *Manager) inscription(uid string, plan *resize.Plan) (main, holds, extras string) {
	if c := m.ledger.ByTask(plan.Main); c != nil {
		main, holds = c.TaskID, c.Need.String()
	}
	texts := map[string]string{}
	for _, c := range m.ledger.Extras(uid) {
		// One that was named before and is looked for is not given up.
		if slices.Contains(plan.Extras, c.TaskID) || c.Bound && !alive(c) && c.Phase != claims.Releasing && c.TaskID != plan.Main {
			texts[c.TaskID] = c.Need.String()
		}
	}
	if len(texts) > 0 {
		// A map of strings always has a JSON, and one alone.
		text, _ := json.Marshal(texts)
		extras = string(text)
	}
	return main, holds, extras
}

// asInscribed tells whether the pod's annotations name the tasks of the plan. The
// mutex is held.
func (m *Manager) asInscribed(pod *v1.Pod, plan *resize.Plan) bool {
	if c := m.ledger.ByTask(plan.Main); c != nil && c.Reacquires() {
		return true // there is nothing better to name yet
	}
	main, _, extras := m.inscription(string(pod.UID), plan)
	return pod.Annotations[AnnotationTask] == main && pod.Annotations[AnnotationExtras] == extras
}

// inscribe writes down which tasks hold the pod's resources, and then lets go of those
// that hold them no more. It decides by the pod as the API server has it, and writes
// only if it is still so: no task goes that the pod needs at that moment.
func (m *Manager) inscribe(ctx context.Context, d duty) error {
	pod, err := m.client.CoreV1().Pods(d.namespace).Get(ctx, d.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && string(pod.UID) != d.uid:
		m.forgetPod(d.uid)
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the pod that was resized: %w", err)
	case pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed:
		return nil
	}
	plan, patch, gone, due := m.toInscribe(pod)
	if !due {
		return nil
	}
	if patch != nil {
		_, err = m.client.CoreV1().Pods(d.namespace).Patch(ctx, d.name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("cannot write which tasks hold the resources of the pod that was resized: %w", err)
		}
	}
	m.inscribed(d.uid, &plan, patch != nil, gone)
	return nil
}

// toInscribe returns what is to become of the pod's tasks, and the patch that says so,
// nil if the pod does already. gone tells that the task that the pod lived by ended. due
// is false if nothing is to be done.
func (m *Manager) toInscribe(pod *v1.Pod) (plan resize.Plan, patch []byte, gone, due bool) {
	p := &podInfo{pod: pod, plan: m.plan(pod)}
	m.mu.Lock()
	defer m.mu.Unlock()
	state, _, ok := m.tasksOf(p)
	if !ok {
		return plan, nil, false, false
	}
	plan = resize.Decide(state)
	if m.asInscribed(pod, &plan) {
		return plan, nil, state.Gone, len(plan.Drop) > 0 || m.unnamed(&plan)
	}
	main, holds, extras := m.inscription(string(pod.UID), &plan)
	annotations := map[string]any{AnnotationTask: main, AnnotationResources: holds, AnnotationExtras: nil}
	if c := m.ledger.ByTask(main); c != nil && c.AgentID != pod.Annotations[AnnotationAgent] {
		annotations[AnnotationAgent] = c.AgentID // the node's agent has a new id
	}
	if c := m.ledger.ByTask(main); c != nil && pod.Annotations[AnnotationRole] == "" {
		annotations[AnnotationRole] = c.Role
	}
	if pod.Annotations[AnnotationFramework] != m.subscription.FrameworkID {
		annotations[AnnotationFramework] = m.subscription.FrameworkID
	}
	if extras != "" {
		annotations[AnnotationExtras] = extras
	}
	// Of a map of strings the JSON is always made.
	patch, _ = json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": pod.UID, "resourceVersion": pod.ResourceVersion, "annotations": annotations,
	}})
	return plan, patch, state.Gone, true
}

// unnamed tells whether the ledger does not know yet that the pod names its further
// tasks.
// The mutex is held.
func (m *Manager) unnamed(plan *resize.Plan) bool {
	for _, id := range plan.Extras {
		if c := m.ledger.ByTask(id); c != nil && !c.Bound {
			return true
		}
	}
	return false
}

// inscribed notes that the pod's annotations name the tasks of the plan. Those that it
// does without are let go.
func (m *Manager) inscribed(uid string, plan *resize.Plan, written, gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	main := m.ledger.ByPod(uid)
	if main == nil || m.pods[uid] == nil {
		return
	}
	if main.TaskID != plan.Main {
		if err := m.ledger.Replace(uid, plan.Main, now); err != nil {
			m.logger.Info("Could not move a pod to the task that its binding names now", "pod", uid, "err", err)
		}
	}
	for _, id := range plan.Extras {
		if c := m.ledger.ByTask(id); c != nil {
			m.ledger.PodExtra(uid, id, c.Need, now)
		}
	}
	for _, id := range plan.Drop {
		// Of these, the one that the pod lived by went with Replace.
		m.ledger.ReleaseExtra(id, now)
	}
	held := m.ledger.HeldOf(uid)
	switch {
	case written && gone && plan.Main == m.ledger.ByPod(uid).TaskID:
		metrics.ClaimsReacquired.Inc()
		m.recorder.Eventf(m.pods[uid].pod, nil, v1.EventTypeNormal, EventReacquired, actionReacquire,
			"Mesos holds %s for the pod again, by task %s", held, plan.Main)
	case written && plan.Take.IsZero():
		m.recorder.Eventf(m.pods[uid].pod, nil, v1.EventTypeNormal, EventResized, actionResize,
			"Mesos holds %s for the pod now (tasks: %d)", held, 1+len(plan.Extras))
	}
	m.carryOut()
	m.kick()
}
