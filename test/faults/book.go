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

package faults

import (
	"strings"
	"sync"
	"time"
)

// Interaction is one call or event that was met.
type Interaction struct {
	On    string // as in Rule
	Nth   int    // of this name, from 1
	About string // as in Rule
	Time  time.Time
}

const eventPrefix = "event "

func isEvent(on string) bool { return strings.HasPrefix(on, eventPrefix) }

// book holds the rules, and what has been met.
type book struct {
	mu     sync.Mutex
	rules  []*countedRule
	counts map[string]int
	log    []Interaction
	// passed is closed, and made anew, each time a call was carried out; forwarded
	// counts them.
	passed    chan struct{}
	forwarded int
}

type countedRule struct {
	Rule
	fits, hits int
}

func newBook() *book { return &book{counts: map[string]int{}, passed: make(chan struct{})} }

func (b *book) add(r Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = append(b.rules, &countedRule{Rule: r})
}

// meet takes note of a call or event and returns what is to be done to it. The first
// rule whose turn it is wins; all that fit count it.
func (b *book) meet(on, about string) []Action {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[on]++
	b.log = append(b.log, Interaction{On: on, Nth: b.counts[on], About: about, Time: time.Now()})
	var do []Action
	for _, r := range b.rules {
		if r.On != on && (r.On != "" || isEvent(on)) || !strings.Contains(about, r.About) {
			continue
		}
		r.fits++
		nth := max(1, r.Nth)
		due := r.fits >= nth && (r.Times < 0 || r.fits < nth+max(1, r.Times))
		if due && do == nil {
			r.hits++
			do = r.Do
		}
	}
	return do
}

// Log returns all that was met, in order.
func (b *book) Log() []Interaction {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Interaction(nil), b.log...)
}

// Unhit returns the rules that have never done anything.
func (b *book) Unhit() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, r := range b.rules {
		if r.hits == 0 {
			out = append(out, r.String())
		}
	}
	return out
}

// pass takes note of a call that was carried out.
func (b *book) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forwarded++
	close(b.passed)
	b.passed = make(chan struct{})
}

// behind waits until n more calls were carried out, at most limit, or until the sender
// is gone.
func (b *book) behind(n int, limit time.Duration, gone <-chan struct{}) {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	b.mu.Lock()
	until := b.forwarded + n
	for b.forwarded < until {
		passed := b.passed
		b.mu.Unlock()
		select {
		case <-passed:
		case <-late:
			return
		case <-gone:
			return
		}
		b.mu.Lock()
	}
	b.mu.Unlock()
}

// pause waits for d, or until the sender is gone.
func pause(d time.Duration, gone <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-gone:
	}
}
