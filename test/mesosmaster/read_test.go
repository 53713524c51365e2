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
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// The read endpoints have the keys of a recorded master.
func TestReadEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1", "node-2")})
		defer m.Close()
		c := newClient(t, m, false).subscribe(framework("rec", "batch"))
		defer c.close()
		synctest.Wait()
		o := c.offers()
		c.call(202, accept(0, []string{o[0].ID.Value}, command("t1", o[0].AgentID.Value, "batch", "cpus:1;mem:64")))
		synctest.Wait()
		get := func(path string) map[string]any {
			t.Helper()
			resp, err := c.http.Get(m.URL() + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			out := map[string]any{}
			if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			return out
		}
		at := func(v any, path ...any) any {
			t.Helper()
			for _, p := range path {
				switch x := v.(type) {
				case map[string]any:
					v = x[p.(string)]
				case []any:
					v = x[p.(int)]
				}
			}
			return v
		}
		state := get("/master/state")
		for _, k := range []string{
			"version", "git_sha", "git_branch", "build_date", "build_time", "build_user", "start_time", "elected_time", "id", "pid", "hostname", "capabilities",
			"activated_slaves", "deactivated_slaves", "unreachable_slaves", "leader", "leader_info", "cluster", "flags", "slaves", "recovered_slaves",
			"frameworks", "completed_frameworks", "orphan_tasks", "unregistered_frameworks",
		} {
			if _, ok := state[k]; !ok {
				t.Errorf("/state lacks %q", k)
			}
		}
		keys := func(v any, want ...string) {
			t.Helper()
			obj, _ := v.(map[string]any)
			for _, k := range want {
				if _, ok := obj[k]; !ok {
					t.Errorf("%q is missing in %v", k, v)
				}
			}
		}
		keys(at(state, "slaves", 0), "id", "hostname", "port", "attributes", "pid", "registered_time", "resources", "used_resources", "offered_resources",
			"reserved_resources", "unreserved_resources", "active", "deactivated", "version", "capabilities")
		keys(at(state, "frameworks", 0), "id", "name", "used_resources", "offered_resources", "capabilities", "hostname", "webui_url", "active", "connected",
			"recovered", "user", "failover_timeout", "checkpoint", "registered_time", "unregistered_time", "resources", "roles", "tasks",
			"unreachable_tasks", "completed_tasks", "offers", "executors", "offer_constraints")
		keys(at(state, "frameworks", 0, "tasks", 0), "id", "name", "framework_id", "executor_id", "slave_id", "state", "resources", "role", "statuses", "labels")
		keys(at(state, "frameworks", 0, "offers", 0), "id", "framework_id", "allocation_info", "slave_id", "resources")
		for _, tc := range []struct {
			got, want any
		}{
			{at(state, "frameworks", 0, "tasks", 0, "state"), "TASK_STARTING"},
			{at(state, "frameworks", 0, "tasks", 0, "resources", "gpus"), 0.0},
			{at(state, "frameworks", 0, "tasks", 0, "statuses", 0, "container_status", "network_infos", 0, "ip_addresses", 0, "protocol"), "IPv4"},
			{at(state, "frameworks", 0, "tasks", 0, "labels", 0, "key"), "k"},
			{at(state, "frameworks", 0, "used_resources", "cpus"), 1.0},
			{at(state, "slaves", 0, "resources", "ports"), "[31000-32000]"},
			{at(state, "slaves", 0, "attributes", "rack"), "r1"},
			{at(get("/slaves"), "slaves", 0, "unreserved_resources_full", 0, "role"), "*"},
			{at(get("/frameworks"), "frameworks", 0, "connected"), true},
			{at(get("/tasks?task_id=t1"), "tasks", 0, "id"), "t1"},
			{len(at(get("/tasks?task_id=nope"), "tasks").([]any)), 0},
			{at(get("/roles"), "roles", 0, "allocated", "cpus"), 1.0},
			{at(get("/version"), "version"), "1.12.0"},
			{at(get("/metrics/snapshot"), "master/outstanding_offers"), 1.0},
			{at(get("/metrics/snapshot"), "master/tasks_starting"), 1.0},
			{at(get("/metrics/snapshot"), "master/slaves_active"), 2.0},
			{at(get("/metrics/snapshot"), "master/cpus_used"), 1.0},
			{at(get("/metrics/snapshot"), "master/frameworks/rec/"+c.id+"/calls/accept"), 1.0},
			{at(get("/metrics/snapshot"), "master/frameworks/rec/"+c.id+"/offers/sent"), 2.0},
			{at(get("/metrics/snapshot"), "master/frameworks/rec/"+c.id+"/roles/batch/suppressed"), 0.0},
		} {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Error(diff)
			}
		}
		resp, err := (&http.Client{Transport: m.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(m.URL() + "/redirect")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusTemporaryRedirect || !strings.HasPrefix(resp.Header.Get("Location"), "//") {
			t.Errorf("/redirect: %d, %q", resp.StatusCode, resp.Header.Get("Location"))
		}
	})
}

// The page for people shows what there is, and escapes what frameworks say.
func TestStatusPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1", "node-2")})
		defer m.Close()
		c := newClient(t, m, false).subscribe(framework("<b>n</b>", "a"))
		defer c.close()
		synctest.Wait()
		o := c.offers()[0]
		c.call(202, accept(0, []string{o.ID.Value}, command("task-one", o.AgentID.Value, "a", "cpus:1.5;mem:32")))
		synctest.Wait()
		resp, err := c.http.Get(m.URL() + "/")
		must(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/html" {
			t.Errorf("%d, %v", resp.StatusCode, resp.Header)
		}
		for _, want := range []string{"leads", "node-2", "&lt;b&gt;n&lt;/b&gt;", "task-one", "TASK_STARTING", "<td class=\"n\">1.5</td>", "Agents (2)", o.AgentID.Value} {
			if !strings.Contains(string(b), want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	})
}
