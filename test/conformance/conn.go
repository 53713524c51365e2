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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// liveEvent is one record the emulator wrote to a stream.
type liveEvent struct {
	at      time.Time
	tree    any
	kind    string
	conn    *conn
	seq     int // on its stream, from 0
	matched bool
}

// conn is one framework instance or operator stream of a recording: the stream
// it reads.
type conn struct {
	name   string
	notify func()
	older  *conn // a stream of the same name that was open when this one began
	cancel context.CancelFunc
	done   chan struct{}

	// counts tells events that the recorder only counted.
	counts func(*liveEvent) bool

	mu       sync.Mutex
	counted  int
	events   []*liveEvent
	ended    bool
	operator bool // a stream of the operator API
	unread   bool // the recorder read only the head of the response
	paused   chan struct{}
	cutAt    time.Time // when the reader closed it or the master died; zero: neither
	endAt    time.Time
	err      error
}

// read collects records until the stream ends.
func (c *conn) read(body io.ReadCloser) {
	defer close(c.done)
	defer body.Close()
	r := codec.NewRecordReader(body, 1<<30)
	for {
		payload, err := r.Next()
		c.mu.Lock()
		if paused := c.paused; paused != nil {
			c.mu.Unlock()
			<-paused // read, but not looked at, as by a stopped process
			c.mu.Lock()
		}
		if err != nil {
			c.ended, c.endAt, c.err = true, time.Now(), err
			c.mu.Unlock()
			c.notify()
			return
		}
		e := &liveEvent{conn: c, at: time.Now(), tree: parseEvent(payload)}
		e.kind = memberText(e.tree, "type")
		if c.counts != nil && c.counts(e) {
			e.matched = true
			c.counted++
		}
		e.seq = len(c.events)
		c.events = append(c.events, e)
		c.mu.Unlock()
		c.notify()
	}
}

// chain is the stream and the older ones of its name.
func (c *conn) chain() []*conn {
	var out []*conn
	for ; c != nil; c = c.older {
		out = append(out, c)
	}
	return out
}

// unmatched returns the live events that no recorded one has claimed, in order.
func (c *conn) unmatched() []*liveEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*liveEvent
	for _, e := range c.events {
		if !e.matched {
			out = append(out, e)
		}
	}
	return out
}

func (c *conn) hasEnded() (bool, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended, c.endAt
}

// pause stops the reader as a signal stops its process; resume lets it go on.
func (c *conn) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused == nil {
		c.paused = make(chan struct{})
	}
}

func (c *conn) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused != nil {
		close(c.paused)
		c.paused = nil
	}
}

// cut closes the stream at the reader's end.
func (c *conn) cut() {
	c.mu.Lock()
	if c.cutAt.IsZero() {
		c.cutAt = time.Now()
	}
	c.mu.Unlock()
	c.resume()
	c.cancel()
}

func (c *conn) wasCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.cutAt.IsZero()
}

// cutOff tells whether an event came so shortly before the death of the reader or
// of the master that a real reader need not have read it.
func (c *conn) cutOff(e *liveEvent) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.cutAt
	if c.unread {
		return true
	}
	if at.IsZero() && c.ended && errors.Is(c.err, io.ErrUnexpectedEOF) {
		at = c.endAt
	}
	return !at.IsZero() && at.Sub(e.at) <= atOnce
}

// answer is what came back for a call.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream bool // the body is a stream and was not read
	length int64
	err    error
}

// send makes a request; a stream is handed to the connection, other bodies are
// read whole.
func (r *replay) send(rt http.RoundTripper, name, method, url string, header map[string]string, body []byte) *answer {
	ctx, cancel := context.WithCancel(context.Background())
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		cancel()
		return &answer{err: err}
	}
	for k, v := range header {
		req.Header[http.CanonicalHeaderKey(k)] = []string{v}
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		cancel()
		return &answer{err: err}
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
	if isStream(resp, body) {
		a.stream = true
		r.open(name, resp.Body, cancel)
		r.conns[name].operator = !strings.HasSuffix(req.URL.Path, "/scheduler") && !strings.HasSuffix(req.URL.Path, "/executor")
		return a
	}
	defer cancel()
	defer resp.Body.Close()
	a.body, a.err = io.ReadAll(resp.Body)
	return a
}

// isStream tells whether the response to a call is an event stream.
func isStream(resp *http.Response, body []byte) bool {
	if resp.StatusCode != http.StatusOK {
		return false
	}
	if resp.Header.Get("Mesos-Stream-Id") != "" {
		return true
	}
	var call struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(body, &call) == nil && call.Type == "SUBSCRIBE"
}

// open begins a new stream on a connection of the recording.
func (r *replay) open(name string, body io.ReadCloser, cancel context.CancelFunc) {
	c := &conn{name: name, notify: r.notify, cancel: cancel, counts: r.flooded, done: make(chan struct{})}
	if was := r.conns[name]; was != nil {
		if ended, _ := was.hasEnded(); !ended && !was.unread {
			c.older = was
		}
	}
	r.all = append(r.all, c)
	r.conns[name] = c
	go c.read(body)
}
