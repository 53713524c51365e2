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
	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
)

// ReasonMaintenance is the reason of the condition DisruptionTarget of pods whose machine
// goes down for maintenance.
const ReasonMaintenance = "MesosMaintenance"

// evictLeaving starts the end of the pods whose machine goes down soon. The mutex is
// held.
func (m *Manager) evictLeaving(now time.Time) {
	evictions := m.upkeep.book.Evictions(now)
	if len(evictions) == 0 {
		return
	}
	m.ledger.All(func(c *claims.Claim) {
		e, due := evictions[c.AgentID]
		p := m.pods[c.Pod.UID]
		if !due || !c.Bound || p == nil || m.upkeep.going[c.Pod.UID] || p.pod.DeletionTimestamp != nil || endsBefore(p.pod, &e) {
			return
		}
		m.upkeep.going[c.Pod.UID] = true
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventMaintenance, actionEvict, "%s", note(leavingNote(&e)))
		m.duties.Add(duty{
			kind: leave, namespace: c.Pod.Namespace, name: c.Pod.Name, uid: c.Pod.UID, taskID: c.TaskID, agentID: c.AgentID, since: now.Unix(),
		})
	})
}

// spareMarked takes the mark back from pods that may stay, whoever of ours wrote it: the
// window was called off while nobody watched. The mutex is held.
func (m *Manager) spareMarked(now time.Time) {
	if !m.upkeep.book.Complete() || !m.agentsKnown {
		return
	}
	for uid := range m.upkeep.marked {
		p, c := m.pods[uid], m.ledger.ByPod(uid)
		if p == nil || p.pod.DeletionTimestamp != nil || m.upkeep.going[uid] || c == nil || c.Phase != claims.Held {
			continue
		}
		_, due := m.upkeep.book.Eviction(c.AgentID, now)
		if _, _, drains := m.upkeep.book.Drain(c.AgentID, now); due || drains {
			continue
		}
		m.upkeep.going[uid] = true
		m.duties.Add(duty{kind: leave, namespace: p.pod.Namespace, name: p.pod.Name, uid: uid, taskID: c.TaskID, agentID: c.AgentID})
	}
}

// endsBefore tells whether the pod will have ended by itself when the window begins.
func endsBefore(pod *v1.Pod, e *maintenance.Eviction) bool {
	ends := maintenance.Ends(pod, time.Now())
	return !ends.IsZero() && !ends.After(e.Mark.Window.Start)
}

func leavingNote(e *maintenance.Eviction) string {
	if e.Mark.Planned() {
		return fmt.Sprintf("The Mesos agent of the pod's node is to go down for maintenance %s", e.Mark.Window)
	}
	if e.MaxGrace != nil {
		return fmt.Sprintf("The Mesos agent of the pod's node is being drained, with a grace period of at most %s", *e.MaxGrace)
	}
	return "The Mesos agent of the pod's node is being drained"
}

// leave ends a pod whose machine goes down, unless the window was called off.
func (m *Manager) leave(ctx context.Context, d duty) error {
	e, due := m.leaves(d)
	if !due {
		return m.spare(ctx, d.namespace, d.name, d.uid)
	}
	pod, err := m.client.CoreV1().Pods(d.namespace).Get(ctx, d.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && string(pod.UID) != d.uid:
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the pod that has to go: %w", err)
	case pod.DeletionTimestamp != nil, endsBefore(pod, &e):
		return nil
	case disruptedBy(pod) != ReasonMaintenance && !m.upkeep.limiter.Allow():
		return errManyEvictions
	}
	metrics.Evictions.WithLabelValues(string(e.Mark.Kind)).Inc()
	return m.evictPod(ctx, pod, disruptionOf(pod, &e))
}

// leaves tells whether the pod still has to go, and how.
func (m *Manager) leaves(d duty) (maintenance.Eviction, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, due := m.upkeep.book.Eviction(d.agentID, time.Now())
	p := m.pods[d.uid]
	if p == nil || !due {
		delete(m.upkeep.going, d.uid)
		return e, false
	}
	return e, true
}

