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
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// schedule posts a maintenance schedule as an operator does.
func schedule(t *testing.T, m *mesosmaster.Master, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://mesos-master.invalid:5050/maintenance/schedule", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := m.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the schedule was answered %d", resp.StatusCode)
	}
}

// agent finds an agent in the master's list.
func (i *instance) agent(t *testing.T, host string) mesos.Agent {
	t.Helper()
	list, err := i.Agents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(list, func(a mesos.Agent) bool { return a.Hostname == host })
	if n < 0 {
		t.Fatalf("%s is not among %+v", host, list)
	}
	return list[n]
}

func TestMaintenanceAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(3 * time.Second)
		one := i.agent(t, "node-1")
		start := time.Now().Add(time.Hour)
		schedule(t, m, fmt.Sprintf(`{"windows":[{"machine_ids":[{"hostname":"node-1","ip":%q}],"unavailability":{"start":{"nanoseconds":%d},"duration":{"nanoseconds":600000000000}}}]}`,
			one.IP, start.UnixNano()))
		after(time.Second)
		window := offers.Unavailability{Start: start.Round(0), Duration: 10 * time.Minute}
		held := i.cache.on("node-1")
		if len(held) != 1 || held[0].Unavailability == nil || !held[0].Unavailability.Start.Equal(start) || held[0].Unavailability.Duration != window.Duration {
			t.Errorf("offers of node-1 are %+v", held)
		}
		if held := i.cache.on("node-2"); len(held) != 1 || held[0].Unavailability != nil {
			t.Errorf("offers of node-2 are %+v", held)
		}
		asked := slices.Collect(maps.Values(i.cache.inverse))
		if len(asked) != 1 || asked[0].AgentID != one.ID || !asked[0].Unavailability.Start.Equal(start) || asked[0].Unavailability.Duration != window.Duration {
			t.Fatalf("inverse offers are %+v", asked)
		}
		list, err := i.Maintenance(t.Context())
		if want := []mesos.MaintenanceWindow{{Machines: []mesos.Machine{{Hostname: "node-1", IP: one.IP}}, Unavailability: window}}; err != nil || !cmp.Equal(list, want) {
			t.Errorf("the schedule is %+v, %v", list, err)
		}
		// An answer with a long refusal holds, a change of the window asks anew.
		if err := i.AnswerInverse(t.Context(), true, []string{asked[0].ID}, time.Hour); err != nil {
			t.Fatal(err)
		}
		delete(i.cache.inverse, asked[0].ID)
		after(time.Minute)
		if len(i.cache.inverse) != 0 {
			t.Errorf("asked again: %+v", i.cache.inverse)
		}
		schedule(t, m, `{"windows":[]}`)
		after(time.Second)
		if held := i.cache.on("node-1"); len(held) != 1 || held[0].Unavailability != nil || len(i.cache.inverse) != 0 {
			t.Errorf("after the schedule was emptied: offers %+v, inverse %+v", held, i.cache.inverse)
		}
		if list, err := i.Maintenance(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("the empty schedule is %+v, %v", list, err)
		}
		i.stop(t)
	})
}

func TestDrainAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		i.cache.hold = true
		after(2 * time.Second)
		i.launch(t, "node-1", "uid.1")
		after(2 * time.Second)
		one, ctx := i.agent(t, "node-1"), t.Context()
		if one.Deactivated || one.Drain != nil || !one.Active || one.IP == "" {
			t.Errorf("before: %+v", one)
		}
		if err := i.DrainAgent(ctx, one.ID, 2500*time.Millisecond, false); err != nil {
			t.Fatal(err)
		}
		after(10 * time.Second)
		if got := i.cache.state("uid.1"); got != claims.TaskKilled || len(i.cache.on("node-1")) != 0 {
			t.Fatalf("the task is %s, offers %v", got, i.cache.on("node-1"))
		}
		// Longer than the agent waits to repeat the update.
		after(time.Minute)
		d := i.agent(t, "node-1")
		if d.Active || !d.Deactivated || d.Drain == nil || d.Drain.State != mesos.DrainStateDraining || d.Drain.MaxGrace == nil || *d.Drain.MaxGrace != 2500*time.Millisecond ||
			d.Drain.MarkGone || d.Drain.Started.IsZero() {
			t.Errorf("with the acknowledgement held: %+v %+v", d, d.Drain)
		}
		var refused *mesos.CallError
		if err := i.ReactivateAgent(ctx, one.ID); !errors.As(err, &refused) || refused.Status != 400 || refused.Body == "" {
			t.Errorf("reactivated while it drains: %v", err)
		}
		i.ReleaseAck("uid.1")
		after(time.Second)
		if d := i.agent(t, "node-1"); d.Drain == nil || d.Drain.State != mesos.DrainStateDrained {
			t.Errorf("with the acknowledgement released: %+v", d)
		}
		if err := i.ReactivateAgent(ctx, one.ID); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		if d := i.agent(t, "node-1"); !d.Active || d.Deactivated || d.Drain != nil || len(i.cache.on("node-1")) == 0 {
			t.Errorf("reactivated: %+v, offers %v", d, i.cache.on("node-1"))
		}
		i.stop(t)
	})
}

func TestDeactivationAtTheEmulator(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(2 * time.Second)
		i.launch(t, "node-1", "uid.1")
		after(2 * time.Second)
		one, ctx := i.agent(t, "node-1"), t.Context()
		if err := i.DeactivateAgent(ctx, one.ID); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if d := i.agent(t, "node-1"); d.Active || !d.Deactivated || d.Drain != nil || i.cache.state("uid.1") != claims.TaskRunning || len(i.cache.on("node-1")) != 0 {
			t.Errorf("deactivated: %+v, the task is %s, offers %v", d, i.cache.state("uid.1"), i.cache.on("node-1"))
		}
		if err := i.ReactivateAgent(ctx, one.ID); err != nil {
			t.Fatal(err)
		}
		after(3 * time.Second)
		if len(i.cache.on("node-1")) == 0 {
			t.Error("no offers after the reactivation")
		}
		var call *mesos.CallError
		for what, err := range map[string]error{
			"drain": i.DrainAgent(ctx, "nope", 0, false), "deactivate": i.DeactivateAgent(ctx, "nope"), "reactivate": i.ReactivateAgent(ctx, "nope"),
		} {
			if !errors.As(err, &call) || call.Status != 400 || call.OutcomeUnknown() {
				t.Errorf("%s of an unknown agent: %v", what, err)
			}
		}
		if err := i.DrainAgent(ctx, "", 0, false); !errors.As(err, &call) || call.Sent {
			t.Errorf("drain of no agent: %v", err)
		}
		if i.Status().State != mesos.StateSubscribed {
			t.Errorf("status is %+v", i.Status())
		}
		i.stop(t)
	})
}

// TestRecoveredAgents: after its start a master lists the agents that it waits for.
func TestRecoveredAgents(t *testing.T) {
	emulated(t, func(t *testing.T, m *mesosmaster.Master) {
		i := run(t, m, &ids{}, nil)
		after(2 * time.Second)
		one := i.agent(t, "node-1")
		if err := m.CrashHost("node-1"); err != nil {
			t.Fatal(err)
		}
		if err := m.Restart(); err != nil {
			t.Fatal(err)
		}
		after(30 * time.Second)
		if back := i.agent(t, "node-1"); back.ID != one.ID || !back.Recovered || back.Active || back.Attributes["rack"] != "r1" {
			t.Errorf("the missing agent is %+v", back)
		}
		if other := i.agent(t, "node-2"); other.Recovered || !other.Active {
			t.Errorf("the other agent is %+v", other)
		}
		i.stop(t)
	})
}
