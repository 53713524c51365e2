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

package agent

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// machine is an agent under test: its world, master and executors in one, which
// write down what reaches them.
type machine struct {
	t     testing.TB
	a     *Agent
	now   time.Time
	rng   *rand.Rand
	queue []*alarm
	seq   int

	log      []string // in the order of arrival
	statuses []mesos.TaskStatus
	started  []Process
}

type alarm struct {
	at   time.Time
	seq  int
	do   func()
	void bool
}

// Stop implements [Timer].
func (x *alarm) Stop() { x.void = true }

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newMachine(t testing.TB, set Settings, cfg Config) *machine {
	t.Helper()
	m := &machine{t: t, now: began, rng: rand.New(rand.NewPCG(1, 2))}
	if cfg.Hostname == "" {
		cfg.Hostname = "node-1"
	}
	if cfg.IP == "" {
		cfg.IP, cfg.Port = "10.0.0.1", 5051
	}
	if cfg.Resources == nil {
		cfg.Resources = parse(t, "cpus:16;mem:32768;ports:[31000-32000]")
	}
	defaults := Settings{
		RegisterDelay: 2 * time.Second, StartDelay: time.Second, ExecutorRegistrationTimeout: time.Minute,
		ExecutorReregistrationTimeout: 2 * time.Second, ExecutorShutdownGracePeriod: 5 * time.Second,
		UpdateRetryMin: 10 * time.Second, UpdateRetryMax: 10 * time.Minute,
		LaunchDelay: set.LaunchDelay, KillDelay: set.KillDelay, ExecutorIdleTimeout: set.ExecutorIdleTimeout,
		Users: set.Users, OwnExecutors: set.OwnExecutors, Latency: set.Latency,
	}
	m.a = New(cfg, &defaults, m, m, m)
	m.a.SetID("S0")
	m.a.SetRegistered(true)
	return m
}

