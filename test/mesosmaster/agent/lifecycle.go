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

// recoveryTimeout is how long executors wait for their agent to come back
// (--recovery_timeout).
const recoveryTimeout = 15 * time.Minute

// Stop is the end of the agent process. Executors of frameworks that do not
// checkpoint end with it; the others and their tasks live on.
func (a *Agent) Stop() {
	if !a.running {
		return
	}
	a.running, a.registered, a.recovering, a.draining = false, false, false, nil
	a.life++
	a.silenceOperations()
	for _, t := range a.tasks {
		t.stream.silence()
	}
	for _, e := range a.sortedExecutors() {
		e.process.disconnect()
		e.recovered = true
		e.dead = e.dead || e.state == terminating
	}
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

// Destroy ends the agent and all it runs for good: it will know no framework and
// no task. What operations made of its resources stays on its disk.
func (a *Agent) Destroy() {
	a.Stop()
	clear(a.tasks)
	clear(a.executors)
	clear(a.frameworks)
}

// Start is the start of the agent process: it recovers, waits for the executors
// it knows of and registers (Mesos slave.cpp recover).
func (a *Agent) Start() {
	a.running, a.partitioned = true, false
	a.life++
	for _, list := range a.completed {
		for _, t := range list {
			t.stream.sentState, t.stream.sentUUID = nil, nil
		}
	}
	for _, t := range a.Tasks() {
		if len(t.stream.pending) == 0 {
			t.stream.sentState, t.stream.sentUUID = nil, nil // only in the memory of the process that ended
			continue
		}
		t.stream.retry = a.set.UpdateRetryMin
		a.armRetry(t)
	}
	for _, o := range a.operations {
		o.retry = a.set.UpdateRetryMin
		a.armOperation(o)
	}
	wait := time.Duration(0)
	for _, e := range a.sortedExecutors() {
		wait = a.reregistrationTimeout() // even if all are found dead
		if e.dead {
			a.exit(e, -1)
			continue
		}
		e.state = registering
		e.process.agentBack()
	}
	a.watchResources()
	life := a.life
	a.recovering = wait > 0
	if a.recovering {
		a.world.After(a.set.StartDelay/2+wait, func() {
			if a.life == life {
				a.recovered()
			}
		})
	}
	a.registerAfter(a.set.Takes(StepRegister, a.cfg.Hostname, wait+a.set.StartDelay))
}

// recovered ends the wait for executors: those that have not come back are
// killed (Mesos slave.cpp reregisterExecutorTimeout).
func (a *Agent) recovered() {
	a.recovering = false
	for _, e := range a.sortedExecutors() {
		if e.state == registering {
			a.destroy(e, &termination{
				a.oneOf(e.FrameworkID, mesos.TASK_GONE), mesos.REASON_EXECUTOR_REREGISTRATION_TIMEOUT,
				"Executor did not reregister within " + durationText(a.reregistrationTimeout()),
			})
		}
	}
}

// reregister is the return of an executor to its agent: what it could not say
// before comes now; tasks it never got are lost. known are those tasks without
// any acknowledged update that it does know; a built-in executor knows all that
// were delivered.
func (a *Agent) reregister(e *Executor, known map[string]bool) {
	if e.state == terminating {
		return
	}
	held := e.held
	e.held = nil
	for _, h := range held {
		a.update(h.task, h.status)
	}
	for _, t := range slices.Clone(e.tasks) {
		lost := t.latest == mesos.TASK_STAGING && t.delivered && known != nil && !known[t.ID] || !t.delivered && e.recovered
		if lost {
			a.finish(t, a.agentStatus(t, a.oneOf(t.FrameworkID, mesos.TASK_DROPPED), mesos.REASON_AGENT_RESTARTED, "Task launched during agent restart"))
		}
	}
	e.state = registered
}

// NewMaster is the election of a new master: the agent registers with it after a
// while.
func (a *Agent) NewMaster() {
	if a.running && !a.partitioned && !a.recovering {
		a.registerAfter(a.set.Takes(StepRegister, a.cfg.Hostname, a.set.RegisterDelay))
	}
}

func (a *Agent) registerAfter(d time.Duration) {
	life := a.life
	a.world.After(d, func() {
		if a.running && !a.partitioned && !a.registered && a.life == life {
			a.recovering = false
			before := a.announced
			a.announced = a.revocable()
			a.master.Register(a)
			if now := a.announced; a.Reachable() && !(now.Contains(before) && before.Contains(now)) {
				a.master.Oversubscribed(a, now)
			}
		}
	})
}
