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
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// master plays the recorded life of one framework to whoever subscribes, as the
// transport of a session: the recorded answers, and the recorded events at their
// recorded times on the streams. What it is sent it judges by the rules of a real
// master and by ours, strictly.
type master struct {
	t    testing.TB
	life *life
	// play runs each stream; replaced where a test plays otherwise.
	play func(p *player)

	mu sync.Mutex
	// next is the stream that the next SUBSCRIBE gets.
	next int
	live *player
	// ended is when the last stream ended.
	ended time.Time
	// over tells that the recorded client has gone, or nothing more was recorded:
	// each receives one token.
	over chan struct{}
	// wanted is the recorded call that the session was asked to make.
	wanted *exchange
	// faults are what no master should be sent.
	faults []string
	// subscribes counts SUBSCRIBE calls, taken those that got a stream.
	subscribes, taken int
	// kinds counts the other calls by type.
	kinds map[string]int
	// players are all streams so far.
	players []*player
	running sync.WaitGroup
	done    chan struct{}
}

func newMaster(t testing.TB, l *life) *master {
	m := &master{t: t, life: l, over: make(chan struct{}, 1), kinds: map[string]int{}, done: make(chan struct{}), ended: time.Now()}
	m.play = (*player).run
	return m
}

// close ends all that is still going on and waits for it.
func (m *master) close() {
	close(m.done)
	m.mu.Lock()
	players := slices.Clone(m.players)
	m.mu.Unlock()
	for _, p := range players {
		p.body.finish(io.ErrUnexpectedEOF)
	}
	m.running.Wait()
}

func (m *master) fault(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// errRefused is what dialing a dead master gives.
func errRefused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// RoundTrip implements http.RoundTripper.
func (m *master) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if status, text, ready := m.state(); !ready {
		if status == 0 {
			return nil, errRefused()
		}
		return answer(req, status, nil, text), nil
	}
	if req.URL.Path != schedulerPath {
		m.fault("a request for %s", req.URL.Path)
		return answer(req, http.StatusNotFound, nil, "404 Not Found."), nil
	}
	call, err := wire.DecodeCall(body)
	if err != nil {
		m.fault("a body that is no call: %v", err)
		return answer(req, http.StatusBadRequest, nil, "Failed to parse body into Call protobuf"), nil
	}
	if status, text := refusal(req.Method, req.Header, call); status != 0 {
		m.fault("%s: a real master answers %d %q", wire.Enum(call, "type"), status, text)
		return answer(req, max(status, http.StatusBadRequest), nil, text), nil
	}
	if wire.Enum(call, "type") == "SUBSCRIBE" {
		return m.subscribe(req, call), nil
	}
	return m.call(req, call), nil
}

// state is whether the master runs.
func (m *master) state() (status int, text string, ready bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live != nil || m.next == 0 {
		return 0, "", true
	}
	return m.life.downs[m.next-1].at(time.Since(m.ended))
}

func (m *master) subscribe(req *http.Request, call protoreflect.Message) *http.Response {
	if text := discipline(call); text != "" {
		m.fault("SUBSCRIBE: %s", text)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscribes++
	id := wire.Text(call, "framework_id", "value")
	if id != "" && m.life.framework != "" && id != m.life.framework {
		m.faults = append(m.faults, fmt.Sprintf("SUBSCRIBE as %q, the framework is %q", id, m.life.framework))
	}
	if m.live != nil {
		m.faults = append(m.faults, "SUBSCRIBE while subscribed: kicks ourselves out")
	}
	s := m.successor()
	if s == nil {
		// What a torn down framework is told (recording 08).
		s = &stream{file: m.life.file, conn: "removed", end: byError, frames: []frame{removed(m.t)}, exchange: m.life.streams[0].exchange}
		s.frames[0].at, s.endAt = s.opened(), s.opened()
	} else if s.framework != "" && id == "" && wire.Text(s.message, "framework_id", "value") != "" {
		m.faults = append(m.faults, "SUBSCRIBE without the FrameworkID that we have")
	}
	p := &player{
		master: m, stream: s, opened: time.Now(), due: map[ack]int{}, acked: map[ack]int{},
		offers: map[string]offered{}, rescinded: map[string]time.Time{}, kills: map[string]int{}, inverse: map[string]string{},
	}
	p.body = newSpool(uint64(len(m.players)), func() { m.left(p) })
	m.live, m.players = p, append(m.players, p)
	m.taken++
	m.running.Go(func() { m.play(p) })
	header := http.Header{"Content-Type": {protobufMedia}}
	header.Set(streamIDHeader, p.streamID())
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: p.body, ContentLength: -1, Request: req,
	}
}

// successor is the stream to play, nil if the framework is gone. A refusal is
// repeated for ever.
func (m *master) successor() *stream {
	if m.next < len(m.life.streams) {
		m.next++
		return m.life.streams[m.next-1]
	}
	last := m.life.streams[len(m.life.streams)-1]
	switch {
	case last.outcome() == "Framework failed over" || last.outcome() == "Framework has been removed":
		m.faults = append(m.faults, "SUBSCRIBE after "+last.outcome())
		return nil
	case last.end == byTeardown:
		return nil
	}
	return last
}

// left is told that the client closed the stream.
func (m *master) left(p *player) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live == p {
		m.live, m.ended = nil, time.Now()
	}
}

// call judges any other call, and answers it as recorded.
func (m *master) call(req *http.Request, call protoreflect.Message) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	kind := wire.Enum(call, "type")
	m.kinds[kind]++
	p := m.live
	if p == nil {
		return answer(req, http.StatusForbidden, nil, "Framework is not subscribed")
	}
	if got := req.Header.Get(streamIDHeader); got != p.streamID() {
		m.faults = append(m.faults, fmt.Sprintf("%s with the stream id %q, want %q", kind, got, p.streamID()))
		return answer(req, http.StatusBadRequest, nil, "The stream ID '"+got+"' included in this request didn't match the stream ID currently associated with framework ID "+m.life.framework)
	}
	if got := wire.Text(call, "framework_id", "value"); got != m.life.framework {
		m.faults = append(m.faults, fmt.Sprintf("%s of framework %q, want %q", kind, got, m.life.framework))
	}
	if x := m.wanted; x != nil && same(x.message, call) {
		m.wanted = nil
		p.used(call)
		return answer(req, x.answer.Status, x.answer.Headers, textOf(x.answer))
	}
	if text := cmp.Or(discipline(call), p.judge(kind, call)); text != "" {
		m.faults = append(m.faults, kind+": "+text)
	}
	p.used(call)
	if kind == "UPDATE_FRAMEWORK" {
		return answer(req, http.StatusOK, nil, "")
	}
	return answer(req, http.StatusAccepted, nil, "")
}

// answer makes a response. Content-Length follows the text.
func answer(req *http.Request, status int, headers map[string]string, text string) *http.Response {
	h := http.Header{}
	for name, value := range headers {
		h.Set(name, value)
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: req,
	}
}

// removed is the recorded ERROR to a framework that was removed.
func removed(t testing.TB) frame {
	for _, s := range streams(t, "08-failover") {
		if s.refused() && s.outcome() == "Framework has been removed" {
			return s.frames[0]
		}
	}
	panic(errors.New("recording 08 has no removed framework"))
}
