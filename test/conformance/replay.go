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
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
)

// replay is one recording being replayed. It runs in a synctest bubble.
type replay struct {
	name   string
	lines  []*line
	ids    *bijection
	report *Report
	order  *order

	start time.Time // the bubble's moment of the recording's time 0
	epoch float64   // the recording's wall-clock second of its time 0

	master *mesosmaster.Master
	// ensemble is set where several masters were recorded, leader the one whose
	// phase the allocation interval is on.
	ensemble    *mesosmaster.Ensemble
	masterNames []string
	leader      int

	hosts    []string
	auth     bool            // the master wants credentials
	base     string          // URL of the master
	tasks    map[string]bool // all that recorded updates name
	hostByID map[string]string
	visits   map[int]string // of this recording
	crashed  bool
	ticks    []time.Time
	interval time.Duration
	// estimates and corrections are the intervals at which agents look at their
	// revocable resources and at their load.
	estimates, corrections time.Duration

	ready    time.Duration // when the present cluster was ready, by the recording
	estimate string        // of revocable resources, for the next start of an agent

	knobs     knobs    // of the present cluster
	agentArgs []string // flags of its first agent

	outside *processes       // executors that the agents want to run
	running map[int]*process // by recorded pid

	conns   map[string]*conn // the present stream of each connection
	all     []*conn
	wake    chan struct{}
	answers map[*line]*answer

	driver  *line     // the last call or deed
	driven  time.Time // when the replay did it
	pending []*expected
}

// Replay replays a recording against a new emulator and reports the differences.
// It must be called inside a synctest bubble.
func Replay(name string) (*Report, error) { return replayWith(name, visits[name]) }

// replayWith is Replay with other orders of visits than those that are pinned.
func replayWith(name string, visits map[int]string) (*Report, error) {
	lines, err := readLines(name)
	if err != nil {
		return nil, err
	}
	r := &replay{
		name: name, lines: lines, visits: visits, hostByID: hostNames(lines), tasks: taskNames(lines), ids: newBijection(), report: newReport(name), epoch: epochOf(lines),
		outside: &processes{}, running: map[int]*process{}, conns: map[string]*conn{}, wake: make(chan struct{}, 1), answers: map[*line]*answer{}, driver: lines[0],
	}
	r.order = &order{last: map[string]*placed{}, add: r.report.add}
	if at := time.Unix(0, int64(r.epoch*1e9)).Add(lines[0].At()); r.epoch > 0 && at.After(time.Now()) {
		time.Sleep(time.Until(at)) // recorded calls name moments: live in their time
	}
	r.start = time.Now().Add(-lines[0].At())
	r.outside.dying = func(executor string) time.Duration {
		d, _ := r.latency(agent.StepReap, executor)
		return d
	}
	r.driven = time.Now()
	defer r.stop()
	for i, l := range lines {
		r.untold(l)
		if l.drives() {
			r.until(r.moment(l))
			r.awaitBefore(l)
			r.newLeader(i)
			r.driver, r.driven = l, time.Now()
		}
		if err := r.step(i, l); err != nil {
			r.report.add(l.Number, l.Kind+" "+l.Action, "the replay cannot go on: %v", err)
			r.report.sort()
			return r.report, nil
		}
	}
	r.finish()
	return r.report, nil
}

// moment is when a line is due in the bubble.
func (r *replay) moment(l *line) time.Time { return r.start.Add(l.done) }

// comparison begins a comparison of two JSON trees.
func (r *replay) comparison() *comparison {
	return &comparison{ids: r.ids, recordedEpoch: r.epoch, liveEpoch: float64(r.start.UnixNano()) / 1e9, ready: r.ready.Seconds()}
}

func (r *replay) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// step does or compares one line.
func (r *replay) step(i int, l *line) error {
	switch l.Kind {
	case "call":
		if l.Method == "" {
			r.report.LeftOut["raw calls, see the raw tests"]++
			return nil
		}
		r.report.Driven["calls"]++
		r.call(l)
	case "response":
		r.compareResponse(l)
	case "event":
		r.report.Compared["events"]++
		r.expect(l)
	case "eof":
		r.report.Compared["stream ends"]++
		r.expectEnd(l)
	case "note":
		r.note(l)
	case "admin":
		return r.admin(i, l)
	default:
		if l.executor != nil {
			r.executorStep(l)
			return nil
		}
		r.report.LeftOut["lines of kind "+l.Kind]++
	}
	return nil
}

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

