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
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// What commands end in, as recorded (02).
func TestCommandEnds(t *testing.T) {
	no := false
	for _, c := range []struct {
		name string
		edit func(*Launch)
		line string
		want []string
	}{
		{"ok", nil, "true", []string{"t STARTING EXECUTOR", "t RUNNING EXECUTOR", `t FINISHED EXECUTOR "Command exited with status 0"`}},
		{"fail", nil, "exit 3", []string{"t STARTING EXECUTOR", "t RUNNING EXECUTOR", `t FAILED EXECUTOR "Command exited with status 3"`}},
		{"signal", nil, "kill -9 $$", []string{"t STARTING EXECUTOR", "t RUNNING EXECUTOR", `t FAILED EXECUTOR "Command terminated with signal Killed"`}},
		{"no binary", func(l *Launch) { l.Task.Command.Shell = &no }, "/no/such/binary", []string{
			"t STARTING EXECUTOR", "t RUNNING EXECUTOR", `t FAILED EXECUTOR "Command exited with status 1"`,
		}},
		{"without shell", func(l *Launch) {
			l.Task.Command.Shell, l.Task.Command.Arguments = &no, []string{"sleep", "0"}
		}, "/bin/sleep", []string{"t STARTING EXECUTOR", "t RUNNING EXECUTOR", `t FINISHED EXECUTOR "Command exited with status 0"`}},
		{"no file", func(l *Launch) { l.Task.Command.URIs = []mesos.CommandInfo_URI{{Value: "/no/such/file"}} }, "true", []string{
			`t FAILED CONTAINER_LAUNCH_FAILED AGENT "Failed to launch container: Failed to fetch all URIs for container 'ID': exited with status 1"`,
		}},
		{"no user", func(l *Launch) { l.Task.Command.User = new(string); *l.Task.Command.User = "no-such-user" }, "true", []string{
			`t DROPPED EXECUTOR_TERMINATED AGENT "Failed to create executor directory '/var/lib/mesos/slaves/S0/frameworks/f/executors/t/runs/ID': ` +
				`Failed to chown directory to 'no-such-user': No such user 'no-such-user'"`,
		}},
		{"limits", func(l *Launch) { l.Task.Limits = map[string]mesos.Value_Scalar{"cpus": {Value: 1}} }, "true", []string{
			`t DROPPED GC_ERROR AGENT "CPU limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/cpu' isolator"`,
		}},
		{"foreign", nil, "my-server", []string{"t STARTING EXECUTOR", "t RUNNING EXECUTOR"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, Settings{}, Config{})
			l := command(aware("f"), "t", c.line)
			if c.edit != nil {
				c.edit(l)
			}
			m.a.Run(l)
			m.acknowledge("f")
			for i, line := range m.log {
				m.log[i] = hideIDs(line)
			}
			m.expect(c.want...)
		})
	}
}

// hideIDs puts ID in the place of container ids.
func hideIDs(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("/' ", r) })
	for _, w := range words {
		if len(w) == 36 && strings.Count(w, "-") == 4 {
			s = strings.ReplaceAll(s, w, "ID")
		}
	}
	return s
}

func TestStatusFields(t *testing.T) {
	m := newMachine(t, Settings{}, Config{})
	m.a.Run(command(aware("f"), "t", "sleep 1000"))
	m.pass(0)
	st := m.statuses[0]
	cs := st.GetContainerStatus()
	if st.AgentID.Value != "S0" || st.ExecutorID.Value != "t" || len(st.UUID) != 16 || st.Timestamp == nil ||
		cs.GetContainerID().GetValue() == "" || cs.GetExecutorPID() == 0 || cs.NetworkInfos[0].IPAddresses[0].GetIPAddress() != "10.0.0.1" {
		t.Errorf("got %v", st)
	}
}

// How kills go, as recorded (06).
func TestKill(t *testing.T) {
	const trap, deaf = "trap 'sleep 0.5; exit 7' TERM; while true; do sleep 0.1; done", "trap '' TERM; while true; do sleep 0.1; done"
	policy := func(d time.Duration) *mesos.KillPolicy {
		return &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: d.Nanoseconds()}}
	}
	for _, c := range []struct {
		name, line string
		own, call  *mesos.KillPolicy
		after      time.Duration
		message    string
	}{
		{"sleep", "sleep 1000", nil, nil, 100 * time.Millisecond, "Command terminated with signal Terminated"},
		{"trap", trap, nil, nil, 500 * time.Millisecond, "Command exited with status 7"},
		{"deaf", deaf, nil, nil, 3 * time.Second, "Command terminated with signal Killed"},
		{"own policy", deaf, policy(time.Second), nil, time.Second, "Command terminated with signal Killed"},
		{"policy of the call", deaf, nil, policy(time.Second / 2), 3 * time.Second, "Command terminated with signal Killed"},
		{"trap cut short", trap, policy(100 * time.Millisecond), nil, 100 * time.Millisecond, "Command terminated with signal Killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, Settings{KillDelay: 100 * time.Millisecond}, Config{})
			l := command(aware("f"), "t", c.line)
			l.Task.KillPolicy = c.own
			m.a.Run(l)
			m.acknowledge("f")
			m.take()
			m.pass(time.Second)
			m.a.Kill("f", "t", c.call)
			m.a.Kill("f", "t", c.call) // no extra update
			m.acknowledge("f")
			m.expect("t KILLING EXECUTOR")
			m.pass(c.after - 1)
			m.expect()
			m.pass(1)
			m.expect(`t KILLED EXECUTOR "` + c.message + `"`)
		})
	}
}

