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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Change is an update to be sent to the master (UPDATE_FRAMEWORK).
type Change struct {
	// Terms are those of every role in the book.
	Terms map[string]Terms
	// Minimum tells that a minimum changes: the master tells every agent.
	Minimum bool

	serial uint64
	// changed are the kinds that change, by role.
	changed map[string]kinds
}

// Next returns the update to be sent now, nil if none is due, and when to ask again,
// zero if nothing is going to be due unless something happens. Whoever sends it says
// how that went: Accepted, Refused or Failed; until then no other is due.
func (b *Book) Next(now time.Time) (change *Change, again time.Time) {
	if !b.connected || len(b.sent) > 0 {
		return nil, time.Time{}
	}
	var updateAt, raiseAt, lowerAt time.Time
	for _, r := range b.roles {
		b.follow(r, now) // what was refused may be tried again by now
		again = earlier(again, expires(r, now))
		updateAt = earlier(updateAt, b.constraintsDue(r, now))
		raiseAt = earlier(raiseAt, b.raiseDue(r))
		lowerAt = earlier(lowerAt, b.lowerDue(r, now))
	}
	floor := later(b.last.Add(b.cfg.Every), b.pause)
	updateAt = notBefore(updateAt, floor)
	lowerAt = notBefore(lowerAt, later(floor, b.lastLower.Add(b.cfg.MinEvery)))
	raiseAt = notBefore(raiseAt, later(floor, b.lastMin.Add(b.cfg.MinEvery)))
	switch minimumAt := earlier(lowerAt, raiseAt); {
	case reached(minimumAt, now):
		return b.send(true, now), time.Time{}
	case reached(updateAt, now):
		return b.send(false, now), time.Time{}
	default:
		return nil, earlier(again, earlier(updateAt, minimumAt))
	}
}

// Join returns the update to be sent now although none is due, because the roles we
// subscribe to change: it tells all that is wanted. Like those of Next it is to be
// answered.
func (b *Book) Join(now time.Time) *Change { return b.send(true, now) }

// constraintsDue returns when a role's constraints are to be told, zero for never; or
// when what it is not sure that the master took is told again.
func (b *Book) constraintsDue(r *role, now time.Time) (at time.Time) {
	switch {
	case r.differs.IsZero():
	case r.urgent:
		at = now
	default:
		at = earlier(later(r.changed, r.differs).Add(b.cfg.Stable), r.differs.Add(b.cfg.Lag))
	}
	if r.unsure != (kinds{}) {
		at = earlier(at, r.retry)
	}
	return at
}

// raiseDue returns when a role's minimum is to be raised, zero for never. The first that
// the master is told does not wait.
func (b *Book) raiseDue(r *role) time.Time {
	switch {
	case r.higher.IsZero():
		return time.Time{}
	case r.told.Min == nil:
		return r.higher
	}
	return r.higher.Add(b.cfg.RaiseAfter)
}

// lowerDue returns when a role's minimum is to be lowered, zero for never.
func (b *Book) lowerDue(r *role, now time.Time) time.Time {
	if lower(b.current(r, now).Min, r.told.Min) {
		return now
	}
	return time.Time{}
}

// expires returns when something refused of the role may be tried again, zero if
// nothing is left out now.
func expires(r *role, now time.Time) (at time.Time) {
	for _, until := range r.refused {
		if now.Before(until) {
			at = earlier(at, until)
		}
	}
	return at
}

// send makes an update of what is wanted; of minimums only if asked for, because they
// cost more.
func (b *Book) send(minimums bool, now time.Time) *Change {
	b.serial++
	c := &Change{Terms: map[string]Terms{}, changed: map[string]kinds{}, serial: b.serial}
	for name, r := range b.roles {
		t := b.current(r, now)
		if !minimums {
			t.Min = r.told.Min
		}
		k := r.unsure
		k[constraints] = k[constraints] || !t.Constraints.Equal(r.told.Constraints)
		k[minimum] = k[minimum] || !equal(t.Min, r.told.Min)
		if lower(t.Min, r.told.Min) {
			b.lastLower = now
		}
		c.Terms[name], c.changed[name] = t, k
		c.Minimum = c.Minimum || k[minimum]
	}
	b.sent = append(b.sent, c)
	b.last = now
	if c.Minimum {
		b.lastMin = now
	}
	return c
}

// higher tells whether least asks for more than told in one kind and for less in none,
// so that nothing is lost while the master has told.
func higher(least, told *resources.Vector) bool {
	switch {
	case least == nil || equal(least, told):
		return false
	case told == nil:
		return byDefault(*least)
	}
	return *told == told.Min(*least)
}

// lower tells whether something may be lost while the master has told and not least.
func lower(least, told *resources.Vector) bool { return !equal(least, told) && !higher(least, told) }

// byDefault tells whether every offer that meets least meets what masters ask for by
// themselves (--min_allocatable_resources, "cpus:0.01|mem:32"; constants.hpp).
func byDefault(least resources.Vector) bool {
	return least[resources.CPU] >= 10 || least[resources.Memory] >= 32_000
}

func equal(a, b *resources.Vector) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// notBefore puts a time off; never stays never.
func notBefore(at, floor time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return later(at, floor)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func reached(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
