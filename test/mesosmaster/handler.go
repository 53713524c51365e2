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

package mesosmaster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// text writes an error the way libprocess does.
func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) //nolint:gosec // plain text, and a client that went away is noticed elsewhere
}

// answer writes the response of a call. Success has neither body nor
// Content-Type.
func answer(w http.ResponseWriter, r core.Response) {
	if r.Body == "" {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(r.Status)
		return
	}
	text(w, r.Status, r.Body)
}

// serveScheduler is POST /api/v1/scheduler, checks in the master's order (Mesos
// master/http.cpp Master::Http::scheduler).
func (m *Master) serveScheduler(w http.ResponseWriter, r *http.Request, who string) {
	if !posted(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away in the middle of its request
	}
	req, resp := decode(r.Header, body)
	if resp.Status != 0 {
		answer(w, resp)
		return
	}
	req.Principal = who
	if forced, ok := m.forced(req); ok {
		answer(w, forced)
		return
	}
	if req.HasType && req.Call.Type == scheduler.Call_SUBSCRIBE {
		m.subscribe(w, r, req)
		return
	}
	m.call(w, req)
}

// decode reads a call in either encoding; a Status other than 0 is the answer to
// one that cannot be read.
func decode(h http.Header, body []byte) (*core.Request, core.Response) {
	req := &core.Request{Call: &scheduler.Call{}}
	types, ok := h["Content-Type"]
	if !ok || len(types) == 0 {
		return nil, core.Response{Status: 400, Body: "Expecting 'Content-Type' to be present"}
	}
	switch types[0] {
	case mediaJSON:
		if err := decodeJSON(req, body); err != nil {
			return nil, core.Response{Status: 400, Body: err.Error()}
		}
	case mediaProtobuf:
		if err := decodeProtobuf(req, body); err != nil {
			return nil, core.Response{Status: 400, Body: "Failed to parse body into Call protobuf"}
		}
	default:
		return nil, core.Response{Status: 415, Body: "Expecting 'Content-Type' of application/json or application/x-protobuf"}
	}
	if ids, ok := h["Mesos-Stream-Id"]; ok && len(ids) > 0 {
		req.HasStream, req.Stream = true, ids[0]
	}
	req.AcceptsNothing = !accepts(h, mediaJSON) && !accepts(h, mediaProtobuf)
	return req, core.Response{}
}

func decodeJSON(req *core.Request, body []byte) error {
	tree, err := codec.ParseJSON(body)
	if err != nil {
		return fmt.Errorf("Failed to parse body into JSON: %w", err)
	}
	missing, err := codec.Decode(tree, req.Call)
	if err == nil {
		var more []string
		more, err = decodeConstraints(tree, &req.Constraints)
		missing = append(missing, more...)
	}
	if err == nil {
		err = codec.Missing(missing)
	}
	if err != nil {
		return fmt.Errorf("Failed to convert JSON into Call protobuf: %w", err)
	}
	if obj, ok := tree.(map[string]any); ok {
		name, _ := obj["type"].(string)
		_, req.HasType = scheduler.Call_Type_value[name]
	}
	return nil
}

// decodeConstraints reads the offer constraints, which the generated types do
// not know, from their two possible places.
func decodeConstraints(tree any, into *core.OfferConstraints) ([]string, error) {
	obj, _ := tree.(map[string]any)
	for _, member := range []string{"subscribe", "update_framework"} {
		inner, _ := obj[member].(map[string]any)
		raw := inner["offer_constraints"]
		if raw == nil {
			continue
		}
		missing, err := codec.Decode(raw, into)
		for i := range missing {
			missing[i] = member + ".offer_constraints." + missing[i]
		}
		return missing, err
	}
	return nil, nil
}

func decodeProtobuf(req *core.Request, body []byte) error {
	if err := req.Call.Unmarshal(body); err != nil {
		return err
	}
	var err error
	if req.HasType, err = core.CallHasType(body); err != nil {
		return err
	}
	req.Constraints, err = core.DecodeConstraints(body)
	return err
}

