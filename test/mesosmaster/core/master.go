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

// Package core is the emulated Mesos master with its agents as a pure state
// machine: calls, agent events and the passing of time go in, events for the
// subscribed streams come out. It does no I/O, starts no goroutine and reads no
// clock; every entry point takes the time. Nothing here is safe for concurrent
// use: the shell around it holds one lock.
package core

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	executorapi "github.com/mesos/mesos-go/api/v1/lib/executor"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
)

// Output is one thing for the shell to do on one subscribed stream.
type Output struct {
	// Stream is the Mesos-Stream-Id it is for.
	Stream string
	// Event is the event to write, nil if the stream is only to be closed. It is
	// never changed after it was put out.
	Event *scheduler.Event
	// Operator is the event to write to an operator's stream instead.
	Operator *OperatorEvent
	// Executor is the event to write to an executor's stream instead.
	Executor *executorapi.Event
	// Start is an executor process to start, Kill the container of one to kill, on
	// the machine of Host; neither concerns a stream.
	Start      *host.Process
	Kill, Host string
	// Close ends the stream after what was written before: properly, or, if
	// Abort is set, by breaking the connection.
	Close, Abort bool
}

// Master is the state of the emulated master and of its agents.
type Master struct {
	cfg   Config
	rng   *rand.Rand
	now   time.Time
	id    string
	begun time.Time
	info  *mesos.MasterInfo

	timers timers
	epoch  uint64 // counts master fail-overs; timers of an older one are void
	out    []Output

	frameworks   map[string]*framework
	byStream     map[string]*framework
	watchers     []string // operator streams, oldest first
	completed    []*framework
	agents       map[string]*agent
	order        []*agent
	registry     *registry
	recovered    map[string]*recoveredAgent
	hosts        map[string]*host.Agent
	hostOrder    []*host.Agent
	hostSettings host.Settings
	offers       map[string]*offer

	frameworkSeq, offerSeq, agentSeq int

	alloc *allocator.Allocator
	down  bool // between Down and Up
	stats stats
	fault faults

	// Crashed is set when a call has aborted the master as it aborts a real one.
	Crashed string
}

// New returns a master elected and recovered at now, with no agents.
func New(cfg Config, now time.Time) *Master {
	cfg.defaults()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(cfg.Seed))
	m := &Master{cfg: cfg, rng: rand.New(rand.NewChaCha8(seed)), hosts: map[string]*host.Agent{}, registry: newRegistry(&cfg)} //nolint:gosec // ids of an emulator, the same for the same seed
	m.hostSettings = cfg.agentSettings()
	m.fault.init()
	m.elect(now)
	return m
}

// elect gives the master a fresh life: new id, empty memory.
func (m *Master) elect(now time.Time) {
	m.now, m.begun = now, now
	m.epoch++
	m.timers.forget()
	m.id = m.newUUID().String()
	m.frameworks = map[string]*framework{}
	m.byStream = map[string]*framework{}
	m.watchers = nil
	m.completed = nil
	m.agents = map[string]*agent{}
	m.order = nil
	m.recovered = map[string]*recoveredAgent{}
	m.offers = map[string]*offer{}
	m.frameworkSeq, m.offerSeq, m.agentSeq = 0, 0, 0
	m.alloc = m.newAllocator()
	m.restoreQuotas()
	m.stats.init()
	m.Crashed = ""
	m.info = m.masterInfo()
}

// ID is the master's id, new after every fail-over.
func (m *Master) ID() string { return m.id }

// Begun is when the master was elected.
func (m *Master) Begun() time.Time { return m.begun }

// SetAddress tells the master where it listens.
func (m *Master) SetAddress(hostname, ip string, port int) {
	m.cfg.Hostname, m.cfg.IP, m.cfg.Port = hostname, ip, port
	m.info = m.masterInfo()
}

// Become makes the master known under an id and an address: those of a process
// that was elected.
func (m *Master) Become(id, hostname, ip string, port int) {
	m.id = id
	m.SetAddress(hostname, ip, port)
}

// Info is the MasterInfo told to frameworks.
func (m *Master) Info() *mesos.MasterInfo { return m.info }

// Drain returns the outputs since the last call.
func (m *Master) Drain() []Output {
	out := m.out
	m.out = nil
	return out
}

// Next is when Advance wants to be called again; false if nothing is due ever.
func (m *Master) Next() (time.Time, bool) {
	next, ok := m.timers.next()
	if due, wants := m.alloc.Due(); wants && (!ok || due.Before(next)) {
		return due, true
	}
	return next, ok
}

