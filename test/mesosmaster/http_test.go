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
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answered is what one request brings.
type answered struct {
	Status            int
	ContentType, Body string
}

const subscribeJSON = `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"rec"}}}`

// The HTTP face of the scheduler API, status codes and texts of a recorded
// master, over a real socket.
func TestSchedulerHTTP(t *testing.T) {
	m := mesosmaster.New(mesosmaster.Config{})
	if err := m.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	do := func(method, path, contentType, accept, body string) answered {
		t.Helper()
		req, err := http.NewRequest(method, m.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return answered{resp.StatusCode, resp.Header.Get("Content-Type"), "(stream)"}
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if method != http.MethodHead && fmt.Sprint(len(b)) != resp.Header.Get("Content-Length") {
			t.Errorf("Content-Length %s for %d bytes", resp.Header.Get("Content-Length"), len(b))
		}
		return answered{resp.StatusCode, resp.Header.Get("Content-Type"), string(b)}
	}
	const js, plain = "application/json", "text/plain; charset=utf-8"
	const path = "/api/v1/scheduler"
	bad := func(body string) answered { return answered{400, plain, body} }
	for _, tc := range []struct {
		method, path, contentType, accept, body string
		want                                    answered
	}{
		{"GET", path, js, js, "", answered{405, plain, "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."}},
		{"DELETE", path, js, js, "", answered{405, plain, "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'DELETE'."}},
		{"HEAD", path, js, js, "", answered{405, plain, ""}},
		{"POST", path, "", js, subscribeJSON, bad("Expecting 'Content-Type' to be present")},
		{"POST", path, js, js, "", bad("Failed to parse body into JSON: syntax error at line 1 near: ")},
		{"POST", path, js, js, "[]", bad("Failed to convert JSON into Call protobuf: Expecting a JSON object")},
		{"POST", path, js, js, `{"type":"NOPE"}`, bad("Failed to validate scheduler::Call: Expecting 'type' to be present")},
		{"POST", path, js, js, `{"type":"SUBSCRIBE"}`, bad("Failed to validate scheduler::Call: Expecting 'subscribe' to be present")},
		{"POST", path, js, js, `{"type":"REVIVE","framework_id":{"value":"nope"}}`, bad("Framework cannot be found")},
		{"POST", path, js + "; charset=utf-8", js, subscribeJSON, answered{415, plain, "Expecting 'Content-Type' of application/json or application/x-protobuf"}},
		{"POST", path, "Application/JSON", js, subscribeJSON, answered{415, plain, "Expecting 'Content-Type' of application/json or application/x-protobuf"}},
		{"POST", path, "application/x-protobuf", js, subscribeJSON, bad("Failed to parse body into Call protobuf")},
		{"POST", path, "application/x-protobuf", js, "", bad("Failed to validate scheduler::Call: Expecting 'type' to be present")},
		{"POST", path, js, "text/html", subscribeJSON, answered{406, plain, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"}},
		{"POST", path, js, "application/xml;q=1, text/*", subscribeJSON, answered{406, plain, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"}},
		{"POST", path, js, "", subscribeJSON, answered{200, js, "(stream)"}},
		{"POST", path, js, "*/*", subscribeJSON, answered{200, js, "(stream)"}},
		{"POST", path, js, "application/*", subscribeJSON, answered{200, js, "(stream)"}},
		{"POST", path, js, "application/x-protobuf", subscribeJSON, answered{200, "application/x-protobuf", "(stream)"}},
		{"POST", path, js, "application/json;q=0.1, application/x-protobuf;q=0.9", subscribeJSON, answered{200, js, "(stream)"}},
		{"POST", "/master" + path + "/", js, js, subscribeJSON, answered{200, js, "(stream)"}},
		{"GET", "/nope", "", "", "", answered{404, plain, "404 Not Found."}},
	} {
		if diff := cmp.Diff(tc.want, do(tc.method, tc.path, tc.contentType, tc.accept, tc.body)); diff != "" {
			t.Errorf("%s %s %q %q %s: %s", tc.method, tc.path, tc.contentType, tc.accept, tc.body, diff)
		}
	}
	for _, tc := range []struct {
		body string
		want answered
	}{
		{`{"type":"NOPE"}`, bad("Failed to validate master::Call: Expecting 'type' to be present")},
		{`{"type":"MARK_AGENT_GONE","mark_agent_gone":{"agent_id":{"value":"nope"}}}`, answered{404, plain, "Agent 'nope' not found"}},
		{`{"type":"DEACTIVATE_AGENT","deactivate_agent":{"agent_id":{"value":"nope"}}}`, bad("Unknown agent")},
		{`{"type":"TEARDOWN","teardown":{"framework_id":{"value":"nope"}}}`, bad("No framework found with specified ID")},
		{`{"type":"TEARDOWN"}`, bad("Failed to validate master::Call: Expecting 'teardown' to be present")},
		{`{"type":"LIST_FILES"}`, answered{501, plain, "LIST_FILES is not emulated"}},
		{`{"type":"GET_HEALTH"}`, answered{200, js, "(stream)"}},
	} {
		if diff := cmp.Diff(tc.want, do("POST", "/api/v1", js, js, tc.body)); diff != "" {
			t.Errorf("%s: %s", tc.body, diff)
		}
	}
}

// The bytes of a stream: one chunk per record, and how the end looks.
func TestStreamBytes(t *testing.T) {
	m := mesosmaster.New(mesosmaster.Config{})
	if err := m.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	open := func(body string) (net.Conn, *bufio.Reader) {
		t.Helper()
		conn, err := net.Dial("tcp", m.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			t.Fatal(err)
		}
		return conn, bufio.NewReader(conn)
	}
	read := func(r *bufio.Reader, want string) {
		t.Helper()
		var got strings.Builder
		for !strings.HasSuffix(got.String(), want) {
			b, err := r.ReadByte()
			if err != nil {
				t.Fatalf("%v after %q, want %q", err, got.String(), want)
			}
			got.WriteByte(b)
		}
	}
	// Failed over: ERROR, the closing chunk, and the connection stays usable.
	with := strings.Replace(subscribeJSON, `"name"`, `"id":{"value":"f"},"name"`, 1)
	with = strings.Replace(with, `{"type"`, `{"framework_id":{"value":"f"},"type"`, 1)
	conn, r := open(with)
	defer conn.Close()
	read(r, "17\r\n20\n{\"type\":\"HEARTBEAT\"}\r\n")
	second, r2 := open(with)
	defer second.Close()
	read(r2, "HEARTBEAT\"}\r\n")
	read(r, "3f\r\n60\n{\"type\":\"ERROR\",\"error\":{\"message\":\"Framework failed over\"}}\r\n0\r\n\r\n")
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	read(r, "HTTP/1.1 200 OK\r\n")
	// The end of the process: no closing chunk.
	m.Stop()
	rest, err := io.ReadAll(r2)
	if len(rest) != 0 || err != nil {
		t.Fatalf("after the end of the process: %q, %v", rest, err)
	}
	if _, err := net.Dial("tcp", m.Addr()); err == nil {
		t.Fatal("want the connection refused")
	}
	if err := m.StartAgain(); err != nil {
		t.Fatal(err)
	}
	third, r3 := open(with)
	defer third.Close()
	read(r3, "HEARTBEAT\"}\r\n")
	// A client that half-closes counts as gone.
	tcp, ok := third.(*net.TCPConn)
	if !ok {
		t.Fatal("not TCP")
	}
	if err := tcp.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r3); err != nil || len(m.Frameworks()) != 0 {
		t.Fatalf("after the half-close: %q, %v, %v", rest, err, m.Frameworks())
	}
}

func TestUpdateFrameworkHasNoContentType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{})
		defer m.Close()
		c := newClient(t, m, true).subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		info := framework("n", "a", "b")
		info.ID = &mesos.FrameworkID{Value: c.id}
		for _, call := range []*scheduler.Call{
			{Type: scheduler.Call_UPDATE_FRAMEWORK, UpdateFramework: &scheduler.Call_UpdateFramework{FrameworkInfo: *info}},
			{Type: scheduler.Call_REVIVE},
		} {
			call.FrameworkID = info.ID
			resp, err := c.post(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if ct, ok := resp.Header["Content-Type"]; ok || resp.ContentLength != 0 {
				t.Errorf("%s: Content-Type %q, length %d", call.Type, ct, resp.ContentLength)
			}
		}
	})
}

// Offer constraints arrive in JSON and in protobuf appended as a second
// occurrence of the member.
func TestConstraintsOnTheWire(t *testing.T) {
	const constraint = `"offer_constraints":{"role_constraints":{"a":{"groups":[{"attribute_constraints":[{"selector":{"pseudoattribute_type":"HOSTNAME"},"predicate":{"text_equals":{"value":"node-2"}}}]}]}}}`
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1", "node-2")})
		defer m.Close()
		info := `"framework_info":{"user":"root","name":"rec","roles":["a"],"capabilities":[{"type":"MULTI_ROLE"}]}`
		post := func(media string, body string) (int, string) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.URL()+"/api/v1/scheduler", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", media)
			resp, err := m.Transport().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				synctest.Wait()
				hosts := []string{}
				for _, o := range m.OutstandingOffers() {
					hosts = append(hosts, o.Hostname)
				}
				return 200, strings.Join(hosts, " ")
			}
			b, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(b)
		}
		if code, hosts := post("application/json", `{"type":"SUBSCRIBE","subscribe":{`+info+`,`+constraint+`}}`); code != 200 || hosts != "node-2" {
			t.Errorf("JSON: %d, %s", code, hosts)
		}
		synctest.Wait()
		noPredicate := strings.Replace(constraint, `,"predicate":{"text_equals":{"value":"node-2"}}`, "", 1)
		if code, body := post("application/json", `{"type":"SUBSCRIBE","subscribe":{`+info+`,`+noPredicate+`}}`); code != 400 ||
			body != "Failed to convert JSON into Call protobuf: Missing required fields: subscribe.offer_constraints.role_constraints[0].value.groups[0].attribute_constraints[0].predicate" {
			t.Errorf("no predicate: %d, %s", code, body)
		}
		call := &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: framework("n", "a")}}
		b, err := call.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		field := func(n byte, inner []byte) []byte { return append([]byte{n<<3 | 2, byte(len(inner))}, inner...) }
		selector := []byte{0x08, 1} // HOSTNAME
		predicate := field(3, field(1, []byte("node-2")))
		group := field(1, append(field(1, selector), field(2, predicate)...))
		entry := append(field(1, []byte("a")), field(2, field(1, group))...)
		required := field(1, append(field(1, []byte("root")), field(2, []byte("n"))...))
		b = append(b, field(3, append(required, field(3, field(1, entry))...))...)
		if code, hosts := post("application/x-protobuf", string(b)); code != 200 || hosts != "node-2" {
			t.Errorf("protobuf: %d, %s", code, hosts)
		}
		synctest.Wait()
		if r := m.Calls(); len(r[len(r)-1].Constraints.RoleConstraints) != 1 {
			t.Error("the record lacks the constraints")
		}
	})
}

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

