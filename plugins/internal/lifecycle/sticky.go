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
	"maps"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// anyRole is Mesos' default role, which nothing can be reserved for.
const anyRole = "*"

var (
	errNotSticky = errors.New("annotation " + reservations.Annotation + " asks for a reservation, which this scheduler does not make (argument reservations.sticky)")
	errRiding    = errors.New("annotation " + reservations.Annotation + " asks for a reservation of revocable resources, which Mesos does not make")
	errAnyRole   = errors.New("annotation " + reservations.Annotation + " asks for a reservation, and the namespace has only the role *, for which Mesos makes none")
)

// keep completes the plan of a pod that wants a reservation of its own.
func (m *Manager) keep(pod *v1.Pod, p *Plan) error {
	if !reservations.Asked(pod) {
		return nil
	}
	owner, err := reservations.OwnerOf(pod)
	switch {
	case err != nil:
		return err
	case !m.cfg.Pods.Sticky:
		return errNotSticky
	case p.Want.Revocable == offers.RevocableRequired:
		return errRiding
	}
	// It has its own reservation and makes what it lacks of it, whatever the order.
	p.Want.Revocable, p.Want.Order = offers.RevocableNever, offers.ReservedFirst
	p.owner, p.Want.Owner = owner, owner.Key()
	if p.Roles = slices.DeleteFunc(slices.Clone(p.Roles), func(role string) bool { return role == anyRole }); len(p.Roles) == 0 {
		return errAnyRole
	}
	return nil
}

// WantIn returns what the pod wants of offers for one of its roles.
func (m *Manager) WantIn(p *Plan, role string) offers.Want {
	want := p.Want
	if p.lasts > 0 {
		want.Until = time.Now().Add(p.lasts)
	}
	if want.Owner != "" {
		want.Reserve = reservations.Flavour(m.frameworkID(), role, m.cfg.Principal, p.owner)
	}
	return want
}

// frameworkID is who we are. It takes no lock.
func (m *Manager) frameworkID() string {
	if id := m.identity.Load(); id != nil {
		return *id
	}
	return ""
}

// classify tells the cache whose a reservation is.
func (m *Manager) classify(f *resources.Flavour) (owner string, usable bool) {
	return reservations.Classify(f, m.frameworkID())
}

// Home is where the pod's own reservation is.
type Home struct {
	// Known is false as long as it is not known whether there is one.
	Known bool
	// Places are the nodes that have one, the best first: the pod must go there.
	Places []Place
	// Lost tells that there is one on an agent that is no node now.
	Lost bool
}

// Place is a node and the role in which it is looked at.
type Place struct{ Role, Node string }

// HomeOf returns where the reservation of a pod is that wants one.
func (m *Manager) HomeOf(p *Plan) (h Home) {
	h.Known = m.cfg.Registry.Synced()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, role := range p.Roles {
		for _, agent := range m.cfg.Registry.Agents(p.Want.Owner, role) {
			if node := m.nodes.NodeOf(agent); node != "" {
				h.Places = append(h.Places, Place{Role: role, Node: node})
			} else {
				h.Lost = true
			}
		}
	}
	return h
}

// homeIn returns how many of its roles a pod must ask in to be offered what is
// reserved for it, zero if nothing is.
func (m *Manager) homeIn(p *Plan) int {
	if p.Want.Owner == "" {
		return 0
	}
	for i := len(p.Roles); i > 0; i-- {
		if len(m.cfg.Registry.Agents(p.Want.Owner, p.Roles[i-1])) > 0 {
			return i
		}
	}
	return 0
}

// dueIn returns the parts of an offer that are to be given back now. What the master
// did not take back is left alone for a while: pods could never use the rest of the
// agent. The mutex is held.
func (m *Manager) dueIn(agentID string, special []resources.Portion, now time.Time) (due []resources.Portion) {
	for _, p := range special {
		if p.Flavour.Reserved() != nil && m.cfg.Registry.Release(agentID, p) && m.returns.left(returnKey(agentID, p), now) == 0 {
			due = append(due, p)
		}
	}
	return due
}

func returnKey(agentID string, p resources.Portion) string { return agentID + " " + p.Flavour.String() }

