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

package terms

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Subscribed says that there is a subscription from now on, and what the SUBSCRIBE
// told of each role. heeded is false for a master too old for constraints: it is told
// none.
func (b *Book) Subscribed(told map[string]Terms, heeded bool, now time.Time) {
	b.connected, b.heeded, b.sent = true, heeded, nil
	for name := range told {
		b.role(name)
	}
	for name, r := range b.roles {
		r.told = told[name]
		if !heeded {
			r.told.Constraints = nil
		}
		r.by, r.unsure, r.retry = b.serial, kinds{}, time.Time{}
		b.follow(r, now)
	}
}

// Disconnected says that there is no subscription any more: nothing is due, and what
// was sent does not matter.
func (b *Book) Disconnected() { b.connected, b.sent = false, nil }

// Accepted says that the master took an update.
func (b *Book) Accepted(c *Change, now time.Time) {
	if !b.settle(c) {
		return
	}
	for name, t := range c.Terms {
		r := b.roles[name]
		if r == nil || r.by > c.serial {
			continue
		}
		r.told, r.by, r.unsure = t, c.serial, kinds{}
		b.follow(r, now)
	}
}

// Failed says that it is not known whether the master took an update. What it changed is
// told again after a while.
func (b *Book) Failed(c *Change, now time.Time) {
	if !b.settle(c) {
		return
	}
	for name, changed := range c.changed {
		r := b.roles[name]
		if r == nil || r.by > c.serial {
			continue
		}
		r.told, r.by, r.unsure, r.retry = c.Terms[name], c.serial, changed, now.Add(b.cfg.RetryAfter)
		b.follow(r, now)
	}
}

// Refused says that the master refused an update, or with nil a SUBSCRIBE, and with
// which text: it has what it had. The kind of terms that it names is left out for a
// while, for the role that it names; where it names none, for all.
func (b *Book) Refused(c *Change, text string, now time.Time) {
	if c != nil && !b.settle(c) {
		return
	}
	left := b.leaveOut(c, refusedKinds(text), b.named(text), now)
	if !left {
		// It meant something else, perhaps: nothing of it shall be said once more.
		left = b.leaveOut(c, kinds{true, true}, nil, now)
	}
	if !left {
		// No terms were said that could be wrong.
		b.pause = now.Add(b.cfg.MinEvery)
	}
}

// leaveOut leaves out kinds of terms for roles, none for all, and tells whether that
// makes a difference to what was said.
func (b *Book) leaveOut(c *Change, k kinds, names []string, now time.Time) (difference bool) {
	for name, r := range b.roles {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		said := b.current(r, now)
		if c != nil {
			said = c.Terms[name]
		}
		difference = difference || k[constraints] && said.Constraints != nil || k[minimum] && said.Min != nil
		for i := range k {
			if k[i] {
				r.refused[i] = now.Add(b.cfg.RefusedFor)
			}
		}
		b.follow(r, now)
	}
	return difference
}

// settle takes an update from those whose outcome is awaited, and tells whether it
// still matters.
func (b *Book) settle(c *Change) bool {
	i := slices.Index(b.sent, c)
	if i < 0 {
		return false
	}
	b.sent = slices.Delete(b.sent, i, i+1)
	return true
}

// refusedKinds returns which kind of terms a refusal is about; both if it does not say.
// Constraints are named by the checks of offer_constraints_filter.cpp and
// validateOfferConstraintsRoles, minimums by validateOfferFilters.
func refusedKinds(text string) kinds {
	text = strings.ToLower(text)
	k := kinds{
		constraints: strings.Contains(text, "offer constraints"),
		minimum:     strings.Contains(text, "resource quantit"),
	}
	if k == (kinds{}) {
		return kinds{constraints: true, minimum: true}
	}
	return k
}

// roleNamed finds the role in "for role X", "A role X has an invalid ..." and "for a
// role 'X'not contained in the set of roles".
var roleNamed = regexp.MustCompile(`\brole '?([^\s']+)`)

// named returns the roles in the book that a refusal names.
func (b *Book) named(text string) (names []string) {
	for _, match := range roleNamed.FindAllStringSubmatch(text, -1) {
		if b.roles[match[1]] != nil {
			names = append(names, match[1])
		}
	}
	return names
}
