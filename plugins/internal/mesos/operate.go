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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrNotAllowed tells that the master's operator endpoints refuse our credentials,
// or that its ACLs do not let our principal do this. They are in realms of their own
// (--authenticate_http_readonly, --authenticate_http_readwrite): credentials that
// may subscribe need not be enough for them.
var ErrNotAllowed = errors.New("the master does not allow it; check the credentials and the master's ACLs")

// operation is one request to an operator endpoint of the master that holds the
// subscription.
type operation struct {
	// name is what the request is called in errors and metrics.
	name, method, path string
	// body is sent as JSON; nil for reads.
	body any
	// into is what the answer is read into, as JSON; nil if there is none.
	into any
}

// operate makes the request. A refusal says nothing about the subscription, which
// goes on. The error is ErrNotSubscribed, a *CallError or the context's.
func (s *Session) operate(ctx context.Context, o operation) error {
	sub, err := s.begin()
	if err != nil {
		return err
	}
	defer s.inflight.Done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	defer context.AfterFunc(sub.ctx, cancel)()
	status, err := s.exchangeJSON(ctx, sub, o)
	if err == nil {
		s.observeCall(o.name, strconv.Itoa(status), started)
		return nil
	}
	if sub.ctx.Err() != nil {
		err = context.Cause(sub.ctx)
	}
	var refusal *CallError
	if errors.As(err, &refusal) && refusal.Type == o.name {
		s.observeCall(o.name, strconv.Itoa(refusal.Status), started)
		return refusal
	}
	s.observeCall(o.name, failureName(err), started)
	// A read changes nothing, so its outcome is never in doubt.
	return &CallError{Type: o.name, Err: err, Sent: o.body != nil}
}

// exchangeJSON sends the request and reads its answer.
func (s *Session) exchangeJSON(ctx context.Context, sub *subscription, o operation) (status int, err error) {
	var body io.Reader
	if o.body != nil {
		encoded, err := json.Marshal(o.body)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, o.method, strings.TrimSuffix(sub.endpoint, schedulerPath)+o.path, body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", mediaTypeJSON)
	if o.body != nil {
		req.Header.Set("Content-Type", mediaTypeJSON)
	}
	if err := s.authorize(req); err != nil {
		return 0, err
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		refusal := &CallError{Type: o.name, Status: resp.StatusCode, Body: readText(resp.Body), Sent: true}
		if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
			refusal.Err = ErrNotAllowed
		}
		return 0, refusal
	}
	if o.into == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
		return resp.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, s.cfg.MaxRecordBytes)).Decode(o.into); err != nil {
		return 0, fmt.Errorf("the master's answer cannot be read: %w", err)
	}
	return resp.StatusCode, nil
}
