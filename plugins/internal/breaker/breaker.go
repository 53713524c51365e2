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

// Package breaker bounds how many pods news from Mesos may end. So many go at once and
// so many a minute from then on. If a large part of all our pods is said to have lost
// its claims within a short time, something else is more likely than that: then it
// stops, and lets only those go whose loss the master has confirmed since.
//
// It is pure: no I/O and no clock. It is not safe for concurrent use.
package breaker

import (
	"maps"
	"slices"
	"time"
)

// Config says how much is too much.
type Config struct {
	// Burst is how many pods may go at once, PerMinute how many in each minute from
	// then on. Both are greater than zero.
	Burst, PerMinute int
	// Percent is which part of our pods may lose their claims within Window before the
	// breaker opens, and more than Burst of them; 100 or more: it never does.
	Percent int
	Window  time.Duration
	// Settle is how long no pod goes after its loss: bad news come in swarms, and the
	// first of them must not be acted upon before the others are counted.
	Settle time.Duration
}

// Breaker counts losses. Make it with New.
type Breaker struct {
	cfg Config
	// tokens are how many may go, as of at.
	tokens float64
	at     time.Time
	// lost are the losses whose pods are still there, recent those of the last Window,
	// whatever became of them.
	lost   map[string]*loss
	recent map[string]time.Time
	pruned time.Time
	total  int
	open   bool
	since  time.Time
	// told is the last state that Changed returned.
	told bool
}

type loss struct {
	at            time.Time
	verified, let bool
}

// New returns a closed breaker.
func New(cfg Config) *Breaker {
	return &Breaker{cfg: cfg, tokens: float64(cfg.Burst), lost: map[string]*loss{}, recent: map[string]time.Time{}}
}

// Total tells how many pods of ours are bound, with a claim or with a lost one.
func (b *Breaker) Total(pods int) { b.total = pods }

// Lost tells of the loss of a claim because of which a pod is to go. Telling it again
// changes nothing.
func (b *Breaker) Lost(id string, now time.Time) {
	if b.lost[id] != nil {
		return
	}
	b.lost[id] = &loss{at: now}
	b.recent[id] = now
	b.prune(now)
	if !b.open && b.tooMany() {
		b.open, b.since = true, now
	}
}

// Verified tells that the master, asked again, said once more that the claim is lost.
func (b *Breaker) Verified(id string, now time.Time) {
	if l := b.lost[id]; l != nil {
		l.verified = true
	}
	b.close(now)
}

// Back tells that the claim is held after all: it never was a loss.
func (b *Breaker) Back(id string, now time.Time) {
	delete(b.recent, id)
	b.Gone(id, now)
}

// Gone tells that the pod is gone, or to stay as it is.
func (b *Breaker) Gone(id string, now time.Time) {
	delete(b.lost, id)
	b.close(now)
}

// Allow tells whether the pod may go now, and goes on saying so. A loss that it was not
// told of is told of now.
func (b *Breaker) Allow(id string, now time.Time) bool {
	b.Lost(id, now)
	b.close(now)
	l := b.lost[id]
	switch {
	case l.let:
		return true
	case b.open && !l.verified, now.Sub(l.at) < b.cfg.Settle:
		return false
	}
	b.refill(now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	l.let = true
	return true
}

// Unverified returns the losses that wait for Verified, in order; none while the breaker
// is closed.
func (b *Breaker) Unverified() []string {
	if !b.open {
		return nil
	}
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(b.lost)) {
		if l := b.lost[id]; !l.verified && !l.let {
			ids = append(ids, id)
		}
	}
	return ids
}

// State is where the breaker stands.
type State struct {
	// Open tells that only verified losses are let go; Since is when it last opened.
	Open  bool
	Since time.Time
	// Recent is how many claims were lost within the window, Total how many pods there
	// are, Waiting how many of those that lost theirs were not let go yet, Unverified
	// how many of these wait for the master's word.
	Recent, Total, Waiting, Unverified int
}

// State returns where the breaker stands.
func (b *Breaker) State() State {
	s := State{Open: b.open, Since: b.since, Recent: len(b.recent), Total: b.total, Unverified: len(b.Unverified())}
	for _, l := range b.lost {
		if !l.let {
			s.Waiting++
		}
	}
	return s
}

// Changed returns the state if the breaker opened or closed since the last call.
func (b *Breaker) Changed(now time.Time) (s State, changed bool) {
	b.close(now)
	if b.open == b.told {
		return s, false
	}
	b.told = b.open
	return b.State(), true
}

// close closes the breaker when nothing waits for the master's word, or the time of many
// losses is over.
func (b *Breaker) close(now time.Time) {
	b.prune(now)
	if b.open && (!b.tooMany() || len(b.Unverified()) == 0) {
		b.open = false
	}
}

func (b *Breaker) tooMany() bool {
	n := len(b.recent)
	return b.cfg.Percent < 100 && n > b.cfg.Burst && n*100 > b.cfg.Percent*b.total
}

func (b *Breaker) prune(now time.Time) {
	if now.Sub(b.pruned) < time.Second {
		return
	}
	b.pruned = now
	maps.DeleteFunc(b.recent, func(id string, at time.Time) bool { return now.Sub(at) >= b.cfg.Window && !b.waits(id) })
}

// waits tells whether the loss waits for the master's word: that does not pass by time.
func (b *Breaker) waits(id string) bool {
	l := b.lost[id]
	return b.open && l != nil && !l.verified && !l.let
}

func (b *Breaker) refill(now time.Time) {
	if !b.at.IsZero() {
		b.tokens = min(float64(b.cfg.Burst), b.tokens+now.Sub(b.at).Minutes()*float64(b.cfg.PerMinute))
	}
	b.at = now
}
