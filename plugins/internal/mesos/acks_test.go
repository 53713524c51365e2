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
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
)

func TestAcknowledgements(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		var m *fakeMaster
		m, r, st := live(t, n, func(r *rig, _ *Config) {
			r.handler.onUpdate = func(s claims.TaskStatus) {
				time.Sleep(time.Second) // An acknowledgement made too early arrives meanwhile.
				got := len(m.seen(scheduler.Call_ACKNOWLEDGE))
				if told := len(r.handler.statuses); s.TaskID == "t1" && told == 0 && got != 0 {
					t.Errorf("acknowledged before the handler was told")
				}
			}
		})
		noAgent := updateEvent("t4", uuidV4(4))
		noAgent.Update.Status.AgentID = nil
		st.send(updateEvent("t1", uuidV4(1)), updateEvent("t2", nil), updateEvent("t3", make([]byte, 16)), noAgent, updateEvent("t5", []byte{1, 2}))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		acks := m.seen(scheduler.Call_ACKNOWLEDGE)
		if len(acks) != 1 || acks[0].Acknowledge.TaskID.Value != "t1" || acks[0].Acknowledge.AgentID.Value != "S0" ||
			!slices.Equal(acks[0].Acknowledge.UUID, uuidV4(1)) {
			t.Errorf("acknowledged %v", acks)
		}
		if got := r.session.Stats(); got.AcksSent != 1 || got.AcksImpossible != 3 {
			t.Errorf("stats are %+v", got)
		}
		// The same update again, as an agent repeats it, is acknowledged again.
		st.send(updateEvent("t1", uuidV4(1)))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := len(m.seen(scheduler.Call_ACKNOWLEDGE)); got != 2 || len(r.handler.statuses) != 6 {
			t.Errorf("%d acknowledgements and %d updates", got, len(r.handler.statuses))
		}
		r.stop()
	})
}

func TestSlowAcknowledgementsDoNotHoldTheStream(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, func(_ *rig, c *Config) { c.CallTimeout = time.Hour })
		hold := make(chan struct{})
		m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
		lanes := map[*ackLane]bool{}
		for i := range 300 {
			task := fmt.Sprintf("t%d", i%30)
			lanes[r.session.current.acks.lane(task)] = true
			st.send(updateEvent(task, uuidV4(i)))
		}
		st.send(rescindEvent("O1"))
		synctest.Wait()
		if !strings.HasSuffix(r.handler.text(), "rescinded O1") {
			t.Fatal("the stream waits for acknowledgements")
		}
		if got := len(m.seen(scheduler.Call_ACKNOWLEDGE)); got != len(lanes) || got < 2 {
			t.Errorf("%d acknowledgements under way, want one in each of %d lanes", got, len(lanes))
		}
		close(hold)
		synctest.Wait()
		last := map[string]int{}
		for _, c := range m.seen(scheduler.Call_ACKNOWLEDGE) {
			task, n := c.Acknowledge.TaskID.Value, int(c.Acknowledge.UUID[0])|int(c.Acknowledge.UUID[1])<<8
			if before, ok := last[task]; ok && n < before {
				t.Fatalf("acknowledgements of %s went out of order", task)
			}
			last[task] = n
		}
		if got := r.session.Stats().AcksSent; got != 300 || len(last) != 30 {
			t.Errorf("%d acknowledgements for %d tasks", got, len(last))
		}
		r.stop()
	})
}

func TestAcknowledgementsAreBounded(t *testing.T) {
	q := newAckQueue()
	for i := range maxPendingAcks {
		if !q.add(ack{taskID: "t"}) {
			t.Fatalf("refused after %d", i)
		}
	}
	if q.add(ack{taskID: "t"}) {
		t.Error("the queue takes more than its bound")
	}
}

func TestAcknowledgementsOfALostSubscriptionAreDropped(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, nil)
		hold := make(chan struct{})
		m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
		for i := range 20 {
			st.send(updateEvent("t", uuidV4(i)))
		}
		st.end()
		m.next("fw")
		if got := r.session.Stats(); got.AcksFailed != 1 || got.AcksDropped != 19 {
			t.Errorf("stats are %+v, want the one under way failed and the rest dropped", got)
		}
		close(hold)
		if err := r.session.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-r.result; err != nil {
			t.Error(err)
		}
	})
}
