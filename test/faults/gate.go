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

package faults

import (
	"sync"
	"time"
)

// gate holds bytes back in one or both directions.
type gate struct {
	mu      sync.Mutex
	closed  map[Direction]bool
	changed chan struct{}
}

func newGate() *gate { return &gate{closed: map[Direction]bool{}, changed: make(chan struct{})} }

func (g *gate) set(d Direction, closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range []Direction{Forward, Backward} {
		if d == Both || d == one {
			g.closed[one] = closed
		}
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// wait waits until bytes may pass in a direction; false if done came first, or it took
// longer than limit, if that is not zero.
func (g *gate) wait(d Direction, done <-chan struct{}, limit time.Duration) bool {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	for {
		g.mu.Lock()
		closed, changed := g.closed[d], g.changed
		g.mu.Unlock()
		if !closed {
			return true
		}
		select {
		case <-changed:
		case <-late:
			return false
		case <-done:
			return false
		}
	}
}
