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

package conformance

import (
	"math"
	"time"
)

// A real master's allocation interval runs on a phase of its own and drifts with
// the load of the machine. The recorded moments of offers that no call explains
// tell where it ticked; the emulator's interval is moved along, so that filters
// expire on the recorded side of each tick.

// atOnce is the time within which a real master answers what it need not wait
// for, on the busy machine of the recordings.
const atOnce = 45 * time.Millisecond

// triggers are the calls after which a master allocates at once.
var triggers = map[string]bool{"SUBSCRIBE": true, "REVIVE": true, "UPDATE_FRAMEWORK": true}

// tickAnchors returns the moments of the recorded offers that came with a tick,
// for the lines of one master's life.
func tickAnchors(lines []*line, interval time.Duration) []time.Duration {
	var found []time.Duration
	cause := time.Duration(math.MinInt64 / 2)
	for i, l := range lines {
		switch l.Kind {
		case "call":
			if triggers[l.callType()] && !takesOver(lines[i:]) {
				cause = l.At()
			}
		case "admin":
			cause = l.At()
		case "event":
			if t := l.eventType(); (t == "OFFERS" || t == "INVERSE_OFFERS") && l.At()-cause > atOnce {
				if n := len(found); n == 0 || l.At()-found[n-1] > 20*time.Millisecond {
					found = append(found, l.At())
				}
			}
		}
	}
	return longestChain(found, interval)
}

// takesOver tells whether the SUBSCRIBE at the head of lines takes a framework
// over from a connected instance, which is no reason to allocate.
func takesOver(lines []*line) bool {
	for _, l := range lines {
		if l.At()-lines[0].At() > 200*time.Millisecond {
			return false
		}
		if l.Kind == "event" && memberText(l.event, "error", "message") == "Framework failed over" {
			return lines[0].callType() == "SUBSCRIBE"
		}
	}
	return false
}

// longestChain drops moments that do not lie on one slowly drifting phase.
func longestChain(at []time.Duration, interval time.Duration) []time.Duration {
	best, from := make([]int, len(at)), make([]int, len(at))
	end := -1
	for i := range at {
		best[i], from[i] = 1, -1
		for j := range i {
			if onPhase(at[j], at[i], interval) && best[j]+1 > best[i] {
				best[i], from[i] = best[j]+1, j
			}
		}
		if end < 0 || best[i] > best[end] {
			end = i
		}
	}
	var out []time.Duration
	for i := end; i >= 0; i = from[i] {
		out = append([]time.Duration{at[i]}, out...)
	}
	return out
}

// onPhase tells whether two moments may be ticks of one interval that drifts by
// up to 2 ms each, and is read up to 60 ms late on a busy machine.
func onPhase(a, b, interval time.Duration) bool {
	n := ticksBetween(a, b, interval)
	if n < 1 {
		return false
	}
	drift, blur := b-a-time.Duration(n)*interval, 60*time.Millisecond+time.Duration(n)*2*time.Millisecond
	if blur > interval/2 {
		return true // too long ago to tell
	}
	return drift > -60*time.Millisecond && drift < 60*time.Millisecond+time.Duration(n)*2*time.Millisecond
}

// ticksBetween is the number of ticks from a to b; drift makes it less than the
// quotient says.
func ticksBetween(a, b, interval time.Duration) int {
	const drift = time.Millisecond // usual, per tick
	return int(math.Round(float64(b-a) / float64(interval+drift)))
}

// tickSchedule returns all ticks in [from, to): the anchors, evenly spaced ticks
// between them, and ticks at the interval before and after.
func tickSchedule(anchors []time.Duration, interval, from, to time.Duration) []time.Duration {
	if len(anchors) == 0 {
		anchors = []time.Duration{from + interval}
	}
	var out []time.Duration
	for t := anchors[0] - interval; t >= from; t -= interval {
		out = append([]time.Duration{t}, out...)
	}
	for i, a := range anchors {
		out = append(out, a)
		if i+1 == len(anchors) {
			for t := a + interval; t < to; t += interval {
				out = append(out, t)
			}
			break
		}
		n := ticksBetween(a, anchors[i+1], interval)
		for k := 1; k < n; k++ {
			out = append(out, a+(anchors[i+1]-a)*time.Duration(k)/time.Duration(n))
		}
	}
	return out
}
