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
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func redirectTo(location string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
}

func refuseWith(status int, text string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
		return true
	}
}

func TestRedirectLeadsCallsToTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		standby, leader := newFakeMaster(t, n, "m1:5050"), newFakeMaster(t, n, "m2:5050")
		standby.onSubscribe = redirectTo("//m2:5050/master/api/v1/scheduler")
		r := newRig(t, n, testConfig("m1:5050", "m2:5050"), nil).start()
		leader.next("fw")
		if err := r.session.Kill(t.Context(), TaskRef{TaskID: "t"}); err != nil {
			t.Fatal(err)
		}
		if got := r.session.Status().Master; got != "m2:5050" {
			t.Errorf("master is %q", got)
		}
		if a, b := len(standby.seen(scheduler.Call_KILL)), len(leader.seen(scheduler.Call_KILL)); a != 0 || b != 1 {
			t.Errorf("KILL went %d times to the standby and %d times to the leader", a, b)
		}
		r.stop()
	})
}

func TestRoundOverMasters(t *testing.T) {
	tests := []struct {
		name    string
		masters []string
		set     func(m1, m2 *fakeMaster)
		// dials is how often each address is dialled before the subscription.
		wait time.Duration
	}{
		{name: "first is down", masters: []string{"gone", "m2"}},
		{name: "no leader elected", masters: []string{"m1", "m2"}, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = refuseWith(503, "No leader elected")
		}},
		{name: "starting", masters: []string{"m1", "m2"}, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = refuseWith(404, "404 Not Found.")
		}},
		{name: "names a dead leader", masters: []string{"m1", "m2"}, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = redirectTo("//gone:5050/master/api/v1/scheduler")
		}},
		{name: "names itself", masters: []string{"m1", "m2"}, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = redirectTo("//m1:5050/master/api/v1/scheduler")
		}},
		{name: "redirects nowhere", masters: []string{"m1", "m2"}, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = redirectTo("")
		}},
		{name: "redirects to another scheme", masters: []string{"m1", "m2"}, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = redirectTo("file:///etc/passwd")
		}},
		// A stopped process: the system takes its connections.
		{name: "does not answer", masters: []string{"m1", "m2"}, wait: 5 * time.Second, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
		}},
		{name: "leads to one that does not answer", masters: []string{"m1", "m2"}, wait: 5 * time.Second, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Host == "m1:5050" {
					return redirectTo("//m1.stopped:5050/master/api/v1/scheduler")(w, r)
				}
				<-r.Context().Done()
				return true
			}
			m1.listenAlso("m1.stopped:5050")
		}},
		// What would be refused everywhere waits for the backoff first.
		{name: "unauthorized", masters: []string{"m1", "m2"}, wait: 8 * time.Second, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = refuseWith(401, "401 Unauthorized.")
		}},
		{name: "not a master", masters: []string{"m1", "m2"}, wait: time.Second, set: func(m1, _ *fakeMaster) {
			m1.onSubscribe = refuseWith(200, "<html>hello</html>")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m1, m2 := newFakeMaster(t, n, "m1:5050"), newFakeMaster(t, n, "m2:5050")
				if test.set != nil {
					test.set(m1, m2)
				}
				started := time.Now()
				r := newRig(t, n, testConfig(test.masters...), nil).start()
				m2.next("fw")
				if got := time.Since(started); got != test.wait {
					t.Errorf("subscribed after %v, want %v", got, test.wait)
				}
				r.stop()
			})
		})
	}
}

func TestMastersThatNameEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m1, m2 := newFakeMaster(t, n, "m1:5050"), newFakeMaster(t, n, "m2:5050")
		m1.onSubscribe = redirectTo("//m2:5050/master/api/v1/scheduler")
		m2.onSubscribe = redirectTo("//m1:5050/master/api/v1/scheduler")
		r := newRig(t, n, testConfig("m1", "m2"), nil).start()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := len(m1.seen()) + len(m2.seen()); got > 20 {
			t.Errorf("%d requests in 10 s", got)
		}
		if got := r.session.Status(); !strings.Contains(got.LastError, "circle") {
			t.Errorf("status is %+v", got)
		}
		r.stop()
	})
}

func TestRefusalsWaitAndAreToldClearly(t *testing.T) {
	tests := []struct {
		status int
		text   string
		want   string
		reason Reason
		// times is how often we ask in a minute: after 1, 2, 4, 8, 8 ... s, or every 8 s at
		// once where somebody has to mend something.
		times int
	}{
		{401, "401 Unauthorized.", "check the principal", ReasonUnauthorized, 8},
		{403, "Forbidden", "ACLs", ReasonForbidden, 8},
		{400, "Failed to validate scheduler::Call: Authenticated principal 'framework' does not match principal 'ops' set in `FrameworkInfo`", "principal 'ops'", ReasonRefused, 10},
		{415, "Expecting 'Content-Type' of application/json or application/x-protobuf", "415", ReasonRefused, 10},
		{406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'", "406", ReasonRefused, 10},
		{503, "Master has not finished recovery", "has not finished recovery", ReasonMasterRecovering, 10},
		{503, "No leader elected", "No leader elected", ReasonNoMaster, 10},
		{500, "", "500", ReasonRefused, 10},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.reason), func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m := newFakeMaster(t, n, "m1:5050")
				m.onSubscribe = refuseWith(test.status, test.text)
				r := newRig(t, n, testConfig("m1"), func(_ *rig, c *Config) {
					c.Credentials = showing(func() (string, error) { return "Basic a3ViZTpzM2NyZXQ=", nil })
				}).start()
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := len(m.seen()); got != test.times {
					t.Errorf("%d SUBSCRIBE in a minute, want %d", got, test.times)
				}
				got := r.session.Status()
				if got.State != StateBackoff || got.Reason != test.reason || !strings.Contains(got.LastError, test.want) || strings.Contains(got.LastError, "a3ViZTpzM2NyZXQ") {
					t.Errorf("status is %+v, want an error with %q and without the secret", got, test.want)
				}
				r.handler.wants(t)
				r.stop()
			})
		})
	}
}
