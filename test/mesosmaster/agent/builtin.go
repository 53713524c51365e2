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
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

const (
	// executorLingers is how long Mesos' own executors stay after the end of
	// their last task, so that the update of it gets through (Mesos
	// launcher/executor.cpp, launcher/default_executor.cpp).
	executorLingers = time.Second
	// defaultGrace is the grace period of a task without kill policy (Mesos
	// launcher/executor.cpp kill).
	defaultGrace = 3 * time.Second
)

// builtin is an executor that is part of the emulator: the command executor, the
// default executor, or a stand-in for a custom one.
type builtin struct {
	a    *Agent
	e    *Executor
	runs map[*Task]*run
	pids map[string]uint32 // of the containers of the default executor's tasks
}

// run is a task under way in a built-in executor.
type run struct {
	task    *Task
	program *program
	turn    uint64 // voids timers of an earlier wait
	killing bool
}

// status is a status as the executor makes it.
func (b *builtin) status(t *Task, state mesos.TaskState, message string) mesos.TaskStatus {
	s := b.a.executorStatus(t, state, message)
	if t.containerID != "" {
		s.ContainerStatus = &mesos.ContainerStatus{ContainerID: &mesos.ContainerID{
			Value: t.containerID, Parent: &mesos.ContainerID{Value: b.e.containerID},
		}}
	}
	return s
}

// standIn tells whether the executor stands in for a custom one.
func (b *builtin) standIn() bool {
	return !b.e.command() && b.e.Info.Type != mesos.ExecutorInfo_DEFAULT
}

// gone tells whether the executor process has ended.
func (b *builtin) gone() bool { return b.e.dead || b.a.executors[b.e.key()] != b.e }

// act does something now, or when the stopped process runs on; never if it has
// ended.
func (b *builtin) act(do func()) {
	switch {
	case b.gone():
	case b.e.frozen:
		b.e.thaw = append(b.e.thaw, func() { b.act(do) })
	default:
		do()
	}
}

func (b *builtin) after(d time.Duration, do func()) {
	b.a.world.After(d, func() { b.act(do) })
}

func (b *builtin) start() {
	step, subject := StepExecutor, b.e.ID
	if b.e.command() {
		step = StepStart
	}
	b.after(b.a.set.Takes(step, subject, b.a.set.LaunchDelay), func() {
		if b.e.state == registering {
			b.a.register(b.e)
		}
	})
}

func (b *builtin) launch(tasks []*Task) {
	a := b.a
	for _, t := range tasks {
		wait := time.Duration(0)
		if !b.e.command() {
			wait = max(0, t.Since.Add(a.set.Takes(StepStart, t.ID, a.set.LaunchDelay)).Sub(a.world.Now()))
		}
		b.after(wait, func() { b.begin(t) })
	}
}

// begin starts a task: Mesos' own executors report TASK_STARTING first.
func (b *builtin) begin(t *Task) {
	a := b.a
	if t.ended {
		return
	}
	code, _ := programOf(t.Info.GetCommand())
	if missing(t.Info.GetCommand()) {
		code = []instruction{{op: opExit, status: 1}}
	}
	r := &run{task: t, program: newProgram(code)}
	b.runs[t] = r
	wait := time.Duration(0)
	if b.e.Info.GetType() == mesos.ExecutorInfo_DEFAULT {
		wait = b.contain(t)
	}
	if !b.standIn() {
		a.update(t, b.status(t, mesos.TASK_STARTING, ""))
	}
	if wait <= 0 {
		b.running(r)
		return
	}
	b.after(wait, func() { b.running(r) })
}

// running begins the program of a task.
func (b *builtin) running(r *run) {
	a, t := b.a, r.task
	if b.runs[t] != r || r.killing {
		return
	}
	if t.containerID != "" && b.pids[t.containerID] == 0 {
		b.pids[t.containerID] = a.newPID()
	}
	a.update(t, b.status(t, mesos.TASK_RUNNING, ""))
	if wait := r.program.run(); r.program.ended == nil {
		if wait < forever {
			wait = a.set.Takes(StepSleep, t.ID, wait)
		}
		b.sleep(r, wait)
		return
	}
	b.after(a.set.Takes(StepExit, t.ID, 0), func() { b.end(r) })
}

