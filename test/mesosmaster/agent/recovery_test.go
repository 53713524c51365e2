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
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// A restart with executors that live: nothing happens to their tasks (20).
func TestRestart(t *testing.T) {
	m := own(t, aware("f"), "a")
	m.a.Run(custom(aware("f"), "silent", "x", "./my-executor"))
	m.a.Run(custom(aware("f"), "lost", "x", "./my-executor"))
	m.take()
	m.a.Stop()
	m.expect("x: closed")
	m.a.Start()
	if r := m.call(m.statusOf("a", mesos.TASK_RUNNING)); r != (ExecutorResponse{503, "Agent has not finished recovery"}) {
		t.Errorf("got %v", r)
	}
	m.call(subscribe("silent"))
	m.expect("x: SUBSCRIBED")
	m.pass(3*time.Second - 1)
	m.expect()
	m.pass(1)
	m.expect("register")
	m.a.ResendUpdates()
	m.expect(`lost DROPPED AGENT_RESTARTED AGENT "Task launched during agent restart"`)
	if state, uuid := m.a.Task("f", "a").LastSent(); state != nil || uuid != nil {
		t.Error("what was sent is only in the memory of the process that ended")
	}
	if m.a.Task("f", "silent").State() != mesos.TASK_STAGING {
		t.Error("a task the executor knows stays as it was")
	}
}

// Executors that do not come back are killed (24), with built-in ones and others.
func TestReregistrationTimeout(t *testing.T) {
	for _, c := range []struct {
		f    *mesos.FrameworkInfo
		want string
	}{{aware("f"), "GONE"}, {unaware("f"), "LOST"}} {
		m := own(t, c.f, "a")
		m.a.Run(command(c.f, "stopped", "sleep 1000"))
		m.a.Run(command(c.f, "free", "sleep 1000"))
		m.acknowledge("f")
		if !m.a.FreezeExecutor("stopped", true) {
			t.Fatal("no such executor")
		}
		m.take()
		m.a.Stop()
		m.a.Start()
		m.pass(10 * time.Second)
		late := ` EXECUTOR_REREGISTRATION_TIMEOUT AGENT "Executor did not reregister within 2secs"`
		m.expect("x: closed", "kill process", "register", "stopped "+c.want+late, "exited x 9", "a "+c.want+late)
		if st := m.a.Task("f", "free"); st == nil || st.Ended() {
			t.Error("the neighbour must live on")
		}
	}
}

// What ends while nobody listens is found dead, and the agent waits all the same.
func TestDeadDuringRestart(t *testing.T) {
	m := own(t, aware("f"), "a")
	m.a.Run(command(aware("f"), "done", "sleep 1"))
	m.a.Run(command(aware("f"), "lives", "sleep 1000"))
	m.acknowledge("f")
	m.take()
	m.a.Stop()
	m.pass(2 * time.Second)
	m.a.ExitExecutor("x", 9)
	m.a.Start()
	m.pass(3 * time.Second)
	m.expect("x: closed", "register")
	m.a.ResendUpdates()
	m.expect(`a FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`, `done FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`)

	// The machine itself dies.
	m = own(t, aware("f"), "a")
	m.a.Crash()
	m.a.Start()
	m.pass(3 * time.Second)
	m.a.ResendUpdates()
	m.expect("x: closed", "register", `a FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`)
	if m.a.Alive() != 0 || len(m.a.Executors()) != 0 {
		t.Error("nothing lives on a machine that was down")
	}
}

// A stand-in for a custom executor tells after the restart what it could not
// tell before; a task that was not delivered is lost.
func TestStandInAfterRestart(t *testing.T) {
	m := newMachine(t, Settings{}, Config{})
	m.a.Run(custom(aware("f"), "a", "x", "./my-executor"))
	m.acknowledge("f")
	m.expect("a RUNNING EXECUTOR")
	m.a.Stop()
	m.a.End(m.a.Task("f", "a"), 0)
	m.a.Start()
	m.pass(5 * time.Second)
	m.a.ResendUpdates()
	m.expect("register", `a FINISHED EXECUTOR "Command exited with status 0"`)

	m = newMachine(t, Settings{LaunchDelay: time.Minute / 2}, Config{})
	m.a.Run(command(unaware("f"), "b", "sleep 1"))
	m.a.Stop()
	m.a.Start()
	m.pass(5 * time.Second)
	m.a.ResendUpdates()
	m.expect("register", `b LOST AGENT_RESTARTED AGENT "Task launched during agent restart"`)
}

// Without checkpointing everything ends with the agent process, which is back
// sooner for it.
func TestRestartWithoutCheckpoint(t *testing.T) {
	f, no := aware("f"), false
	f.Checkpoint = &no
	m := newMachine(t, Settings{}, Config{})
	m.a.Run(command(f, "a", "sleep 1000"))
	m.acknowledge("f")
	m.take()
	m.a.Stop()
	m.a.Start()
	m.pass(time.Second)
	m.expect("register")
	if len(m.a.Tasks()) != 0 || len(m.a.Frameworks()) != 0 {
		t.Error("nothing may be left")
	}
}

