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
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Assumed is what a dry run assumes of a node beside its offers.
type Assumed struct {
	// Given is what pods assumed gone give back of the node's agent.
	Given []resources.Portion
	// Taken is what pods assumed there will need.
	Taken resources.Bundle
}

// givesBack tells whether Mesos gets something back, and may offer it, when the
// claim's pod ends: not while the agent is away, and not what comes back anyway.
func givesBack(c *claims.Claim) bool {
	switch c.Phase {
	case claims.Reserved, claims.Launching, claims.Held, claims.Recovering:
		return c.Status.State != claims.TaskKilling
	}
	return false
}

// partsOf returns what a claim holds. Of a claim from before a restart the flavours
// are not known: it counts as unreserved.
func partsOf(c *claims.Claim) []resources.Portion {
	if c.Parts == nil {
		return []resources.Portion{{Bundle: c.Need}}
	}
	return c.Parts
}

// HeldAt returns what Mesos would get back of the node's agent if the pod ended:
// what its claim and its further claims really hold there. holds is false if it has no
// claim there at all.
func (m *Manager) HeldAt(pod *v1.Pod, node string) (held []resources.Portion, holds bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	uid := string(pod.UID)
	list := m.ledger.Extras(uid)
	if main := m.ledger.ByPod(uid); main != nil {
		list = append(list, main)
	}
	now := time.Now()
	for _, c := range list {
		if c.Node != node || m.nodes.NodeOf(c.AgentID) != node {
			continue
		}
		holds = true
		if givesBack(c) && m.penalties.left(c.AgentID, now) <= 0 {
			held = append(held, partsOf(c)...)
		}
	}
	return held, holds
}

// Preemptable returns the nodes on which the pod would fit, in the role, if pods of
// ours of lower priority ended that have claims there. A node is not among them that
// will do without, as soon as Mesos offers what ended already.
func (m *Manager) Preemptable(pod *v1.Pod, role string, want *offers.Want) map[string]bool {
	if !mayPreempt(pod) {
		return nil
	}
	given, coming := m.byVictims(priorityOf(pod))
	found := map[string]bool{}
	for node, parts := range given {
		if late := coming[node]; late != nil {
			if verdict, _ := m.FitsAssuming(node, role, want, &Assumed{Given: late}); verdict == offers.Fitting {
				continue
			}
		}
		if verdict, _ := m.FitsAssuming(node, role, want, &Assumed{Given: parts}); verdict == offers.Fitting {
			found[node] = true
		}
	}
	return found
}

// byVictims returns, by node, what pods of a lower priority would give back, and what
// comes back because its pod ends or has ended.
func (m *Manager) byVictims(below int32) (given, coming map[string][]resources.Portion) {
	given, coming = map[string][]resources.Portion{}, map[string][]resources.Portion{}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.ledger.All(func(c *claims.Claim) {
		p := m.pods[c.Pod.UID]
		if c.Node == "" || m.nodes.NodeOf(c.AgentID) != c.Node || m.penalties.left(c.AgentID, now) > 0 {
			return
		}
		ending := c.Phase == claims.Releasing || c.Status.State == claims.TaskKilling && c.Phase == claims.Held
		if ending || p != nil && givesBack(c) && p.pod.DeletionTimestamp != nil {
			coming[c.Node] = append(coming[c.Node], partsOf(c)...)
		}
		if p != nil && givesBack(c) && priorityOf(p.pod) < below {
			given[c.Node] = append(given[c.Node], partsOf(c)...)
		}
	})
	return given, coming
}

