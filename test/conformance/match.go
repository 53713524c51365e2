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
	"fmt"
	"strings"
	"time"
)

// expected is a recorded event that the emulator still has to match.
type expected struct {
	l    *line
	conn *conn
	kind string
	// due is when it should come: at once after its cause, or at its own time.
	due time.Time
	// tolerance is how far from due it may come; see README.md.
	tolerance time.Duration
	// cause is the line of the last call or deed before it.
	cause int
}

// Tolerances of the classes of times.
const (
	tolAtOnce    = 60 * time.Millisecond
	tolTick      = 30 * time.Millisecond
	tolHeartbeat = 20 * time.Millisecond
	tolOther     = 200 * time.Millisecond
)

// expect notes a recorded event as the next to come on its connection.
func (r *replay) expect(l *line) {
	e := &expected{l: l, conn: r.conns[l.Conn], kind: l.eventType(), due: r.moment(l), tolerance: tolOther, cause: r.driver.Number}
	sinceCause := l.At() - r.driver.done
	switch {
	case l.executor != nil: // written down when the process had the time to read it
	case sinceCause <= atOnce:
		e.due, e.tolerance = r.driven.Add(sinceCause), tolAtOnce
	case e.kind == "HEARTBEAT":
		e.tolerance = tolHeartbeat
	case e.kind == "OFFERS" || e.kind == "INVERSE_OFFERS":
		e.tolerance = tolTick
	}
	if e.conn == nil {
		r.report.add(l.Number, label(e.kind, l.event), "the connection %s has no stream", l.Conn)
		return
	}
	r.pending = append(r.pending, e)
}

// match pairs recorded events with live ones as far as they have come.
func (r *replay) match() {
	kept := r.pending[:0]
	for _, e := range r.pending {
		if live := r.find(e); live != nil {
			r.compareEvent(e, live)
		} else {
			kept = append(kept, e)
		}
	}
	r.pending = kept
}

// find returns the first live event that says the same as e in what identifies
// it.
func (r *replay) find(e *expected) *liveEvent {
	for _, c := range e.conn.chain() {
		for _, live := range c.unmatched() {
			if live.kind == e.kind && r.same(e.kind, e.l.event, live.tree) {
				return live
			}
		}
	}
	return nil
}

// findLike returns a live event that stands in e's place though it says something
// else, so that the difference is shown as one of content.
func (r *replay) findLike(e *expected) *liveEvent {
	for _, live := range e.conn.unmatched() {
		if live.kind == e.kind && alike(e.kind, e.l.event, live.tree) && live.at.After(e.due.Add(-10*time.Second)) {
			return live
		}
	}
	return nil
}

// identity names the members that make an event of a kind this event and no other.
type identity struct {
	texts, ids [][]string
}

func paths(all ...string) [][]string {
	out := make([][]string, len(all))
	for i, p := range all {
		out[i] = strings.Split(p, ".")
	}
	return out
}

var identities = map[string]identity{
	"UPDATE": {
		texts: paths("update.status.task_id.value", "update.status.state", "update.status.reason", "update.status.source"),
		ids:   paths("update.status.uuid"),
	},
	"RESCIND":               {ids: paths("rescind.offer_id.value")},
	"RESCIND_INVERSE_OFFER": {ids: paths("rescind_inverse_offer.inverse_offer_id.value")},
	"FAILURE":               {texts: paths("failure.executor_id.value"), ids: paths("failure.agent_id.value")},
	"UPDATE_OPERATION_STATUS": {
		texts: paths("update_operation_status.status.operation_id.value", "update_operation_status.status.state"),
		ids:   paths("update_operation_status.status.uuid.value"),
	},
	"ACKNOWLEDGED": {texts: paths("acknowledged.task_id.value"), ids: paths("acknowledged.uuid")},
	"LAUNCH":       {texts: paths("launch.task.task_id.value")},
	"KILL":         {texts: paths("kill.task_id.value")},
	"MESSAGE":      {texts: paths("message.data")},
	"TASK_ADDED":   {texts: paths("task_added.task.task_id.value")},
	"TASK_UPDATED": {texts: paths("task_updated.status.task_id.value", "task_updated.state")},
}

