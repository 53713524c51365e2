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
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// sim drives a book against a master, in steps of time. The book is asked only when it
// said so, or after something happened.
type sim struct {
	t      *testing.T
	rnd    *rand.Rand
	faults bool
	book   *Book
	now    time.Time
	// ask is when the book is to be asked, zero for never.
	ask time.Time
	// master is what the master has.
	master map[string]Terms
	wanted map[string]Terms
	// pending are the updates under way, in order.
	pending []pending
	// lastNext is when Next last gave an update, lastLower when one of Next last
	// lowered a minimum.
	lastNext, lastLower time.Time
	sent                map[string]Terms
	// excluded is since when the master excludes the host that a role needs by now.
	excluded map[string]time.Time
	updates  int
}

type pending struct {
	change *Change
	until  time.Time
}

const (
	simStep = 50 * time.Millisecond
	// simAnswer is the longest that an answer takes.
	simAnswer = 400 * time.Millisecond
)

func newSim(t *testing.T, seed uint64, faults bool) *sim {
	s := &sim{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), faults: faults, book: NewBook(Config{}), now: start,
		master: map[string]Terms{}, wanted: map[string]Terms{}, sent: map[string]Terms{}, excluded: map[string]time.Time{},
	}
	s.subscribe()
	return s
}

func (s *sim) subscribe() {
	told := map[string]Terms{}
	for name := range s.wanted {
		told[name] = s.book.Current(name, s.now)
	}
	s.pending, s.master, s.sent = nil, map[string]Terms{}, map[string]Terms{}
	for name, t := range told {
		s.master[name], s.sent[name] = t, t
	}
	s.book.Subscribed(told, true, s.now)
	s.ask = s.now
}

// want wants something new of a role, as its owner would: constraints on the one host
// that is needed are urgent if what was told last excludes it.
func (s *sim) want() {
	name := string(rune('a' + s.rnd.IntN(3)))
	var w Terms
	if s.rnd.IntN(6) > 0 {
		w.Constraints = on(fmt.Sprint("h", s.rnd.IntN(3)))
		if s.rnd.IntN(3) == 0 {
			w.Constraints = append(w.Constraints, on("more")...)
		}
	}
	if s.rnd.IntN(6) > 0 {
		w.Min = &resources.Vector{resources.CPU: s.rnd.Int64N(4000), resources.Memory: s.rnd.Int64N(4096_000)}
	}
	s.book.Want(name, w, !admitsHost(s.book.Told(name), w), s.now)
	s.wanted[name] = w
	delete(s.excluded, name)
	s.ask = s.now
}

// admitsHost tells whether told admits the first host that wanted names.
func admitsHost(told, wanted Terms) bool {
	if len(told.Constraints) == 0 {
		return true
	}
	for _, g := range told.Constraints {
		if len(wanted.Constraints) > 0 && g[0] == wanted.Constraints[0][0] {
			return true
		}
	}
	return false
}

func (s *sim) step(busy bool) {
	s.now = s.now.Add(simStep)
	if busy && s.rnd.IntN(40) == 0 {
		s.want()
	}
	if s.faults && busy && s.rnd.IntN(4000) == 0 {
		s.book.Disconnected()
		s.subscribe()
	}
	if busy && s.rnd.IntN(1000) == 0 {
		s.send(s.book.Join(s.now), false)
	}
	for len(s.pending) > 0 && !s.now.Before(s.pending[0].until) {
		p := s.pending[0]
		s.pending = s.pending[1:]
		s.answer(p.change, busy)
	}
	if !s.ask.IsZero() && !s.now.Before(s.ask) {
		var change *Change
		if change, s.ask = s.book.Next(s.now); change != nil {
			s.send(change, true)
		}
	}
	s.check()
}

func (s *sim) send(c *Change, ofNext bool) {
	s.updates++
	lowers := false
	for name, t := range c.Terms {
		lowers = lowers || lower(t.Min, s.sent[name].Min)
		s.sent[name] = t
	}
	if ofNext {
		if s.now.Sub(s.lastNext) < time.Second {
			s.t.Fatalf("two updates within %v", s.now.Sub(s.lastNext))
		}
		if lowers && s.now.Sub(s.lastLower) < 10*time.Second {
			s.t.Fatalf("two updates that lower a minimum within %v", s.now.Sub(s.lastLower))
		}
		s.lastNext = s.now
		if lowers {
			s.lastLower = s.now
		}
	}
	until := s.now.Add(time.Duration(s.rnd.Int64N(int64(simAnswer - simStep))))
	if n := len(s.pending); n > 0 { // the lane keeps the order
		until = later(until, s.pending[n-1].until)
	}
	s.pending = append(s.pending, pending{c, until})
}

func (s *sim) answer(c *Change, busy bool) {
	s.ask = s.now
	fate := 9
	if s.faults && busy {
		fate = s.rnd.IntN(10)
	}
	switch fate {
	case 0:
		s.book.Failed(c, s.now) // and it did not arrive
		return
	case 1:
		if s.rnd.IntN(10) == 0 {
			s.book.Refused(c, "Offer constraints are not valid", s.now)
			for name := range s.sent {
				s.sent[name] = s.master[name]
			}
			return
		}
	}
	for name, t := range c.Terms {
		s.master[name] = t
	}
	if fate == 2 {
		s.book.Failed(c, s.now) // but it did
		return
	}
	s.book.Accepted(c, s.now)
}

// check checks that without faults the master does not exclude what is needed for
// longer than a second and two answers.
func (s *sim) check() {
	for name, w := range s.wanted {
		if admitsHost(s.master[name], w) {
			delete(s.excluded, name)
			continue
		}
		if s.excluded[name].IsZero() {
			s.excluded[name] = s.now
		}
		if d := s.now.Sub(s.excluded[name]); !s.faults && d > time.Second+2*simAnswer {
			s.t.Fatalf("role %s needs %v and the master has had %v for %v", name, w.Constraints, s.master[name].Constraints, d)
		}
	}
}

func TestBookConverges(t *testing.T) {
	for seed := range uint64(60) {
		faults := seed%2 == 1
		t.Run(fmt.Sprintf("seed %d, faults %v", seed, faults), func(t *testing.T) {
			s := newSim(t, seed, faults)
			for range 10 * time.Minute / simStep {
				s.step(true)
			}
			if s.updates == 0 {
				t.Fatal("the master was told nothing")
			}
			for range 30 * time.Minute / simStep {
				s.step(false)
			}
			for name, w := range s.wanted {
				if w.Min != nil {
					least := Coarse(*w.Min)
					w.Min = &least
				}
				if !s.master[name].Equal(w) {
					t.Errorf("the master has %v of role %s in the end, wanted is %v", s.master[name], name, w)
				}
				if !s.book.Told(name).Equal(w) || !s.book.InForce(name, s.now) {
					t.Errorf("the book has %v of role %s in the end, the master %v", s.book.Told(name), name, w)
				}
			}
			if c, again := s.book.Next(s.now.Add(time.Hour)); c != nil || !again.IsZero() {
				t.Errorf("in the end %v is due, or at %v", c, again)
			}
		})
	}
}
