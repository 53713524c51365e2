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
	"sync"
)

// acceptLanes is how many ACCEPTs are under way at once. Those of one agent share
// a lane: they stay in order. A master serves about 3,000 calls a second on one
// connection and twice that on eight.
const acceptLanes = 8

// lane lets one call through at a time, in the order of arrival.
type lane struct {
	mu      sync.Mutex
	busy    bool
	waiters []chan struct{}
}

// acquire waits for its turn. It returns false, and the lane is not held, if ctx
// or the subscription's ctx ended first.
func (l *lane) acquire(ctx, sub context.Context) bool {
	l.mu.Lock()
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	l.waiters = append(l.waiters, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-ctx.Done():
	case <-sub.Done():
	}
	l.leave(turn)
	return false
}

// leave takes a waiter out of the queue, or passes its turn on if it has just
// come.
func (l *lane) leave(turn chan struct{}) {
	l.mu.Lock()
	for i, w := range l.waiters {
		if w == turn {
			l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
			l.mu.Unlock()
			return
		}
	}
	l.mu.Unlock()
	l.release()
}

// release lets the next waiter in.
func (l *lane) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiters) == 0 {
		l.busy = false
		return
	}
	next := l.waiters[0]
	l.waiters[0] = nil
	l.waiters = l.waiters[1:]
	close(next)
}

// lanes are the ways by which calls reach the master: ACCEPTs in parallel by
// agent, all else in one line, so that SUPPRESS then REVIVE, or DECLINE then
// REVIVE, reach the master as they were made.
type lanes struct {
	accept  [acceptLanes]lane
	ordered lane

	mu sync.Mutex
	// calls counts the calls in each of accept, under way or waiting.
	calls [acceptLanes]int
	// agents are those with such calls.
	agents map[string]*agentLane
}

// agentLane is where the calls of an agent go as long as there are any.
type agentLane struct{ index, calls int }

func newLanes() *lanes { return &lanes{agents: map[string]*agentLane{}} }

// forAgent returns the lane for a call of an agent: that of its other calls, else the
// one with the fewest, so that no lane is idle while calls of two agents wait in
// another. done must be called when the call has left the lane.
func (l *lanes) forAgent(agentID string) (way *lane, done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.agents[agentID]
	if a == nil {
		a = &agentLane{}
		for i, n := range l.calls {
			if n < l.calls[a.index] {
				a.index = i
			}
		}
		l.agents[agentID] = a
	}
	a.calls++
	l.calls[a.index]++
	return &l.accept[a.index], func() { l.leave(agentID, a) }
}

func (l *lanes) leave(agentID string, a *agentLane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.calls--
	l.calls[a.index]--
	if a.calls == 0 {
		delete(l.agents, agentID)
	}
}
