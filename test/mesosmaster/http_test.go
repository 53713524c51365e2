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
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"go.uber.org/goleak"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
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
	if rest, err := io.ReadAll(r3); err != nil {
		t.Fatalf("after the half-close: %q, %v", rest, err)
	}
	// The connection's end and the framework's are seen by different goroutines; the
	// test's own deadline bounds the wait.
	for len(m.Frameworks()) != 0 {
		runtime.Gosched()
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
