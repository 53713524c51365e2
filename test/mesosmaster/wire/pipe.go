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

package wire

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe returns the two ends of a connection in memory that can be half-closed
// like one of TCP, for tests in virtual time. Its buffers have no bound: a write
// never waits for the reader.
func Pipe() (client, server *PipeConn) {
	up, down := newFlow(), newFlow()
	return &PipeConn{in: down, out: up, local: "client"}, &PipeConn{in: up, out: down, local: "server"}
}

// PipeConn is one end of a Pipe.
type PipeConn struct {
	in, out *flow
	local   string
}

// flow is one direction.
type flow struct {
	mu       sync.Mutex
	changed  *sync.Cond
	buf      []byte
	eof      bool // the writer has closed its side
	dead     bool // the reader has gone
	deadline time.Time
	timer    *time.Timer
}

func newFlow() *flow {
	f := &flow{}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// Read implements net.Conn.
func (c *PipeConn) Read(b []byte) (int, error) {
	f := c.in
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.dead:
			return 0, net.ErrClosed
		case len(f.buf) > 0:
			n := copy(b, f.buf)
			f.buf = f.buf[n:]
			return n, nil
		case f.eof:
			return 0, io.EOF
		case !f.deadline.IsZero() && !time.Now().Before(f.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		f.changed.Wait()
	}
}

// Write implements net.Conn.
func (c *PipeConn) Write(b []byte) (int, error) {
	f := c.out
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead || f.eof {
		return 0, io.ErrClosedPipe
	}
	f.buf = append(f.buf, b...)
	f.changed.Broadcast()
	return len(b), nil
}

// CloseWrite ends the output, as a FIN does; the input stays open.
func (c *PipeConn) CloseWrite() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.eof = true
	c.out.changed.Broadcast()
	return nil
}

// Close implements net.Conn: the other end reads what was written, then io.EOF.
func (c *PipeConn) Close() error {
	c.in.mu.Lock()
	c.in.dead = true
	if c.in.timer != nil {
		c.in.timer.Stop()
	}
	c.in.changed.Broadcast()
	c.in.mu.Unlock()
	return c.CloseWrite()
}

// SetReadDeadline implements net.Conn.
func (c *PipeConn) SetReadDeadline(t time.Time) error {
	f := c.in
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	if !t.IsZero() {
		f.timer = time.AfterFunc(time.Until(t), f.changed.Broadcast)
	}
	f.changed.Broadcast()
	return nil
}

// SetWriteDeadline implements net.Conn; writes never wait.
func (c *PipeConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (c *PipeConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// LocalAddr implements net.Conn.
func (c *PipeConn) LocalAddr() net.Addr { return pipeAddr(c.local) }

// RemoteAddr implements net.Conn.
func (c *PipeConn) RemoteAddr() net.Addr {
	if c.local == "client" {
		return pipeAddr("server")
	}
	return pipeAddr("client")
}

type pipeAddr string

func (pipeAddr) Network() string  { return "memory" }
func (a pipeAddr) String() string { return string(a) }
