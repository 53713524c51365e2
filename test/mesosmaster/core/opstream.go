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

package core

import (
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"
)

// maxWatchers bounds the operator streams; one more ends the oldest
// (--max_operator_event_stream_subscribers).
const maxWatchers = 1000

// SubscribeOperator opens an operator's event stream: the state of everything,
// a HEARTBEAT, and from then on what happens (Mesos master/http.cpp
// Master::Http::subscribe). Its end by the client is told by Disconnect.
func (m *Master) SubscribeOperator(now time.Time, stream string) {
	m.enter(now)
	if len(m.watchers) >= maxWatchers {
		m.out = append(m.out, Output{Stream: m.watchers[0], Close: true})
		m.watchers = m.watchers[1:]
	}
	m.watchers = append(m.watchers, stream)
	seconds := m.cfg.HeartbeatInterval.Seconds()
	m.out = append(m.out, Output{Stream: stream, Operator: &OperatorEvent{
		Type: master.Event_SUBSCRIBED, Subscribed: &OperatorSubscribed{GetState: m.stateReply(), HeartbeatIntervalSeconds: &seconds},
	}})
	m.operatorHeartbeat(stream)
}

func (m *Master) operatorHeartbeat(stream string) {
	if !m.watching(stream) {
		return
	}
	m.out = append(m.out, Output{Stream: stream, Operator: &OperatorEvent{Type: master.Event_HEARTBEAT}})
	m.after(m.cfg.HeartbeatInterval, func() { m.operatorHeartbeat(stream) })
}

func (m *Master) watching(stream string) bool {
	for _, w := range m.watchers {
		if w == stream {
			return true
		}
	}
	return false
}

// unwatch forgets an operator stream whose client has gone.
func (m *Master) unwatch(stream string) {
	for i, w := range m.watchers {
		if w == stream {
			m.watchers = append(m.watchers[:i:i], m.watchers[i+1:]...)
			return
		}
	}
}

// tell sends an event to all operators; event is called only if there are any.
func (m *Master) tell(event func() *OperatorEvent) {
	if len(m.watchers) == 0 {
		return
	}
	e := event()
	for _, w := range m.watchers {
		m.out = append(m.out, Output{Stream: w, Operator: e})
	}
}

func (m *Master) tellTaskAdded(t *task) {
	m.tell(func() *OperatorEvent {
		return &OperatorEvent{Type: master.Event_TASK_ADDED, TaskAdded: &master.Event_TaskAdded{Task: t.toProto()}}
	})
}

// tellTaskUpdated tells of a status with a state new for the task; the state in
// the event is the newest the agent knows.
func (m *Master) tellTaskUpdated(t *task, status *mesos.TaskStatus) {
	m.tell(func() *OperatorEvent {
		state := t.state
		return &OperatorEvent{Type: master.Event_TASK_UPDATED, TaskUpdated: &master.Event_TaskUpdated{
			FrameworkID: mesos.FrameworkID{Value: t.fw.id}, Status: *status, State: &state,
		}}
	})
}

func (m *Master) tellFrameworkAdded(f *framework) {
	m.tell(func() *OperatorEvent {
		return &OperatorEvent{Type: master.Event_FRAMEWORK_ADDED, FrameworkAdded: &FrameworkChanged{Framework: f.changed()}}
	})
}

func (m *Master) tellFrameworkUpdated(f *framework) {
	m.tell(func() *OperatorEvent {
		return &OperatorEvent{Type: master.Event_FRAMEWORK_UPDATED, FrameworkUpdated: &FrameworkChanged{Framework: f.changed()}}
	})
}

func (m *Master) tellFrameworkRemoved(f *framework) {
	m.tell(func() *OperatorEvent {
		return &OperatorEvent{Type: master.Event_FRAMEWORK_REMOVED, FrameworkRemoved: &master.Event_FrameworkRemoved{FrameworkInfo: *f.info}}
	})
}

func (m *Master) tellAgentAdded(a *agent) {
	m.tell(func() *OperatorEvent {
		reply := m.agentReply(a)
		reply.AgentInfo.Checkpoint = nil
		return &OperatorEvent{Type: master.Event_AGENT_ADDED, AgentAdded: &AgentAdded{Agent: reply}}
	})
}

// tellAgentRemoved tells of an agent that unregistered or was brought down;
// unreachable and gone agents leave without an event.
func (m *Master) tellAgentRemoved(id string) {
	m.tell(func() *OperatorEvent {
		return &OperatorEvent{Type: master.Event_AGENT_REMOVED, AgentRemoved: &master.Event_AgentRemoved{AgentID: mesos.AgentID{Value: id}}}
	})
}
