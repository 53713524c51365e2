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
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// Masters and ZooKeeper come and go at random while frameworks subscribe and
// launch: the books stay right, and in the end a leader serves.
func TestEnsembleAtRandom(t *testing.T) {
	launches := 0
	for seed := range uint64(40) {
		cfg := recorded22()
		cfg.Seed = int64(seed)
		ensemble(t, cfg, func(t *testing.T, e *mesosmaster.Ensemble) {
			rng := rand.New(rand.NewPCG(seed, 7))
			for step := range 60 {
				disturb(e, rng)
				if i, ok := e.Leader(); ok && rng.IntN(2) == 0 {
					launchSomewhere(t, e, i)
				}
				time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
				synctest.Wait()
				if err := e.CheckInvariants(); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, step, err)
				}
			}
			e.StartZooKeeper()
			for i := range e.Masters() {
				e.Continue(i)
			}
			time.Sleep(time.Minute)
			for i := range e.Masters() {
				_ = e.Begin(i) // most of them run
			}
			time.Sleep(time.Minute)
			i, ok := e.Leader()
			if !ok {
				t.Fatalf("seed %d: nobody leads", seed)
			}
			c := clientOf(t, e, i, "").subscribe(framework("last", "a"))
			defer c.close()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if len(c.offers()) == 0 && len(e.OutstandingOffers()) == 0 {
				t.Errorf("seed %d: no offers, agents %+v", seed, e.Agents())
			}
			launches += e.CallCount("ACCEPT")
		})
	}
	if launches < 100 {
		t.Errorf("only %d launches: the test tests little", launches)
	}
}

func disturb(e *mesosmaster.Ensemble, rng *rand.Rand) {
	i := rng.IntN(e.Masters())
	switch rng.IntN(9) {
	case 0:
		e.Kill(i)
	case 1, 2:
		_ = e.Begin(i) // most of them run
	case 3:
		e.Suspend(i)
	case 4, 5:
		e.Continue(i)
	case 6:
		e.StopZooKeeper()
	case 7:
		e.StartZooKeeper()
	}
}

// launchSomewhere subscribes a framework that goes at once, after it has launched
// a task on its first offer. The leader may be stopped, or go meanwhile.
func launchSomewhere(t *testing.T, e *mesosmaster.Ensemble, leader int) {
	t.Helper()
	client := &http.Client{Transport: e.Transport(), Timeout: time.Second}
	post := func(stream, body string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.MasterURL(leader)+"/api/v1/scheduler", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if stream != "" {
			req.Header.Set("Mesos-Stream-Id", stream)
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil
		}
		return resp
	}
	resp := post("", strings.Replace(subscribeJSON, `"name"`, `"failover_timeout":60,"name"`, 1))
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	synctest.Wait()
	offers := e.OutstandingOffers()
	if len(offers) == 0 {
		return
	}
	o := offers[0]
	task := `{"name":"t","task_id":{"value":"t-` + o.ID + `"},"agent_id":{"value":"` + o.AgentID + `"},"command":{"value":"sleep 30"},` +
		`"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}}]}`
	accepted := post(resp.Header.Get("Mesos-Stream-Id"), `{"type":"ACCEPT","framework_id":{"value":"`+o.FrameworkID+`"},"accept":{"offer_ids":[{"value":"`+o.ID+`"}],`+
		`"operations":[{"type":"LAUNCH","launch":{"task_infos":[`+task+`]}}]}}`)
	if accepted != nil {
		accepted.Body.Close()
	}
}
