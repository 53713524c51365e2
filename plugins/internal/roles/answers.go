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

package roles

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Initial returns what to SUBSCRIBE with, sorted: the default role, and every role
// that is wanted and neither refused nor suspected of it. The others are added
// afterwards.
func (s *Subscriptions) Initial() []string {
	var roles []string
	for role, e := range s.entries {
		// Not one more beside a default role that is refused alone.
		good := e.wants > 0 && s.refused[role] == nil && e.group == nil && s.own == ""
		if good || role == s.options.Default {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	return roles
}

// Subscribed takes in that the master sent SUBSCRIBED for these roles.
func (s *Subscriptions) Subscribed(roles []string, now time.Time) {
	s.disconnect(now)
	s.connected = true
	s.hold(roles, now)
	if s.held[s.options.Default] {
		s.own = ""
	}
	s.freshSince = now
	// It may be another master, or the same with another configuration.
	for _, r := range s.refused {
		if soon := now.Add(RetryFirst); r.retry.After(soon) {
			r.retry = soon
		}
	}
}

// SubscribeRefused takes in that the master answered SUBSCRIBE, sent with Initial,
// with an ERROR because of its roles.
func (s *Subscriptions) SubscribeRefused(text string, now time.Time) {
	s.disconnect(now)
	initial := s.Initial()
	named := namedIn(text, initial)
	others := slices.DeleteFunc(slices.Clone(initial), func(role string) bool { return role == s.options.Default })
	if len(others) == 0 || slices.Contains(named, s.options.Default) {
		s.own = text
	}
	if len(named) > 0 {
		for _, role := range named {
			if role != s.options.Default {
				s.accuse(role, blame{text: text, permanent: true}, now)
			}
		}
		return
	}
	if len(others) > 0 {
		s.group(&group{roles: others, blame: blame{text: text}})
	}
}

// Disconnected takes in that the subscription ended. The outcome of a change under
// way is not awaited any more.
func (s *Subscriptions) Disconnected() {
	s.disconnect(time.Time{})
}

func (s *Subscriptions) disconnect(now time.Time) {
	s.connected, s.doubt = false, false
	s.attempt = nil
	s.search.restart()
	for _, role := range slices.Collect(maps.Keys(s.held)) {
		s.release(role, now)
	}
}

// Accepted takes in that the master accepted the change to these roles. An answer
// that nobody waits for any more is ignored.
func (s *Subscriptions) Accepted(roles []string, now time.Time) {
	a := s.answered(roles)
	if a == nil {
		return
	}
	s.ready, s.doubt = now.Add(s.options.UpdatePeriod), false
	for _, role := range a.removed {
		s.release(role, now)
	}
	s.hold(slices.Concat(a.fresh, a.part), now)
	if a.group != nil && a.group.guilty && len(a.group.roles) == 1 {
		// What was refused with it was accepted without it.
		s.accuse(a.group.roles[0], a.group.blame, now)
	}
	if u := s.search.union; u != nil && a.part == nil && !slices.ContainsFunc(u.fresh, func(role string) bool { return !s.held[role] }) {
		s.convict(u, now)
	}
	s.search.restart()
}

// Refused takes in that the master refused the change to these roles, with a text
// for people. permanent is whether waiting will hardly help: the culprits are then
// tried again after RetryMax instead of RetryFirst. Calls that the master did not
// judge are no refusals: see Failed.
func (s *Subscriptions) Refused(roles []string, text string, permanent bool, now time.Time) {
	a := s.answered(roles)
	if a == nil {
		return
	}
	b := blame{text: text, permanent: permanent}
	added := slices.Concat(a.fresh, a.part)
	if named := namedIn(text, added); len(named) > 0 {
		for _, role := range named {
			s.accuse(role, b, now)
		}
		return
	}
	switch {
	case len(added) == 0:
		s.removals = now.Add(RetryFirst)
	case a.part == nil:
		again := s.search.union != nil
		s.suspect(a.fresh, b, now)
		if again {
			s.search.step = partAlone
		}
	default:
		a.blame = b
		if len(a.fresh) > 0 {
			s.search.step, s.search.union = freshAlone, a
			return
		}
		s.convict(a, now)
		s.search.restart()
	}
}

// Failed takes in that the outcome of the change under way is not known: no answer,
// or none that judges it. The master may have accepted it, so the next attempt, of
// the same, is an UpdatePeriod away.
func (s *Subscriptions) Failed(now time.Time) {
	if s.attempt != nil {
		s.attempt, s.doubt = nil, true
		s.ready = now.Add(s.options.UpdatePeriod)
	}
}

// answered returns the attempt that an answer is to, nil if to none that is waited for.
func (s *Subscriptions) answered(roles []string) *attempt {
	a := s.attempt
	if a == nil {
		return nil
	}
	if !slices.Equal(a.roles, slices.Sorted(slices.Values(roles))) {
		return nil
	}
	s.attempt = nil
	return a
}

// Retry makes a refused role be tried again at once: something changed.
func (s *Subscriptions) Retry(role string) {
	if r := s.refused[role]; r != nil {
		r.retry, r.delay = time.Time{}, 0
	}
}

// retryRefused puts the refused roles whose time has come into a group of their own,
// with those whose time is near, and forgets those that nobody wants any more.
func (s *Subscriptions) retryRefused(now time.Time) {
	var due []string
	late := false
	for role, r := range s.refused {
		e := s.entries[role]
		switch {
		case e.group != nil || r.retry.After(now.Add(retryTogether)):
		case e.wants > 0:
			due = append(due, role)
			late = late || !r.retry.After(now)
		case !r.retry.After(now):
			delete(s.refused, role)
			s.drop(role)
		}
	}
	if late {
		slices.Sort(due)
		s.group(&group{roles: due, retry: true})
	}
}

// nextRetry is when retryRefused has something to do, zero if never.
func (s *Subscriptions) nextRetry() time.Time {
	var next time.Time
	for role, r := range s.refused {
		if s.entries[role].group == nil {
			next = earliest(next, r.retry)
		}
	}
	return next
}

// group starts the search in a group whose roles are in no other one.
func (s *Subscriptions) group(g *group) {
	for _, role := range g.roles {
		s.entries[role].group = g
		delete(s.fresh, role)
	}
	s.search.push(g)
}

// suspect takes in that one of these fresh roles at least is a culprit.
func (s *Subscriptions) suspect(fresh []string, b blame, now time.Time) {
	if slices.ContainsFunc(fresh, func(role string) bool { return !s.fresh[role] }) {
		// Perhaps it was the one that nobody wants any more.
		s.search.restart()
		return
	}
	if len(fresh) == 1 {
		s.accuse(fresh[0], b, now)
		return
	}
	s.group(&group{roles: fresh, guilty: true, blame: b})
}

// convict takes in that one role at least of an attempt's part is a culprit.
func (s *Subscriptions) convict(a *attempt, now time.Time) {
	g := a.group
	if slices.ContainsFunc(a.part, func(role string) bool { return s.entries[role] == nil || s.entries[role].group != g }) {
		return
	}
	g.blame = a.blame
	switch {
	case len(a.part) == 1:
		s.accuse(a.part[0], g.blame, now)
	case len(a.part) < len(g.roles):
		rest := s.search.split(g, a.part)
		for _, role := range rest.roles {
			s.entries[role].group = rest
		}
	default:
		g.guilty = true
	}
}

// accuse notes that a role is a culprit.
func (s *Subscriptions) accuse(role string, b blame, now time.Time) {
	e := s.entry(role)
	if e.group != nil {
		s.search.forget(e.group, role)
		e.group = nil
	}
	delete(s.fresh, role)
	r := s.refused[role]
	if r == nil {
		r = &refusal{}
		s.refused[role] = r
	}
	switch {
	case b.permanent:
		r.delay = RetryMax
	case r.delay == 0:
		r.delay = RetryFirst
	default:
		r.delay = min(2*r.delay, RetryMax)
	}
	r.text, r.retry = b.text, now.Add(r.delay)
}

// namedIn returns the roles among the given ones that the master names as not in its
// whitelist (Mesos source, master/master.cpp, validateFramework).
func namedIn(text string, roles []string) []string {
	_, rest, ok := strings.Cut(text, "Roles {")
	if !ok {
		return nil
	}
	list, _, ok := strings.Cut(rest, "} are not present in the master's --roles")
	if !ok {
		return nil
	}
	var named []string
	for role := range strings.SplitSeq(list, ", ") {
		if role = strings.TrimSpace(role); slices.Contains(roles, role) && !slices.Contains(named, role) {
			named = append(named, role)
		}
	}
	return named
}