// call sends a recorded call with its ids translated.
func (r *replay) call(l *line) {
	header := map[string]string{}
	for k, v := range l.Headers {
		header[k] = credentials(r.ids.translate(v))
	}
	r.answers[l] = r.send(r.transport(l), l.Conn, l.Method, r.baseOf(l)+r.ids.translate(l.Path), header, r.payload(l))
	synctest.Wait()
	if a := r.answers[l]; a.stream {
		r.learnStream(l, a)
		if c := r.conns[l.Conn]; r.headOnly(l) && c != nil {
			c.unread = true
			c.cut()
		}
	}
}

// headOnly tells whether the recorder read only the head of the response to a
// SUBSCRIBE and then closed the connection: no event before the next one.
func (r *replay) headOnly(call *line) bool {
	for _, l := range r.lines[call.pos+1:] {
		switch {
		case l.Conn == call.Conn && l.Kind == "event" || l.startsMaster():
			return false
		case l.Conn == call.Conn && l.Kind == "call" && l.callType() == "SUBSCRIBE":
			return true
		}
	}
	// The recorder's connections to one of several masters are for probes.
	return slices.Contains(r.masterNames, call.Conn)
}

// credentials writes out what the recording shows as base64(user:secret).
func credentials(header string) string {
	plain, ok := strings.CutPrefix(header, "Basic base64(")
	if !ok {
		return header
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(strings.TrimSuffix(plain, ")")))
}

func (r *replay) transport(*line) http.RoundTripper { return r.master.Transport() }

// payload is the body of a call: JSON with translated ids, or the text as it was.
func (r *replay) payload(l *line) []byte {
	if len(l.Body) == 0 || string(l.Body) == "null" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(string(l.Body)))
	d.UseNumber() // numbers as they were written
	var v any
	if err := d.Decode(&v); err != nil {
		return l.Body
	}
	if s, ok := v.(string); ok {
		if flood := r.flood(l, s); flood != nil {
			return flood
		}
		return []byte(r.ids.translate(s))
	}
	b, err := json.Marshal(r.ids.translateTree(v))
	if err != nil {
		return l.Body
	}
	return b
}

// learnStream pairs the stream ids of a subscription.
func (r *replay) learnStream(l *line, a *answer) {
	for _, resp := range r.lines {
		if resp.call == l && resp.Kind == "response" {
			if id := resp.Headers["Mesos-Stream-Id"]; id != "" && a.header.Get("Mesos-Stream-Id") != "" {
				if err := r.ids.pair("id", id, a.header.Get("Mesos-Stream-Id")); err != nil {
					r.report.add(l.Number, "SUBSCRIBE", "Mesos-Stream-Id: %v", err)
				}
			}
			return
		}
	}
}

// changedEstimate matches the note that tells of another estimate of revocable
// resources with which the recorder started an agent again.
var changedEstimate = regexp.MustCompile(`restarting the agent with revocable (\S+) `)

// note does what a note of the recorder says it did, which is only closing the
// sockets of subscriptions.
func (r *replay) note(l *line) {
	if m := changedEstimate.FindStringSubmatch(l.Text); m != nil {
		r.estimate = m[1]
	}
	name, ok := strings.CutPrefix(l.Text, "client ")
	if name, ok = strings.CutSuffix(name, " closes its subscription socket"); !ok || r.conns[name] == nil {
		if r.watch(l) {
			return
		}
		r.report.LeftOut["the recorder's notes"]++
		r.floodNote(l)
		return
	}
	r.report.Driven["deeds"]++
	r.until(r.moment(l))
	r.await()
	r.driver, r.driven = l, time.Now()
	r.conns[name].cut()
	synctest.Wait()
}

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
	deadline := r.moment(l).Add(tolSeconds)
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
