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
	"bytes"
	_ "embed" // the page is a file
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/core"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/election"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/wire"
)

//go:embed status.html
var statusText string

var statusPage = template.Must(template.New("status").Parse(statusText))

// statusRows bounds each table of the status page.
const statusRows = 200

// status is what the status page shows of the emulated cluster.
type status struct {
	Now        string
	Version    string
	Masters    []masterStatus
	Agents     list[AgentSnapshot]
	Frameworks list[FrameworkSnapshot]
	Offers     list[OfferSnapshot]
	Tasks      list[TaskSnapshot]
}

// masterStatus is one master process.
type masterStatus struct {
	Address, Phase, Why string
	Leads               bool
}

// list is the beginning of a list, with the number of all.
type list[T any] struct {
	Rows  []T
	Total int
}

func listOf[T any](all []T) list[T] { return list[T]{all[:min(len(all), statusRows)], len(all)} }

var phaseNames = map[election.Phase]string{
	election.Dead: "dead", election.Booting: "starting", election.Routing: "starting", election.Follower: "follows",
	election.Recovering: "reads its registry", election.Leading: "leads",
}

// serveStatus is GET /, for people: a page without scripts that changes nothing.
func serveStatus(m *Master, w http.ResponseWriter, _ *http.Request, _ string) {
	page := status{Version: core.Version}
	m.do(func(c *core.Master, now time.Time) {
		page.Now = now.UTC().Format(time.DateTime)
		for _, p := range m.processes {
			s := masterStatus{Address: p.address(), Phase: phaseNames[m.election.Phase(p.index)], Why: p.why, Leads: m.leads(p)}
			if m.election.Stopped(p.index) {
				s.Phase += ", stopped"
			}
			page.Masters = append(page.Masters, s)
		}
		page.Agents, page.Frameworks = listOf(c.Agents()), listOf(c.Frameworks())
		page.Offers, page.Tasks = listOf(c.Offers()), listOf(c.Tasks())
	})
	var b bytes.Buffer
	if err := statusPage.Execute(&b, page); err != nil {
		text(w, http.StatusInternalServerError, err.Error())
		return
	}
	if l, ok := w.(wire.LengthFirst); ok {
		l.LengthFirst()
	}
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes()) // a client that went away is its own problem
}
