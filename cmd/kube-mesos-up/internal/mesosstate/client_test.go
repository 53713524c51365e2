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

package mesosstate

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stateBody has the form of a recorded master's answer to GET /state.
const stateBody = `{
 "version": "1.12.0", "activated_slaves": 2.0, "leader": "master@127.0.0.1:5050",
 "slaves": [
  {"id": "M-S1", "hostname": "node-2", "port": 5061, "attributes": {"rack": "r2"}, "active": true,
   "resources": {"disk": 100000.0, "mem": 32768.0, "gpus": 0.0, "cpus": 16.0, "ports": "[31000-32000]"},
   "used_resources": {"disk": 0.0, "mem": 128.0, "gpus": 0.0, "cpus": 1.1},
   "offered_resources": {"disk": 100000.0, "mem": 32640.0, "gpus": 0.0, "cpus": 14.9, "ports": "[31000-32000]"}},
  {"id": "M-S0", "hostname": "node-1", "active": false, "resources": {"cpus": 0.1}}],
 "recovered_slaves": [],
 "frameworks": [
  {"id": "M-0000", "name": "kube-mesos", "active": true, "connected": true, "roles": ["*"],
   "offered_resources": {"cpus": 14.9},
   "tasks": [{"id": "uid.3", "name": "default/a", "framework_id": "M-0000", "executor_id": "", "slave_id": "M-S1",
     "state": "TASK_RUNNING", "resources": {"disk": 0.0, "mem": 128.0, "gpus": 0.0, "cpus": 1.1},
     "statuses": [{"state": "TASK_RUNNING", "timestamp": 1.5}]}],
   "unreachable_tasks": [], "completed_tasks": [{"id": "uid.2", "state": "TASK_KILLED"}]},
  {"id": "M-0001", "name": "spark", "active": false, "connected": false, "tasks": []}],
 "completed_frameworks": [{"id": "M-0002", "name": "kube-mesos"}]}`

func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c, err := NewClient(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestState(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/state" && r.URL.Path != "/slaves" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, stateBody)
	})
	agents := []Agent{
		{
			ID: "M-S1", Hostname: "node-2", Active: true,
			Total:   Resources{CPUs: 16_000, Mem: 32_768_000, Disk: 100_000_000},
			Used:    Resources{CPUs: 1100, Mem: 128_000},
			Offered: Resources{CPUs: 14_900, Mem: 32_640_000, Disk: 100_000_000},
		},
		{ID: "M-S0", Hostname: "node-1", Total: Resources{CPUs: 100}},
	}
	want := &State{
		Agents: agents,
		Frameworks: []Framework{
			{
				ID: "M-0000", Name: "kube-mesos", Active: true, Connected: true, Offered: Resources{CPUs: 14_900},
				Tasks: []Task{{
					ID: "uid.3", Name: "default/a", FrameworkID: "M-0000", AgentID: "M-S1", State: "TASK_RUNNING",
					Resources: Resources{CPUs: 1100, Mem: 128_000},
				}},
			},
			{ID: "M-0001", Name: "spark"},
		},
	}
	got, err := c.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if named := got.Named("kube-mesos"); len(named) != 1 || named[0].ID != "M-0000" {
		t.Errorf("our frameworks: %v", named)
	}
	gotAgents, err := c.Agents(t.Context())
	if diff := cmp.Diff(agents, gotAgents); err != nil || diff != "" {
		t.Errorf("agents (-want +got): %v\n%s", err, diff)
	}
}

// TestRedirect follows a master that is not the leader: the Location it answers
// has no scheme.
func TestRedirect(t *testing.T) {
	leader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"slaves": [{"id": "%s"}]}`, r.URL.Path)
	}))
	t.Cleanup(leader.Close)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.TrimPrefix(leader.URL, "http:")+"/master"+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	agents, err := c.Agents(t.Context())
	if err != nil || len(agents) != 1 || agents[0].ID != "/master/slaves" {
		t.Errorf("got %v, %v", agents, err)
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name, body, want string
		status           int
	}{
		{"no leader", "No leader elected", "503 Service Unavailable: No leader elected", 503},
		{"not JSON", "<html>", "decode its answer", 200},
		{"other form", `{"slaves": 3}`, "decode its answer", 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			if _, err := c.State(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestNewClientRefusesAddresses(t *testing.T) {
	for _, address := range []string{"", "zk://a:2181/mesos", "http://", "http://a b"} {
		if _, err := NewClient(address); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
	for _, address := range []string{"a:5050", "https://a:5050", "http://[::1]:5050/"} {
		if _, err := NewClient(address); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestFrameworkSum(t *testing.T) {
	m := Metrics{
		"master/frameworks/kube-mesos/M-0000/calls/accept":    3,
		"master/frameworks/kube-mesos/M-0001/calls/accept":    4,
		"master/frameworks/kube-mesos/M-0001/calls/accepted":  50,
		"master/frameworks/kube-mesos/M-0001/x/calls/accept":  60,
		"master/frameworks/kube-mesos-2/M-0002/calls/accept":  70,
		"master/frameworks/a%20b/M-0003/calls/accept":         8,
		"master/frameworks/kube-mesos/M-0000/calls/decline":   9,
		"allocator/mesos/offer_filters/roles/kube-mesos/used": 1,
	}
	if got := m.FrameworkSum("kube-mesos", "calls/accept"); got != 7 {
		t.Errorf("kube-mesos: %v, want 7", got)
	}
	if got := m.FrameworkSum("a b", "calls/accept"); got != 8 {
		t.Errorf("encoded name: %v, want 8", got)
	}
}

func TestMilli(t *testing.T) {
	for _, tc := range []struct {
		in   float64
		want Milli
	}{
		{0, 0}, {0.1, 100}, {0.0005, 1}, {0.0004, 0}, {1.1 + 2.2, 3300}, {-0.5, -500},
		{math.NaN(), 0}, {math.Inf(1), math.MaxInt64}, {math.Inf(-1), math.MinInt64}, {1e300, math.MaxInt64},
	} {
		if got := milli(tc.in); got != tc.want {
			t.Errorf("milli(%v) = %d, want %d", tc.in, got, tc.want)
		}
	}
	if got := Milli(1500).String(); got != "1.5" {
		t.Errorf("1500 is written %q", got)
	}
}

func TestTaskStates(t *testing.T) {
	for state, want := range map[string][2]bool{ // live, ended
		"TASK_STAGING": {true, false}, "TASK_STARTING": {true, false}, "TASK_RUNNING": {true, false},
		"TASK_KILLING": {}, "TASK_UNREACHABLE": {}, "TASK_UNKNOWN": {}, "": {},
		"TASK_FINISHED": {false, true}, "TASK_FAILED": {false, true}, "TASK_KILLED": {false, true},
		"TASK_ERROR": {false, true}, "TASK_LOST": {false, true}, "TASK_DROPPED": {false, true},
		"TASK_GONE": {false, true}, "TASK_GONE_BY_OPERATOR": {false, true},
	} {
		task := Task{State: state}
		if got := [2]bool{task.Live(), task.Ended()}; got != want {
			t.Errorf("%s: live, ended = %v, want %v", state, got, want)
		}
	}
}
