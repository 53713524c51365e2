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
	"fmt"
	"testing"
	"time"
)

func TestTracker(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	tracker := NewTracker()
	if got := tracker.Figures(); got != (Figures{}) {
		t.Errorf("before any pod: %+v", got)
	}
	// A hundred pods are created at once; pod i is bound after i+1 ms.
	for i := range 100 {
		p := pod(fmt.Sprint(i), "")
		tracker.Observe(&p, start)
	}
	for i := range 100 {
		at := start.Add(time.Duration(i+1) * time.Millisecond)
		p := pod(fmt.Sprint(i), "node-0")
		tracker.Observe(&p, at)
		tracker.Observe(&p, at.Add(time.Hour)) // later changes do not count
	}
	// One pod was bound before we looked, one never is.
	early, never := pod("early", "node-0"), pod("never", "")
	tracker.Observe(&early, start)
	tracker.Observe(&early, start.Add(time.Second))
	tracker.Observe(&never, start)
	want := Figures{
		Bound: 100, PerSecond: 1000, FirstBound: start.Add(time.Millisecond),
		P50: 50 * time.Millisecond, P99: 99 * time.Millisecond, Max: 100 * time.Millisecond,
	}
	if got := tracker.Figures(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPercentile(t *testing.T) {
	for _, tc := range []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{[]time.Duration{7}, 50, 7},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{1, 2}, 50, 1},
		{[]time.Duration{1, 2, 3}, 50, 2},
		{[]time.Duration{1, 2, 3}, 99, 3},
		{[]time.Duration{1, 2, 3}, 0, 1},
	} {
		if got := percentile(tc.values, tc.p); got != tc.want {
			t.Errorf("percentile(%v, %v) = %v, want %v", tc.values, tc.p, got, tc.want)
		}
	}
}
