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
	"fmt"
	"time"

	"golang.org/x/time/rate"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/breaker"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
)

// defaultEvictions are for a Config that says nothing of how many pods Mesos' news may
// end.
var defaultEvictions = breaker.Config{Burst: 20, PerMinute: 30, Percent: 20, Window: 5 * time.Minute}

// evictionSettle is how long no pod goes after its loss. It is far longer than the
// updates about the tasks of one agent, or of all, take to come.
const evictionSettle = time.Second

// Pods on revocable resources are meant to be taken away, and their tasks are gone
// for certain: a limiter of their own lets more of them go.
const (
	revocationsPerSecond = rate.Limit(5)
	revocationBurst      = 100
)

// mayEvict tells whether the breaker lets the pod of this task go, and goes on saying
// so.
func (m *Manager) mayEvict(taskID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.breaker.Allow(taskID, time.Now())
}

// mayRevoke is mayEvict for pods whose revocable resources were taken back.
func (m *Manager) mayRevoke(taskID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.evicting[taskID] && m.revocations.Allow() {
		m.evicting[taskID] = true
	}
	return m.evicting[taskID]
}

// counted tells the breaker of a pod that is to go. The mutex is held.
func (m *Manager) counted(taskID string, now time.Time) {
	m.countPods()
	m.breaker.Lost(taskID, now)
	m.watchBreaker(now)
}

// countPods tells the breaker how many pods have, or had, a claim. The mutex is held.
func (m *Manager) countPods() {
	n := 0
	for _, phase := range []claims.Phase{claims.Held, claims.Recovering, claims.Unreachable, claims.Lost} {
		n += m.ledger.Count(phase)
	}
	m.breaker.Total(n)
}

// watchBreaker says so, loudly, if the breaker opened or closed, and while it is open asks
// the master once more about every loss. The mutex is held.
func (m *Manager) watchBreaker(now time.Time) {
	state, changed := m.breaker.Changed(now)
	switch {
	case !changed:
	case state.Open:
		metrics.EvictionsHalted.Set(1)
		text := fmt.Sprintf("%d of %d pods lost their Mesos tasks within a short time. Pods are evicted only where the master, asked again, says that the task is no more", state.Recent, state.Total)
		m.logger.Error(nil, "Evictions are halted: "+text, "lost", state.Recent, "pods", state.Total)
		m.proclaim(v1.EventTypeWarning, EventEvictionsHalted, actionEvict, text)
	default:
		metrics.EvictionsHalted.Set(0)
		text := fmt.Sprintf("Of the pods that lost their Mesos tasks %d are still to be evicted, at most %d a minute; no loss is in doubt any more", state.Waiting, m.cfg.Evictions.PerMinute)
		m.logger.Info("Evictions are resumed: "+text, "waiting", state.Waiting)
		m.proclaim(v1.EventTypeNormal, EventEvictionsResumed, actionEvict, text)
	}
	for _, id := range m.breaker.Unverified() {
		m.ledger.Verify(id, now)
	}
}

// proclaim records an event about all of us: on the object that keeps our identity. The
// mutex may be held.
func (m *Manager) proclaim(kind, reason, action, text string) {
	if m.cfg.Identity.Name != "" {
		ref := m.cfg.Identity
		m.recorder.Eventf(&ref, nil, kind, reason, action, "%s", note(text))
	}
}
