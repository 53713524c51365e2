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
	"slices"
	"time"
)

// State is where a role stands.
type State int

const (
	// Unsubscribed is a role that nobody wants.
	Unsubscribed State = iota
	// Pending is a role that is wanted, and a change that adds it is due or under way.
	Pending
	// Subscribed is a role that the master offers us resources for.
	Subscribed
	// Refused is a role that the master does not let us have. It is tried again.
	Refused
)

func (s State) String() string {
	switch s {
	case Unsubscribed:
		return "Unsubscribed"
	case Pending:
		return "Pending"
	case Subscribed:
		return "Subscribed"
	case Refused:
		return "Refused"
	}
	return "Unknown"
}

const (
	// Collect is how long the first role of a change waits for others, so that a
	// burst of pods in new namespaces makes one call.
	Collect = 20 * time.Millisecond
	// RetryFirst is when a refused role is first tried again. The time doubles
	// with each refusal, up to RetryMax.
	RetryFirst = 5 * time.Minute
	// RetryMax is the longest time between two tries of a refused role.
	RetryMax = time.Hour
	// retryTogether is how much earlier than its time a refused role is tried to be
	// tried with another one: if they are good by now, it is one broadcast.
	retryTogether = RetryFirst / 10
)

// Options are what the user sets.
type Options struct {
	// Default is the framework's own role: it is always wanted.
	Default string
	// UpdatePeriod is the time in which the master accepts one change at most.
	UpdatePeriod time.Duration
	// KeepUnused is how long a role that nobody wants any more stays subscribed.
	KeepUnused time.Duration
}

// Change is one UPDATE_FRAMEWORK. All lists are sorted.
type Change struct {
	// Roles is the full new set.
	Roles []string
	// Added and Removed are how it differs from the set now in force.
	Added, Removed []string
}

// Subscriptions decides which roles the framework is subscribed to.
type Subscriptions struct {
	options Options
	entries map[string]*entry

	connected bool
	// held is the set that the master has accepted.
	held map[string]bool
	// fresh are the roles to be added that nothing is known against, freshSince
	// when the first of them came.
	fresh      map[string]bool
	freshSince time.Time
	// unused is since when the roles are unused that are held but not wanted.
	unused map[string]time.Time
	// refused are the roles that the master refused.
	refused map[string]*refusal

	search search
	// attempt is the change that the master has not answered yet.
	attempt *attempt
	// doubt tells that the last change had no answer, so that the master's set may be
	// another one than held: the next change is made even if it changes nothing.
	doubt bool
	// ready is when the next change may be accepted, removals when the next one
	// may be sent that only removes.
	ready, removals time.Time
	// own is why the master refused the default role in SUBSCRIBE, "" if it did not.
	own string
}

// entry is a role that is wanted, held or refused.
type entry struct {
	// wants is the number of pods and claims that use it.
	wants int
	// group is the group under search it is in, if any.
	group *group
}

// refusal is why a role was refused and when it is tried again.
type refusal struct {
	text  string
	delay time.Duration
	retry time.Time
}

// NewSubscriptions returns the state before the first SUBSCRIBE.
func NewSubscriptions(o Options) *Subscriptions {
	s := &Subscriptions{
		options: o,
		entries: map[string]*entry{},
		held:    map[string]bool{},
		fresh:   map[string]bool{},
		unused:  map[string]time.Time{},
		refused: map[string]*refusal{},
	}
	// Nobody ever takes this one back.
	s.Want(o.Default, time.Time{})
	return s
}

// Want counts one more user of a role.
func (s *Subscriptions) Want(role string, now time.Time) {
	e := s.entry(role)
	e.wants++
	if e.wants > 1 {
		return
	}
	delete(s.unused, role)
	s.refresh(role, now)
}

// Unwant counts one user of a role less.
func (s *Subscriptions) Unwant(role string, now time.Time) {
	e := s.entries[role]
	if e == nil || e.wants == 0 || e.wants == 1 && role == s.options.Default {
		return
	}
	e.wants--
	if e.wants > 0 {
		return
	}
	if s.held[role] {
		s.unused[role] = now
	}
	delete(s.fresh, role)
	if e.group != nil {
		s.search.forget(e.group, role)
		e.group = nil
	}
	s.drop(role)
}

func (s *Subscriptions) entry(role string) *entry {
	e := s.entries[role]
	if e == nil {
		e = &entry{}
		s.entries[role] = e
	}
	return e
}

