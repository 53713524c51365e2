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
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// The newest events sent are kept, as many as asked for.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1"), EventLog: 3, HeartbeatInterval: time.Second})
		defer m.Close()
		begun := time.Now()
		c := newClient(t, m, false).subscribe(framework("one", "batch"))
		defer c.close()
		synctest.Wait()
		var got []string
		for _, e := range m.Events() {
			got = append(got, e.Type)
			if e.StreamID != m.Frameworks()[0].StreamID || e.Event.GetType().String() != e.Type || !e.Time.Equal(begun) {
				t.Errorf("event %+v at %v", e, begun)
			}
		}
		if diff := cmp.Diff([]string{"SUBSCRIBED", "HEARTBEAT", "OFFERS"}, got); diff != "" {
			t.Fatal(diff)
		}
		pass(10 * time.Second)
		if events := m.Events(); len(events) != 3 || events[0].Type != "HEARTBEAT" {
			t.Errorf("after heartbeats there are %v", events)
		}
	})
}

// A master says the version it is to have; before 1.11 it does not see offer
// constraints.
func TestVersion(t *testing.T) {
	for version, sees := range map[string]bool{"": true, "1.11.0": true, "2.0": true, "1.10.1": false, "0.28.3": false} {
		synctest.Test(t, func(t *testing.T) {
			m := mesosmaster.New(mesosmaster.Config{Agents: agents("node-1"), Version: version})
			defer m.Close()
			client := &http.Client{Transport: m.Transport()}
			resp, err := client.Post(m.URL()+"/api/v1/scheduler", "application/json", strings.NewReader(
				`{"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "f", "roles": ["a"], "capabilities": [{"type": "MULTI_ROLE"}]},
				"offer_constraints": {"role_constraints": {"a": {"groups": [{"attribute_constraints": [{"selector": {"attribute_name": "nowhere"}, "predicate": {"exists": {}}}]}]}}}}}`))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			synctest.Wait()
			if n := len(m.OutstandingOffers()); n > 0 == sees {
				t.Errorf("version %q: %d offers despite constraints", version, n)
			}
			told, err := client.Get(m.URL() + "/version")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = told.Body.Close() }()
			body, err := io.ReadAll(told.Body)
			if err != nil || !strings.Contains(string(body), `"version":"`+version) {
				t.Errorf("/version of %q: %s, %v", version, body, err)
			}
		})
	}
}
