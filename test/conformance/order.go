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

// order checks what Mesos guarantees about the order of events on one stream:
// SUBSCRIBED comes first, ERROR last, the updates of one task, the statuses of one
// operation and the offers and rescinds in the order in which they happened.
// Events of different things come from different actors and may overtake each
// other; see README.md.
type order struct {
	last map[string]*placed
	add  func(line int, what, format string, args ...any)
}

// placed is a recorded event and the live one that matched it.
type placed struct {
	recorded int // line
	live     *liveEvent
	label    string
}

// classOf names the sequence an event belongs to, "" if it belongs to none.
func classOf(e *expected) string {
	switch e.kind {
	case "UPDATE":
		return "task " + memberText(e.l.event, "update", "status", "task_id", "value")
	case "TASK_UPDATED":
		return "task " + memberText(e.l.event, "task_updated", "status", "task_id", "value")
	case "UPDATE_OPERATION_STATUS":
		return "operation " + memberText(e.l.event, "update_operation_status", "status", "operation_id", "value")
	case "OFFERS", "RESCIND":
		return "offers"
	case "INVERSE_OFFERS", "RESCIND_INVERSE_OFFER":
		return "inverse offers"
	}
	return ""
}

// seen notes that a recorded event was matched by a live one.
func (o *order) seen(e *expected, live *liveEvent) {
	class := classOf(e)
	if class == "" {
		return
	}
	key := e.conn.name + " " + class
	p := &placed{e.l.Number, live, label(e.kind, e.l.event)}
	if was := o.last[key]; was != nil && live.at.Before(was.live.at) {
		o.add(e.l.Number, p.label, "order: came before %s of line %d", was.label, was.recorded)
	}
	o.last[key] = p
}
