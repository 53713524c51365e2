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
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// From SUBSCRIBE to the last byte of one OFFERS event of 10,000 agents.
func BenchmarkFirstOffers10kAgents(b *testing.B) {
	var list []mesosmaster.AgentConfig
	for i := range 10_000 {
		list = append(list, mesosmaster.AgentConfig{Hostname: fmt.Sprintf("node-%05d", i), Resources: small, Attributes: map[string]string{"rack": fmt.Sprint(i / 40)}})
	}
	for _, media := range []string{"application/x-protobuf", "application/json"} {
		b.Run(media, func(b *testing.B) {
			m := mesosmaster.New(mesosmaster.Config{Agents: list})
			defer m.Close()
			call := &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: framework("bench", "a")}}
			call.Subscribe.FrameworkInfo.FailoverTimeout = nil // removed with its stream
			body, err := call.Marshal()
			if err != nil {
				b.Fatal(err)
			}
			for range b.N {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, m.URL()+"/api/v1/scheduler", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/x-protobuf")
				req.Header.Set("Accept", media)
				resp, err := m.Transport().RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				r := codec.NewRecordReader(resp.Body, 1<<30)
				for range 3 { // SUBSCRIBED, HEARTBEAT, OFFERS
					payload, err := r.Next()
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(int64(len(payload)))
				}
				if n := len(m.OutstandingOffers()); n != 10_000 {
					b.Fatalf("%d offers", n)
				}
				b.StopTimer()
				if err := resp.Body.Close(); err != nil {
					b.Fatal(err)
				}
				for len(m.Frameworks()) != 0 { // the handler notices at once
				}
				b.StartTimer()
			}
		})
	}
}
