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

package election

import (
	"slices"
	"time"
)

// timer is something to do later; of two due at once the one made first comes
// first.
type timer struct {
	at  time.Time
	seq int
	do  func()
}

// after runs do later, at once if d is not positive.
func (e *Ensemble) after(d time.Duration, do func()) {
	if d <= 0 {
		do()
		return
	}
	e.made++
	e.timers = append(e.timers, timer{e.now.Add(d), e.made, do})
	slices.SortFunc(e.timers, func(a, b timer) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.seq - b.seq
	})
}

// inLife is after, void once the process has died.
func (e *Ensemble) inLife(d time.Duration, i int, do func()) {
	life := e.masters[i].life
	e.after(d, func() {
		if e.masters[i].life == life {
			do()
		}
	})
}

// enter lets the time pass up to an event at now.
func (e *Ensemble) enter(now time.Time) {
	for len(e.timers) > 0 && !e.timers[0].at.After(now) {
		t := e.timers[0]
		e.timers = e.timers[1:]
		e.now = t.at
		t.do()
	}
	if now.After(e.now) {
		e.now = now
	}
}

func (e *Ensemble) emit(ev Event) {
	ev.At = e.now
	e.out = append(e.out, ev)
}

// Advance lets the time pass up to now and returns what has become of processes
// since the last call, in order.
func (e *Ensemble) Advance(now time.Time) []Event {
	e.enter(now)
	out := e.out
	e.out = nil
	return out
}

// Next is when Advance wants to be called again; false if nothing is due ever.
func (e *Ensemble) Next() (time.Time, bool) {
	if len(e.timers) == 0 {
		return time.Time{}, false
	}
	return e.timers[0].at, true
}
