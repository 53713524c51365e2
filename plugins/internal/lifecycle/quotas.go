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
	"cmp"
	"context"
	"slices"
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
		// Its own reservation is charged already. What is reserved at large would not be
		// there when the pod comes back.
		own := want
		own.Order = offers.ReservedOnly
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
		m.recheck = true
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

// over tells whether the quota of the role's tree has no room for the pod. The mutex
// is held.
func (m *Manager) over(role string, want *offers.Want) bool {
	if !m.cfg.EnforceQuota || want.Order == offers.ReservedOnly || !m.cfg.Book.Any() {
		return false
	}
	need := want.Need
	if promised, some := m.promised[quota.Top(role)]; some {
		need = need.Add(promised)
	}
	_, ok := m.cfg.Book.Check(role, &need, m.cfg.Usage)
	return !ok
}

// otherwise tells whether the pod may use something in the role that the quota is not
// charged for. The mutex is held.
func (m *Manager) otherwise(role string, want *offers.Want) bool {
	return want.Owner != "" || want.Revocable != offers.RevocableNever || m.reservedFor(role)
}

// promise notes that a pod may go on that waited for the quota of the role's tree: the
// others must fit beside it. The mutex is held.
func (m *Manager) promise(role string, want *offers.Want) {
	if top := quota.Top(role); m.promised != nil && m.cfg.EnforceQuota {
		m.promised[top] = m.promised[top].Add(want.Need)
	}
}

// recheckEvery is how often pods that a quota or a refused role keeps from offers are
// looked at in any case. As a rule something is known to have changed.
const recheckEvery = 5 * time.Second

// recheckLimited looks again at the pods that a quota or a refused role keeps from
// offers, and returns those that may be placed now: of those that wait for a quota,
// as many as it has room for, the most important first. The mutex is held.
func (m *Manager) recheckLimited(now time.Time) map[string]*v1.Pod {
	if len(m.limited) == 0 || !m.recheck && now.Before(m.recheckAt) {
		return nil
	}
	m.recheck, m.recheckAt = false, now.Add(recheckEvery)
	waiting := make([]*podInfo, 0, len(m.limited))
	for uid := range m.limited {
		waiting = append(waiting, m.pods[uid])
	}
	slices.SortFunc(waiting, func(a, b *podInfo) int {
		return cmp.Or(cmp.Compare(priorityOf(b.pod), priorityOf(a.pod)), a.pod.CreationTimestamp.Compare(b.pod.CreationTimestamp.Time), cmp.Compare(a.pod.UID, b.pod.UID))
	})
	m.promised = map[string]resources.Bundle{}
	var free []string
	for _, p := range waiting {
		if uid := string(p.pod.UID); m.askIn(uid, p, max(p.asked, 1), now) {
			m.unpark(uid)
			free = append(free, uid)
		}
	}
	m.promised = nil
	return m.podsOf(free)
}

func priorityOf(pod *v1.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}

// tally counts claims against quotas, and notes when there is more room. Its methods
// are called with the manager's mutex held.
type tally struct {
	*quota.Usage
	manager *Manager
}

// Sub implements claims.Tally.
func (t tally) Sub(role string, regular *resources.Bundle) {
	t.Usage.Sub(role, regular)
	t.manager.recheck = true
}
