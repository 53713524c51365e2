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

package faults

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

// Dialer opens connections.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Mesos stands between schedulers and masters: a proxy of HTTP/1.1 without TLS that
// reads each call and each event of a stream, and does with them what its rules say.
type Mesos struct {
	*book
	dial   Dialer
	gate   *gate
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	conns     map[net.Conn]struct{}
	listeners []net.Listener
	downUntil time.Time
}

var (
	callKinds = []Kind{Drop, Swallow, Answer, Twice, Delay, DelayAnswer, Behind, Cut, CutAfter, Freeze, Slow, Down, Invoke}
	// A stream cannot lose a record and go on: that is no fault TCP has.
	eventKinds = []Kind{Twice, Delay, Cut, CutInside, Freeze, Slow, Down, Invoke}
)

// NewMesos returns a proxy that reaches masters with dial. An error tells of a rule that
// could do nothing.
func NewMesos(dial Dialer, rules ...Rule) (*Mesos, error) {
	m := &Mesos{book: newBook(), dial: dial, gate: newGate(), conns: map[net.Conn]struct{}{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, m.Add(rules...)
}

// Add adds rules; they count from now on.
func (m *Mesos) Add(rules ...Rule) error {
	for i := range rules {
		if err := rules[i].validate(callKinds, eventKinds); err != nil {
			return err
		}
		m.add(rules[i])
	}
	return nil
}

// Dial opens a connection in memory that leads through the proxy; it is for
// mesosoffers.WithDial.
func (m *Mesos) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	// Packets of a partitioned network get lost: whoever dials waits.
	if !m.gate.wait(Forward, ctx.Done(), 0) || !m.gate.wait(Backward, ctx.Done(), 0) {
		return nil, ctx.Err()
	}
	upstream, err := m.upstream(ctx, network, address)
	if err != nil {
		return nil, err
	}
	near, far := wire.Pipe()
	m.start(far, upstream, network, address)
	return near, nil
}

// Listen makes the proxy accept connections at address, for the master at target, until
// it is closed. It returns the address it listens on.
func (m *Mesos) Listen(address, target string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	m.listeners = append(m.listeners, l)
	m.mu.Unlock()
	m.work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := m.upstream(m.ctx, "tcp", target)
			if err != nil {
				_ = near.Close() // nobody is there, as far as the client can see
				continue
			}
			m.start(near, upstream, "tcp", target)
		}
	})
	return l.Addr().String(), nil
}

// upstream opens a connection to a master, unless that is down.
func (m *Mesos) upstream(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	down := time.Now().Before(m.downUntil)
	m.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return m.dial(ctx, network, address)
}

func (m *Mesos) start(near, upstream net.Conn, network, address string) {
	l := newLink(m, near, upstream)
	l.redial = func() (net.Conn, error) { return m.dial(m.ctx, network, address) }
	m.hold(near, upstream)
	m.work.Go(func() {
		l.serve()
		m.release(near, upstream)
	})
}

// hold keeps connections for Close.
func (m *Mesos) hold(conns ...net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range conns {
		m.conns[c] = struct{}{}
	}
	if m.ctx.Err() != nil {
		closeAll(conns)
	}
}

func (m *Mesos) release(conns ...net.Conn) {
	closeAll(conns)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range conns {
		delete(m.conns, c)
	}
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close() // one that is closed already is what is wanted
	}
}

// Partition loses all packets in a direction: nobody is told, connections stay, and new
// ones are not made. What is sent meanwhile arrives after Heal, as with TCP, if the
// sender has not given up its connection longer ago than orphanLife.
func (m *Mesos) Partition(d Direction) { m.gate.set(d, true) }

// Heal ends a partition.
func (m *Mesos) Heal() { m.gate.set(Both, false) }

// CutAll breaks all connections; new ones can be made.
func (m *Mesos) CutAll() {
	m.mu.Lock()
	conns := make([]net.Conn, 0, len(m.conns))
	for c := range m.conns {
		conns = append(conns, c)
	}
	m.mu.Unlock()
	closeAll(conns)
}

// SetDown breaks all connections and refuses new ones for d from now on; 0 ends that.
func (m *Mesos) SetDown(d time.Duration) {
	m.mu.Lock()
	m.downUntil = time.Now().Add(d)
	m.mu.Unlock()
	if d > 0 {
		m.CutAll()
	}
}

// Close ends the proxy with all connections, and waits for its goroutines.
func (m *Mesos) Close() {
	m.cancel()
	m.mu.Lock()
	listeners := slices.Clone(m.listeners)
	m.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close() // it is not used any more in any case
	}
	m.CutAll()
	m.work.Wait()
}