// Advance lets the time pass up to now.
func (m *Master) Advance(now time.Time) {
	for {
		at, timed := m.timers.next()
		due, allocates := m.alloc.Due()
		allocates = allocates && (!timed || due.Before(at))
		if allocates {
			at = due
		}
		if !allocates && !timed || at.After(now) {
			break
		}
		if at.After(m.now) {
			m.now = at
		}
		if allocates {
			m.allocate()
		} else {
			m.timers.pop(at).do()
		}
	}
	if now.After(m.now) {
		m.now = now
	}
}

// enter begins an event at now: what was due before it happens first.
func (m *Master) enter(now time.Time) {
	m.Advance(now)
}

// after runs do later, unless the master fails over before.
func (m *Master) after(d time.Duration, do func()) {
	epoch := m.epoch
	m.timers.add(m.now.Add(d), func() {
		if m.epoch == epoch {
			do()
		}
	}).mortal = true
}

// afterAlways runs do later whatever happens to the master: for agents.
func (m *Master) afterAlways(d time.Duration, do func()) *timer {
	return m.timers.add(m.now.Add(d), do)
}

// newUUID makes a random (version 4) uuid from the seeded source.
func (m *Master) newUUID() uuid.UUID {
	var u uuid.UUID
	binary.LittleEndian.PutUint64(u[:8], m.rng.Uint64())
	binary.LittleEndian.PutUint64(u[8:], m.rng.Uint64())
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// NewStreamID makes a Mesos-Stream-Id.
func (m *Master) NewStreamID() string { return m.newUUID().String() }

// timestamp is the time as seconds since 1970, as in TaskStatus.timestamp.
func (m *Master) timestamp() float64 {
	return float64(m.now.UnixNano()/1000) / 1e6
}

func (m *Master) newFrameworkID() string {
	id := fmt.Sprintf("%s-%04d", m.id, m.frameworkSeq)
	m.frameworkSeq++
	return id
}

// emit sends an event to a framework; without a connection it is lost, as with
// a real master.
func (m *Master) emit(f *framework, e *scheduler.Event) {
	if f.stream == "" {
		return
	}
	f.stats.event(e.Type)
	m.out = append(m.out, Output{Stream: f.stream, Event: e})
}

func (m *Master) masterInfo() *mesos.MasterInfo {
	return m.InfoOf(m.id, m.cfg.Hostname, m.cfg.IP, m.cfg.Port)
}

// InfoOf is what a master process of an id and an address says of itself.
func (m *Master) InfoOf(id, hostname, ip string, at int) *mesos.MasterInfo {
	port := uint32(at)
	pid := fmt.Sprintf("master@%s:%d", ip, at)
	version := m.cfg.Version
	info := &mesos.MasterInfo{
		ID: id, IP: networkOrder(ip), Port: &port, PID: &pid, Hostname: &hostname, Version: &version,
		Address: &mesos.Address{Hostname: &hostname, IP: &ip, Port: int32(at)},
		Capabilities: []mesos.MasterInfo_Capability{
			{Type: mesos.MasterInfo_Capability_AGENT_UPDATE},
			{Type: mesos.MasterInfo_Capability_AGENT_DRAINING},
			{Type: masterCapabilityQuotaV2},
		},
	}
	if m.cfg.Region != "" {
		info.Domain = domainOf(m.cfg.Region, m.cfg.Zone)
	}
	return info
}

// Version is the Mesos version the emulator follows.
const Version = "1.12.0"

// masterCapabilityQuotaV2 is MasterInfo.Capability.QUOTA_V2, newer than the
// generated types (Mesos include/mesos/v1/mesos.proto).
const masterCapabilityQuotaV2 mesos.MasterInfo_Capability_Type = 3

func domainOf(region, zone string) *mesos.DomainInfo {
	return &mesos.DomainInfo{FaultDomain: &mesos.DomainInfo_FaultDomain{
		Region: mesos.DomainInfo_FaultDomain_RegionInfo{Name: region},
		Zone:   mesos.DomainInfo_FaultDomain_ZoneInfo{Name: zone},
	}}
}

// networkOrder packs an IPv4 address as MasterInfo.ip has it.
func networkOrder(ip string) uint32 {
	var a, b, c, d uint32
	if _, err := fmt.Sscanf(ip, "%d.%d.%d.%d", &a, &b, &c, &d); err != nil {
		return 0
	}
	return a | b<<8 | c<<16 | d<<24
}
