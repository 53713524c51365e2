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
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
)

func TestEventsReachTheHandlerInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		st := m.next("fw")
		status := int32(1792)
		reason, message, at := mesosv1.REASON_RECONCILIATION, "Reconciliation: Latest task state", 1763877904.5
		update := updateEvent("t1", nil)
		update.Update.Status.Reason, update.Update.Status.Message, update.Update.Status.Timestamp = &reason, &message, &at
		st.send(
			heartbeatEvent(),
			offersEvent(plainOffer("O1", "S1"), plainOffer("O2", "S2")),
			rescindEvent("O1"),
			update,
			&scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{AgentID: &mesosv1.AgentID{Value: "S1"}}},
			&scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{
				AgentID: &mesosv1.AgentID{Value: "S1"}, ExecutorID: &mesosv1.ExecutorID{Value: "e"}, Status: &status}},
			&scheduler.Event{Type: scheduler.Event_INVERSE_OFFERS, InverseOffers: &scheduler.Event_InverseOffers{}},
			&scheduler.Event{Type: scheduler.Event_MESSAGE, Message: &scheduler.Event_Message{Data: []byte("x")}},
			rescindEvent("O2"),
		)
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "offer O1", "offer O2", "rescinded O1", "updated t1 TASK_RUNNING",
			"failed S1/ 0", "failed S1/e 1792", "rescinded O2")
		want := claims.TaskStatus{TaskID: "t1", AgentID: "S0", State: claims.TaskRunning, Reason: "REASON_RECONCILIATION",
			Source: "SOURCE_EXECUTOR", Message: message, Timestamp: time.UnixMilli(1763877904500)}
		if got := r.handler.statuses[0]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("status is %+v, want %+v", got, want)
		}
		_, events, _ := r.observer.snapshot()
		if !slices.Equal(events, []string{"SUBSCRIBED", "HEARTBEAT", "OFFERS", "RESCIND", "UPDATE", "FAILURE", "FAILURE", "INVERSE_OFFERS", "MESSAGE", "RESCIND"}) {
			t.Errorf("observed events %v", events)
		}
		if got := r.session.Status(); got.State != StateSubscribed || got.FrameworkID != "fw" || !got.LastRecord.Equal(time.Now()) {
			t.Errorf("status is %+v", got)
		}
		r.stop()
	})
}

func TestAbsentReasonStaysAbsent(t *testing.T) {
	s := taskStatusOf(updateEvent("t", nil).Update)
	if s.Reason != "" {
		t.Errorf("reason is %q, want none: the enum's zero value is a real reason", s.Reason)
	}
}

func TestUnknownEventsAreIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		st := m.next("fw")
		// type 99 with a member of its own; no type at all; a known event with an
		// unknown field.
		st.raw(frame([]byte{0x08, 99, 0xfa, 0x06, 0x02, 'h', 'i'}))
		st.raw(frame([]byte{0x08, 99}))
		st.raw(frame(nil))
		b, err := rescindEvent("O1").Marshal()
		if err != nil {
			t.Fatal(err)
		}
		st.raw(frame(append(b, 0xfa, 0x06, 0x02, 'h', 'i')))
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "rescinded O1")
		if got := r.session.Stats(); got.EventsUnknown != 3 || got.StreamsBroken != 0 {
			t.Errorf("stats are %+v", got)
		}
		r.stop()
	})
}

func TestUndecodableContentIsSkipped(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		st := m.next("fw")
		st.raw(frame([]byte{0x08, 4, 0x2a, 0x02, 0x0a, 0x00})) // UPDATE whose TaskStatus lacks what it needs
		st.raw(frame([]byte{0x08, 4}))                         // UPDATE without its member
		st.send(rescindEvent("O1"))
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "rescinded O1")
		if got := r.session.Stats(); got.EventsUndecodable != 2 {
			t.Errorf("stats are %+v", got)
		}
		r.stop()
	})
}

func TestMalformedOffersAreLeftOutAndDeclined(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		st := m.next("fw")
		noRole, negative := plainOffer("O2", "S2"), plainOffer("O3", "S3")
		noRole.AllocationInfo = nil
		negative.Resources[0].Scalar.Value = -1
		st.send(offersEvent(plainOffer("O1", "S1"), noRole, negative, plainOffer("O4", "S4")))
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "offer O1", "offer O4")
		if got := r.session.Stats(); got.OffersMalformed != 2 || got.OffersReceived != 2 {
			t.Errorf("stats are %+v", got)
		}
		declines := m.seen(scheduler.Call_DECLINE)
		if len(declines) != 1 || fmt.Sprint(declines[0].Decline.OfferIDs) != fmt.Sprint([]mesosv1.OfferID{{Value: "O2"}, {Value: "O3"}}) {
			t.Errorf("declines are %v", declines)
		}
		r.stop()
	})
}

