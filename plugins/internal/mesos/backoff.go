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

import "time"

// backoff is the wait between subscriptions: doubling, jittered, bounded. It
// knows neither the clock nor a source of randomness.
type backoff struct {
	initial, max time.Duration
	next         time.Duration
}

// wait returns the next wait: between half of it and all of it, by jitter in
// [0,1). Instances that lost the same master at the same moment spread out.
func (b *backoff) wait(jitter float64) time.Duration {
	full := max(b.next, b.initial)
	b.next = min(2*full, b.max)
	full = min(full, b.max)
	return full/2 + time.Duration(jitter*float64(full-full/2))
}

// lasted resets the wait if a subscription lived at least as long as the longest
// wait: a master that drops us right after subscribing must not be hammered.
func (b *backoff) lasted(d time.Duration) {
	if d >= b.max {
		b.next = 0
	}
}

// longest makes the next wait the longest one.
func (b *backoff) longest() { b.next = b.max }

// reset makes the next wait the shortest one.
func (b *backoff) reset() { b.next = 0 }
