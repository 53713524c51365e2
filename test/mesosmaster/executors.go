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

package mesosmaster

import (
	"context"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/executor"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

// Executors runs executors outside the emulator. The methods must not block and
// may be called with locks held; exited may be called from any goroutine but
// not before Start has returned.
type Executors interface {
	// Start runs a process on the machine of a host name. Its end is told by
	// exited, with a raw wait status, or with the error that kept it from starting.
	Start(hostname string, p *agent.Process, exited func(status int32, err error))
	// Kill kills the process of a container.
	Kill(hostname, containerID string)
}

// AgentHandler is the HTTP interface of the agent on a host: POST
// /api/v1/executor, also under /slave(1). Connections to an agent process that
// does not run are broken.
func (m *Master) AgentHandler(hostname string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := path.Clean("/" + r.URL.Path)
		if rest, ok := strings.CutPrefix(p, "/slave(1)/"); ok {
			p = "/" + rest
		}
		switch p {
		case "/api/v1/executor":
			m.serveExecutor(w, r, hostname)
		case "/health":
			answer(w, core.Response{Status: http.StatusOK})
		default:
			text(w, http.StatusNotFound, "404 Not Found.")
		}
	})
}

// serveExecutor is POST /api/v1/executor of an agent (Mesos slave/http.cpp
// Http::executor).
func (m *Master) serveExecutor(w http.ResponseWriter, r *http.Request, hostname string) {
	if !m.agentListens(hostname) {
		panic(http.ErrAbortHandler)
	}
	if !posted(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the executor went away in the middle of its request
	}
	q, resp := decodeExecutor(r.Header, body)
	if resp.Status != 0 {
		answer(w, resp)
		return
	}
	media := mediaProtobuf
	if accepts(r.Header, mediaJSON) {
		media = mediaJSON
	}
	var s *stream
	m.do(func(c *core.Master, now time.Time) {
		if q.Call.Type == executor.Call_SUBSCRIBE {
			q.Stream = c.NewStreamID()
		}
		s = newStream(q.Stream, media)
		m.executorStreams[s.id] = s
		resp, err = c.ExecutorCall(now, hostname, q)
		if err != nil || resp.Status != http.StatusOK {
			delete(m.executorStreams, s.id)
		}
	})
	if err != nil {
		panic(http.ErrAbortHandler) // the agent process has just ended
	}
	if resp.Status != http.StatusOK {
		answer(w, resp)
		return
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(http.StatusOK)
	if s.serve(r.Context(), w) {
		m.do(func(c *core.Master, now time.Time) {
			if m.executorStreams[s.id] == s {
				delete(m.executorStreams, s.id)
				c.ExecutorDisconnected(now, hostname, s.id)
			}
		})
	}
}

// decodeExecutor reads a call of the executor API; a Status other than 0 is the
// answer to one that cannot be read.
func decodeExecutor(h http.Header, body []byte) (*agent.ExecutorRequest, core.Response) {
	q := &agent.ExecutorRequest{Call: &executor.Call{}, AcceptsNothing: !accepts(h, mediaJSON) && !accepts(h, mediaProtobuf)}
	types, ok := h["Content-Type"]
	if !ok || len(types) == 0 {
		return nil, core.Response{Status: 400, Body: "Expecting 'Content-Type' to be present"}
	}
	switch types[0] {
	case mediaJSON:
		tree, err := codec.ParseJSON(body)
		if err != nil {
			return nil, core.Response{Status: 400, Body: "Failed to parse body into JSON: " + err.Error()}
		}
		if err := codec.UnmarshalTree(tree, q.Call); err != nil {
			return nil, core.Response{Status: 400, Body: "Failed to convert JSON into Call protobuf: " + err.Error()}
		}
		if obj, ok := tree.(map[string]any); ok {
			name, _ := obj["type"].(string)
			_, q.HasType = executor.Call_Type_value[name]
			q.HasType = q.HasType || name == "HEARTBEAT" // newer than the generated types
		}
	case mediaProtobuf:
		if err := q.Call.Unmarshal(body); err != nil {
			return nil, core.Response{Status: 400, Body: "Failed to parse body into Call protobuf"}
		}
		q.HasType = q.Call.Type != executor.Call_UNKNOWN
	default:
		return nil, core.Response{Status: 415, Body: "Expecting 'Content-Type' of application/json or application/x-protobuf"}
	}
	return q, core.Response{}
}

func (m *Master) agentListens(hostname string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.closed && m.core.AgentListens(hostname)
}

// agentAt finds the host name of the agent at host:port, whether it is named by
// its host name or its IP address.
func (m *Master) agentAt(address string) (hostname string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.core.AgentAddresses() {
		if hostPort(a.Hostname, a.Port) == address || hostPort(a.IP, a.Port) == address {
			return a.Hostname, true
		}
	}
	return "", false
}

// toAgent tells whether a request is for an agent, by its path.
func toAgent(urlPath string) bool {
	return strings.HasPrefix(urlPath, "/slave(") || path.Clean("/"+urlPath) == "/api/v1/executor"
}

// run starts or kills what an output says; called with the lock held.
func (m *Master) run(o *core.Output) {
	if m.cfg.Executors == nil {
		return
	}
	if o.Kill != "" {
		m.cfg.Executors.Kill(o.Host, o.Kill)
	}
	if o.Start == nil {
		return
	}
	host, id := o.Host, o.Start.ContainerID
	m.cfg.Executors.Start(host, o.Start, func(status int32, err error) {
		m.do(func(c *core.Master, now time.Time) {
			switch {
			case m.closed:
			case err != nil:
				c.ProcessFailed(now, host, id, err.Error())
			default:
				c.ProcessExited(now, host, id, status)
			}
		})
	})
}

// listenAgent opens the port of an agent and writes it into its configuration;
// port 0 takes any free one.
func (m *Master) listenAgent(a *AgentConfig) error {
	if a.IP == "" {
		a.IP = "127.0.0.1"
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", hostPort(a.IP, a.Port))
	if err != nil {
		return err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		a.Port = tcp.Port
	}
	srv := &wire.Server{Handler: m.AgentHandler(a.Hostname)}
	m.agentServers = append(m.agentServers, srv)
	m.serving.Add(1)
	go func() {
		defer m.serving.Done()
		_ = srv.Serve(l) // ends with Close; an agent nobody can reach shows in its executors
	}()
	return nil
}