// TestStreamEnds covers every way a subscription may end that leads to another.
func TestStreamEnds(t *testing.T) {
	tests := []struct {
		name   string
		end    func(*fakeStream)
		want   string
		broken uint64
	}{
		{name: "properly", end: (*fakeStream).end, want: errStreamEnded.Error()},
		{name: "cut", end: (*fakeStream).cut, want: "EOF"},
		{name: "cut in a length", end: func(st *fakeStream) { st.raw([]byte("12")); st.end() }, want: "inside a record's length", broken: 1},
		{name: "cut in a record", end: func(st *fakeStream) { st.raw([]byte("12\nabc")); st.end() }, want: "3 of a record's 12 bytes", broken: 1},
		{name: "no length", end: func(st *fakeStream) { st.raw([]byte("<html>")) }, want: "record's length", broken: 1},
		{name: "too large", end: func(st *fakeStream) { st.raw([]byte("1048577\n")) }, want: "exceeds the limit", broken: 1},
		{name: "no protobuf", end: func(st *fakeStream) { st.raw(frame([]byte{0xff, 0xff})) }, want: "no event", broken: 1},
		{name: "broken offers", end: func(st *fakeStream) { st.raw(frame([]byte{0x08, 2, 0x1a, 2, 0x0a, 9})) }, want: "OFFERS cannot be decoded", broken: 1},
		{name: "second SUBSCRIBED", end: func(st *fakeStream) { st.send(subscribedEvent("fw")) }, want: "second SUBSCRIBED"},
		{name: "error", end: func(st *fakeStream) { st.send(errorEvent("Changing framework's principal is not allowed.")) }, want: "principal is not allowed"},
		{name: "unreadable error", end: func(st *fakeStream) { st.raw(frame([]byte{0x08, 7})) }, want: "cannot be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m := newFakeMaster(t, n, "m1:5050")
				r := newRig(t, n, testConfig("m1"), nil).start()
				st := m.next("fw")
				test.end(st)
				<-st.gone
				synctest.Wait()
				r.handler.wants(t, "subscribed fw at m1:5050", "disconnected")
				if err := r.handler.reasons[0]; !strings.Contains(err.Error(), test.want) {
					t.Errorf("the handler was told %q, want %q in it", err, test.want)
				}
				if got := r.session.Status(); got.State != StateBackoff || !strings.Contains(got.LastError, test.want) || got.Master != "" {
					t.Errorf("status is %+v", got)
				}
				if err := r.session.Kill(t.Context(), TaskRef{TaskID: "t"}); !errors.Is(err, ErrNotSubscribed) {
					t.Errorf("a call between subscriptions returned %v", err)
				}
				if got := r.session.Stats().StreamsBroken; got != test.broken {
					t.Errorf("%d broken streams, want %d", got, test.broken)
				}
				again := m.next("fw")
				if again.call.FrameworkID.GetValue() != "fw" {
					t.Error("the second SUBSCRIBE has lost the id")
				}
				if got := r.session.Status(); got.State != StateSubscribed || got.LastError != "" {
					t.Errorf("status is %+v", got)
				}
				r.stop()
			})
		})
	}
}

func TestFirstEventMustBeSubscribed(t *testing.T) {
	for name, event := range map[string]*scheduler.Event{
		"offers":     offersEvent(plainOffer("O1", "S1")),
		"other id":   subscribedEvent("somebody else"),
		"without id": {Type: scheduler.Event_SUBSCRIBED},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m := newFakeMaster(t, n, "m1:5050")
				r := newRig(t, n, testConfig("m1"), nil).start()
				st := <-m.streams
				st.send(heartbeatEvent(), event)
				<-st.gone
				synctest.Wait()
				if got := r.session.Status(); !strings.Contains(got.LastError, errProtocol.Error()) {
					t.Errorf("status is %+v", got)
				}
				if r.ids.saves != 0 {
					t.Error("an id was stored")
				}
				r.handler.wants(t)
				r.stop()
			})
		})
	}
}

