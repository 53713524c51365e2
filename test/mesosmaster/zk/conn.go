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

package zk

import (
	"bytes"
	"encoding/binary"
	"net"
	"path"
	"sync"
	"time"
)

// Operations and error codes of the protocol (ZooKeeper ZooDefs.OpCode,
// KeeperException.Code).
const (
	opExists       int32 = 3
	opGetData      int32 = 4
	opGetACL       int32 = 6
	opGetChildren  int32 = 8
	opSync         int32 = 9
	opPing         int32 = 11
	opGetChildren2 int32 = 12
	opAuth         int32 = 100
	opSetWatches   int32 = 101
	opClose        int32 = -11

	codeOK            int32 = 0
	codeUnimplemented int32 = -6
	codeNoNode        int32 = -101
	codeNoAuth        int32 = -102
	codeNotReadOnly   int32 = -119

	xidEvent int32 = -1

	// stateConnected is the state told in events.
	stateConnected int32 = 3
	// allPermissions of the ACL every node has: world:anyone.
	allPermissions int32 = 31
)

// Bounds of session timeouts, as a server with a tick of 2 s has them.
const (
	minTimeout = 4 * time.Second
	maxTimeout = 40 * time.Second
)

// writeTimeout bounds how long a client that does not read can hold others up.
const writeTimeout = time.Second

// watch is a path somebody waits for: for its children, or for the node.
type watch struct {
	path     string
	children bool
}

// conn is one connection of a client.
type conn struct {
	server  *Server
	net     net.Conn
	session *session
	shown   map[string]bool // credentials of the scheme digest

	mu      sync.Mutex // of watches; the server's lock may be held
	watches map[watch]bool
	writing sync.Mutex
}

func (c *conn) close() { _ = c.net.Close() } // closed already is what is wanted

func (c *conn) write(e *encoder) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.net.SetWriteDeadline(time.Now().Add(writeTimeout)) // a closed connection shows in the write
	if _, err := c.net.Write(e.frame()); err != nil {
		c.close()
	}
}

func (c *conn) serve() {
	defer c.close()
	b, err := readFrame(c.net)
	if err != nil || !c.connect(b) {
		return
	}
	for {
		// A client that is silent for its whole timeout has lost its session.
		_ = c.net.SetReadDeadline(time.Now().Add(c.session.timeout)) // a closed connection shows in the read
		b, err := readFrame(c.net)
		if err != nil || !c.request(b) {
			return
		}
	}
}

// connect answers the first request: a new session or an old one; false ends the
// connection.
func (c *conn) connect(b []byte) bool {
	d := &decoder{b: b}
	version, _, timeout, id, password := d.int32(), d.int64(), d.int32(), d.int64(), d.buffer()
	if d.err != nil {
		return false
	}
	s := c.server.session(c, id, password, time.Duration(timeout)*time.Millisecond)
	e := &encoder{}
	e.int32(version)
	if s == nil { // expired
		e.int32(0)
		e.int64(0)
		e.buffer(make([]byte, 16))
	} else {
		e.int32(int32(s.timeout / time.Millisecond))
		e.int64(s.id)
		e.buffer(s.password)
	}
	e.bool(false)
	c.write(e)
	c.session = s
	return s != nil
}

// session opens a session, or continues an old one that has not expired.
func (s *Server) session(c *conn, id int64, password []byte, timeout time.Duration) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if id == 0 {
		s.lastID++
		password = binary.BigEndian.AppendUint64(make([]byte, 8), uint64(s.lastID))
		n := &session{id: s.lastID, password: password, timeout: min(max(timeout, minTimeout), maxTimeout), conn: c}
		s.sessions[n.id] = n
		return n
	}
	old := s.sessions[id]
	switch {
	case old == nil || !bytes.Equal(old.password, password):
		return nil
	case old.conn == nil && !old.expires.After(now):
		delete(s.sessions, id)
		return nil
	case old.conn != nil:
		old.conn.close() // the client has moved
	}
	old.conn = c
	return old
}

// request answers one request; false ends the connection.
func (c *conn) request(b []byte) bool {
	d := &decoder{b: b}
	xid, op := d.int32(), d.int32()
	body := &encoder{}
	c.server.mu.Lock()
	code := c.handle(op, d, body)
	zxid := c.server.tree.zxid
	if op == opClose {
		delete(c.server.sessions, c.session.id)
	}
	c.server.mu.Unlock()
	if d.err != nil {
		return false
	}
	reply := &encoder{}
	reply.int32(xid)
	reply.int64(zxid)
	reply.int32(code)
	if code == codeOK {
		reply.b = append(reply.b, body.b...)
	}
	c.write(reply)
	return op != opClose
}

