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
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

const (
	// dialTimeout bounds how long to wait for one host.
	dialTimeout = 3 * time.Second

	// A frame of ZooKeeper's protocol has a header of minFrame bytes at least and is
	// not above maxFrame; masters' nodes are some hundred bytes.
	minFrame, maxFrame = 16, 4 << 20
	// minGreeting is the least length of the first frame, ConnectResponse.
	minGreeting = 36
)

var errClosed = errors.New("closed")

// dialer makes the connections with ZooKeeper, watches over them, and remembers
// what went wrong last.
type dialer struct {
	ctx  context.Context //nolint:containedctx // the library's dialer has none
	dial func(ctx context.Context, address string) (net.Conn, error)
	// limit bounds every wait for an answer.
	limit time.Duration

	mu   sync.Mutex
	conn net.Conn
	last error
	// settled is whether the latest connection is the one to keep.
	settled bool
	closed  bool
}

// connect is a zk.Dialer. Names are resolved here, so for each connection anew.
func (d *dialer) connect(_, address string, _ time.Duration) (net.Conn, error) {
	d.mu.Lock()
	refuse := d.settled || d.closed
	d.mu.Unlock()
	if refuse {
		return nil, errClosed
	}
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	dial := d.dial
	if dial == nil {
		dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}
	}
	conn, err := dial(ctx, address)
	d.note(err)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = conn.Close() // nothing was sent on it
		return nil, errClosed
	}
	d.conn = conn
	return &guarded{Conn: conn, address: address, dialer: d, least: minGreeting}, nil
}

func (d *dialer) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && !d.closed {
		d.last = err
	}
}

// why is what went wrong last.
func (d *dialer) why() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		return errLost
	}
	return d.last
}

// settle allows no other connection after this one. The library would make one to go
// on with its session; we begin a new one instead, with a password read anew.
func (d *dialer) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settled = true
}

// close breaks the connection there is and allows no others.
func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.conn != nil {
		_ = d.conn.Close() // closed already is what is wanted
	}
}

// guarded is a connection on which only frames of a plausible length arrive: the
// library trusts lengths, and another server than ZooKeeper may answer.
type guarded struct {
	net.Conn
	address string
	dialer  *dialer

	// head is what is there of the length of the next frame, body how much is
	// missing of this one, least how long the next must be.
	head  []byte
	body  int
	least int
}

// Read implements net.Conn.
func (g *guarded) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if err == nil {
		err = g.check(b[:n])
	}
	if err != nil {
		err = fmt.Errorf("ZooKeeper server %s: %w", g.address, err)
		g.dialer.note(err)
		return 0, err
	}
	return n, nil
}

func (g *guarded) check(b []byte) error {
	for len(b) > 0 {
		if g.body > 0 {
			n := min(g.body, len(b))
			g.body -= n
			b = b[n:]
			continue
		}
		g.head = append(g.head, b[0])
		b = b[1:]
		if len(g.head) < 4 {
			continue
		}
		length := binary.BigEndian.Uint32(g.head)
		if length < uint32(g.least) || length > maxFrame {
			return errors.New("its answer is not that of a ZooKeeper")
		}
		g.head, g.body, g.least = g.head[:0], int(length), minFrame
	}
	return nil
}

// SetReadDeadline implements net.Conn. The library allows a server that does not
// answer its greeting more than a minute.
func (g *guarded) SetReadDeadline(t time.Time) error {
	if latest := time.Now().Add(g.dialer.limit); t.After(latest) {
		t = latest
	}
	return g.Conn.SetReadDeadline(t)
}

// hosts is a zk.HostProvider that takes one server after the other, from any on,
// and leaves their names to the dialer.
type hosts struct {
	// exhausted is called when none of them could be connected with.
	exhausted func()

	mu      sync.Mutex
	servers []string
	// next is the server to try, and tried how many were since the last that
	// could be connected with.
	next, tried int
}

// Init implements zk.HostProvider.
func (h *hosts) Init(servers []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers, h.next = servers, rand.N(len(servers)) //nolint:gosec // spreads load
	return nil
}

// Len implements zk.HostProvider.
func (h *hosts) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.servers)
}

// Next implements zk.HostProvider.
func (h *hosts) Next() (server string, again bool) {
	h.mu.Lock()
	server = h.servers[h.next]
	h.next = (h.next + 1) % len(h.servers)
	again = h.tried > 0 && h.tried%len(h.servers) == 0
	h.tried++
	h.mu.Unlock()
	if again {
		h.exhausted()
	}
	return server, again
}

// Connected implements zk.HostProvider.
func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	// As if one had been tried: after a loss the others come first, then a pause.
	h.tried = 0
}

// quiet is the library's log: of interest only when something is to be found out.
type quiet struct{ logger klog.Logger }

// Printf implements zk.Logger.
func (q quiet) Printf(format string, args ...any) {
	q.logger.V(4).Info("ZooKeeper client: " + fmt.Sprintf(format, args...))
}
