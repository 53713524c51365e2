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
	"container/heap"
	"time"
)

// timer is one thing to do at one moment of the emulated time.
type timer struct {
	at    time.Time
	seq   uint64
	do    func()
	index int // in the heap; -1 once out of it
	queue *timers
	// mortal timers end with the life of the master that set them.
	mortal bool
}

// Stop takes the timer back.
func (t *timer) Stop() { t.queue.cancel(t) }

// timerHeap orders timers by time, then by creation, so that a run is
// deterministic.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.index = -1
	*h = old[:len(old)-1]
	return t
}

// timers is a queue of timers.
type timers struct {
	heap timerHeap
	seq  uint64
}

func (t *timers) add(at time.Time, do func()) *timer {
	t.seq++
	x := &timer{at: at, seq: t.seq, do: do, queue: t}
	heap.Push(&t.heap, x)
	return x
}

// cancel takes a timer back; nil and timers that have fired are fine.
func (t *timers) cancel(x *timer) {
	if x != nil && x.index >= 0 {
		heap.Remove(&t.heap, x.index)
	}
}

// forget takes the mortal timers back: a week's failover timeout would keep all that a
// dead master knew.
func (t *timers) forget() {
	var kept timerHeap
	for _, x := range t.heap {
		if x.mortal {
			x.index = -1
			continue
		}
		x.index = len(kept)
		kept = append(kept, x)
	}
	t.heap = kept
	heap.Init(&t.heap)
}

// pop takes the next timer due at now, nil if there is none.
func (t *timers) pop(now time.Time) *timer {
	if len(t.heap) == 0 || t.heap[0].at.After(now) {
		return nil
	}
	return heap.Pop(&t.heap).(*timer)
}

func (t *timers) next() (time.Time, bool) {
	if len(t.heap) == 0 {
		return time.Time{}, false
	}
	return t.heap[0].at, true
}
