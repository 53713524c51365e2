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
	"bytes"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"
)

// remote is an executor that is a process of its own and speaks the executor API
// (Mesos slave/http.cpp Http::executor, docs/executor-http-api.md).
type remote struct {
	a       *Agent
	e       *Executor
	command *mesos.CommandInfo
	stream  string // of its subscription; empty while there is none
	beat    Timer  // the next heartbeat
}

// Heartbeats of the executor API, newer than the generated types (Mesos
// include/mesos/v1/executor/executor.proto, slave/constants.hpp).
const (
	eventHeartbeat    executor.Event_Type = 9
	callHeartbeat     executor.Call_Type  = 4
	heartbeatInterval                     = 30 * time.Minute
)

func (r *remote) start() {
	a, e := r.a, r.e
	a.outside.StartProcess(a, Process{
		FrameworkID: e.FrameworkID, ExecutorID: e.ID, ContainerID: e.containerID, Command: r.command,
		Environment: a.environment(e, r.command), Directory: a.sandbox(e.FrameworkID, e.ID, e.containerID),
		User: userOf(r.command, a.frameworks[e.FrameworkID]),
	})
}

func (r *remote) send(e *executor.Event) {
	if r.stream != "" {
		r.a.outside.ExecutorEvent(r.stream, e)
	}
}

func (r *remote) launch(tasks []*Task) {
	if tasks[0].group == nil {
		r.send(&executor.Event{Type: executor.Event_LAUNCH, Launch: &executor.Event_Launch{Task: *tasks[0].Info}})
		return
	}
	group := mesos.TaskGroupInfo{}
	for _, t := range tasks {
		group.Tasks = append(group.Tasks, *t.Info)
	}
	r.send(&executor.Event{Type: executor.Event_LAUNCH_GROUP, LaunchGroup: &executor.Event_LaunchGroup{TaskGroup: group}})
}

func (r *remote) kill(t *Task, policy *mesos.KillPolicy) {
	r.send(&executor.Event{Type: executor.Event_KILL, Kill: &executor.Event_Kill{TaskID: mesos.TaskID{Value: t.ID}, KillPolicy: policy}})
}

func (r *remote) acknowledged(t *Task, uuid []byte) {
	r.send(&executor.Event{Type: executor.Event_ACKNOWLEDGED, Acknowledged: &executor.Event_Acknowledged{
		TaskID: mesos.TaskID{Value: t.ID}, UUID: uuid,
	}})
}

func (r *remote) message(data []byte) {
	r.send(&executor.Event{Type: executor.Event_MESSAGE, Message: &executor.Event_Message{Data: data}})
}

func (r *remote) shutdown() { r.send(&executor.Event{Type: executor.Event_SHUTDOWN}) }

func (r *remote) ended(*Task) {}

func (r *remote) disconnect() {
	if r.stream != "" {
		r.a.outside.CloseExecutor(r.stream)
	}
	r.quiet()
}

// quiet ends what belongs to a subscription.
func (r *remote) quiet() {
	r.stream = ""
	if r.beat != nil {
		r.beat.Stop()
	}
}

// agentBack leaves it to the executor to subscribe again.
func (r *remote) agentBack() {}

// ExecutorResponse is what a call of an executor is answered with over HTTP.
type ExecutorResponse struct {
	Status int
	Body   string
}

// ExecutorRequest is a decoded call of the executor API.
type ExecutorRequest struct {
	Call    *executor.Call
	HasType bool // the type field was present
	// AcceptsNothing is set if the Accept header allows neither JSON nor protobuf.
	AcceptsNothing bool
	// Stream is a fresh name for the subscription, if this is a SUBSCRIBE.
	Stream string
}

