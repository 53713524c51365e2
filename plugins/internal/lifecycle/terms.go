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
	"iter"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/constraints"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// TermsConfig says on which terms offers are asked for.
type TermsConfig struct {
	// Constraints asks for offers of those agents only that waiting pods may use, as
	// long as MaxHosts host names or fewer can say which.
	Constraints bool
	MaxHosts    int
	// MinAllocatable asks for no offers that are too small for every waiting pod.
	MinAllocatable bool
}

// bargain is what the master is to know of the offers that we want. The Manager's
// mutex guards it.
type bargain struct {
	cfg      TermsConfig
	compiler *constraints.Compiler
	book     *terms.Book
	// agents are what the compiler was told of the agents.
	agents map[string]*constraints.Agent
	// basis is what the terms of each role were last worked out from.
	basis map[string]basis
	// revivedAt is when each role was last revived: an update of terms that was sent
	// later needs a REVIVE of its own.
	revivedAt map[string]time.Time
	// reopenAt is when changes of nodes may next make roles be revived, changed are those
	// for which nodes changed since they last were.
	reopenAt time.Time
	changed  map[string]bool
}

type basis struct {
	classes, nodes uint64
	at             time.Time
}

func newBargain(cfg TermsConfig) bargain {
	return bargain{
		cfg: cfg, compiler: constraints.NewCompiler(constraints.Config{MaxHosts: cfg.MaxHosts}), book: terms.NewBook(terms.Config{}),
		agents: map[string]*constraints.Agent{}, basis: map[string]basis{}, revivedAt: map[string]time.Time{},
		changed: map[string]bool{},
	}
}

// pair takes in which node an agent is.
func (b *bargain) pair(agentID, node string) {
	if a := b.agents[agentID]; a != nil {
		a.Node = node
		b.compiler.SetAgent(agentID, *a)
	}
}

// describe takes in the attributes of an agent.
func (b *bargain) describe(is *mesos.Agent) {
	if a := b.agents[is.ID]; a != nil {
		a.Text, a.NotText = maps.Clone(is.Attributes), is.NotText
		for _, name := range is.NotText {
			delete(a.Text, name)
		}
		b.compiler.SetAgent(is.ID, *a)
	}
}

// forget forgets a role.
func (b *bargain) forget(role string) {
	b.book.Forget(role)
	delete(b.basis, role)
	delete(b.revivedAt, role)
	delete(b.changed, role)
}

// reopenEvery is how often changes of nodes may make a role be revived: they come in
// bursts, and each REVIVE costs the master an allocation.
const reopenEvery = 5 * time.Second

// choosy tells whether other plugins may turn the pod away from nodes that have what
// it needs and that it may be placed on: it is worth showing it all of them.
func choosy(pod *v1.Pod) bool {
	s := &pod.Spec
	if len(s.ResourceClaims) > 0 || len(s.TopologySpreadConstraints) > 0 {
		return true
	}
	if a := s.Affinity; a != nil && (a.PodAffinity != nil || a.PodAntiAffinity != nil || a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0) {
		return true
	}
	return slices.ContainsFunc(s.Volumes, func(v v1.Volume) bool { return v.PersistentVolumeClaim != nil || v.Ephemeral != nil })
}

// settleEvery is how often the terms of a role are worked out anew: it takes some
// milliseconds where there are thousands of nodes, which may all come at once.
const settleEvery = 250 * time.Millisecond

// settleTerms works out the terms of those of the roles that pods wait in, where what
// they depend on changed, and returns when to do so for those that were put off. What
// is known of a role without pods stays: it does no harm while it is suppressed. The
// mutex is held.
func (m *Manager) settleTerms(names iter.Seq[string], now time.Time) (again time.Time) {
	b := &m.bargain
	nodes := b.compiler.Generation()
	for role := range names {
		d := m.demands[role]
		was, known := b.basis[role]
		switch {
		case d == nil || !d.Wanted():
			if known {
				// What was about to be told is of no use any more.
				delete(b.basis, role)
				b.book.Want(role, b.book.Told(role), false, now)
			}
		case known && was.classes == d.ClassGeneration() && was.nodes == nodes:
		case known && d.Offering() && now.Before(was.at.Add(settleEvery)):
			if at := was.at.Add(settleEvery); again.IsZero() || at.Before(again) {
				again = at
			}
		default:
			b.basis[role] = basis{classes: d.ClassGeneration(), nodes: nodes, at: now}
			m.want(role, d, now)
			if known && was.nodes != nodes {
				b.changed[role] = true
			}
		}
	}
	return again
}

// want tells the book what is wanted for a role. The mutex is held.
func (m *Manager) want(role string, d *demand.Demand, now time.Time) {
	b := &m.bargain
	if !b.cfg.Constraints && !b.cfg.MinAllocatable {
		return
	}
	want, keys := m.termsOf(d)
	// A role about to be revived should not be offered what it has no use for.
	urgent := !d.Offering() || b.compiler.TooNarrow(b.book.Told(role).Constraints, keys)
	b.book.Want(role, want, urgent, now)
}

