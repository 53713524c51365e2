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
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a tree tests change.
type source struct {
	mu      sync.Mutex
	nodes   []Node
	err     error
	changed chan struct{}
}

func (s *source) Znodes() ([]Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes, s.err
}

func (s *source) ZnodesChanged() <-chan struct{} { return s.changed }

func (s *source) set(err error, nodes ...Node) {
	s.mu.Lock()
	s.nodes, s.err = nodes, err
	s.mu.Unlock()
	s.changed <- struct{}{}
	synctest.Wait()
}

// peer is a client of few words.
type peer struct {
	t   *testing.T
	net net.Conn
	xid int32
	id  int64
	pw  []byte
}

func (p *peer) send(build func(e *encoder)) {
	p.t.Helper()
	e := &encoder{}
	build(e)
	if _, err := p.net.Write(e.frame()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) receive() *decoder {
	p.t.Helper()
	b, err := readFrame(p.net)
	if err != nil {
		p.t.Fatal(err)
	}
	return &decoder{b: b}
}

// connect opens a session, or the given one again; it returns the timeout told,
// in ms.
func connect(t *testing.T, s *Server, id int64, pw []byte) (*peer, int32) {
	t.Helper()
	nc, err := s.Dial()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, net: nc}
	p.send(func(e *encoder) {
		e.int32(0)
		e.int64(0)
		e.int32(10000)
		e.int64(id)
		e.buffer(append([]byte{}, pw...))
	})
	d := p.receive()
	_, timeout := d.int32(), d.int32()
	p.id, p.pw = d.int64(), bytes.Clone(d.buffer())
	return p, timeout
}

// ask sends a request and returns its code and the rest of the reply.
func (p *peer) ask(op int32, build func(e *encoder)) (int32, *decoder) {
	p.t.Helper()
	p.xid++
	p.send(func(e *encoder) {
		e.int32(p.xid)
		e.int32(op)
		if build != nil {
			build(e)
		}
	})
	d := p.receive()
	if xid := d.int32(); xid != p.xid {
		p.t.Fatalf("reply to %d, want %d", xid, p.xid)
	}
	d.int64()
	return d.int32(), d
}

func (p *peer) event() (kind int32, path string) {
	p.t.Helper()
	d := p.receive()
	if xid := d.int32(); xid != xidEvent {
		p.t.Fatalf("reply to %d, want an event", xid)
	}
	d.int64()
	d.int32()
	kind = d.int32()
	d.int32()
	return kind, d.string()
}

func at(path string, watch bool) func(e *encoder) {
	return func(e *encoder) {
		e.string(path)
		e.bool(watch)
	}
}

func served(t *testing.T, f func(t *testing.T, src *source, s *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		src := &source{changed: make(chan struct{})}
		src.nodes = []Node{{Path: "/mesos"}, {Path: "/mesos/json.info_0000000000", Data: []byte("{}"), Ephemeral: true}}
		s := NewServer(src)
		defer s.Close()
		f(t, src, s)
	})
}

func TestReading(t *testing.T) {
	served(t, func(t *testing.T, _ *source, s *Server) {
		p, timeout := connect(t, s, 0, nil)
		if timeout != 10000 || p.id == 0 || len(p.pw) != 16 {
			t.Errorf("session %d, timeout %d, password %v", p.id, timeout, p.pw)
		}
		code, d := p.ask(opGetChildren, at("/mesos", false))
		if diff := cmp.Diff([]string{"json.info_0000000000"}, d.strings()); code != 0 || diff != "" {
			t.Errorf("children: %d, %s", code, diff)
		}
		code, d = p.ask(opGetData, at("/mesos/json.info_0000000000", false))
		if data := d.string(); code != 0 || data != "{}" {
			t.Errorf("data: %d, %q", code, data)
		}
		d.take(44) // four ids and times, three versions
		if owner, length := d.int64(), d.int32(); owner == 0 || length != 2 {
			t.Errorf("owner %d, length %d", owner, length)
		}
		code, d = p.ask(opGetChildren2, at("/", false))
		if names := d.strings(); code != 0 || len(names) != 1 || len(d.b) != 68 {
			t.Errorf("children of the root: %d, %v, %d bytes of stat", code, names, len(d.b))
		}
		code, d = p.ask(opGetACL, func(e *encoder) { e.string("/mesos") })
		if n, perms, scheme, id := d.int32(), d.int32(), d.string(), d.string(); code != 0 || n != 1 || perms != 31 || scheme != "world" || id != "anyone" {
			t.Errorf("ACL: %d, %d %d %s:%s", code, n, perms, scheme, id)
		}
		for name, tc := range map[string]struct {
			op    int32
			build func(e *encoder)
			want  int32
		}{
			"missing": {opExists, at("/nope", false), codeNoNode},
			"ping":    {opPing, nil, codeOK},
			"auth":    {opAuth, showing("me:pw"), codeOK},
			"sync":    {opSync, func(e *encoder) { e.string("/") }, codeOK},
			"create":  {1, at("/x", false), codeNotReadOnly},
			"strange": {77, nil, codeUnimplemented},
		} {
			if code, _ := p.ask(tc.op, tc.build); code != tc.want {
				t.Errorf("%s: code %d, want %d", name, code, tc.want)
			}
		}
		p.send(func(e *encoder) { e.int32(9); e.int32(opGetData); e.int32(1000) }) // a string longer than the frame
		if _, err := readFrame(p.net); err == nil {
			t.Error("a request that makes no sense must end the connection")
		}
	})
}

// showing is the body of a request that shows credentials.
func showing(credentials string) func(e *encoder) {
	return func(e *encoder) {
		e.int32(0)
		e.string("digest")
		e.buffer([]byte(credentials))
	}
}

