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

package mesos_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

func TestMasterRestartAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(2 * time.Second)
		i.launch(t, "node-2", "uid.1")
		after(2 * time.Second)
		for round := range 3 {
			m.Stop()
			after(20 * time.Second)
			if got := i.Status(); got.State != mesos.StateBackoff || len(i.cache.offers) != 0 {
				t.Errorf("round %d: status is %+v with %d offers", round, got, len(i.cache.offers))
			}
			if err := i.Reconcile(t.Context()); !errors.Is(err, mesos.ErrNotSubscribed) {
				t.Errorf("a call without a master returned %v", err)
			}
			if err := m.StartAgain(); err != nil {
				t.Fatal(err)
			}
			m.Faults().Unavailable(time.Second)
			after(10 * time.Second)
			if got := i.Status(); got.State != mesos.StateSubscribed {
				t.Fatalf("round %d: status is %+v", round, got)
			}
			i.cache.mu.Lock()
			clear(i.cache.states)
			i.cache.mu.Unlock()
			if err := i.Reconcile(t.Context(), mesos.TaskRef{TaskID: "uid.1", AgentID: agentOf(m, "node-2")}); err != nil {
				t.Fatal(err)
			}
			after(time.Second)
			if got := i.cache.state("uid.1"); got != claims.TaskRunning {
				t.Errorf("round %d: the task is %q", round, got)
			}
		}
		if got := len(i.cache.subscriptions); got != 4 {
			t.Errorf("%d subscriptions, want 4", got)
		}
		i.stop(t)
	})
}

func agentOf(m *mesosmaster.Master, host string) string {
	for _, a := range m.Agents() {
		if a.Hostname == host {
			return a.AgentID
		}
	}
	return ""
}

func TestDisturbancesAtTheEmulator(t *testing.T) {
	tests := []struct {
		name    string
		disturb func(*mesosmaster.Faults) error
		// again tells whether a new subscription is due.
		again bool
	}{
		{name: "unknown event", disturb: func(f *mesosmaster.Faults) error { return f.InjectUnknownEvent("") }},
		{name: "proper end", disturb: func(f *mesosmaster.Faults) error { return f.CutStream("", false) }, again: true},
		{name: "broken connection", disturb: func(f *mesosmaster.Faults) error { return f.CutStream("", true) }, again: true},
		{name: "half-open", disturb: func(f *mesosmaster.Faults) error { return f.FreezeStream("") }, again: true},
		{name: "no heartbeats", disturb: func(f *mesosmaster.Faults) error { f.HoldHeartbeats(true); return nil }, again: true},
		{name: "huge length", disturb: func(f *mesosmaster.Faults) error { return f.InjectBytes("", []byte("99999999999\n")) }, again: true},
		{name: "no record", disturb: func(f *mesosmaster.Faults) error { return f.InjectBytes("", []byte("hello")) }, again: true},
		{name: "no event", disturb: func(f *mesosmaster.Faults) error { return f.InjectRecord("", []byte{0xff}) }, again: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			emulated(t, func(t *testing.T, m *mesosmaster.Master) {
				i := run(t, m, &ids{}, nil)
				after(2 * time.Second)
				i.launch(t, "node-1", "uid.1")
				after(2 * time.Second)
				if err := test.disturb(m.Faults()); err != nil {
					t.Fatal(err)
				}
				after(50 * time.Second)
				m.Faults().HoldHeartbeats(false)
				after(50 * time.Second)
				want := 1
				if test.again {
					want = 2
				}
				if got := len(i.cache.subscriptions); got != want {
					t.Errorf("%d subscriptions, want %d (last ended: %v)", got, want, i.cache.reason)
				}
				if got := i.Status(); got.State != mesos.StateSubscribed {
					t.Errorf("status is %+v", got)
				}
				// Held offers are those of the live subscription: the master agrees.
				after(0)
				if got := len(m.OutstandingOffers()); got != len(i.cache.offers) || got == 0 {
					t.Errorf("the master has %d offers outstanding, we hold %d", got, len(i.cache.offers))
				}
				if got := i.cache.state("uid.1"); got != claims.TaskRunning {
					t.Errorf("the task is %q", got)
				}
				i.stop(t)
			})
		})
	}
}

func TestLargeOffersAtTheEmulator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var agents []mesosmaster.AgentConfig
		for n := range 300 {
			agents = append(agents, mesosmaster.AgentConfig{Hostname: fmt.Sprintf("node-%d", n), Resources: "cpus:4;mem:8192"})
		}
		m := mesosmaster.New(mesosmaster.Config{Agents: agents})
		defer m.Close()
		m.Faults().PadOffers(50_000)
		i := run(t, m, &ids{}, nil)
		after(3 * time.Second)
		if got := len(i.cache.offers); got != 300 {
			t.Errorf("%d offers of a record of 15 MB, want 300", got)
		}
		i.stop(t)
	})
}

func TestAgentLossAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(2 * time.Second)
		i.launch(t, "node-1", "uid.1")
		after(2 * time.Second)
		agent := agentOf(m, "node-1")
		if err := m.PartitionAgent("node-1"); err != nil {
			t.Fatal(err)
		}
		after(2 * time.Minute)
		if got := i.cache.state("uid.1"); got != claims.TaskUnreachable {
			t.Errorf("the task is %s", got)
		}
		if !slices.Contains(i.cache.failed, agent+"/") || len(i.cache.on("node-1")) != 0 {
			t.Errorf("failures %v, offers %v", i.cache.failed, i.cache.on("node-1"))
		}
		if err := m.ReturnAgent("node-1"); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if got := i.cache.state("uid.1"); got != claims.TaskRunning || len(i.cache.on("node-1")) == 0 {
			t.Errorf("after the return the task is %s and offers are %v", got, i.cache.on("node-1"))
		}
		i.stop(t)
	})
}