func TestEndOfTheFramework(t *testing.T) {
	tests := []struct {
		text  string
		want  error
		state State
	}{
		{"Framework failed over", ErrFailedOver, StateFailedOver},
		{"Framework has been removed", ErrFrameworkRemoved, StateRemoved},
	}
	for _, test := range tests {
		for _, live := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s,live=%v", test.text, live), func(t *testing.T) {
				bubble(t, func(t *testing.T, n *memNet) {
					m := newFakeMaster(t, n, "m1:5050")
					r := newRig(t, n, testConfig("m1"), nil).start()
					st := <-m.streams
					var want []string
					if live {
						st.send(subscribedEvent("fw"))
						want = []string{"subscribed fw at m1:5050", "disconnected"}
					}
					st.send(errorEvent(test.text))
					err := <-r.result
					if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
						t.Errorf("Run returned %v", err)
					}
					r.handler.wants(t, want...)
					if got := r.session.Status(); got.State != test.state {
						t.Errorf("status is %+v", got)
					}
					time.Sleep(time.Hour)
					if got := len(m.seen()); got != 1 {
						t.Errorf("%d calls, want no other SUBSCRIBE", got)
					}
				})
			})
		}
	}
}

func TestSilentMasterIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		st := m.next("fw")
		for range 20 {
			time.Sleep(44 * time.Second)
			st.send(heartbeatEvent())
		}
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050")
		last := time.Now()
		<-st.gone
		if got := time.Since(last); got != 45*time.Second {
			t.Errorf("given up after %v of silence, want 3 intervals of 15 s", got)
		}
		synctest.Wait()
		if err := r.handler.reasons[0]; !errors.Is(err, errSilent) {
			t.Errorf("the handler was told %v", err)
		}
		r.stop()
	})
}

func TestHeartbeatIntervalOfTheMasterCounts(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		st := <-m.streams
		event := subscribedEvent("fw")
		*event.Subscribed.HeartbeatIntervalSeconds = 2
		st.send(event)
		last := time.Now()
		<-st.gone
		if got := time.Since(last); got != 6*time.Second {
			t.Errorf("given up after %v, want 6 s", got)
		}
		r.stop()
	})
}

func TestSlowHandlerIsNotSilence(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), func(r *rig, _ *Config) {
			r.handler.onUpdate = func(claims.TaskStatus) { time.Sleep(10 * time.Minute) }
		}).start()
		st := m.next("fw")
		st.send(updateEvent("t", nil), heartbeatEvent())
		time.Sleep(10*time.Minute + 44*time.Second)
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "updated t TASK_RUNNING")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "updated t TASK_RUNNING", "disconnected")
		if err := r.handler.reasons[0]; !errors.Is(err, errSilent) {
			t.Errorf("told %v", err)
		}
		r.stop()
	})
}

func TestLargeRecordThatTricklesIsLife(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		st := m.next("fw")
		b, err := offersEvent(plainOffer("O1", "S1")).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range frame(b) {
			time.Sleep(30 * time.Second)
			st.raw([]byte{c})
		}
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "offer O1")
		r.stop()
	})
}

func TestBackoffGrowsAndIsReset(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		var waits []time.Duration
		lives := []time.Duration{0, 0, 0, 0, 0, 7 * time.Second, 8 * time.Second, 0}
		for _, life := range lives {
			st := m.next("fw")
			time.Sleep(life)
			st.end()
			ended := time.Now()
			next := <-m.streams
			waits = append(waits, time.Since(ended))
			next.send(errorEvent("go away"))
			<-next.gone
			// The refusal of this one takes a step of the backoff, too.
			synctest.Wait()
		}
		want := []time.Duration{1, 4, 8, 8, 8, 8, 1, 4}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(waits, want) {
			t.Errorf("waits are %v, want %v", waits, want)
		}
		r.stop()
	})
}

func TestStates(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m := newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil)
		if got := r.session.Status(); got.State != StateStopped {
			t.Errorf("state before Run is %s", got.State)
		}
		r.start()
		m.next("fw").end()
		m.next("fw")
		r.stop()
		_, _, states := r.observer.snapshot()
		want := []State{StateConnecting, StateSubscribed, StateBackoff, StateConnecting, StateSubscribed, StateStopped}
		if !slices.Equal(states, want) {
			t.Errorf("states are %v, want %v", states, want)
		}
	})
}

func TestRunsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		newFakeMaster(t, n, "m1:5050")
		r := newRig(t, n, testConfig("m1"), nil).start()
		synctest.Wait()
		if err := r.session.Run(context.Background()); err == nil {
			t.Error("a second Run was let in")
		}
		r.stop()
		if err := r.session.Run(context.Background()); err == nil {
			t.Error("Run after Run was let in")
		}
	})
}
