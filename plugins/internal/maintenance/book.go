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

package maintenance

import (
	"strings"
	"time"
)

// Book is what is known of the maintenance of machines. See the package comment. It is
// not safe for concurrent use.
type Book struct {
	cfg Config

	agents map[string]*agent
	nodes  map[string]*node
	// schedule is what the master last told of its schedule.
	schedule schedule
	// listed tells that the agents were listed, at least once.
	listed  bool
	inverse map[string]*inverse
	// declined are the windows for which an inverse offer was declined, by agent.
	declined map[string]Window
	// held are the tasks whose last status is not acknowledged yet.
	held map[string]*hold
	// left are the agents that we deactivated for nodes that are gone.
	left map[string]*operated
	// refused are the agents whose offers were refused.
	refused map[string]bool
}

// agent is what is known of an agent. It outlives subscriptions: what it was is the
// best guess until the next list.
type agent struct {
	id, host, ip string
	// node is which node it is, "" for none.
	node string
	// told is what offers and inverse offers last said.
	told told
	// state is what the last list said of it.
	state Agent
	// asked is when that was asked for.
	asked time.Time
	// listed tells that it was in the last list.
	listed bool
	// drainSince is when it was first known to be drained.
	drainSince time.Time
	// operatedAt is when we last made the master change it: older lists do not know.
	operatedAt time.Time
}

// told is a window, nil for none, and when the stream told of it; zero for never.
type told struct {
	window *Window
	at     time.Time
}

// schedule is the maintenance schedule.
type schedule struct {
	// read tells that it was read at least once, or that we may not read it.
	read bool
	// good tells that the last reading succeeded. at is when that began.
	good bool
	at   time.Time
	// machines by host; hosts may have several addresses.
	machines map[string][]Scheduled
}

type node struct {
	Node
	// agent is which agent it is, "" for none.
	agent string
	op    operated
}

// New returns an empty book.
func New(cfg Config) *Book {
	if cfg.Cordoned == "" {
		cfg.Cordoned = Ignore
	}
	return &Book{
		cfg: cfg, agents: map[string]*agent{}, nodes: map[string]*node{}, inverse: map[string]*inverse{}, declined: map[string]Window{},
		held: map[string]*hold{}, left: map[string]*operated{}, refused: map[string]bool{},
	}
}

// canonical folds what DNS folds.
func canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// Disconnected forgets what ends with a subscription: the master forgets inverse
// offers, and sends all updates again that were not acknowledged. What is known of
// windows stays.
func (b *Book) Disconnected() {
	clear(b.inverse)
	clear(b.declined)
	clear(b.held)
}

func (b *Book) agent(id string) *agent {
	a := b.agents[id]
	if a == nil {
		a = &agent{id: id}
		b.agents[id] = a
	}
	return a
}

// Paired says that an agent is a node from now on, or none if node is "".
func (b *Book) Paired(agentID, name string) {
	a := b.agent(agentID)
	if was := b.nodes[a.node]; was != nil && was.agent == agentID {
		was.agent = ""
	}
	a.node = name
	if name == "" {
		b.tidy(a)
		return
	}
	for _, other := range b.agents {
		if other != a && other.node == name {
			other.node = ""
			b.tidy(other)
		}
	}
	n := b.node(name)
	n.agent = agentID
}

// tidy forgets an agent of which nothing matters any more.
func (b *Book) tidy(a *agent) {
	if a.node == "" && !a.listed {
		delete(b.agents, a.id)
	}
}

func (b *Book) node(name string) *node {
	n := b.nodes[name]
	if n == nil {
		n = &node{Node: Node{Name: name}}
		b.nodes[name] = n
		for _, a := range b.agents {
			if a.node == name {
				n.agent = a.id
			}
		}
	}
	return n
}

// NodeSet takes in a node as it is now. It reports whether there may be something to do.
func (b *Book) NodeSet(is Node) (news bool) {
	n := b.node(is.Name)
	is.Host = canonical(is.Host)
	news = n.Cordoned != is.Cordoned || n.Deactivated != is.Deactivated
	n.Node = is
	delete(b.left, is.Deactivated)
	return news
}

// NodeGone takes in that a node was deleted.
func (b *Book) NodeGone(name string) {
	n := b.nodes[name]
	if n == nil {
		return
	}
	if n.Deactivated != "" {
		b.left[n.Deactivated] = &n.op
	}
	delete(b.nodes, name)
}

// Offered takes in what an offer of an agent says: a window, nil for none. It reports
// whether that is news.
func (b *Book) Offered(agentID string, w *Window, now time.Time) (news bool) {
	a := b.agents[agentID]
	if a == nil {
		if w == nil {
			return false
		}
		a = b.agent(agentID)
	}
	before := b.window(a, now)
	a.told = told{window: w, at: now}
	after := b.window(a, now)
	return (before == nil) != (after == nil) || before != nil && *before != *after
}

