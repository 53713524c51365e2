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

package mesos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// slowMaster answers each call after a second, and notes what it had at once.
type slowMaster struct {
	mu      sync.Mutex
	agents  map[string]int
	ordered int
	most    int
	tasks   map[string][]string
	order   []string
	wrong   []string
}

func (m *slowMaster) answer(c seenCall) (int, string) {
	agent, task := "", ""
	if c.Type == scheduler.Call_ACCEPT {
		info := c.Accept.Operations[0].Launch.TaskInfos[0]
		agent, task = info.AgentID.Value, info.TaskID.Value
	}
	m.mu.Lock()
	if agent == "" {
		m.ordered++
		m.order = append(m.order, c.Type.String())
	} else {
		m.agents[agent]++
		m.tasks[agent] = append(m.tasks[agent], task)
	}
	if m.ordered > 1 || m.agents[agent] > 1 {
		m.wrong = append(m.wrong, fmt.Sprintf("%s %s%s overtakes", c.Type, agent, task))
	}
	m.most = max(m.most, len(m.agents))
	m.mu.Unlock()
	time.Sleep(time.Second)
	m.mu.Lock()
	defer m.mu.Unlock()
	if agent == "" {
		m.ordered--
	} else if m.agents[agent]--; m.agents[agent] == 0 {
		delete(m.agents, agent)
	}
	return 0, ""
}

// TestSlowMaster: many ACCEPTs are under way, never two of one agent, those of an
// agent in their order; lanes are used evenly, and the ordered calls do not wait for
// them.
func TestSlowMaster(t *testing.T) {
	const agents, rounds = 2*acceptLanes + 3, 5
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, _ := live(t, n, func(_ *rig, c *Config) { c.CallTimeout = time.Hour })
		slow := &slowMaster{agents: map[string]int{}, tasks: map[string][]string{}}
		m.onCall = slow.answer
		began := time.Now()
		var accepts, others sync.WaitGroup
		do := func(of *sync.WaitGroup, f func(context.Context) error) {
			of.Go(func() {
				if err := f(t.Context()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		var want []string
		for round := range rounds {
			want = append(want, fmt.Sprint("t", round))
			for agent := range agents {
				launch := launchOf(fmt.Sprint("S", agent), fmt.Sprint("t", round))
				do(&accepts, func(ctx context.Context) error { return r.session.Accept(ctx, launch) })
			}
		}
		do(&others, func(ctx context.Context) error { return r.session.Decline(ctx, []string{"O"}, 0) })
		do(&others, func(ctx context.Context) error { return r.session.Suppress(ctx, "k8s") })
		do(&others, func(ctx context.Context) error { return r.session.UpdateRoles(ctx, AskRoles([]string{"k8s"}, nil)) })
		do(&others, func(ctx context.Context) error { return r.session.Revive(ctx, "k8s") })
		others.Wait()
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("four ordered calls took %v behind the ACCEPTs", took)
		}
		accepts.Wait()
		// Three agents at most share a lane.
		if took := time.Since(began); took != 3*rounds*time.Second {
			t.Errorf("all took %v, want %d s", took, 3*rounds)
		}
		if slow.most != acceptLanes || len(slow.wrong) > 0 {
			t.Errorf("%d ACCEPTs at once, want %d; %q", slow.most, acceptLanes, slow.wrong)
		}
		for agent, got := range slow.tasks {
			if !slices.Equal(got, want) {
				t.Errorf("agent %s had %q", agent, got)
			}
		}
		if want := []string{"DECLINE", "SUPPRESS", "UPDATE_FRAMEWORK", "REVIVE"}; len(slow.tasks) != agents || !slices.Equal(slow.order, want) {
			t.Errorf("%d agents, ordered calls %q", len(slow.tasks), slow.order)
		}
		r.stop()
	})
}
