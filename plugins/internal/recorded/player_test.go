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

package recorded

import (
	"fmt"
	"io"
	"maps"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

// ack identifies an update to be acknowledged.
type ack struct{ task, agent, uuid string }

// offered is what a master remembers of an outstanding offer.
type offered struct{ agent, host, role string }

// player plays one stream to one subscription. Its books are guarded by the
// master's mutex.
type player struct {
	master *master
	stream *stream
	opened time.Time
	body   *spool
	// due counts the deliveries of each update with a uuid, acked their
	// acknowledgements.
	due, acked map[ack]int
	// offers are outstanding as the master sees it.
	offers map[string]offered
	// rescinded is when offers were; calls may cross with that.
	rescinded map[string]time.Time
	// inverse are the outstanding inverse offers, by id; the value is their agent.
	inverse map[string]string
	// kills counts KILL calls by task.
	kills map[string]int
	// rename changes a frame before it is sent; may be nil.
	rename func(frame) frame
	// drive makes a recorded call through the session; atEnd runs when all frames
	// were read, before the stream ends. Both may be nil.
	drive func(*player, exchange)
	atEnd func(*player)
}

func (p *player) streamID() string { return p.stream.answer.Headers[streamIDHeader] }

// sleep waits until the recorded time; false if the test ends first.
func (p *player) sleep(at time.Duration) bool {
	wait := time.Until(p.opened.Add(p.stream.lived(at)))
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.master.done:
		return false
	}
}

// settle lets everything happen that the last frame or call caused: in virtual
// time the clock moves only when all goroutines wait.
func (p *player) settle() { time.Sleep(time.Microsecond) }

// run plays the frames and calls in their recorded order and at their recorded
// times, then ends the stream as it was ended.
func (p *player) run() {
	calls := p.stream.calls
	for i := 0; i <= len(p.stream.frames); i++ {
		for len(calls) > 0 && (i == len(p.stream.frames) || calls[0].call.Number < p.stream.frames[i].line) {
			if !p.sleep(calls[0].call.At()) {
				return
			}
			p.settle()
			if p.drive != nil {
				p.drive(p, calls[0])
			}
			calls = calls[1:]
		}
		if i == len(p.stream.frames) {
			break
		}
		if !p.sleep(p.stream.frames[i].at) {
			return
		}
		p.send(p.stream.frames[i])
	}
	if !p.sleep(p.stream.endAt) {
		return
	}
	p.settle()
	if p.atEnd != nil {
		p.atEnd(p)
	}
	p.finish()
}

// send writes one frame and keeps the books.
func (p *player) send(f frame) {
	m := p.master
	if p.rename != nil {
		f = p.rename(f)
	}
	m.mu.Lock()
	switch f.kind() {
	case "OFFERS":
		for _, o := range wire.List(wire.Sub(f.event, "offers"), "offers") {
			p.offers[wire.Text(o, "id", "value")] = offered{
				agent: wire.Text(o, "agent_id", "value"), host: wire.Text(o, "hostname"), role: wire.Text(o, "allocation_info", "role"),
			}
		}
	case "RESCIND":
		id := wire.Text(f.event, "rescind", "offer_id", "value")
		delete(p.offers, id)
		p.rescinded[id] = time.Now()
	case "INVERSE_OFFERS":
		for _, o := range wire.List(wire.Sub(f.event, "inverse_offers"), "inverse_offers") {
			p.inverse[wire.Text(o, "id", "value")] = wire.Text(o, "agent_id", "value")
		}
	case "RESCIND_INVERSE_OFFER":
		id := wire.Text(f.event, "rescind_inverse_offer", "inverse_offer_id", "value")
		delete(p.inverse, id)
		p.rescinded[id] = time.Now()
	case "FAILURE":
		// The offers of a removed agent are void. Those that the recorded framework
		// had used were not rescinded.
		agent := wire.Text(f.event, "failure", "agent_id", "value")
		maps.DeleteFunc(p.offers, func(_ string, o offered) bool {
			return o.agent == agent && wire.Text(f.event, "failure", "executor_id", "value") == ""
		})
	case "UPDATE":
		if a, ok := ackOf(f.event); ok {
			p.due[a]++
		}
	}
	m.mu.Unlock()
	p.body.put(f.record)
}

// ackOf is the acknowledgement that an UPDATE asks for, if it does.
func ackOf(event protoreflect.Message) (ack, bool) {
	status := wire.Sub(wire.Sub(event, "update"), "status")
	uuid := wire.Bytes(status, "uuid")
	return ack{
		task: wire.Text(status, "task_id", "value"), agent: wire.Text(status, "agent_id", "value"), uuid: string(uuid),
	}, len(uuid) > 0
}

// finish ends the stream. The client's part in it is up to the test.
func (p *player) finish() {
	m := p.master
	switch p.stream.end {
	case byClient, stillOpen:
		m.over <- struct{}{}
		return
	case byDeath:
		m.left(p)
		p.body.finish(io.ErrUnexpectedEOF)
	default:
		m.left(p)
		p.body.finish(io.EOF)
	}
}

// judge checks a call against what this stream has brought.
func (p *player) judge(kind string, call protoreflect.Message) string {
	switch kind {
	case "ACKNOWLEDGE":
		a := ackIn(call)
		if p.acked[a] >= p.due[a] {
			return fmt.Sprintf("of task %q, delivered %d times with this uuid and acknowledged as often", a.task, p.due[a])
		}
	case "ACCEPT", "DECLINE":
		member := wire.Sub(call, members[kind])
		for _, id := range offerIDs(member) {
			crossed := time.Since(p.rescinded[id]) == 0
			if _, ok := p.offers[id]; !ok && !crossed {
				return fmt.Sprintf("offer %q is not outstanding", id)
			}
		}
	case "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS":
		for _, id := range inverseIDs(wire.Sub(call, members[kind])) {
			if p.inverse[id] == "" && time.Since(p.rescinded[id]) != 0 {
				return fmt.Sprintf("inverse offer %q is not outstanding", id)
			}
		}
	}
	return ""
}

// inverseIDs are the inverse offers that an answer names.
func inverseIDs(answer protoreflect.Message) (ids []string) {
	if answer == nil {
		return nil // a call that a master refuses
	}
	for _, id := range wire.List(answer, "inverse_offer_ids") {
		ids = append(ids, wire.Text(id, "value"))
	}
	return ids
}

func ackIn(call protoreflect.Message) ack {
	return ack{
		task: wire.Text(call, "acknowledge", "task_id", "value"), agent: wire.Text(call, "acknowledge", "agent_id", "value"),
		uuid: string(wire.Bytes(wire.Sub(call, "acknowledge"), "uuid")),
	}
}

// used books what a call consumes.
func (p *player) used(call protoreflect.Message) {
	switch kind := wire.Enum(call, "type"); kind {
	case "ACKNOWLEDGE":
		p.acked[ackIn(call)]++
	case "KILL":
		p.kills[wire.Text(call, "kill", "task_id", "value")]++
	case "ACCEPT", "DECLINE":
		for _, id := range offerIDs(wire.Sub(call, members[kind])) {
			delete(p.offers, id)
		}
	case "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS":
		for _, id := range inverseIDs(wire.Sub(call, members[kind])) {
			delete(p.inverse, id)
		}
	}
}
