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
	r.order = &order{seen: map[*conn][]placed{}, add: r.report.add}
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
			return r.raw(l)
		}
		r.report.Driven["calls"]++
		r.call(l)
	case "raw_call", "raw_stream":
		return r.raw(l)
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
