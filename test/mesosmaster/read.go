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
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// serveRead is the read-only interface tools use, in the JSON of a recorded
// master. The body is built under the lock, and encoded outside.
func (m *Master) serveRead(w http.ResponseWriter, r *http.Request, p string) {
	q := r.URL.Query()
	switch p {
	case "/health":
		answer(w, core.Response{Status: http.StatusOK})
	case "/redirect":
		w.Header().Set("Location", "//"+r.Host)
		if addr := m.Addr(); addr != "" {
			w.Header().Set("Location", "//"+addr)
		}
		answer(w, core.Response{Status: http.StatusTemporaryRedirect})
	case "/version":
		writeJSON(w, map[string]any{
			"version": core.Version, "build_date": "", "build_time": 0.0, "build_user": "", "git_branch": "", "git_sha": "",
		})
	case "/state", "/state.json":
		m.read(w, func(c *core.Master) any { return c.State() })
	case "/slaves":
		m.read(w, func(c *core.Master) any { return c.Slaves(true) })
	case "/frameworks":
		m.read(w, func(c *core.Master) any { return c.FrameworkList() })
	case "/tasks":
		limit, _ := strconv.Atoi(q.Get("limit"))   // zero is the default
		offset, _ := strconv.Atoi(q.Get("offset")) // zero is the default
		m.read(w, func(c *core.Master) any { return c.TaskList(q.Get("framework_id"), q.Get("task_id"), limit, offset) })
	case "/roles":
		m.read(w, func(c *core.Master) any { return c.RoleList() })
	case "/metrics/snapshot":
		m.read(w, func(c *core.Master) any { return c.Metrics() })
	default:
		text(w, http.StatusNotFound, "404 Not Found.")
	}
}

func (m *Master) read(w http.ResponseWriter, f func(c *core.Master) any) {
	if resp, ok := m.unavailable(); ok {
		answer(w, resp)
		return
	}
	var body any
	m.do(func(c *core.Master, _ time.Time) { body = f(c) })
	writeJSON(w, body)
}

func writeJSON(w http.ResponseWriter, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		text(w, http.StatusInternalServerError, "cannot encode: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // a client that went away is its own problem
}
