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
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
)

// change is what an endpoint of the time before the operator API does with the
// body of a request.
type change func(c *core.Master, now time.Time, body []byte) core.Response

// legacy are the endpoints that change something, each with its method; some show
// something too, on GET (Mesos master/master.cpp Master::initialize).
var legacy = map[string]struct {
	method string
	do     change
	show   func(c *core.Master, q url.Values) any
}{
	"/quota":                {http.MethodPost, (*core.Master).SetQuota, func(c *core.Master, _ url.Values) any { return c.QuotaStatus() }},
	"/weights":              {http.MethodPut, (*core.Master).UpdateWeights, func(c *core.Master, _ url.Values) any { return c.Weights() }},
	"/maintenance/schedule": {http.MethodPost, (*core.Master).SetSchedule, func(c *core.Master, _ url.Values) any { return c.Maintenance() }},
	"/machine/down":         {http.MethodPost, (*core.Master).MachinesDown, nil},
	"/machine/up":           {http.MethodPost, (*core.Master).MachinesUp, nil},
	"/teardown":             {http.MethodPost, (*core.Master).Teardown, nil},
}

// legacyRoutes are the routes of these endpoints.
func legacyRoutes(all map[string]route) {
	for p, e := range legacy {
		all[p] = route{realm: realmReadwrite, recovered: true, serve: func(m *Master, w http.ResponseWriter, r *http.Request, _ string) {
			switch {
			case r.Method == http.MethodGet && e.show != nil:
				m.read(w, r, e.show)
			case r.Method == e.method:
				m.change(w, r, e.do)
			default:
				allowed := []string{e.method}
				if e.show != nil {
					allowed = []string{http.MethodGet, e.method}
				}
				w.Header().Set("Allow", strings.Join(allowed, ", "))
				text(w, http.StatusMethodNotAllowed, fmt.Sprintf("405 Method Not Allowed. Expecting one of { '%s' }, but received '%s'.", strings.Join(allowed, "', '"), r.Method))
			}
		}}
	}
	all["/flags"] = route{realm: realmReadonly, anywhere: true, serve: func(m *Master, w http.ResponseWriter, r *http.Request, _ string) {
		m.read(w, r, func(c *core.Master, _ url.Values) any {
			if p, ok := m.processOf(r); ok && !m.leads(p) {
				return c.FlagObjectOf(p.hostname, p.ip, p.port)
			}
			return c.FlagObject()
		})
	}}
}

// change hands the body of a request to the core.
func (m *Master) change(w http.ResponseWriter, r *http.Request, do change) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away in the middle of its request
	}
	var resp core.Response
	m.do(func(c *core.Master, now time.Time) { resp = do(c, now, body) })
	answer(w, resp)
}

// serveRemoveQuota is DELETE /quota/<role>.
func serveRemoveQuota(m *Master, w http.ResponseWriter, r *http.Request, _ string) {
	if r.Method != http.MethodDelete {
		w.Header().Set("Allow", http.MethodDelete)
		text(w, http.StatusMethodNotAllowed, fmt.Sprintf("405 Method Not Allowed. Expecting one of { 'DELETE' }, but received '%s'.", r.Method))
		return
	}
	p := r.URL.Path
	if !strings.HasPrefix(p, "/master/") {
		p = "/master" + p
	}
	m.change(w, r, func(c *core.Master, now time.Time, _ []byte) core.Response { return c.RemoveQuota(now, p) })
}
