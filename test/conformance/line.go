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
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// line is a line of a recording with its JSON parsed.
type line struct {
	*recordings.Line
	body, event any
	// call is the call a response belongs to, nil for other lines.
	call *line
	// done is when the master had done what a call or deed asked, as far as the
	// recording tells: at the first event after it or just before its response,
	// whichever came first.
	done time.Duration
	// pos is the index among the lines in order of time.
	pos int
	// executor is set for lines of executors.
	executor *executorLine
	// collected is when the recorder got an executor's line, in milliseconds.
	collected float64
}

// readLines reads a recording and joins responses to their calls.
func readLines(name string) ([]*line, error) {
	raw, err := recordings.Read(name)
	if err != nil {
		return nil, err
	}
	calls := map[string]*line{}
	var out []*line
	for i := range raw {
		l := &line{Line: &raw[i], body: parseBody(raw[i].Body), event: parseBody(raw[i].Event)}
		if l.Kind == "event_protobuf" {
			l.Kind, l.event = "event", parseEvent(l.Record)
		}
		key := fmt.Sprintf("%s/%d", l.Conn, l.N)
		switch {
		case l.Kind == "call":
			calls[key] = l
		case l.Kind == "admin" && l.Action == "operator call":
			calls["operator "+key] = l
		case l.Kind == "response" && l.N > 0:
			l.call = calls[key]
		case l.Kind == "admin" && l.Action == "operator response":
			l.call = calls["operator "+key]
		}
		out = append(out, l)
	}
	executorsAt(out)
	sort.SliceStable(out, func(i, j int) bool { return out[i].Millis < out[j].Millis })
	for i, l := range out {
		l.pos, l.done = i, doneAt(out[i:])
	}
	return out, nil
}

// doneAt finds when what the first of the lines asks was done: at the first of the
// events that lead up to its response without a pause, or just before the response
// if there is none.
func doneAt(lines []*line) time.Duration {
	l := lines[0]
	switch {
	case !l.drives():
		return l.At()
	case l.Kind == "admin" && l.Action == "signal":
		return noticedAt(lines)
	}
	return answeredAt(lines)
}

func answeredAt(lines []*line) time.Duration {
	const sending, pause = 200 * time.Microsecond, 20 * time.Millisecond
	l := lines[0]
	done := l.At() // the first of the events that follow each other since
	for _, x := range lines[1:] {
		switch {
		case x.call == l && x.At()-done > pause:
			return x.At() - sending
		case x.call == l && done == l.At():
			return max(l.At(), x.At()-sending)
		case x.call == l || x.drives():
			return done
		case x.Kind != "event" && x.Kind != "eof":
		case x.At()-l.At() > time.Second:
			return done
		case done == l.At() || x.At()-done > pause:
			done = x.At()
		}
	}
	return done
}

// noticedAt finds when a master noticed that a signal had ended an agent: a
// process may take its time to die.
func noticedAt(lines []*line) time.Duration {
	l := lines[0]
	for _, x := range lines[1:] {
		switch {
		case x.At()-l.At() > time.Second || x.drives() || l.Signal == "SIGSTOP" || l.Signal == "SIGCONT" || l.Process == "master":
			return l.At()
		case x.eventType() == "RESCIND" || memberText(x.event, "update", "status", "reason") == "REASON_SLAVE_DISCONNECTED" ||
			memberText(x.event, "update", "status", "reason") == "REASON_AGENT_DISCONNECTED":
			return x.At()
		}
	}
	return l.At()
}

// parseBody parses JSON, nil if there is none.
func parseBody(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil
	}
	return v
}

// parseEvent reads a record in either encoding as a JSON tree.
func parseEvent(record []byte) any {
	var tree any
	if json.Unmarshal(record, &tree) == nil {
		return tree
	}
	e := &scheduler.Event{}
	if err := e.Unmarshal(record); err == nil {
		if b, err := codec.MarshalJSON(e); err == nil {
			return parseBody(b)
		}
	}
	return map[string]any{"type": "unreadable", "text": string(record)}
}

// callType is the type of a call, "" if its body is not a call.
func (l *line) callType() string { return memberText(l.body, "type") }

// eventType is the type of a recorded event.
func (l *line) eventType() string { return memberText(l.event, "type") }

// drives tells whether the line is something the replay has to do.
func (l *line) drives() bool {
	switch l.Kind {
	case "call", "raw_call":
		return true
	case "admin":
		return l.Action != "operator response" && l.Action != "znode"
	}
	return strings.HasPrefix(l.Kind, "executor_") && l.Kind != "executor_event" && l.Kind != "executor_eof"
}

// startsMaster tells whether a life of the master begins here.
func (l *line) startsMaster() bool {
	return l.Kind == "admin" && (l.Action == "start cluster" || l.Action == "start process" && strings.HasPrefix(l.Process, "master"))
}

// epochOf estimates the wall-clock second of a recording's time 0: the latest
// timestamp of a status is at most as late as the event that brought it.
func epochOf(lines []*line) float64 {
	epoch := math.Inf(-1)
	for _, l := range lines {
		if ts, ok := member(l.event, "update", "status", "timestamp").(float64); ok {
			epoch = max(epoch, ts-l.At().Seconds())
		}
	}
	if math.IsInf(epoch, -1) {
		return 0
	}
	return epoch
}
