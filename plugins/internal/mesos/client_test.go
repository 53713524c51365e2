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
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// live makes a session that is subscribed.

func live(t *testing.T, n *memNet, change func(*rig, *Config)) (*fakeMaster, *rig, *fakeStream) {
	m := newFakeMaster(t, n, "m1:5050")
	r := newRig(t, n, testConfig("m1"), change).start()
	return m, r, m.next("fw")
}

func launchOf(agent string, tasks ...string) Launch {
	l := Launch{OfferIDs: []string{"O1"}, AgentID: agent, Role: "k8s"}
	for _, id := range tasks {
		l.Tasks = append(l.Tasks, Task{ID: id, Name: id, Parts: plain(resources.Vector{resources.CPU: 500}), Command: []string{"sleep", "infinity"}})
	}
	return l
}

func TestCallsReachTheMaster(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, nil)
		ctx := t.Context()
		var many []string
		for i := range 2500 {
			many = append(many, fmt.Sprintf("O%d", i))
		}
		var refs []TaskRef
		for i := range 1001 {
			refs = append(refs, TaskRef{TaskID: fmt.Sprintf("t%d", i)})
		}
		for _, err := range []error{
			r.session.Accept(ctx, launchOf("S0", "t1")),
			r.session.Decline(ctx, nil, time.Second),
			r.session.Decline(ctx, many, 90*time.Second),
			r.session.Kill(ctx, TaskRef{TaskID: "t1", AgentID: "S0"}),
			r.session.Revive(ctx),
			r.session.Revive(ctx, "batch"),
			r.session.Suppress(ctx, "k8s"),
			r.session.Reconcile(ctx),
			r.session.Reconcile(ctx, refs...),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		var got []string
		for _, c := range m.seen()[1:] {
			got = append(got, c.Type.String())
			if c.FrameworkID.GetValue() != "fw" || c.header.Get(headerStreamID) != st.id {
				t.Errorf("%s goes as framework %v on stream %q", c.Type, c.FrameworkID, c.header.Get(headerStreamID))
			}
			if d := c.Decline; d != nil && (len(d.OfferIDs) > 1000 || d.Filters.GetRefuseSeconds() != 90) {
				t.Errorf("DECLINE of %d offers for %v s", len(d.OfferIDs), d.Filters.GetRefuseSeconds())
			}
		}
		want := []string{"ACCEPT", "DECLINE", "DECLINE", "DECLINE", "KILL", "REVIVE", "REVIVE", "SUPPRESS", "RECONCILE", "RECONCILE", "RECONCILE"}
		if !slices.Equal(got, want) {
			t.Errorf("calls are %v, want %v", got, want)
		}
		r.stop()
	})
}

func TestCallsThatCannotBeMade(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, _ := live(t, n, nil)
		ctx := t.Context()
		bad := func(change func(*Launch)) Launch {
			l := launchOf("S0", "t1")
			change(&l)
			return l
		}
		for name, err := range map[string]error{
			"foreign role":   r.session.Revive(ctx, "k8s", "other"),
			"suppress":       r.session.Suppress(ctx, "other"),
			"no task id":     r.session.Kill(ctx, TaskRef{}),
			"no task":        r.session.Reconcile(ctx, TaskRef{TaskID: "t"}, TaskRef{}),
			"no offers":      r.session.Accept(ctx, bad(func(l *Launch) { l.OfferIDs = nil })),
			"offer twice":    r.session.Accept(ctx, bad(func(l *Launch) { l.OfferIDs = []string{"a", "a"} })),
			"no agent":       r.session.Accept(ctx, bad(func(l *Launch) { l.AgentID = "" })),
			"no role":        r.session.Accept(ctx, bad(func(l *Launch) { l.Role = "" })),
			"no tasks":       r.session.Accept(ctx, bad(func(l *Launch) { l.Tasks = nil })),
			"no id":          r.session.Accept(ctx, bad(func(l *Launch) { l.Tasks[0].ID = "" })),
			"no command":     r.session.Accept(ctx, bad(func(l *Launch) { l.Tasks[0].Command = nil })),
			"needs nothing":  r.session.Accept(ctx, bad(func(l *Launch) { l.Tasks[0].Parts = nil })),
			"needs negative": r.session.Accept(ctx, bad(func(l *Launch) { l.Tasks[0].Parts[0].Bundle.Vector[resources.Memory] = -1 })),
		} {
			var call *CallError
			if !errors.As(err, &call) || call.Status != 0 || call.OutcomeUnknown() || call.Type == "" {
				t.Errorf("%s: %v, want a CallError that was not sent", name, err)
			}
		}
		if got := m.seen(); len(got) != 1 {
			t.Errorf("%d calls were sent", len(got)-1)
		}
		r.stop()
	})
}

