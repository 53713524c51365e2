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
	if !a.Reachable() {
		return
	}
	fw := l.Framework.ID.GetValue()
	a.frameworks[fw] = l.Framework
	t := &Task{
		FrameworkID: fw, ID: l.Task.TaskID.Value, Info: l.Task, Role: l.Role, Resources: l.Resources,
		Since: a.world.Now(), latest: mesos.TASK_STAGING, command: l.Executor == nil,
	}
	t.executorID = t.ID
	if l.Executor != nil {
		t.executorID = l.Executor.ExecutorID.Value
	}
	key := execKey{fw, t.executorID}
	e := a.executors[key]
	switch {
	case t.command && e != nil:
		a.refuse(t, mesos.REASON_TASK_INVALID, "Cannot reuse an already existing executor for a command task", true)
		return
	case !t.command && e == nil && !l.NewExecutor:
		a.refuse(t, mesos.REASON_EXECUTOR_TERMINATED, "No executor is expected to launch and there is none running", true)
		return
	}
	if text := limitsRefused(l.Task); text != "" {
		a.refuse(t, mesos.REASON_GC_ERROR, text, false)
		return
	}
	if e == nil {
		e = a.launchExecutor(key, l.Executor, l.Role, l.ExecutorResources)
	}
	e.idle++
	e.tasks = append(e.tasks, t)
	t.executor = e
	a.tasks[t.key()] = t
	if e.state == registered {
		t.delivered = true
		e.process.launch(t)
	}
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

// refuse answers a task the agent does not run.
func (a *Agent) refuse(t *Task, reason mesos.TaskStatus_Reason, message string, withExecutor bool) {
	a.tasks[t.key()] = t
	status := a.agentStatus(t, a.oneOf(t.FrameworkID, mesos.TASK_DROPPED), reason, message)
	if !withExecutor {
		status.ExecutorID = nil
	}
	a.finish(t, status)
}

// Unknown answers for a task the master knows and the agent does not: the launch
// never arrived (Mesos slave.cpp reregistered).
func (a *Agent) Unknown(l *Launch) {
	fw := l.Framework.ID.GetValue()
	a.frameworks[fw] = l.Framework
	t := &Task{
		FrameworkID: fw, ID: l.Task.TaskID.Value, Info: l.Task, Role: l.Role, Resources: l.Resources,
		Since: a.world.Now(), command: l.Executor == nil,
	}
	t.executorID = t.ID
	if l.Executor != nil {
		t.executorID = l.Executor.ExecutorID.Value
	}
	a.refuse(t, mesos.REASON_RECONCILIATION, "Task is unknown to the agent", true)
}

// Kill is the arrival of a KILL (Mesos slave.cpp killTask).
func (a *Agent) Kill(frameworkID, taskID string, policy *mesos.KillPolicy) {
	t := a.tasks[taskKey{frameworkID, taskID}]
	switch {
	case !a.Reachable() || t == nil || t.ended:
	case !t.delivered:
		a.finish(t, a.agentStatus(t, mesos.TASK_KILLED, mesos.REASON_TASK_KILLED_DURING_LAUNCH, "Killed before delivery to the executor"))
	default:
		t.executor.process.kill(t, policy)
	}
}

// update is a status from an executor (Mesos slave.cpp statusUpdate).
func (a *Agent) update(t *Task, status mesos.TaskStatus) {
	if t.ended {
		return
	}
	e := t.executor
	if !a.running {
		// Nobody hears the executor. That of a command task ends with its task;
		// others say it when the agent is back.
		e.held = append(e.held, heldStatus{t, status})
		e.dead = e.dead || e.command() && terminal(status.GetState())
		return
	}
	a.fillContainer(e, &status)
	e.process.acknowledged(t, status.UUID)
	if terminal(status.GetState()) {
		a.finish(t, status)
		return
	}
	a.enqueue(t, status)
}

// fillContainer adds what only the agent knows: container and process, and the
// machine's address if the executor names no other.
func (a *Agent) fillContainer(e *Executor, status *mesos.TaskStatus) {
	cs := &mesos.ContainerStatus{}
	if status.ContainerStatus != nil {
		*cs = *status.ContainerStatus
	}
	pid := e.pid
	cs.ContainerID, cs.ExecutorPID = &mesos.ContainerID{Value: e.containerID}, &pid
	if len(cs.NetworkInfos) == 0 {
		ip, v4 := a.cfg.IP, mesos.IPv4
		cs.NetworkInfos = []mesos.NetworkInfo{{IPAddresses: []mesos.NetworkInfo_IPAddress{{Protocol: &v4, IPAddress: &ip}}}}
	}
	status.ContainerStatus = cs
}

// finish ends a task with its last status.
func (a *Agent) finish(t *Task, status mesos.TaskStatus) {
	t.ended = true
	e := t.executor
	if e == nil {
		a.enqueue(t, status)
		return
	}
	e.remove(t)
	a.enqueue(t, status)
	if b, ok := e.process.(*builtin); ok {
		b.ended()
	}
}