// AgentsListed takes in the list of all agents, as it was asked for at a time.
func (b *Book) AgentsListed(list []Agent, asked time.Time) {
	b.listed = true
	for _, a := range b.agents {
		a.listed = false
	}
	for _, is := range list {
		a := b.agent(is.ID)
		a.listed = true
		a.host = canonical(is.Hostname)
		if is.Recovered || !asked.After(a.operatedAt) {
			continue
		}
		a.ip, a.state, a.asked = is.IP, is, asked
		if is.Drain == nil {
			a.drainSince = time.Time{}
		} else if a.drainSince.IsZero() {
			a.drainSince = asked
		}
	}
	for _, a := range b.agents {
		if !a.listed {
			// The address stays: machines that are down are in the schedule still.
			a.state, a.drainSince = Agent{}, time.Time{}
			b.tidy(a)
		}
	}
}

// ScheduleRead takes in the maintenance schedule, as it was asked for at a time.
func (b *Book) ScheduleRead(list []Scheduled, asked time.Time) {
	b.schedule = schedule{read: true, good: true, at: asked, machines: map[string][]Scheduled{}}
	for _, s := range list {
		s.Hostname = canonical(s.Hostname)
		b.schedule.machines[s.Hostname] = append(b.schedule.machines[s.Hostname], s)
	}
}

// ScheduleRefused takes in that the master does not let us read the schedule: what
// offers and inverse offers say has to do.
func (b *Book) ScheduleRefused() { b.schedule = schedule{read: true} }

// Complete tells whether all there is to know was told once: what is not known then is
// not so.
func (b *Book) Complete() bool { return b.listed && b.schedule.read }

// window returns the window of an agent that is not over, nil if there is none.
func (b *Book) window(a *agent, now time.Time) *Window {
	var w *Window
	switch {
	case !a.told.at.IsZero() && (!b.schedule.good || !a.told.at.Before(b.schedule.at)):
		w = a.told.window
	case b.schedule.good:
		w = b.scheduled(a.host, a.ip)
	default:
		// Who may not read the schedule keeps to what the node says from before.
		if n := b.nodes[a.node]; n != nil {
			w = n.shownWindow()
		}
	}
	if w == nil || w.Over(now) {
		return nil
	}
	return w
}

func (n *node) shownWindow() *Window {
	if n.Shown == nil || n.Shown.Window.Start.IsZero() {
		return nil
	}
	return &n.Shown.Window
}

// scheduled looks a machine up in the schedule. Like the master, it wants both names to
// be the same (type_utils.hpp operator==(MachineID)); ip is "" of one without an agent,
// which only its name can tell.
func (b *Book) scheduled(host, ip string) *Window {
	if host == "" {
		return nil
	}
	for _, s := range b.schedule.machines[host] {
		if s.IP != "" && (s.IP == ip || ip == "") {
			return &s.Window
		}
	}
	return nil
}

// windowOf returns the window of a node, whether it has an agent now or not.
func (b *Book) windowOf(n *node, now time.Time) *Window {
	if a := b.agents[n.agent]; a != nil {
		return b.window(a, now)
	}
	w := n.shownWindow()
	if b.schedule.good {
		w = b.scheduled(n.Host, "")
	}
	if w == nil || w.Over(now) {
		return nil
	}
	return w
}

// Marks returns what nodes are to show now, by node.
func (b *Book) Marks(now time.Time) map[string]Mark {
	marks := map[string]Mark{}
	for name, n := range b.nodes {
		if m, ok := b.mark(n, now); ok {
			marks[name] = m
		}
	}
	return marks
}

func (b *Book) mark(n *node, now time.Time) (m Mark, marked bool) {
	if w := b.windowOf(n, now); w != nil {
		m, marked = Mark{Kind: Maintenance, Window: *w}, true
	}
	a := b.agents[n.agent]
	switch {
	case a == nil:
	case a.drains() && a.state.Drain != nil && a.state.Drain.Drained:
		m.Kind, marked = Drained, true
	case a.drains():
		m.Kind, marked = Draining, true
	case a.state.Deactivated:
		m.Kind, marked = Deactivated, true
	}
	return m, marked
}

// drains tells whether an agent is being drained, or was.
func (a *agent) drains() bool { return !a.drainSince.IsZero() }

// Leaving returns the agents that make or should make no pod of ours begin that does
// not end in time, with when they go: zero for now.
func (b *Book) Leaving(now time.Time) map[string]time.Time {
	leaving := map[string]time.Time{}
	for _, a := range b.agents {
		if a.drains() || a.state.Deactivated {
			leaving[a.id] = time.Time{}
		} else if w := b.window(a, now); w != nil {
			leaving[a.id] = w.Start
		}
	}
	return leaving
}