func TestCallsWithoutSubscription(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		r := newRig(t, n, testConfig("gone"), nil).start()
		synctest.Wait()
		if err := r.session.Accept(t.Context(), launchOf("S0", "t")); !errors.Is(err, ErrNotSubscribed) {
			t.Errorf("Accept returned %v", err)
		}
		r.stop()
	})
}

// TestRefusedCalls: what the master's refusals mean for the subscription. The

// texts are those of a recorded master.

func TestRefusedCalls(t *testing.T) {
	tests := []struct {
		status int
		text   string
		lost   error
	}{
		{400, "The stream ID 'x' included in this request didn't match the stream ID currently associated with framework ID fw", ErrFailedOver},
		{400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header", errCallsRefused},
		{400, "Framework cannot be found", errCallsRefused},
		{400, "Failed to validate scheduler::Call: Not a valid UUID", nil},
		{400, "Failed to convert JSON into Call protobuf: Missing required fields: kill.task_id", nil},
		{401, "401 Unauthorized.", nil},
		{403, "Framework is not subscribed", errCallsRefused},
		{307, "", errCallsRefused},
		{404, "404 Not Found.", errCallsRefused},
		{503, "Master has not finished recovery", errCallsRefused},
		{415, "Expecting 'Content-Type' of application/json or application/x-protobuf", nil},
		{500, "oops", nil},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d %.20s", test.status, test.text), func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m, r, st := live(t, n, nil)
				m.onCall = func(seenCall) (int, string) { return test.status, test.text }
				err := r.session.Kill(t.Context(), TaskRef{TaskID: "t"})
				var call *CallError
				if !errors.As(err, &call) || call.Type != "KILL" || call.Status != test.status || call.Body != test.text {
					t.Fatalf("Kill returned %#v", err)
				}
				if call.OutcomeUnknown() != (test.status == 500) {
					t.Errorf("outcome unknown is %v", call.OutcomeUnknown())
				}
				synctest.Wait()
				want := []string{"subscribed fw at m1:5050"}
				if test.lost != nil {
					<-st.gone
					want = append(want, "disconnected")
				}
				r.handler.wants(t, want...)
				if test.lost != nil && !errors.Is(r.handler.reasons[0], test.lost) {
					t.Errorf("the handler was told %v", r.handler.reasons[0])
				}
				if !errors.Is(test.lost, ErrFailedOver) {
					r.stop()
					return
				}
				// Not subscribed again: that would push the other instance out.
				if err := <-r.result; !errors.Is(err, ErrFailedOver) || r.session.Status().State != StateFailedOver {
					t.Errorf("Run returned %v, the state is %s", err, r.session.Status().State)
				}
			})
		})
	}
}

func TestCallWithoutAnswerTimesOut(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, _ := live(t, n, nil)
		hold := make(chan struct{})
		m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
		started := time.Now()
		err := r.session.Accept(t.Context(), launchOf("S0", "t"))
		var call *CallError
		if !errors.As(err, &call) || !call.OutcomeUnknown() || !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != 5*time.Second {
			t.Errorf("Accept returned %v after %v", err, time.Since(started))
		}
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050")
		calls, _, _ := r.observer.snapshot()
		if !slices.Equal(calls, []string{"SUBSCRIBE 200", "ACCEPT timeout"}) {
			t.Errorf("observed %v", calls)
		}
		close(hold)
		r.stop()
	})
}

func TestCallerMayGiveUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, _ := live(t, n, nil)
		hold := make(chan struct{})
		m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
		first, second := make(chan error, 1), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { first <- r.session.Kill(ctx, TaskRef{TaskID: "a"}) }()
		synctest.Wait()
		go func() { second <- r.session.Kill(ctx, TaskRef{TaskID: "b"}) }()
		synctest.Wait()
		cancel()
		var call *CallError
		if err := <-first; !errors.As(err, &call) || !call.OutcomeUnknown() || !errors.Is(err, context.Canceled) {
			t.Errorf("the call under way returned %v", err)
		}
		if err := <-second; !errors.Is(err, context.Canceled) || errors.As(err, &call) {
			t.Errorf("the call in the lane returned %v, want the context's error alone", err)
		}
		close(hold)
		synctest.Wait()
		if got := len(m.seen(scheduler.Call_KILL)); got != 1 {
			t.Errorf("%d KILL were sent, want 1", got)
		}
		r.stop()
	})
}

