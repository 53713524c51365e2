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
	"maps"
	"slices"
	"time"
)

// Act is something to do about an agent for a cordoned node.
type Act string

// The acts. Note and Forget write and remove the annotation of the node that says which
// agent we took out of service for it: before we do, and after we put it back, so that
// nothing of ours is ever left behind, and nothing of others undone.
const (
	Note       Act = "Note"
	Off        Act = "Deactivate"
	DrainOff   Act = "Drain"
	Reactivate Act = "Reactivate"
	Forget     Act = "Forget"
)

// Operation is an act for a node; Node is "" if that is gone.
type Operation struct {
	Act           Act
	Node, AgentID string
}

// operated is where the operations for a node stand.
type operated struct {
	// running is what is being done, "" for nothing.
	running Act
	fails   int
	again   time.Time
	// doubt tells that the agent may be out of service although no list says so.
	doubt bool
	// noted is when we noted to take the agent out of service, zero if we have tried to
	// since: until then it is others who did.
	noted time.Time
}

// Retries of operations wait so long.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
)

// Operations returns what to do now, for each node at most one thing. Each is to be
// confirmed by Done or Failed.
func (b *Book) Operations(now time.Time, holding func(agentID string) Holding) (list []Operation) {
	if !b.listed {
		return nil
	}
	for _, name := range b.cordonedNodes() {
		n := b.nodes[name]
		if n.op.running != "" || now.Before(n.op.again) {
			continue
		}
		if act, agent := b.act(n, holding); act != "" {
			n.op.running = act
			list = append(list, Operation{act, name, agent})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.left)) {
		o := b.left[id]
		switch a := b.agents[id]; {
		case o.running != "" || now.Before(o.again):
		case a == nil || !a.listed || !o.noted.IsZero() || !a.off() && !o.doubt:
			// Gone, out of service because of others, or in service.
			delete(b.left, id)
		case !a.ending():
			o.running = Reactivate
			list = append(list, Operation{Reactivate, "", id})
		}
	}
	return list
}

// cordonedNodes are the nodes whose agents may need something, by name.
func (b *Book) cordonedNodes() (names []string) {
	for name, n := range b.nodes {
		if n.Deactivated != "" || n.Cordoned && b.cfg.Cordoned != Ignore {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// off tells whether an agent makes no offers because an operator said so.
func (a *agent) off() bool { return a.state.Deactivated || a.state.Drain != nil }

// ending tells that the draining goes on: until it ends, the master does not let the
// agent be reactivated.
func (a *agent) ending() bool { return a.state.Drain != nil && !a.state.Drain.Drained }

// act decides what a node's agent needs.
func (b *Book) act(n *node, holding func(agentID string) Holding) (Act, string) {
	a := b.agents[n.agent]
	if a != nil && !a.listed {
		a = nil
	}
	wanted := n.Cordoned && b.cfg.Cordoned != Ignore
	switch {
	case n.Deactivated == "" && wanted && a != nil:
		return b.begin(a, holding), a.id
	case n.Deactivated == "":
		return "", ""
	case !wanted || n.Deactivated != n.agent:
		return b.undo(n)
	case a == nil:
		return "", ""
	}
	return b.goOn(n, a, holding), a.id
}

// begin decides about the agent of a cordoned node that was not touched yet.
func (b *Book) begin(a *agent, holding func(agentID string) Holding) Act {
	if a.off() || b.left[a.id] != nil || b.mustWait(a, holding) {
		// An agent that is out of service already is somebody else's, or is to come back
		// first.
		return ""
	}
	return Note
}

// mustWait tells whether draining an agent now would take pods along.
func (b *Book) mustWait(a *agent, holding func(agentID string) Holding) bool {
	return b.cfg.Cordoned == Empty && holding(a.id).Others > 0
}

// goOn decides about the agent of a cordoned node that we noted.
func (b *Book) goOn(n *node, a *agent, holding func(agentID string) Holding) Act {
	fresh := !n.op.noted.IsZero()
	switch {
	case a.state.ID == "" || fresh && !a.asked.After(n.op.noted):
		// It may be out of service already.
		return ""
	case a.off() && fresh:
		return Forget
	case a.off() || b.mustWait(a, holding):
		return ""
	case b.cfg.Cordoned == Empty:
		return DrainOff
	}
	return Off
}

// undo decides what the agent needs that we took out of service, and which is to be in
// service again.
func (b *Book) undo(n *node) (Act, string) {
	ours := b.agents[n.Deactivated]
	switch {
	case ours == nil || !ours.listed:
		if n.agent == "" || n.agent == n.Deactivated {
			// It may come back.
			return "", ""
		}
		return Forget, n.Deactivated
	case !n.op.noted.IsZero():
		return Forget, n.Deactivated
	case ours.state.ID == "" || ours.ending():
		return "", ""
	case ours.off() || n.op.doubt:
		return Reactivate, n.Deactivated
	}
	return Forget, n.Deactivated
}

// Done takes in that an operation succeeded.
func (b *Book) Done(o Operation, now time.Time) {
	if s := b.operated(o); s != nil {
		*s = operated{doubt: s.doubt && o.Act != Reactivate}
	}
	n, a := b.nodes[o.Node], b.agents[o.AgentID]
	switch {
	case o.Act == Note && n != nil:
		n.Deactivated, n.op.noted = o.AgentID, now
	case o.Act == Forget && n != nil && n.Deactivated == o.AgentID:
		n.Deactivated = ""
	}
	if a == nil {
		return
	}
	switch o.Act {
	case Off:
		a.state.Deactivated = true
	case DrainOff:
		a.state.Deactivated, a.state.Drain = true, &Drain{}
	case Reactivate:
		a.state.Deactivated, a.state.Drain, a.drainSince = false, nil, time.Time{}
	default:
		return
	}
	a.operatedAt = now
}

// Failed takes in that an operation failed; doubtful tells that it may have been done
// all the same. What to do is decided anew after a while, ever longer.
func (b *Book) Failed(o Operation, doubtful bool, now time.Time) {
	s := b.operated(o)
	if s == nil {
		return
	}
	s.running = ""
	switch {
	case o.Act == Note:
		s.noted = now
	case doubtful && (o.Act == Off || o.Act == DrainOff):
		s.doubt, s.noted = true, time.Time{}
	}
	s.again = now.Add(min(firstRetry<<min(s.fails, 10), lastRetry))
	s.fails++
}

func (b *Book) operated(o Operation) *operated {
	if n := b.nodes[o.Node]; n != nil {
		return &n.op
	}
	return b.left[o.AgentID]
}
