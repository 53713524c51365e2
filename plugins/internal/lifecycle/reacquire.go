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
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
)

// reacquire starts to look for another task for a running pod whose task Mesos ended.
// From then on it is a pod that needs more than it holds; see resize. The mutex is held.
func (m *Manager) reacquire(e claims.Reacquire) {
	metrics.ClaimsLost.WithLabelValues(string(e.Meaning), string(claims.OnLostReacquire)).Inc()
	m.logger.Info("Mesos ended the task of a running pod; claiming its resources again", "pod", e.Pod.Namespace+"/"+e.Pod.Name, "node", e.Node,
		"task", e.TaskID, "state", e.Status.State, "reason", e.Status.Reason, "message", e.Status.Message)
	m.blame(e.AgentID, e.Status)
	if p := m.pods[e.Pod.UID]; p != nil {
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventTaskLost, actionReacquire, "%s", note(
			"The pod runs on, and its resources are claimed again from the next offer of its node. "+lostNote(e.Status)))
	}
	m.resize(e.Pod.UID, time.Now())
}

// kept notes that a running pod stays although Mesos ended its task. The mutex is held.
func (m *Manager) kept(e claims.Kept) {
	metrics.ClaimsLost.WithLabelValues(string(e.Meaning), string(claims.OnLostKeep)).Inc()
	m.logger.Info("Mesos ended the task of a running pod, which stays as its annotation says", "pod", e.Pod.Namespace+"/"+e.Pod.Name, "node", e.Node,
		"task", e.TaskID, "state", e.Status.State, "reason", e.Status.Reason, "message", e.Status.Message)
	m.blame(e.AgentID, e.Status)
	if p := m.pods[e.Pod.UID]; p != nil {
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventTaskLost, actionKeep, "%s", note(
			"The pod stays, as "+AnnotationOnLost+" says, on resources that Mesos may give to others. "+lostNote(e.Status)))
	}
}

// OnLosts are the values of AnnotationOnLost by name.
var OnLosts = map[string]claims.OnLost{
	string(claims.OnLostEvict): claims.OnLostEvict, string(claims.OnLostReacquire): claims.OnLostReacquire, string(claims.OnLostKeep): claims.OnLostKeep,
}

// onLost returns what becomes of a pod if Mesos ends its task, and whether the pod
// itself says so. What a former framework of ours held went with it, and not for
// anything that is wrong with pod or node: such pods run on. The mutex is held.
func (m *Manager) onLost(p *podInfo) (onLost claims.OnLost, explicit bool) {
	if p == nil {
		return m.cfg.OnLost, false
	}
	if onLost, explicit = OnLosts[p.pod.Annotations[AnnotationOnLost]]; explicit {
		return onLost, true
	}
	if m.isOfFormer(p.pod) {
		return claims.OnLostReacquire, false
	}
	return m.cfg.OnLost, false
}

// isOfFormer tells whether the pod's claim is of a framework that we are not any more.
func (m *Manager) isOfFormer(pod *v1.Pod) bool {
	of, now := pod.Annotations[AnnotationFramework], m.subscription.FrameworkID
	return of != "" && now != "" && of != now
}

// renotePods tells the ledger again of the pods that are bound by claims of a former
// framework, now that it is known which one we are. The mutex is held.
func (m *Manager) renotePods(now time.Time) {
	for _, p := range m.pods {
		if m.isOfFormer(p.pod) {
			m.noteBound(p, now)
		}
	}
}

// replacedAfter is how long another agent must have had a node before tasks on the
// unreachable one that had it are given up.
const replacedAfter = 30 * time.Second

// missReplaced gives up what partitioned agents held whose place others have taken. The
// mutex is held.
func (m *Manager) missReplaced(now time.Time) {
	if !m.subscribed || !m.agentsKnown || m.ledger.Count(claims.Unreachable)+m.ledger.Count(claims.Releasing) == 0 {
		clear(m.replaced)
		return
	}
	found := map[string]time.Time{}
	for _, c := range m.ledger.Partitioned() {
		by := m.nodes.AgentOf(c.Node)
		if by == "" || by == c.AgentID {
			continue
		}
		since, known := m.replaced[c.TaskID]
		if !known {
			since = now
		}
		if now.Sub(since) >= replacedAfter {
			m.ledger.AgentReplaced(c.TaskID, by, now)
			continue
		}
		found[c.TaskID] = since
	}
	m.replaced = found
}

// blame leaves an agent alone on which a task ended by itself: the placeholder never
// does, so that such an agent is broken. The mutex is held.
func (m *Manager) blame(agentID string, s claims.TaskStatus) {
	if s.OfAgent() && (s.State == claims.TaskFailed || s.State == claims.TaskFinished || s.State == claims.TaskDropped) {
		m.penalize(agentID)
	}
}
