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
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func TestClose(t *testing.T) {
	t.Run("flushes", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			m, r, st := live(t, n, nil)
			hold := make(chan struct{})
			m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
			call, closed := make(chan error, 1), make(chan error, 1)
			go func() { call <- r.session.Suppress(t.Context()) }()
			st.send(updateEvent("t", uuidV4(1)))
			synctest.Wait()
			go func() { closed <- r.session.Close(t.Context()) }()
			synctest.Wait()
			if err := r.session.Revive(t.Context()); !errors.Is(err, ErrNotSubscribed) {
				t.Errorf("a call while closing returned %v", err)
			}
			select {
			case <-st.gone:
				t.Error("the stream was closed before the calls were done")
			default:
			}
			close(hold)
			for _, ch := range []chan error{call, closed, r.result} {
				if err := <-ch; err != nil {
					t.Error(err)
				}
			}
			<-st.gone
			if len(m.seen(scheduler.Call_ACKNOWLEDGE)) != 1 || len(m.seen(scheduler.Call_TEARDOWN)) != 0 {
				t.Errorf("calls are %v", m.seen())
			}
			r.handler.wants(t, "subscribed fw at m1:5050", "updated t TASK_RUNNING", "disconnected")
			if err := r.session.Close(t.Context()); err != nil {
				t.Errorf("second Close: %v", err)
			}
		})
	})
	t.Run("cuts calls at its deadline", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			m, r, _ := live(t, n, func(_ *rig, c *Config) { c.CallTimeout = time.Hour })
			hold := make(chan struct{})
			defer close(hold)
			m.onCall = func(seenCall) (int, string) { <-hold; return 0, "" }
			call := make(chan error, 1)
			go func() { call <- r.session.Suppress(t.Context()) }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := r.session.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close returned %v", err)
			}
			var cut *CallError
			if err := <-call; !errors.As(err, &cut) || !cut.OutcomeUnknown() {
				t.Errorf("the call returned %v", err)
			}
			if err := <-r.result; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("while connecting", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			r := newRig(t, n, testConfig("gone"), nil).start()
			synctest.Wait()
			if err := r.session.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-r.result; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("before Run", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			m := newFakeMaster(t, n, "m1:5050")
			r := newRig(t, n, testConfig("m1"), nil)
			if err := r.session.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := r.session.Run(t.Context()); err != nil || len(m.seen()) != 0 {
				t.Errorf("Run after Close returned %v and made %d calls", err, len(m.seen()))
			}
		})
	})
}
