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
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// reapInterval is how long the end of a process may go unnoticed that the agent
// did not start itself (Mesos 3rdparty/libprocess reap.hpp, MAX_REAP_INTERVAL).
const reapInterval = time.Second

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
	e.process.disconnect()
	if !e.command() && a.Reachable() && a.frameworks[e.FrameworkID] != nil {
		a.master.ExitedExecutor(a, e.FrameworkID, e.ID, status)
	}
	end := e.ending
	if end == nil {
		end = &terminated
	}
	for _, t := range slices.Clone(e.tasks) {
		a.finish(t, a.agentStatus(t, end.state, end.reason, end.message))
	}
	a.cleanup(e.FrameworkID)
}

// destroy kills an executor and all its tasks (Mesos containerizer destroy).
func (a *Agent) destroy(e *Executor, why *termination) {
	if a.executors[e.key()] != e || e.state == terminating && e.ending != nil {
		return
	}
	e.state, e.ending = terminating, why
	usual := time.Duration(0)
	if e.recovered {
		usual = reapInterval
	}
	if _, own := e.process.(*remote); own {
		a.outside.KillProcess(a, e.containerID)
	}
	life := a.life
	a.world.After(a.set.Takes(StepReap, e.ID, usual), func() {
		if a.life == life {
			a.exit(e, int32(sigKILL))
		}
	})
}

// shutdownExecutor asks an executor to end and kills it after its grace period
// (Mesos slave.cpp _shutdownExecutor).
func (a *Agent) shutdownExecutor(e *Executor) {
	if e.state == terminating {
		return
	}
	if e.state == registered {
		e.process.shutdown()
	}
	e.state = terminating
	a.world.After(a.shutdownGrace(e), func() { a.destroy(e, &terminated) })
}

func (a *Agent) shutdownGrace(e *Executor) time.Duration {
	if p := e.Info.GetShutdownGracePeriod(); p != nil {
		return time.Duration(p.Nanoseconds)
	}
	return a.set.ExecutorShutdownGracePeriod
}

// ExitExecutor ends the executor of that id of any framework with a raw wait
// status. It returns false if there is none.
func (a *Agent) ExitExecutor(id string, status int32) bool {
	e := a.executorNamed(id)
	if e == nil {
		return false
	}
	a.exit(e, status)
	return true
}

// ProcessExited tells of the end of an executor process, with its raw wait
// status.
func (a *Agent) ProcessExited(containerID string, status int32) {
	for _, e := range a.sortedExecutors() {
		if e.containerID == containerID {
			a.exit(e, status)
		}
	}
}

// FreezeExecutor stops the process of the executor of that id of any framework,
// as SIGSTOP does, or lets it run on. It returns false if there is none.
func (a *Agent) FreezeExecutor(id string, frozen bool) bool {
	e := a.executorNamed(id)
	if e == nil {
		return false
	}
	e.frozen = frozen
	for !e.frozen && len(e.thaw) > 0 {
		do := e.thaw[0]
		e.thaw = e.thaw[1:]
		do()
	}
	return true
}

// ShutdownExecutor is the scheduler's SHUTDOWN.
func (a *Agent) ShutdownExecutor(frameworkID, executorID string) {
	if e := a.executors[execKey{frameworkID, executorID}]; e != nil && a.Reachable() {
		a.shutdownExecutor(e)
	}
}

// ShutdownFramework ends everything of a framework without reporting (Mesos
// slave.cpp shutdownFramework).
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

// forget drops a framework. Executors that are processes of their own are asked
// to end, and killed after their grace period.
func (a *Agent) forget(frameworkID string) {
	delete(a.frameworks, frameworkID)
	for key, t := range a.tasks {
		if key.fw == frameworkID {
			t.stream.silence()
			delete(a.tasks, key)
		}
	}
	for key, e := range a.executors {
		if key.fw != frameworkID {
			continue
		}
		e.tasks = nil
		if _, own := e.process.(*remote); own && a.running {
			a.shutdownExecutor(e)
			continue
		}
		delete(a.executors, key)
	}
}

// cleanup drops a framework that has nothing left on the agent (Mesos slave.cpp
// removeFramework).
func (a *Agent) cleanup(frameworkID string) {
	for key := range a.executors {
		if key.fw == frameworkID {
			return
		}
	}
	for key := range a.tasks {
		if key.fw == frameworkID {
			return
		}
	}
	delete(a.frameworks, frameworkID)
	if len(a.frameworks) == 0 {
		a.draining = nil
	}
}

// ProcessFailed tells that an executor process could not be started: nothing of
// its container ever ran.
func (a *Agent) ProcessFailed(containerID, why string) {
	for _, e := range a.sortedExecutors() {
		if e.containerID == containerID {
			e.ending = &termination{mesos.TASK_FAILED, mesos.REASON_CONTAINER_LAUNCH_FAILED, "Failed to launch container: " + why}
			a.exit(e, -1)
		}
	}
}
