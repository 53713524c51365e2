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

package recorded

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/test/recordings/wire"
)

const (
	goodInfo   = `"framework_info":{"user":"root","name":"k","checkpoint":true,"failover_timeout":60,"roles":["a","b"],"capabilities":[{"type":"MULTI_ROLE"},{"type":"PARTITION_AWARE"},{"type":"RESERVATION_REFINEMENT"},{"type":"TASK_KILLING_STATE"},{"type":"REGION_AWARE"}]}`
	goodTask   = `{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"S0"},"command":{"value":"true"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1},"allocation_info":{"role":"a"}}]}`
	goodAccept = `{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"offer_ids":[{"value":"o"}],"filters":{"refuse_seconds":0},"operations":[{"type":"LAUNCH","launch":{"task_infos":[` + goodTask + `]}}]}}`
)

// TestDisciplineFindsFaults: each rule refuses the call that one change makes of a
// good one.
func TestDisciplineFindsFaults(t *testing.T) {
	subscribe := `{"type":"SUBSCRIBE","subscribe":{` + goodInfo + `,"suppressed_roles":["a"]}}`
	decline := `{"type":"DECLINE","framework_id":{"value":"f"},"decline":{"offer_ids":[{"value":"o"}],"filters":{"refuse_seconds":5}}}`
	kill := `{"type":"KILL","framework_id":{"value":"f"},"kill":{"task_id":{"value":"t"}}}`
	acknowledge := `{"type":"ACKNOWLEDGE","framework_id":{"value":"f"},"acknowledge":{"agent_id":{"value":"S0"},"task_id":{"value":"t"},"uuid":"VlpuA5CxT4eUu/UW9EQM1w=="}}`
	reconcile := `{"type":"RECONCILE","framework_id":{"value":"f"},"reconcile":{"tasks":[{"task_id":{"value":"t"}}]}}`
	tests := []struct{ good, old, new, want string }{
		{subscribe, `"root"`, `""`, "without user or name"},
		{subscribe, `"checkpoint":true,`, ``, "checkpoint"},
		{subscribe, `:60`, `:0`, "failover_timeout"},
		{subscribe, `:60`, `:"NaN"`, "failover_timeout"},
		{subscribe, `{"type":"PARTITION_AWARE"},`, ``, "PARTITION_AWARE"},
		{subscribe, `"roles"`, `"role":"a","roles"`, "together with MULTI_ROLE"},
		{subscribe, `["a","b"]`, `["a","a"]`, "named twice"},
		{subscribe, `["a","b"]`, `["a","a//b"]`, "invalid"},
		{subscribe, `["a","b"]`, `["a","-b"]`, "invalid"},
		{subscribe, `"suppressed_roles":["a"]`, `"suppressed_roles":["c"]`, "not subscribed"},
		{goodAccept, `"offer_ids":[{"value":"o"}]`, `"offer_ids":[]`, "no offers"},
		{goodAccept, `[{"value":"o"}]`, `[{"value":"o"},{"value":"o"}]`, "named twice"},
		{goodAccept, `"filters":{"refuse_seconds":0},`, ``, "no filters"},
		{goodAccept, `"refuse_seconds":0`, `"refuse_seconds":-1`, "refuse_seconds"},
		{goodAccept, `{"type":"LAUNCH",`, `{"type":"LAUNCH","id":{"value":"x"},`, "without an id"},
		{goodAccept, `[` + goodTask + `]`, `[]`, "without tasks"},
		{goodAccept, goodTask, goodTask + "," + goodTask, "launched twice"},
		{goodAccept, `"task_id":{"value":"t"}`, `"task_id":{"value":"a/b"}`, "not valid"},
		{goodAccept, `"task_id":{"value":"t"}`, `"task_id":{"value":"` + strings.Repeat("x", 256) + `"}`, "not valid"},
		{goodAccept, `"command":{"value":"true"},`, ``, "command or an executor"},
		{goodAccept, `"scalar":{"value":1}`, `"scalar":{"value":0}`, "cpus is 0"},
		{goodAccept, `"scalar":{"value":1}`, `"scalar":{"value":1.0001}`, "cpus is"},
		{goodAccept, `,"allocation_info":{"role":"a"}`, ``, "allocation role"},
		{goodAccept, `"type":"SCALAR"`, `"type":"SCALAR","role":"*"`, "old form"},
		{decline, `,"filters":{"refuse_seconds":5}`, ``, "no filters"},
		{kill, `"t"`, `""`, "not valid"},
		{acknowledge, `"S0"`, `""`, "without an agent"},
		{reconcile, `"t"`, `""`, "without an id"},
		{kill, kill, `{"type":"TEARDOWN","framework_id":{"value":"f"}}`, "never send"},
	}
	for _, test := range tests {
		if got := disciplineOf(t, test.good); got != "" {
			t.Errorf("%.60s... is good, the rules say %q", test.good, got)
		}
		bad := strings.Replace(test.good, test.old, test.new, 1)
		if got := disciplineOf(t, bad); bad == test.good || !strings.Contains(got, test.want) {
			t.Errorf("%q for %q: the rules say %q, want %q", test.new, test.old, got, test.want)
		}
	}
}

