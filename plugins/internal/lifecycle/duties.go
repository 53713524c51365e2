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

	"golang.org/x/time/rate"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

var nodeType = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}

// nodeMeta names a node to the event recorder. Node events carry the name as UID,
// as the kubelet's own do.
func nodeMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, UID: types.UID(name)}
}

type dutyKind int

const (
	// evict ends a pod that lost its claim.
	evict dutyKind = iota
	// revoke ends a pod whose revocable resources were taken back.
	revoke
	// examine looks up the pod of a task that no claim explains.
	examine
	// inscribe writes down which tasks hold a pod's resources.
	inscribe
)

// duty is work that talks to the API server and is repeated until it is done.
type duty struct {
	kind            dutyKind
	namespace, name string
	uid             string
	taskID, agentID string
	// since is when the duty arose, in Unix seconds.
	since int64
}

func (m *Manager) runDuties(ctx context.Context) {
	for {
		d, shutdown := m.duties.Get()
		if shutdown {
			return
		}
		err := m.do(ctx, d)
		if err != nil && ctx.Err() == nil {
			m.logger.V(2).Info("Will try again", "pod", d.namespace+"/"+d.name, "task", d.taskID, "err", err)
			m.duties.AddRateLimited(d)
		} else {
			m.duties.Forget(d)
		}
		m.duties.Done(d)
	}
}

func (m *Manager) do(ctx context.Context, d duty) error {
	switch d.kind {
	case examine:
		return m.examine(ctx, d)
	case revoke:
		return m.revoke(ctx, d)
	case inscribe:
		return m.inscribe(ctx, d)
	}
	return m.evict(ctx, d)
}

// lost starts the end of a pod whose task Mesos ended. The mutex is held.
func (m *Manager) lost(e claims.Evict) {
	metrics.Evictions.WithLabelValues(string(e.Status.State)).Inc()
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
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventTaskLost, actionEvict, "%s", note(fmt.Sprintf(
			"Mesos ended the task that held the pod's resources (%s, %s): %s", e.Status.State, e.Status.Reason, e.Status.Message)))
	}
	// The placeholder never ends by itself: an agent on which it does is broken.
	if e.Status.OfAgent() && (e.Status.State == claims.TaskFailed || e.Status.State == claims.TaskFinished || e.Status.State == claims.TaskDropped) {
		m.penalize(e.AgentID)
	}
	m.duties.Add(duty{
		kind: kind, namespace: e.Pod.Namespace, name: e.Pod.Name, uid: e.Pod.UID, taskID: e.TaskID, since: time.Now().Unix(),
	})
}

// evict asks for the pod's eviction until it is gone or on its way out, or its
// claim is held again. A PodDisruptionBudget may refuse until the deadline; then
// the pod is deleted, because it runs on resources that are not its own.
func (m *Manager) evict(ctx context.Context, d duty) error {
	pod, err := m.lostPod(ctx, d, m.breaker)
	if pod == nil || err != nil {
		return err
	}
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	err = m.client.PolicyV1().Evictions(d.namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: d.name}, DeleteOptions: &options,
	})
	if err != nil && !apierrors.IsNotFound(err) && time.Since(time.Unix(d.since, 0)) >= m.cfg.PDBDeadline {
		// Not only 429: of a pod with several budgets the API server says 500.
		err = m.client.CoreV1().Pods(d.namespace).Delete(ctx, d.name, options)
	}
	// A conflict may be another pod of that name, which the next try will see, or
	// one that passes.
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot evict the pod: %w", err)
	}
	return nil
}

// lostPod returns the pod that has to go because its task is lost, as the API server
// knows it; nil if there is nothing to do any more.
func (m *Manager) lostPod(ctx context.Context, d duty, breaker *rate.Limiter) (*v1.Pod, error) {
	if !m.stillLost(d.taskID) {
		return nil, nil
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
	case !m.mayEvict(d.taskID, breaker):
		return nil, errManyEvictions
	}
	return pod, nil
}

func (m *Manager) stillLost(taskID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.ledger.ByTask(taskID)
	lost := c != nil && c.Phase == claims.Lost || m.revoked[taskID] != ""
	if !lost {
		delete(m.evicting, taskID)
	}
	return lost
}

// errManyEvictions delays an eviction: news from Mesos never empties the cluster
// at once, because it may turn out to be wrong.
var errManyEvictions = errors.New("too many pods were evicted just now, waiting")

// mayEvict tells whether the breaker lets the pod of this task go, and goes on
// saying so.
func (m *Manager) mayEvict(taskID string, breaker *rate.Limiter) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.evicting[taskID] && breaker.Allow() {
		m.evicting[taskID] = true
	}
	return m.evicting[taskID]
}

// examine asks the API server, not a cache, whether the task's pod is bound by
// it, or names it among its further tasks. If so the task is adopted, if not it is
// killed.
func (m *Manager) examine(ctx context.Context, d duty) error {
	pod, err := m.findPod(ctx, d.uid, d.agentID)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if pod != nil && names(pod, d.taskID) && pod.Status.Phase != v1.PodSucceeded && pod.Status.Phase != v1.PodFailed {
		m.logger.Info("Adopting a Mesos task", "task", d.taskID, "pod", pod.Namespace+"/"+pod.Name)
		m.noteBound(&podInfo{pod: pod, plan: m.plan(pod)}, now)
	} else {
		m.logger.Info("Killing a Mesos task that no pod is bound by", "task", d.taskID)
		m.ledger.Disown(d.taskID, now)
	}
	m.carryOut()
	return nil
}

// findPod looks a pod up by UID, in the API server. The API has no index by UID:
// a pod that the informer knows is read by its name; any other is searched among
// the pods of the agent's node, or of the whole cluster if the node is not known.
func (m *Manager) findPod(ctx context.Context, uid, agentID string) (*v1.Pod, error) {
	m.mu.Lock()
	known, node := m.pods[uid], m.nodes.NodeOf(agentID)
	m.mu.Unlock()
	if known != nil {
		pod, err := m.client.CoreV1().Pods(known.pod.Namespace).Get(ctx, known.pod.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || (err == nil && string(pod.UID) != uid) {
			return nil, nil
		}
		return pod, err
	}
	options := metav1.ListOptions{Limit: 500}
	if node != "" {
		options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", node).String()
	}
	for {
		list, err := m.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("cannot search the pod of task: %w", err)
		}
		for i := range list.Items {
			if string(list.Items[i].UID) == uid {
				return &list.Items[i], nil
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil, nil
		}
	}
}
