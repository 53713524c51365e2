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
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
)

// endEvent is the end of a task.
func endEvent(task string, uuid []byte) *scheduler.Event {
	e := updateEvent(task, uuid)
	state := mesosv1.TASK_KILLED
	e.Update.Status.State = &state
	return e
}

// acked lists what was acknowledged: "task number".
func acked(m *fakeMaster) string {
	var out []string
	for _, c := range m.seen(scheduler.Call_ACKNOWLEDGE) {
		out = append(out, fmt.Sprintf("%s %d", c.Acknowledge.TaskID.Value, c.Acknowledge.UUID[0]))
	}
	return strings.Join(out, ", ")
}

func TestHeldAcknowledgements(t *testing.T) {
	all := func(claims.TaskStatus) bool { return true }
	first := func() func(claims.TaskStatus) bool {
		told := 0
		return func(claims.TaskStatus) bool { told++; return told == 1 }
	}
	tests := []struct {
		name   string
		hold   func(claims.TaskStatus) bool
		events []*scheduler.Event
		// before is acknowledged before ReleaseAck of t, the rest after it.
		before, after string
	}{
		{name: "nothing is held", hold: func(claims.TaskStatus) bool { return false }, events: []*scheduler.Event{endEvent("t", uuidV4(1))}, before: "t 1", after: "t 1"},
		{name: "held", hold: all, events: []*scheduler.Event{endEvent("t", uuidV4(1))}, after: "t 1"},
		{name: "repeated", hold: all, events: []*scheduler.Event{endEvent("t", uuidV4(1)), endEvent("t", uuidV4(1))}, after: "t 1"},
		{name: "a repetition stays held whatever is said of it", hold: first(), events: []*scheduler.Event{endEvent("t", uuidV4(1)), endEvent("t", uuidV4(1))}, after: "t 1"},
		{name: "another end of the task", hold: first(), events: []*scheduler.Event{endEvent("t", uuidV4(1)), endEvent("t", uuidV4(2))}, after: "t 1, t 2"},
		{name: "others stay held", hold: all, events: []*scheduler.Event{endEvent("u", uuidV4(1)), endEvent("t", uuidV4(2))}, after: "t 2"},
		{name: "only ends are held", hold: all, events: []*scheduler.Event{updateEvent("t", uuidV4(1))}, before: "t 1", after: "t 1"},
		{name: "what cannot be acknowledged", hold: all, events: []*scheduler.Event{endEvent("t", nil), endEvent("t", make([]byte, 16))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m, r, st := live(t, n, func(r *rig, _ *Config) { r.handler.hold = test.hold })
				st.send(test.events...)
				time.Sleep(20 * time.Second)
				if got := acked(m); got != test.before {
					t.Errorf("acknowledged %q before the release, want %q", got, test.before)
				}
				r.session.ReleaseAck("t")
				synctest.Wait()
				if got := acked(m); got != test.after {
					t.Errorf("acknowledged %q after the release, want %q", got, test.after)
				}
				r.session.ReleaseAck("t")
				synctest.Wait()
				if got := acked(m); got != test.after {
					t.Errorf("acknowledged %q after a second release", got)
				}
				r.stop()
			})
		})
	}
}

// TestReleaseMeetsUpdate: the handler's work may be done before Updated has returned.
func TestReleaseMeetsUpdate(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, func(r *rig, _ *Config) {
			r.handler.hold = func(s claims.TaskStatus) bool { r.session.ReleaseAck(s.TaskID); return true }
		})
		st.send(endEvent("t", uuidV4(1)))
		synctest.Wait()
		if got := acked(m); got != "t 1" {
			t.Errorf("acknowledged %q", got)
		}
		// That was then: the next is held.
		r.handler.hold = func(claims.TaskStatus) bool { return true }
		st.send(endEvent("t", uuidV4(2)))
		synctest.Wait()
		if got := acked(m); got != "t 1" || len(r.session.current.held.byTask) != 1 {
			t.Errorf("acknowledged %q, held %v", got, r.session.current.held.byTask)
		}
		r.session.ReleaseAck("t")
		r.session.ReleaseAck("unknown")
		synctest.Wait()
		if got := acked(m); got != "t 1, t 2" || len(r.session.current.held.byTask) != 0 {
			t.Errorf("acknowledged %q, held %v", got, r.session.current.held.byTask)
		}
		r.stop()
	})
}

// TestHeldAcknowledgementsEndWithTheirSubscription: on the next stream the agent repeats
// the update, and the handler is asked again.
func TestHeldAcknowledgementsEndWithTheirSubscription(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, func(r *rig, _ *Config) { r.handler.hold = func(claims.TaskStatus) bool { return true } })
		st.send(endEvent("t", uuidV4(1)))
		st.end()
		synctest.Wait()
		r.session.ReleaseAck("t")
		st = m.next("fw")
		r.session.ReleaseAck("t")
		synctest.Wait()
		if got := acked(m); got != "" {
			t.Fatalf("acknowledged %q on another stream", got)
		}
		r.handler.hold = nil
		st.send(endEvent("t", uuidV4(1)))
		synctest.Wait()
		if got := acked(m); got != "t 1" {
			t.Errorf("acknowledged %q", got)
		}
		// What is held does not keep Close waiting.
		r.handler.hold = func(claims.TaskStatus) bool { return true }
		st.send(endEvent("t", uuidV4(2)))
		synctest.Wait()
		if err := r.session.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-r.result; err != nil {
			t.Error(err)
		}
		r.session.ReleaseAck("t")
	})
}

func TestHeldAcknowledgementsAreBounded(t *testing.T) {
	h := &heldAcks{}
	for i := range maxHeldTasks + 10 {
		a := ack{taskID: fmt.Sprint(i)}
		if h.told(h.tell(a.taskID), a, true) {
			t.Fatalf("%d is acknowledged", i)
		}
	}
	for i := range maxHeldOfTask + 10 {
		if a := (ack{taskID: "0", uuid: [16]byte{byte(i)}}); h.told(h.tell("0"), a, true) {
			t.Fatalf("%d is acknowledged", i)
		}
	}
	if got := len(h.byTask); got != maxHeldTasks {
		t.Errorf("%d tasks are remembered", got)
	}
	if got := len(h.release("0")); got != maxHeldOfTask {
		t.Errorf("%d acknowledgements of one task are remembered", got)
	}
}