func TestBrokenConnections(t *testing.T) {
	hang := func(seenCall) (int, string) { panic(http.ErrAbortHandler) }
	t.Run("fresh", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			m, r, st := live(t, n, nil)
			m.onCall = hang
			err := r.session.Accept(t.Context(), launchOf("S0", "t"))
			var call *CallError
			if !errors.As(err, &call) || !call.OutcomeUnknown() {
				t.Errorf("Accept returned %v", err)
			}
			<-st.gone
			synctest.Wait()
			r.handler.wants(t, "subscribed fw at m1:5050", "disconnected")
			r.stop()
		})
	})
	t.Run("reused", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			m, r, _ := live(t, n, nil)
			if err := r.session.Kill(t.Context(), TaskRef{TaskID: "t"}); err != nil {
				t.Fatal(err)
			}
			m.onCall = hang
			err := r.session.Accept(t.Context(), launchOf("S0", "t"))
			var call *CallError
			if !errors.As(err, &call) || !call.OutcomeUnknown() {
				t.Errorf("Accept returned %v", err)
			}
			synctest.Wait()
			r.handler.wants(t, "subscribed fw at m1:5050")
			r.stop()
		})
	})
	t.Run("refused", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			m, r, st := live(t, n, nil)
			_ = n.listeners["m1:5050"].Close()
			err := r.session.Accept(t.Context(), launchOf("S0", "t"))
			var call *CallError
			if !errors.As(err, &call) || call.OutcomeUnknown() || call.Sent {
				t.Errorf("Accept returned %v, want a call that was surely not sent", err)
			}
			<-st.gone
			synctest.Wait()
			r.handler.wants(t, "subscribed fw at m1:5050", "disconnected")
			r.stop()
			_ = m
		})
	})
}

func TestEndOfSubscriptionEndsItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, nil)
		hold := make(chan struct{})
		m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
		under, waiting := make(chan error, 1), make(chan error, 1)
		go func() { under <- r.session.Kill(t.Context(), TaskRef{TaskID: "a"}) }()
		synctest.Wait()
		go func() { waiting <- r.session.Kill(t.Context(), TaskRef{TaskID: "b"}) }()
		synctest.Wait()
		st.end()
		var call *CallError
		if err := <-under; !errors.As(err, &call) || !call.OutcomeUnknown() || errors.Is(err, ErrNotSubscribed) {
			t.Errorf("the call under way returned %v, want an unknown outcome", err)
		}
		if err := <-waiting; !errors.Is(err, ErrNotSubscribed) {
			t.Errorf("the waiting call returned %v, want ErrNotSubscribed", err)
		}
		close(hold)
		r.stop()
	})
}

// TestLanes: ACCEPTs of different agents overtake each other, those of one agent

// and all ordered calls do not.

func TestLanesOrderCalls(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, _ := live(t, n, nil)
		hold := make(chan struct{})
		m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
		var calls sync.WaitGroup
		do := func(f func() error) {
			calls.Go(func() {
				if err := f(); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		do(func() error { return r.session.Accept(t.Context(), launchOf("S-first", "a")) })
		do(func() error { return r.session.Accept(t.Context(), launchOf("S-first", "b")) })
		do(func() error { return r.session.Accept(t.Context(), launchOf("S-other", "c")) })
		do(func() error { return r.session.Suppress(t.Context()) })
		do(func() error { return r.session.Revive(t.Context()) })
		do(func() error { return r.session.Kill(t.Context(), TaskRef{TaskID: "a"}) })
		var got []string
		for _, c := range m.seen()[1:] {
			got = append(got, c.Type.String())
		}
		if !slices.Equal(got, []string{"ACCEPT", "ACCEPT", "SUPPRESS"}) {
			t.Errorf("under way at once: %v", got)
		}
		if task := m.seen(scheduler.Call_ACCEPT)[1].Accept.Operations[0].Launch.TaskInfos[0].TaskID.Value; task != "c" {
			t.Errorf("the second ACCEPT under way launches %q", task)
		}
		close(hold)
		calls.Wait()
		got = nil
		for _, c := range m.seen(scheduler.Call_SUPPRESS, scheduler.Call_REVIVE, scheduler.Call_KILL) {
			got = append(got, c.Type.String())
		}
		if !slices.Equal(got, []string{"SUPPRESS", "REVIVE", "KILL"}) {
			t.Errorf("ordered calls went as %v", got)
		}
		r.stop()
	})
}

func TestForeignTransportCountsAsSent(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		sent bool
	}{
		"broken":  {io.ErrUnexpectedEOF, true},
		"refused": {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false},
		"reset":   {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
	} {
		s, err := NewSession(withIDs(testConfig("m1")), &recorder{}, WithTransport(roundTripperFunc(func(*http.Request) (*http.Response, error) {
			return nil, test.err
		})))
		if err != nil {
			t.Fatal(err)
		}
		if x := s.exchange(t.Context(), &subscription{endpoint: "http://m1/"}, nil); x.sent() != test.sent {
			t.Errorf("%s counts as sent: %v", name, x.sent())
		}
	}
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func withIDs(c Config) Config {
	c.IDs = &memIDs{}
	return c
}
