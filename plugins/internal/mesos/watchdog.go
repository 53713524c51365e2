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
	"io"
	"math"
	"sync"
	"time"
)

const (
	// defaultHeartbeat is the period of a master's heartbeats (master
	// constants.hpp DEFAULT_HEARTBEAT_INTERVAL); used until SUBSCRIBED tells it.
	defaultHeartbeat = 15 * time.Second
	// maxHeartbeat bounds what we believe of SUBSCRIBED.
	maxHeartbeat = time.Hour
)

// watchedReader calls a function when a Read waits longer than the limit. The time
// that the handler takes between Reads does not count, and a record that arrives
// slowly but steadily counts as life.
//
// A process that was stopped for long finds its timers run out and its socket full
// at the same moment. So the last part of the limit begins only when the first has
// been noticed: what waits to be read, it may be the news that somebody else took
// over, is then read.
type watchedReader struct {
	in     io.Reader
	timer  *time.Timer
	limit  time.Duration
	silent func()

	mu sync.Mutex
	// since is when the Read that waits began, zero between Reads; first and last
	// are the parts of its limit.
	since       time.Time
	first, last time.Duration
}

// lastCall is the last part of the limit of a watchedReader, at most.
const lastCall = time.Second

// watch starts with a stopped timer.
func watch(in io.Reader, limit time.Duration, silent func()) *watchedReader {
	w := &watchedReader{in: in, limit: limit, silent: silent}
	w.timer = time.AfterFunc(math.MaxInt64, w.expired)
	w.timer.Stop()
	return w
}

// expired runs when the first part of the limit is over.
func (w *watchedReader) expired() {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := w.since
	if since.IsZero() || time.Since(since) < w.first {
		return // that Read has just returned
	}
	time.AfterFunc(w.last, func() {
		w.mu.Lock()
		waits := w.since.Equal(since)
		w.mu.Unlock()
		if waits {
			w.silent()
		}
	})
}

// Read implements io.Reader.
func (w *watchedReader) Read(p []byte) (int, error) {
	w.mu.Lock()
	w.since, w.last = time.Now(), min(lastCall, w.limit/4)
	w.first = w.limit - w.last
	w.timer.Reset(w.first)
	w.mu.Unlock()
	n, err := w.in.Read(p)
	w.timer.Stop()
	w.mu.Lock()
	w.since = time.Time{}
	w.mu.Unlock()
	return n, err
}

// heartbeatInterval reads SUBSCRIBED.heartbeat_interval_seconds; what makes no
// sense counts as absent.
func heartbeatInterval(seconds float64) time.Duration {
	if !(seconds > 0) || seconds > maxHeartbeat.Seconds() {
		return defaultHeartbeat
	}
	return max(time.Duration(seconds*float64(time.Second)), time.Millisecond)
}