// accepts reads the Accept header as libprocess does: wildcards count, quality
// values do not.
func accepts(h http.Header, media string) bool {
	values, ok := h["Accept"]
	if !ok || len(values) == 0 {
		return true
	}
	kind, _, _ := strings.Cut(media, "/")
	for _, part := range strings.Split(values[0], ",") {
		name, _, _ := strings.Cut(part, ";")
		switch strings.TrimSpace(name) {
		case media, kind + "/*", "*/*":
			return true
		}
	}
	return false
}

// call handles every call but SUBSCRIBE.
func (m *Master) call(w http.ResponseWriter, req *core.Request) {
	var resp core.Response
	crashed := false
	m.do(func(c *core.Master, now time.Time) {
		resp = c.Call(now, req)
		m.record(now, req, resp.Status)
		crashed = c.Crashed != ""
	})
	if crashed {
		m.crash()
		panic(http.ErrAbortHandler)
	}
	answer(w, resp)
}

func (m *Master) record(now time.Time, req *core.Request, status int) {
	m.calls.add(CallRecord{
		Time: now, Type: req.Call.Type.String(), FrameworkID: req.Call.GetFrameworkID().GetValue(),
		StreamID: req.Stream, Status: status, Call: req.Call, Constraints: req.Constraints,
	})
}

// subscribe opens a stream. Its headers are written before the FrameworkInfo is
// looked at, so most refusals come as an event.
func (m *Master) subscribe(w http.ResponseWriter, r *http.Request, req *core.Request) {
	resp := m.core.CheckSubscribe(req)
	if resp.Status != 0 {
		m.do(func(_ *core.Master, now time.Time) { m.record(now, req, resp.Status) })
		answer(w, resp)
		return
	}
	m.stream(w, r, func(id string) { w.Header().Set("Mesos-Stream-Id", id) }, func(c *core.Master, now time.Time, id string) {
		m.record(now, req, http.StatusOK)
		c.Subscribe(now, id, req.Call, req.Constraints)
	})
}

// stream answers with an event stream in the media type the client wants, JSON
// wherever it is allowed. Its headers are out before begin puts the stream into
// the core.
func (m *Master) stream(w http.ResponseWriter, r *http.Request, head func(id string), begin func(c *core.Master, now time.Time, id string)) {
	media := mediaProtobuf
	if accepts(r.Header, mediaJSON) {
		media = mediaJSON
	}
	var id string
	m.do(func(c *core.Master, _ time.Time) { id = c.NewStreamID() })
	s := newStream(id, media)
	w.Header().Set("Content-Type", media)
	if head != nil {
		head(id)
	}
	w.WriteHeader(http.StatusOK)
	m.do(func(c *core.Master, now time.Time) {
		if m.owner == nobody || m.closed {
			s.close(true)
			return
		}
		m.streams[s.id] = s
		begin(c, now, s.id)
	})
	m.follow(w, r, s)
}

// follow writes a stream to its end, and tells the core if the client went first.
func (m *Master) follow(w http.ResponseWriter, r *http.Request, s *stream) {
	if !s.serve(r.Context(), w) || s.isFrozen() {
		return
	}
	// A stopped process notices when it goes on.
	if p, ok := m.processOf(r); ok && !m.awake(context.WithoutCancel(r.Context()), p) {
		return
	}
	m.do(func(c *core.Master, now time.Time) {
		if m.streams[s.id] == s {
			delete(m.streams, s.id)
			c.Disconnect(now, s.id)
		}
	})
}

// crash is the abort of the master process.
func (m *Master) crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owner == nobody {
		return
	}
	now := time.Now()
	m.crashed = m.core.Crashed
	m.kill(now, m.processes[m.owner])
	m.settle(now)
}