// ExecutorCall handles a call of the executor API. A SUBSCRIBE that is accepted
// is answered 200: its events go to the stream of the request from then on.
func (a *Agent) ExecutorCall(q *ExecutorRequest) ExecutorResponse {
	if err := validExecutorCall(q); err != nil {
		return ExecutorResponse{400, "Failed to validate Executor::Call: " + err.Error()}
	}
	call := q.Call
	subscribe := call.Type == executor.Call_SUBSCRIBE
	switch {
	case call.Type == callHeartbeat:
		return ExecutorResponse{Status: 202}
	case subscribe && q.AcceptsNothing:
		return ExecutorResponse{406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"}
	case a.recovering && !subscribe, !a.running: // the latter should not be able to connect
		return ExecutorResponse{503, "Agent has not finished recovery"}
	case a.frameworks[call.FrameworkID.Value] == nil:
		return ExecutorResponse{400, "Framework cannot be found"}
	}
	e := a.executors[execKey{call.FrameworkID.Value, call.ExecutorID.Value}]
	if e == nil {
		return ExecutorResponse{400, "Executor cannot be found"}
	}
	r, own := e.process.(*remote)
	switch {
	case !own:
		return ExecutorResponse{403, "Executor is built into the agent"}
	case e.state == registering && !subscribe:
		return ExecutorResponse{403, "Executor is not subscribed"}
	case subscribe:
		r.subscribe(q.Stream, call.Subscribe)
		return ExecutorResponse{Status: 200}
	case call.Type == executor.Call_UPDATE:
		r.receive(call.Update.Status)
	case call.Type == executor.Call_MESSAGE:
		a.forwardMessage(e, call.Message.Data)
	default:
		return ExecutorResponse{501, ""}
	}
	return ExecutorResponse{Status: 202}
}

// forwardMessage passes an executor's message on to its framework; like any that
// finds no master it is lost.
func (a *Agent) forwardMessage(e *Executor, data []byte) {
	if a.Reachable() {
		a.master.ExecutorToFramework(a, e.FrameworkID, e.ID, data)
	}
}

// subscribe is the registration of the executor, or its return (Mesos slave.cpp
// subscribe).
func (r *remote) subscribe(stream string, call *executor.Call_Subscribe) {
	a, e := r.a, r.e
	r.disconnect()
	r.stream = stream
	r.heartbeat(stream)
	if e.state == terminating {
		r.shutdown()
		return
	}
	framework := a.frameworks[e.FrameworkID]
	container := mesos.ContainerID{Value: e.containerID}
	r.send(&executor.Event{Type: executor.Event_SUBSCRIBED, Subscribed: &executor.Event_Subscribed{
		ExecutorInfo: *e.Info, FrameworkInfo: *framework, AgentInfo: a.Info(), ContainerID: &container,
	}})
	for i := range call.UnacknowledgedUpdates {
		r.receive(call.UnacknowledgedUpdates[i].Status)
	}
	known := map[string]bool{}
	for i := range call.UnacknowledgedTasks {
		known[call.UnacknowledgedTasks[i].TaskID.Value] = true
	}
	a.reregister(e, known)
	a.register(e)
}

// heartbeat arms the next HEARTBEAT of a subscription: the first comes after an
// interval.
func (r *remote) heartbeat(stream string) {
	r.beat = r.a.world.After(heartbeatInterval, func() {
		if r.stream == stream {
			r.send(&executor.Event{Type: eventHeartbeat})
			r.heartbeat(stream)
		}
	})
}

// receive takes a status; one that came before is only acknowledged again.
func (r *remote) receive(status mesos.TaskStatus) {
	a, e := r.a, r.e
	id := mesos.ExecutorID{Value: e.ID}
	agent := mesos.AgentID{Value: a.id}
	status.ExecutorID, status.AgentID = &id, &agent
	t := a.tasks[taskKey{e.FrameworkID, status.TaskID.Value}]
	if t != nil && t.executor != e {
		a.enqueue(t, status) // passed on; the task is another executor's
		r.acknowledged(t, status.UUID)
		return
	}
	if t == nil {
		t = &Task{
			FrameworkID: e.FrameworkID, ID: status.TaskID.Value, Since: a.world.Now(), executorID: e.ID, executor: e,
			Info: &mesos.TaskInfo{TaskID: status.TaskID}, Role: e.Role, delivered: true, ended: true,
		}
		a.tasks[t.key()] = t
	}
	if slices.ContainsFunc(t.seen, func(b []byte) bool { return bytes.Equal(b, status.UUID) }) {
		r.acknowledged(t, status.UUID)
		return
	}
	t.seen = append(t.seen, status.UUID)
	a.update(t, status)
}

// ExecutorDisconnected tells of the end of the executor's side of a stream. The
// executor may subscribe again.
func (a *Agent) ExecutorDisconnected(stream string) {
	for _, e := range a.executors {
		if r, own := e.process.(*remote); own && r.stream == stream {
			r.quiet()
		}
	}
}
