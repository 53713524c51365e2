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
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

// client is a scheduler of few words for tests. Events are collected by one
// goroutine until the stream ends.
type client struct {
	t      *testing.T
	http   *http.Client
	base   string
	json   bool
	id     string // framework id
	stream string
	status int
	body   io.ReadCloser
	stop   context.CancelFunc

	mu     sync.Mutex
	events []*scheduler.Event
	err    error // how the stream ended
	done   chan struct{}
}

var modern = []mesos.FrameworkInfo_Capability{
	{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE},
	{Type: mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT},
	{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE},
	{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE},
}

func framework(name string, roles ...string) *mesos.FrameworkInfo {
	return &mesos.FrameworkInfo{
		User: "root", Name: name, Roles: roles, Capabilities: modern,
		Checkpoint: ptr(true), FailoverTimeout: ptr(60.0),
	}
}

func ptr[T any](v T) *T { return &v }

func newClient(t *testing.T, m *mesosmaster.Master, asJSON bool) *client {
	return &client{t: t, http: &http.Client{Transport: m.Transport()}, base: m.URL(), json: asJSON}
}

// post sends a call and returns the response.
func (c *client) post(ctx context.Context, call *scheduler.Call) (*http.Response, error) {
	c.t.Helper()
	media := "application/x-protobuf"
	body, err := call.Marshal()
	if c.json {
		media = "application/json"
		body, err = codec.MarshalJSON(call)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/v1/scheduler", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	req.Header.Set("Accept", media)
	if c.stream != "" && call.Type != scheduler.Call_SUBSCRIBE {
		req.Header.Set("Mesos-Stream-Id", c.stream)
	}
	return c.http.Do(req)
}

// fails sends a call that must get no answer, and returns why.
func (c *client) fails(call *scheduler.Call) error {
	c.t.Helper()
	resp, err := c.post(context.Background(), call)
	if err == nil {
		resp.Body.Close()
		c.t.Fatalf("%s: answered %d", call.Type, resp.StatusCode)
	}
	return err
}

// subscribe opens the stream; a framework id makes it a resubscription.
func (c *client) subscribe(info *mesos.FrameworkInfo, suppressed ...string) *client {
	c.t.Helper()
	call := &scheduler.Call{Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: info, SuppressedRoles: suppressed}}
	if info.ID != nil {
		call.FrameworkID = info.ID
	}
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := c.post(ctx, call) //nolint:bodyclose // close does
	if err != nil {
		cancel()
		c.t.Fatal(err)
	}
	c.stop, c.body, c.status = cancel, resp.Body, resp.StatusCode
	c.done = make(chan struct{})
	c.stream = resp.Header.Get("Mesos-Stream-Id")
	go c.read(resp.Body, c.done)
	return c
}

func (c *client) read(body io.Reader, done chan struct{}) {
	defer close(done)
	r := codec.NewRecordReader(body, 1<<30)
	for {
		payload, err := r.Next()
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			return
		}
		e := &scheduler.Event{}
		if c.json {
			var tree any
			if tree, err = codec.ParseJSON(payload); err == nil {
				err = codec.UnmarshalTree(tree, e)
			}
		} else {
			err = e.Unmarshal(payload)
		}
		if err != nil {
			c.t.Errorf("event %q: %v", payload, err)
			return
		}
		c.mu.Lock()
		if e.Subscribed != nil {
			c.id = e.Subscribed.FrameworkID.Value
		}
		c.events = append(c.events, e)
		c.mu.Unlock()
	}
}

// close drops the connection of the stream and waits for its reader.
func (c *client) close() {
	c.stop()
	_ = c.body.Close()
	<-c.done
}

// take returns the events so far and forgets them.
func (c *client) take() []*scheduler.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.events
	c.events = nil
	return e
}

// types are the event types so far, heartbeats left out; the events are kept.
func (c *client) types() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, e := range c.events {
		if e.Type != scheduler.Event_HEARTBEAT {
			out = append(out, e.Type.String())
		}
	}
	return out
}

