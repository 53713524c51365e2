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

package neighbour

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

const (
	mediaProtobuf = "application/x-protobuf"
	streamHeader  = "Mesos-Stream-Id"
	// maxRecord bounds one event, in bytes.
	maxRecord = 1 << 30
)

// subscription is an open event stream.
type subscription struct {
	id     string // Mesos-Stream-Id
	events chan *scheduler.Event
	cancel context.CancelFunc
	done   chan struct{}
}

// close ends the stream and waits for its reader.
func (s *subscription) close() {
	s.cancel()
	<-s.done
}

// post sends one call in protobuf.
func (n *Neighbour) post(ctx context.Context, stream string, call *scheduler.Call) (*http.Response, error) {
	body, err := call.Marshal()
	if err != nil {
		return nil, fmt.Errorf("neighbour: encode %s: %w", call.Type, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.cfg.URL+"/api/v1/scheduler", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("neighbour: %w", err)
	}
	req.Header.Set("Content-Type", mediaProtobuf)
	req.Header.Set("Accept", mediaProtobuf)
	if stream != "" {
		req.Header.Set(streamHeader, stream)
	}
	return n.http.Do(req)
}

// call sends a call on the present subscription and wants 202.
func (n *Neighbour) call(ctx context.Context, call *scheduler.Call) error {
	call.FrameworkID = n.frameworkID
	resp, err := n.post(ctx, n.sub.id, call)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("neighbour: %s: %w", call.Type, err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("neighbour: %s: master answered %d %q", call.Type, resp.StatusCode, body)
	}
	return nil
}

// subscribe opens the stream; its events come through a channel that is closed
// at the end.
func (n *Neighbour) subscribe(ctx context.Context) (*subscription, error) {
	ctx, cancel := context.WithCancel(ctx)
	info := n.frameworkInfo()
	resp, err := n.post(ctx, "", &scheduler.Call{ //nolint:bodyclose // the reader of the stream does
		Type: scheduler.Call_SUBSCRIBE, FrameworkID: n.frameworkID, Subscribe: &scheduler.Call_Subscribe{FrameworkInfo: info},
	})
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		cancel()
		_ = resp.Body.Close() // its error adds nothing to the refusal
		return nil, fmt.Errorf("neighbour: SUBSCRIBE: master answered %d", resp.StatusCode)
	}
	s := &subscription{id: resp.Header.Get(streamHeader), events: make(chan *scheduler.Event), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer close(s.events)
		defer resp.Body.Close()
		r := codec.NewRecordReader(resp.Body, maxRecord)
		for {
			payload, err := r.Next()
			if err != nil {
				return
			}
			e := &scheduler.Event{}
			if err := e.Unmarshal(payload); err != nil {
				return
			}
			select {
			case s.events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return s, nil
}
