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

package recorded

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/kube-mesos/kube-mesos/test/recordings"
	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// ending is why a recorded stream ended.
type ending string

const (
	// byClient: the recorded scheduler closed its connection or was killed.
	byClient ending = "closed by the client"
	// byError: the master sent ERROR, then ended the stream.
	byError ending = "ERROR"
	// byTeardown: the recorded scheduler asked for the end of its framework.
	byTeardown ending = "TEARDOWN"
	// byDeath: the master died or stepped down; the stream is cut.
	byDeath ending = "master died"
	// stillOpen: the recording ends first.
	stillOpen ending = "still open"
)

// frame is one record of a stream.
type frame struct {
	// line is the line of the recording.
	line  int
	at    time.Duration
	event *dynamicpb.Message
	// record is the event as protobuf.
	record []byte
}

func (f frame) kind() string { return wire.Enum(f.event, "type") }

// exchange is a recorded call and its answer; an answer of status 0 never came.
type exchange struct {
	call, answer recordings.Line
	message      *dynamicpb.Message
}

// stream is one recorded subscription of one framework.
type stream struct {
	file, conn string
	exchange
	frames []frame
	// calls are those made while the stream was open, but ACKNOWLEDGE.
	calls []exchange
	end   ending
	endAt time.Duration
	// framework is the FrameworkID, "" if the master never gave or got one.
	framework string
	// stops are when the recorded client was stopped by a signal. Its events bear
	// the time when they were read.
	stops []stop
}

// stop is a time in which a process did not run; till is 0 while it lasts.
type stop struct{ from, till time.Duration }

// lived is how long after the answer something happened, as the client lived it:
// without the times when it was stopped.
func (s *stream) lived(at time.Duration) time.Duration {
	passed := at - s.opened()
	for _, stop := range s.stops {
		if from := max(stop.from, s.opened()); stop.till > from && at > from {
			passed -= min(at, stop.till) - from
		}
	}
	return passed
}

// opened is when SUBSCRIBE was answered.
func (s *stream) opened() time.Duration { return s.answer.At() }

// streams returns the recorded subscriptions at the scheduler API of a recording,
// in order.
func streams(t testing.TB, name string) []*stream {
	t.Helper()
	if known, ok := parsed.Load(name); ok {
		return known.([]*stream)
	}
	r := &reader{t: t, name: name, lines: read(t, name), answers: map[int]recordings.Line{}, live: map[string][]*stream{}}
	for _, l := range r.lines {
		if l.Kind == "response" {
			r.answers[l.N] = l
		}
	}
	for i := range r.lines {
		r.line(i)
	}
	for _, s := range r.all {
		if s.end == "" {
			s.end, s.endAt = stillOpen, r.lines[len(r.lines)-1].At()
		}
		s.framework = s.frameworkID()
	}
	parsed.Store(name, r.all)
	return r.all
}

// parsed keeps the streams of each recording: nothing changes them.
var parsed sync.Map

// frameworkID is what SUBSCRIBED said, else what SUBSCRIBE asked for.
func (s *stream) frameworkID() string {
	for _, f := range s.frames {
		if f.kind() == "SUBSCRIBED" {
			return wire.Text(f.event, "subscribed", "framework_id", "value")
		}
	}
	return wire.Text(s.message, "framework_id", "value")
}

// reader takes a recording apart.
type reader struct {
	t       testing.TB
	name    string
	lines   []recordings.Line
	answers map[int]recordings.Line
	all     []*stream
	// live are the open streams of a connection's name, the newest last.
	live map[string][]*stream
}

func (r *reader) line(i int) {
	l := r.lines[i]
	// Streams of the operator API carry other events.
	if r.name == "23-operator-stream" && (l.Conn == "O" || l.Conn == "P") {
		return
	}
	switch l.Kind {
	case "call":
		r.call(l)
	case "event", "event_protobuf":
		r.event(l)
	case "admin":
		if conn, ok := strings.CutPrefix(l.Process, "client "); ok && l.Action == "signal" {
			r.signal(conn, l)
		}
	case "eof":
		open := r.live[l.Conn]
		s := open[len(open)-1]
		r.live[l.Conn] = open[:len(open)-1]
		s.end, s.endAt = r.why(s, i), l.At()
	}
}

