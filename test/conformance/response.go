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
	"net/http"
	"strconv"
	"strings"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// unreadableBody stands for a body in protobuf.
const unreadableBody = "(stream) UnicodeDecodeError"

// compareResponse compares the answer to a call with the recorded one.
func (r *replay) compareResponse(l *line) {
	if l.Conn == "probe" {
		r.probe(l)
		return
	}
	if l.call == nil {
		r.report.LeftOut["responses without their call"]++
		return
	}
	r.report.Compared["responses"]++
	a := r.answers[l.call]
	if a == nil {
		return // the call could not be made, which has been told
	}
	what := "response to " + strings.TrimSpace(l.call.Method+" "+l.call.Path+" "+l.call.callType())
	add := func(format string, args ...any) { r.report.add(l.Number, what, format, args...) }
	if !answered(l, a, add) {
		return
	}
	r.compareHeaders(l, a, add)
	if !a.stream {
		r.compareBody(l, a, add)
	}
}

// answered compares whether there was an answer, and its status. It reports
// whether there is more to compare.
func answered(l *line, a *answer, add func(string, ...any)) bool {
	failed := member(parseBody(l.Raw), "error") != nil
	switch {
	case failed && a.err == nil:
		add("recorded no answer, emulated %d %q", a.status, a.body)
	case failed:
	case a.err != nil:
		add("recorded %d, emulated %v", l.Status, a.err)
	case a.status != l.Status:
		add("status: recorded %d %s, emulated %d %.300q", l.Status, brief(l.body), a.status, a.body)
	default:
		return true
	}
	return false
}

// compareBody compares bodies: JSON as trees, others as texts.
func (r *replay) compareBody(l *line, a *answer, add func(string, ...any)) {
	if tree := jsonBody(l); tree != nil {
		var live any
		if err := json.Unmarshal(a.body, &live); err != nil {
			add("body: recorded %s, emulated %.300q", brief(tree), a.body)
			return
		}
		c := r.comparison()
		c.tree("body", "", tree, live)
		for _, d := range c.diffs {
			add("%s", d)
		}
		return
	}
	if l.body == unreadableBody {
		r.report.LeftOut["bodies the recorder could not read"]++
		return
	}
	text, ok := l.body.(string)
	if !ok {
		text = string(l.Body)
	}
	if want, err := strconv.Atoi(l.Headers["Content-Length"]); err == nil && len(text) < want && l.call.Method != http.MethodHead {
		r.report.LeftOut["bodies that the recorder cut short"]++
		return
	}
	if d := r.ids.pairText(text, string(a.body)); d != "" {
		add("body: %s", d)
	}
}

// probe repeats the last call that named a stream, as the recorder did while it
// waited for a master, and compares the answer.
func (r *replay) probe(l *line) {
	for i := l.pos - 1; i >= 0; i-- {
		last := r.lines[i]
		if last.Kind != "call" || last.Headers["Mesos-Stream-Id"] == "" {
			continue
		}
		r.until(r.start.Add(l.At()))
		again := *last
		r.call(&again)
		probe := *l
		probe.call, probe.Line = &again, new(recordings.Line)
		*probe.Line = *l.Line
		probe.Conn = again.Conn
		if l.Status == 0 {
			probe.Raw = []byte(`{"error":"refused"}`)
		}
		r.compareResponse(&probe)
		return
	}
	r.report.add(l.Number, "probe", "no call to repeat")
}

// jsonBody is the recorded body where it is JSON.
func jsonBody(l *line) any {
	if s, ok := l.body.(string); ok {
		if l.Headers["Content-Type"] == "application/json" {
			return parseBody(json.RawMessage(s))
		}
		return nil
	}
	return l.body
}

// compareHeaders compares the headers of a response. Date is a clock's; how the
// length of a body is told must be the same, the length itself must be right.
func (r *replay) compareHeaders(l *line, a *answer, add func(string, ...any)) {
	live := map[string]string{}
	for k, v := range a.header {
		live[k] = strings.Join(v, ", ") // canonical keys: case does not matter
	}
	recorded := map[string]string{}
	for k, v := range l.Headers {
		recorded[http.CanonicalHeaderKey(k)] = v
	}
	if a.length < 0 && live["Content-Length"] == "" {
		live["Transfer-Encoding"] = "chunked"
	}
	delete(live, "Date")
	for _, k := range sortedKeys(recorded) {
		v, ok := live[k]
		switch {
		case !ok:
			add("header %s: recorded %q, emulated none", k, recorded[k])
		case k == "Content-Length":
			if l.call != nil && l.call.Method == http.MethodHead {
				continue // of the body that is not sent
			}
			if v != fmt.Sprint(len(a.body)) {
				add("header %s: %s for a body of %d bytes", k, v, len(a.body))
			}
		default:
			if d := r.ids.pairText(recorded[k], v); d != "" {
				add("header %s: %s", k, d)
			}
		}
	}
	for _, k := range sortedKeys(live) {
		if _, ok := recorded[k]; !ok {
			add("header %s: recorded none, emulated %q", k, live[k])
		}
	}
}
