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
	"time"
)

const (
	// defaultHeartbeat is the period of a master's heartbeats (master
	// constants.hpp DEFAULT_HEARTBEAT_INTERVAL); used until SUBSCRIBED tells it.
	defaultHeartbeat = 15 * time.Second
	// maxHeartbeat bounds what we believe of SUBSCRIBED.
	maxHeartbeat = time.Hour
)

// watchedReader calls its timer's function when a Read waits longer than the
// limit. The time that the handler takes between Reads does not count, and a
// record that arrives slowly but steadily counts as life.
type watchedReader struct {
	in    io.Reader
	timer *time.Timer
	limit time.Duration
}

// watch starts with a stopped timer.
func watch(in io.Reader, limit time.Duration, silent func()) *watchedReader {
	t := time.AfterFunc(math.MaxInt64, silent)
	t.Stop()
	return &watchedReader{in: in, timer: t, limit: limit}
}

// Read implements io.Reader.
func (w *watchedReader) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	n, err := w.in.Read(p)
	w.timer.Stop()
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
