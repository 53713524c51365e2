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
	"maps"
	"slices"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"
)

// call is a call of the executor x of framework f.
func (m *machine) call(c *executor.Call) ExecutorResponse {
	m.t.Helper()
	if c.FrameworkID.Value == "" {
		c.FrameworkID.Value = "f"
	}
	if c.ExecutorID.Value == "" {
		c.ExecutorID.Value = "x"
	}
	return m.a.ExecutorCall(&ExecutorRequest{Call: c, HasType: true, Stream: "x"})
}

func subscribe(known ...string) *executor.Call {
	c := &executor.Call{Type: executor.Call_SUBSCRIBE, Subscribe: &executor.Call_Subscribe{}}
	for _, id := range known {
		c.Subscribe.UnacknowledgedTasks = append(c.Subscribe.UnacknowledgedTasks, mesos.TaskInfo{TaskID: mesos.TaskID{Value: id}})
	}
	return c
}

func (m *machine) statusOf(task string, state mesos.TaskState) *executor.Call {
	source, id := mesos.SOURCE_EXECUTOR, m.NewUUID()
	return &executor.Call{Type: executor.Call_UPDATE, Update: &executor.Call_Update{Status: mesos.TaskStatus{
		TaskID: mesos.TaskID{Value: task}, State: &state, Source: &source, UUID: id[:],
	}}}
}

// own is a machine whose executors are processes of their own, with executor x
// subscribed and tasks running there.
func own(t *testing.T, f *mesos.FrameworkInfo, tasks ...string) *machine {
	t.Helper()
	m := newMachine(t, Settings{OwnExecutors: true}, Config{})
	for _, id := range tasks {
		m.a.Run(custom(f, id, "x", "./my-executor"))
	}
	if r := m.call(subscribe()); r.Status != 200 {
		t.Fatalf("SUBSCRIBE: %v", r)
	}
	for _, id := range tasks {
		m.call(m.statusOf(id, mesos.TASK_RUNNING))
	}
	m.acknowledge("f")
	m.take()
	return m
}

// A session of an executor, as recorded (20).
func TestExecutorSession(t *testing.T) {
	m := newMachine(t, Settings{OwnExecutors: true}, Config{})
	f := aware("f")
	m.a.Run(custom(f, "a", "x", "./my-executor"))
	m.a.Run(custom(f, "b", "x", "./my-executor"))
	m.expect("start x")
	if r := m.call(m.statusOf("a", mesos.TASK_RUNNING)); r != (ExecutorResponse{403, "Executor is not subscribed"}) {
		t.Errorf("got %v", r)
	}
	if r := m.call(subscribe()); r.Status != 200 {
		t.Errorf("got %v", r)
	}
	m.expect("x: SUBSCRIBED", "x: LAUNCH a", "x: LAUNCH b")

	update := m.statusOf("a", mesos.TASK_RUNNING)
	yes, ip := true, "10.1.2.4"
	update.Update.Status.Healthy, update.Update.Status.Data = &yes, []byte("data")
	update.Update.Status.ContainerStatus = &mesos.ContainerStatus{
		NetworkInfos: []mesos.NetworkInfo{{IPAddresses: []mesos.NetworkInfo_IPAddress{{IPAddress: &ip}}}},
	}
	if r := m.call(update); r.Status != 202 {
		t.Errorf("got %v", r)
	}
	m.expect("a RUNNING EXECUTOR", "x: ACKNOWLEDGED a")
	st := m.statuses[0]
	if cs := st.ContainerStatus; !*st.Healthy || string(st.Data) != "data" || cs.GetContainerID().GetValue() == "" || cs.GetExecutorPID() == 0 ||
		cs.NetworkInfos[0].IPAddresses[0].GetIPAddress() != ip || st.AgentID.GetValue() != "S0" || st.ExecutorID.GetValue() != "x" {
		t.Errorf("got %v", st)
	}
	if r := m.call(update); r.Status != 202 {
		t.Errorf("got %v", r)
	}
	m.expect("x: ACKNOWLEDGED a") // the same again is only acknowledged again
	m.acknowledge("f")

	m.a.FrameworkMessage("f", "x", []byte("ping"))
	m.call(&executor.Call{Type: executor.Call_MESSAGE, Message: &executor.Call_Message{Data: []byte("pong")}})
	m.expect(`x: MESSAGE "ping"`, `message of x "pong"`)

	m.a.Kill("f", "a", &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: 5e9}})
	m.expect("x: KILL a 5s")
	m.call(m.statusOf("a", mesos.TASK_KILLED))
	m.acknowledge("f")
	m.expect("a KILLED EXECUTOR", "x: ACKNOWLEDGED a")

	m.a.Run(custom(f, "c", "x", "./my-executor"))
	m.expect("x: LAUNCH c")
	m.a.ShutdownExecutor("f", "x")
	m.expect("x: SHUTDOWN")
	m.a.ProcessExited(m.started[0].ContainerID, 0)
	m.expect("x: closed", "exited x 0",
		`b FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`, `c FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`)
}