// handle carries an operation out, with the server's lock held.
func (c *conn) handle(op int32, d *decoder, out *encoder) int32 {
	switch op {
	case opPing, opClose:
		return codeOK
	case opAuth:
		return c.authenticate(d)
	case opSetWatches:
		c.setWatches(d)
		return codeOK
	case opSync:
		out.string(d.string())
		return codeOK
	case opExists, opGetData, opGetChildren, opGetChildren2, opGetACL:
		return c.look(op, d, out)
	case 1, 2, 5, 7, 14, 15, 19, 20, 21: // those that write
		return codeNotReadOnly
	default:
		return codeUnimplemented
	}
}

// look answers the operations that read a node.
func (c *conn) look(op int32, d *decoder, out *encoder) int32 {
	p := path.Clean("/" + d.string())
	wait := op != opGetACL && d.bool()
	if d.err != nil {
		return codeOK
	}
	n := c.server.tree.nodes[p]
	if n == nil {
		if wait && op == opExists {
			c.watch(watch{path: p})
		}
		return codeNoNode
	}
	if !c.mayRead(n, op) {
		return codeNoAuth
	}
	if wait {
		c.watch(watch{p, op == opGetChildren || op == opGetChildren2})
	}
	switch op {
	case opGetData:
		data := n.data
		if data == nil {
			data = []byte{}
		}
		out.buffer(data)
	case opGetChildren, opGetChildren2:
		out.strings(n.names())
	case opGetACL:
		out.int32(1)
		out.int32(allPermissions)
		out.string("world")
		out.string("anyone")
	}
	if op != opGetChildren {
		out.stat(&n.stat)
	}
	return codeOK
}

// authenticate notes credentials. ZooKeeper does not judge them: they count where
// a node asks for them (DigestAuthenticationProvider).
func (c *conn) authenticate(d *decoder) int32 {
	_, scheme, credentials := d.int32(), d.string(), d.buffer()
	if scheme == "digest" && d.err == nil {
		c.shown[string(credentials)] = true
	}
	return codeOK
}

// mayRead tells whether an operation is allowed on a node: that it is there, and
// who may read it, everybody may know.
func (c *conn) mayRead(n *entry, op int32) bool {
	return n.reader == "" || c.shown[n.reader] || op == opExists || op == opGetACL
}

func (c *conn) watch(w watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches[w] = true
}

// setWatches brings back the watches of a client that has reconnected, and tells
// at once what it has missed (ZooKeeper DataTree.setWatches).
func (c *conn) setWatches(d *decoder) {
	since, data, exist, children := d.int64(), d.strings(), d.strings(), d.strings()
	if d.err != nil {
		return
	}
	t := c.server.tree
	missed := []change{}
	for _, p := range data {
		switch n := t.nodes[p]; {
		case n == nil:
			missed = append(missed, change{deleted, p})
		case n.stat.Mzxid > since:
			missed = append(missed, change{dataChanged, p})
		}
		c.watch(watch{path: p})
	}
	for _, p := range exist {
		if t.nodes[p] != nil {
			missed = append(missed, change{created, p})
		}
		c.watch(watch{path: p})
	}
	for _, p := range children {
		switch n := t.nodes[p]; {
		case n == nil:
			missed = append(missed, change{deleted, p})
		case n.stat.Pzxid > since:
			missed = append(missed, change{childrenChanged, p})
		}
		c.watch(watch{p, true})
	}
	c.notify(missed)
}

// notify tells of changes the client watches, each watch once; called with the
// server's lock held.
func (c *conn) notify(changes []change) {
	for _, ch := range changes {
		c.mu.Lock()
		hit := false
		for _, w := range []watch{{ch.path, false}, {ch.path, true}} {
			// The end of a node ends the watch of its children too.
			if c.watches[w] && (w.children == (ch.kind == childrenChanged) || ch.kind == deleted) {
				delete(c.watches, w)
				hit = true
			}
		}
		c.mu.Unlock()
		if !hit {
			continue
		}
		e := &encoder{}
		e.int32(xidEvent)
		e.int64(-1)
		e.int32(codeOK)
		e.int32(ch.kind)
		e.int32(stateConnected)
		e.string(ch.path)
		c.write(e)
	}
}
