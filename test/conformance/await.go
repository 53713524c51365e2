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

package conformance

import (
	"testing/synctest"
	"time"
)

// until lets the bubble's time pass up to t, with the allocation interval on the
// recorded phase.
func (r *replay) until(t time.Time) {
	for time.Now().Before(t) {
		next := t
		if at, ok := r.nextTick(); ok && at.Before(next) {
			next = at
		}
		time.Sleep(time.Until(next))
		r.align()
	}
	synctest.Wait()
}

// nextTick is when the phase has to be set again: just after the next tick.
func (r *replay) nextTick() (time.Time, bool) {
	if len(r.ticks) == 0 {
		return time.Time{}, false
	}
	return r.ticks[0].Add(time.Millisecond), true
}

// align moves the emulator's allocation interval to the next recorded tick.
func (r *replay) align() {
	now, moved := time.Now(), false
	for len(r.ticks) > 0 && !r.ticks[0].After(now) {
		r.ticks, moved = r.ticks[1:], true
	}
	if moved && len(r.ticks) > 0 && r.master != nil {
		r.master.AlignTicks(r.ticks[0])
	}
}

// awaitBefore lets time pass until what a call's own process saw before it has
// come; a deed waits for everybody.
func (r *replay) awaitBefore(l *line) {
	if l.Kind == "admin" {
		r.await()
		return
	}
	// What an executor sends does not depend on the acknowledgements it gets.
	r.awaitOnly(func(e *expected) bool { return e.l.Conn == l.Conn && e.kind != "ACKNOWLEDGED" })
}

// await lets time pass until all recorded events before this moment have come.
func (r *replay) await() { r.awaitOnly(func(*expected) bool { return true }) }

// awaitOnly lets time pass until some of the pending events have come, each up to
// its own tolerance.
func (r *replay) awaitOnly(wanted func(*expected) bool) {
	for {
		synctest.Wait()
		r.match()
		var deadline time.Time
		for _, e := range r.pending {
			if d := e.due.Add(e.tolerance); wanted(e) && (deadline.IsZero() || d.Before(deadline)) {
				deadline = d
			}
		}
		now := time.Now()
		if deadline.IsZero() {
			return
		}
		if !now.Before(deadline) {
			r.giveUp(now, wanted)
			continue
		}
		if at, ok := r.nextTick(); ok && at.Before(deadline) {
			deadline = at
		}
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
		r.align()
	}
}

// giveUp stops waiting for events that are overdue.
func (r *replay) giveUp(now time.Time, wanted func(*expected) bool) {
	kept := r.pending[:0]
	for _, e := range r.pending {
		if !wanted(e) || now.Before(e.due.Add(e.tolerance)) {
			kept = append(kept, e)
			continue
		}
		if live := r.findLike(e); live != nil {
			r.compareEvent(e, live)
			continue
		}
		r.report.add(e.l.Number, label(e.kind, e.l.event), "missing on %s (after line %d): %s", e.l.Conn, e.cause, brief(e.l.event))
	}
	r.pending = kept
}
