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

package mesosmaster_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// recorded22 are the addresses, numbers and times of the recording 22.
func recorded22() mesosmaster.EnsembleConfig {
	at := func(port int) mesosmaster.Address {
		return mesosmaster.Address{Hostname: "127.0.0.1", IP: "127.0.0.1", Port: port}
	}
	return mesosmaster.EnsembleConfig{
		Config: mesosmaster.Config{
			Agents: agents("node-1", "node-2"), RouteTime: 25 * time.Millisecond, RecoveryTime: 40 * time.Millisecond,
			AgentReregisterDelay: 500 * time.Millisecond,
		},
		Addresses: []mesosmaster.Address{at(17050), at(17040), at(17030)}, Numbers: []int{2, 0, 3},
		Idle: 500 * time.Millisecond, JoinTime: 100 * time.Millisecond, DetectTime: 20 * time.Millisecond, ExitTime: 15 * time.Millisecond,
	}
}

func ensemble(t *testing.T, cfg mesosmaster.EnsembleConfig, f func(t *testing.T, e *mesosmaster.Ensemble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, err := mesosmaster.NewEnsemble(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		f(t, e)
	})
}

// told is an answer, short: status, then where to or the text.
func told(t *testing.T, e *mesosmaster.Ensemble, i int, method, path, user, body string) string {
	t.Helper()
	got, resp := send(t, e.Transport(), method, e.MasterURL(i)+path, user, "", body)
	defer resp.Body.Close()
	return strings.TrimSpace(fmt.Sprint(got.Status, " ", resp.Header.Get("Location"), got.Realm, got.Body))
}

// What masters that do not lead answer, and the leader, as recorded.
func TestFollowers(t *testing.T) {
	const api = "/api/v1/scheduler"
	for _, tc := range []struct{ method, path, body, follower, leader string }{
		{"GET", "/redirect", "", "307 //127.0.0.1:17040", "307 //127.0.0.1:17040"},
		{"GET", "/master/redirect", "", "307 //127.0.0.1:17040", "307 //127.0.0.1:17040"},
		{"POST", api, subscribeJSON, "307 //127.0.0.1:17040/master/api/v1/scheduler", "200"},
		{"POST", "/master" + api, subscribeJSON, "307 //127.0.0.1:17040/master/api/v1/scheduler", "200"},
		{"POST", api, `{}`, "307 //127.0.0.1:17040/master/api/v1/scheduler", "400 Failed to validate scheduler::Call: Expecting 'type' to be present"},
		{"GET", api, "", "307 //127.0.0.1:17040/master/api/v1/scheduler", "405 405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."},
		{"POST", "/api/v1", `{"type":"GET_HEALTH"}`, "307 //127.0.0.1:17040/master/api/v1", "200"},
		{"GET", "/state", "", "307 //127.0.0.1:17040/master/state", "200"},
		{"GET", "/master/state?x=1", "", "307 //127.0.0.1:17040/master/state?x=1", "200"},
		{"GET", "/slaves", "", "307 //127.0.0.1:17040/master/slaves", "200"},
		{"GET", "/frameworks", "", "307 //127.0.0.1:17040/master/frameworks", "200"},
		{"GET", "/tasks", "", "307 //127.0.0.1:17040/master/tasks", "200"},
		{"GET", "/roles", "", "307 //127.0.0.1:17040/master/roles", "200"},
		{"GET", "/health", "", "200", "200"},
		{"GET", "/version", "", "200", "200"},
		{"GET", "/metrics/snapshot", "", "200", "200"},
		{"GET", "/nope", "", "404 404 Not Found.", "404 404 Not Found."},
	} {
		ensemble(t, recorded22(), func(t *testing.T, e *mesosmaster.Ensemble) {
			for i, want := range []string{tc.follower, tc.leader, tc.follower} {
				if got := told(t, e, i, tc.method, tc.path, "", tc.body); got != want {
					t.Errorf("master %d, %s %s %s: got %q, want %q", i, tc.method, tc.path, tc.body, got, want)
				}
			}
		})
	}
}