// ownersIn returns the sleeping pods for which parts of an offer are reserved. The
// mutex is held.
func (m *Manager) ownersIn(special []resources.Portion) (uids []string) {
	for _, p := range special {
		if p.Flavour.Reserved() == nil {
			continue
		}
		owner, _ := m.classify(p.Flavour)
		uid, some := m.owners[owner]
		if pod := m.pods[uid]; owner != "" && some && pod != nil && pod.asleep {
			m.unpark(uid)
			uids = append(uids, uid)
		}
	}
	return uids
}

// reserves tells whether anything of it is reserved.
func reserves(special []resources.Portion) bool {
	return slices.ContainsFunc(special, func(p resources.Portion) bool { return p.Flavour.Reserved() != nil })
}

// giveBack spends an offer on giving back what is reserved in it. The rest of the
// offer is offered again. The mutex is held.
func (m *Manager) giveBack(offerID, agentID, role string, due []resources.Portion, now time.Time) {
	m.cfg.Registry.OfferGone(offerID)
	for _, p := range due {
		m.returns.failed(returnKey(agentID, p), now)
	}
	m.logger.Info("Giving reserved resources back", "agent", agentID, "role", role, "resources", portionTexts(due))
	generation := m.generation
	m.calls.add(func(ctx context.Context) {
		if !m.current(generation) {
			return
		}
		err := m.session().Unreserve(ctx, mesos.UnreserveCall{OfferIDs: []string{offerID}, AgentID: agentID, Role: role, Portions: due})
		if err != nil {
			m.logger.Info("Could not give reserved resources back; it is tried again with the next offer", "agent", agentID, "role", role, "err", err)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.declineLocked([]string{offerID}, 0, "Unreserve")
			return
		}
		for _, p := range due {
			m.cfg.Registry.Unreserved(agentID, p, time.Now())
		}
	})
}

// seek asks for offers in the roles in which something is to be given back. The
// mutex is held.
func (m *Manager) seek(now time.Time) {
	wanted := m.cfg.Registry.Wanted()
	m.useRoles(seeker, slices.Sorted(maps.Keys(wanted)), now)
	for role := range wanted {
		m.demandOf(role).Seek(true, now)
	}
	for role, d := range m.demands {
		if !wanted[role] {
			d.Seek(false, now)
		}
	}
}

// listReservations takes in what the agents have reserved. With the first list, pods
// that wait to know where their reservation is are tried again.
func (m *Manager) listReservations(begun time.Time, list []mesos.Agent, first bool) {
	agents := make([]reservations.Agent, 0, len(list))
	reserved := map[string]bool{}
	for _, a := range list {
		agent := reservations.Agent{ID: a.ID, Used: a.Used}
		for _, r := range a.Reserved {
			agent.Reserved = append(agent.Reserved, resources.Portion{Flavour: r.Flavour, Bundle: r.Bundle})
			reserved[r.Role] = true
		}
		agents = append(agents, agent)
	}
	m.cfg.Registry.Listed(begun, agents)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reserved = reserved
	if first {
		// A cycle that looked before must not put its pod to sleep.
		m.freedCount.Add(1)
		m.told = append(m.told, m.wakeAll()...)
		m.kick()
	}
}

// reservedFor tells whether anything is reserved for the role or a role above it, as
// far as is known. The mutex is held.
func (m *Manager) reservedFor(role string) bool {
	for {
		if m.reserved[role] {
			return true
		}
		at := strings.LastIndexByte(role, '/')
		if at < 0 {
			return false
		}
		role = role[:at]
	}
}

// seeker is the user of roles that is no pod.
const seeker = "reservations"

// madeReservations notes what a confirmed launch reserved or found reserved.
func (m *Manager) madeReservations(c *claims.Claim, now time.Time) {
	byKey := map[string]resources.Portion{}
	for _, p := range c.Parts {
		if p.Flavour.Reserved() == nil {
			continue
		}
		key, usable := m.classify(p.Flavour)
		if !usable || key == "" {
			continue
		}
		sum := byKey[key]
		sum.Flavour, sum.Bundle = p.Flavour, sum.Bundle.Add(p.Bundle)
		byKey[key] = sum
	}
	for _, p := range byKey {
		m.cfg.Registry.Made(c.AgentID, p, now)
	}
}
