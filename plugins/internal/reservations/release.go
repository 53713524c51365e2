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
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Released is a reservation that was given back.
type Released struct {
	// Owner is zero if the reservation was not ours.
	Owner   Owner
	AgentID string
	Role    string
	Reason  Reason
}

// maxReleased bounds what TakeReleased returns, should nobody take.
const maxReleased = 1024

// Condemn says that the owner with this key needs its reservations no more: they
// are given back as soon as they can be. Spare and Made take it back.
func (r *Registry) Condemn(key string, reason Reason, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.condemned[key]; ok && old.reason == reason || len(r.byName[key]) == 0 {
		return
	}
	r.condemned[key] = verdict{reason, now}
}

// Spare says that the owner with this key lives. What somebody wants away by hand
// goes nevertheless.
func (r *Registry) Spare(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.condemned, key)
}

// Condemned reports whether Condemn was called for the key and not taken back.
func (r *Registry) Condemned(key string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.condemned[key]
	return ok
}

// ReleaseNow gives back all that is reserved under the key (Owner.Key, or the Name
// of a Stuck one) now, whether its owner lives or not, once no task uses it. It
// returns how many reservations there are. It holds until the end of the process:
// the annotation on nodes holds longer.
func (r *Registry) ReleaseNow(key string, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.markByHand(r.byName[key], now)
}

// ReleaseOn does the same for what is there on one agent and meant by the value of
// the annotation ReleaseAnnotation. The error says what is wrong with the value.
func (r *Registry) ReleaseOn(agentID, value string, now time.Time) (int, error) {
	patterns := strings.Split(value, ",")
	for i, p := range patterns {
		patterns[i] = strings.TrimSpace(p)
		if parts := strings.Split(patterns[i], "/"); patterns[i] != "*" && (len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "")) {
			return 0, fmt.Errorf("%q is neither \"*\" nor \"<namespace>/<pod>\" nor \"<framework id>/<namespace>/<pod>\"", patterns[i])
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var meant []*record
	for _, rec := range r.byAgent[agentID] {
		if slices.ContainsFunc(patterns, rec.meantBy) {
			meant = append(meant, rec)
		}
	}
	return r.markByHand(meant, now), nil
}

// CancelOn takes back what ReleaseNow and ReleaseOn did on an agent, as far as it is
// there still.
func (r *Registry) CancelOn(agentID string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range r.byAgent[agentID] {
		rec.byHand = time.Time{}
		r.compare(rec.name(), now)
	}
}

// markByHand is called with the lock held.
func (r *Registry) markByHand(records []*record, now time.Time) int {
	for _, rec := range records {
		if rec.byHand.IsZero() {
			rec.byHand = now
			r.compare(rec.name(), now)
		}
	}
	return len(records)
}

// meantBy reports whether a pattern means the record. What another framework
// reserved must be named in full.
func (rec *record) meantBy(pattern string) bool {
	pod := rec.owner.Namespace + "/" + rec.owner.Pod
	switch rec.kind {
	case foreign:
		return pattern == rec.framework+"/"+pod
	case ours:
		return pattern == "*" || pattern == pod || pattern == rec.framework+"/"+pod
	default:
		return pattern == "*"
	}
}

// ReleasedByHand reports whether nothing is left on the agent of what ReleaseNow or
// ReleaseOn gave back. It is false for agents that the master does not list.
func (r *Registry) ReleasedByHand(agentID string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.listed[agentID] && !slices.ContainsFunc(r.byAgent[agentID], func(rec *record) bool { return !rec.byHand.IsZero() })
}

// HasAgent reports whether the agent was in the last list.
func (r *Registry) HasAgent(agentID string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.listed[agentID]
}

// compare looks for reservations that an owner has beside those it uses: an agent
// that was thought lost brings such ones back. The lock is held.
func (r *Registry) compare(name string, now time.Time) {
	records := r.byName[name]
	for _, rec := range records {
		another := slices.ContainsFunc(records, func(other *record) bool {
			return other != rec && other.kind == ours && other.byHand.IsZero() && other.sent.IsZero() && other.absent.IsZero() && anything(other.used)
		})
		switch {
		case !another || anything(rec.used):
			rec.surplus, rec.overdue = time.Time{}, false
		case rec.surplus.IsZero():
			rec.surplus = now
		default:
			rec.overdue = rec.overdue || now.Sub(rec.surplus) >= SurplusAfter
		}
	}
}

// why returns why and since when a record is to be given back, "" if it is not.
// The lock is held.
func (r *Registry) why(rec *record) (Reason, time.Time) {
	if !rec.byHand.IsZero() {
		return ByHand, rec.byHand
	}
	if v, ok := r.condemned[rec.name()]; ok && rec.kind == ours {
		return v.reason, v.since
	}
	if rec.overdue {
		return Surplus, rec.surplus.Add(SurplusAfter)
	}
	return "", time.Time{}
}

func (rec *record) name() string { return rec.place.name }

// Due is a reservation that is to be given back.
type Due struct {
	AgentID, Role string
	// Key is what ReleaseNow takes: Owner.Key for ours.
	Key    string
	Reason Reason
	Since  time.Time
	// Offers are the offers in hand that hold parts of it.
	Offers []string
}

// Due lists what is to be given back and can be: at least a part of it is in an
// offer, or in use by no task as far as is known.
func (r *Registry) Due() []Due {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []Due
	for _, rec := range r.records {
		reason, since := r.why(rec)
		if reason == "" || !rec.idle() {
			continue
		}
		due := Due{AgentID: rec.agent, Role: rec.role, Key: rec.name(), Reason: reason, Since: since}
		for id := range rec.offered {
			due.Offers = append(due.Offers, id)
		}
		slices.Sort(due.Offers)
		list = append(list, due)
	}
	slices.SortFunc(list, func(a, b Due) int {
		return cmp.Or(cmp.Compare(a.AgentID, b.AgentID), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Key, b.Key))
	})
	return list
}

