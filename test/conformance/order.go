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
	"sort"
	"time"
)

// order checks the order of events on each stream against the recorded one.
//
// A master's events of one stream leave it in one order, but what it tells comes
// from several actors: the allocator's offers, what agents report, what it decides
// itself. So events of different things may overtake each other, within the time
// it takes to handle a message. What must not:
//   - SUBSCRIBED is first, ERROR last;
//   - the updates of one task, the statuses of one operation, the events that an
//     executor gets of one task: always in order;
//   - offers and rescinds, inverse ones likewise: always in order, but for rescinds
//     of one moment, which a master sends in the order of a hash set;
//   - what one decision of a master tells in several kinds of events (an agent or
//     an executor lost: updates, rescinds, failures): kinds in order.
type order struct {
	seen map[*conn][]placed
	add  func(line int, what, format string, args ...any)
}

// placed is a recorded event and the live one that matched it.
type placed struct {
	e    *expected
	live *liveEvent
}

// matched notes that a recorded event was matched by a live one.
func (o *order) matched(c *conn, e *expected, live *liveEvent) {
	o.seen[c] = append(o.seen[c], placed{e, live})
}

// check reports what is out of order on the streams.
func (o *order) check() {
	for _, events := range o.seen {
		sort.SliceStable(events, func(i, j int) bool { return events[i].e.l.pos < events[j].e.l.pos })
		last := map[string]placed{}
		for i, p := range events {
			if p.e.kind == "SUBSCRIBED" && p.live.seq != 0 {
				o.add(p.e.l.Number, p.label(), "order: not the first event of its stream")
			}
			if class := classOf(p.e); class != "" {
				if was, ok := last[class]; ok && was.live.seq > p.live.seq && !hashed(was, p) {
					o.add(p.e.l.Number, p.label(), "order: came before %s of line %d", was.label(), was.e.l.Number)
				}
				last[class] = p
			}
			if i > 0 && oneDecision(events[i-1], p) && events[i-1].live.seq > p.live.seq {
				o.add(p.e.l.Number, p.label(), "order: came before %s of line %d", events[i-1].label(), events[i-1].e.l.Number)
			}
		}
	}
}

func (p placed) label() string { return label(p.e.kind, p.e.l.event) }

// classOf names the sequence an event belongs to, "" if it belongs to none.
func classOf(e *expected) string {
	switch e.kind {
	case "UPDATE":
		return "task " + memberText(e.l.event, "update", "status", "task_id", "value")
	case "TASK_ADDED":
		return "task " + memberText(e.l.event, "task_added", "task", "task_id", "value")
	case "TASK_UPDATED":
		return "task " + memberText(e.l.event, "task_updated", "status", "task_id", "value")
	case "LAUNCH":
		return "task " + memberText(e.l.event, "launch", "task", "task_id", "value")
	case "KILL":
		return "task " + memberText(e.l.event, "kill", "task_id", "value")
	case "ACKNOWLEDGED":
		return "task " + memberText(e.l.event, "acknowledged", "task_id", "value")
	case "UPDATE_OPERATION_STATUS":
		return "operation " + memberText(e.l.event, "update_operation_status", "status", "operation_id", "value")
	case "OFFERS", "RESCIND":
		return "offers"
	case "INVERSE_OFFERS", "RESCIND_INVERSE_OFFER":
		return "inverse offers"
	case "AGENT_ADDED", "AGENT_REMOVED":
		return "agents"
	case "FRAMEWORK_ADDED", "FRAMEWORK_UPDATED", "FRAMEWORK_REMOVED":
		return "frameworks"
	}
	return ""
}

// hashed tells whether two events are rescinds of one moment.
func hashed(a, b placed) bool {
	return a.e.kind == b.e.kind && (a.e.kind == "RESCIND" || a.e.kind == "RESCIND_INVERSE_OFFER") && b.e.l.At()-a.e.l.At() <= atOnce
}

// decided are the kinds of events by which a master tells of a loss.
var decided = map[string]bool{"UPDATE": true, "RESCIND": true, "FAILURE": true, "RESCIND_INVERSE_OFFER": true}

// oneDecision tells whether two events that were recorded one after the other, of
// different kinds, come from one decision: both came without a call, at once.
func oneDecision(a, b placed) bool {
	const together = 2 * time.Millisecond
	return a.e.kind != b.e.kind && decided[a.e.kind] && decided[b.e.kind] && b.e.l.At()-a.e.l.At() <= together &&
		a.live.at.Equal(b.live.at)
}