// refresh makes a role fresh if it is to be added and nothing is known of it.
func (s *Subscriptions) refresh(role string, now time.Time) {
	e := s.entries[role]
	if e == nil || e.wants == 0 || s.held[role] || s.refused[role] != nil || e.group != nil {
		return
	}
	if len(s.fresh) == 0 {
		s.freshSince = now
	}
	s.fresh[role] = true
}

// drop forgets a role that means nothing any more.
func (s *Subscriptions) drop(role string) {
	if e := s.entries[role]; e != nil && e.wants == 0 && !s.held[role] && s.refused[role] == nil {
		delete(s.entries, role)
	}
}

// hold notes that the master has these roles in our set.
func (s *Subscriptions) hold(roles []string, now time.Time) {
	for _, role := range roles {
		e := s.entry(role)
		e.group = nil
		s.held[role] = true
		delete(s.fresh, role)
		delete(s.refused, role)
		if e.wants == 0 {
			s.unused[role] = now
		}
	}
	s.search.keep(func(role string) bool { return !s.held[role] })
}

// release notes that the master does not have the role in our set any more.
func (s *Subscriptions) release(role string, now time.Time) {
	delete(s.held, role)
	delete(s.unused, role)
	s.refresh(role, now)
	s.drop(role)
}

// State tells where a role stands.
func (s *Subscriptions) State(role string) State {
	e := s.entries[role]
	switch {
	case s.held[role]:
		return Subscribed
	case s.refused[role] != nil && e.wants > 0, s.own != "" && role == s.options.Default:
		return Refused
	case e != nil && e.wants > 0:
		return Pending
	}
	return Unsubscribed
}

// Problem tells people why a role is not subscribed, in the master's words; "" if
// it is, or if nothing stands against it.
func (s *Subscriptions) Problem(role string) string {
	switch r := s.refused[role]; {
	case s.held[role]:
		return ""
	case r != nil:
		return "the Mesos master refuses the role " + shown(role) + ": " + r.text
	case s.own != "":
		return "the framework cannot subscribe: the Mesos master refuses even its default role " + shown(s.options.Default) + " alone: " + s.own
	}
	return ""
}

// Problems returns the Problem of each role that is Refused.
func (s *Subscriptions) Problems() map[string]string {
	if len(s.refused) == 0 && s.own == "" {
		return nil
	}
	problems := map[string]string{}
	for role := range s.entries {
		if s.State(role) == Refused {
			problems[role] = s.Problem(role)
		}
	}
	return problems
}

// Next returns the change to send now, if any: its outcome must be told before
// there is another one. again is when to ask next if nothing happens before; zero:
// not before something happens.
func (s *Subscriptions) Next(now time.Time) (change *Change, again time.Time) {
	if !s.connected || s.attempt != nil {
		return nil, time.Time{}
	}
	s.retryRefused(now)
	at, found := s.due()
	if !found || now.Before(at) {
		return nil, earliest(at, s.nextRetry())
	}
	s.attempt = s.assemble(now)
	return s.attempt.change(), time.Time{}
}

// due is when the next change may be sent, false if there is none.
func (s *Subscriptions) due() (time.Time, bool) {
	switch {
	case len(s.search.groups) > 0:
		return s.ready, true
	case len(s.fresh) > 0:
		return latest(s.ready, s.freshSince.Add(Collect)), true
	case s.doubt:
		return latest(s.ready, s.removals), true
	case len(s.unused) == 0:
		return time.Time{}, false
	}
	var first time.Time
	for _, since := range s.unused {
		first = earliest(first, since.Add(s.options.KeepUnused))
	}
	return latest(latest(s.ready, s.removals), first), true
}

// assemble makes the attempt that is due.
func (s *Subscriptions) assemble(now time.Time) *attempt {
	a := s.search.next(s.fresh)
	for role, since := range s.unused {
		if !now.Before(since.Add(s.options.KeepUnused)) {
			a.removed = append(a.removed, role)
		}
	}
	slices.Sort(a.removed)
	for role := range s.held {
		if _, out := slices.BinarySearch(a.removed, role); !out {
			a.roles = append(a.roles, role)
		}
	}
	a.roles = append(append(a.roles, a.fresh...), a.part...)
	slices.Sort(a.roles)
	return a
}

// earliest is the earlier of two times, of which a zero one means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
