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
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/runner"
)

// played records what executors are asked for, for a test to play them.
type played struct {
	mu     sync.Mutex
	starts []*agent.Process
	kills  []string
	exited func(status int32, err error)
}

func (p *played) Start(_ string, proc *agent.Process, exited func(status int32, err error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts, p.exited = append(p.starts, proc), exited
}

func (p *played) Kill(_, containerID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kills = append(p.kills, containerID)
}

// custom is a task with an executor of its own.
func custom(c *client, id, agentID, value string) mesos.TaskInfo {
	task := command(id, agentID, "a", "cpus:1;mem:32")
	task.Command = nil
	task.Executor = &mesos.ExecutorInfo{
		Type: mesos.ExecutorInfo_CUSTOM, ExecutorID: mesos.ExecutorID{Value: "x"}, FrameworkID: &mesos.FrameworkID{Value: c.id},
		Command: &mesos.CommandInfo{Value: ptr(value)},
	}
	return task
}

// executorStream collects what an executor is told.
type executorStream struct {
	mu     sync.Mutex
	events []*executor.Event
	done   chan struct{}
}

func (s *executorStream) read(t *testing.T, body io.ReadCloser) {
	defer close(s.done)
	defer body.Close()
	r := codec.NewRecordReader(body, 1<<20)
	for {
		payload, err := r.Next()
		if err != nil {
			return
		}
		e := &executor.Event{}
		if err := e.Unmarshal(payload); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.events = append(s.events, e)
		s.mu.Unlock()
	}
}

func (s *executorStream) types() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.events {
		out = append(out, e.Type.String())
	}
	return strings.Join(out, " ")
}

// executorCall posts a call of the executor API in protobuf.
func executorCall(t *testing.T, m *mesosmaster.Master, endpoint, path string, call *executor.Call) (*http.Response, error) {
	t.Helper()
	b, err := call.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+endpoint+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Accept", "application/x-protobuf")
	return m.Transport().RoundTrip(req)
}

// An executor over HTTP, in memory: asked for, subscribed, launched, updating,
// cut off when its agent dies, back when it lives again.
func TestExecutorAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := &played{}
		m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1"), OwnExecutors: true, Executors: run})
		defer m.Close()
		c := newClient(t, m, false).subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		o := c.offers()[0]
		c.call(202, accept(0, []string{o.ID.Value}, custom(c, "t1", o.AgentID.Value, "./my-executor --flag")))
		synctest.Wait()
		if len(run.starts) != 1 {
			t.Fatalf("%d processes asked for", len(run.starts))
		}
		env := run.starts[0].Environment
		endpoint := env["MESOS_AGENT_ENDPOINT"]
		call := &executor.Call{
			Type: executor.Call_SUBSCRIBE, FrameworkID: mesos.FrameworkID{Value: env["MESOS_FRAMEWORK_ID"]},
			ExecutorID: mesos.ExecutorID{Value: env["MESOS_EXECUTOR_ID"]}, Subscribe: &executor.Call_Subscribe{},
		}
		subscribe := func(path string) *executorStream {
			t.Helper()
			resp, err := executorCall(t, m, endpoint, path, call) //nolint:bodyclose // its reader does
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := resp.Header["Mesos-Stream-Id"]; resp.StatusCode != http.StatusOK || ok || resp.Header.Get("Content-Type") != "application/x-protobuf" {
				t.Fatalf("%d, %v", resp.StatusCode, resp.Header)
			}
			s := &executorStream{done: make(chan struct{})}
			go s.read(t, resp.Body)
			synctest.Wait()
			return s
		}
		s := subscribe("/slave(1)/api/v1/executor")
		if got := s.types(); got != "SUBSCRIBED LAUNCH" {
			t.Fatalf("events %s", got)
		}
		update := &executor.Call{Type: executor.Call_UPDATE, FrameworkID: call.FrameworkID, ExecutorID: call.ExecutorID, Update: &executor.Call_Update{
			Status: mesos.TaskStatus{TaskID: mesos.TaskID{Value: "t1"}, State: ptr(mesos.TASK_RUNNING), Source: ptr(mesos.SOURCE_EXECUTOR), UUID: []byte("0123456\x4789abcdef"[:16])},
		}}
		resp, err := executorCall(t, m, endpoint, "/api/v1/executor", update)
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("UPDATE: %v, %v", resp, err)
		}
		resp.Body.Close()
		synctest.Wait()
		if got := s.types(); got != "SUBSCRIBED LAUNCH ACKNOWLEDGED" {
			t.Errorf("events %s", got)
		}
		if u := c.updates(); len(u) != 1 || u[0].GetState() != mesos.TASK_RUNNING {
			t.Errorf("updates %v", u)
		}
		must(t, m.KillAgent("node-1"))
		<-s.done
		if _, err := executorCall(t, m, endpoint, "/api/v1/executor", call); !errors.Is(err, syscall.ECONNREFUSED) { //nolint:bodyclose // none comes
			t.Errorf("an agent that is dead: %v", err)
		}
		must(t, m.ReturnAgent("node-1"))
		synctest.Wait()
		call.Subscribe.UnacknowledgedTasks = nil
		s = subscribe("/api/v1/executor")
		pass(5 * time.Second)
		must(t, m.CheckInvariants())
		run.exited(7<<8, nil)
		pass(time.Second)
		<-s.done
		failed := false
		for _, e := range c.take() {
			failed = failed || e.Failure != nil && e.Failure.GetStatus() == 7<<8
		}
		if !failed {
			t.Error("the exit must be told as FAILURE")
		}
	})
}

