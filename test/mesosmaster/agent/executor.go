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
	"slices"
	"sort"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// executorState is how far an executor has come (Mesos slave.hpp
// Executor::State).
type executorState uint8

const (
	registering executorState = iota
	registered
	terminating
)

// Executor is an executor on a machine.
type Executor struct {
	// FrameworkID and ID name the executor; that of a command task has the id of
	// the task.
	FrameworkID, ID string
	// Info is nil for the executor of a command task.
	Info *mesos.ExecutorInfo
	// Role is the role its resources are allocated to.
	Role string
	// Resources are those of the executor itself.
	Resources resource.Resources

	state       executorState
	containerID string
	pid         uint32
	process     process
	tasks       []*Task // queued and launched, in the order of their arrival
	idle        uint64  // voids idle timers
	used        bool    // a task was delivered to it once
	recovered   bool    // the agent process did not start it itself
	held        []heldStatus
	ending      *termination // why the agent kills it
	dead        bool         // its process ended while the agent was down
	frozen      bool         // its process is stopped
	thaw        []func()     // what it will do when it runs on
}

// heldStatus is a status an executor could not deliver: the agent was down.
type heldStatus struct {
	task   *Task
	status mesos.TaskStatus
}

// termination is what is said of the tasks of an executor that ended.
type termination struct {
	state   mesos.TaskState
	reason  mesos.TaskStatus_Reason
	message string
}

// terminated is said of tasks whose executor ended of its own accord.
var terminated = termination{mesos.TASK_FAILED, mesos.REASON_EXECUTOR_TERMINATED, "Executor terminated"}

// process is what runs as an executor: built into the emulator, or a process of
// its own.
type process interface {
	// start begins its life; it registers when it is ready.
	start()
	// launch gives it tasks: several only if they are a group.
	launch(tasks []*Task)
	// kill asks it to end a task it has; policy is that of the KILL.
	kill(t *Task, policy *mesos.KillPolicy)
	// acknowledged tells it that the agent holds a status.
	acknowledged(t *Task, uuid []byte)
	// message is a message of its scheduler.
	message(data []byte)
	// shutdown asks it to end all tasks and itself.
	shutdown()
	// ended tells it that one of its tasks has ended.
	ended(t *Task)
	// disconnect breaks its connection to the agent process.
	disconnect()
	// agentBack tells it that the agent process is back.
	agentBack()
}

// command tells whether this is the executor of a command task.
func (e *Executor) command() bool { return e.Info == nil }

func (e *Executor) key() execKey { return execKey{e.FrameworkID, e.ID} }

func (e *Executor) remove(t *Task) {
	e.tasks = slices.DeleteFunc(e.tasks, func(x *Task) bool { return x == t })
}

// all are the resources of the executor and its tasks.
func (e *Executor) all() resource.Resources {
	sum := e.Resources
	for _, t := range e.tasks {
		sum = sum.Add(t.Resources)
	}
	return sum
}

// Executors are the living executors that are not of command tasks, by framework
// and id.
func (a *Agent) Executors() []*Executor {
	var out []*Executor
	for _, e := range a.sortedExecutors() {
		if !e.command() && !e.dead {
			out = append(out, e)
		}
	}
	return out
}

func (a *Agent) sortedExecutors() []*Executor {
	out := make([]*Executor, 0, len(a.executors))
	for _, e := range a.executors {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].FrameworkID < out[j].FrameworkID || out[i].FrameworkID == out[j].FrameworkID && out[i].ID < out[j].ID
	})
	return out
}

// executorNamed is the executor of that id of any framework, nil if there is
// none.
func (a *Agent) executorNamed(id string) *Executor {
	for _, e := range a.sortedExecutors() {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// launchExecutor starts an executor; its tasks wait until it has registered
// (Mesos slave.cpp launchExecutor).
func (a *Agent) launchExecutor(l *Launch, key execKey) *Executor {
	e := &Executor{
		FrameworkID: key.fw, ID: key.id, Info: l.Executor, Role: l.Role, Resources: l.ExecutorResources,
		containerID: a.world.NewUUID().String(), pid: a.newPID(),
	}
	a.executors[key] = e
	command := l.Executor.GetCommand()
	if e.command() {
		command = l.Task.GetCommand()
	}
	e.process = a.newProcess(e, command)
	if fetchFails(command) {
		a.world.After(a.set.Takes(StepStart, l.Task.TaskID.Value, a.set.LaunchDelay), func() {
			e.ending = &termination{
				mesos.TASK_FAILED, mesos.REASON_CONTAINER_LAUNCH_FAILED,
				"Failed to launch container: Failed to fetch all URIs for container '" + e.containerID + "': exited with status 1",
			}
			a.exit(e, -1)
		})
		return e
	}
	e.process.start()
	timeout, life := a.registrationTimeout(), a.life
	a.world.After(timeout, func() {
		if a.executors[key] == e && e.state == registering && a.running && a.life == life {
			a.destroy(e, &termination{
				mesos.TASK_FAILED, mesos.REASON_EXECUTOR_REGISTRATION_TIMEOUT, "Executor did not register within " + durationText(timeout),
			})
		}
	})
	return e
}

// newPID makes up the id of a process.
func (a *Agent) newPID() uint32 { return uint32(a.world.IntN(60000) + 1000) }

// newProcess chooses what runs as an executor.
func (a *Agent) newProcess(e *Executor, command *mesos.CommandInfo) process {
	if e.command() || e.Info.Type == mesos.ExecutorInfo_DEFAULT {
		return &builtin{a: a, e: e, runs: map[*Task]*run{}, pids: map[string]uint32{}}
	}
	code, understood := programOf(command)
	switch {
	case missing(command):
		return &plain{a: a, e: e, missing: true}
	case understood:
		return &plain{a: a, e: e, program: newProgram(code)}
	case a.set.OwnExecutors:
		return &remote{a: a, e: e, command: command}
	default:
		return &builtin{a: a, e: e, runs: map[*Task]*run{}, pids: map[string]uint32{}}
	}
}

// register is the registration of an executor: it gets the tasks that wait. One
// whose tasks were all killed before any was delivered is not needed any more
// (Mesos slave.cpp subscribe, registerExecutor).
func (a *Agent) register(e *Executor) {
	if !a.running || e.state == terminating {
		return
	}
	e.state = registered
	if len(e.tasks) == 0 && !e.used {
		a.shutdownExecutor(e)
		return
	}
	for _, t := range slices.Clone(e.tasks) {
		if !t.delivered && !t.ended {
			a.deliver(t)
		}
	}
}

// deliver gives a task, with its group, to its registered executor.
func (a *Agent) deliver(t *Task) {
	group := t.group
	if group == nil {
		group = []*Task{t}
	}
	for _, x := range group {
		x.delivered = true
	}
	t.executor.used = true
	t.executor.process.launch(group)
}

func (a *Agent) registrationTimeout() time.Duration {
	if a.cfg.ExecutorRegistrationTimeout > 0 {
		return a.cfg.ExecutorRegistrationTimeout
	}
	return a.set.ExecutorRegistrationTimeout
}

func (a *Agent) reregistrationTimeout() time.Duration {
	if a.cfg.ExecutorReregistrationTimeout > 0 {
		return a.cfg.ExecutorReregistrationTimeout
	}
	return a.set.ExecutorReregistrationTimeout
}
