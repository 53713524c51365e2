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
	"cmp"
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// Compile returns constraints that admit every agent on which pods with one of the
// requirements may be placed: those known to be, or about to be, the node of it, and
// those not known that may turn out to be a known node. Of other agents they admit as
// few as can be told. The order is always the same.
//
// The result is nil, which admits all agents, if there is nothing to tell apart or
// that takes too much; without keys as well. If no node is of use it is None: offers
// come when a node does and this is compiled anew.
//
// An agent not known yet may spell its host in ways nobody foresees. If all agents are
// known (SetComplete) one that comes later is expected to spell it as its node or in
// lower case, or must be told with SetAgent before it is admitted; else constraints
// that would need to know it are not used.
func (c *Compiler) Compile(keys []string) terms.Constraints {
	if len(keys) == 0 {
		return nil
	}
	b := c.board(keys)
	if len(b.wanted) == 0 {
		return None()
	}
	if len(b.unwanted) == 0 {
		return nil
	}
	best := plan{wrong: len(b.unwanted)}
	for _, try := range []func(*board) (plan, bool){(*board).byAttributes, (*board).byName, (*board).byOtherNames} {
		if p, ok := try(b); ok && p.better(&best) {
			best = p
		}
	}
	return best.constraints()
}

// TooNarrow tells whether constraints exclude an agent that is of use for these
// requirements, known or not: then what Compile returns is urgent.
func (c *Compiler) TooNarrow(set terms.Constraints, keys []string) bool {
	if len(set) == 0 || len(keys) == 0 {
		return false
	}
	for _, h := range c.board(keys).wanted {
		for _, a := range h.agents {
			if !admits(set, &a.Agent) {
				return true
			}
		}
		if len(h.agents) > 0 {
			continue
		}
		names := h.names()
		if h.past != "" {
			names = []string{h.past} // most likely it comes back as it was
		}
		for _, name := range names {
			if !admits(set, &Agent{Hostname: name}) {
				return true
			}
		}
	}
	return false
}

// board is what Compile plans by.
type board struct {
	limit    int
	complete bool
	units    []*unit
	// useful are the nodes, by slot, that match one of the units.
	useful bits
	// wanted are the hosts of nodes that are of use, unwanted the others that an agent
	// has, or had before agents were cleared.
	wanted, unwanted []*host
}

// board sorts hosts into those that are of use for the keys and the others. A host that
// several nodes or agents claim may become that of each of them.
func (c *Compiler) board(keys []string) *board {
	b := &board{limit: c.cfg.MaxHosts, complete: c.complete}
	keys = slices.Sorted(slices.Values(keys))
	for _, key := range slices.Compact(keys) {
		for _, u := range c.requirement(key).units {
			b.units = append(b.units, u)
			b.useful.add(u.judgeAll(c.live, c.slots))
		}
	}
	for _, h := range c.hosts {
		switch {
		case c.wants(b.useful, h):
			b.wanted = append(b.wanted, h)
		case len(h.agents) > 0 || h.past != "" && !c.complete:
			b.unwanted = append(b.unwanted, h)
		}
	}
	return b
}

// wants tells whether one of the nodes that are of use is one that the host's agents are
// or may be.
func (c *Compiler) wants(useful bits, h *host) bool {
	own := ""
	for _, n := range h.nodes {
		if own = n.object.Name; useful.has(n.slot) {
			return true
		}
	}
	for _, a := range h.agents {
		if a.Node == "" || a.Node == own {
			continue
		}
		if n := c.nodes[a.Node]; n != nil && useful.has(n.slot) {
			return true
		}
	}
	return false
}

