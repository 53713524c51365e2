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

package mesosoffers

import (
	"encoding/json"
	"net/http"

	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
)

// DebugPrefix is the path of the debug pages. They hold the numbers behind the
// reasons that users read, and no secrets.
const DebugPrefix = "/debug/mesos"

// DebugHandler serves the state as JSON: DebugPrefix itself tells all, and below
// it are /session, /offers, /claims and /reservations.
func (r *Runtime) DebugHandler() http.Handler {
	mux := http.NewServeMux()
	page := func(path string, part func(debugState) any) {
		mux.HandleFunc("GET "+DebugPrefix+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			encoder := json.NewEncoder(w)
			encoder.SetIndent("", "  ")
			_ = encoder.Encode(part(r.debug()))
		})
	}
	page("", func(s debugState) any { return s })
	page("/session", func(s debugState) any { return s.Session })
	page("/offers", func(s debugState) any { return s.State.Offers() })
	page("/claims", func(s debugState) any { return s.State.Claims })
	page("/reservations", func(s debugState) any { return s.State.Reservations })
	return mux
}

type debugState struct {
	// Leads tells whether this process started the session.
	Leads   bool            `json:"leads"`
	Ready   string          `json:"ready"`
	Session *mesos.Status   `json:"session,omitempty"`
	State   *lifecycle.View `json:"state,omitempty"`
}

func (r *Runtime) debug() debugState {
	s := debugState{Leads: r.led.Load(), Ready: "ok"}
	if err := r.Ready(); err != nil {
		s.Ready = err.Error()
	}
	r.mu.Lock()
	manager, session := r.manager, r.session
	r.mu.Unlock()
	if session != nil {
		status := session.Status()
		s.Session = &status
	}
	view := lifecycle.View{}
	if manager != nil {
		view = manager.View()
	}
	s.State = &view
	return s
}
