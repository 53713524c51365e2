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
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// backSoon is how long, at least, what a pod preempted may take to come back as an
// offer: the end of the tasks and a few allocations.
const backSoon = 10 * time.Second

// starvedAtOnce is how many starved pods are tried in one tick: each of them looks at
// all claims, and may evict.
const starvedAtOnce = 8

// hunger is a pod that finds no fitting offer.
type hunger struct {
	// since is when it first found none, in the subscription that is counted by
	// generation, or last looked for pods to preempt.
	since      time.Time
	generation uint64
	// again is when the pod is woken to look for pods to preempt.
	again time.Time
	// refused tells that there were offers that fit, of nodes that other plugins refused.
	refused bool
	// attempted tells that the pod has looked for pods to preempt, at since.
	attempted bool
}

// Starvation is what a cycle has to know of its pod's hunger.
type Starvation struct {
	// Off tells that no pod is to preempt others because it starves.
	Off bool
	// Starved tells that the pod found no fitting offer for StarvationTimeout.
	Starved bool
	// Refused is true after Refused was called for it.
	Refused bool
	// Waits tells that the pod preempted others a short while ago, or tried to.
	Waits bool
}

// starvation tells how hungry the pod is. The mutex is held.
func (m *Manager) starvation(uid string, now time.Time) Starvation {
	h := m.hungry[uid]
	if h == nil || h.generation != m.generation {
		return Starvation{Off: !m.cfg.Preempt}
	}
	starved := now.Sub(h.since) >= m.patience(h)
	return Starvation{Starved: starved, Refused: h.refused, Waits: h.attempted && !starved}
}

// starving counts the pods that starve. The mutex is held.
func (m *Manager) starving(now time.Time) (n int) {
	for uid := range m.hungry {
		if m.starvation(uid, now).Starved {
			n++
		}
	}
	return n
}

// patience is how long after since the pod starves.
func (m *Manager) patience(h *hunger) time.Duration {
	if h.attempted {
		return max(m.cfg.StarvationTimeout, backSoon)
	}
	return m.cfg.StarvationTimeout
}

// restart makes the pod wait anew. The mutex is held.
func (m *Manager) restart(h *hunger, now time.Time) {
	h.since = now
	h.again = now.Add(m.patience(h))
	m.starvedSooner(h.again)
}

// Starve notes that the pod found no fitting offer. The time runs from the first call
// on, as long as the subscription lasts: the offers of a new one come when they may.
func (m *Manager) Starve(pod *v1.Pod) {
	uid, now := string(pod.UID), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pods[uid] == nil || !m.subscribed || !m.cfg.Preempt {
		return
	}
	if h := m.hungry[uid]; h == nil || h.generation != m.generation {
		h := &hunger{generation: m.generation}
		m.hungry[uid] = h
		m.restart(h, now)
	}
}

// Feed ends the pod's hunger: what keeps it waiting are not the offers.
func (m *Manager) Feed(pod *v1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fed(string(pod.UID))
}

// Refused makes the next cycle of a starved pod look for pods to preempt, although
// offers fit: other plugins refused their nodes.
func (m *Manager) Refused(pod *v1.Pod) {
	m.mu.Lock()
	if h := m.hungry[string(pod.UID)]; h != nil {
		h.refused = true
	}
	m.mu.Unlock()
	m.Retry(pod)
}

// Attempted notes that the pod looks for pods to preempt now. It does not do so again
// before StarvationTimeout is over once more: what it frees comes back as an offer,
// later.
func (m *Manager) Attempted(pod *v1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.hungry[string(pod.UID)]; h != nil {
		h.attempted, h.refused = true, false
		m.restart(h, time.Now())
	}
}

// fed is Feed with the mutex held.
func (m *Manager) fed(uid string) { delete(m.hungry, uid) }

// starvedSooner makes the loop look at hungry pods no later than at. The mutex is held.
func (m *Manager) starvedSooner(at time.Time) {
	if m.hungryAt.IsZero() || at.Before(m.hungryAt) {
		m.hungryAt = at
	}
}