// Credentials come before the redirect, which itself needs none.
func TestFollowersAuthenticate(t *testing.T) {
	cfg := recorded22()
	cfg.Authentication = secured
	ensemble(t, cfg, func(t *testing.T, e *mesosmaster.Ensemble) {
		for _, tc := range []struct{ method, path, user, want string }{
			{"POST", "/api/v1/scheduler", "", `401 "mesos-master-scheduler"401 Unauthorized.`},
			{"POST", "/api/v1/scheduler", "framework:wrong", `401 "mesos-master-scheduler"401 Unauthorized.`},
			{"POST", "/api/v1/scheduler", "framework:framework-secret", "307 //127.0.0.1:17040/master/api/v1/scheduler"},
			{"GET", "/master/state", "", `401 "mesos-master-readonly"401 Unauthorized.`},
			{"GET", "/master/state", "framework:framework-secret", "307 //127.0.0.1:17040/master/state"},
			{"POST", "/api/v1", "", `401 "mesos-master-readwrite"401 Unauthorized.`},
			{"GET", "/redirect", "framework:wrong", "307 //127.0.0.1:17040"},
			{"GET", "/version", "", "200"},
		} {
			if got := told(t, e, 0, tc.method, tc.path, tc.user, subscribeJSON); got != tc.want {
				t.Errorf("%s %s as %q: got %q, want %q", tc.method, tc.path, tc.user, got, tc.want)
			}
		}
	})
}

// clientOf is a client of one of several masters.
func clientOf(t *testing.T, e *mesosmaster.Ensemble, i int, stream string) *client {
	return &client{t: t, http: &http.Client{Transport: e.Transport()}, base: e.MasterURL(i), stream: stream}
}

// The death of the leader as recorded: redirects to the dead until its session
// ends, the phases of the new one, resubscription, agents that come back.
func TestLeaderKilled(t *testing.T) {
	const revive = `{"type":"REVIVE","framework_id":{"value":"x"}}`
	ensemble(t, recorded22(), func(t *testing.T, e *mesosmaster.Ensemble) {
		c := clientOf(t, e, 1, "").subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		o := c.offers()
		c.call(202, accept(0, []string{o[0].ID.Value}, command("t1", o[0].AgentID.Value, "a", "cpus:1;mem:32")))
		synctest.Wait()
		var nodes []string
		step := func(d time.Duration, i int, want string) {
			t.Helper()
			pass(d)
			if got := told(t, e, i, "POST", "/api/v1/scheduler", "", revive); got != want {
				t.Errorf("master %d: got %q, want %q", i, got, want)
			}
			list, err := e.Znodes()
			must(t, err)
			nodes = nil
			for _, n := range list {
				nodes = append(nodes, n.Path)
			}
		}
		e.Kill(1)
		ended(t, c, io.ErrUnexpectedEOF)
		step(0, 0, "307 //127.0.0.1:17040/master/api/v1/scheduler")
		step(9400*time.Millisecond, 2, "307 //127.0.0.1:17040/master/api/v1/scheduler")
		step(125*time.Millisecond, 0, "503 Master has not finished recovery")
		if diff := cmp.Diff([]string{"/mesos", "/mesos/json.info_0000000002", "/mesos/json.info_0000000003", "/mesos/log_replicas",
			"/mesos/log_replicas/0000000001", "/mesos/log_replicas/0000000002"}, nodes); diff != "" {
			t.Error(diff)
		}
		if got := told(t, e, 0, "GET", "/state", "", ""); got != "200" {
			t.Errorf("/state while recovering: %q", got)
		}
		step(0, 2, "307 //127.0.0.1:17050/master/api/v1/scheduler")
		step(40*time.Millisecond, 0, "400 Framework cannot be found")
		if _, err := e.Transport().RoundTrip(mustRequest(t, e.MasterURL(1))); !errors.Is(err, syscall.ECONNREFUSED) { //nolint:bodyclose // none comes
			t.Errorf("the dead master: %v", err)
		}
		info := framework("n", "a")
		info.ID = &mesos.FrameworkID{Value: c.id}
		d := clientOf(t, e, 0, "").subscribe(info)
		defer d.close()
		pass(time.Second)
		if got := strings.Join(d.types(), " "); !strings.Contains(got, "UPDATE") || !strings.Contains(got, "OFFERS") || len(e.Tasks()) != 1 {
			t.Errorf("after the fail-over: %s, tasks %v", got, e.Tasks())
		}
		for _, ev := range d.take() {
			if ev.Subscribed != nil && ev.Subscribed.MasterInfo.GetAddress().GetPort() != 17050 {
				t.Errorf("SUBSCRIBED names %v", ev.Subscribed.MasterInfo)
			}
		}
		// It joins again with a new, higher number.
		must(t, e.Begin(1))
		if err := e.Begin(1); err == nil {
			t.Error("the second start must fail")
		}
		step(0, 1, "404 404 Not Found.")
		step(50*time.Millisecond, 1, "503 No leader elected")
		step(100*time.Millisecond, 1, "307 //127.0.0.1:17050/master/api/v1/scheduler")
		if nodes[3] != "/mesos/json.info_0000000004" {
			t.Errorf("nodes %v", nodes)
		}
		if i, ok := e.Leader(); i != 0 || !ok {
			t.Errorf("master %d leads, %t", i, ok)
		}
		must(t, e.CheckInvariants())
	})
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	return req
}

