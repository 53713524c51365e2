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
	"fmt"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Launch is a task as the master sends it.
type Launch struct {
	Framework *mesos.FrameworkInfo
	Task      *mesos.TaskInfo
	// Executor is nil for a command task.
	Executor *mesos.ExecutorInfo
	// NewExecutor tells that the master knows of no such executor here
	// (launch_executor of RunTaskMessage).
	NewExecutor bool
	// Role is the role everything is allocated to.
	Role string
	// Resources are those of the task, ExecutorResources those of its executor.
	Resources, ExecutorResources resource.Resources
}

// Run is the arrival of a task (Mesos slave.cpp runTask).
func (a *Agent) Run(l *Launch) {
	if a.Reachable() {
		a.run([]*Launch{l}, false)
	}
}

// RunGroup is the arrival of a task group: its executor gets all of its tasks or
// none (Mesos slave.cpp runTaskGroup).
func (a *Agent) RunGroup(group []*Launch) {
	if a.Reachable() && len(group) > 0 {
		a.run(group, true)
	}
}

// newTask makes the task of a launch.
func (a *Agent) newTask(l *Launch) *Task {
	t := &Task{
		FrameworkID: l.Framework.ID.GetValue(), ID: l.Task.TaskID.Value, Info: l.Task, Role: l.Role, Resources: l.Resources,
		Since: a.world.Now(), latest: mesos.TASK_STAGING, command: l.Executor == nil,
	}
	t.executorID = t.ID
	if l.Executor != nil {
		t.executorID = l.Executor.ExecutorID.Value
	}
	a.frameworks[t.FrameworkID] = l.Framework
	return t
}

func (a *Agent) run(launches []*Launch, group bool) {
	tasks := make([]*Task, len(launches))
	for i, l := range launches {
		tasks[i] = a.newTask(l)
	}
	l, t := launches[0], tasks[0]
	key := execKey{t.FrameworkID, t.executorID}
	e := a.executors[key]
	if no := a.refusal(l, e); no != nil {
		a.world.After(0, func() { a.refuseAll(l, tasks, no) })
		return
	}
	if e == nil {
		e = a.launchExecutor(l, key)
	}
	e.idle++
	for _, t := range tasks {
		e.tasks = append(e.tasks, t)
		t.executor = e
		a.tasks[t.key()] = t
		if group {
			t.group = tasks
		}
	}
	if e.state == registered {
		a.deliver(t)
	}
}

// refusal is why an agent does not run a task.
type refusal struct {
	reason   mesos.TaskStatus_Reason
	message  string
	executor bool // the status names the executor
	exited   bool // the master believes there is a new executor
}

func (a *Agent) refusal(l *Launch, e *Executor) *refusal {
	switch {
	case l.Executor == nil && e != nil:
		return &refusal{mesos.REASON_TASK_INVALID, "Cannot reuse an already existing executor for a command task", true, false}
	case l.Executor != nil && e == nil && !l.NewExecutor:
		return &refusal{mesos.REASON_EXECUTOR_TERMINATED, "No executor is expected to launch and there is none running", true, false}
	case a.draining != nil:
		// The words are not recorded; state and reason are those of the source.
		return &refusal{mesos.REASON_AGENT_DRAINING, "Agent is draining", true, e == nil && l.Executor != nil}
	case e != nil && e.state == terminating:
		return &refusal{mesos.REASON_EXECUTOR_TERMINATED, "Executor is terminating/terminated", true, false}
	}
	if text := limitsRefused(l.Task); text != "" {
		return &refusal{mesos.REASON_GC_ERROR, text, false, e == nil && l.Executor != nil}
	}
	command := l.Executor.GetCommand()
	if l.Executor == nil {
		command = l.Task.GetCommand()
	}
	if user := userOf(command, l.Framework); e == nil && a.noSuchUser(user) {
		return a.noUser(l, user)
	}
	return nil
}

// noUser refuses an executor that is to run as a user there is not.
func (a *Agent) noUser(l *Launch, user string) *refusal {
	id := l.Task.TaskID.Value
	if l.Executor != nil {
		id = l.Executor.ExecutorID.Value
	}
	directory := a.sandbox(l.Framework.ID.GetValue(), id, a.world.NewUUID().String())
	return &refusal{mesos.REASON_EXECUTOR_TERMINATED, fmt.Sprintf(
		"Failed to create executor directory '%s': Failed to chown directory to '%s': No such user '%s'", directory, user, user), true, l.Executor != nil}
}

// limitsRefused is what an agent without the cgroups isolators says to limits.
func limitsRefused(info *mesos.TaskInfo) string {
	for _, x := range []struct{ key, name, isolator string }{{"cpus", "CPU", "cpu"}, {"mem", "Memory", "mem"}} {
		if _, ok := info.Limits[x.key]; ok {
			return x.name + " limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/" + x.isolator + "' isolator"
		}
	}
	return ""
}

