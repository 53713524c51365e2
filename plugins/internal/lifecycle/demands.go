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
	"maps"
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// demandOf returns the demand of a role. The mutex is held.
func (m *Manager) demandOf(role string) *demand.Demand {
	d := m.demands[role]
	if d == nil {
		cfg := m.cfg.Demand
		cfg.Matches = m.bargain.compiler.Matches
		d = demand.New(cfg, time.Now())
		m.demands[role] = d
		if m.subscribed && m.known[role] {
			d.Subscribed(true)
		}
	}
	return d
}

// askedRoles are the roles in which offers are asked for the pod.
func (p *podInfo) askedRoles() []string { return p.plan.Roles[:min(p.asked, len(p.plan.Roles))] }

// unask takes a pod out of the demand of all its roles. The mutex is held.
func (m *Manager) unask(uid string, p *podInfo, now time.Time) {
	for _, role := range p.askedRoles() {
		m.demandOf(role).Remove(uid, now)
	}
	p.asked, p.barred, p.asleep = 0, 0, false
	delete(m.falling, uid)
	delete(m.limited, uid)
}

// askIn asks for the pod in its first n roles, and in further ones as long as the
// last one's offers would be of no use. It reports whether one of its roles that the
// pod was kept from is open to it now. The mutex is held.
func (m *Manager) askIn(uid string, p *podInfo, n int, now time.Time) (gained bool) {
	was, useless := p.barred, false
	p.barred = 0
	for i, role := range p.plan.Roles {
		if i >= n && !useless {
			break
		}
		if i >= p.asked {
			p.asked, p.since = i+1, now
		}
		over := m.over(role, &p.plan.Want)
		useless = !m.open(role) || over && !m.otherwise(role, &p.plan.Want)
		if useless || over {
			p.barred |= bitOf(i)
		} else if was&bitOf(i) != 0 {
			gained = true
			m.promise(role, &p.plan.Want)
		}
		if useless {
			m.demandOf(role).Remove(uid, now)
			continue
		}
		m.addTo(role, uid, p)
		if was&^p.barred&bitOf(i) != 0 {
			// What was declined although it fits is of use now.
			m.demandOf(role).Reopen()
		}
	}
	if p.barred != 0 {
		m.limited[uid] = true
	} else {
		delete(m.limited, uid)
	}
	if p.asked < len(p.plan.Roles) {
		m.falling[uid] = p
	} else {
		delete(m.falling, uid)
	}
	return gained
}

// bitOf is the bit of a pod's i-th role in podInfo.barred. Those beyond the last bit
// share it.
func bitOf(i int) uint64 { return 1 << min(i, 63) }

// addTo makes a pod part of a role's demand. If it sleeps, this role's offers wake it,
// too: also those in hand, which it may not have been shown. The mutex is held.
func (m *Manager) addTo(role, uid string, p *podInfo) {
	d := m.demandOf(role)
	d.Add(uid, p.ask())
	if p.asleep && !d.Asleep(uid) {
		d.Park(uid)
		m.show[role] = true
	}
}

// fallBack asks in the next of their roles for pods that waited long enough. The
// mutex is held.
func (m *Manager) fallBack(now time.Time) {
	for uid, p := range m.falling {
		if now.Sub(p.since) >= m.cfg.FallbackAfter {
			m.askIn(uid, p, p.asked+1, now)
		}
	}
}

// park puts a pod to sleep in all roles in which it asks. The mutex is held.
func (m *Manager) park(uid string, p *podInfo) {
	p.asleep = true
	for _, role := range p.askedRoles() {
		m.demandOf(role).Park(uid)
	}
}

// unpark wakes a pod that one of its roles woke in the others, too. The mutex is held.
func (m *Manager) unpark(uid string) {
	if p := m.pods[uid]; p != nil && p.asleep {
		p.asleep = false
		for _, role := range p.askedRoles() {
			m.demandOf(role).Unpark(uid)
		}
	}
}

// actions are the calls that roles want.
type actions struct{ revive, suppress []string }

// nextActions asks the demand of all roles what to call, and when to ask again. The
// mutex is held.
func (m *Manager) nextActions(now time.Time) (a actions, again time.Time) {
	for _, role := range slices.Sorted(maps.Keys(m.demands)) {
		action, at := m.demands[role].Next(now)
		switch action {
		case demand.Revive:
			a.revive = append(a.revive, role)
		case demand.Suppress:
			a.suppress = append(a.suppress, role)
		case demand.None:
		}
		if !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	return a, again
}

// wakeAll names all sleeping pods. The mutex is held.
func (m *Manager) wakeAll() (uids []string) {
	for _, role := range slices.Sorted(maps.Keys(m.demands)) {
		for _, uid := range m.demands[role].WakeAll() {
			m.unpark(uid)
			uids = append(uids, uid)
		}
	}
	return uids
}

// tell names the sleeping pods of the role that can say more now. The mutex is held.
func (m *Manager) tell(role string) {
	for _, uid := range m.demandOf(role).Tell() {
		m.unpark(uid)
		m.told = append(m.told, uid)
	}
}

// reopen notes that what was declined for long may be of use after all.
func (m *Manager) reopen() {
	for _, d := range m.demands {
		d.Reopen()
	}
}

// waiting counts the pods that ask for offers, and those of them that sleep. The
// mutex is held.
func (m *Manager) waiting() (all, parked int) {
	for _, p := range m.pods {
		if p.asked == 0 {
			continue
		}
		all++
		if p.asleep {
			parked++
		}
	}
	return all, parked
}

// flushPolicy is the policy for batches of a role. The mutex is held.
func (m *Manager) flushPolicy(role string) offers.FlushPolicy {
	d, r := m.demandOf(role), m.cache.Role(role)
	all, parked := d.Pods()
	p := offers.FlushPolicy{
		Linger: m.cfg.Linger, MaxLinger: m.cfg.Linger, MaxTasks: m.cfg.MaxTasks, Smallest: d.Smallest(),
		// Reserved pods are still part of the demand but cannot join again.
		Drained: all-parked-r.Waiting() <= 0,
		Predict: all > r.Waiting(), PredictedWait: m.cfg.PredictedWait,
	}
	if all-parked > r.Held() {
		// They share agents: waiting for one more costs less than an ACCEPT of its own.
		p.MaxLinger = m.cfg.MaxLinger
	}
	return p
}
