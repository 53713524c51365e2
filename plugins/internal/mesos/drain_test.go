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

package mesos

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// recordedBodies are the JSON bodies of operator calls or of their answers in a recording.
func recordedBodies(t *testing.T, name, action string) (out []map[string]any) {
	t.Helper()
	lines, err := recordings.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		var body map[string]any
		if l.Action == action && json.Unmarshal(l.Body, &body) == nil {
			out = append(out, body)
		}
	}
	return out
}

// TestOperatorCallsAsRecorded: our calls are those that a master was recorded taking.
func TestOperatorCallsAsRecorded(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, _ := live(t, n, nil)
		var sent map[string]any
		m.onOperator = func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			sent = nil
			if err != nil || json.Unmarshal(body, &sent) != nil || req.Header.Get("Content-Type") != mediaTypeJSON {
				t.Errorf("sent %q, %v", body, err)
			}
			w.WriteHeader(http.StatusOK)
		}
		calls := 0
		for _, want := range recordedBodies(t, "14-drain", "operator call") {
			kind, _ := want["type"].(string)
			var err error
			var call map[string]any
			agent := func(member string) string {
				call, _ = want[member].(map[string]any)
				id, _ := call["agent_id"].(map[string]any)
				return fmt.Sprint(id["value"])
			}
			switch kind {
			case drainAgent:
				id := agent("drain_agent")
				grace := time.Duration(0)
				if g, ok := call["max_grace_period"].(map[string]any); ok {
					seconds, _ := g["seconds"].(float64)
					grace = time.Duration(seconds) * time.Second
					g["nanos"] = 0.0 // absent is the same
				}
				gone, _ := call["mark_gone"].(bool)
				err = r.session.DrainAgent(t.Context(), id, grace, gone)
			case deactivateAgent:
				err = r.session.DeactivateAgent(t.Context(), agent("deactivate_agent"))
			case reactivateAgent:
				err = r.session.ReactivateAgent(t.Context(), agent("reactivate_agent"))
			default:
				continue
			}
			calls++
			if diff := cmp.Diff(want, sent); err != nil || diff != "" {
				t.Errorf("%v (-recorded +sent):\n%s", err, diff)
			}
		}
		if calls < 10 {
			t.Errorf("%d operator calls recorded", calls)
		}
		r.stop()
	})
}

// TestRecordedDrains: what a master was recorded telling of agents that it drains.
func TestRecordedDrains(t *testing.T) {
	lines, err := recordings.Read("14-drain")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		_, rest, found := strings.Cut(string(l.Raw), `"drain_info": `)
		if !found {
			continue
		}
		var told drainJSON
		if err := json.NewDecoder(strings.NewReader(rest)).Decode(&told); err != nil {
			t.Fatal(err)
		}
		d := told.drain(0)
		text := fmt.Sprintf("%s gone=%v", d.State, d.MarkGone)
		if d.MaxGrace != nil {
			text += " " + d.MaxGrace.String()
		}
		got = append(got, text)
	}
	if diff := cmp.Diff([]string{
		"DRAINING gone=false 2s", "DRAINED gone=false 2s", "DRAINED gone=false", "DRAINING gone=false", "DRAINED gone=false", "DRAINED gone=false",
	}, got); diff != "" {
		t.Error(diff)
	}
}
