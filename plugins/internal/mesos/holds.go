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

package mesos

import (
	"slices"
	"sync"

	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
)

const (
	// maxHeldTasks bounds the tasks whose acknowledgements are held back, maxHeldOfTask
	// those of one: an agent sends the next update of a task only after the last was
	// acknowledged. What is beyond is not remembered: it is held when the agent repeats
	// it, if there is room by then.
	maxHeldTasks  = 1 << 16
	maxHeldOfTask = 4
)

// heldAcks are the acknowledgements of one subscription that wait for ReleaseAck.
type heldAcks struct {
	mu     sync.Mutex
	byTask map[string]*heldTask
}

// heldTask is what is held of one task.
type heldTask struct {
	acks []ack
	// telling says that the handler is just being told of an update. released says that
	// ReleaseAck came meanwhile: the handler may have decided before it returned.
	telling, released bool
}

// tell begins to tell the handler of an update that may be held.
func (h *heldAcks) tell(taskID string) *heldTask {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.byTask[taskID]
	if t == nil {
		t = &heldTask{}
		if h.byTask == nil {
			h.byTask = map[string]*heldTask{}
		}
		h.byTask[taskID] = t
	}
	t.telling, t.released = true, false
	return t
}

// told ends that: it returns whether the acknowledgement is to be sent now. What is
// held stays so whatever the handler says of a repetition.
func (h *heldAcks) told(t *heldTask, a ack, hold bool) (send bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.telling = false
	send = t.released || !hold && len(t.acks) == 0
	if !send && len(t.acks) < maxHeldOfTask && len(h.byTask) <= maxHeldTasks && !slices.Contains(t.acks, a) {
		t.acks = append(t.acks, a)
	}
	if len(t.acks) == 0 {
		delete(h.byTask, a.taskID)
	}
	return send
}

// release takes what is held of a task.
func (h *heldAcks) release(taskID string) []ack {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.byTask[taskID]
	if t == nil {
		return nil
	}
	acks := t.acks
	t.acks, t.released = nil, true
	if !t.telling {
		delete(h.byTask, taskID)
	}
	return acks
}

// onUpdate tells the handler of a status and acknowledges it, unless the handler holds
// that back.
func (st *stream) onUpdate(status claims.TaskStatus) {
	s := st.session
	a, ok := ackOf(status.TaskID, status.AgentID, status.UUID)
	if ok && status.State.Terminal() {
		task := st.sub.held.tell(status.TaskID)
		hold := s.handler.Updated(status)
		if st.sub.held.told(task, a, hold) {
			s.queueAck(a)
		}
		return
	}
	s.handler.Updated(status)
	switch {
	case ok:
		s.queueAck(a)
	case len(status.UUID) > 0:
		s.counters.acksImpossible.Add(1)
		klog.FromContext(st.sub.ctx).V(2).Info("An update cannot be acknowledged, its uuid or agent is not one that a master accepts",
			"taskID", status.TaskID, "agentID", status.AgentID, "uuidBytes", len(status.UUID))
	}
}

// queueAck queues an acknowledgement for the live subscription, if there still is one.
func (s *Session) queueAck(a ack) {
	sub, err := s.begin()
	if err != nil {
		s.counters.acksDropped.Add(1)
		return
	}
	if !sub.acks.add(a) {
		s.dropAck()
	}
}

// ReleaseAck implements Client.
func (s *Session) ReleaseAck(taskID string) {
	s.mu.Lock()
	sub := s.current
	s.mu.Unlock()
	if sub == nil {
		return
	}
	for _, a := range sub.held.release(taskID) {
		s.queueAck(a)
	}
}