func TestNewMaster(t *testing.T) {
	m := newMachine(t, Settings{}, Config{})
	m.a.SetRegistered(false)
	m.a.NewMaster()
	m.pass(2*time.Second - 1)
	m.expect()
	m.pass(1)
	m.expect("register")
	m.a.SetRegistered(false)
	m.a.SetPartitioned(true)
	m.a.NewMaster()
	m.pass(time.Minute)
	m.expect()
}

// Kills of a draining agent (14, 14b).
func TestDrain(t *testing.T) {
	grace := 2 * time.Second
	policy := func(d time.Duration) *mesos.KillPolicy {
		return &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: d.Nanoseconds()}}
	}
	m := own(t, aware("f"), "none")
	short, long := custom(aware("f"), "short", "x", "./my-executor"), custom(aware("f"), "long", "x", "./my-executor")
	short.Task.KillPolicy, long.Task.KillPolicy = policy(time.Second), policy(9*time.Second)
	m.a.Run(short)
	m.a.Run(long)
	m.take()
	m.a.Drain(&grace, false)
	m.expect("x: KILL long 2s", "x: KILL none 2s", "x: KILL short 0s")
	m.a.Run(command(aware("f"), "late", "true"))
	m.expect(`late DROPPED AGENT_DRAINING AGENT "Agent is draining"`)
	m.call(m.statusOf("none", mesos.TASK_KILLED))
	m.expect("none KILLED AGENT_DRAINING EXECUTOR", "x: ACKNOWLEDGED none")

	const deaf = "trap '' TERM; sleep 1000"
	for _, c := range []struct {
		f    *mesos.FrameworkInfo
		want []string
	}{
		{aware("f"), []string{"d GONE_BY_OPERATOR AGENT_DRAINING EXECUTOR", `d GONE_BY_OPERATOR AGENT_DRAINING EXECUTOR "Command terminated with signal Killed"`}},
		{unaware("f"), []string{`d KILLED AGENT_DRAINING EXECUTOR "Command terminated with signal Killed"`}},
	} {
		m = newMachine(t, Settings{}, Config{})
		m.a.Run(command(c.f, "d", deaf))
		m.acknowledge("f")
		m.take()
		m.a.Drain(&grace, true) // the command executor keeps to its own 3 s
		m.acknowledge("f")
		m.pass(3*time.Second - 1)
		if len(c.want) == 2 {
			m.expect(c.want[0])
		}
		m.pass(1)
		m.expect(c.want[len(c.want)-1])
		m.acknowledge("f")
		m.pass(time.Minute)
		if len(m.a.Frameworks()) != 0 {
			t.Error("a drained agent has nothing left")
		}
	}
}

// Revocable resources: what is in use is never less than what there is (12).
func TestEstimates(t *testing.T) {
	m := newMachine(t, Settings{}, Config{Resources: parse(t, "cpus:8;cpus{REV}:4"), OversubscribedInterval: time.Second})
	rev := func(id, cpus string) *Launch {
		l := command(aware("f"), id, "sleep 1000")
		l.Resources = parse(t, "cpus{REV}:"+cpus).WithAlloc("r")
		return l
	}
	if got := m.a.Total().String(); got != "cpus{REV}:4; cpus:8" {
		t.Errorf("got %s", got)
	}
	m.a.Run(rev("one", "1"))
	m.a.Run(rev("two", "2"))
	m.acknowledge("f")
	m.pass(5 * time.Second)
	m.take()
	m.a.SetEstimate(parse(t, "cpus{REV}:2"))
	m.pass(time.Second)
	m.expect("revocable cpus{REV}:3")
	m.a.Kill("f", "one", nil)
	m.acknowledge("f")
	m.take()
	m.pass(time.Second)
	m.expect("revocable cpus{REV}:2")
	m.a.Stop()
	m.a.SetEstimate(parse(t, "cpus{REV}:7"))
	m.a.Start()
	m.pass(3 * time.Second)
	m.expect("register", "revocable cpus{REV}:7")
	if got := m.a.Total().String(); got != "cpus{REV}:7; cpus:8" {
		t.Errorf("got %s", got)
	}
}

// The load QoS controller (12).
func TestQoS(t *testing.T) {
	m := newMachine(t, Settings{}, Config{Resources: parse(t, "cpus:8;cpus{REV}:4"), LoadThreshold: 2, QoSInterval: 2 * time.Second})
	victim := command(aware("f"), "v", "sleep 1000")
	victim.Resources = parse(t, "cpus{REV}:1").WithAlloc("r")
	m.a.Run(victim)
	m.a.Run(command(aware("f"), "p", "sleep 1000"))
	m.acknowledge("f")
	m.take()
	m.a.SetLoad(2)
	m.pass(10 * time.Second)
	m.expect()
	m.a.SetLoad(2.5)
	m.pass(2 * time.Second)
	m.expect(`v GONE CONTAINER_PREEMPTED AGENT "Container preempted by QoS correction"`)
}