// wakeStarved returns starved pods that may preempt others, the most important first.
// Nobody else wakes them, for no offer comes that fits. The mutex is held.
func (m *Manager) wakeStarved(now time.Time) map[string]*v1.Pod {
	if m.hungryAt.IsZero() || now.Before(m.hungryAt) {
		return nil
	}
	due := m.starvedBy(now)
	if len(due) == 0 {
		return nil
	}
	lowest, some := m.lowestClaimed()
	var woken []string
	for _, uid := range due {
		p, h := m.pods[uid], m.hungry[uid]
		able := some && mayPreempt(p.pod) && priorityOf(p.pod) > lowest
		if able && len(woken) == starvedAtOnce {
			m.starvedSooner(now)
			break
		}
		h.again = now.Add(max(m.cfg.StarvationTimeout, backSoon))
		m.starvedSooner(h.again)
		if able {
			m.unpark(uid)
			woken = append(woken, uid)
		}
	}
	return m.podsOf(woken)
}

// starvedBy returns the pods that are to be woken because they starve, the most
// important first, and notes when it is the turn of others. The mutex is held.
func (m *Manager) starvedBy(now time.Time) (due []string) {
	m.hungryAt = time.Time{}
	for uid, h := range m.hungry {
		if p := m.pods[uid]; p == nil || !p.pending {
			delete(m.hungry, uid)
			continue
		}
		if h.generation != m.generation || !m.subscribed {
			h.generation, h.refused, h.attempted = m.generation, false, false
			m.restart(h, now)
		}
		if now.Before(h.again) {
			m.starvedSooner(h.again)
		} else {
			due = append(due, uid)
		}
	}
	slices.SortFunc(due, func(a, b string) int {
		return cmp.Or(cmp.Compare(priorityOf(m.pods[b].pod), priorityOf(m.pods[a].pod)),
			m.hungry[a].since.Compare(m.hungry[b].since), cmp.Compare(a, b))
	})
	return due
}

// lowestClaimed returns the lowest priority of pods with claims, false if there are
// none. The mutex is held.
func (m *Manager) lowestClaimed() (lowest int32, some bool) {
	m.ledger.All(func(c *claims.Claim) {
		if p := m.pods[c.Pod.UID]; p != nil && givesBack(c) && (!some || priorityOf(p.pod) < lowest) {
			lowest, some = priorityOf(p.pod), true
		}
	})
	return lowest, some
}

func mayPreempt(pod *v1.Pod) bool {
	return pod.Spec.PreemptionPolicy == nil || *pod.Spec.PreemptionPolicy != v1.PreemptNever
}

// noteHunger takes in what became of a pod: one that was changed starts anew, and one
// that was nominated waits for its node. The mutex is held.
func (m *Manager) noteHunger(uid string, was, is *podInfo) {
	if is == nil && was.pod.Spec.NodeName != "" {
		m.victimGone(was.pod.Spec.NodeName)
	}
	if is == nil || was != nil && was.pending && !was.plan.equal(&is.plan) {
		m.fed(uid)
	}
	if is != nil && is.pending && is.pod.Status.NominatedNodeName != "" {
		m.nominated[uid] = is.pod.Status.NominatedNodeName
	} else {
		delete(m.nominated, uid)
	}
	m.nominees.Store(int32(len(m.nominated)))
}

// victimGone makes pods wait anew that preempted others on the node: only now what
// these had goes back to Mesos. The mutex is held.
func (m *Manager) victimGone(node string) {
	for uid, at := range m.nominated {
		if h := m.hungry[uid]; at == node && h != nil && h.attempted {
			m.restart(h, time.Now())
		}
	}
}

// AnyNominated tells whether a pending pod is nominated for a node, which others must
// not pass. It takes no lock.
func (m *Manager) AnyNominated() bool { return m.nominees.Load() > 0 }

// wakeNominees names the pods that are nominated for the nodes of these slots and fit
// what is free there: they go before whoever waits longer. The mutex is held.
func (m *Manager) wakeNominees(freed freedSlots) (uids []string) {
	for uid, node := range m.nominated {
		p := m.pods[uid]
		slot := m.index.LookupName(node)
		if p == nil || slot < 0 {
			continue
		}
		for _, role := range p.askedRoles() {
			if !slices.Contains(freed[role], slot) {
				continue
			}
			if verdict, _ := m.cache.Role(role).Fits(slot, new(m.WantIn(&p.plan, role))); verdict == offers.Fitting {
				m.unpark(uid)
				uids = append(uids, uid)
				break
			}
		}
	}
	return uids
}