// same tells whether two events of one kind are the same event, by what
// identifies it and the ids known so far.
func (r *replay) same(kind string, recorded, live any) bool {
	if list := map[string]string{"OFFERS": "offers", "INVERSE_OFFERS": "inverse_offers"}[kind]; list != "" {
		return offersText(recorded, list, list) == offersText(live, list, list)
	}
	for _, p := range identities[kind].texts {
		if memberText(recorded, p...) != memberText(live, p...) {
			return false
		}
	}
	for _, p := range identities[kind].ids {
		if !r.sameID(memberText(recorded, p...), memberText(live, p...)) {
			return false
		}
	}
	return true
}

// alike is same without what may differ.
func alike(kind string, recorded, live any) bool {
	switch kind {
	case "UPDATE":
		return memberText(recorded, "update", "status", "task_id", "value") == memberText(live, "update", "status", "task_id", "value")
	case "OFFERS":
		return len(offerList(recorded)) == len(offerList(live)) && memberText(offerList(recorded)[0], "hostname") == memberText(offerList(live)[0], "hostname")
	case "UPDATE_OPERATION_STATUS":
		k := "update_operation_status"
		return memberText(recorded, k, "status", "operation_id", "value") == memberText(live, k, "status", "operation_id", "value")
	case "TASK_UPDATED", "RESCIND", "FAILURE":
		return false
	}
	return true
}

func offerList(event any) []any {
	list, _ := member(event, "offers", "offers").([]any)
	if len(list) == 0 {
		return []any{nil}
	}
	return list
}

// sameID tells whether two ids can name the same thing.
func (r *replay) sameID(recorded, live string) bool {
	if recorded == "" || live == "" {
		return recorded == live
	}
	if spaceOf(recorded) != spaceOf(live) {
		return false
	}
	return r.ids.compatible(spaceOf(recorded), recorded, live)
}

// offersText renders what identifies a set of offers.
func offersText(event any, path ...string) string {
	list, _ := member(event, path...).([]any)
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = fmt.Sprintf("%s %s %s", memberText(o, "hostname"), memberText(o, "allocation_info", "role"), maskedText(map[string]any{
			"resources": member(o, "resources"), "unavailability": member(o, "unavailability") != nil,
		}))
	}
	return strings.Join(sorted(out), "\n")
}

// compareEvent pairs a recorded event with a live one and notes what differs.
func (r *replay) compareEvent(e *expected, live *liveEvent) {
	live.matched = true
	what := label(e.kind, e.l.event)
	c := r.comparison()
	c.tree("", "", e.l.event, live.tree)
	for _, d := range c.diffs {
		r.report.add(e.l.Number, what, "%s", d)
	}
	if late := live.at.Sub(e.due); late > e.tolerance || late < -e.tolerance {
		r.report.add(e.l.Number, what, "time: %d ms from the recorded moment", late.Milliseconds())
	}
	r.order.matched(live.conn, e, live)
}

// label names an event for people.
func label(kind string, event any) string {
	switch kind {
	case "UPDATE":
		s := member(event, "update", "status")
		return strings.TrimSpace(fmt.Sprintf("UPDATE %.40s %s %s", memberText(s, "task_id", "value"), memberText(s, "state"), memberText(s, "reason")))
	case "OFFERS":
		var parts []string
		for _, o := range offerList(event) {
			parts = append(parts, strings.TrimSuffix(memberText(o, "hostname")+"/"+memberText(o, "allocation_info", "role"), "/"))
		}
		return "OFFERS " + strings.Join(sorted(parts), " ")
	case "TASK_UPDATED":
		return "TASK_UPDATED " + memberText(event, "task_updated", "status", "task_id", "value") + " " + memberText(event, "task_updated", "state")
	case "TASK_ADDED":
		return "TASK_ADDED " + memberText(event, "task_added", "task", "task_id", "value")
	}
	return kind
}