// A leader stopped by SIGSTOP: its stream stays open and silent while another
// leads, and ends when it goes on.
func TestLeaderStopped(t *testing.T) {
	ensemble(t, recorded22(), func(t *testing.T, e *mesosmaster.Ensemble) {
		c := clientOf(t, e, 1, "").subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		o := c.offers()
		c.call(202, accept(0, []string{o[0].ID.Value}, command("t1", o[0].AgentID.Value, "a", "cpus:1;mem:32")))
		synctest.Wait()
		c.take()
		e.Suspend(1)
		e.Suspend(1)
		hung := make(chan error, 1)
		go func() {
			resp, err := e.Transport().RoundTrip(mustRequest(t, e.MasterURL(1)+"/health"))
			if err == nil {
				resp.Body.Close()
			}
			hung <- err
		}()
		pass(9 * time.Second)
		if got := told(t, e, 0, "GET", "/redirect", "", ""); got != "307 //127.0.0.1:17040" {
			t.Errorf("before the session's end: %q", got)
		}
		pass(time.Second)
		info := framework("n", "a")
		info.ID = &mesos.FrameworkID{Value: c.id}
		d := clientOf(t, e, 0, "").subscribe(info)
		defer d.close()
		pass(20 * time.Second)
		if got := c.types(); len(got) != 0 {
			t.Errorf("the old stream got %v", got)
		}
		select {
		case <-c.done:
			t.Error("the old stream has ended")
		case err := <-hung:
			t.Errorf("the stopped master answered: %v", err)
		default:
		}
		if got := strings.Join(d.types(), " "); !strings.Contains(got, "OFFERS") || len(e.Tasks()) != 1 {
			t.Errorf("the new stream: %s, tasks %v", got, e.Tasks())
		}
		e.Continue(1)
		pass(20 * time.Millisecond)
		ended(t, c, io.ErrUnexpectedEOF)
		if err := <-hung; err != nil {
			t.Errorf("it answers before it exits: %v", err)
		}
		if got := e.LastWords(1); got != "Lost leadership after indecisive election... committing suicide!" {
			t.Errorf("last words %q", got)
		}
		if got := c.types(); len(got) != 0 {
			t.Errorf("the old stream got %v", got)
		}
		must(t, e.CheckInvariants())
	})
}

// A leader that goes on in time has lost nothing: heartbeats and updates come
// late.
func TestLeaderPausedBriefly(t *testing.T) {
	ensemble(t, recorded22(), func(t *testing.T, e *mesosmaster.Ensemble) {
		c := clientOf(t, e, 1, "").subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		pass(10 * time.Second)
		c.take()
		e.Suspend(1)
		pass(6 * time.Second)
		if got := c.take(); len(got) != 0 {
			t.Errorf("while stopped: %v", got)
		}
		e.Continue(1)
		e.Continue(1)
		synctest.Wait()
		if got := c.take(); len(got) != 1 || got[0].Type != scheduler.Event_HEARTBEAT {
			t.Errorf("after it: %v", got)
		}
		// A client that goes while the leader is stopped is missed afterwards.
		e.Suspend(1)
		c.close()
		pass(time.Second)
		if !e.Frameworks()[0].Connected {
			t.Error("nobody can have noticed")
		}
		e.Continue(1)
		synctest.Wait()
		if e.Frameworks()[0].Connected {
			t.Error("the disconnect must be noticed")
		}
	})
}