// FitsAssuming is offers.Role.Fits for a node of which more, or less, is assumed than
// is offered. A node without an offer is judged by what is assumed alone.
func (m *Manager) FitsAssuming(node, role string, want *offers.Want, a *Assumed) (offers.Verdict, string) {
	slot, r := m.index.LookupName(node), m.cache.Role(role)
	with := *want
	with.Need = want.Need.Add(a.Taken)
	verdict, lacks := r.Fits(slot, &with)
	if verdict == offers.Fitting || verdict == offers.NotAgent || verdict == offers.Kept || slot == nodes.NoSlot {
		return verdict, lacks
	}
	regular, revocable := m.usableOf(a.Given, role, want)
	regular = m.lessWithheld(regular, node, slot, r)
	if m.cfg.KeepGPUs && with.Need.Vector[resources.GPU] == 0 && holdsGPUs(a.Given) {
		return offers.Kept, ""
	}
	if suffices(regular, revocable, &with) {
		return offers.Fitting, ""
	}
	if verdict != offers.ShortOf || want.Revocable == offers.RevocableRequired {
		return verdict, lacks
	}
	// The pools that the want may use stand in for one another.
	for i := range regular {
		with.Need = with.Need.Missing(regular[i].Bundle)
	}
	with.Revocable = offers.RevocableNever
	if still, of := r.Fits(slot, &with); still != offers.ShortOf {
		return still, of
	}
	return verdict, lacks
}

// suffices tells whether these resources alone are enough.
func suffices(regular []resources.Portion, revocable resources.Bundle, want *offers.Want) bool {
	if want.Revocable != offers.RevocableRequired {
		if _, short := resources.Split(regular, want.Need); short == "" {
			return true
		}
	}
	if want.Revocable == offers.RevocableNever {
		return false
	}
	_, short := resources.SplitRiding(revocable, regular, want.Need)
	return short == ""
}

// usableOf returns which of the resources, once given back, Mesos may offer to the
// role and the want may use: unreserved ones go to any role, reserved ones to that
// role and those below it.
func (m *Manager) usableOf(given []resources.Portion, role string, want *offers.Want) (regular []resources.Portion, revocable resources.Bundle) {
	var unreserved resources.Bundle
	for i := range given {
		part := &given[i]
		reserved := part.Flavour.Reserved()
		switch {
		case part.Flavour.IsRevocable():
			if reserved == nil {
				revocable = revocable.Add(part.Bundle)
			}
		case reserved == nil:
			if want.Order != offers.ReservedOnly {
				unreserved = unreserved.Add(part.Bundle)
			}
		case role == reserved.Role || strings.HasPrefix(role, reserved.Role+"/"):
			owner, usable := m.classify(part.Flavour)
			if usable && (owner == "" && want.Reserve == nil || owner != "" && owner == want.Owner) {
				regular = append(regular, *part)
			}
		}
	}
	return append(regular, resources.Portion{Bundle: unreserved}), revocable
}

// lessWithheld takes off the unreserved portion, which is the last, what must not be
// used of the node's agent and is not taken off its offers: as far as these have
// nothing free, that may be all of it.
func (m *Manager) lessWithheld(regular []resources.Portion, node string, slot int32, r *offers.Role) []resources.Portion {
	m.mu.Lock()
	withheld := m.withheld[node]
	m.mu.Unlock()
	if withheld.IsZero() {
		return regular
	}
	free, _ := r.FreeOf(slot)
	unreserved := &regular[len(regular)-1].Bundle
	for kind, amount := range withheld {
		if free.Regular[kind] == 0 && amount > 0 {
			unreserved.Vector[kind] = max(unreserved.Vector[kind]-amount, 0)
		}
	}
	return regular
}

func holdsGPUs(parts []resources.Portion) bool {
	for i := range parts {
		if parts[i].Bundle.Vector[resources.GPU] > 0 {
			return true
		}
	}
	return false
}

// FreeOf returns what a node's agent has to give to pods of ours, in the role in
// which that is the most of each resource.
func (m *Manager) FreeOf(node string) (most resources.Vector) {
	slot := m.index.LookupName(node)
	m.cache.Roles(func(r *offers.Role) {
		if free, ok := r.FreeOf(slot); ok {
			most = most.Max(free.All)
		}
	})
	return most
}
