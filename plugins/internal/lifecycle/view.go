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
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
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
	// OffersHeld counts the offers held, OldestSeconds is the age of the oldest.
	OffersHeld    int     `json:"offersHeld"`
	OldestSeconds float64 `json:"oldestOfferSeconds"`

	held, unused map[string]float64
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
	// OffersHeld counts the offers held for it, Predicted the agents that are expected
	// to offer again what an ACCEPT left over, Promised the pods that wait for that.
	OffersHeld int `json:"offersHeld"`
	Predicted  int `json:"predicted,omitempty"`
	Promised   int `json:"promised,omitempty"`
	// Demand is what is wanted, and how.
	Demand demand.Status `json:"demand"`
	// Terms is what the master was told of the offers wanted, Wanted what it is to be
	// told if that differs.
	Terms  TermsView  `json:"terms"`
	Wanted *TermsView `json:"wantedTerms,omitempty"`
}

// TermsView are terms for people.
type TermsView struct {
	// Constraints are alternatives, each a list of conditions; none admit every agent.
	Constraints [][]string `json:"constraints,omitempty"`
	// Min is the least offer, "" if that is left to the master.
	Min string `json:"minAllocatable,omitempty"`
}

func viewOf(t terms.Terms) (v TermsView) {
	for _, group := range t.Constraints {
		var texts []string
		for _, c := range group {
			name := c.Attribute
			if name == "" {
				name = "HOSTNAME"
			}
			texts = append(texts, strings.TrimSpace(name+" "+string(c.Op)+" "+c.Value))
		}
		v.Constraints = append(v.Constraints, texts)
	}
	if t.Min != nil {
		v.Min = t.Min.String()
	}
	return v
}

// OffersView is the page about offers.
type OffersView struct {
	// Held counts the offers held, OldestSeconds is the age of the oldest.
	Held          int     `json:"held"`
	OldestSeconds float64 `json:"oldestSeconds"`
	// HeldResourceSeconds and UnusedResourceSeconds are amounts times the time they were
	// held, by Mesos resource, since the start; their quotient is what was wasted.
	HeldResourceSeconds   map[string]float64 `json:"heldResourceSeconds"`
	UnusedResourceSeconds map[string]float64 `json:"unusedResourceSeconds"`
	Roles                 []RoleView         `json:"roles"`
	Agents                []AgentView        `json:"agents"`
}

// Offers returns the part of the view about offers.
func (v *View) Offers() OffersView {
	return OffersView{
		Held: v.OffersHeld, OldestSeconds: v.OldestSeconds, HeldResourceSeconds: v.held, UnusedResourceSeconds: v.unused,
		Roles: v.Roles, Agents: v.Agents,
	}
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
	now := time.Now()
	agents, reserved := m.cache.View(), m.cfg.Registry.All(now)
	offersHeld, _ := m.cache.Totals()
	held, unused := m.usage(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	v := View{
		Connected: m.subscribed, FrameworkID: m.subscription.FrameworkID, Roles: m.roleViews(now),
		Nodes: m.nodes.Count().Nodes, AgentsKnown: m.agentsKnown, Ambiguous: m.nodes.Ambiguities(), Orphans: m.ledger.Orphans(),
		Agents: []AgentView{}, Claims: []ClaimView{}, Reservations: reserved,
		OffersHeld: offersHeld, OldestSeconds: m.cache.Oldest(now).Seconds(), held: held, unused: unused,
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
func (m *Manager) roleViews(now time.Time) []RoleView {
	views, offered := []RoleView{}, map[string]*offers.Role{}
	m.cache.Roles(func(r *offers.Role) { offered[r.Name()] = r })
	for _, role := range slices.Sorted(maps.Keys(m.demands)) {
		d := m.demands[role]
		v := RoleView{Role: role, Asked: d.Asked(), Subscribed: m.known[role], Problem: m.subs.Problem(role)}
		v.PodsWaiting, v.PodsParked = d.Pods()
		v.Demand = d.Status(now)
		told := m.bargain.book.Told(role)
		v.Terms = viewOf(told)
		if want := m.bargain.book.Current(role, now); !want.Equal(told) {
			wanted := viewOf(want)
			v.Wanted = &wanted
		}
		if r := offered[role]; r != nil {
			v.OffersHeld = r.Held()
			v.Predicted, v.Promised = r.Predicted()
		}
		views = append(views, v)
	}
	return views
}

// usage returns how much was held in offers for how long, by Mesos resource.
func (m *Manager) usage(now time.Time) (held, unused map[string]float64) {
	held, unused = map[string]float64{}, map[string]float64{}
	all, idle := m.cache.Usage(now)
	for k := resources.Kind(0); k < resources.NumKinds; k++ {
		held[k.MesosName()], unused[k.MesosName()] = all[k], idle[k]
	}
	return held, unused
}

// Gauges implements metrics.Source.
func (m *Manager) Gauges() metrics.Gauges {
	g := metrics.Gauges{Claims: map[string]int{}, Offered: map[string]float64{}, Claimed: map[string]float64{}}
	var offered resources.Vector
	g.OffersHeld, offered = m.cache.Totals()
	now := time.Now()
	g.Reservations = m.cfg.Registry.Counts(now)
	g.OldestOffer = m.cache.Oldest(now)
	g.HeldSeconds, g.UnusedSeconds = m.usage(now)
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
		quiet := d == nil || d.Asked() == demand.Suppressed
		g.Suppressed = g.Suppressed && quiet
		g.RolesSubscribed++
		if quiet {
			g.RolesSuppressed++
		}
		told := m.bargain.book.Told(role)
		if len(told.Constraints) > 0 {
			g.RolesConstrained++
		}
		if told.Min != nil {
			g.RolesWithMinimum++
		}
	}
	g.PodsStarving = m.starving(now)
	g.Leaving = m.leavingCounts(now)
	counts := m.nodes.Count()
	g.NodesPaired, g.NodesAmbiguous = counts.Pairs, counts.AmbiguousNodes
	g.Orphans = m.ledger.Orphans()
	reconciliation := m.ledger.Reconciliation()
	g.Unanswered = reconciliation.Open
	if !reconciliation.Ended.IsZero() {
		g.SinceReconciled = new(now.Sub(reconciliation.Ended))
	}
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
