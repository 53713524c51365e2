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
	"context"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// staticEng is a static reservation as a master encodes it.
var staticEng = &resources.Flavour{Reservations: []resources.Reservation{{Role: "eng"}}, Wire: "\x6a\x07\x1a\x03eng\x20\x01"}

var grace = 2 * time.Second

func TestAgentsAreListed(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   []Agent
		failed bool
	}{
		{
			name: "some", status: 200,
			body: `{"slaves":[{"id":"S0","hostname":"node-1","active":true,"port":5051,"resources":{"cpus":4.5,"mem":1024.0,"gpus":0.0,"ports":"[31000-32000]","x":1},"attributes":{"rack":"r1","weight":2.5,"set":"{a, b}","rack":"r2","weight":"x","ports":"[1-2]","ports":"p"},` +
				`"domain":{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"eu-1"}}}},{"id":"S1","hostname":"node-2","active":false,"attributes":{}}],"recovered_slaves":[]}`,
			want: []Agent{
				{ID: "S0", Hostname: "node-1", Active: true, Attributes: map[string]string{"rack": "r1", "weight": "2.5", "ports": "[1-2]", "set": "{a, b}"}, NotText: []string{"ports", "set", "weight"},
					Total: resources.Vector{resources.CPU: 4500, resources.Memory: 1024000}, Region: "eu", Zone: "eu-1"},
				{ID: "S1", Hostname: "node-2"},
			},
		},
		{
			name: "reserved", status: 200,
			body: `{"slaves":[{"id":"S0","hostname":"h","reserved_resources_full":{` +
				`"eng":[{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"role":"eng","reservations":[{"type":"STATIC","role":"eng"}]},` +
				`{"name":"cpus","type":"SCALAR","scalar":{"value":0.5},"role":"eng","reservations":[{"type":"STATIC","role":"eng"}],"allocation_info":{"role":"eng"}},` +
				`{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]},"role":"eng","reservations":[{"type":"STATIC","role":"eng"}]},` +
				`{"name":"disk","type":"SCALAR","scalar":{"value":5},"reservations":[{"type":"STATIC","role":"eng"}],"disk":{"persistence":{"id":"x"}}}],` +
				`"eng/ads":[{"name":"bandwidth","type":"SCALAR","scalar":{"value":2},"reservations":[{"type":"STATIC","role":"eng"},` +
				`{"type":"DYNAMIC","role":"eng/ads","principal":"","labels":{"labels":[{"key":"k"}]}}]}]},` +
				`"used_resources_full":[{"name":"cpus","type":"SCALAR","scalar":{"value":3},"role":"*"},{"name":"cpus","type":"SCALAR","scalar":{"value":3},"revocable":{}},` +
				`{"name":"mem","type":"SCALAR","scalar":{"value":1},"reservations":[{"type":"STATIC","role":"eng"}]}]}]}`,
			want: []Agent{{ID: "S0", Hostname: "h",
				Reserved: []AgentReservation{
					{Role: "eng", Flavour: staticEng, Bundle: resources.Bundle{
						Vector: resources.Vector{resources.CPU: 2000}, Ports: resources.Ranges{{Begin: 1, End: 2}}}},
					{Role: "eng/ads", Flavour: &resources.Flavour{
						Reservations: []resources.Reservation{{Role: "eng"}, {Role: "eng/ads", Dynamic: true, Labels: []resources.Label{{Key: "k"}}}},
						Wire:         staticEng.Wire + "\x6a\x14\x0a\x00\x12\x05\x0a\x03\x0a\x01k\x1a\x07eng/ads\x20\x02",
					}, Bundle: resources.Bundle{Scalars: resources.Scalars{{Name: "bandwidth", Milli: 2000}}}},
				},
				Used: []resources.Portion{{Flavour: staticEng, Bundle: resources.Bundle{Vector: resources.Vector{resources.Memory: 1000}}}},
			}},
		},
		{
			name: "deactivated, draining, drained, recovered", status: 200,
			body: `{"slaves":[{"id":"S0","hostname":"a","pid":"slave(1)@10.0.0.1:5051","active":false,"deactivated":true},` +
				`{"id":"S1","hostname":"b","pid":"slave(1)@[fe80::1]:5051","deactivated":true,"drain_info":{"state":"DRAINING","config":{"max_grace_period":{"nanoseconds":2000000000},"mark_gone":true}},"estimated_drain_start_time_seconds":1795418285},` +
				`{"id":"S2","hostname":"c","pid":"nonsense","deactivated":true,"drain_info":{"state":"DRAINED","config":{"mark_gone":false}}}],` +
				`"recovered_slaves":[{"id":"S3","hostname":"d","port":5051,"attributes":{"rack":"r1"}}]}`,
			want: []Agent{
				{ID: "S0", Hostname: "a", IP: "10.0.0.1", Deactivated: true},
				{ID: "S1", Hostname: "b", IP: "fe80::1", Deactivated: true, Drain: &AgentDrain{
					State: DrainStateDraining, MaxGrace: &grace, MarkGone: true, Started: time.Unix(1795418285, 0)}},
				{ID: "S2", Hostname: "c", Deactivated: true, Drain: &AgentDrain{State: DrainStateDrained}},
				{ID: "S3", Hostname: "d", Recovered: true, Attributes: map[string]string{"rack": "r1"}},
			},
		},
		{name: "none", status: 200, body: `{"slaves":[]}`, want: []Agent{}},
		{name: "forbidden", status: 403, body: "", failed: true},
		{name: "no attributes", status: 200, body: `{"slaves":[{"id":"S0","attributes":null}]}`, want: []Agent{{ID: "S0"}}},
		{name: "attributes of another kind", status: 200, body: `{"slaves":[{"id":"S0","attributes":["a"]}]}`, failed: true},
		{name: "no JSON", status: 200, body: "<html>", failed: true},
		{name: "cut", status: 200, body: `{"slaves":[{"id":"S0"`, failed: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				m, r, _ := live(t, n, func(_ *rig, c *Config) {
					c.Credentials = showing(func() (string, error) { return "token=x", nil })
				})
				m.onGet = func(w http.ResponseWriter, req *http.Request) {
					if req.URL.Path != "/slaves" || req.Header.Get("Authorization") != "token=x" || req.Header.Get(headerStreamID) != "" || req.ContentLength != 0 {
						t.Errorf("request is %s %s with %v", req.Method, req.URL, req.Header)
					}
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.body))
				}
				got, err := r.session.Agents(t.Context())
				var call *CallError
				if test.failed != errors.As(err, &call) || !reflect.DeepEqual(got, test.want) || (call != nil && call.OutcomeUnknown()) {
					t.Errorf("got %v, %v", got, err)
				}
				r.handler.wants(t, "subscribed fw at m1:5050")
				r.stop()
			})
		})
	}
}

func TestAgentsWithoutAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, nil)
		hold := make(chan struct{})
		m.onGet = func(http.ResponseWriter, *http.Request) { <-hold }
		started := time.Now()
		if _, err := r.session.Agents(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(started))
		}
		result := make(chan error, 1)
		go func() {
			_, err := r.session.Agents(t.Context())
			result <- err
		}()
		synctest.Wait()
		started = time.Now()
		st.end()
		if err := <-result; !errors.Is(err, errStreamEnded) || time.Since(started) != 0 {
			t.Errorf("the end of the subscription gives %v after %v", err, time.Since(started))
		}
		if _, err := r.session.Agents(t.Context()); !errors.Is(err, ErrNotSubscribed) {
			t.Errorf("without a subscription: %v", err)
		}
		close(hold)
		r.stop()
	})
}
