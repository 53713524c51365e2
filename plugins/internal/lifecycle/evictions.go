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
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// lost starts the end of a pod whose task Mesos ended. The mutex is held.
func (m *Manager) lost(e claims.Evict) {
	if m.drained(&e) {
		return
	}
	metrics.Evictions.WithLabelValues(string(e.Status.State)).Inc()
	metrics.ClaimsLost.WithLabelValues(string(e.Meaning), string(claims.OnLostEvict)).Inc()
	m.logger.Info("Mesos ended the task of a running pod; evicting the pod", "pod", e.Pod.Namespace+"/"+e.Pod.Name, "node", e.Node,
		"task", e.TaskID, "state", e.Status.State, "reason", e.Status.Reason, "message", e.Status.Message)
	kind := evict
	p := m.pods[e.Pod.UID]
	switch {
	case p == nil:
	case e.Revoked && p.plan.Want.Revocable != offers.RevocableNever:
		kind = revoke
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventRevoked, actionEvict, "%s", note(
			"Mesos took the revocable resources back that the pod was using: "+e.Status.Message))
	default:
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventTaskLost, actionEvict, "%s", note(lostNote(e.Status)))
	}
	if kind == evict {
		m.counted(e.TaskID, time.Now())
	}
	m.blame(e.AgentID, e.Status)
	m.duties.Add(duty{
		kind: kind, namespace: e.Pod.Namespace, name: e.Pod.Name, uid: e.Pod.UID, taskID: e.TaskID, since: time.Now().Unix(),
	})
}

// evict ends a pod whose task Mesos ended, unless its claim is held again meanwhile.
func (m *Manager) evict(ctx context.Context, d duty) error {
	pod, err := m.lostPod(ctx, d, m.mayEvict)
	if pod == nil || err != nil {
		return err
	}
	return m.evictPod(ctx, pod, disruption{
		reason: ReasonClaimLost, message: m.lastWords(d.taskID), deadline: time.Unix(d.since, 0).Add(m.cfg.PDBDeadline),
	})
}

// lastWords is what Mesos said of a task that it ended.
func (m *Manager) lastWords(taskID string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.ledger.ByTask(taskID); c != nil {
		return lostNote(c.Status)
	}
	return "Mesos ended the task that held the pod's resources"
}

func lostNote(s claims.TaskStatus) string {
	return fmt.Sprintf("Mesos ended the task that held the pod's resources (%s, %s): %s", s.State, s.Reason, s.Message)
}

// lostPod returns the pod that has to go because its task is lost, as the API server
// knows it; nil if there is nothing to do any more.
func (m *Manager) lostPod(ctx context.Context, d duty, may func(taskID string) bool) (*v1.Pod, error) {
	if !m.stillLost(d.taskID) {
		return nil, m.spare(ctx, d.namespace, d.name, d.uid)
	}
	pod, err := m.client.CoreV1().Pods(d.namespace).Get(ctx, d.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && string(pod.UID) != d.uid:
		// The informer told of the pod's end before it told, late, of its binding.
		m.forgetPod(d.uid)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read the pod that has to go: %w", err)
	case pod.DeletionTimestamp != nil:
		return nil, nil
	case !may(d.taskID):
		return nil, errManyEvictions
	}
	return pod, nil
}

func (m *Manager) stillLost(taskID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.ledger.ByTask(taskID)
	lost := c != nil && c.Goes() || m.revoked[taskID] != ""
	if !lost {
		delete(m.evicting, taskID)
		m.breaker.Back(taskID, time.Now())
	}
	return lost
}

// errManyEvictions delays an eviction: news from Mesos never empties the cluster
// at once, because it may turn out to be wrong.
var errManyEvictions = errors.New("too many pods were evicted just now, waiting")