// The death of ZooKeeper: nothing for a session timeout, then nobody leads.
func TestZooKeeperDies(t *testing.T) {
	ensemble(t, recorded22(), func(t *testing.T, e *mesosmaster.Ensemble) {
		c := clientOf(t, e, 1, "").subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		e.StopZooKeeper()
		if _, err := e.Znodes(); !errors.Is(err, mesosmaster.ErrNoZooKeeper) {
			t.Errorf("Znodes: %v", err)
		}
		pass(9990 * time.Millisecond)
		if got := told(t, e, 0, "GET", "/redirect", "", ""); got != "307 //127.0.0.1:17040" {
			t.Errorf("got %q", got)
		}
		pass(10 * time.Millisecond)
		ended(t, c, io.ErrUnexpectedEOF)
		for _, path := range []string{"/redirect", "/api/v1/scheduler"} {
			if got := told(t, e, 0, "POST", path, "", "{}"); got != "503 No leader elected" {
				t.Errorf("%s: got %q", path, got)
			}
		}
		if i, ok := e.Leader(); ok {
			t.Errorf("master %d leads", i)
		}
		if got := e.LastWords(1); got != "Lost candidacy as a leader... committing suicide!" {
			t.Errorf("last words %q", got)
		}
		e.StartZooKeeper()
		pass(20 * time.Second)
		if got := told(t, e, 2, "GET", "/redirect", "", ""); got != "307 //127.0.0.1:17050" {
			t.Errorf("after its return: %q", got)
		}
	})
}

// The bytes of a master's node are those recorded, but for the id.
func TestZnodeBytes(t *testing.T) {
	ensemble(t, recorded22(), func(t *testing.T, e *mesosmaster.Ensemble) {
		nodes, err := e.Znodes()
		must(t, err)
		want := `{"address":{"hostname":"127.0.0.1","ip":"127.0.0.1","port":17040},"capabilities":[{"type":"AGENT_UPDATE"},{"type":"AGENT_DRAINING"},{"type":"QUOTA_V2"}],` +
			`"hostname":"127.0.0.1","id":"ID","ip":16777343,"pid":"master@127.0.0.1:17040","port":17040,"version":"1.12.0"}`
		c := clientOf(t, e, 1, "").subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		id := c.take()[0].Subscribed.MasterInfo.ID
		if diff := cmp.Diff(strings.Replace(want, "ID", id, 1), string(nodes[1].Data)); diff != "" || !nodes[1].Ephemeral {
			t.Errorf("%s: %s", nodes[1].Path, diff)
		}
		if got := string(nodes[5].Data); got != "log-replica(1)@127.0.0.1:17040" || nodes[5].Path != "/mesos/log_replicas/0000000000" {
			t.Errorf("%s: %q", nodes[5].Path, got)
		}
	})
}

// The same over sockets: addresses, redirects, the death of the leader.
func TestEnsembleOnSockets(t *testing.T) {
	e, err := mesosmaster.NewEnsemble(mesosmaster.EnsembleConfig{SessionTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range e.Masters() {
		must(t, e.Listen(i, "127.0.0.1:0"))
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	location := func(i int) string {
		resp, err := tr.RoundTrip(mustRequest(t, e.MasterURL(i)+"/redirect"))
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		return resp.Header.Get("Location")
	}
	for i := range e.Masters() {
		if got := location(i); got != "//"+e.Address(0) {
			t.Errorf("master %d redirects to %q", i, got)
		}
	}
	e.Kill(0)
	for location(2) != "//"+e.Address(1) { // until the session has ended
	}
	must(t, e.Begin(0))
	for location(0) != "//"+e.Address(1) {
	}
	if err := e.Begin(1); err == nil {
		t.Error("a master that runs cannot be started")
	}
}
