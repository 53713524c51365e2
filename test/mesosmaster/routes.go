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
	"fmt"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/election"
)

// route is one endpoint: who is let in, which process answers, and how. The
// principal is empty where nobody is asked.
type route struct {
	realm realm
	// anywhere is set if a process that does not lead answers itself instead of
	// sending the client to the leader.
	anywhere bool
	// recovered is set if the leader answers 503 until it has read its registry.
	recovered bool
	serve     func(m *Master, w http.ResponseWriter, r *http.Request, principal string)
}

// allRoutes are the endpoints by path, without /master (Mesos master/master.cpp
// Master::initialize).
func allRoutes() map[string]route {
	all := map[string]route{
		"/api/v1/scheduler": {realm: realmScheduler, recovered: true, serve: (*Master).serveScheduler},
		"/api/v1":           {realm: realmReadwrite, recovered: true, serve: (*Master).serveOperator},
		"/":                 {anywhere: true, realm: realmReadonly, serve: serveStatus},
		"/health":           {anywhere: true, serve: serveHealth},
		"/redirect":         {anywhere: true, serve: serveRedirect},
		"/version":          {anywhere: true, serve: serveVersion},
		"/metrics/snapshot": {anywhere: true, realm: realmReadonly, serve: serveMetrics},
	}
	for p, body := range reads {
		all[p] = route{realm: realmReadonly, serve: func(m *Master, w http.ResponseWriter, r *http.Request, _ string) { m.read(w, r, body) }}
	}
	legacyRoutes(all)
	return all
}

// processKey is the context key of the process that got a request.
type processKey struct{}

// processOf is the process that got a request.
func (m *Master) processOf(r *http.Request) (*process, bool) {
	p, ok := r.Context().Value(processKey{}).(*process)
	return p, ok
}

// Handler is the master's HTTP interface, of the first process if there are
// several: /api/v1/scheduler, /api/v1 and the read endpoints, each also under
// /master.
func (m *Master) Handler() http.Handler { return m.handler(m.processes[0]) }

func (m *Master) handler(p *process) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serveHTTP(p, w, r) })
}

// serveHTTP is the order of checks of libprocess and the master: the route, the
// credentials, the leader, the registry.
func (m *Master) serveHTTP(p *process, w http.ResponseWriter, r *http.Request) {
	if !m.awake(r.Context(), p) {
		panic(http.ErrAbortHandler)
	}
	m.mu.Lock()
	phase := m.election.Phase(p.index)
	m.mu.Unlock()
	to, ok := m.find(r.URL.Path)
	if !ok || phase == election.Routing {
		text(w, http.StatusNotFound, "404 Not Found.")
		return
	}
	who, ok := m.cfg.Authentication.principal(r, to.realm)
	switch {
	case !ok:
		unauthorized(w, to.realm)
	case to.anywhere || phase == election.Leading:
		if resp, off := m.unavailable(); off && !to.anywhere {
			answer(w, resp)
			return
		}
		to.serve(m, w, r.WithContext(context.WithValue(r.Context(), processKey{}, p)), who)
	case phase == election.Follower:
		m.redirect(p, w, r, true)
	case to.recovered:
		answer(w, notRecovered)
	default:
		to.serve(m, w, r, who)
	}
}

// find is the route of a path, with or without /master in front.
func (m *Master) find(urlPath string) (route, bool) {
	p := path.Clean("/" + urlPath)
	if rest, ok := strings.CutPrefix(p, "/master/"); ok {
		p = "/" + rest
	}
	if strings.HasPrefix(p, "/quota/") {
		return route{realm: realmReadwrite, recovered: true, serve: serveRemoveQuota}, true
	}
	to, ok := m.routes[p]
	return to, ok
}

// redirect sends a client to the leader a process knows, which may be dead
// (Mesos master/http.cpp Master::Http::redirect).
func (m *Master) redirect(p *process, w http.ResponseWriter, r *http.Request, withPath bool) {
	m.mu.Lock()
	i, ok := m.election.Leader(p.index)
	address := ""
	if ok {
		address = m.processes[i].address()
		// A master alone and in memory that was given no address is where it was asked.
		if alone := len(m.processes) == 1 && m.cfg.Hostname == ""; alone && p.bound == "" && r.Host != "" {
			address = r.Host
		}
	}
	m.mu.Unlock()
	if !ok {
		text(w, http.StatusServiceUnavailable, "No leader elected")
		return
	}
	location := "//" + address
	if withPath {
		if !strings.HasPrefix(r.URL.Path, "/master/") {
			location += "/master"
		}
		location += r.URL.EscapedPath()
		if r.URL.RawQuery != "" {
			location += "?" + r.URL.RawQuery
		}
	}
	w.Header().Set("Location", location)
	answer(w, core.Response{Status: http.StatusTemporaryRedirect})
}

// notRecovered is the answer of an elected master that reads its registry.
var notRecovered = core.Response{Status: http.StatusServiceUnavailable, Body: "Master has not finished recovery"}

// posted tells whether a request is a POST, and answers it if it is not.
func posted(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodPost {
		return true
	}
	w.Header().Set("Allow", "POST")
	text(w, http.StatusMethodNotAllowed, fmt.Sprintf("405 Method Not Allowed. Expecting one of { 'POST' }, but received '%s'.", r.Method))
	return false
}

func serveHealth(_ *Master, w http.ResponseWriter, _ *http.Request, _ string) {
	answer(w, core.Response{Status: http.StatusOK})
}

func serveRedirect(m *Master, w http.ResponseWriter, r *http.Request, _ string) {
	if p, ok := m.processOf(r); ok {
		m.redirect(p, w, r, false)
	}
}

// hostPort renders an address.
func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
