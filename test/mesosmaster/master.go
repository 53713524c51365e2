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
	"sync"
	"time"

	operator "github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/election"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
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
	// OfferUse is what a framework had of its offers.
	OfferUse = core.OfferUse
	// AgentSnapshot is an emulated machine.
	AgentSnapshot = core.AgentSnapshot
)

// Address is where a master process is reached, as it tells its clients.
type Address struct {
	Hostname, IP string
	Port         int
}

// complete fills in what is missing.
func (a *Address) complete() {
	if a.Hostname == "" {
		a.Hostname = "localhost"
	}
	if a.IP == "" {
		a.IP = "127.0.0.1"
	}
	if a.Port == 0 {
		a.Port = defaultPort
	}
}

// defaultPort is the port of a Mesos master.
const defaultPort = 5050

// Master is an emulated master. All methods may be called from any goroutine.
type Master struct {
	cfg Config

	mu       sync.Mutex
	core     *core.Master
	election *election.Ensemble
	streams  map[string]*stream // of the leader
	// executorStreams are those of agents; they outlive masters.
	executorStreams map[string]*stream
	timer           *time.Timer
	closed          bool
	calls           callLog
	events          []EventRecord
	inject          injections
	crashed         string

	routes    map[string]route
	processes []*process
	owner     int       // the process whose state the core is, or nobody
	pausedAt  time.Time // when the owner was stopped by SIGSTOP, zero if it runs

	seenZnodes int           // changes of nodes in ZooKeeper told of
	znodes     chan struct{} // of capacity 1

	agentServers []*wire.Server
	ended        []*wire.Server // of processes that have died
	serving      sync.WaitGroup
	serveErr     error
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
	address := Address{Hostname: cfg.Hostname, IP: cfg.IP, Port: cfg.Port}
	return newCluster(cfg, election.Config{
		Masters: 1, BootTime: cfg.BootTime, RouteTime: cfg.RouteTime, RecoveryTime: cfg.RecoveryTime,
	}, []Address{address})
}

// newCluster makes masters that all run, and agents registered with the leader.
func newCluster(cfg Config, vote election.Config, addresses []Address) (*Master, error) {
	now := time.Now()
	e, err := election.New(vote, now)
	if err != nil {
		return nil, fmt.Errorf("mesosmaster: %w", err)
	}
	m := &Master{cfg: cfg, streams: map[string]*stream{}, executorStreams: map[string]*stream{}, routes: allRoutes(), election: e, znodes: make(chan struct{}, 1), core: core.New(cfg.core(), now)}
	m.calls.limit = cfg.CallLog
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range addresses {
		a.complete()
		p := &process{index: i, hostname: a.Hostname, ip: a.IP, port: a.Port}
		if vote.ZooKeeper {
			p.id = m.core.NewStreamID()
		}
		m.processes = append(m.processes, p)
		if err := m.boot(p); err != nil {
			return nil, err
		}
	}
	m.owner, _ = e.Leader(0) // there always is one in the beginning
	if p := m.processes[m.owner]; p.id != "" {
		m.core.Become(p.id, p.hostname, p.ip, p.port)
	}
	for _, a := range cfg.Agents {
		if _, err := m.addAgent(now, a); err != nil {
			return nil, fmt.Errorf("mesosmaster: %w", err)
		}
	}
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
	for _, ev := range m.election.Advance(now) {
		m.became(ev)
	}
	if n := m.election.Changes(); n != m.seenZnodes {
		m.seenZnodes = n
		m.tellZnodes()
	}
	if m.pausedAt.IsZero() {
		m.core.Advance(now)
	}
	for _, o := range m.core.Drain() {
		m.put(&o)
	}
	m.wakeAt(now)
}

// put hands an output of the core to its stream.
func (m *Master) put(o *core.Output) {
	m.run(o)
	streams := m.streams
	s := streams[o.Stream]
	if s == nil {
		streams = m.executorStreams
		s = streams[o.Stream]
	}
	if s == nil {
		return
	}
	switch {
	case o.Event != nil:
		if o.Event.Type == scheduler.Event_HEARTBEAT {
			s.beat, s.beatAt = o.Event, time.Now()
		}
		m.sent(o.Stream, o.Event)
		s.push(item{event: o.Event})
	case o.Operator != nil:
		if o.Operator.Type == operator.Event_HEARTBEAT {
			s.beat, s.beatAt = o.Operator, time.Now()
		}
		s.push(item{event: o.Operator})
	case o.Executor != nil:
		s.push(item{event: o.Executor})
	}
	if o.Close {
		s.close(o.Abort)
		delete(streams, o.Stream)
	}
}