// What an agent answers to calls that are none, in the order of a real agent.
func TestExecutorHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: []mesosmaster.AgentConfig{{Hostname: "node-1", Resources: small, IP: "10.1.2.3", Port: 5051}}, OwnExecutors: true})
		defer m.Close()
		const js, pb = "application/json", "application/x-protobuf"
		for _, tc := range []struct {
			method, host, path, contentType, accept, body string
			want                                          answered
		}{
			{"GET", "node-1:5051", "/api/v1/executor", js, js, "", answered{405, "text/plain; charset=utf-8", "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."}},
			{"POST", "node-1:5051", "/api/v1/executor", "", js, "", answered{400, "text/plain; charset=utf-8", "Expecting 'Content-Type' to be present"}},
			{"POST", "node-1:5051", "/api/v1/executor", "text/x", js, "", answered{415, "text/plain; charset=utf-8", "Expecting 'Content-Type' of application/json or application/x-protobuf"}},
			{"POST", "node-1:5051", "/api/v1/executor", js, js, "{", answered{400, "text/plain; charset=utf-8", "Failed to parse body into JSON: syntax error at line 1 near: "}},
			{"POST", "10.1.2.3:5051", "/slave(1)/api/v1/executor", js, js, `[]`, answered{400, "text/plain; charset=utf-8", "Failed to convert JSON into Call protobuf: Expecting a JSON object"}},
			{"POST", "10.1.2.3:5051", "/slave(1)/api/v1/executor", pb, js, "\xff", answered{400, "text/plain; charset=utf-8", "Failed to parse body into Call protobuf"}},
			{"POST", "10.1.2.3:5051", "/slave(1)/nope", pb, js, "", answered{404, "text/plain; charset=utf-8", "404 Not Found."}},
			{"POST", "10.1.2.3:5051", "/slave(1)/health", pb, js, "", answered{200, "", ""}},
		} {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, "http://"+tc.host+tc.path, strings.NewReader(tc.body))
			must(t, err)
			if tc.contentType != "" {
				req.Header.Set("Content-Type", tc.contentType)
			}
			req.Header.Set("Accept", tc.accept)
			resp, err := m.Transport().RoundTrip(req)
			must(t, err)
			b, err := io.ReadAll(resp.Body)
			must(t, err)
			resp.Body.Close()
			if diff := cmp.Diff(tc.want, answered{resp.StatusCode, resp.Header.Get("Content-Type"), string(b)}); diff != "" {
				t.Errorf("%s %s: %s", tc.method, tc.path, diff)
			}
		}
	})
}

// A real process, on real sockets: it is started with the agent's endpoint, and
// its end is told.
func TestExecutorProcess(t *testing.T) {
	l := runner.New(t.TempDir())
	defer l.Close()
	list := agents("node-1")
	m := mesosmaster.New(mesosmaster.Config{Agents: list, OwnExecutors: true, Executors: l, AgentsListen: true})
	defer m.Close()
	c := newClient(t, m, false).subscribe(framework("n", "a"))
	defer c.close()
	var offers []mesos.Offer
	for len(offers) == 0 {
		offers = c.offers()
	}
	if port := offers[0].URL.Address.Port; port == 0 || port == 5051 {
		t.Errorf("the offer names port %d", port)
	}
	// A shell talks to its agent; the agent does not know its executor id.
	script := `exec 3<>/dev/tcp/${MESOS_AGENT_ENDPOINT%%:*}/${MESOS_AGENT_ENDPOINT##*:}; ` +
		`printf 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n' >&3; read -r line <&3; test "$line" = "$(printf 'HTTP/1.1 200 OK\r')" && exit 3; exit 4`
	task := custom(c, "t1", offers[0].AgentID.Value, "bash")
	task.Executor.Command.Shell, task.Executor.Command.Arguments = ptr(false), []string{"bash", "-c", script}
	c.call(202, accept(0, []string{offers[0].ID.Value}, task))
	for {
		for _, e := range c.take() {
			if e.Failure == nil {
				continue
			}
			if e.Failure.GetStatus() != 3<<8 {
				t.Errorf("wait status %d", e.Failure.GetStatus())
			}
			return
		}
	}
}