func (r *reader) signal(conn string, l recordings.Line) {
	for _, s := range r.live[conn] {
		switch n := len(s.stops); {
		case l.Signal == "SIGSTOP":
			s.stops = append(s.stops, stop{from: l.At()})
		case l.Signal == "SIGCONT" && n > 0:
			s.stops[n-1].till = l.At()
		}
	}
}

func (r *reader) call(l recordings.Line) {
	answer, answered := r.answers[l.N]
	if l.Path != schedulerPath || l.Method != http.MethodPost || !answered || strings.HasPrefix(textOf(l), "(") {
		return
	}
	message, err := wire.Call(lenient(l.Body))
	if err != nil {
		return
	}
	x := exchange{call: l, answer: answer, message: message}
	switch kind := wire.Enum(message, "type"); {
	case kind == "SUBSCRIBE" && answer.Status == 200:
		s := &stream{file: r.name, conn: l.Conn, exchange: x}
		r.all = append(r.all, s)
		r.live[l.Conn] = append(r.live[l.Conn], s)
	case kind != "SUBSCRIBE" && kind != "ACKNOWLEDGE":
		open := r.live[l.Conn]
		if len(open) == 0 {
			return
		}
		// Not those made wrong on purpose, as with another stream id.
		s := open[len(open)-1]
		if len(s.frames) > 0 && l.Headers[streamIDHeader] == s.answer.Headers[streamIDHeader] && l.Headers["Authorization"] == s.call.Headers["Authorization"] {
			s.calls = append(s.calls, x)
		}
	}
}

func (r *reader) event(l recordings.Line) {
	open := r.live[l.Conn]
	if len(open) == 0 {
		r.t.Fatalf("%s:%d: an event of a stream that is not open", r.name, l.Number)
	}
	s := open[len(open)-1]
	f := frame{line: l.Number, at: l.At(), record: l.Record}
	var err error
	if f.record == nil {
		if f.event, err = wire.Event(l.Event); err == nil {
			f.record, err = wire.Marshal(f.event)
		}
	} else {
		f.event, err = wire.DecodeEvent(f.record)
	}
	if err != nil {
		r.t.Fatalf("%s:%d: %v", r.name, l.Number, err)
	}
	s.frames = append(s.frames, f)
}

// why finds out from the lines before an end what led to it.
func (r *reader) why(s *stream, eof int) ending {
	if n := len(s.frames); n > 0 && s.frames[n-1].kind() == "ERROR" {
		return byError
	}
	for i := eof - 1; i >= 0 && r.lines[i].At() >= s.opened(); i-- {
		l := r.lines[i]
		switch {
		case l.Kind == "call" && l.Conn == s.conn && strings.Contains(string(l.Body), `"TEARDOWN"`):
			return byTeardown
		case l.Kind == "note" && l.Text == "client "+s.conn+" closes its subscription socket",
			l.Kind == "admin" && l.Action == "signal" && l.Process == "client "+s.conn && l.Signal == "SIGKILL":
			return byClient
		case l.Kind == "admin" && l.Action == "signal" && (strings.HasPrefix(l.Process, "master") || l.Process == "zookeeper"):
			return byDeath
		}
	}
	// Cut with nothing said before: the process ended, or the whole cluster was
	// stopped for the next case.
	return byDeath
}

// outcome is the text of the ERROR event that ended the stream, "" if none did.
func (s *stream) outcome() string {
	if n := len(s.frames); s.end == byError && n > 0 {
		return wire.Text(s.frames[n-1].event, "error", "message")
	}
	return ""
}

// refused tells that the stream brought nothing but an ERROR.
func (s *stream) refused() bool { return len(s.frames) == 1 && s.outcome() != "" }