// tellZnodes wakes who follows the nodes in ZooKeeper.
func (m *Master) tellZnodes() {
	select {
	case m.znodes <- struct{}{}:
	default:
	}
}

// wakeAt sets the timer for what is due next.
func (m *Master) wakeAt(now time.Time) {
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
	if m.closed {
		return
	}
	at, ok := m.election.Next()
	if m.pausedAt.IsZero() {
		if due, more := m.core.Next(); more && (!ok || due.Before(at)) {
			at, ok = due, true
		}
	}
	if ok {
		m.timer = time.AfterFunc(at.Sub(now), m.tick)
	}
}

func (m *Master) tick() { m.do(func(*core.Master, time.Time) {}) }

// Start listens on addr ("127.0.0.1:0" for any port) and serves until Close or
// Stop.
func (m *Master) Start(addr string) error { return m.start(0, addr) }

func (m *Master) start(i int, addr string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.processes[i]
	if p.server == nil {
		return errors.New("mesosmaster: Start of a process that is dead")
	}
	p.bound = addr
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("mesosmaster: listen: %w", err)
	}
	return m.listen(p, l)
}

// Addr is the host:port the master listens on, empty before Start.
func (m *Master) Addr() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.processes[0].bound
}

// URL is the master's base URL, "http://host:port", or https with Config.TLS; before
// Start, and for the in-memory transport, the host is "mesos-master.invalid:5050".
func (m *Master) URL() string {
	if addr := m.Addr(); addr != "" {
		return m.scheme() + "://" + addr
	}
	return m.scheme() + "://mesos-master.invalid:5050"
}

func (m *Master) scheme() string {
	if m.cfg.TLS != nil {
		return "https"
	}
	return "http"
}

// end closes all streams and stops the clock; called with the lock held.
func (m *Master) end() (servers []*wire.Server) {
	m.closed = true
	for id, s := range m.streams {
		s.close(true)
		delete(m.streams, id)
	}
	for id, s := range m.executorStreams {
		s.close(true)
		delete(m.executorStreams, id)
	}
	servers = append(servers, m.agentServers...)
	for _, p := range m.processes {
		for _, s := range p.held {
			s.close(true)
		}
		if p.server != nil {
			servers = append(servers, p.server)
		}
		m.resume(p)
	}
	m.wakeAt(time.Now())
	return servers
}

// Close ends all streams and stops serving for good.
func (m *Master) Close() {
	m.mu.Lock()
	servers := m.end()
	ended := m.ended
	m.ended = nil
	m.mu.Unlock()
	for _, srv := range servers {
		srv.Close()
	}
	for _, srv := range append(servers, ended...) {
		srv.Wait()
	}
	m.serving.Wait()
}

// Shutdown is Close that lets calls in flight finish, for as long as ctx allows.
func (m *Master) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	servers := m.end()
	m.mu.Unlock()
	var err error
	for _, srv := range servers {
		err = errors.Join(err, srv.Shutdown(ctx))
	}
	m.Close()
	return err
}

// Stop is the death of the master process, of the leader if there are several:
// streams break without an ERROR, connections are refused, its memory is lost.
// Agents and tasks live on.
func (m *Master) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owner == nobody || m.closed {
		return
	}
	now := time.Now()
	m.kill(now, m.processes[m.owner])
	m.settle(now)
}

// StartAgain is a new process in the place of the first that is dead, on the same
// address, with the registry of the old one. Agents come back after
// Config.AgentReregisterDelay.
func (m *Master) StartAgain() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.processes {
		if m.election.Phase(p.index) == election.Dead {
			return m.startAgain(p)
		}
	}
	return errors.New("mesosmaster: StartAgain without Stop")
}

func (m *Master) startAgain(p *process) error {
	now := time.Now()
	if p.id != "" {
		p.id = m.core.NewStreamID()
	}
	m.serveErr, m.crashed = nil, ""
	m.election.Start(now, p.index)
	m.settle(now)
	return m.serveErr
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
	return m.crashed
}
