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

package reservations

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

const (
	// AbsentFor is how long a reservation is still expected on an agent that the
	// master does not list: as long as Mesos waits by default for agents to come
	// back after a master's end (--agent_reregister_timeout).
	AbsentFor = 10 * time.Minute
	// SurplusAfter is how long a pod must have used another reservation before its
	// unused ones are given back.
	SurplusAfter = 10 * time.Minute
	// StuckAfter is how long giving back may take before it counts as stuck.
	StuckAfter = 10 * time.Minute
)

// Agent is what the master's list tells of one agent.
type Agent struct {
	ID string
	// Reserved is all that is reserved on it, in use or not. Used is what tasks
	// use; only reserved portions matter.
	Reserved, Used []resources.Portion
}

// place is where a reservation is: one agent, one role, one name.
type place struct{ agent, role, name string }

// record is one reservation.
type record struct {
	place
	identity
	flavour *resources.Flavour
	// total is all of it, used what a task uses of it, as far as is known.
	total, used resources.Bundle
	// offered is what each offer has of it.
	offered map[string]resources.Bundle
	// seen is when it was last known to be there, made when a launch last used it.
	seen, made time.Time
	// absent is since when the master has not listed the agent, zero if it does.
	absent time.Time
	// sent is when it was told to be unreserved; zero if it was not, or in vain.
	sent time.Time
	// byHand is since when somebody wants it away; surplus since when the owner has
	// used another one.
	byHand, surplus time.Time
	// overdue tells that surplus has lasted SurplusAfter.
	overdue bool
}

// verdict is why and since when an owner needs its reservations no more.
type verdict struct {
	reason Reason
	since  time.Time
}

// Registry knows which reservations are on which agents, and which of them are to
// be given back. It is a state machine: it is told what happened and when, does no
// I/O and reads no clock. It is safe for concurrent use.
//
// Nothing in it needs to outlive it: the next list of agents brings the reservations
// back, and the Controller judges their owners anew.
type Registry struct {
	mu        sync.RWMutex
	framework string
	synced    bool
	records   map[place]*record
	byName    map[string][]*record
	byAgent   map[string][]*record
	// offers are those that hold parts of reservations.
	offers map[string][]place
	// listed are the agents of the last list.
	listed map[string]bool
	// condemned are the owners, by key, that need nothing any more.
	condemned map[string]verdict
	released  []Released
}

// NewRegistry returns an empty registry. SetFramework must be called before it is
// told anything.
func NewRegistry() *Registry {
	r := &Registry{}
	r.reset()
	return r
}

func (r *Registry) reset() {
	r.synced = false
	r.records, r.byName, r.byAgent = map[place]*record{}, map[string][]*record{}, map[string][]*record{}
	r.offers, r.listed, r.condemned = map[string][]place{}, map[string]bool{}, map[string]verdict{}
}

// SetFramework says who we are, after each subscription. Under another id nothing
// is ours that was ours before, so all is forgotten until the next list.
func (r *Registry) SetFramework(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.framework != id {
		r.framework = id
		r.reset()
	}
}

// Synced reports whether a list of agents was taken in: before, Where does not know
// of reservations that an earlier process of ours made.
func (r *Registry) Synced() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.synced
}

// Offered takes in an offer: what is reserved of it is there, and not in use.
func (r *Registry) Offered(offerID, agentID string, special []resources.Portion, now time.Time) {
	if len(special) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropOffer(offerID)
	for i := range special {
		rec := r.recordOf(agentID, special[i].Flavour)
		if rec == nil {
			continue
		}
		if _, again := rec.offered[offerID]; !again {
			r.offers[offerID] = append(r.offers[offerID], rec.place)
		}
		rec.offered[offerID] = rec.offered[offerID].Add(special[i].Bundle)
		var sum resources.Bundle
		for _, part := range rec.offered {
			sum = sum.Add(part)
		}
		rec.total = larger(rec.total, sum)
		// What is offered after it was given back was not given back.
		rec.seen, rec.sent, rec.absent = now, time.Time{}, time.Time{}
	}
}

// OfferGone takes out an offer that was used, declined or rescinded.
func (r *Registry) OfferGone(offerID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropOffer(offerID)
}

// Disconnected takes out all offers, as the end of a subscription does.
func (r *Registry) Disconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.offers {
		r.dropOffer(id)
	}
}

func (r *Registry) dropOffer(id string) {
	for _, p := range r.offers[id] {
		if rec := r.records[p]; rec != nil {
			delete(rec.offered, id)
		}
	}
	delete(r.offers, id)
}

// Made says that a launch was confirmed whose task uses portion of the owner's
// reservation, be it new or not: portion is all that the task has of it. A pod that
// is launched lives.
func (r *Registry) Made(agentID string, portion resources.Portion, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.recordOf(agentID, portion.Flavour)
	if rec == nil || rec.kind != ours {
		return
	}
	if !rec.sent.IsZero() {
		// The old one is gone: this is another, which nobody wants away.
		rec.sent, rec.byHand = time.Time{}, time.Time{}
	}
	rec.total, rec.used = larger(rec.total, portion.Bundle), portion.Bundle
	rec.seen, rec.made, rec.absent = now, now, time.Time{}
	delete(r.condemned, rec.name())
	r.compare(rec.name(), now)
}

