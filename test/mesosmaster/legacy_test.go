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
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// TestOlderEndpoints walks through the endpoints of the time before the operator
// API, in order: each step builds on those before.
func TestOlderEndpoints(t *testing.T) {
	synctest.Test(t, walkOlderEndpoints)
}

func walkOlderEndpoints(t *testing.T) {
	m := mesosmaster.New(mesosmaster.Config{Agents: []mesosmaster.AgentConfig{
		{Hostname: "node-1", IP: "10.1.1.1", Resources: "cpus:4;mem:1024"}, {Hostname: "node-2", IP: "10.1.1.2", Resources: "cpus:4;mem:1024"},
	}})
	defer m.Close()
	s := newClient(t, m, true).subscribe(framework("f", "a"))
	defer s.close()
	synctest.Wait()
	const (
		machine = `{"hostname":"node-1","ip":"10.1.1.1"}`
		window  = `{"machine_ids":[` + machine + `],"unavailability":{"start":{"nanoseconds":1}}}`
	)
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string // the body, or with "…" in front a part of it
	}{
		{"GET", "/quota", "", 200, `{}`},
		{"POST", "/quota", `{"role":"b","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]}`, 200, ""},
		{"GET", "/master/quota", "", 200, `…"role":"b"`},
		{"PUT", "/quota", "", 405, `405 Method Not Allowed. Expecting one of { 'GET', 'POST' }, but received 'PUT'.`},
		{"DELETE", "/quota/b", "", 200, ""},
		{"DELETE", "/quota/b", "", 400, `…has no quota set`},
		{"GET", "/quota/b", "", 405, `405 Method Not Allowed. Expecting one of { 'DELETE' }, but received 'GET'.`},
		{"GET", "/weights", "", 200, `[]`},
		{"PUT", "/weights", `[{"role":"b","weight":2}]`, 200, ""},
		{"GET", "/weights", "", 200, `[{"weight":2.0,"role":"b"}]`},
		{"GET", "/maintenance/schedule", "", 200, `{}`},
		{"POST", "/maintenance/schedule", `{"windows":[` + window + `]}`, 200, ""},
		{"POST", "/maintenance/schedule", `nonsense`, 400, "…syntax error"},
		{"GET", "/maintenance/schedule", "", 200, `{"windows":[` + window + `]}`},
		{"GET", "/maintenance/status", "", 200, `…"draining_machines":[{"id":` + machine},
		{"POST", "/machine/up", `[` + machine + `]`, 400, "…is not in DOWN mode"},
		{"POST", "/machine/down", `{}`, 400, "expected an array of machines"},
		{"POST", "/machine/down", `[7]`, 400, "…machine 0: "},
		{"POST", "/machine/down", `[` + machine + `]`, 200, ""},
		{"GET", "/maintenance/status", "", 200, `…"down_machines":[` + machine},
		{"GET", "/slaves", "", 200, `…"hostname":"node-2"`},
		{"POST", "/machine/up", `[` + machine + `]`, 200, ""},
		{"GET", "/machine/up", "", 405, `405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.`},
		{"GET", "/flags", "", 200, `…"allocation_interval":"1secs"`},
		{"GET", "/state-summary", "", 200, `…"TASK_RUNNING":0`},
		{"POST", "/teardown", "frameworkId=nope", 400, "No framework found with specified ID"},
		{"POST", "/teardown", "", 400, "Missing 'frameworkId' query parameter in the request body"},
		{"POST", "/teardown", "frameworkId=" + s.id, 200, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, m.URL()+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := m.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		got := string(body)
		if part, ok := strings.CutPrefix(tc.want, "…"); ok && strings.Contains(got, part) {
			got = tc.want
		}
		if diff := cmp.Diff(tc.want, got); resp.StatusCode != tc.status || diff != "" {
			t.Errorf("%s %s %s: %d: %s", tc.method, tc.path, tc.body, resp.StatusCode, diff)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
