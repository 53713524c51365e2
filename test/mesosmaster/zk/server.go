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

// Package zk is a ZooKeeper server for clients that look for the leading master:
// it speaks ZooKeeper's protocol as far as they need it (sessions, exists,
// getData, getChildren, watches, sync) and shows a tree that others change. It
// refuses to write. Of access control it knows one reader by node; several servers
// and quotas are not there.
package zk

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

// Source is a tree that changes.
type Source interface {
	// Znodes are all nodes, or an error while ZooKeeper is dead.
	Znodes() ([]Node, error)
	// ZnodesChanged gets a value after changes; one server may receive from it.
	ZnodesChanged() <-chan struct{}
}

// Server serves the nodes of a Source. While the source has an error, connections
// are broken and refused.
type Server struct {
	source Source

	mu       sync.Mutex
	tree     *tree
	sessions map[int64]*session
	lastID   int64
	conns    map[*conn]bool
	addr     string
	listener net.Listener
	dead     bool
	closed   bool
	serveErr error

	stop    chan struct{}
	serving sync.WaitGroup
}

// session is a client's session, which outlives its connection.
type session struct {
	id       int64
	password []byte
	timeout  time.Duration
	expires  time.Time // meaningful while there is no connection
	conn     *conn
}

// NewServer returns a server that follows a source until Close.
func NewServer(source Source) *Server {
	s := &Server{source: source, tree: newTree(), sessions: map[int64]*session{}, conns: map[*conn]bool{}, stop: make(chan struct{})}
	s.refresh()
	s.serving.Add(1)
	go func() {
		defer s.serving.Done()
		for {
			select {
			case <-source.ZnodesChanged():
				s.refresh()
			case <-s.stop:
				return
			}
		}
	}()
	return s
}

// refresh takes over the nodes of the source and tells who watches.
func (s *Server) refresh() {
	nodes, err := s.source.Znodes()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if err != nil {
		s.die()
		return
	}
	changes := s.tree.update(time.Now(), nodes)
	for c := range s.conns {
		c.notify(changes)
	}
	if s.dead {
		s.dead = false
		if s.addr != "" {
			s.serveErr = s.listen(s.addr)
		}
	}
}

// die breaks all connections; sessions are kept, as on a real server's disk.
func (s *Server) die() {
	s.dead = true
	for c := range s.conns {
		c.close()
	}
	if s.listener != nil {
		_ = s.listener.Close() // closed already is what is wanted
		s.listener = nil
	}
}

// Start listens on addr ("127.0.0.1:0" for any port) and serves until Close.
func (s *Server) Start(addr string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listen(addr)
}

func (s *Server) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("zk: listen: %w", err)
	}
	s.addr, s.listener = l.Addr().String(), l
	s.serving.Add(1)
	go func() {
		defer s.serving.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(c)
		}
	}()
	return nil
}

// Addr is the host:port listened on, empty before Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Err is why the server could not listen again after ZooKeeper's return.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serveErr
}

// ErrDead is returned by Dial while ZooKeeper is dead.
var ErrDead = errors.New("zk: connection refused")

// Dial connects without sockets; it works inside testing/synctest.
func (s *Server) Dial() (net.Conn, error) {
	s.mu.Lock()
	gone := s.dead || s.closed
	s.mu.Unlock()
	if gone {
		return nil, ErrDead
	}
	client, server := wire.Pipe()
	s.serve(server)
	return client, nil
}

func (s *Server) serve(nc net.Conn) {
	c := &conn{server: s, net: nc, watches: map[watch]bool{}, shown: map[string]bool{}}
	s.mu.Lock()
	if s.dead || s.closed {
		s.mu.Unlock()
		c.close()
		return
	}
	s.conns[c] = true
	s.serving.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.serving.Done()
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		if c.session != nil && c.session.conn == c {
			c.session.conn = nil
			c.session.expires = time.Now().Add(c.session.timeout)
		}
		s.mu.Unlock()
	}()
}

// Close ends everything.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
		s.die()
	}
	s.mu.Unlock()
	s.serving.Wait()
}
