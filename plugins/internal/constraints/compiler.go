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

package constraints

import (
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// Config holds the limits of a Compiler. Zero fields get the defaults.
type Config struct {
	// MaxHosts is how many host names constraints may hold, 256 by default.
	MaxHosts int
	// MaxKeys is about how many requirements are kept ready, 1024 by default. Others
	// are made anew when they are used.
	MaxKeys int
}

// Compiler knows nodes and agents and compiles what pods require of them. It is not
// safe for concurrent use.
type Compiler struct {
	cfg      Config
	nodes    map[string]*node
	agents   map[string]*agent
	hosts    map[string]*host
	complete bool
	// slots are the nodes by number, live the numbers that are one's; the others are
	// listed in free.
	slots []*node
	live  bits
	free  []int
	// generation counts changes, uses the use of requirements.
	generation, uses uint64
	requirements     map[string]*requirement
}

// node is what matters of a Kubernetes node.
type node struct {
	slot int
	// object holds name, labels and those taints that keep pods away.
	object *v1.Node
	host   *host
	// spelling is its agent's host name as the node has it.
	spelling string
}

// Agent is what matters of a Mesos agent.
type Agent struct {
	// Hostname is its --hostname, as it is spelled.
	Hostname string
	// Text holds its attributes of type TEXT. If there are several of a name, the
	// first counts: so it is for the master.
	Text map[string]string
	// NotText names its attributes of other types: in those the master sees every
	// value.
	NotText []string
	// Node is the Kubernetes node that it is, "" if it is none that can be used.
	Node string
}

func (a Agent) same(b Agent) bool {
	return a.Hostname == b.Hostname && a.Node == b.Node && maps.Equal(a.Text, b.Text) && slices.Equal(a.NotText, b.NotText)
}

type agent struct {
	Agent
	id   string
	host *host
}

// host is one host name, folded as nodes folds it, and who claims it.
type host struct {
	name   string
	nodes  []*node
	agents []*agent
	// past is how an agent that is gone spelled it. It is kept because agents come
	// back, and all go when the master does: what it was told need not change then.
	past string
	// stale tells that past is older than the last ClearAgents.
	stale bool
}

// NewCompiler returns a compiler that knows no nodes and no agents.
func NewCompiler(cfg Config) *Compiler {
	if cfg.MaxHosts <= 0 {
		cfg.MaxHosts = 256
	}
	if cfg.MaxKeys <= 0 {
		cfg.MaxKeys = 1024
	}
	return &Compiler{
		cfg: cfg, nodes: map[string]*node{}, agents: map[string]*agent{}, hosts: map[string]*host{},
		requirements: map[string]*requirement{},
	}
}

// Generation changes whenever Compile, Matches or Admits might answer otherwise.
func (c *Compiler) Generation() uint64 { return c.generation }

// SetNode adds a node or tells how it is now. The object is read, not kept.
func (c *Compiler) SetNode(object *v1.Node) {
	n := c.nodes[object.Name]
	taints, spelling := taintsOf(object), spellingOf(object)
	if n != nil && n.spelling == spelling && maps.Equal(n.object.Labels, object.Labels) && slices.EqualFunc(n.object.Spec.Taints, taints, sameTaint) {
		return
	}
	c.generation++
	if n == nil {
		n = &node{slot: c.slot()}
		c.slots[n.slot], c.nodes[object.Name] = n, n
		c.live.set(n.slot)
	} else {
		c.forget(n.slot)
	}
	n.object = &v1.Node{}
	n.object.Name, n.object.Labels, n.object.Spec.Taints = object.Name, maps.Clone(object.Labels), taints
	n.spelling = spelling
	if h := c.host(nodes.HostOf(object)); h != n.host {
		c.leave(n)
		n.host = h
		h.nodes = append(h.nodes, n)
	}
}

// spellingOf returns the host name of a node's agent as the node spells it.
func spellingOf(object *v1.Node) string {
	if name := object.Labels[nodes.HostnameLabel]; name != "" {
		return name
	}
	return object.Name
}

// taintsOf returns the taints that keep pods off a node. One that is marked as
// unschedulable is about to be tainted so, and treated like that by the scheduler.
func taintsOf(object *v1.Node) (taints []v1.Taint) {
	for _, t := range object.Spec.Taints {
		if keepsAway(&t) {
			taints = append(taints, v1.Taint{Key: t.Key, Value: t.Value, Effect: t.Effect})
		}
	}
	if object.Spec.Unschedulable {
		taints = append(taints, v1.Taint{Key: v1.TaintNodeUnschedulable, Effect: v1.TaintEffectNoSchedule})
	}
	return taints
}

func keepsAway(t *v1.Taint) bool {
	return t.Effect == v1.TaintEffectNoSchedule || t.Effect == v1.TaintEffectNoExecute
}

func sameTaint(a, b v1.Taint) bool {
	return a.Key == b.Key && a.Value == b.Value && a.Effect == b.Effect
}

// DeleteNode forgets a node.
func (c *Compiler) DeleteNode(name string) {
	n := c.nodes[name]
	if n == nil {
		return
	}
	c.generation++
	delete(c.nodes, name)
	c.leave(n)
	c.slots[n.slot] = nil
	c.live.clear(n.slot)
	c.free = append(c.free, n.slot)
	c.forget(n.slot)
}

// slot returns a number that no node has.
func (c *Compiler) slot() int {
	if last := len(c.free) - 1; last >= 0 {
		slot := c.free[last]
		c.free = c.free[:last]
		return slot
	}
	c.slots = append(c.slots, nil)
	return len(c.slots) - 1
}

// leave takes a node from its host.
func (c *Compiler) leave(n *node) {
	if h := n.host; h != nil {
		h.nodes = slices.DeleteFunc(h.nodes, func(other *node) bool { return other == n })
		n.host = nil
		c.drop(h)
	}
}

func (c *Compiler) host(name string) *host {
	h := c.hosts[name]
	if h == nil {
		h = &host{name: name}
		c.hosts[name] = h
	}
	return h
}

// drop forgets a host that nobody claims. While agents may be missing, one that an
// agent had before the agents were cleared is kept.
func (c *Compiler) drop(h *host) {
	if len(h.nodes) == 0 && len(h.agents) == 0 && (c.complete || h.past == "") {
		delete(c.hosts, h.name)
	}
}

// SetAgent adds an agent or tells how it is now.
func (c *Compiler) SetAgent(id string, is Agent) {
	a := c.agents[id]
	if a != nil && a.same(is) {
		return
	}
	c.generation++
	if a == nil {
		a = &agent{id: id}
		c.agents[id] = a
	}
	is.Text, is.NotText = maps.Clone(is.Text), slices.Clone(is.NotText)
	a.Agent = is
	if h := c.host(nodes.Canonical(is.Hostname)); h != a.host {
		c.depart(a)
		a.host = h
		h.agents = append(h.agents, a)
	}
	a.host.past, a.host.stale = "", false
}

// DeleteAgent forgets an agent.
func (c *Compiler) DeleteAgent(id string) {
	if a := c.agents[id]; a != nil {
		c.generation++
		delete(c.agents, id)
		c.depart(a)
	}
}

// depart takes an agent from its host.
func (c *Compiler) depart(a *agent) {
	h := a.host
	if h == nil {
		return
	}
	h.agents = slices.DeleteFunc(h.agents, func(other *agent) bool { return other == a })
	a.host = nil
	if len(h.agents) == 0 && len(h.nodes) > 0 {
		h.past, h.stale = a.Hostname, false
	}
	c.drop(h)
}

// ClearAgents forgets all agents, as the end of a subscription does, but not how their
// hosts are spelled; and that all were known.
func (c *Compiler) ClearAgents() {
	c.generation++
	c.complete = false
	clear(c.agents)
	for _, h := range c.hosts {
		switch {
		case len(h.agents) > 0:
			h.past, h.stale = h.agents[len(h.agents)-1].Hostname, false
			h.agents = nil
		case h.past != "" && h.stale && len(h.nodes) == 0:
			// Not seen again in a whole subscription.
			h.past = ""
		default:
			h.stale = true
		}
		c.drop(h)
	}
}

// SetComplete tells whether all agents of the cluster are known, the list of them
// having been read. Before, an agent of which nothing is known may be any node's, under
// any spelling of its host.
func (c *Compiler) SetComplete(complete bool) {
	if c.complete == complete {
		return
	}
	c.generation++
	c.complete = complete
	if complete {
		for _, h := range c.hosts {
			c.drop(h)
		}
	}
}

// Matches tells whether pods with this requirement may be placed on the agent's node,
// by the node's labels and taints. An agent that is no node is of no use.
func (c *Compiler) Matches(key, agentID string) bool {
	a := c.agents[agentID]
	if a == nil || a.Node == "" {
		return false
	}
	n := c.nodes[a.Node]
	return n != nil && c.requirement(key).matches(n)
}

// Admits tells whether constraints admit an agent, as the master judges it
// (offer_constraints_filter.cpp). Of an agent that is not known it says yes.
func (c *Compiler) Admits(set terms.Constraints, agentID string) bool {
	a := c.agents[agentID]
	return a == nil || admits(set, &a.Agent)
}
