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
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
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
	// leave ends a pod whose machine goes down for maintenance.
	leave
	// empty ends a pod whose agent is being drained.
	empty
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
	case leave:
		return m.leave(ctx, d)
	case empty:
		return m.empty(ctx, d)
	}
	return m.evict(ctx, d)
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
