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

package roles

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// model is the random part of a run: who uses which role, and since when a good role
// that somebody wants has not been in the master's set.
type model struct {
	*world
	r     *rand.Rand
	roles []string
	wants map[string]int
	// lastUse is when the last user of a role left.
	lastUse map[string]time.Time
	missing map[string]time.Time
	longest time.Duration
	// lossy is whether answers get lost.
	lossy bool
}

func (m *model) event() {
	role := m.roles[m.r.IntN(len(m.roles))]
	switch n := m.r.IntN(100); {
	case n < 50:
		m.use(role)
	case n < 88:
		m.leave(role)
	case n < 93:
		for range m.r.IntN(20) {
			m.use(m.roles[m.r.IntN(len(m.roles))])
		}
	case n < 95:
		m.latency = time.Duration(m.r.IntN(50)) * time.Millisecond
	case n < 97:
		// What is bad becomes good, and its namespace is edited.
		delete(m.bad, role)
		m.s.Retry(role)
	case n < 98:
		if m.lossy {
			m.lost = 1
		}
	default:
		m.disconnect()
		m.now = m.now.Add(time.Duration(m.r.IntN(5000)) * time.Millisecond)
		m.connect()
		m.missing = map[string]time.Time{}
	}
}

func (m *model) use(role string) {
	m.wants[role]++
	m.want(role)
}

func (m *model) leave(role string) {
	if m.wants[role] > 0 {
		if m.wants[role]--; m.wants[role] == 0 {
			m.lastUse[role] = m.now
		}
	}
	m.unwant(role)
}

// watch notes how long good roles that are wanted have been missing.
func (m *model) watch() {
	for _, role := range m.roles {
		if m.wants[role] == 0 || m.bad[role] || slices.Contains(m.set, role) {
			delete(m.missing, role)
			continue
		}
		since, ok := m.missing[role]
		if !ok {
			m.missing[role] = m.now
			continue
		}
		// One that was refused once waits for its next try.
		if m.s.State(role) == Refused {
			m.missing[role] = m.now
			continue
		}
		m.longest = max(m.longest, m.now.Sub(since))
	}
}

// checkCalls: never two accepted changes within a period.
func (m *model) checkCalls() {
	var last time.Time
	for _, c := range m.calls {
		if c.refused {
			continue
		}
		if !last.IsZero() && c.at.Sub(last) < period {
			m.t.Fatalf("accepted changes %v apart", c.at.Sub(last))
		}
		last = c.at
	}
}

// checkRemovals: nothing is removed before its time.
func (m *model) checkRemovals() {
	if m.pending == nil {
		return
	}
	for _, role := range m.pending.Removed {
		if since := m.lastUse[role]; m.connected && m.now.Sub(since) < keep && !m.vague {
			m.t.Fatalf("%s removed %v after its last use", role, m.now.Sub(since))
		}
	}
}

// TestModel: random events against a master that refuses some roles.
func TestModel(t *testing.T) {
	const seeds = 60
	for seed := range uint64(seeds) {
		for _, naming := range []bool{false, true} {
			r := rand.New(rand.NewPCG(seed, 1))
			roles := names("ns", 10+r.IntN(60))
			bad := 0
			if seed%4 != 0 {
				bad = r.IntN(len(roles) / 5)
			}
			m := &model{
				world: newWorld(t, roles[:bad]...), r: r, roles: roles,
				wants: map[string]int{}, lastUse: map[string]time.Time{}, missing: map[string]time.Time{},
			}
			m.naming, m.lossy = naming, seed%2 == 1
			m.connect()
			t.Run(fmt.Sprintf("seed=%d,naming=%v", seed, naming), func(t *testing.T) {
				m.t = t
				m.rounds(1500)
				// The period after the change that just went, and the search for
				// each culprit that the master does not name.
				limit := period + time.Second
				if m.lossy {
					limit += 2 * period
				}
				if !naming {
					limit += time.Duration(bad*(1+bits.Len(uint(len(roles))))) * period
				}
				t.Logf("%d bad of %d roles, %d calls, %d accepted: a good one waited %v at most", bad, len(roles), len(m.calls), m.accepted(), m.longest)
				if m.longest > limit {
					t.Errorf("a good role waited %v, of at most %v", m.longest, limit)
				}
				m.settle()
			})
		}
	}
}

func (m *model) rounds(n int) {
	for range n {
		m.event()
		m.checkRemovals()
		pause := time.Duration(m.r.ExpFloat64() * float64(time.Second))
		for end := m.now.Add(pause); m.now.Before(end); {
			m.run(min(end.Sub(m.now), 500*time.Millisecond))
			m.checkRemovals()
			m.watch()
		}
	}
	m.checkCalls()
}

// settle: in the end, the master's set is what is wanted and good.
func (m *model) settle() {
	m.lost = 0
	m.run(3 * time.Hour)
	m.checkCalls()
	want := []string{own}
	for _, role := range m.roles {
		state := m.s.State(role)
		switch {
		case m.wants[role] == 0:
			if state != Unsubscribed {
				m.t.Errorf("%s is not wanted but %v", role, state)
			}
		case m.bad[role]:
			if state != Refused || m.s.Problem(role) == "" {
				m.t.Errorf("%s is bad but %v", role, state)
			}
		default:
			want = append(want, role)
			if state != Subscribed || m.s.Problem(role) != "" {
				m.t.Errorf("%s is good but %v: %s", role, state, m.s.Problem(role))
			}
		}
	}
	slices.Sort(want)
	if !slices.Equal(m.set, want) {
		m.t.Errorf("the master has %q, want %q", m.set, want)
	}
	for role := range m.s.entries {
		if role != own && m.wants[role] == 0 {
			m.t.Errorf("%s is remembered", role)
		}
	}
	if len(m.s.search.groups) > 0 || len(m.s.fresh) > 0 || len(m.s.unused) > 0 {
		m.t.Errorf("not at rest: %v, %v, %v", m.s.search.groups, m.s.fresh, m.s.unused)
	}
}