// offers are the offers among the events so far, which are forgotten.
func (c *client) offers() []mesos.Offer {
	var out []mesos.Offer
	for _, e := range c.take() {
		if e.Offers != nil {
			out = append(out, e.Offers.Offers...)
		}
	}
	return out
}

// updates are the statuses among the events so far, which are forgotten.
func (c *client) updates() []mesos.TaskStatus {
	var out []mesos.TaskStatus
	for _, e := range c.take() {
		if e.Update != nil {
			out = append(out, e.Update.Status)
		}
	}
	return out
}

// call sends a call and wants the status given.
func (c *client) call(want int, call *scheduler.Call) string {
	c.t.Helper()
	if call.FrameworkID == nil {
		call.FrameworkID = &mesos.FrameworkID{Value: c.id}
	}
	resp, err := c.post(context.Background(), call)
	if err != nil {
		c.t.Fatalf("%s: %v", call.Type, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != want {
		c.t.Fatalf("%s: got %d %q, want %d", call.Type, resp.StatusCode, body, want)
	}
	return string(body)
}

func command(id, agentID, role, resources string) mesos.TaskInfo {
	return mesos.TaskInfo{
		Name: id, TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: agentID}, Resources: resourcesOf(role, resources),
		Command: &mesos.CommandInfo{Value: ptr("sleep infinity")},
		Labels:  &mesos.Labels{Labels: []mesos.Label{{Key: "k", Value: ptr("v")}}},
	}
}

// resourcesOf makes scalars from "cpus:1;mem:32".
func resourcesOf(role, list string) []mesos.Resource {
	var out []mesos.Resource
	for _, part := range strings.Split(list, ";") {
		name, value, _ := strings.Cut(part, ":")
		r := mesos.Resource{Name: name, AllocationInfo: &mesos.Resource_AllocationInfo{Role: ptr(role)}}
		if lo, hi, ok := strings.Cut(strings.Trim(value, "[]"), "-"); ok {
			r.Type = ptr(mesos.RANGES)
			var begin, end uint64
			_ = json.Unmarshal([]byte(lo), &begin)
			_ = json.Unmarshal([]byte(hi), &end)
			r.Ranges = &mesos.Value_Ranges{Range: []mesos.Value_Range{{Begin: begin, End: end}}}
		} else {
			var x float64
			_ = json.Unmarshal([]byte(value), &x)
			r.Type = ptr(mesos.SCALAR)
			r.Scalar = &mesos.Value_Scalar{Value: x}
		}
		out = append(out, r)
	}
	return out
}

func accept(refuse float64, offers []string, tasks ...mesos.TaskInfo) *scheduler.Call {
	a := &scheduler.Call_Accept{Filters: &mesos.Filters{RefuseSeconds: ptr(refuse)}}
	for _, id := range offers {
		a.OfferIDs = append(a.OfferIDs, mesos.OfferID{Value: id})
	}
	if tasks != nil {
		a.Operations = []mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks}}}
	}
	return &scheduler.Call{Type: scheduler.Call_ACCEPT, Accept: a}
}

func (c *client) ack(s mesos.TaskStatus) {
	c.t.Helper()
	c.call(202, &scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE, Acknowledge: &scheduler.Call_Acknowledge{
		AgentID: *s.AgentID, TaskID: s.TaskID, UUID: s.UUID,
	}})
}

func (c *client) kill(id, agentID string) {
	c.t.Helper()
	k := &scheduler.Call_Kill{TaskID: mesos.TaskID{Value: id}}
	if agentID != "" {
		k.AgentID = &mesos.AgentID{Value: agentID}
	}
	c.call(202, &scheduler.Call{Type: scheduler.Call_KILL, Kill: k})
}

const small = "cpus:4;mem:16384;disk:100000;ports:[31000-32000]"

func agents(hosts ...string) []mesosmaster.AgentConfig {
	var out []mesosmaster.AgentConfig
	for _, h := range hosts {
		out = append(out, mesosmaster.AgentConfig{Hostname: h, Resources: small, Attributes: map[string]string{"rack": "r1"}})
	}
	return out
}

// pass lets the time of the bubble pass.
func pass(d time.Duration) { time.Sleep(d) }