// names returns how the host is spelled by its agents, or how one that comes may
// spell it.
func (h *host) names() []string {
	var names []string
	for _, a := range h.agents {
		names = append(names, a.Hostname)
	}
	if len(names) == 0 {
		if h.past != "" {
			names = append(names, h.past)
		}
		for _, n := range h.nodes {
			names = append(names, n.spelling, h.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// known tells whether the host's names are all that is to be reckoned with.
func (b *board) known(h *host) bool { return b.complete || len(h.agents) > 0 || h.past != "" }

// namesOf returns the names of hosts, sorted; false if they are too many, or if one
// may have others.
func (b *board) namesOf(hosts []*host) ([]string, bool) {
	var names []string
	for _, h := range hosts {
		if !b.known(h) || len(names) > b.limit {
			return nil, false
		}
		names = append(names, h.names()...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names, len(names) <= b.limit
}

// plan is one way to put it: groups of conditions on attributes, or names of hosts, or
// both.
type plan struct {
	groups []terms.Group
	names  []string
	// wrong is how many hosts are admitted that are of no use.
	wrong int
}

// better tells whether a plan admits fewer agents that are of no use than another, or as
// many with fewer words.
func (p *plan) better(than *plan) bool {
	return cmp.Or(cmp.Compare(p.wrong, than.wrong), cmp.Compare(p.size(), than.size())) < 0
}

// size is the number of conditions.
func (p *plan) size() int {
	size := len(p.names)
	for _, g := range p.groups {
		size += len(g)
	}
	return size
}

func (p *plan) constraints() terms.Constraints {
	var set terms.Constraints
	set = append(set, p.groups...)
	for _, name := range p.names {
		set = append(set, terms.Group{{Op: terms.Equals, Value: name}})
	}
	return set
}

// byName admits the hosts that are wanted.
func (b *board) byName() (plan, bool) {
	names, ok := b.namesOf(b.wanted)
	return plan{names: names}, ok
}

// byOtherNames excludes the hosts that are not wanted. Excluded are names that agents
// have, so that this is right even if others are not known.
func (b *board) byOtherNames() (plan, bool) {
	var group terms.Group
	for _, h := range b.unwanted {
		for _, name := range h.names() {
			group = append(group, terms.Constraint{Op: terms.NotEquals, Value: name})
		}
		if len(group) > b.limit {
			return plan{}, false
		}
	}
	slices.SortFunc(group, compareConstraints)
	return plan{groups: []terms.Group{group}}, true
}

// byAttributes admits agents by what is asked of their attributes, and corrects that by
// name: hosts that are wanted and not admitted, because they are named by other
// requirements, because their node's labels are not what the attributes are, or because
// their agent is not known; and hosts that are admitted and not wanted.
func (b *board) byAttributes() (plan, bool) {
	groups := b.groups()
	if len(groups) == 0 {
		return plan{}, false
	}
	var missing []*host
	for _, h := range b.wanted {
		if len(h.agents) == 0 || slices.ContainsFunc(h.agents, func(a *agent) bool { return !admits(groups, &a.Agent) }) {
			missing = append(missing, h)
		}
	}
	names, ok := b.namesOf(missing)
	if !ok {
		return plan{}, false
	}
	p := plan{groups: groups, names: names}
	b.exclude(&p)
	return p, true
}

// groups returns the conditions of all units that ask something of attributes and that
// more hosts meet than there are conditions.
func (b *board) groups() (groups []terms.Group) {
	size := 0
	for _, u := range b.units {
		words := 0
		for _, g := range u.groups {
			words += len(g)
		}
		if words > 0 && u.match.count() > words {
			groups = append(groups, u.groups...)
			size += words
		}
	}
	if size > b.limit {
		return nil
	}
	slices.SortFunc(groups, compareGroups)
	return slices.CompactFunc(groups, func(x, y terms.Group) bool { return compareGroups(x, y) == 0 })
}

// exclude adds to the groups of a plan the names of hosts that they admit and that are
// not wanted, if those are few.
func (b *board) exclude(p *plan) {
	groups := make([]terms.Group, len(p.groups))
	for i, g := range p.groups {
		groups[i] = slices.Clone(g)
	}
	excluded := 0
	for _, h := range b.unwanted {
		wrong := false
		for _, a := range h.agents {
			for i, g := range p.groups {
				if a.meets(g) {
					wrong = true
					excluded++
					groups[i] = append(groups[i], terms.Constraint{Op: terms.NotEquals, Value: a.Hostname})
				}
			}
		}
		if wrong {
			p.wrong++
		}
	}
	if excluded == 0 || excluded+len(p.names) > b.limit {
		return
	}
	for i := range groups {
		slices.SortFunc(groups[i], compareConstraints)
		groups[i] = slices.Compact(groups[i])
	}
	p.groups, p.wrong = groups, 0
}
