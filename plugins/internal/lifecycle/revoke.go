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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ReasonRevoked is the reason of the condition DisruptionTarget of pods whose
// revocable resources were taken back.
const ReasonRevoked = "Revoked"

// revoke ends a pod whose revocable resources were taken back: at once, as its user
// agreed to, without asking budgets. The condition tells controllers that it was not
// the pod's fault.
func (m *Manager) revoke(ctx context.Context, d duty) error {
	pod, err := m.lostPod(ctx, d, m.revocations)
	if pod == nil || err != nil {
		return err
	}
	if err := m.markRevoked(ctx, pod); err != nil {
		return err
	}
	err = m.client.CoreV1().Pods(d.namespace).Delete(ctx, d.name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete the pod whose resources were revoked: %w", err)
	}
	return nil
}

// markRevoked writes the condition. A strategic merge adds it to the others.
func (m *Manager) markRevoked(ctx context.Context, pod *v1.Pod) error {
	for _, c := range pod.Status.Conditions {
		if c.Type == v1.DisruptionTarget && c.Status == v1.ConditionTrue {
			return nil
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{"conditions": []v1.PodCondition{{
			Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: ReasonRevoked,
			Message:            "Mesos took the revocable resources back that the pod was using",
			LastTransitionTime: metav1.NewTime(time.Now()), ObservedGeneration: pod.Generation,
		}}},
	})
	if err != nil {
		return err
	}
	_, err = m.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot mark the pod whose resources were revoked: %w", err)
	}
	return nil
}
