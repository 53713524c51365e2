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

// commandExecutorLingers is how long the executor of a command task stays after
// the end of the task, so that its last update gets through (Mesos
// launcher/executor.cpp).
const commandExecutorLingers = time.Second

// builtin is an executor that is part of the emulator: the command executor, the
// default executor, or a stand-in for a custom one.
type builtin struct {
	a       *Agent
	e       *Executor
	killing map[*Task]bool
}

// startsWithStarting tells whether it reports TASK_STARTING: Mesos' own
// executors do.
func (b *builtin) startsWithStarting() bool {
	return b.e.command() || b.e.Info.Type == mesos.ExecutorInfo_DEFAULT
}

func (b *builtin) launch(t *Task) {
	a := b.a
	wait := max(0, t.Since.Add(a.set.LaunchDelay).Sub(a.world.Now()))
	a.world.After(wait, func() {
		if t.ended || b.gone() {
			return
		}
		if b.startsWithStarting() {
			a.update(t, a.executorStatus(t, mesos.TASK_STARTING, ""))
		}
		a.update(t, a.executorStatus(t, mesos.TASK_RUNNING, ""))
	})
}

// gone tells whether the executor process has ended.
func (b *builtin) gone() bool { return b.e.dead || b.a.executors[b.e.key()] != b.e }

func (b *builtin) kill(t *Task, _ *mesos.KillPolicy) {
	a := b.a
	if b.killing[t] {
		return
	}
	if b.killing == nil {
		b.killing = map[*Task]bool{}
	}
	b.killing[t] = true
	if a.can(t.FrameworkID, mesos.FrameworkInfo_Capability_TASK_KILLING_STATE) {
		a.update(t, a.executorStatus(t, mesos.TASK_KILLING, ""))
	}
	a.world.After(a.set.KillDelay, func() {
		if !t.ended && !b.gone() {
			a.update(t, a.executorStatus(t, mesos.TASK_KILLED, "Command terminated with signal Terminated"))
		}
	})
}

func (b *builtin) acknowledged(*Task, []byte) {}

// message is ignored: the executors of Mesos read no messages.
func (b *builtin) message([]byte) {}

func (b *builtin) shutdown() { b.a.exit(b.e, 0) }

// ended is told of the end of a task of the executor.
func (b *builtin) ended() {
	a, e := b.a, b.e
	switch {
	case e.command():
		a.world.After(commandExecutorLingers, func() { a.exit(e, 0) })
	case len(e.tasks) == 0 && a.set.ExecutorIdleTimeout > 0:
		e.idle++
		token := e.idle
		a.world.After(a.set.ExecutorIdleTimeout, func() {
			if e.idle == token {
				a.exit(e, 0)
			}
		})
	}
}
