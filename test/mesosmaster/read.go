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
	"net/url"
	"strconv"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

// reads are the bodies of the read-only endpoints tools use, in the JSON of a
// recorded master.
var reads = map[string]func(c *core.Master, q url.Values) any{
	"/state":              func(c *core.Master, _ url.Values) any { return c.State() },
	"/state.json":         func(c *core.Master, _ url.Values) any { return c.State() },
	"/state-summary":      func(c *core.Master, _ url.Values) any { return c.StateSummary() },
	"/maintenance/status": func(c *core.Master, _ url.Values) any { return c.MaintenanceStatus() },
	"/slaves":             func(c *core.Master, _ url.Values) any { return c.Slaves(true) },
	"/frameworks":         func(c *core.Master, _ url.Values) any { return c.FrameworkList() },
	"/roles":              func(c *core.Master, _ url.Values) any { return c.RoleList() },
	"/tasks": func(c *core.Master, q url.Values) any {
		limit, _ := strconv.Atoi(q.Get("limit"))   // zero is the default
		offset, _ := strconv.Atoi(q.Get("offset")) // zero is the default
		return c.TaskList(q.Get("framework_id"), q.Get("task_id"), limit, offset)
	},
}

// read answers with a body built under the lock, and encoded outside.
func (m *Master) read(w http.ResponseWriter, r *http.Request, f func(c *core.Master, q url.Values) any) {
	var body any
	q := r.URL.Query()
	m.do(func(c *core.Master, _ time.Time) { body = f(c, q) })
	writeJSON(w, body)
}

func serveVersion(m *Master, w http.ResponseWriter, _ *http.Request, _ string) {
	var body any
	m.do(func(c *core.Master, _ time.Time) { body = c.VersionObject() })
	writeJSON(w, body)
}

// serveMetrics answers on every process; one that does not lead knows of nothing.
func serveMetrics(m *Master, w http.ResponseWriter, r *http.Request, _ string) {
	p, _ := m.processOf(r)
	var body map[string]float64
	m.do(func(c *core.Master, now time.Time) {
		if p == nil || m.leads(p) {
			body = c.Metrics()
			return
		}
		body = core.New(m.cfg.core(), now).Metrics()
		body["master/elected"] = 0
	})
	writeJSON(w, body)
}

func writeJSON(w http.ResponseWriter, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		text(w, http.StatusInternalServerError, "cannot encode: "+err.Error())
		return
	}
	if l, ok := w.(wire.LengthFirst); ok {
		l.LengthFirst()
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // a client that went away is its own problem
}
