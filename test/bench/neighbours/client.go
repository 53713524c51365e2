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

package neighbours

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

const (
	mediaProtobuf = "application/x-protobuf"
	streamHeader  = "Mesos-Stream-Id"
	maxRecord     = 1 << 30
)

// client is the connection of one model framework with the master.
type client struct {
	http   http.RoundTripper
	stream string
	id     *mesos.FrameworkID
	events chan *scheduler.Event
	done   chan struct{}
}

// post sends one call in protobuf.
func (c *client) post(ctx context.Context, call *scheduler.Call) (*http.Response, error) {
	call.FrameworkID = c.id
	body, err := call.Marshal()
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", call.Type, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://master.example:5050/api/v1/scheduler", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaProtobuf)
	req.Header.Set("Accept", mediaProtobuf)
	if c.stream != "" {
		req.Header.Set(streamHeader, c.stream)
	}
	return c.http.RoundTrip(req)
}

// call sends a call and wants 202.
func (c *client) call(ctx context.Context, call *scheduler.Call) error {
	resp, err := c.post(ctx, call)
	if err != nil {
		return fmt.Errorf("%s: %w", call.Type, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("%s: %w", call.Type, err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: the master answered %d %q", call.Type, resp.StatusCode, body)
	}
	return nil
}

// subscribe opens the stream. Its events come through a channel that is closed at
// the end, when ctx is done at the latest.
func (c *client) subscribe(ctx context.Context, info *mesos.FrameworkInfo, suppressed []string) error {
	resp, err := c.post(ctx, &scheduler.Call{ //nolint:bodyclose // the reader of the stream does
		Type: scheduler.Call_SUBSCRIBE, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: info, SuppressedRoles: suppressed},
	})
	if err != nil {
		return fmt.Errorf("SUBSCRIBE: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return fmt.Errorf("SUBSCRIBE: the master answered %d", resp.StatusCode)
	}
	c.stream = resp.Header.Get(streamHeader)
	c.events, c.done = make(chan *scheduler.Event), make(chan struct{})
	go func() {
		defer close(c.done)
		defer close(c.events)
		defer func() { _ = resp.Body.Close() }()
		records := codec.NewRecordReader(resp.Body, maxRecord)
		for {
			payload, err := records.Next()
			if err != nil {
				return
			}
			e := &scheduler.Event{}
			if err := e.Unmarshal(payload); err != nil {
				return
			}
			select {
			case c.events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	e, open := <-c.events
	if !open || e.Type != scheduler.Event_SUBSCRIBED {
		return fmt.Errorf("SUBSCRIBE: the stream begins with %v", e)
	}
	c.id = e.Subscribed.FrameworkID
	return nil
}

func (c *client) accept(ctx context.Context, offer mesos.OfferID, tasks []mesos.TaskInfo, refuse float64) error {
	return c.call(ctx, &scheduler.Call{Type: scheduler.Call_ACCEPT, Accept: &scheduler.Call_Accept{
		OfferIDs: []mesos.OfferID{offer}, Filters: &mesos.Filters{RefuseSeconds: &refuse},
		Operations: []mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH, Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks}}},
	}})
}

func (c *client) decline(ctx context.Context, offers []mesos.OfferID, refuse float64) error {
	if len(offers) == 0 {
		return nil
	}
	return c.call(ctx, &scheduler.Call{Type: scheduler.Call_DECLINE, Decline: &scheduler.Call_Decline{
		OfferIDs: offers, Filters: &mesos.Filters{RefuseSeconds: &refuse},
	}})
}

func (c *client) acknowledge(ctx context.Context, s *mesos.TaskStatus) error {
	if len(s.UUID) == 0 || s.AgentID == nil {
		return nil
	}
	return c.call(ctx, &scheduler.Call{Type: scheduler.Call_ACKNOWLEDGE, Acknowledge: &scheduler.Call_Acknowledge{
		AgentID: *s.AgentID, TaskID: s.TaskID, UUID: s.UUID,
	}})
}
