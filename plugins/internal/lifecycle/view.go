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

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// View is the state of the manager for people: the debug pages are its JSON.
type View struct {
	Connected   bool              `json:"connected"`
	FrameworkID string            `json:"frameworkID,omitempty"`
	Master      string            `json:"master,omitempty"`
	Role        string            `json:"role"`
	Asked       demand.Asked      `json:"asked"`
	PodsWaiting int               `json:"podsWaiting"`
	PodsParked  int               `json:"podsParked"`
	Nodes       int               `json:"nodes"`
	AgentsKnown bool              `json:"agentsKnown"`
	Ambiguous   []nodes.Ambiguity `json:"ambiguous,omitempty"`
	Agents      []AgentView       `json:"agents"`
	Claims      []ClaimView       `json:"claims"`
	Orphans     int               `json:"orphans"`
	Unanswered  int               `json:"unanswered"`
	Reconciled  time.Time         `json:"reconcileBegan,omitzero"`
}

// AgentView is one agent.
type AgentView struct {
	AgentID  string    `json:"agentID"`
	Hostname string    `json:"hostname"`
	Node     string    `json:"node,omitempty"`
	Offers   []string  `json:"offers,omitempty"`
	Offered  string    `json:"offered,omitempty"`
	Reserved string    `json:"reserved,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// ClaimView is one claim.
type ClaimView struct {
	TaskID  string       `json:"taskID"`
	Pod     string       `json:"pod"`
	Node    string       `json:"node,omitempty"`
	AgentID string       `json:"agentID,omitempty"`
	Need    string       `json:"need"`
	Phase   claims.Phase `json:"phase"`
	Since   time.Time    `json:"since"`
	Bound   bool         `json:"bound"`
	State   string       `json:"state,omitempty"`
	Message string       `json:"message,omitempty"`
}

// View copies the state.
func (m *Manager) View() View {
	agents := m.cache.View()
	m.mu.Lock()
	defer m.mu.Unlock()
	v := View{
		Connected: m.subscribed, FrameworkID: m.subscription.FrameworkID, Role: m.cfg.Role, Asked: m.demand.Asked(),
		Nodes: m.nodes.Count().Nodes, AgentsKnown: m.agentsKnown, Ambiguous: m.nodes.Ambiguities(), Orphans: m.ledger.Orphans(),
		Agents: []AgentView{}, Claims: []ClaimView{},
	}
	if m.subscribed {
		v.Master = m.subscription.Master
	}
	v.PodsWaiting, v.PodsParked = m.demand.Pods()
	v.Unanswered, v.Reconciled = m.ledger.Unanswered()
	for _, a := range agents {
		av := AgentView{AgentID: a.AgentID, Hostname: a.Hostname, Node: a.Node, Offers: a.Offers, Since: a.HeldSince}
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
			Need: c.Need.String(), Phase: c.Phase, Since: c.Since, Bound: c.Bound,
			State: string(c.Status.State), Message: c.Status.Message,
		})
	})
	slices.SortFunc(v.Agents, func(a, b AgentView) int { return cmp.Compare(a.Hostname, b.Hostname) })
	slices.SortFunc(v.Claims, func(a, b ClaimView) int { return cmp.Compare(a.TaskID, b.TaskID) })
	return v
}

// Gauges implements metrics.Source.
func (m *Manager) Gauges() metrics.Gauges {
	g := metrics.Gauges{Claims: map[string]int{}, Offered: map[string]float64{}, Claimed: map[string]float64{}}
	var offered resources.Vector
	g.OffersHeld, offered = m.cache.Totals()
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
	g.PodsWaiting, g.PodsParked = m.demand.Pods()
	g.Suppressed = m.demand.Asked() == demand.Suppressed
	counts := m.nodes.Count()
	g.NodesPaired, g.NodesAmbiguous = counts.Pairs, counts.AmbiguousNodes
	g.Orphans = m.ledger.Orphans()
	g.Unanswered, _ = m.ledger.Unanswered()
	return g
}