// An operator's stream: no id, the state first, events, forgotten at the client's
// end.
func TestOperatorStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1")})
		defer m.Close()
		got, resp := send(t, m.Transport(), "POST", m.URL()+"/api/v1", "", "", `{"type":"SUBSCRIBE"}`)
		if _, ok := resp.Header["Mesos-Stream-Id"]; got.Status != 200 || ok || resp.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%v, %v", got, resp.Header)
		}
		var mu sync.Mutex
		var types []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := codec.NewRecordReader(resp.Body, 1<<20)
			for {
				payload, err := r.Next()
				if err != nil {
					return
				}
				var e struct {
					Type       string
					Subscribed struct {
						GetState map[string]any `json:"get_state"`
					}
				}
				if err := json.Unmarshal(payload, &e); err != nil {
					t.Error(err)
				}
				if e.Type == "SUBSCRIBED" && len(e.Subscribed.GetState) != 4 {
					t.Errorf("state %v", e.Subscribed.GetState)
				}
				mu.Lock()
				types = append(types, e.Type)
				mu.Unlock()
			}
		}()
		synctest.Wait()
		c := newClient(t, m, false).subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		mu.Lock()
		if diff := cmp.Diff([]string{"SUBSCRIBED", "HEARTBEAT", "FRAMEWORK_ADDED"}, types); diff != "" {
			t.Error(diff)
		}
		mu.Unlock()
		resp.Body.Close()
		<-done
		pass(time.Minute) // nothing is written to a stream whose client has gone
		_, resp = send(t, m.Transport(), "POST", m.URL()+"/api/v1", "", "", `{"type":"SUBSCRIBE"}`)
		defer resp.Body.Close()
		first, err := codec.NewRecordReader(resp.Body, 1<<20).Next()
		if err != nil || !strings.Contains(string(first), `"SUBSCRIBED"`) {
			t.Errorf("%s, %v", first, err)
		}
	})
}

// The in-memory transport answers HEAD without a body, and redirects to the
// address the master was given.
func TestInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Hostname: "master.example", Port: 1234})
		defer m.Close()
		got, resp := send(t, m.Transport(), "HEAD", m.URL()+"/api/v1/scheduler", "", "", "")
		resp.Body.Close()
		if got.Status != 405 || got.Body != "" || resp.Header.Get("Content-Length") != "73" {
			t.Errorf("%v, %v", got, resp.Header)
		}
		got, resp = send(t, m.Transport(), "GET", m.URL()+"/redirect", "", "", "")
		resp.Body.Close()
		if got.Status != 307 || resp.Header.Get("Location") != "//master.example:1234" {
			t.Errorf("%v, %v", got, resp.Header)
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
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/html" {
			t.Errorf("%d, %v", resp.StatusCode, resp.Header)
		}
		for _, want := range []string{"leads", "node-2", "&lt;b&gt;n&lt;/b&gt;", "task-one", "TASK_STARTING", "<td class=\"n\">1.5</td>", "Agents (2)", o.AgentID.Value} {
			if !strings.Contains(string(b), want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	})
}