func TestExecutorGroup(t *testing.T) {
	m := newMachine(t, Settings{OwnExecutors: true}, Config{})
	f := aware("f")
	m.a.RunGroup([]*Launch{custom(f, "a", "x", "./my-executor"), custom(f, "b", "x", "./my-executor")})
	m.call(subscribe())
	m.expect("start x", "x: SUBSCRIBED", "x: LAUNCH_GROUP a b")
	m.a.RunGroup([]*Launch{custom(f, "c", "x", "./my-executor")})
	m.expect("x: LAUNCH_GROUP c")
}

// An executor that does not end when it is asked to is killed.
func TestExecutorShutdownGrace(t *testing.T) {
	m := own(t, aware("f"), "a")
	m.a.ShutdownExecutor("f", "x")
	m.pass(5*time.Second - 1)
	m.expect("x: SHUTDOWN")
	m.a.Run(custom(aware("f"), "late", "x", "./my-executor"))
	m.expect(`late DROPPED EXECUTOR_TERMINATED AGENT "Executor is terminating/terminated"`)
	m.pass(1)
	m.expect("kill process", "x: closed", "exited x 9", `a FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`)
	// So is one whose framework is gone; nobody hears of it.
	m = own(t, aware("f"), "a")
	m.a.ShutdownFramework("f")
	m.expect("x: SHUTDOWN")
	m.pass(5 * time.Second)
	m.expect("kill process", "x: closed")
}

// Texts and order of the refusals (Mesos slave/http.cpp, slave/validation.cpp).
func TestExecutorRefusals(t *testing.T) {
	m := own(t, aware("f"), "a")
	update := func(edit func(*mesos.TaskStatus)) *executor.Call {
		c := m.statusOf("a", mesos.TASK_RUNNING)
		edit(&c.Update.Status)
		return c
	}
	master, staging := mesos.SOURCE_MASTER, mesos.TASK_STAGING
	for _, c := range []struct {
		call *executor.Call
		want ExecutorResponse
	}{
		{&executor.Call{Type: executor.Call_SUBSCRIBE}, ExecutorResponse{400, "Failed to validate Executor::Call: Expecting 'subscribe' to be present"}},
		{&executor.Call{Type: executor.Call_UPDATE}, ExecutorResponse{400, "Failed to validate Executor::Call: Expecting 'update' to be present"}},
		{&executor.Call{Type: executor.Call_MESSAGE}, ExecutorResponse{400, "Failed to validate Executor::Call: Expecting 'message' to be present"}},
		{update(func(s *mesos.TaskStatus) { s.UUID = nil }), ExecutorResponse{400, "Failed to validate Executor::Call: Expecting 'uuid' to be present"}},
		{update(func(s *mesos.TaskStatus) { s.UUID = make([]byte, 16) }), ExecutorResponse{400, "Failed to validate Executor::Call: Not a valid UUID"}},
		{update(func(s *mesos.TaskStatus) { s.ExecutorID = &mesos.ExecutorID{Value: "y"} }), ExecutorResponse{400, "Failed to validate Executor::Call: ExecutorID in Call: x does not match ExecutorID in TaskStatus: y"}},
		{update(func(s *mesos.TaskStatus) { s.Source = &master }), ExecutorResponse{400, "Failed to validate Executor::Call: Received Call from executor x of framework f with invalid source, expecting 'SOURCE_EXECUTOR'"}},
		{update(func(s *mesos.TaskStatus) { s.State = &staging }), ExecutorResponse{400, "Failed to validate Executor::Call: Received TASK_STAGING from executor x of framework f which is not allowed"}},
		{&executor.Call{Type: executor.Call_SUBSCRIBE, Subscribe: &executor.Call_Subscribe{}, FrameworkID: mesos.FrameworkID{Value: "g"}}, ExecutorResponse{400, "Framework cannot be found"}},
		{&executor.Call{Type: executor.Call_SUBSCRIBE, Subscribe: &executor.Call_Subscribe{}, ExecutorID: mesos.ExecutorID{Value: "y"}}, ExecutorResponse{400, "Executor cannot be found"}},
	} {
		if got := m.call(c.call); got != c.want {
			t.Errorf("%v: got %v, want %v", c.call.Type, got, c.want)
		}
	}
	if got := m.a.ExecutorCall(&ExecutorRequest{Call: &executor.Call{}}); got.Body != "Failed to validate Executor::Call: Expecting 'type' to be present" {
		t.Errorf("got %v", got)
	}
	if got := m.a.ExecutorCall(&ExecutorRequest{Call: subscribe(), HasType: true, AcceptsNothing: true}); got.Status != 406 {
		t.Errorf("got %v", got)
	}
	m.expect()
}

// Heartbeats, while there is a subscription (docs/executor-http-api.md).
func TestExecutorHeartbeats(t *testing.T) {
	m := own(t, aware("f"), "a")
	m.pass(time.Hour)
	m.expect("x: HEARTBEAT", "x: HEARTBEAT")
	if r := m.call(&executor.Call{Type: callHeartbeat}); r.Status != 202 {
		t.Errorf("got %v", r)
	}
	m.a.ExecutorDisconnected("x")
	m.pass(time.Hour)
	m.expect()
	m.call(subscribe())
	m.expect("x: SUBSCRIBED")
}

