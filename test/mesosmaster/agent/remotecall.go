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
	"errors"
	"fmt"
	"strconv"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// validExecutorCall checks the form of a call, with the words of Mesos
// (slave/validation.cpp executor::call::validate).
func validExecutorCall(q *ExecutorRequest) error {
	call := q.Call
	if !q.HasType {
		return errors.New("Expecting 'type' to be present")
	}
	switch {
	case call.Type == executor.Call_SUBSCRIBE && call.Subscribe == nil:
		return errors.New("Expecting 'subscribe' to be present")
	case call.Type == executor.Call_MESSAGE && call.Message == nil:
		return errors.New("Expecting 'message' to be present")
	case call.Type == executor.Call_UPDATE && call.Update == nil:
		return errors.New("Expecting 'update' to be present")
	case call.Type == executor.Call_UPDATE:
		return validExecutorStatus(call, &call.Update.Status)
	}
	return nil
}

func validExecutorStatus(call *executor.Call, status *mesos.TaskStatus) error {
	who := "executor " + call.ExecutorID.Value + " of framework " + call.FrameworkID.Value
	switch {
	case len(status.UUID) == 0:
		return errors.New("Expecting 'uuid' to be present")
	case !validUUID(status.UUID):
		return errors.New("Not a valid UUID")
	case status.ExecutorID != nil && status.ExecutorID.Value != call.ExecutorID.Value:
		return fmt.Errorf("ExecutorID in Call: %s does not match ExecutorID in TaskStatus: %s", call.ExecutorID.Value, status.ExecutorID.Value)
	case status.GetSource() != mesos.SOURCE_EXECUTOR:
		return errors.New("Received Call from " + who + " with invalid source, expecting 'SOURCE_EXECUTOR'")
	case status.GetState() == mesos.TASK_STAGING:
		return errors.New("Received TASK_STAGING from " + who + " which is not allowed")
	}
	return nil
}

// validUUID tells whether Mesos takes the bytes for a UUID: 16 with a version
// from 1 to 5.
func validUUID(b []byte) bool { return len(b) == 16 && b[6]>>4 >= 1 && b[6]>>4 <= 5 }

// environment is that of an executor process, complete: nothing of the agent's
// own is inherited (Mesos slave.cpp executorEnvironment).
func (a *Agent) environment(e *Executor, command *mesos.CommandInfo) map[string]string {
	address := a.cfg.IP + ":" + strconv.Itoa(int(a.cfg.Port))
	directory := a.sandbox(e.FrameworkID, e.ID, e.containerID)
	env := map[string]string{
		"LIBPROCESS_IP":                        a.cfg.IP,
		"LIBPROCESS_PORT":                      "0",
		"PATH":                                 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"PWD":                                  directory,
		"MESOS_FRAMEWORK_ID":                   e.FrameworkID,
		"MESOS_EXECUTOR_ID":                    e.ID,
		"MESOS_DIRECTORY":                      directory,
		"MESOS_SANDBOX":                        directory,
		"MESOS_SLAVE_ID":                       a.id,
		"MESOS_SLAVE_PID":                      "slave(1)@" + address,
		"MESOS_AGENT_ENDPOINT":                 address,
		"MESOS_CHECKPOINT":                     "0",
		"MESOS_HTTP_COMMAND_EXECUTOR":          "0",
		"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": durationText(a.shutdownGrace(e)),
	}
	if a.checkpointing(e.FrameworkID) {
		env["MESOS_CHECKPOINT"] = "1"
		env["MESOS_RECOVERY_TIMEOUT"] = durationText(recoveryTimeout)
		env["MESOS_SUBSCRIPTION_BACKOFF_MAX"] = durationText(a.reregistrationTimeout())
	}
	for _, v := range command.GetEnvironment().GetVariables() {
		env[v.Name] = v.GetValue()
	}
	return env
}

// Info is the agent as executors and the master are told of it.
func (a *Agent) Info() mesos.AgentInfo {
	port := a.cfg.Port
	return mesos.AgentInfo{
		Hostname: a.cfg.Hostname, Port: &port, ID: &mesos.AgentID{Value: a.id}, Attributes: a.cfg.Attributes, Domain: a.cfg.Domain,
		Resources: a.cfg.Resources.ToProto(resource.WireForm{Refined: true}),
	}
}
