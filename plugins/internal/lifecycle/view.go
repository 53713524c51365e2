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
	"maps"
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// View is the state of the manager for people: the debug pages are its JSON.
type View struct {
	Connected   bool              `json:"connected"`
	FrameworkID string            `json:"frameworkID,omitempty"`
	Master      string            `json:"master,omitempty"`
	Roles       []RoleView        `json:"roles"`
	PodsWaiting int               `json:"podsWaiting"`
	PodsParked  int               `json:"podsParked"`
	Nodes       int               `json:"nodes"`
	AgentsKnown bool              `json:"agentsKnown"`
	Ambiguous   []nodes.Ambiguity `json:"ambiguous,omitempty"`
	Agents      []AgentView       `json:"agents"`
	Claims      []ClaimView       `json:"claims"`
	// Reservations are those of single pods.
	Reservations []reservations.Status `json:"reservations"`
	Orphans      int                   `json:"orphans"`
	Unanswered   int                   `json:"unanswered"`
	Reconciled   time.Time             `json:"reconcileBegan,omitzero"`
}

// RoleView is one role that pods use.
type RoleView struct {
	Role string `json:"role"`
	// Asked is what the master was last asked to do for it.
	Asked       demand.Asked `json:"asked"`
	Subscribed  bool         `json:"subscribed"`
	Problem     string       `json:"problem,omitempty"`
	PodsWaiting int          `json:"podsWaiting"`
	PodsParked  int          `json:"podsParked"`
}

// AgentView is one agent, or what it offers to one role.
type AgentView struct {
	AgentID  string   `json:"agentID"`
	Hostname string   `json:"hostname"`
	Node     string   `json:"node,omitempty"`
	Role     string   `json:"role,omitempty"`
	Offers   []string `json:"offers,omitempty"`
	Offered  string   `json:"offered,omitempty"`
	// Flavours is what of it is no plain scalar.
	Flavours []string  `json:"flavours,omitempty"`
	Withheld string    `json:"withheld,omitempty"`
	Reserved string    `json:"reserved,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// ClaimView is one claim.
type ClaimView struct {
	TaskID  string       `json:"taskID"`
	Pod     string       `json:"pod"`
	Node    string       `json:"node,omitempty"`
	AgentID string       `json:"agentID,omitempty"`
	Role    string       `json:"role,omitempty"`
	Need    string       `json:"need"`
	Parts   []string     `json:"parts,omitempty"`
	Phase   claims.Phase `json:"phase"`
	Since   time.Time    `json:"since"`
	Bound   bool         `json:"bound"`
	Extra   bool         `json:"extra,omitempty"`
	State   string       `json:"state,omitempty"`
	Message string       `json:"message,omitempty"`
}

// View copies the state.
func (m *Manager) View() View {
	agents, reserved := m.cache.View(), m.cfg.Registry.All(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	v := View{
		Connected: m.subscribed, FrameworkID: m.subscription.FrameworkID, Roles: m.roleViews(),
		Nodes: m.nodes.Count().Nodes, AgentsKnown: m.agentsKnown, Ambiguous: m.nodes.Ambiguities(), Orphans: m.ledger.Orphans(),
		Agents: []AgentView{}, Claims: []ClaimView{}, Reservations: reserved,
	}
	if m.subscribed {
		v.Master = m.subscription.Master
	}
	v.PodsWaiting, v.PodsParked = m.waiting()
	v.Unanswered, v.Reconciled = m.ledger.Unanswered()
	for _, a := range agents {
		av := AgentView{AgentID: a.AgentID, Hostname: a.Hostname, Node: a.Node, Role: a.Role, Offers: a.Offers, Flavours: portionTexts(a.Flavours), Since: a.HeldSince}
		if !a.Withheld.IsZero() {
			av.Withheld = a.Withheld.String()
		}
		if len(a.Offers) > 0 {
			av.Offered = a.Offered.String()
		}
		if len(a.Batch) > 0 {
			av.Reserved = a.Reserved.String()
		}
		v.Agents = append(v.Agents, av)
	}
	m.ledger.All(func(c *claims.Claim) {
		v.Claims = append(v.Claims, ClaimView{
			TaskID: c.TaskID, Pod: c.Pod.Namespace + "/" + c.Pod.Name, Node: c.Node, AgentID: c.AgentID,
			Role: c.Role, Need: c.Need.String(), Parts: portionTexts(c.Parts), Phase: c.Phase, Since: c.Since, Bound: c.Bound, Extra: c.Extra,
			State: string(c.Status.State), Message: c.Status.Message,
		})
	})
	slices.SortFunc(v.Agents, func(a, b AgentView) int {
		return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.Role, b.Role))
	})
	slices.SortFunc(v.Claims, func(a, b ClaimView) int { return cmp.Compare(a.TaskID, b.TaskID) })
	return v
}

func portionTexts(portions []resources.Portion) (texts []string) {
	for _, p := range portions {
		texts = append(texts, p.Flavour.String()+" "+p.Bundle.String())
	}
	return texts
}

// roleViews copies the state of the roles. The mutex is held.
func (m *Manager) roleViews() []RoleView {
	views := []RoleView{}
	for _, role := range slices.Sorted(maps.Keys(m.demands)) {
		d := m.demands[role]
		v := RoleView{Role: role, Asked: d.Asked(), Subscribed: m.known[role], Problem: m.subs.Problem(role)}
		v.PodsWaiting, v.PodsParked = d.Pods()
		views = append(views, v)
	}
	return views
}

// Gauges implements metrics.Source.
func (m *Manager) Gauges() metrics.Gauges {
	g := metrics.Gauges{Claims: map[string]int{}, Offered: map[string]float64{}, Claimed: map[string]float64{}}
	var offered resources.Vector
	g.OffersHeld, offered = m.cache.Totals()
	g.Reservations = m.cfg.Registry.Counts(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range claims.Phases {
		g.Claims[string(p)] = m.ledger.Count(p)
	}
	claimed := m.ledger.Claimed()
	for k := resources.Kind(0); k < resources.NumKinds; k++ {
		g.Offered[k.MesosName()] = resources.ToMesosScalar(offered[k])
		g.Claimed[k.MesosName()] = resources.ToMesosScalar(claimed[k])
	}
	g.PodsWaiting, g.PodsParked = m.waiting()
	g.Suppressed = m.subscribed
	for role := range m.known {
		d := m.demands[role]
		g.Suppressed = g.Suppressed && (d == nil || d.Asked() == demand.Suppressed)
	}
	counts := m.nodes.Count()
	g.NodesPaired, g.NodesAmbiguous = counts.Pairs, counts.AmbiguousNodes
	g.Orphans = m.ledger.Orphans()
	g.Unanswered, _ = m.ledger.Unanswered()
	return g
}

// OfNamespace returns what the claims of a namespace hold, of all flavours.
func (m *Manager) OfNamespace(namespace string) (sum resources.Bundle) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ledger.All(func(c *claims.Claim) {
		if c.Pod.Namespace == namespace && c.Phase != claims.Lost {
			sum = sum.Add(c.Need)
		}
	})
	return sum
}

// AgentOf returns the agent of a node, "" if it has none now.
func (m *Manager) AgentOf(node string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodes.AgentOf(node)
}

// RolesOf returns the roles of a namespace.
func (m *Manager) RolesOf(namespace string) []string {
	assigned, _ := m.namespaces.Of(namespace)
	return assigned.Roles
}
