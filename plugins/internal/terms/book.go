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
	"slices"
	"time"
)

// Config holds how patient a Book is. Zero fields get the defaults.
type Config struct {
	// Every is the least time between two updates, 1 s by default. The first after a
	// quiet time goes out at once.
	Every time.Duration
	// Stable is how long wanted constraints must have stayed the same before they are
	// said although nobody waits for it, 5 s by default; Lag is how long that may put
	// them off in all, 30 s by default.
	Stable, Lag time.Duration
	// MinEvery is the least time between two updates that lower a minimum, 10 s by
	// default: each is a message from the master to every agent. The first goes out at
	// once.
	MinEvery time.Duration
	// RaiseAfter is how long a minimum must have been lower than it could be before it
	// is raised, 10 min by default, unless one is lowered or roles change.
	RaiseAfter time.Duration
	// RetryAfter is when an update whose outcome is unknown is said again, 1 s by
	// default.
	RetryAfter time.Duration
	// RefusedFor is for how long what the master refused is left out, 10 min by default.
	RefusedFor time.Duration
}

func (c *Config) complete() {
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&c.Every, time.Second}, {&c.Stable, 5 * time.Second}, {&c.Lag, 30 * time.Second},
		{&c.MinEvery, 10 * time.Second}, {&c.RaiseAfter, 10 * time.Minute},
		{&c.RetryAfter, time.Second}, {&c.RefusedFor, 10 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
}

// Book holds the terms we want for each role and those the master was told, and says
// when the master is told anew. It is not safe for concurrent use.
type Book struct {
	cfg   Config
	roles map[string]*role
	// connected tells that there is a subscription, heeded that its master heeds
	// constraints.
	connected, heeded bool
	// last is when an update was last sent, lastMin when one that changed a minimum,
	// lastLower when one that lowered a minimum.
	last, lastMin, lastLower time.Time
	// pause is until when nothing is due, after a refusal for no reason of ours.
	pause time.Time
	// sent are updates whose outcome is not known yet, in the order they were sent;
	// serial numbers them.
	sent   []*Change
	serial uint64
}

// role is what is wanted and told of one role.
type role struct {
	want Terms
	// urgent tells that somebody waits for the wanted constraints.
	urgent bool
	// changed is when the wanted constraints last changed, differs since when they
	// are not those the master has; zero if they are.
	changed, differs time.Time
	// higher is since when the minimum could be higher, zero if it could not.
	higher time.Time

	// told are the terms that the master was told last, by the update of that serial.
	told Terms
	by   uint64
	// unsure are the kinds of which it is not known whether the master took what it
	// was told; they are told again at retry.
	unsure kinds
	retry  time.Time
	// refused is until when a kind is left out, by kind.
	refused [numKinds]time.Time
}

// kind is one of the two kinds of terms.
type kind int

const (
	constraints kind = iota
	minimum
	numKinds
)

// kinds is a set of them.
type kinds [numKinds]bool

// NewBook returns an empty book, not connected.
func NewBook(cfg Config) *Book {
	cfg.complete()
	return &Book{cfg: cfg, roles: map[string]*role{}}
}

// Want says which terms a role should have from now on. A minimum is made coarse (see
// Coarse). Call it when what is needed changed, of roles that are subscribed or about
// to be (see Join). For a role that is suppressed do not call it: what the master has
// then does no harm, and saying so would cost calls.
//
// urgent tells that somebody waits for the constraints: an agent that is needed is
// excluded by those the master has, or the role is about to be revived and would be
// offered what it has no use for. Without it they may lag behind.
func (b *Book) Want(name string, t Terms, urgent bool, now time.Time) {
	r := b.role(name)
	if t.Min != nil {
		least := Coarse(*t.Min)
		t.Min = &least
	}
	if !t.Constraints.Equal(r.want.Constraints) {
		r.changed = now
	}
	r.want, r.urgent = t, urgent || b.overtaken(name, t)
	b.follow(r, now)
}

// overtaken tells whether an update is under way that tells constraints other than the
// wanted. The caller cannot have judged by those whether it is urgent.
func (b *Book) overtaken(name string, t Terms) bool {
	return slices.ContainsFunc(b.sent, func(c *Change) bool {
		return c.changed[name][constraints] && !c.Terms[name].Constraints.Equal(t.Constraints)
	})
}

// Forget forgets a role that is subscribed to no more.
func (b *Book) Forget(name string) { delete(b.roles, name) }

func (b *Book) role(name string) *role {
	r := b.roles[name]
	if r == nil {
		r = &role{}
		b.roles[name] = r
	}
	return r
}

// Current returns the newest terms wanted of a role, as they are to be said in a call
// that goes out anyway: without what the master does not heed or has refused.
func (b *Book) Current(name string, now time.Time) Terms {
	if r := b.roles[name]; r != nil {
		return b.current(r, now)
	}
	return Terms{}
}

func (b *Book) current(r *role, now time.Time) Terms {
	t := r.want
	if b.connected && !b.heeded || now.Before(r.refused[constraints]) {
		t.Constraints = nil
	}
	if now.Before(r.refused[minimum]) {
		t.Min = nil
	}
	return t
}

// Told returns the terms of a role that the master was told last, which it has as far as
// is known; the zero value for a role it was told nothing of.
func (b *Book) Told(name string) Terms {
	if r := b.roles[name]; r != nil {
		return r.told
	}
	return Terms{}
}

// InForce tells whether the master has the constraints that are wanted of a role, so
// that a REVIVE brings offers of the agents that are needed and of no others.
func (b *Book) InForce(name string, now time.Time) bool {
	r := b.roles[name]
	return r == nil || !r.unsure[constraints] && b.current(r, now).Constraints.Equal(r.told.Constraints)
}

// follow keeps in step since when the wanted terms of a role differ from the told.
func (b *Book) follow(r *role, now time.Time) {
	t := b.current(r, now)
	switch {
	case t.Constraints.Equal(r.told.Constraints):
		r.differs = time.Time{}
	case r.differs.IsZero():
		r.differs = now
	}
	switch {
	case !higher(t.Min, r.told.Min):
		r.higher = time.Time{}
	case r.higher.IsZero():
		r.higher = now
	}
}