// Nodes that want a reader can be seen, but not read, by others.
func TestReader(t *testing.T) {
	served(t, func(t *testing.T, src *source, s *Server) {
		src.set(nil, Node{Path: "/mesos", Reader: "me:pw"}, Node{Path: "/mesos/a", Reader: "me:pw"}, Node{Path: "/open"})
		p, _ := connect(t, s, 0, nil)
		codes := func() (out []int32) {
			for _, path := range []string{"/mesos", "/mesos/a", "/open", "/none"} {
				for _, op := range []int32{opExists, opGetData, opGetChildren, opGetChildren2} {
					code, _ := p.ask(op, at(path, true))
					out = append(out, code)
				}
			}
			return out
		}
		refused := []int32{0, codeNoAuth, codeNoAuth, codeNoAuth, 0, codeNoAuth, codeNoAuth, codeNoAuth, 0, 0, 0, 0, codeNoNode, codeNoNode, codeNoNode, codeNoNode}
		if diff := cmp.Diff(refused, codes()); diff != "" {
			t.Error(diff)
		}
		if code, _ := p.ask(opAuth, showing("me:wrong")); code != codeOK {
			t.Errorf("code %d: ZooKeeper does not judge credentials", code)
		}
		if diff := cmp.Diff(refused, codes()); diff != "" {
			t.Error(diff)
		}
		p.ask(opAuth, showing("me:pw"))
		let := slices.Clone(refused)
		for i := range 8 {
			let[i] = codeOK
		}
		if diff := cmp.Diff(let, codes()); diff != "" {
			t.Error(diff)
		}
		// Access can be opened.
		src.set(nil, Node{Path: "/mesos"}, Node{Path: "/mesos/a"}, Node{Path: "/open"})
		q, _ := connect(t, s, 0, nil)
		if code, _ := q.ask(opGetChildren, at("/mesos", false)); code != codeOK {
			t.Errorf("code %d", code)
		}
	})
}

func TestWatches(t *testing.T) {
	served(t, func(t *testing.T, src *source, s *Server) {
		p, _ := connect(t, s, 0, nil)
		p.ask(opGetChildren, at("/mesos", true))
		p.ask(opExists, at("/mesos/json.info_0000000001", true))
		p.ask(opGetData, at("/mesos/json.info_0000000000", true))
		first, second := Node{Path: "/mesos/json.info_0000000000", Data: []byte("{}")}, Node{Path: "/mesos/json.info_0000000001", Data: []byte("[]")}
		src.set(nil, first, second)
		for _, want := range []change{{created, second.Path}, {childrenChanged, "/mesos"}} {
			if kind, path := p.event(); kind != want.kind || path != want.path {
				t.Errorf("event %d %s, want %v", kind, path, want)
			}
		}
		src.set(nil, second) // the watch of the children is spent, that of the data is not
		if kind, path := p.event(); kind != deleted || path != first.Path {
			t.Errorf("event %d %s", kind, path)
		}
		second.Data = []byte("new")
		src.set(nil, second)
		if code, d := p.ask(opGetData, at(second.Path, true)); code != 0 || d.string() != "new" {
			t.Errorf("code %d", code)
		}
		second.Data = []byte("newer")
		src.set(nil, second)
		if kind, path := p.event(); kind != dataChanged || path != second.Path {
			t.Errorf("event %d %s", kind, path)
		}
	})
}

func TestSessions(t *testing.T) {
	served(t, func(t *testing.T, src *source, s *Server) {
		p, _ := connect(t, s, 0, nil)
		src.set(errors.New("dead"))
		if _, err := readFrame(p.net); err == nil {
			t.Error("the connection must break")
		}
		if _, err := s.Dial(); !errors.Is(err, ErrDead) {
			t.Errorf("Dial: %v", err)
		}
		src.set(nil, Node{Path: "/mesos/a"})
		time.Sleep(9 * time.Second)
		again, _ := connect(t, s, p.id, p.pw)
		if again.id != p.id {
			t.Errorf("session %d, want %d", again.id, p.id)
		}
		// What was watched is told as missed.
		since := int64(0)
		again.send(func(e *encoder) {
			e.int32(-8)
			e.int32(opSetWatches)
			e.int64(since)
			e.strings([]string{"/mesos/json.info_0000000000"})
			e.strings([]string{"/mesos/a"})
			e.strings([]string{"/mesos"})
		})
		for _, want := range []change{{deleted, "/mesos/json.info_0000000000"}, {created, "/mesos/a"}, {childrenChanged, "/mesos"}} {
			if kind, path := again.event(); kind != want.kind || path != want.path {
				t.Errorf("event %d %s, want %v", kind, path, want)
			}
		}
		again.receive() // the reply
		wrong, timeout := connect(t, s, p.id, []byte("wrong"))
		if wrong.id != 0 || timeout != 0 {
			t.Errorf("a wrong password gets session %d, timeout %d", wrong.id, timeout)
		}
		// Silence ends the connection, more of it the session.
		time.Sleep(11 * time.Second)
		if _, err := readFrame(again.net); err == nil {
			t.Error("a silent client must be cut off")
		}
		time.Sleep(10 * time.Second)
		if late, _ := connect(t, s, p.id, p.pw); late.id != 0 {
			t.Error("the session must have expired")
		}
		last, _ := connect(t, s, 0, nil)
		last.ask(opClose, nil)
		if gone, _ := connect(t, s, last.id, last.pw); gone.id != 0 {
			t.Error("a closed session cannot be continued")
		}
	})
}

func TestOnSockets(t *testing.T) {
	src := &source{changed: make(chan struct{}), nodes: []Node{{Path: "/mesos"}}}
	s := NewServer(src)
	defer s.Close()
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	if _, err := readFrame(nc); err == nil {
		t.Error("a huge frame must end the connection")
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}
