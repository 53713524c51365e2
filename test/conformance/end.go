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

// expectEnd compares the end of a stream.
func (r *replay) expectEnd(l *line) {
	r.await()
	c := r.conns[l.Conn]
	if c == nil {
		r.report.add(l.Number, "eof", "the connection %s has no stream", l.Conn)
		return
	}
	if ended, _ := c.hasEnded(); c.operator && !ended {
		c.cut() // a master ends such a stream only by dying: the reader closed it
	}
	deadline := r.moment(l).Add(tolOther)
	for {
		synctest.Wait()
		if r.dropEnded(l.Conn) {
			return
		}
		if !time.Now().Before(deadline) {
			r.report.add(l.Number, "eof", "the stream of %s has not ended", l.Conn)
			c.cancel()
			delete(r.conns, l.Conn)
			return
		}
		r.until(time.Now().Add(10 * time.Millisecond))
	}
}

// dropEnded takes the newest stream of a name that has ended out of its chain.
func (r *replay) dropEnded(name string) bool {
	at := r.conns[name]
	var newer *conn
	for ; at != nil; newer, at = at, at.older {
		if ended, _ := at.hasEnded(); !ended {
			continue
		}
		switch {
		case newer != nil:
			newer.older = at.older
		case at.older != nil:
			r.conns[name] = at.older
		default:
			delete(r.conns, name)
		}
		return true
	}
	return false
}

// finish waits for the last events and reports what came unasked.
func (r *replay) finish() {
	if n := len(r.lines); n > 0 {
		r.until(r.moment(r.lines[n-1]))
	}
	r.await()
	for _, c := range r.all {
		for _, live := range c.unmatched() {
			if c.cutOff(live) {
				r.report.LeftOut["events written while the reader or the master died"]++
				continue
			}
			if r.uncollected(c, live) {
				r.report.LeftOut["events of executors after their accounts were collected"]++
				continue
			}
			r.report.add(r.lineAt(live.at), label(live.kind, live.tree), "extra on %s at %.1f ms: %s", c.name,
				float64(live.at.Sub(r.start).Microseconds())/1000, brief(live.tree))
		}
		if ended, at := c.hasEnded(); ended && r.conns[c.name] == c && !c.wasCut() {
			r.report.add(r.lineAt(at), "eof", "the stream of %s ended by itself", c.name)
		}
	}
	r.order.check()
	r.report.sort()
}

// uncollected tells whether an executor got an event after the recorder had
// collected its account for the last time.
func (r *replay) uncollected(c *conn, live *liveEvent) bool {
	last := -1.0
	for _, l := range r.lines {
		if l.executor != nil && l.Conn == c.name {
			last = max(last, l.collected)
		}
	}
	return last >= 0 && live.at.After(r.start.Add(time.Duration(last*float64(time.Millisecond))))
}

// lineAt is the last line before a moment.
func (r *replay) lineAt(t time.Time) int {
	n := 1
	for _, l := range r.lines {
		if r.moment(l).After(t) {
			break
		}
		n = l.Number
	}
	return n
}

// stop ends the emulator and waits for its streams.
func (r *replay) stop() {
	for _, c := range r.all {
		c.cancel()
	}
	if r.master != nil {
		r.master.Close()
	}
	for _, c := range r.all {
		<-c.done
	}
}
