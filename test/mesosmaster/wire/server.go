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

// Package wire is HTTP/1.1 the way libprocess, the library under Mesos, speaks
// it: bytes of responses in its order of headers, one chunk per record of a
// stream, header values with their trailing blanks, requests pipelined behind a
// stream answered inside it, a half-closed connection counted as gone. net/http
// cannot be made to do these, and clients of Mesos meet them.
package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// Server serves an http.Handler on connections as libprocess does. The zero
// Server with a Handler is ready. Handlers may flush: what they write before the
// first flush and between two becomes one chunk each. A handler that panics with
// http.ErrAbortHandler breaks its connection.
type Server struct {
	Handler http.Handler
	// TLS, if set, makes every connection one of TLS.
	TLS *tls.Config

	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[*conn]bool
	closed    bool
	serving   sync.WaitGroup
}

// Serve accepts connections until Close or Shutdown, after which it returns
// http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(http.ErrServerClosed, l.Close())
	}
	if s.listeners == nil {
		s.listeners = map[net.Listener]bool{}
	}
	s.listeners[l] = true
	s.mu.Unlock()
	for {
		c, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			closed := s.closed
			delete(s.listeners, l)
			s.mu.Unlock()
			if closed {
				return http.ErrServerClosed
			}
			return err
		}
		go s.ServeConn(c)
	}
}

// ServeConn serves one connection, of any kind, until its end.
func (s *Server) ServeConn(nc net.Conn) {
	if s.TLS != nil {
		nc = tls.Server(nc, s.TLS) // shakes hands when it is first read
	}
	c := &conn{net: nc, handler: s.Handler, queued: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.close()
		return
	}
	if s.conns == nil {
		s.conns = map[*conn]bool{}
	}
	s.conns[c] = true
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	c.serve()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// stopListening ends Serve and returns the open connections.
func (s *Server) stopListening() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close() // a listener that is closed already is what is wanted
	}
	open := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	return open
}

// Close stops listening and closes every connection, as the death of a process
// does: streams end without their closing chunk. It does not wait for handlers.
func (s *Server) Close() {
	for _, c := range s.stopListening() {
		c.close()
	}
}

// Shutdown stops listening, lets requests in hand be answered as long as ctx
// allows, and closes every connection. Streams must have been ended before.
func (s *Server) Shutdown(ctx context.Context) error {
	open := s.stopListening()
	idle := make(chan struct{})
	go func() {
		for _, c := range open {
			c.finishUp()
		}
		s.serving.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	for _, c := range open {
		c.close()
	}
	<-idle
	return err
}

// Wait waits until every connection has been served to its end.
func (s *Server) Wait() { s.serving.Wait() }
