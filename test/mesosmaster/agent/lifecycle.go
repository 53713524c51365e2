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

// Stop is the end of the agent process. Executors of frameworks that do not
// checkpoint end with it; the others and their tasks live on.
func (a *Agent) Stop() {
	a.running, a.registered = false, false
	a.life++
	a.silence()
	a.silenceOperations()
	for _, info := range a.Frameworks() {
		if !info.GetCheckpoint() {
			a.forget(info.ID.GetValue())
		}
	}
}

// Crash is the death of the machine: of the agent and of everything on it.
func (a *Agent) Crash() {
	a.Stop()
	for _, e := range a.executors {
		e.dead = true
	}
}

// Destroy is Crash with the loss of the disk: the agent will know nothing.
func (a *Agent) Destroy() {
	a.Stop()
	clear(a.tasks)
	clear(a.executors)
	clear(a.frameworks)
	a.operations, a.total = nil, a.cfg.Resources
}

// Start is the start of the agent process: it recovers, waits for executors and
// registers (Mesos slave.cpp recover).
func (a *Agent) Start() {
	a.running, a.partitioned = true, false
	a.life++
	for _, t := range a.Tasks() {
		if len(t.stream.pending) > 0 {
			t.stream.retry = a.set.UpdateRetryMin
			a.armRetry(t)
		}
	}
	for _, o := range a.operations {
		o.retry = a.set.UpdateRetryMin
		a.armOperation(o)
	}
	wait := a.set.StartDelay
	for _, e := range a.sortedExecutors() {
		if e.dead {
			a.buryDead(e)
			continue
		}
		wait = a.set.StartDelay + a.set.ExecutorReregistrationTimeout
		a.reregister(e)
	}
	a.registerAfter(wait)
}

// buryDead reports the tasks of an executor that is found dead.
func (a *Agent) buryDead(e *Executor) {
	delete(a.executors, e.key())
	for _, t := range slices.Clone(e.tasks) {
		a.finish(t, a.agentStatus(t, mesos.TASK_FAILED, mesos.REASON_EXECUTOR_TERMINATED, "Executor terminated"))
	}
}

// reregister is the return of an executor to a restarted agent: what it could
// not say before comes now; tasks it never got are lost.
func (a *Agent) reregister(e *Executor) {
	held := e.held
	e.held = nil
	e.state = registered
	for _, h := range held {
		a.update(h.task, h.status)
	}
	for _, t := range slices.Clone(e.tasks) {
		if !t.delivered {
			a.finish(t, a.agentStatus(t, a.oneOf(t.FrameworkID, mesos.TASK_DROPPED), mesos.REASON_AGENT_RESTARTED, "Task launched during agent restart"))
		}
	}
}

// NewMaster is the election of a new master: the agent registers with it after a
// while.
func (a *Agent) NewMaster() {
	if a.running && !a.partitioned {
		a.registerAfter(a.set.RegisterDelay)
	}
}

func (a *Agent) registerAfter(d time.Duration) {
	life := a.life
	a.world.After(d, func() {
		if a.running && !a.partitioned && !a.registered && a.life == life {
			a.master.Register(a)
		}
	})
}
