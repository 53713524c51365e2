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
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

// Transport returns an http.RoundTripper that reaches the master without
// sockets, whatever host the URL names; with several masters, the one at the
// URL's host and port. It works inside testing/synctest.
func (m *Master) Transport() http.RoundTripper { return &memoryTransport{m} }

// at is the process at host:port; called with the lock held.
func (m *Master) at(address string) *process {
	if len(m.processes) == 1 {
		return m.processes[0]
	}
	for _, p := range m.processes {
		if p.address() == address {
			return p
		}
	}
	return nil
}

// Dial connects to the process at host:port without sockets: a connection whose
// bytes are those of a real one, which works inside testing/synctest. With one
// master the address does not matter.
func (m *Master) Dial(address string) (*wire.PipeConn, error) {
	m.mu.Lock()
	p := m.at(address)
	if p == nil || !m.accepts(p) {
		m.mu.Unlock()
		return nil, refused
	}
	srv := p.server
	m.mu.Unlock()
	client, server := wire.Pipe()
	go srv.ServeConn(server)
	return client, nil
}

type memoryTransport struct{ m *Master }

// refused is what a client sees of a master that is not there.
var refused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// serve finds who answers a request; nil if nobody is there.
func (m *Master) serve(req *http.Request) http.Handler {
	if toAgent(req.URL.Path) {
		if host, ok := m.agentAt(req.URL.Host); ok {
			if !m.agentListens(host) {
				return nil
			}
			return m.AgentHandler(host)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.at(req.URL.Host)
	if p == nil || !m.accepts(p) {
		return nil
	}
	return m.handler(p)
}

// RoundTrip implements http.RoundTripper.
func (t *memoryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	h := t.m.serve(req)
	if h == nil {
		if req.Body != nil {
			return nil, errors.Join(refused, req.Body.Close())
		}
		return nil, refused
	}
	ctx, cancel := context.WithCancel(req.Context())
	in := req.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	pr, pw := io.Pipe()
	w := &memoryResponse{header: http.Header{}, body: pw, ready: make(chan struct{}), headOnly: req.Method == http.MethodHead}
	go func() {
		defer cancel()
		defer in.Body.Close()
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				w.abort()
			}
		}()
		h.ServeHTTP(w, in)
		w.finish()
	}()
	select {
	case <-w.ready:
	case <-req.Context().Done():
		cancel()
		_ = pw.CloseWithError(req.Context().Err()) // never fails
		return nil, req.Context().Err()
	}
	if w.broken {
		cancel()
		return nil, io.ErrUnexpectedEOF
	}
	length := int64(-1)
	if w.sent.Get("Content-Length") == "0" {
		length = 0
	}
	stop := context.AfterFunc(req.Context(), func() { _ = pr.CloseWithError(req.Context().Err()) })
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: &memoryBody{pr, cancel, stop}, ContentLength: length, Request: req,
	}, nil
}

// memoryBody is the client's end of a response; closing it is the client's
// disconnect.
type memoryBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	stop   func() bool
}

func (b *memoryBody) Close() error {
	b.stop()
	b.cancel()
	return b.PipeReader.Close()
}

// memoryResponse is the handler's end.
type memoryResponse struct {
	header, sent http.Header
	status       int
	broken       bool
	headOnly     bool // the answer to HEAD has no body
	body         *io.PipeWriter
	once         sync.Once
	ready        chan struct{}
}

// Header implements http.ResponseWriter.
func (w *memoryResponse) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *memoryResponse) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, http.Header{}
		for k, v := range w.header {
			if v != nil {
				w.sent[k] = v
			}
		}
		close(w.ready)
	})
}

// Write implements http.ResponseWriter. It blocks until the client reads, like a
// socket with full buffers; the master's queues are before it.
func (w *memoryResponse) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.headOnly {
		return len(b), nil
	}
	return w.body.Write(b)
}

// Flush implements http.Flusher.
func (w *memoryResponse) Flush() { w.WriteHeader(http.StatusOK) }

func (w *memoryResponse) finish() {
	w.WriteHeader(http.StatusOK)
	_ = w.body.Close() // never fails
}

func (w *memoryResponse) abort() {
	w.once.Do(func() {
		w.broken = true
		close(w.ready)
	})
	_ = w.body.CloseWithError(io.ErrUnexpectedEOF) // never fails
}