// reopenChanged has roles revived for which nodes changed: those that were of no use may
// be now. It returns when to do so for those that were put off. The mutex is held.
func (m *Manager) reopenChanged(now time.Time) (again time.Time) {
	b, reopened := &m.bargain, false
	for role := range b.changed {
		d := m.demands[role]
		switch {
		case d == nil || !d.Wanted():
			delete(b.changed, role)
		case now.Before(b.reopenAt):
			return b.reopenAt
		default:
			if _, parked := d.Pods(); parked > 0 {
				d.Reopen()
				reopened = true
				delete(b.changed, role)
			}
		}
	}
	if reopened {
		b.reopenAt = now.Add(reopenEvery)
	}
	return time.Time{}
}

// termsOf returns the terms that suit the pods of a demand, and what they require of
// nodes. The mutex is held.
func (m *Manager) termsOf(d *demand.Demand) (t terms.Terms, keys []string) {
	b := &m.bargain
	var smallest resources.Vector
	first, everywhere := true, d.Seeking()
	d.Classes(func(ask demand.Ask, _, _ int) {
		if ask.AgentID != "" {
			// It runs there already, whatever its node is like by now.
			everywhere = true
		}
		if !slices.Contains(keys, ask.Require) {
			keys = append(keys, ask.Require)
		}
		if first {
			smallest, first = ask.Need, false
		} else {
			smallest = smallest.Min(ask.Need)
		}
	})
	if b.cfg.Constraints && !everywhere {
		t.Constraints = b.compiler.Compile(keys)
	}
	if b.cfg.MinAllocatable {
		if d.Seeking() {
			smallest = resources.Vector{}
		}
		t.Min = &smallest
	}
	return t, keys
}

// asksFor returns what a call says of roles, with the given terms.
func (m *Manager) asksFor(names []string, of map[string]terms.Terms) []mesos.RoleAsk {
	asks := make([]mesos.RoleAsk, 0, len(names))
	for _, name := range names {
		d := m.demands[name]
		asks = append(asks, mesos.RoleAsk{Name: name, Suppressed: d == nil || !d.Offering(), Terms: of[name]})
	}
	return asks
}

// updateTerms tells the master the terms if that is due, and returns when to look
// again. The mutex is held.
func (m *Manager) updateTerms(now time.Time) time.Time {
	settleAt := m.settleTerms(maps.Keys(m.known), now)
	reopenAt := m.reopenChanged(now)
	change, again := m.bargain.book.Next(now)
	if change != nil {
		m.sendUpdate(change, nil, now)
	}
	for _, at := range []time.Time{settleAt, reopenAt} {
		if again.IsZero() || !at.IsZero() && at.Before(again) {
			again = at
		}
	}
	return again
}

// sendUpdate sends an UPDATE_FRAMEWORK with all terms, and with the roles of change if
// it is not nil. The mutex is held.
func (m *Manager) sendUpdate(said *terms.Change, change *roles.Change, now time.Time) {
	names := slices.Sorted(maps.Keys(m.known))
	if change != nil {
		names = change.Roles
	}
	asks, generation := m.asksFor(names, said.Terms), m.generation
	m.calls.add(func(ctx context.Context) {
		if !m.current(generation) {
			return
		}
		err := m.session().UpdateRoles(ctx, asks)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.generation != generation {
			return
		}
		m.termsUpdated(said, err, now)
		if change != nil {
			m.rolesUpdated(change, err, time.Now())
		}
		m.kick()
	})
}

// termsUpdated takes in the answer to an update that was sent at a time. The mutex is
// held.
func (m *Manager) termsUpdated(said *terms.Change, err error, sent time.Time) {
	b, now := &m.bargain, time.Now()
	switch {
	case err == nil:
		metrics.TermsUpdates.WithLabelValues(metrics.TermsAccepted).Inc()
		for role, is := range said.Terms {
			// Only a REVIVE brings the offers before the next allocation that it admits now.
			d := m.demands[role]
			if d != nil && d.Offering() && b.revivedAt[role].Before(sent) && !is.Equal(b.book.Told(role)) {
				d.Reopen()
			}
		}
		b.book.Accepted(said, now)
	case errors.Is(err, mesos.ErrTermsRefused):
		metrics.TermsUpdates.WithLabelValues(metrics.TermsRefused).Inc()
		m.logger.Error(err, "The Mesos master refused the terms on which offers are wanted; asking without them for a while")
		b.book.Refused(said, err.Error(), now)
	default:
		metrics.TermsUpdates.WithLabelValues(metrics.TermsFailed).Inc()
		b.book.Failed(said, now)
	}
}
