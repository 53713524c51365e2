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
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Reasons of the condition DisruptionTarget of pods that have to go.
const (
	// ReasonRevoked: their revocable resources were taken back.
	ReasonRevoked = "Revoked"
	// ReasonClaimLost: Mesos ended the task that held their resources.
	ReasonClaimLost = "MesosClaimLost"
	// ReasonClaimHeld: they need not go after all.
	ReasonClaimHeld = "MesosClaimHeld"
)

// disruption is why and how a pod has to go.
type disruption struct {
	// reason and message are for the condition DisruptionTarget.
	reason, message string
	// deadline is until when PodDisruptionBudgets may refuse.
	deadline time.Time
	// grace is how long the pod's containers may take to end, in seconds, if that is
	// less than the pod itself says; nil for no such bound.
	grace *int64
}

// evictPod marks a pod and asks for its eviction. A PodDisruptionBudget may refuse
// until the deadline, which is an error; from then on the pod is deleted. A pod that is
// gone or on its way out is none.
func (m *Manager) evictPod(ctx context.Context, pod *v1.Pod, d disruption) error {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	if err := m.markDisrupted(ctx, pod, d.reason, d.message); err != nil {
		return err
	}
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}, GracePeriodSeconds: shorter(d.grace, pod)}
	err := m.askEviction(ctx, pod, &options)
	if err != nil && !apierrors.IsNotFound(err) && !time.Now().Before(d.deadline) {
		// Not only 429: of a pod with several budgets the API server says 500.
		err = m.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, options)
	}
	// A conflict may be another pod of that name, which the next try will see, or
	// one that passes.
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot evict the pod: %w", err)
	}
	return nil
}

// evictionTimeout bounds one request for an eviction. The client itself repeats those that
// a budget refuses, ten times after ten seconds each: others would wait for that.
const evictionTimeout = 3 * time.Second

func (m *Manager) askEviction(ctx context.Context, pod *v1.Pod, options *metav1.DeleteOptions) error {
	ctx, cancel := context.WithTimeout(ctx, evictionTimeout)
	defer cancel()
	return m.client.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, DeleteOptions: options,
	})
}

// shorter returns the grace period if the pod's own is longer, else nil.
func shorter(grace *int64, pod *v1.Pod) *int64 {
	own := pod.Spec.TerminationGracePeriodSeconds
	if grace == nil || own != nil && *own <= *grace {
		return nil
	}
	return grace
}

// markDisrupted writes the condition that tells controllers that a pod's end is not its
// own fault. A strategic merge adds it to the others. The eviction itself gives it a
// reason of its own, so that ours is seen on pods that a budget protects and on those
// that are deleted; the event says it in any case.
func (m *Manager) markDisrupted(ctx context.Context, pod *v1.Pod, reason, message string) error {
	if disruptedBy(pod) != "" {
		return nil
	}
	return m.setDisrupted(ctx, pod, v1.ConditionTrue, reason, message)
}

// spare takes the mark back from a pod that may stay after all.
func (m *Manager) spare(ctx context.Context, namespace, name, uid string) error {
	pod, err := m.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && (string(pod.UID) != uid || pod.DeletionTimestamp != nil):
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the pod that may stay: %w", err)
	case disruptedBy(pod) == ReasonMaintenance:
		return m.setDisrupted(ctx, pod, v1.ConditionFalse, ReasonMaintenance, "The maintenance of the pod's machine was called off")
	case disruptedBy(pod) != ReasonClaimLost:
		return nil
	}
	return m.setDisrupted(ctx, pod, v1.ConditionFalse, ReasonClaimHeld, "Mesos holds the pod's resources")
}

// disruptedBy is the reason of the pod's condition DisruptionTarget, "" if that is not
// true.
func disruptedBy(pod *v1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == v1.DisruptionTarget && c.Status == v1.ConditionTrue {
			return c.Reason
		}
	}
	return ""
}

func (m *Manager) setDisrupted(ctx context.Context, pod *v1.Pod, status v1.ConditionStatus, reason, message string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{"conditions": []v1.PodCondition{{
			Type: v1.DisruptionTarget, Status: status, Reason: reason, Message: note(message),
			LastTransitionTime: metav1.NewTime(time.Now()), ObservedGeneration: pod.Generation,
		}}},
	})
	if err != nil {
		return err
	}
	_, err = m.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot write the condition %s of the pod: %w", v1.DisruptionTarget, err)
	}
	return nil
}
