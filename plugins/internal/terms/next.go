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
	var due [numKinds]time.Time
	for _, r := range b.roles {
		b.follow(r, now) // what was refused may be tried again by now
		again = earlier(again, b.expires(r, now))
		due[constraints] = earlier(due[constraints], b.constraintsDue(r, now))
		due[minimum] = earlier(due[minimum], b.minimumDue(r, now))
	}
	// The earliest time of either kind; a minimum takes the constraints along.
	withMinimum := due[minimum]
	for k := range due {
		if !due[k].IsZero() && due[k].Before(b.last.Add(b.cfg.Every)) {
			due[k] = b.last.Add(b.cfg.Every)
		}
	}
	if !withMinimum.IsZero() && withMinimum.Before(b.lastMin.Add(b.cfg.MinEvery)) {
		due[minimum] = later(due[minimum], b.lastMin.Add(b.cfg.MinEvery))
	}
	switch {
	case reached(due[minimum], now):
		return b.send(true, now), time.Time{}
	case reached(due[constraints], now):
		return b.send(false, now), time.Time{}
	}
	return nil, earlier(again, earlier(due[constraints], due[minimum]))
}

// Join returns the update to be sent now although none is due, because the roles we
// subscribe to change: it tells all that is wanted. Like those of Next it is to be
// answered.
func (b *Book) Join(now time.Time) *Change {
	return b.send(true, now)
}

// constraintsDue returns when a role's constraints are to be told, zero for never.
func (b *Book) constraintsDue(r *role, now time.Time) time.Time {
	switch {
	case r.unsure[constraints]:
		return r.retry
	case r.differs.IsZero():
		return time.Time{}
	case r.urgent:
		return now
	}
	// What was refused is left out, and what need not be is said, as soon as may be.
	return earlier(later(r.changed, r.differs).Add(b.cfg.Stable), r.differs.Add(b.cfg.Lag))
}

// minimumDue returns when a role's minimum is to be told, zero for never.
func (b *Book) minimumDue(r *role, now time.Time) time.Time {
	least := b.current(r, now).Min
	switch {
	case r.unsure[minimum]:
		return r.retry
	case equal(least, r.told.Min):
		return time.Time{}
	case !r.higher.IsZero():
		return r.higher.Add(b.cfg.RaiseAfter)
	}
	return now
}

// expires returns when something refused of the role may be tried again, zero if
// nothing is left out now.
func (b *Book) expires(r *role, now time.Time) (at time.Time) {
	for _, until := range r.refused {
		if now.Before(until) {
			at = earlier(at, until)
		}
	}
	return at
}

// send makes an update of what is wanted; minimums only if withMinimum, for they cost
// more.
func (b *Book) send(withMinimum bool, now time.Time) *Change {
	b.serial++
	c := &Change{Terms: map[string]Terms{}, changed: map[string]kinds{}, serial: b.serial}
	for name, r := range b.roles {
		t := b.current(r, now)
		if !withMinimum {
			t.Min = r.told.Min
		}
		k := kinds{
			constraints: r.unsure[constraints] || !t.Constraints.Equal(r.told.Constraints),
			minimum:     r.unsure[minimum] || !equal(t.Min, r.told.Min),
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

// higher tells whether min asks for more than told in one kind and for less in none,
// so that nothing is lost while the master has told.
func higher(min, told *resources.Vector) bool {
	switch {
	case min == nil || equal(min, told):
		return false
	case told == nil:
		return byDefault(*min)
	}
	return *told == told.Min(*min)
}

// byDefault tells whether every offer that meets min meets what masters ask for by
// themselves (--min_allocatable_resources, "cpus:0.01|mem:32"; constants.hpp).
func byDefault(min resources.Vector) bool {
	return min[resources.CPU] >= 10 || min[resources.Memory] >= 32_000
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

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func reached(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
