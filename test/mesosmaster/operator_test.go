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
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// An operator's stream: no id, the state first, events, forgotten at the client's
// end.
func TestOperatorStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1")})
		defer m.Close()
		got, first := send(t, m.Transport(), "POST", m.URL()+"/api/v1", "", "", `{"type":"SUBSCRIBE"}`) //nolint:bodyclose // closed on the way
		defer first.Body.Close()
		if _, ok := first.Header["Mesos-Stream-Id"]; got.Status != 200 || ok || first.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%v, %v", got, first.Header)
		}
		var mu sync.Mutex
		var types []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := codec.NewRecordReader(first.Body, 1<<20)
			for {
				payload, err := r.Next()
				if err != nil {
					return
				}
				var e struct {
					Type       string
					Subscribed struct {
						GetState map[string]any `json:"get_state"`
					}
				}
				if err := json.Unmarshal(payload, &e); err != nil {
					t.Error(err)
				}
				if e.Type == "SUBSCRIBED" && len(e.Subscribed.GetState) != 4 {
					t.Errorf("state %v", e.Subscribed.GetState)
				}
				mu.Lock()
				types = append(types, e.Type)
				mu.Unlock()
			}
		}()
		synctest.Wait()
		c := newClient(t, m, false).subscribe(framework("n", "a"))
		defer c.close()
		synctest.Wait()
		mu.Lock()
		if diff := cmp.Diff([]string{"SUBSCRIBED", "HEARTBEAT", "FRAMEWORK_ADDED"}, types); diff != "" {
			t.Error(diff)
		}
		mu.Unlock()
		first.Body.Close()
		<-done
		pass(time.Minute) // nothing is written to a stream whose client has gone
		_, resp := send(t, m.Transport(), "POST", m.URL()+"/api/v1", "", "", `{"type":"SUBSCRIBE"}`)
		defer resp.Body.Close()
		record, err := codec.NewRecordReader(resp.Body, 1<<20).Next()
		if err != nil || !strings.Contains(string(record), `"SUBSCRIBED"`) {
			t.Errorf("%s, %v", record, err)
		}
	})
}
