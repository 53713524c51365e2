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

// Package nodes decides which Mesos agent is which Kubernetes node.
//
// A node names its agent by host: the label kube-mesos.io/agent-hostname, or
// else the node's own name. An agent names its host by --hostname. One node and
// one agent of the same host are a pair; everything else is no pair, so that no
// pod ever lands on a machine whose resources were not the ones accepted.
package nodes

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// HostnameLabel on a node overrides the host name of its agent, where that
// differs from the node's name.
const HostnameLabel = "kube-mesos.io/agent-hostname"

// HostOf returns the host name under which a node's agent must register.
func HostOf(node *v1.Node) string {
	if host := node.Labels[HostnameLabel]; host != "" {
		return Canonical(host)
	}
	return Canonical(node.Name)
}

// Canonical folds what DNS folds: case and a trailing dot. Hosts are the same if that
// makes them equal.
func Canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// Change says that an agent is the given node from now on, or no usable node.
type Change struct{ AgentID, Node string }

// Map pairs nodes and agents. It is not safe for concurrent use.
type Map struct {
	hosts  map[string]*host
	nodes  map[string]string
	agents map[string]string
	// pairs, ambiguous hosts and their nodes are counted as they change: they are
	// asked for with every offer.
	pairs, ambiguousNodes int
	ambiguous             map[string]*host
}

type host struct {
	nodes, agents []string
	// paired is the agent that was told to be a node.
	paired, node string
	// pairs and ambiguousNodes are the host's part of the Map's counts.
	pairs, ambiguousNodes int
}

// NewMap returns an empty map.
func NewMap() *Map {
	return &Map{hosts: map[string]*host{}, nodes: map[string]string{}, agents: map[string]string{}, ambiguous: map[string]*host{}}
}

// SetNode adds a node, or moves it to another host.
func (m *Map) SetNode(name, hostname string) []Change {
	hostname = Canonical(hostname)
	if old, ok := m.nodes[name]; ok && old == hostname {
		return nil
	}
	changes := m.DeleteNode(name)
	m.nodes[name] = hostname
	h := m.host(hostname)
	h.nodes = append(h.nodes, name)
	return append(changes, m.pair(hostname, h)...)
}

// DeleteNode removes a node.
func (m *Map) DeleteNode(name string) []Change {
	hostname, ok := m.nodes[name]
	if !ok {
		return nil
	}
	delete(m.nodes, name)
	h := m.hosts[hostname]
	h.nodes = slices.DeleteFunc(h.nodes, func(n string) bool { return n == name })
	return m.shrunk(hostname, h)
}

// SetAgent adds an agent, or moves it to another host. The changes are in an
// order in which no node ever has two agents.
func (m *Map) SetAgent(id, hostname string) []Change {
	hostname = Canonical(hostname)
	if old, ok := m.agents[id]; ok && old == hostname {
		return nil
	}
	var changes []Change
	if m.NodeOf(id) != "" {
		// Withdrawn first: what it leaves may become another agent's at once.
		changes = append(changes, Change{AgentID: id})
	}
	changes = append(changes, m.DeleteAgent(id)...)
	m.agents[id] = hostname
	h := m.host(hostname)
	h.agents = append(h.agents, id)
	return append(changes, m.pair(hostname, h)...)
}

// DeleteAgent removes an agent. The changes are about other agents; the removed
// one is no node any more.
func (m *Map) DeleteAgent(id string) []Change {
	hostname, ok := m.agents[id]
	if !ok {
		return nil
	}
	delete(m.agents, id)
	h := m.hosts[hostname]
	h.agents = slices.DeleteFunc(h.agents, func(a string) bool { return a == id })
	if h.paired == id {
		h.paired, h.node = "", ""
	}
	return m.shrunk(hostname, h)
}

// ClearAgents removes all agents, as the end of a subscription does: none is a
// node any more.
func (m *Map) ClearAgents() {
	for id := range m.agents {
		m.DeleteAgent(id)
	}
}