// Commands that are no executors, as recorded (20, 24).
func TestExecutorsThatAreNone(t *testing.T) {
	m := newMachine(t, Settings{}, Config{ExecutorRegistrationTimeout: 5 * time.Second})
	f, no := aware("f"), false
	m.a.Run(custom(f, "n1", "exits", "exit 9"))
	missing := custom(f, "n2", "missing", "/no/such/file")
	missing.Executor.Command.Shell = &no
	m.a.Run(missing)
	m.expect("exited exits 2304", `n1 FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`,
		"exited missing 256256", `n2 FAILED EXECUTOR_TERMINATED AGENT "Executor terminated"`)

	m.a.Run(custom(f, "k1", "never", "sleep 1000"))
	m.pass(2 * time.Second)
	m.a.Run(custom(f, "k2", "never", "sleep 1000"))
	m.a.Run(custom(f, "k3", "never", "sleep 1000"))
	m.a.Kill("f", "k1", nil)
	m.expect(`k1 KILLED TASK_KILLED_DURING_LAUNCH AGENT "Killed before delivery to the executor"`)
	m.pass(3*time.Second - 1)
	m.expect()
	m.pass(1)
	m.expect("exited never 9", `k2 FAILED EXECUTOR_REGISTRATION_TIMEOUT AGENT "Executor did not register within 5secs"`,
		`k3 FAILED EXECUTOR_REGISTRATION_TIMEOUT AGENT "Executor did not register within 5secs"`)

	user := "no-such-user"
	l := custom(f, "u", "nobody", "./my-executor")
	l.Executor.Command.User = &user
	m.a.Run(l)
	if got := m.take(); len(got) != 2 || got[1] != "exited nobody -1" {
		t.Errorf("got %v", got)
	}
}

// An executor that registers when all its tasks were killed is shut down.
func TestExecutorNotNeeded(t *testing.T) {
	m := newMachine(t, Settings{OwnExecutors: true}, Config{})
	m.a.Run(custom(aware("f"), "a", "x", "./my-executor"))
	m.a.Kill("f", "a", nil)
	m.take()
	m.call(subscribe())
	m.expect("x: SUBSCRIBED", "x: SHUTDOWN")
}

func TestEnvironment(t *testing.T) {
	m := newMachine(t, Settings{OwnExecutors: true}, Config{})
	l := custom(aware("f"), "a", "x", "./my-executor")
	l.Executor.ShutdownGracePeriod = &mesos.DurationInfo{Nanoseconds: 3e9}
	value := "x"
	l.Executor.Command.Environment = &mesos.Environment{Variables: []mesos.Environment_Variable{{Name: "FROM_COMMAND_INFO", Value: &value}}}
	m.a.Run(l)
	env := m.started[0].Environment
	dir := "/var/lib/mesos/slaves/S0/frameworks/f/executors/x/runs/" + m.started[0].ContainerID
	want := map[string]string{
		"MESOS_EXECUTOR_ID": "x", "MESOS_FRAMEWORK_ID": "f", "MESOS_SLAVE_ID": "S0", "MESOS_SLAVE_PID": "slave(1)@10.0.0.1:5051",
		"MESOS_AGENT_ENDPOINT": "10.0.0.1:5051", "MESOS_CHECKPOINT": "1", "MESOS_HTTP_COMMAND_EXECUTOR": "0",
		"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "3secs", "MESOS_RECOVERY_TIMEOUT": "15mins", "MESOS_SUBSCRIPTION_BACKOFF_MAX": "2secs",
		"MESOS_DIRECTORY": dir, "MESOS_SANDBOX": dir, "PWD": dir, "LIBPROCESS_IP": "10.0.0.1", "LIBPROCESS_PORT": "0",
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "FROM_COMMAND_INFO": "x",
	}
	if !maps.Equal(env, want) {
		t.Errorf("got %v, want %v", env, want)
	}
	no := false
	f := aware("g")
	f.Checkpoint = &no
	m.a.Run(custom(f, "a", "x", "./my-executor"))
	env = m.started[1].Environment
	if got := slices.Sorted(maps.Keys(env)); env["MESOS_CHECKPOINT"] != "0" || slices.Contains(got, "MESOS_RECOVERY_TIMEOUT") || slices.Contains(got, "MESOS_SUBSCRIPTION_BACKOFF_MAX") {
		t.Errorf("without checkpointing: %v", env)
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		3 * time.Second: "3secs", 15 * time.Minute: "15mins", 90 * time.Second: "1.5mins", 250 * time.Millisecond: "250ms",
		0: "0ns", 36 * time.Hour: "1.5days", 14 * 24 * time.Hour: "2weeks", time.Hour: "1hrs", 5 * time.Microsecond: "5us",
	} {
		if got := durationText(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