func disciplineOf(t *testing.T, json string) string {
	t.Helper()
	call, err := wire.Call([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return discipline(call)
}

// TestFieldsOfNoAPIAreFound: protobuf lets unknown fields pass silently.
func TestFieldsOfNoAPIAreFound(t *testing.T) {
	call, err := wire.Call([]byte(goodAccept))
	if err != nil {
		t.Fatal(err)
	}
	accept := wire.Sub(call, "accept")
	accept.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	if got := discipline(call); !strings.Contains(got, "Accept") {
		t.Errorf("the rules say %q", got)
	}
}

// TestMasterCountsFaults: the played master notes what a session should not send.
func TestMasterCountsFaults(t *testing.T) {
	m := newMaster(t, lives(t, "02-accept-launch")[0])
	defer m.close()
	send := func(json string, header http.Header) (int, string) {
		message, err := wire.Call([]byte(json))
		if err != nil {
			t.Fatal(err)
		}
		b, err := wire.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodPost, "http://master:5050"+schedulerPath, strings.NewReader(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		resp, err := m.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		m.mu.Lock()
		defer m.mu.Unlock()
		fault := ""
		if n := len(m.faults); n > 0 {
			fault = m.faults[n-1]
		}
		m.faults = nil
		return resp.StatusCode, fault
	}
	plain := http.Header{"Content-Type": {protobufMedia}, "Accept": {protobufMedia}}
	for _, test := range []struct {
		json   string
		header http.Header
		status int
		fault  string
	}{
		{`{"type":"UNKNOWN","framework_id":{"value":"f"}}`, plain, 400, "call_types.contains"},
		{`{"type":"KILL","framework_id":{"value":"f"}}`, plain, 400, "Expecting 'kill' to be present"},
		{`{"type":"KILL","framework_id":{"value":"f"},"kill":{}}`, plain, 400, "required fields"},
		{`{"type":"REVIVE"}`, plain, 400, "framework_id"},
		{`{"type":"REVIVE","framework_id":{"value":"f"}}`, http.Header{"Content-Type": {"application/x-protobuf; v=1"}}, 415, "415"},
		{`{"type":"ACKNOWLEDGE","framework_id":{"value":"f"},"acknowledge":{"agent_id":{"value":"x"},"task_id":{"value":"t"},"uuid":"AAAAAAAAAAAAAAAAAAAAAA=="}}`, plain, 400, "Not a valid UUID"},
		{`{"type":"SUBSCRIBE","subscribe":{` + goodInfo + `}}`, http.Header{"Content-Type": {protobufMedia}, "Accept": {"text/html"}}, 406, "406"},
	} {
		if status, fault := send(test.json, test.header); status != test.status || !strings.Contains(fault, test.fault) {
			t.Errorf("%.50s: answered %d, fault %q; want %d, %q", test.json, status, fault, test.status, test.fault)
		}
	}
}

// TestRolesAgreeWithTheRecordedMaster: the rule for roles is the master's.
func TestRolesAgreeWithTheRecordedMaster(t *testing.T) {
	judged := 0
	for _, s := range streams(t, "10-roles") {
		info := wire.Sub(wire.Sub(s.message, "subscribe"), "framework_info")
		roles := texts(info, "roles")
		if len(roles) != 1 {
			continue
		}
		judged++
		if refused := strings.Contains(s.outcome(), "contains invalid role"); goodRole(roles[0]) == refused {
			t.Errorf("10:%d: role %q was refused: %v (%s)", s.call.Number, roles[0], refused, s.outcome())
		}
	}
	if judged < 20 {
		t.Errorf("%d roles", judged)
	}
}