func TestKillBeforeDelivery(t *testing.T) {
	m := newMachine(t, Settings{LaunchDelay: time.Second}, Config{})
	m.a.Run(command(unaware("f"), "t", "sleep 1000"))
	m.pass(100 * time.Millisecond)
	m.a.Kill("f", "t", nil)
	m.expect(`t KILLED TASK_KILLED_DURING_LAUNCH AGENT "Killed before delivery to the executor"`)
	m.acknowledge("f")
	m.take()
	// The executor is there for a while yet: the id cannot be used again before.
	m.a.Run(command(unaware("f"), "t", "true"))
	m.expect(`t LOST TASK_INVALID AGENT "Cannot reuse an already existing executor for a command task"`)
	m.acknowledge("f")
	m.pass(time.Minute)
	m.take()
	m.a.Run(command(unaware("f"), "t", "true"))
	m.pass(time.Second)
	m.expect("t STARTING EXECUTOR")
}

// A task of a group that fails takes the others with it; the default executor
// ends after them.
func TestTaskGroup(t *testing.T) {
	m := newMachine(t, Settings{}, Config{})
	f := unaware("f")
	a, b := custom(f, "a", "x", ""), custom(f, "b", "x", "")
	three, long := "sleep 3; exit 1", "sleep 1000"
	for l, line := range map[*Launch]*string{a: &three, b: &long} {
		l.Executor.Type, l.Executor.Command = mesos.ExecutorInfo_DEFAULT, nil
		l.Task.Command = &mesos.CommandInfo{Value: line}
	}
	m.a.RunGroup([]*Launch{a, b})
	m.acknowledge("f")
	m.expect("a STARTING EXECUTOR", "b STARTING EXECUTOR", "a RUNNING EXECUTOR", "b RUNNING EXECUTOR")
	m.pass(3 * time.Second)
	m.acknowledge("f")
	m.expect(`a FAILED EXECUTOR "Command exited with status 1"`, `b KILLED EXECUTOR "Command terminated with signal Terminated"`)
	m.pass(time.Second)
	m.expect("exited x 0")
	if len(m.a.Frameworks()) != 0 {
		t.Error("a framework with nothing left must be forgotten")
	}
	// A group that is killed before it starts is killed as a whole.
	m = newMachine(t, Settings{LaunchDelay: time.Second}, Config{})
	m.a.RunGroup([]*Launch{a, b})
	m.a.Kill("f", "b", nil)
	m.expect(`a KILLED TASK_KILLED_DURING_LAUNCH AGENT "Killed before delivery to the executor"`,
		`b KILLED TASK_KILLED_DURING_LAUNCH AGENT "Killed before delivery to the executor"`)
}

// Updates wait for acknowledgements and are repeated, at longer and longer
// intervals.
func TestUpdateRetries(t *testing.T) {
	m := newMachine(t, Settings{}, Config{})
	m.a.Run(command(aware("f"), "t", "true"))
	m.expect("t STARTING EXECUTOR")
	first := m.statuses[0]
	m.pass(10*time.Second - 1)
	m.expect()
	m.pass(1)
	m.expect("t STARTING EXECUTOR")
	m.pass(20 * time.Second)
	m.expect("t STARTING EXECUTOR")
	if state := m.a.Task("f", "t").State(); state != mesos.TASK_FINISHED {
		t.Errorf("the agent knows that the task has ended, and says %s", state)
	}
	m.a.Acknowledge("f", "t", []byte("something else"))
	m.expect()
	m.a.Acknowledge("f", "t", first.UUID)
	m.expect("t RUNNING EXECUTOR")
	m.a.UpdateFramework(aware("f"))
	m.expect("t RUNNING EXECUTOR")
	m.acknowledge("f")
	m.a.Acknowledge("f", "t", first.UUID)
	if m.take(); m.a.Task("f", "t") != nil {
		t.Error("an acknowledged end is forgotten")
	}
}
