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
	dead        bool    // its process ended unseen while the agent was down
	held        []heldStatus
	ending      *termination // why the agent kills it
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

// process is what runs as an executor: built into the emulator or a process of
// its own.
type process interface {
	// launch gives it a task.
	launch(t *Task)
	// kill asks it to end a task it has.
	kill(t *Task, policy *mesos.KillPolicy)
	// acknowledged tells it that the agent holds a status.
	acknowledged(t *Task, uuid []byte)
	// message is a message of its scheduler.
	message(data []byte)
	// shutdown asks it to end all tasks and itself.
	shutdown()
}

// command tells whether this is the executor of a command task.
func (e *Executor) command() bool { return e.Info == nil }

func (e *Executor) key() execKey { return execKey{e.FrameworkID, e.ID} }

func (e *Executor) remove(t *Task) {
	e.tasks = slices.DeleteFunc(e.tasks, func(x *Task) bool { return x == t })
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

// launchExecutor starts an executor; its tasks wait until it has registered.
func (a *Agent) launchExecutor(key execKey, info *mesos.ExecutorInfo, role string, res resource.Resources) *Executor {
	e := &Executor{
		FrameworkID: key.fw, ID: key.id, Info: info, Role: role, Resources: res,
		containerID: a.world.NewUUID().String(), pid: uint32(a.world.IntN(60000) + 1000),
	}
	a.executors[key] = e
	e.process = &builtin{a: a, e: e}
	a.world.After(a.set.LaunchDelay, func() {
		if a.executors[key] == e && e.state == registering && !e.dead {
			a.register(e)
		}
	})
	return e
}

// register is the registration of an executor: it gets the tasks that wait. One
// whose tasks were all killed before is not needed any more (Mesos slave.cpp
// subscribe, registerExecutor).
func (a *Agent) register(e *Executor) {
	if !a.running {
		return
	}
	e.state = registered
	if len(e.tasks) == 0 {
		a.exit(e, 0)
		return
	}
	for _, t := range slices.Clone(e.tasks) {
		if !t.delivered {
			t.delivered = true
			e.process.launch(t)
		}
	}
}

// exit is the end of an executor process with a raw wait status: the master
// hears of it first, then of its tasks, as recorded (Mesos slave.cpp
// executorTerminated).
func (a *Agent) exit(e *Executor, status int32) {
	if a.executors[e.key()] != e {
		return
	}
	if !a.running {
		e.dead = true
		return
	}
	delete(a.executors, e.key())
	if !e.command() && a.Reachable() {
		a.master.ExitedExecutor(a, e.FrameworkID, e.ID, status)
	}
	end := e.ending
	if end == nil {
		end = &termination{mesos.TASK_FAILED, mesos.REASON_EXECUTOR_TERMINATED, "Executor terminated"}
	}
	for _, t := range slices.Clone(e.tasks) {
		a.finish(t, a.agentStatus(t, end.state, end.reason, end.message))
	}
}

// ExitExecutor ends the executor of that id of any framework with a raw wait
// status. It returns false if there is none.
func (a *Agent) ExitExecutor(id string, status int32) bool {
	for _, e := range a.sortedExecutors() {
		if e.ID == id {
			a.exit(e, status)
			return true
		}
	}
	return false
}

// ShutdownExecutor is the scheduler's SHUTDOWN.
func (a *Agent) ShutdownExecutor(frameworkID, executorID string) {
	if e := a.executors[execKey{frameworkID, executorID}]; e != nil && a.Reachable() {
		e.process.shutdown()
	}
}

// ShutdownFramework ends everything of a framework without reporting.
func (a *Agent) ShutdownFramework(frameworkID string) {
	if !a.Reachable() {
		return
	}
	a.forget(frameworkID)
	a.operations = slices.DeleteFunc(a.operations, func(o *Operation) bool {
		if o.FrameworkID == frameworkID {
			o.silence()
		}
		return o.FrameworkID == frameworkID
	})
}

func (a *Agent) forget(frameworkID string) {
	delete(a.frameworks, frameworkID)
	for key, t := range a.tasks {
		if key.fw == frameworkID {
			t.stream.silence()
			delete(a.tasks, key)
		}
	}
	for key := range a.executors {
		if key.fw == frameworkID {
			delete(a.executors, key)
		}
	}
}