// disruptionOf is how a pod has to go.
func disruptionOf(pod *v1.Pod, e *maintenance.Eviction) disruption {
	deadline, capped := e.For(graceOf(pod))
	out := disruption{reason: ReasonMaintenance, message: leavingNote(e), deadline: deadline}
	if capped != nil {
		// Whole seconds, and never none: that would not wait for the containers.
		seconds := max(int64(*capped/time.Second), 1)
		out.grace = &seconds
	}
	return out
}

// drained starts the end of a pod whose task Mesos ended because its agent is being
// drained. It reports false if that is not why. The mutex is held.
func (m *Manager) drained(e *claims.Evict) bool {
	now := time.Now()
	u := &m.upkeep
	if _, _, drains := u.book.Drain(e.AgentID, now); e.Revoked || e.Meaning != claims.Drained && !drains {
		return false
	}
	m.taskDrained(e.AgentID, now)
	eviction, _, _ := u.book.Drain(e.AgentID, now)
	metrics.Evictions.WithLabelValues(string(e.Status.State)).Inc()
	m.logger.Info("Mesos drains the agent of a running pod; evicting the pod", "pod", e.Pod.Namespace+"/"+e.Pod.Name, "node", e.Node,
		"task", e.TaskID, "state", e.Status.State, "reason", e.Status.Reason)
	if p := m.pods[e.Pod.UID]; p != nil {
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventMaintenance, actionEvict, "%s", note(leavingNote(&eviction)))
	}
	m.duties.Add(duty{
		kind: empty, namespace: e.Pod.Namespace, name: e.Pod.Name, uid: e.Pod.UID, taskID: e.TaskID, agentID: e.AgentID, since: now.Unix(),
	})
	return true
}

// taskDrained takes in that an agent is being drained, and has the list of agents read
// that tells how. The mutex is held.
func (m *Manager) taskDrained(agentID string, now time.Time) {
	if _, confirmed, _ := m.upkeep.book.Drain(agentID, now); !confirmed {
		m.upkeep.book.TaskDrained(agentID, now)
		m.relist = true
		m.soonUpkeep()
	}
}

// confirmWithin is how long a pod waits for the list of agents to say that its agent is
// drained, and with which grace period.
const confirmWithin = 5 * time.Second

// errDrainUnknown delays an eviction.
var errDrainUnknown = errors.New("waiting for the list of agents, which says how the agent is drained")

// empty ends a pod whose agent is being drained. What an operator does to one agent, and
// the list of agents confirms, needs no breaker; what is not confirmed does.
func (m *Manager) empty(ctx context.Context, d duty) error {
	var e maintenance.Eviction
	unknown := false
	pod, err := m.lostPod(ctx, d, func(task string) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		now := time.Now()
		var confirmed bool
		if e, confirmed, _ = m.upkeep.book.Drain(d.agentID, now); confirmed {
			return true
		}
		if unknown = now.Sub(time.Unix(d.since, 0)) < confirmWithin; unknown {
			return false
		}
		m.counted(task, now)
		return m.breaker.Allow(task, now)
	})
	switch {
	case unknown:
		return errDrainUnknown
	case pod == nil || err != nil:
		return err
	}
	if e.Due.IsZero() {
		// No agent that is drained after all: as any other that lost its task.
		return m.evict(ctx, d)
	}
	return m.evictPod(ctx, pod, disruptionOf(pod, &e))
}

// holdAck tells whether the end of a task is not to be acknowledged yet: its agent is
// drained only when all ends are, and its pod is still there. The mutex is held.
func (m *Manager) holdAck(s *claims.TaskStatus, now time.Time) bool {
	if !s.State.Terminal() {
		return false
	}
	_, _, drains := m.upkeep.book.Drain(s.AgentID, now)
	if !drains && claims.MeaningOf(*s, false) != claims.Drained {
		return false
	}
	c := m.ledger.ByTask(s.TaskID)
	if c == nil || !c.Bound || c.Phase != claims.Lost {
		return false
	}
	p := m.pods[c.Pod.UID]
	if p == nil {
		return false
	}
	m.taskDrained(s.AgentID, now)
	m.upkeep.book.Hold(s.TaskID, c.Pod.UID, s.AgentID, graceOf(p.pod), now)
	return true
}
