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

package mesosmaster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/election"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

// process is one process of the master: an HTTP interface on an address. The
// state of the leader is the Master's core; the others have none.
type process struct {
	index int
	// hostname, ip and port are what the master says of itself.
	hostname, ip string
	port         int
	// bound is the address listened on, empty for in memory only.
	bound string
	// id is the MasterInfo.id of this life, empty to leave it to the core.
	id      string
	server  *wire.Server  // of this life, nil while there is none
	resumed chan struct{} // closed at SIGCONT or death; nil unless stopped
	held    []*stream     // what the process had open when it stopped leading
	why     string        // the last words of the latest life, empty if it was killed
}

// address is host:port as clients are told it.
func (p *process) address() string { return hostPort(p.hostname, p.port) }

// leads tells whether the core is this process'.
func (m *Master) leads(p *process) bool { return m.owner == p.index }

// accepts tells whether connections to a process succeed; called with the lock
// held.
func (m *Master) accepts(p *process) bool {
	switch m.election.Phase(p.index) {
	case election.Dead, election.Booting:
		return false
	default:
		return !m.closed
	}
}

// awake waits while a process is stopped by SIGSTOP; false means that no answer
// will ever come.
func (m *Master) awake(ctx context.Context, p *process) bool {
	for {
		m.mu.Lock()
		accepts, stopped, resumed := m.accepts(p), m.election.Stopped(p.index), p.resumed
		m.mu.Unlock()
		if !accepts || !stopped {
			return accepts
		}
		select {
		case <-resumed:
		case <-ctx.Done():
			return false
		}
	}
}

// boot begins to serve; with a bound address, on a listener too.
func (m *Master) boot(p *process) error {
	srv := &wire.Server{Handler: m.handler(p), TLS: m.cfg.TLS}
	p.server = srv
	if p.bound == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.bound)
	if err != nil {
		return fmt.Errorf("mesosmaster: listen: %w", err)
	}
	return m.listen(p, l)
}

// listen serves a process on a listener and learns the address from it.
func (m *Master) listen(p *process, l net.Listener) error {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return errors.Join(fmt.Errorf("mesosmaster: %s is not a TCP address", l.Addr()), l.Close())
	}
	host, _, err := net.SplitHostPort(p.bound)
	if err != nil || host == "" {
		host = tcp.IP.String()
	}
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	p.hostname, p.ip, p.port = host, host, tcp.Port
	if net.ParseIP(host) == nil {
		p.ip = tcp.IP.String()
	}
	p.bound = hostPort(host, tcp.Port)
	if m.leads(p) {
		m.core.SetAddress(p.hostname, p.ip, p.port)
	}
	srv := p.server
	m.serving.Add(1)
	go func() {
		defer m.serving.Done()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			m.mu.Lock()
			m.serveErr = errors.Join(m.serveErr, err)
			m.mu.Unlock()
		}
	}()
	return nil
}

// became makes what the election says true.
func (m *Master) became(ev election.Event) {
	p := m.processes[ev.Master]
	switch ev.Kind {
	case election.Listening:
		if err := m.boot(p); err != nil {
			m.serveErr = errors.Join(m.serveErr, err)
		}
	case election.Elected:
		m.depose(m.deposedAt(ev.At))
		m.owner = p.index
		if p.id != "" {
			m.core.Become(p.id, p.hostname, p.ip, p.port)
		}
		m.core.Up(ev.At)
	case election.Exited:
		m.exited(ev.At, p)
		p.why = ev.Why
	}
}

// deposedAt is when the present leader ceased to work: when it was stopped.
func (m *Master) deposedAt(now time.Time) time.Time {
	if !m.pausedAt.IsZero() {
		return m.pausedAt
	}
	return now
}

// depose takes the core from a leader that is still there: its streams stay open
// and silent.
func (m *Master) depose(at time.Time) {
	if m.owner == nobody {
		return
	}
	p := m.processes[m.owner]
	for id, s := range m.streams {
		s.pause(true)
		p.held = append(p.held, s)
		delete(m.streams, id)
	}
	m.core.Down(at)
	m.owner, m.pausedAt = nobody, time.Time{}
}

// exited makes the end of a process true, whatever caused it: connections break
// without a closing chunk, and if it led, its memory is lost.
func (m *Master) exited(now time.Time, p *process) {
	for _, s := range p.held {
		s.close(true)
	}
	p.held = nil
	if m.leads(p) {
		for id, s := range m.streams {
			s.close(true)
			delete(m.streams, id)
		}
		m.core.Down(m.deposedAt(now))
		m.owner, m.pausedAt = nobody, time.Time{}
	}
	if p.server != nil {
		p.server.Close()
		m.ended = append(m.ended, p.server)
		p.server = nil
	}
	m.resume(p)
}

func (m *Master) resume(p *process) {
	if p.resumed != nil {
		close(p.resumed)
		p.resumed = nil
	}
}

// kill ends a process; called with the lock held.
func (m *Master) kill(now time.Time, p *process) {
	m.election.Kill(now, p.index)
	p.why = ""
	m.exited(now, p)
}

// stop is SIGSTOP: nothing is read, written or done, no connection breaks.
func (m *Master) stop(now time.Time, p *process) {
	if m.election.Phase(p.index) == election.Dead || m.election.Stopped(p.index) {
		return
	}
	m.election.Stop(now, p.index)
	p.resumed = make(chan struct{})
	if m.leads(p) {
		m.pausedAt = now
		for _, s := range m.streams {
			s.pause(true)
		}
	}
}

// proceed is SIGCONT. What has become due meanwhile happens now.
func (m *Master) proceed(now time.Time, p *process) {
	if !m.election.Stopped(p.index) {
		return
	}
	m.election.Continue(now, p.index)
	if m.leads(p) {
		m.pausedAt = time.Time{}
		for _, s := range m.streams {
			s.pause(false)
		}
	}
	// A leader that was deposed does not know it yet: its timers go off late.
	for _, s := range p.held {
		if s.beat != nil && now.Sub(s.beatAt) >= m.heartbeat() {
			s.push(item{event: s.beat})
		}
		s.pause(false)
	}
	m.resume(p)
}

// heartbeat is the time between heartbeats on a stream.
func (m *Master) heartbeat() time.Duration {
	if m.cfg.HeartbeatInterval > 0 {
		return m.cfg.HeartbeatInterval
	}
	return 15 * time.Second
}

// nobody owns the core.
const nobody = -1
