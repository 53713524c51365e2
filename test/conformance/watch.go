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
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// While the recorder watched masters lose and gain their leader, it wrote their
// answers into notes. The replay asks the same.

// watchNote matches a note of what a master answered while the recorder watched.
var watchNote = regexp.MustCompile(`^(master\d?)(?: \(leader\))?: (?:(GET|POST) (\S+)|(REVIVE) with old framework and stream id)$`)

// watched is what such a note says.
type watched struct {
	Status  *int              `json:"http"`
	Millis  *float64          `json:"ms"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// noteCut is how much of a body the recorder wrote into a note.
const noteCut = 120

// watch asks what the recorder asked while it watched, and compares the answer. It
// reports false if the note is none of these.
func (r *replay) watch(l *line) bool {
	m := watchNote.FindStringSubmatch(l.Text)
	var w watched
	if r.ensemble == nil || m == nil || json.Unmarshal(l.Raw, &w) != nil || w.Status == nil || w.Millis == nil {
		return false
	}
	call := r.watchCall(l, m)
	if call == nil {
		return false
	}
	const answering = time.Millisecond
	r.until(r.start.Add(l.At() - answering))
	r.report.Driven["watching calls"]++
	r.call(call)
	if w.Headers["Content-Type"] == "application/json" && w.Body == "" {
		r.report.Compared["responses, but for the body"]++
		if a := r.answers[call]; a.err != nil || a.status != *w.Status {
			r.report.add(l.Number, "note", "recorded %d, emulated %d %v", *w.Status, a.status, a.err)
		}
		return true
	}
	if a := r.answers[call]; len(w.Body) == noteCut && len(a.body) > noteCut {
		whole := *a
		whole.header, whole.body = a.header.Clone(), a.body[:noteCut]
		whole.header.Set("Content-Length", strconv.Itoa(noteCut))
		r.answers[call] = &whole
	}
	resp := &line{Line: &recordings.Line{
		Number: l.Number, Kind: "response", Conn: m[1], Status: *w.Status, Headers: w.Headers, Raw: []byte("{}"),
	}, call: call, body: w.Body}
	if *w.Status == 0 {
		resp.Raw = []byte(`{"error":"refused"}`)
	}
	r.compareResponse(resp)
	return true
}

// watchCall is the call that a note tells the answer of, nil if it cannot be made.
func (r *replay) watchCall(l *line, m []string) *line {
	call := &line{Line: &recordings.Line{Number: l.Number, Kind: "call", Conn: m[1], Method: m[2], Path: m[3]}, pos: l.pos}
	switch {
	case m[4] != "":
		revive := r.lastStreamCall(l)
		if revive == nil {
			return nil
		}
		body, err := json.Marshal(map[string]any{"type": "REVIVE", "framework_id": member(revive.body, "framework_id")})
		if err != nil {
			return nil
		}
		call.Method, call.Path, call.Headers, call.Body = http.MethodPost, "/api/v1/scheduler", revive.Headers, body
	case m[2] == http.MethodPost:
		call.Headers, call.Body = jsonHeaders, []byte(`{"type":"SUBSCRIBE"}`)
	}
	return call
}

// lastStreamCall is the last call that names a stream before the death of the
// leader that the recorder watches.
func (r *replay) lastStreamCall(l *line) *line {
	from := l.pos - 1
	for i := from; i >= 0; i-- {
		if x := r.lines[i]; x.Action == "signal" && (x.Signal == "SIGKILL" || x.Signal == "SIGSTOP") {
			from = i
			break
		}
	}
	for i := from; i >= 0; i-- {
		if x := r.lines[i]; x.Kind == "call" && x.Headers["Mesos-Stream-Id"] != "" && !slices.Contains(r.masterNames, x.Conn) {
			return x
		}
	}
	return nil
}
