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

	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// sweeping is one look at all offers held: what is to become of those that go.
type sweeping struct {
	m      *Manager
	now    time.Time
	rounds map[string]*demand.Round
	// declined are offers by why they are given back, failing those of agents that
	// do not run what they are given or leave the service, with how long these are left
	// alone; gifts hold
	// reserved resources that are to be given back.
	declined map[refusal][]string
	failing  map[string]aside
	gifts    []gift
}

type refusal struct {
	role   string
	reason demand.Reason
}

// aside is an offer that nobody is to use for a while, whatever the demand.
type aside struct {
	reason string
	wait   time.Duration
}

type gift struct {
	offer, agent, role string
	due                []resources.Portion
}

// sweep gives back what the demand does not want to hold, and has the loop look again
// when it may want less by time alone. The mutex is held.
func (m *Manager) sweep(now time.Time) {
	if !m.subscribed || m.stopping {
		return
	}
	s := &sweeping{m: m, now: now, rounds: map[string]*demand.Round{}, declined: map[refusal][]string{}, failing: map[string]aside{}}
	m.cache.Sweep(now, s.judge)
	s.dropSurplus()
	for _, g := range s.gifts {
		m.giveBack(g.offer, g.agent, g.role, g.due, now)
	}
	for r, ids := range s.declined {
		if r.reason == demand.TooSmall {
			m.tell(r.role)
		}
		m.declineLocked(ids, m.demandOf(r.role).Refuse(r.reason), string(r.reason))
	}
	for id, a := range s.failing {
		m.declineLocked([]string{id}, a.wait, a.reason)
	}
}

// judge tells whether an offer goes.
func (s *sweeping) judge(h offers.Held) bool {
	m := s.m
	if reserves(h.Special) {
		if due := m.dueIn(h.AgentID, h.Special, s.now); len(due) > 0 {
			s.gifts = append(s.gifts, gift{h.ID, h.AgentID, h.Role, due})
			return true
		}
	}
	if reason, wait := m.upkeep.book.Refuse(h.AgentID, s.now, m.finishes); reason != "" {
		s.failing[h.ID] = aside{reason, wait}
		return true
	}
	round := s.rounds[h.Role]
	if round == nil {
		round = m.demandOf(h.Role).Round(s.now, m.cache.Role(h.Role).Waiting())
		s.rounds[h.Role] = round
	}
	reason := round.Judge(h)
	if wait := m.penalties.left(h.AgentID, s.now); wait > 0 && reason == "" {
		s.failing[h.ID] = aside{"AgentFailing", wait}
		return true
	}
	if reason == "" {
		return false
	}
	if reason == demand.Foreign {
		m.foreign[h.AgentID] = true
	}
	s.decline(h.ID, h.Role, reason)
	return true
}

func (s *sweeping) decline(offer, role string, reason demand.Reason) {
	r := refusal{role, reason}
	s.declined[r] = append(s.declined[r], offer)
}

// dropSurplus drops what the rounds find too much of what was kept.
func (s *sweeping) dropSurplus() {
	surplus := map[string]bool{}
	for _, r := range s.rounds {
		for _, id := range r.Surplus() {
			surplus[id] = true
		}
		if at := r.Next(); !at.IsZero() && at.Before(s.m.sweepAt) {
			s.m.sweepAt = at
		}
	}
	if len(surplus) == 0 {
		return
	}
	s.m.cache.Sweep(s.now, func(h offers.Held) bool {
		if surplus[h.ID] {
			s.decline(h.ID, h.Role, demand.Surplus)
		}
		return surplus[h.ID]
	})
}
