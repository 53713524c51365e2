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
	"context"
	"hash/maphash"
	"sync"
)

const (
	// ackLanes is how many ACKNOWLEDGEs are under way at once; those of one task
	// share a lane and stay in order.
	ackLanes = 8
	// maxPendingAcks bounds the acknowledgements that wait in one lane. What does
	// not fit is dropped: the agent repeats an unacknowledged update after 10 s,
	// then after doubled waits up to 10 min, for ever.
	maxPendingAcks = 8192
)

// ack is one acknowledgement to send.
type ack struct {
	taskID, agentID string
	uuid            [16]byte
}

// ackLane is one queue of acknowledgements with one sender.
type ackLane struct {
	mu      sync.Mutex
	pending []ack
	// wake holds a token while pending may be non-empty.
	wake chan struct{}
}

// ackQueue spreads acknowledgements over lanes by task.
type ackQueue struct {
	lanes [ackLanes]ackLane
	seed  maphash.Seed
}

func newAckQueue() *ackQueue {
	q := &ackQueue{seed: maphash.MakeSeed()}
	for i := range q.lanes {
		q.lanes[i].wake = make(chan struct{}, 1)
	}
	return q
}

// add queues an acknowledgement and never blocks; false means that it was dropped.
func (q *ackQueue) add(a ack) bool {
	l := q.lane(a.taskID)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) >= maxPendingAcks {
		return false
	}
	l.pending = append(l.pending, a)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

func (q *ackQueue) lane(taskID string) *ackLane {
	return &q.lanes[maphash.String(q.seed, taskID)%ackLanes]
}

// take returns all that waits in the lane.
func (l *ackLane) take() []ack {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.pending
	l.pending = nil
	return out
}

// run sends what is queued, in order, until ctx ends; then it hands what is left
// to drop.
func (l *ackLane) run(ctx context.Context, send, drop func(ack)) {
	for {
		select {
		case <-ctx.Done():
		case <-l.wake:
		}
		for _, a := range l.take() {
			if ctx.Err() != nil {
				drop(a)
				continue
			}
			send(a)
		}
		if ctx.Err() != nil {
			return
		}
	}
}
