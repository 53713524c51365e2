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
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// EventRecord is one event that the master has put into the stream of a framework.
type EventRecord struct {
	Time     time.Time
	Type     string // as "OFFERS"
	StreamID string // FrameworkSnapshot.StreamID of whom it is for
	Event    *scheduler.Event
}

// CallRecord is one call the master has received and could decode.
type CallRecord struct {
	Time        time.Time
	Type        string // as "ACCEPT"
	FrameworkID string // as sent; empty in a first SUBSCRIBE
	StreamID    string // as sent
	Status      int    // HTTP status answered, 200 for an accepted SUBSCRIBE
	Call        *scheduler.Call
	Constraints core.OfferConstraints
}

// callLog keeps the newest records, and counts all.
type callLog struct {
	limit   int
	records []CallRecord
	counts  map[string]int
}

func (l *callLog) add(r CallRecord) {
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	l.counts[r.Type]++
	l.records = append(l.records, r)
	if len(l.records) > 2*l.limit {
		l.records = append([]CallRecord(nil), l.records[len(l.records)-l.limit:]...)
	}
}

// Calls returns the newest call records, oldest first. The calls in them are
// shared and must not be changed.
func (m *Master) Calls() []CallRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.calls.records
	if over := len(r) - m.calls.limit; over > 0 {
		r = r[over:]
	}
	return append([]CallRecord(nil), r...)
}

// Events returns the newest records of events sent, oldest first, as many as
// Config.EventLog. The events in them are shared and must not be changed.
func (m *Master) Events() []EventRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.events
	if over := len(r) - m.cfg.EventLog; over > 0 {
		r = r[over:]
	}
	return append([]EventRecord(nil), r...)
}

// sent records an event; called with the lock held.
func (m *Master) sent(stream string, e *scheduler.Event) {
	if m.cfg.EventLog <= 0 {
		return
	}
	m.events = append(m.events, EventRecord{Time: time.Now(), Type: e.Type.String(), StreamID: stream, Event: e})
	if len(m.events) > 2*m.cfg.EventLog {
		m.events = append([]EventRecord(nil), m.events[len(m.events)-m.cfg.EventLog:]...)
	}
}

// CallCount is how many calls of a type ("ACCEPT") have been received since New,
// whatever they were answered; an empty type counts all.
func (m *Master) CallCount(callType string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if callType != "" {
		return m.calls.counts[callType]
	}
	n := 0
	for _, c := range m.calls.counts {
		n += c
	}
	return n
}

// Tasks lists the tasks in the master's books by framework and id, unreachable
// ones included.
func (m *Master) Tasks() []TaskSnapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Tasks()
}

// OutstandingOffers lists outstanding offers, oldest first.
func (m *Master) OutstandingOffers() []OfferSnapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Offers()
}

// Frameworks lists the frameworks the master knows and has not completed.
func (m *Master) Frameworks() []FrameworkSnapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Frameworks()
}

// Agents lists the emulated machines in the order they were added.
func (m *Master) Agents() []AgentSnapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Agents()
}

// CheckInvariants recomputes the books: no agent over-committed, every resource
// accounted exactly once, nothing offered twice.
func (m *Master) CheckInvariants() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.CheckInvariants()
}