func parse(t testing.TB, text string) resource.Resources {
	t.Helper()
	rs, err := resource.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// Now implements [World].
func (m *machine) Now() time.Time { return m.now }

// After implements [World].
func (m *machine) After(d time.Duration, do func()) Timer {
	m.seq++
	x := &alarm{at: m.now.Add(d), seq: m.seq, do: do}
	m.queue = append(m.queue, x)
	return x
}

// NewUUID implements [World].
func (m *machine) NewUUID() uuid.UUID {
	var u uuid.UUID
	binary.LittleEndian.PutUint64(u[:8], m.rng.Uint64())
	binary.LittleEndian.PutUint64(u[8:], m.rng.Uint64())
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

// IntN implements [World].
func (m *machine) IntN(n int) int { return m.rng.IntN(n) }

// pass lets time pass; pass(0) lets happen what is due.
func (m *machine) pass(d time.Duration) {
	end := m.now.Add(d)
	for {
		var next *alarm
		for _, x := range m.queue {
			if !x.void && !x.at.After(end) && (next == nil || x.at.Before(next.at) || x.at.Equal(next.at) && x.seq < next.seq) {
				next = x
			}
		}
		if next == nil {
			break
		}
		if next.at.After(m.now) {
			m.now = next.at
		}
		next.void = true
		next.do()
	}
	m.queue = slices.DeleteFunc(m.queue, func(x *alarm) bool { return x.void })
	m.now = end
}

func (m *machine) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// take empties the log.
func (m *machine) take() []string {
	m.pass(0)
	log := m.log
	m.log = nil
	return log
}

// expect compares the log with what must be in it, and empties it.
func (m *machine) expect(want ...string) {
	m.t.Helper()
	if got := m.take(); !slices.Equal(got, want) {
		m.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// Register implements [Master].
func (m *machine) Register(a *Agent) {
	m.note("register")
	a.SetRegistered(true)
}

// StatusUpdate implements [Master].
func (m *machine) StatusUpdate(_ *Agent, u Update) {
	m.note("%s", brief(u.Status))
	m.statuses = append(m.statuses, u.Status)
}

// brief is a status in one line.
func brief(st mesos.TaskStatus) string {
	out := st.TaskID.Value + " " + strings.TrimPrefix(st.GetState().String(), "TASK_")
	if st.Reason != nil {
		out += " " + strings.TrimPrefix(st.Reason.String(), "REASON_")
	}
	out += " " + strings.TrimPrefix(st.GetSource().String(), "SOURCE_")
	if st.Message != nil {
		out += fmt.Sprintf(" %q", *st.Message)
	}
	return out
}

// ExitedExecutor implements [Master].
func (m *machine) ExitedExecutor(_ *Agent, _, executorID string, status int32) {
	m.note("exited %s %d", executorID, status)
}

// ExecutorToFramework implements [Master].
func (m *machine) ExecutorToFramework(_ *Agent, _, executorID string, data []byte) {
	m.note("message of %s %q", executorID, data)
}

// OperationStatusUpdate implements [Master].
func (m *machine) OperationStatusUpdate(_ *Agent, o *Operation) { m.note("operation %s", o.ID()) }

// Oversubscribed implements [Master].
func (m *machine) Oversubscribed(_ *Agent, revocable resource.Resources) {
	m.note("revocable %s", revocable)
}

// StartProcess implements [Executors].
func (m *machine) StartProcess(_ *Agent, p Process) {
	m.note("start %s", p.ExecutorID)
	m.started = append(m.started, p)
}

// KillProcess implements [Executors].
func (m *machine) KillProcess(*Agent, string) { m.note("kill process") }

// ExecutorEvent implements [Executors].
func (m *machine) ExecutorEvent(stream string, e *executor.Event) {
	what := ""
	switch {
	case e.Launch != nil:
		what = " " + e.Launch.Task.TaskID.Value
	case e.LaunchGroup != nil:
		for i := range e.LaunchGroup.TaskGroup.Tasks {
			what += " " + e.LaunchGroup.TaskGroup.Tasks[i].TaskID.Value
		}
	case e.Kill != nil:
		what = fmt.Sprint(" ", e.Kill.TaskID.Value, " ", time.Duration(e.Kill.GetKillPolicy().GetGracePeriod().GetNanoseconds()))
	case e.Acknowledged != nil:
		what = " " + e.Acknowledged.TaskID.Value
	case e.Message != nil:
		what = fmt.Sprintf(" %q", e.Message.Data)
	}
	name := e.Type.String()
	if e.Type == eventHeartbeat {
		name = "HEARTBEAT"
	}
	m.note("%s: %s%s", stream, name, what)
}

// CloseExecutor implements [Executors].
func (m *machine) CloseExecutor(stream string) { m.note("%s: closed", stream) }

// aware is a framework with all capabilities that matter to agents.
func aware(id string) *mesos.FrameworkInfo {
	yes := true
	return &mesos.FrameworkInfo{
		User: "root", Name: "aware", ID: &mesos.FrameworkID{Value: id}, Checkpoint: &yes,
		Capabilities: []mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE}, {Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE},
		},
	}
}

// unaware is a framework without any.
func unaware(id string) *mesos.FrameworkInfo {
	f := aware(id)
	f.Capabilities = nil
	return f
}

// command is a command task.
func command(f *mesos.FrameworkInfo, id, line string) *Launch {
	return &Launch{
		Framework: f, Role: "r",
		Task: &mesos.TaskInfo{Name: id, TaskID: mesos.TaskID{Value: id}, Command: &mesos.CommandInfo{Value: &line}},
	}
}

// custom is a task of a custom executor.
func custom(f *mesos.FrameworkInfo, id, executorID, line string) *Launch {
	l := command(f, id, line)
	l.Executor = &mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: executorID}, FrameworkID: f.ID, Command: l.Task.Command}
	l.Task.Executor, l.Task.Command, l.NewExecutor = l.Executor, nil, true
	return l
}

// acknowledge acknowledges every status that came, until none comes any more.
func (m *machine) acknowledge(fw string) {
	m.pass(0)
	for len(m.statuses) > 0 {
		list := m.statuses
		m.statuses = nil
		for _, st := range list {
			m.a.Acknowledge(fw, st.TaskID.Value, st.UUID)
		}
		m.pass(0)
	}
}
