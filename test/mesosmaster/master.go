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

// Package mesosmaster is an emulated Apache Mesos master with agents, for tests
// and demonstrations: the v1 scheduler API on a real HTTP port or in memory, an
// allocator with dominant resource fairness, agents that run tasks, and faults on
// demand. The rules live in the pure package core; this package is the HTTP and
// timer shell around it. Its only clock is package time, so that it runs inside
// testing/synctest.
package mesosmaster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// AgentConfig describes one emulated agent.
type AgentConfig = core.AgentConfig

// Snapshots of the emulated cluster.
type (
	// TaskSnapshot is a task in the master's books.
	TaskSnapshot = core.TaskSnapshot
	// OfferSnapshot is an outstanding offer.
	OfferSnapshot = core.OfferSnapshot
	// FrameworkSnapshot is a framework known to the master.
	FrameworkSnapshot = core.FrameworkSnapshot
	// AgentSnapshot is an emulated machine.
	AgentSnapshot = core.AgentSnapshot
)

// Master is an emulated master. All methods may be called from any goroutine.
type Master struct {
	cfg Config

	mu      sync.Mutex
	core    *core.Master
	streams map[string]*stream
	timer   *time.Timer
	closed  bool
	down    bool
	calls   callLog
	inject  injections

	server   *http.Server
	addr     string // as asked for, then as bound
	serving  sync.WaitGroup
	serveErr error
}

// New returns an emulated master that has been elected and has its agents
// registered. It panics on an agent configuration that does not parse, which is
// a mistake in the test's source; use AddAgent for input.
func New(cfg Config) *Master {
	m, err := NewMaster(cfg)
	if err != nil {
		panic(err)
	}
	return m
}

// NewMaster is New for configurations that come from users.
func NewMaster(cfg Config) (*Master, error) {
	if cfg.CallLog == 0 {
		cfg.CallLog = defaultCallLog
	}
	m := &Master{cfg: cfg, streams: map[string]*stream{}}
	m.calls.limit = cfg.CallLog
	now := time.Now()
	m.core = core.New(cfg.core(), now)
	for _, a := range cfg.Agents {
		if _, err := m.core.AddAgent(now, a); err != nil {
			return nil, fmt.Errorf("mesosmaster: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle(now)
	return m, nil
}

// do runs one event against the core, lets everything that is due happen, and
// hands the outputs to the streams.
func (m *Master) do(f func(c *core.Master, now time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	f(m.core, now)
	m.settle(now)
}

// settle is called with the lock held after every change.
func (m *Master) settle(now time.Time) {
	m.core.Advance(now)
	for _, o := range m.core.Drain() {
		s := m.streams[o.Stream]
		if s == nil {
			continue
		}
		if o.Event != nil {
			s.push(item{event: o.Event})
		}
		if o.Close {
			s.close(o.Abort)
			delete(m.streams, o.Stream)
		}
	}
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
	if at, ok := m.core.Next(); ok && !m.closed {
		m.timer = time.AfterFunc(at.Sub(now), m.tick)
	}
}

func (m *Master) tick() { m.do(func(*core.Master, time.Time) {}) }

// Start listens on addr ("127.0.0.1:0" for any port) and serves until Close or
// Stop.
func (m *Master) Start(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("mesosmaster: listen: %w", err)
	}
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return errors.Join(fmt.Errorf("mesosmaster: %s is not a TCP address", addr), l.Close())
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		host = tcp.IP.String()
	}
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	ip := host
	if net.ParseIP(host) == nil {
		ip = tcp.IP.String()
	}
	srv := &http.Server{Handler: m.Handler(), ReadHeaderTimeout: time.Minute}
	m.mu.Lock()
	m.addr = net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	m.server = srv
	m.core.SetAddress(host, ip, tcp.Port)
	m.mu.Unlock()
	m.serving.Add(1)
	go func() {
		defer m.serving.Done()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			m.mu.Lock()
			m.serveErr = err
			m.mu.Unlock()
		}
	}()
	return nil
}

// Addr is the host:port the master listens on, empty before Start.
func (m *Master) Addr() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addr
}

// URL is the master's base URL, "http://host:port"; before Start, and for the
// in-memory transport, "http://mesos-master.invalid:5050".
func (m *Master) URL() string {
	if addr := m.Addr(); addr != "" {
		return "http://" + addr
	}
	return "http://mesos-master.invalid:5050"
}

// Close ends all streams and stops serving for good.
func (m *Master) Close() {
	m.mu.Lock()
	m.closed = true
	for id, s := range m.streams {
		s.close(true)
		delete(m.streams, id)
	}
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
	srv := m.server
	m.server = nil
	m.mu.Unlock()
	if srv != nil {
		_ = srv.Close() // closes the listener and all connections; nothing else can fail
	}
	m.serving.Wait()
}

// Shutdown is Close that lets calls in flight finish, for as long as ctx allows.
func (m *Master) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true // no new stream may begin
	for id, s := range m.streams {
		s.close(true)
		delete(m.streams, id)
	}
	srv := m.server
	m.mu.Unlock()
	var err error
	if srv != nil {
		err = srv.Shutdown(ctx)
	}
	m.Close()
	return err
}

// Stop is the death of the master process: streams break without an ERROR,
// connections are refused, its memory is lost. Agents and tasks live on.
func (m *Master) Stop() {
	m.mu.Lock()
	if m.down || m.closed {
		m.mu.Unlock()
		return
	}
	m.down = true
	now := time.Now()
	m.core.Down(now)
	m.settle(now)
	srv := m.server
	m.server = nil
	m.mu.Unlock()
	if srv != nil {
		_ = srv.Close() // closes the listener and all connections; nothing else can fail
	}
}

// StartAgain is a new master process on the same address, with the registry of
// the old one. Agents come back after Config.AgentReregisterDelay.
func (m *Master) StartAgain() error {
	m.mu.Lock()
	addr, served := m.addr, m.addr != ""
	if !m.down {
		m.mu.Unlock()
		return errors.New("mesosmaster: StartAgain without Stop")
	}
	m.mu.Unlock()
	m.serving.Wait()
	if served {
		if err := m.Start(addr); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = false
	now := time.Now()
	m.core.Up(now)
	m.settle(now)
	return nil
}

// Restart is a master fail-over: Stop and StartAgain.
func (m *Master) Restart() error {
	m.Stop()
	return m.StartAgain()
}

// Crashed returns the check failure that has aborted the master, empty if it
// lives. A real master dies of a call of type UNKNOWN; so does this one.
func (m *Master) Crashed() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Crashed
}
