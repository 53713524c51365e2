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

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// World is what an agent lives in: time, and the source of ids. Both are passed
// in, so that an agent is a pure state machine.
type World interface {
	// Now is the present moment.
	Now() time.Time
	// After lets do happen later, after everything that was asked for the same
	// moment before.
	After(d time.Duration, do func()) Timer
	// NewUUID makes an id for a status update or container.
	NewUUID() uuid.UUID
	// IntN is a number from 0 to n-1.
	IntN(n int) int
}

// Timer is something that will happen.
type Timer interface {
	// Stop takes it back; it is harmless if it has happened.
	Stop()
}

// Master receives the messages of an agent. They are named after those of Mesos
// (messages/messages.proto).
type Master interface {
	// Register is the wish to register for the first time or again: the agent
	// process has recovered and found a master.
	Register(a *Agent)
	// StatusUpdate is a status update of a task.
	StatusUpdate(a *Agent, u Update)
	// ExitedExecutor tells of the end of an executor that is not a command
	// executor, with its raw wait status.
	ExitedExecutor(a *Agent, frameworkID, executorID string, status int32)
	// ExecutorToFramework is a message of an executor to its scheduler.
	ExecutorToFramework(a *Agent, frameworkID, executorID string, data []byte)
	// OperationStatusUpdate is the status of an operation with an id.
	OperationStatusUpdate(a *Agent, o *Operation)
	// Oversubscribed is a changed estimate: all revocable resources there are now
	// (UpdateSlaveMessage).
	Oversubscribed(a *Agent, revocable resource.Resources)
}

// Executors reaches the executors that are processes of their own.
type Executors interface {
	// StartProcess starts the process of an executor.
	StartProcess(a *Agent, p Process)
	// KillProcess kills all processes of a container.
	KillProcess(a *Agent, containerID string)
	// ExecutorEvent writes an event to a subscribed executor.
	ExecutorEvent(stream string, e *executor.Event)
	// CloseExecutor ends the stream of an executor, as the end of the agent
	// process does.
	CloseExecutor(stream string)
}

// Process is an executor process to be started.
type Process struct {
	FrameworkID, ExecutorID, ContainerID string
	// Command says what to run.
	Command *mesos.CommandInfo
	// Environment are names and values, complete (Mesos slave.cpp
	// executorEnvironment).
	Environment map[string]string
	// Directory is the sandbox, where the process runs.
	Directory string
	// User is whom it runs as.
	User string
}

// Update is a status with the newest state the agent knows of the task, which
// may be ahead of it.
type Update struct {
	FrameworkID string
	Status      mesos.TaskStatus
	Latest      mesos.TaskState
}