// idle reports whether something of the record can be unreserved.
func (rec *record) idle() bool {
	return rec.sent.IsZero() && rec.absent.IsZero() && (len(rec.offered) > 0 || anything(rec.total.Sub(rec.used)))
}

// Waiting reports whether something is to be given back that seems to be in use, or
// that the master was told to unreserve: only its next list tells more.
func (r *Registry) Waiting() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, rec := range r.records {
		if reason, _ := r.why(rec); reason != "" && !rec.idle() {
			return true
		}
	}
	return false
}

// Wanted returns the roles whose offers are needed to give something back: they
// must be subscribed and not suppressed, even if no pod waits. It is nil if nothing
// is due.
func (r *Registry) Wanted() map[string]bool {
	var roles map[string]bool
	for _, due := range r.Due() {
		if roles == nil {
			roles = map[string]bool{}
		}
		roles[due.Role] = true
	}
	return roles
}

// Release reports whether an offered portion is to be unreserved instead of used.
func (r *Registry) Release(agentID string, portion resources.Portion) bool {
	if portion.Flavour.Reserved() == nil {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	id := identify(portion.Flavour, r.framework)
	if rec := r.records[place{agentID, roleOf(portion.Flavour), id.name}]; rec != nil {
		reason, _ := r.why(rec)
		return reason != ""
	}
	return false
}

// Where returns the agent that has the reservation under the key, to which its pod
// must go. If there are several it is the one that was used last. It is "not there"
// if the reservation is to be given back, or is for none of the given roles, if
// any are given.
func (r *Registry) Where(key string, roles ...string) (agentID string, ok bool) {
	agents := r.Agents(key, roles...)
	if len(agents) == 0 {
		return "", false
	}
	return agents[0], true
}

// Agents lists all agents that Where may mean, the best first.
func (r *Registry) Agents(key string, roles ...string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var fit []*record
	for _, rec := range r.byName[key] {
		if reason, _ := r.why(rec); reason == "" && rec.kind == ours && rec.sent.IsZero() && (len(roles) == 0 || slices.Contains(roles, rec.role)) {
			fit = append(fit, rec)
		}
	}
	slices.SortFunc(fit, func(a, b *record) int {
		return cmp.Or(first(anything(a.used), anything(b.used)), first(a.absent.IsZero(), b.absent.IsZero()),
			b.made.Compare(a.made), cmp.Compare(a.agent, b.agent), cmp.Compare(a.role, b.role))
	})
	var agents []string
	for _, rec := range fit {
		if !slices.Contains(agents, rec.agent) {
			agents = append(agents, rec.agent)
		}
	}
	return agents
}

// first orders true before false.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// noteReleased keeps what became of a record that a list shows to be gone. The lock
// is held.
func (r *Registry) noteReleased(rec *record) {
	reason, _ := r.why(rec)
	if reason == "" || len(r.released) >= maxReleased {
		return
	}
	gone := Released{AgentID: rec.agent, Role: rec.role, Reason: reason}
	if rec.kind == ours {
		gone.Owner = rec.owner
	}
	r.released = append(r.released, gone)
}

// TakeReleased returns what was given back since the last call.
func (r *Registry) TakeReleased() []Released {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.released
	r.released = nil
	return list
}