// contain launches the container of a task, and returns when its process runs.
// The first update shows as much as there is by then.
func (b *builtin) contain(t *Task) time.Duration {
	a := b.a
	t.containerID = a.world.NewUUID().String()
	container, process := a.set.Takes(StepContainer, t.ID, 0), a.set.Takes(StepProcess, t.ID, 0)
	switch {
	case container <= 0 && process <= 0:
		b.pids[t.containerID] = a.newPID()
	case container <= 0:
		b.pids[t.containerID] = 0
	}
	return max(container, process)
}

// sleep waits with a program and runs it on.
func (b *builtin) sleep(r *run, d time.Duration) {
	r.turn++
	turn := r.turn
	if d >= forever {
		return
	}
	b.after(d, func() {
		if r.turn == turn {
			b.runOn(r)
		}
	})
}

func (b *builtin) runOn(r *run) {
	wait := r.program.run()
	if r.program.ended != nil {
		b.end(r)
		return
	}
	b.sleep(r, wait)
}

// end reports the end of a program.
func (b *builtin) end(r *run) {
	a, t := b.a, r.task
	if b.runs[t] != r {
		return
	}
	delete(b.runs, t)
	state := mesos.TASK_FINISHED
	switch {
	case r.killing:
		state = mesos.TASK_KILLED
	case *r.program.ended != ending{}:
		state = mesos.TASK_FAILED
	}
	a.update(t, b.status(t, state, "Command "+r.program.ended.String()))
	if state != mesos.TASK_FINISHED {
		b.endGroup(t)
	}
	b.ended(t)
}

// endGroup kills the rest of a task group of which one has failed or was killed
// (Mesos launcher/default_executor.cpp waited).
func (b *builtin) endGroup(t *Task) {
	for _, x := range t.group {
		if x != t && !x.ended {
			b.kill(x, nil)
		}
	}
}

// kill ends a task: SIGTERM, and SIGKILL after the grace period. The command
// executor knows only the task's own kill policy; a stand-in never escalates.
func (b *builtin) kill(t *Task, policy *mesos.KillPolicy) {
	b.act(func() {
		r := b.runs[t]
		if r == nil || r.killing {
			return
		}
		r.killing = true
		a := b.a
		if a.can(t.FrameworkID, mesos.FrameworkInfo_Capability_TASK_KILLING_STATE) {
			a.update(t, b.status(t, mesos.TASK_KILLING, ""))
		}
		if r.program.signal(sigTERM) {
			if r.program.ended != nil {
				r.turn++
				b.after(a.set.Takes(StepKill, t.ID, a.set.KillDelay), func() { b.end(r) })
			} else {
				b.runOn(r)
			}
		}
		if b.standIn() {
			return
		}
		b.after(b.grace(t, policy), func() {
			if b.runs[t] == r {
				r.program.ended = nil
				r.program.signal(sigKILL)
				r.turn++
				b.after(a.set.Takes(StepKill, t.ID, 0), func() { b.end(r) })
			}
		})
	})
}

func (b *builtin) grace(t *Task, policy *mesos.KillPolicy) time.Duration {
	if g := policy.GetGracePeriod(); g != nil && !b.e.command() {
		return time.Duration(g.Nanoseconds)
	}
	if g := t.Info.GetKillPolicy().GetGracePeriod(); g != nil {
		return time.Duration(g.Nanoseconds)
	}
	return defaultGrace
}

func (b *builtin) acknowledged(*Task, []byte) {}

// message is ignored: Mesos' own executors read no messages.
func (b *builtin) message([]byte) {}

func (b *builtin) shutdown() { b.act(func() { b.a.exit(b.e, 0) }) }

// ended lets the executor end when it has nothing more to do.
func (b *builtin) ended(t *Task) {
	a, e := b.a, b.e
	if r := b.runs[t]; r != nil && !(r.killing && a.draining != nil) {
		delete(b.runs, t) // a kill by draining goes on, although the task counts as gone
	}
	if len(e.tasks) > 0 || len(b.runs) > 0 {
		return
	}
	wait := executorLingers
	if b.standIn() {
		wait = a.set.ExecutorIdleTimeout
	}
	if wait == 0 {
		return
	}
	e.idle++
	token := e.idle
	b.after(wait, func() {
		if e.idle == token {
			a.exit(e, 0)
		}
	})
}

func (b *builtin) disconnect() {}

// agentBack registers the executor again.
func (b *builtin) agentBack() { b.act(func() { b.a.reregister(b.e, nil) }) }
