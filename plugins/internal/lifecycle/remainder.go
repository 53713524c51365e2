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

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// offerEnded notes at which age an offer ended, and how.
func offerEnded(end offers.End, age time.Duration) {
	metrics.OffersHeldSeconds.WithLabelValues(string(end)).Observe(age.Seconds())
}

// spent is an ACCEPT whose remainder is expected back.
type spent struct{ agent, role string }

// remains notes that an ACCEPT landed: what it left over is the master's again, which
// offers it at its next allocation. The mutex is held.
func (m *Manager) remains(b *offers.Batch, start, now time.Time) {
	m.demandOf(b.Role).Remainder(b.Offered.Sub(b.Need), now)
	if b.Predicted.IsZero() {
		return
	}
	m.expected[spent{b.AgentID, b.Role}] = start
}

// reoffered notes that an agent offers to a role. The mutex is held.
func (m *Manager) reoffered(agent, role string, now time.Time) {
	key := spent{agent, role}
	if start, ok := m.expected[key]; ok {
		delete(m.expected, key)
		metrics.Reoffer.Observe(now.Sub(start).Seconds())
	}
}

// takeOffer adds an offer to the cache. Pods that were promised it before it came keep
// what they were promised as far as it goes. The mutex is held.
func (m *Manager) takeOffer(o *offers.Offer, now time.Time) (slot int32, isNew bool) {
	r := m.cache.Role(o.Role)
	_, before := r.Predicted()
	slot, broken, isNew := m.cache.Add(o, now)
	m.promiseBroken(broken)
	if before > 0 {
		_, after := r.Predicted()
		metrics.PredictedClaims.WithLabelValues(metrics.PredictedKept).Add(float64(max(before-after-len(broken), 0)))
	}
	return slot, isNew
}

// promiseBroken fails reservations on an offer that did not come, or came smaller. The
// mutex is held.
func (m *Manager) promiseBroken(ids []string) {
	metrics.PredictedClaims.WithLabelValues(metrics.PredictedBroken).Add(float64(len(ids)))
	m.broken(ids)
}

// awaitRemainders tells the demands how many reservations wait for an agent to offer
// again. The mutex is held.
func (m *Manager) awaitRemainders() {
	m.cache.Roles(func(r *offers.Role) {
		if d := m.demands[r.Name()]; d != nil {
			_, members := r.Predicted()
			d.Awaiting(members)
		}
	})
}