// Unreserved says that the master was told to unreserve portion, and took the call.
// Whether it did so is seen in the next list.
func (r *Registry) Unreserved(agentID string, portion resources.Portion, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := identify(portion.Flavour, r.framework)
	rec := r.records[place{agentID, roleOf(portion.Flavour), id.name}]
	if rec == nil {
		return
	}
	if rest := rec.total.Sub(portion.Bundle); anything(rest) {
		rec.total = positive(rest)
		return
	}
	rec.sent = now
	r.compare(rec.name(), now)
}

// AgentGone says that an agent was removed from the cluster: its reservations are
// not waited for. If it comes back, so do they.
func (r *Registry) AgentGone(agentID string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.listed, agentID)
	for _, rec := range slices.Clone(r.byAgent[agentID]) {
		r.remove(rec, now)
	}
}

// Listed takes in the master's list of all its agents. begun is when the read
// began: what was told since may be newer than the list.
func (r *Registry) Listed(begun time.Time, agents []Agent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	listed, found := make(map[string]bool, len(agents)), map[place]*listing{}
	for i := range agents {
		listed[agents[i].ID] = true
		r.read(&agents[i], found)
	}
	r.listed, r.synced = listed, true
	for p, l := range found {
		r.confirm(p, l, begun)
	}
	for _, p := range slices.Collect(maps.Keys(r.records)) {
		if rec := r.records[p]; found[p] == nil {
			r.missed(rec, listed[p.agent], begun)
		}
	}
	for name := range r.byName {
		r.compare(name, begun)
	}
}

// listing is one reservation in a list of agents.
type listing struct {
	identity
	flavour     *resources.Flavour
	total, used resources.Bundle
}

// read adds up an agent's reservations.
func (r *Registry) read(agent *Agent, found map[place]*listing) {
	for i, portions := range [2][]resources.Portion{agent.Reserved, agent.Used} {
		for _, portion := range portions {
			id := identify(portion.Flavour, r.framework)
			if id.name == "" {
				continue
			}
			p := place{agent.ID, roleOf(portion.Flavour), id.name}
			l := found[p]
			if l == nil {
				l = &listing{identity: id, flavour: portion.Flavour}
				found[p] = l
			}
			if i == 0 {
				l.total = l.total.Add(portion.Bundle)
			} else {
				l.used = l.used.Add(portion.Bundle)
			}
		}
	}
}

// confirm takes in a reservation that is in a list.
func (r *Registry) confirm(p place, l *listing, begun time.Time) {
	rec := r.records[p]
	if rec == nil {
		rec = r.add(p, l.identity, l.flavour)
	}
	if !rec.sent.IsZero() {
		if !begun.After(rec.sent) {
			return // It may have been given back since.
		}
		rec.sent = time.Time{}
	}
	rec.absent = time.Time{}
	if rec.made.After(begun) {
		rec.total = larger(rec.total, l.total)
		return
	}
	rec.total, rec.used = l.total, l.used
	if rec.seen.Before(begun) {
		rec.seen = begun
	}
}

// missed takes in that a reservation is not in a list.
func (r *Registry) missed(rec *record, agentListed bool, begun time.Time) {
	switch {
	case !rec.seen.Before(begun): // The list is too old to know.
	case agentListed:
		r.noteReleased(rec)
		r.remove(rec, begun)
	case rec.absent.IsZero():
		rec.absent = begun
	case begun.Sub(rec.absent) >= AbsentFor:
		r.remove(rec, begun)
	}
}

// recordOf finds or makes the record of a flavour on an agent; nil if its labels
// are none of our business. The lock is held.
func (r *Registry) recordOf(agentID string, f *resources.Flavour) *record {
	id := identify(f, r.framework)
	if id.name == "" {
		return nil
	}
	p := place{agentID, roleOf(f), id.name}
	if rec := r.records[p]; rec != nil {
		return rec
	}
	return r.add(p, id, f)
}

func (r *Registry) add(p place, id identity, f *resources.Flavour) *record {
	rec := &record{place: p, identity: id, flavour: f, offered: map[string]resources.Bundle{}}
	r.records[p] = rec
	r.byName[p.name] = append(r.byName[p.name], rec)
	r.byAgent[p.agent] = append(r.byAgent[p.agent], rec)
	return rec
}

// remove forgets a record. An owner without records is forgotten with it.
func (r *Registry) remove(rec *record, now time.Time) {
	delete(r.records, rec.place)
	without := func(m map[string][]*record, key string) {
		m[key] = slices.DeleteFunc(m[key], func(other *record) bool { return other == rec })
		if len(m[key]) == 0 {
			delete(m, key)
		}
	}
	without(r.byName, rec.name())
	without(r.byAgent, rec.agent)
	if len(r.byName[rec.name()]) == 0 {
		delete(r.condemned, rec.name())
		return
	}
	r.compare(rec.name(), now)
}

// roleOf returns for whom a flavour is reserved.
func roleOf(f *resources.Flavour) string {
	if last := f.Reserved(); last != nil {
		return last.Role
	}
	return ""
}