func (a *Agent) refuseAll(l *Launch, tasks []*Task, no *refusal) {
	if !a.running {
		return
	}
	for _, t := range tasks {
		a.refuse(t, no)
	}
	if no.exited && a.Reachable() {
		a.master.ExitedExecutor(a, l.Framework.ID.GetValue(), l.Executor.ExecutorID.Value, -1)
	}
}

// refuse answers a task the agent does not run.
func (a *Agent) refuse(t *Task, no *refusal) {
	if old := a.tasks[t.key()]; old != nil {
		old.stream.silence()
	}
	a.tasks[t.key()] = t
	status := a.agentStatus(t, a.oneOf(t.FrameworkID, mesos.TASK_DROPPED), no.reason, no.message)
	if !no.executor {
		status.ExecutorID = nil
	}
	a.finish(t, status)
}

// Unknown answers for a task the master knows and the agent does not: the launch
// never arrived (Mesos slave.cpp reregistered).
func (a *Agent) Unknown(l *Launch) {
	a.refuse(a.newTask(l), &refusal{mesos.REASON_RECONCILIATION, "Task is unknown to the agent", true, false})
}

// FrameworkMessage is a message of a scheduler to an executor.
func (a *Agent) FrameworkMessage(frameworkID, executorID string, data []byte) {
	e := a.executors[execKey{frameworkID, executorID}]
	if e != nil && a.Reachable() && e.state == registered {
		e.process.message(data)
	}
}

// Kill is the arrival of a KILL (Mesos slave.cpp killTask).
func (a *Agent) Kill(frameworkID, taskID string, policy *mesos.KillPolicy) {
	if t := a.tasks[taskKey{frameworkID, taskID}]; t != nil && a.Reachable() {
		a.kill(t, policy)
	}
}

func (a *Agent) kill(t *Task, policy *mesos.KillPolicy) {
	switch {
	case t.ended || t.executor.state == terminating:
	case t.delivered:
		t.executor.process.kill(t, policy)
	default:
		group := t.group
		if group == nil {
			group = []*Task{t}
		}
		for _, x := range slices.Clone(group) {
			a.finish(x, a.agentStatus(x, mesos.TASK_KILLED, mesos.REASON_TASK_KILLED_DURING_LAUNCH, "Killed before delivery to the executor"))
		}
	}
}

// update is a status from an executor (Mesos slave.cpp statusUpdate).
func (a *Agent) update(t *Task, status mesos.TaskStatus) {
	e := t.executor
	if !a.running {
		// Nobody hears the executor. That of a command task ends with its task;
		// others say it when the agent is back.
		e.held = append(e.held, heldStatus{t, status})
		e.dead = e.dead || e.command() && terminal(status.GetState())
		return
	}
	if a.tasks[t.key()] == t && !(t.ended && len(t.stream.pending) == 0) {
		a.fillContainer(e, &status) // but not for what counts as over, as recorded
	}
	a.tasks[t.key()] = t
	a.finishOrGoOn(t, status)
	e.process.acknowledged(t, status.UUID)
}

func (a *Agent) finishOrGoOn(t *Task, status mesos.TaskStatus) {
	a.rewriteDraining(t, &status)
	if terminal(status.GetState()) && !t.ended {
		a.end(t, status)
		return
	}
	a.enqueue(t, status)
}

// fillContainer adds what only the agent knows: container and process, and the
// machine's address if the executor names no other. The default executor names
// the container of the task itself; before that runs nothing is known of it.
func (a *Agent) fillContainer(e *Executor, status *mesos.TaskStatus) {
	cs := &mesos.ContainerStatus{}
	if status.ContainerStatus != nil {
		*cs = *status.ContainerStatus
	}
	pid := e.pid
	if b, ok := e.process.(*builtin); ok && cs.ContainerID != nil {
		if pid, ok = b.pids[cs.ContainerID.Value]; !ok {
			return
		}
	} else {
		cs.ContainerID = &mesos.ContainerID{Value: e.containerID}
	}
	if pid != 0 {
		cs.ExecutorPID = &pid
	}
	if len(cs.NetworkInfos) == 0 {
		ip, v4 := a.cfg.IP, mesos.IPv4
		cs.NetworkInfos = []mesos.NetworkInfo{{IPAddresses: []mesos.NetworkInfo_IPAddress{{Protocol: &v4, IPAddress: &ip}}}}
	}
	status.ContainerStatus = cs
}

// finish ends a task with a status made by the agent.
func (a *Agent) finish(t *Task, status mesos.TaskStatus) {
	if !t.ended {
		a.finishOrGoOn(t, status)
	}
}

// end books the last status of a task.
func (a *Agent) end(t *Task, status mesos.TaskStatus) {
	t.ended = true
	e := t.executor
	if e == nil {
		a.enqueue(t, status)
		return
	}
	e.remove(t)
	a.enqueue(t, status)
	if a.executors[e.key()] == e {
		e.process.ended(t)
	}
}
