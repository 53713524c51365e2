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
				cause = l.done
			}
		case "admin":
			cause = l.done
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

// longestChain drops moments that do not lie on one drifting phase: it keeps the
// sequence with the most moments and the least unexplained drift between them.
func longestChain(at []time.Duration, interval time.Duration) []time.Duration {
	best, from := make([]float64, len(at)), make([]int, len(at))
	end := -1
	for i := range at {
		best[i], from[i] = 1, -1
		for j := range i {
			if ticksBetween(at[j], at[i], interval) < 1 {
				continue
			}
			if score := best[j] + 1 - unexplained(at[j], at[i], interval); score > best[i] {
				best[i], from[i] = score, j
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

// unexplained grows with the part of the drift between two ticks that is not
// usual, from 0 to 1.
func unexplained(a, b, interval time.Duration) float64 {
	n := time.Duration(ticksBetween(a, b, interval))
	if n*2*time.Millisecond > interval/2 {
		return 0.3 // too long ago to tell
	}
	drift := b - a - n*(interval+time.Millisecond)
	return min(1, math.Abs(float64(drift))/(0.8*float64(interval)))
}

// late is how late after a tick its offers may have been read.
const late = 60 * time.Millisecond

// ticksBetween is the number of ticks from a to b: a tick is never early, is
// usually a millisecond late, and all others of the busy machine's delays add up.
func ticksBetween(a, b, interval time.Duration) int {
	return int((b - a + late) / (interval + time.Millisecond))
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