// Agents lists the ids of all known agents, in no order.
func (m *Map) Agents() []string { return slices.Collect(maps.Keys(m.agents)) }

// NodeOf returns the node an agent is paired with, or "".
func (m *Map) NodeOf(agentID string) string {
	if h := m.hosts[m.agents[agentID]]; h != nil && h.paired == agentID {
		return h.node
	}
	return ""
}

// AgentOf returns the agent a node is paired with, or "".
func (m *Map) AgentOf(node string) string {
	if h := m.hosts[m.nodes[node]]; h != nil && h.node == node {
		return h.paired
	}
	return ""
}

// Counts are for reasons and metrics.
type Counts struct {
	// Nodes and Agents are all known ones, Pairs those that belong together.
	Nodes, Agents, Pairs int
	// AmbiguousNodes are nodes whose host has several nodes or agents.
	AmbiguousNodes int
}

// Count returns the counts, at no cost.
func (m *Map) Count() Counts {
	return Counts{Nodes: len(m.nodes), Agents: len(m.agents), Pairs: m.pairs, AmbiguousNodes: m.ambiguousNodes}
}

// Ambiguity is a host that several nodes or agents claim.
type Ambiguity struct {
	Hostname      string
	Nodes, Agents []string
}

// Ambiguities lists the hosts whose nodes are not used because several nodes or
// agents claim them, by host name.
func (m *Map) Ambiguities() []Ambiguity {
	var out []Ambiguity
	for name, h := range m.ambiguous {
		out = append(out, Ambiguity{Hostname: name, Nodes: slices.Sorted(slices.Values(h.nodes)), Agents: slices.Sorted(slices.Values(h.agents))})
	}
	slices.SortFunc(out, func(a, b Ambiguity) int { return cmp.Compare(a.Hostname, b.Hostname) })
	return out
}

// Ambiguous tells whether a node is not used because its host is ambiguous.
func (m *Map) Ambiguous(node string) bool {
	hostname, ok := m.nodes[node]
	if !ok {
		return false
	}
	h := m.hosts[hostname]
	return len(h.agents) > 0 && h.paired == ""
}

func (m *Map) host(name string) *host {
	h := m.hosts[name]
	if h == nil {
		h = &host{}
		m.hosts[name] = h
	}
	return h
}

func (m *Map) shrunk(name string, h *host) []Change {
	if len(h.nodes) == 0 && len(h.agents) == 0 {
		delete(m.hosts, name)
	}
	return m.pair(name, h)
}

// pair decides the host anew and counts it.
func (m *Map) pair(name string, h *host) []Change {
	changes := h.pair()
	m.pairs, m.ambiguousNodes = m.pairs-h.pairs, m.ambiguousNodes-h.ambiguousNodes
	h.pairs, h.ambiguousNodes = 0, 0
	delete(m.ambiguous, name)
	switch {
	case h.paired != "":
		h.pairs = 1
	case len(h.nodes) > 0 && len(h.agents) > 0:
		h.ambiguousNodes = len(h.nodes)
		m.ambiguous[name] = h
	}
	m.pairs, m.ambiguousNodes = m.pairs+h.pairs, m.ambiguousNodes+h.ambiguousNodes
	return changes
}

// pair decides the host anew and returns what changed for its agents.
func (h *host) pair() []Change {
	agent, node := "", ""
	if len(h.nodes) == 1 && len(h.agents) == 1 {
		agent, node = h.agents[0], h.nodes[0]
	}
	if agent == h.paired && node == h.node {
		return nil
	}
	var changes []Change
	if h.paired != "" && h.paired != agent {
		changes = append(changes, Change{AgentID: h.paired})
	}
	if agent != "" {
		changes = append(changes, Change{AgentID: agent, Node: node})
	}
	h.paired, h.node = agent, node
	return changes
}
