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

package demo

import (
	"math"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Tracker measures from a watch how long pods wait for their binding. Times are
// those at which the watch delivered, with full precision: the API's own
// timestamps have whole seconds.
type Tracker struct {
	mu      sync.Mutex
	created map[types.UID]time.Time
	bound   map[types.UID]time.Time
}

// NewTracker returns a tracker that saw no pod.
func NewTracker() *Tracker {
	return &Tracker{created: map[types.UID]time.Time{}, bound: map[types.UID]time.Time{}}
}

// Observe records a pod as it is now. Pods first seen bound are not measured.
func (t *Tracker) Observe(pod *v1.Pod, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, seen := t.created[pod.UID]; !seen {
		if pod.Spec.NodeName == "" {
			t.created[pod.UID] = now
		}
		return
	}
	if _, done := t.bound[pod.UID]; !done && pod.Spec.NodeName != "" {
		t.bound[pod.UID] = now
	}
}

// Figures are what a tracker measured.
type Figures struct {
	// Bound is how many pods were bound, PerSecond their rate from the first
	// pod's creation to the last binding.
	Bound     int
	PerSecond float64
	// FirstBound is when the first pod was bound; zero if none was.
	FirstBound time.Time
	// P50, P99 and Max are the times from creation to binding.
	P50, P99, Max time.Duration
}

// Figures returns what was measured so far.
func (t *Tracker) Figures() Figures {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first, firstBound, last time.Time
	var waits []time.Duration
	for uid, bound := range t.bound {
		created := t.created[uid]
		waits = append(waits, bound.Sub(created))
		if first.IsZero() || created.Before(first) {
			first = created
		}
		if firstBound.IsZero() || bound.Before(firstBound) {
			firstBound = bound
		}
		if bound.After(last) {
			last = bound
		}
	}
	if len(waits) == 0 {
		return Figures{}
	}
	slices.Sort(waits)
	f := Figures{
		Bound: len(waits), FirstBound: firstBound, P50: percentile(waits, 50), P99: percentile(waits, 99), Max: waits[len(waits)-1],
	}
	if span := last.Sub(first).Seconds(); span > 0 {
		f.PerSecond = float64(f.Bound) / span
	}
	return f
}

// percentile returns the smallest of the sorted values that p percent of them
// do not exceed (nearest rank).
func percentile(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
