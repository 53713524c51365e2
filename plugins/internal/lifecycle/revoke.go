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
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// revoke ends a pod whose revocable resources were taken back: at once, as its user
// agreed to, without asking budgets. The condition tells controllers that it was not
// the pod's fault.
func (m *Manager) revoke(ctx context.Context, d duty) error {
	pod, err := m.lostPod(ctx, d, m.mayRevoke)
	if pod == nil || err != nil {
		return err
	}
	if err := m.markDisrupted(ctx, pod, ReasonRevoked, "Mesos took the revocable resources back that the pod was using"); err != nil {
		return err
	}
	err = m.client.CoreV1().Pods(d.namespace).Delete(ctx, d.name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete the pod whose resources were revoked: %w", err)
	}
	return nil
}
