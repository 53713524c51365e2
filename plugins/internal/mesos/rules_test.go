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
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRedirectTargets(t *testing.T) {
	tests := []struct{ from, location, want string }{
		{"http://m1:5050", "//127.0.0.1:16450/master/api/v1/scheduler", "http://127.0.0.1:16450"},
		{"http://m1:5050", "//127.0.0.1:16450", "http://127.0.0.1:16450"},
		{"https://m1:5050", "//m2:5050/master/api/v1/scheduler?x=y", "https://m2:5050"},
		{"http://m1:5050", "https://m2:5050", "https://m2:5050"},
		{"http://m1:5050", "//[::1]:5050/master", "http://[::1]:5050"},
		{"https://m1:5050", "http://m2:5050", "not followed"},
		{"http://m1:5050", "/api/v1/scheduler", "names no host"},
		{"http://m1:5050", "", "without a Location"},
		{"http://m1:5050", "//m2:x", "cannot be parsed"},
		{"http://m1:5050", "gopher://m2", "scheme"},
	}
	for _, test := range tests {
		from, err := url.Parse(test.from)
		if err != nil {
			t.Fatal(err)
		}
		u, err := redirectTarget(from, test.location)
		if (err == nil && u.String() != test.want) || (err != nil && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s redirecting to %q gives %v, %v; want %q", test.from, test.location, u, err, test.want)
		}
	}
}

func TestSubscribeAnswers(t *testing.T) {
	good := http.Header{"Content-Type": {mediaTypeProtobuf}, "Mesos-Stream-Id": {"x"}}
	tests := []struct {
		status int
		header http.Header
		want   answer
	}{
		{200, good, answerStream},
		{200, http.Header{"Content-Type": {"application/json"}, "Mesos-Stream-Id": {"x"}}, answerRefused},
		{200, http.Header{"Content-Type": {mediaTypeProtobuf}}, answerRefused},
		{307, nil, answerRedirect},
		{503, nil, answerNotReady}, {404, nil, answerNotReady}, {502, nil, answerNotReady}, {504, nil, answerNotReady}, {429, nil, answerNotReady},
		{400, nil, answerRefused}, {401, nil, answerRefused}, {403, nil, answerRefused}, {405, nil, answerRefused},
		{406, nil, answerRefused}, {415, nil, answerRefused}, {500, nil, answerRefused}, {202, good, answerRefused}, {301, nil, answerRefused},
	}
	for _, test := range tests {
		got, err := classifySubscribe(test.status, test.header, "text")
		if got != test.want || (err == nil) != (got == answerStream || got == answerRedirect) {
			t.Errorf("%d %v is %v, %v; want %v", test.status, test.header, got, err, test.want)
		}
		if got == answerRefused && !errors.Is(err, errRefused) {
			t.Errorf("%d gives %v", test.status, err)
		}
	}
}

func TestErrorEvents(t *testing.T) {
	for text, want := range map[string]error{
		"Framework failed over":                                         ErrFailedOver,
		"Framework has been removed":                                    ErrFrameworkRemoved,
		"Changing framework's principal is not allowed.":                errMasterError,
		"Not authorized to register framework Framework failed over":    ErrRolesRefused,
		"'FrameworkInfo.roles' contains invalid role: Role '/a' cannot": ErrRolesRefused,
		"Offer constraints are not valid: x":                            ErrTermsRefused,
		"":                                                              errMasterError,
	} {
		if err := classifyErrorEvent(text); !errors.Is(err, want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q gives %v, want %v", text, err, want)
		}
	}
}

func TestBackoffBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		b := backoff{initial: time.Duration(1 + rng.Int64N(int64(time.Second))), max: 0}
		b.max = b.initial + time.Duration(rng.Int64N(int64(time.Minute)))
		expected := b.initial
		for range 20 {
			got := b.wait(rng.Float64())
			if got < expected/2 || got > expected {
				t.Fatalf("wait %v, want between half of %v and all of it", got, expected)
			}
			expected = min(2*expected, b.max)
		}
		b.lasted(b.max - 1)
		if b.next != b.max {
			t.Fatalf("a short subscription reset the backoff to %v", b.next)
		}
		b.lasted(b.max)
		if got := b.wait(1); got > b.initial {
			t.Fatalf("wait after a long subscription is %v, want at most %v", got, b.initial)
		}
	}
}

func TestLaneIsFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lane
		ctx := t.Context()
		if !l.acquire(ctx, ctx) {
			t.Fatal("an empty lane was refused")
		}
		var order []int
		cancelled, cancel := context.WithCancel(ctx)
		for i := range 10 {
			go func() {
				use := ctx
				if i == 0 || i == 4 || i == 9 {
					use = cancelled
				}
				if !l.acquire(use, ctx) {
					return
				}
				order = append(order, i)
				l.release()
			}()
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		l.release()
		synctest.Wait()
		if want := []int{1, 2, 3, 5, 6, 7, 8}; !slices.Equal(order, want) {
			t.Errorf("order is %v, want %v", order, want)
		}
		if l.busy || len(l.waiters) != 0 {
			t.Error("the lane is not free again")
		}
	})
}

// TestLanePassesOnATurnNobodyTakes: a waiter that gives up at the moment of its
// turn must not keep the lane.
func TestLanePassesOnATurnNobodyTakes(t *testing.T) {
	var l lane
	ctx := t.Context()
	if !l.acquire(ctx, ctx) {
		t.Fatal("an empty lane was refused")
	}
	turn := make(chan struct{})
	l.waiters = append(l.waiters, turn)
	l.release()
	<-turn
	l.leave(turn)
	if l.busy {
		t.Error("the lane stays busy")
	}
}

func TestNewSessionReportsEveryProblem(t *testing.T) {
	_, err := NewSession(Config{
		CallTimeout: -1, HeartbeatMisses: -1, MaxRecordBytes: -1, BackoffInitial: 2, BackoffMax: 1,
	}, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"handler", "detector", "IDStore", "name is empty", "user is empty", "failover timeout",
		"source of roles", "call timeout", "heartbeat", "limit of a record", "backoff"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if _, err := NewSession(Config{IDs: &memIDs{}, Framework: FrameworkInfo{Name: "n", User: "u", FailoverTimeout: 1}}, &recorder{}); err == nil ||
		!strings.Contains(err.Error(), "detector of the masters") || !strings.Contains(err.Error(), "source of roles") {
		t.Errorf("error is %v", err)
	}
	s, err := NewSession(Config{Masters: static("m"), IDs: &memIDs{}, Framework: FrameworkInfo{Name: "n", User: "u", FailoverTimeout: 1}, Roles: StaticRoles(nil, "*")}, &recorder{})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.cfg; c.CallTimeout != 10*time.Second || c.HeartbeatMisses != 3 || c.MaxRecordBytes != 256<<20 || c.BackoffInitial <= 0 || c.BackoffMax != 15*time.Second {
		t.Errorf("defaults are %+v", c)
	}
}

func TestCallErrorSaysWhatHappened(t *testing.T) {
	tests := []struct {
		err     CallError
		want    string
		unknown bool
	}{
		{CallError{Type: "KILL", Status: 400, Body: "no", Sent: true}, `KILL: the master answered 400 "no"`, false},
		{CallError{Type: "KILL", Status: 504, Sent: true}, "504", true},
		{CallError{Type: "KILL", Sent: true, Err: io.EOF}, "may or may not", true},
		{CallError{Type: "KILL", Err: io.EOF}, "not sent: EOF", false},
	}
	for _, test := range tests {
		if got := test.err.Error(); !strings.Contains(got, test.want) || test.err.OutcomeUnknown() != test.unknown {
			t.Errorf("%#v says %q, unknown %v", test.err, got, test.err.OutcomeUnknown())
		}
	}
	if !errors.Is(&CallError{Err: io.EOF}, io.EOF) {
		t.Error("Unwrap hides the cause")
	}
}
