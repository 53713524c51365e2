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

package detect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"sync"
	"syscall"
	"testing"

	emulated "github.com/kube-mesos/kube-mesos/test/mesosmaster/zk"
)

// world is a ZooKeeper that a test changes and disturbs.
type world interface {
	// entry is the zk:// entry by which the detector is to find it.
	entry() string
	// set makes these all the nodes of masters, by name; nil takes away the node
	// they are below, too. Who does not show reader, if any, may not read them.
	set(nodes map[string]string, reader string)
	// stop ends ZooKeeper, start brings it back with its nodes.
	stop()
	start()
	dial(ctx context.Context, address string) (net.Conn, error)
}

// virtual is the emulated ZooKeeper, without sockets.
type virtual struct {
	server *emulated.Server

	mu      sync.Mutex
	nodes   []emulated.Node
	dead    error
	changed chan struct{}
}

const virtualPath = "/mesos"

func newVirtual(t *testing.T) *virtual {
	v := &virtual{changed: make(chan struct{}, 1)}
	v.server = emulated.NewServer(v)
	t.Cleanup(v.server.Close)
	return v
}

func (v *virtual) entry() string { return "zk://zk-0.example.com" + virtualPath }

// Znodes implements emulated.Source.
func (v *virtual) Znodes() ([]emulated.Node, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.nodes, v.dead
}

// ZnodesChanged implements emulated.Source.
func (v *virtual) ZnodesChanged() <-chan struct{} { return v.changed }

func (v *virtual) change(f func()) {
	v.mu.Lock()
	f()
	v.mu.Unlock()
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

func (v *virtual) set(nodes map[string]string, reader string) {
	var all []emulated.Node
	if nodes != nil {
		all = append(all, emulated.Node{Path: virtualPath, Reader: reader})
	}
	for name, data := range nodes {
		all = append(all, emulated.Node{Path: path.Join(virtualPath, name), Data: []byte(data), Reader: reader})
	}
	v.change(func() { v.nodes = all })
}

func (v *virtual) stop()  { v.change(func() { v.dead = errors.New("dead") }) }
func (v *virtual) start() { v.change(func() { v.dead = nil }) }

func (v *virtual) dial(context.Context, string) (net.Conn, error) { return v.server.Dial() }

// line is the network between the detector and a world.
type line struct {
	world

	mu    sync.Mutex
	off   bool
	conns []*tapped
}

// tapped is a connection whose first frame from the server is kept: it tells the
// session and its password.
type tapped struct {
	net.Conn
	mu    sync.Mutex
	heard []byte
}

// greeting is the length of the first frame, as far as it matters, with its prefix.
const greeting = 4 + minGreeting

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, b[:min(n, greeting-len(c.heard))]...)
	return n, err
}

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	l.mu.Lock()
	off := l.off
	l.mu.Unlock()
	if off {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	conn, err := l.world.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &tapped{Conn: conn}
	l.conns = append(l.conns, c)
	return c, nil
}

// cut breaks all connections and lets none be made until heal.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
	for _, c := range l.conns {
		_ = c.Close() // closed already is what is wanted
	}
}

func (l *line) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = false
}

// expire ends the latest session: somebody else takes it over and closes it, before
// its owner can come back.
func (l *line) expire(ctx context.Context) error {
	l.mu.Lock()
	l.off = true
	c := l.conns[len(l.conns)-1]
	l.mu.Unlock()
	defer l.heal()
	c.mu.Lock()
	heard := c.heard
	c.mu.Unlock()
	if len(heard) < greeting {
		return fmt.Errorf("the session has not begun: %d bytes heard", len(heard))
	}
	session := heard[12:] // after length, protocol and timeout: id, and password with its length
	conn, err := l.world.dial(ctx, l.conns[0].RemoteAddr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	// ConnectRequest: protocol, last zxid seen, timeout, session.
	request := append(make([]byte, 12), 0, 0, 0x27, 0x10)
	if err := frame(conn, append(request, session...)); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, greeting)); err != nil {
		return err
	}
	if err := frame(conn, []byte{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf5}); err != nil { // xid 1, closeSession
		return err
	}
	_, err = io.Copy(io.Discard, conn) // until the server hangs up
	return err
}

func frame(w io.Writer, body []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}
