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
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Quotas reads the quotas of all roles. May be nil.
type Quotas interface {
	Quotas(ctx context.Context) ([]quota.Role, error)
}

// WithinQuota returns how the pod may be placed in the role under the quota of its
// tree: as it wants, or only on what no quota is charged for. If it may not at all,
// lack names what is exhausted.
func (m *Manager) WithinQuota(role string, want offers.Want) (ways []offers.Want, lack string) {
	book, usage := m.cfg.Book, m.cfg.Usage
	if !m.cfg.EnforceQuota || !book.Any() {
		return []offers.Want{want}, ""
	}
	full := want.Need
	if want.Revocable == offers.RevocableRequired {
		full = riding(full)
	}
	lack, ok := book.Check(role, &full, usage)
	if ok || want.Order == offers.ReservedOnly {
		return []offers.Want{want}, ""
	}
	if want.Reserve != nil {
		// Its own reservation is charged already.
		own := want
		own.Reserve, own.Order = nil, offers.ReservedOnly
		return []offers.Want{own}, lack
	}
	reserved := want
	reserved.Order, reserved.Revocable = offers.ReservedOnly, offers.RevocableNever
	ways = append(ways, reserved)
	if want.Revocable == offers.RevocableAllowed {
		part := riding(full)
		if _, ok := book.Check(role, &part, usage); ok {
			lent := want
			lent.Revocable = offers.RevocableRequired
			ways = append(ways, lent)
		}
	}
	return ways, lack
}

// riding is what of a need is charged, at most, of a pod on revocable resources.
func riding(need resources.Bundle) resources.Bundle {
	need.Vector[resources.CPU] = 0
	return need
}

// overQuota names what the quota of the role lacks for the parts that a claim was
// just promised, "" if nothing. The mutex is held, so nobody else promises anything.
func (m *Manager) overQuota(role, taskID string) string {
	if !m.cfg.EnforceQuota || !m.cfg.Book.Any() {
		return ""
	}
	c := m.ledger.ByTask(taskID)
	var counted, reserved resources.Bundle
	if c.Parts == nil {
		counted = c.Need
	}
	for _, p := range c.Parts {
		switch {
		case p.Flavour == nil:
			counted = counted.Add(p.Bundle)
		case p.Flavour.Reserved() != nil && p.Flavour.Wire == "":
			reserved = reserved.Add(p.Bundle)
		}
	}
	charged := counted.Add(reserved)
	// The claim is counted already.
	m.cfg.Usage.Sub(role, &counted)
	lack, ok := m.cfg.Book.Check(role, &charged, m.cfg.Usage)
	m.cfg.Usage.Add(role, &counted)
	if !ok {
		return lack
	}
	if !reserved.IsZero() {
		m.reserving[taskID] = charge{role, reserved}
		m.cfg.Usage.Add(role, &reserved)
	}
	return ""
}

// charge is an amount that a quota is charged for.
type charge struct {
	role   string
	amount resources.Bundle
}

// uncharge takes back what overQuota charged for a reservation that will not be
// made. The mutex is held.
func (m *Manager) uncharge(taskID string) {
	if c, ok := m.reserving[taskID]; ok {
		delete(m.reserving, taskID)
		m.cfg.Usage.Sub(c.role, &c.amount)
	}
}

// takeMade forgets the reservations that were made before the quotas are read: from
// then on it is the master that counts them. The returned function takes it back.
func (m *Manager) takeMade() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := map[string]charge{}
	for id, c := range m.reserving {
		if claim := m.ledger.ByTask(id); claim == nil || claim.Phase != claims.Reserved && claim.Phase != claims.Launching {
			taken[id] = c
			m.uncharge(id)
		}
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for id, c := range taken {
			m.reserving[id] = c
			m.cfg.Usage.Add(c.role, &c.amount)
		}
	}
}

// exhausted tells whether offers for the role would be of no use to the pod, because
// of the quota of its tree. The mutex is held.
func (m *Manager) exhausted(role string, want *offers.Want) bool {
	if !m.cfg.EnforceQuota || !m.cfg.Book.Any() || m.reservedFor(role) || want.Owner != "" || want.Revocable != offers.RevocableNever {
		return false
	}
	_, ok := m.cfg.Book.Check(role, &want.Need, m.cfg.Usage)
	return !ok
}

// recheckLimited looks again at the pods that a quota or a refused role keeps from
// offers, and returns those that may be placed now. The mutex is held.
func (m *Manager) recheckLimited(now time.Time) map[string]*v1.Pod {
	var free []string
	for uid := range m.limited {
		p := m.pods[uid]
		if p == nil || p.asked == 0 {
			delete(m.limited, uid)
			continue
		}
		m.refreshDemand(uid, now)
		if !m.limited[uid] {
			free = append(free, uid)
		}
	}
	return m.podsOf(free)
}

// pollQuotas reads the quotas now and then.
func (m *Manager) pollQuotas(ctx context.Context) {
	if m.cfg.QuotaPeriod <= 0 {
		return
	}
	ticker := time.NewTicker(min(time.Second, m.cfg.QuotaPeriod))
	defer ticker.Stop()
	var read uint64
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		m.mu.Lock()
		subscribed, generation, source := m.subscribed, m.generation, m.quotas
		m.mu.Unlock()
		if !subscribed || source == nil || generation == read && time.Now().Before(next) {
			continue
		}
		read, next = generation, time.Now().Add(m.cfg.QuotaPeriod)
		restore := m.takeMade()
		before, begun := m.cfg.Usage.Snapshot(), time.Now()
		list, err := source.Quotas(ctx)
		if err != nil {
			restore()
			m.logger.V(2).Info("Cannot read the quotas of Mesos; those read before hold on", "err", err)
			continue
		}
		m.cfg.SetQuotas(list, quota.Least(before, m.cfg.Usage.Snapshot()), begun)
		m.kick()
	}
}
