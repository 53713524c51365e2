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
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"k8s.io/klog/v2"
)

// Accept implements Client: ACCEPT with its reservations and one LAUNCH. A nil error says that the
// master took the call, not that the tasks run: that, and refusals of offers or
// tasks, come as updates.
func (s *Session) Accept(ctx context.Context, launch Launch) error {
	return s.send(ctx, scheduler.Call_ACCEPT,
		func(l *lanes) (*lane, func()) { return l.forAgent(launch.AgentID) },
		func(sub *subscription) ([][]byte, error) {
			return one(encodeAccept(sub.frameworkID, s.cfg.Framework.Principal, launch))
		})
}

// Unreserve implements Client.
func (s *Session) Unreserve(ctx context.Context, call UnreserveCall) error {
	return s.send(ctx, scheduler.Call_ACCEPT,
		func(l *lanes) (*lane, func()) { return l.forAgent(call.AgentID) },
		func(sub *subscription) ([][]byte, error) { return one(encodeUnreserve(sub.frameworkID, call)) })
}

// Decline implements Client. Ids that the master does not know are ignored by it.
func (s *Session) Decline(ctx context.Context, offerIDs []string, refuse time.Duration) error {
	if len(offerIDs) == 0 {
		return nil
	}
	return s.send(ctx, scheduler.Call_DECLINE, inOrder, func(sub *subscription) ([][]byte, error) {
		return chunked(offerIDs, func(part []string) ([]byte, error) { return encodeDecline(sub.frameworkID, part, refuse) })
	})
}

// Kill implements Client. The master answers a kill of an unknown task with a
// reconciliation update.
func (s *Session) Kill(ctx context.Context, task TaskRef) error {
	return s.send(ctx, scheduler.Call_KILL, inOrder, func(sub *subscription) ([][]byte, error) { return one(encodeKill(sub.frameworkID, task)) })
}

// Reconcile implements Client.
func (s *Session) Reconcile(ctx context.Context, tasks ...TaskRef) error {
	return s.send(ctx, scheduler.Call_RECONCILE, inOrder, func(sub *subscription) ([][]byte, error) {
		if len(tasks) == 0 {
			return one(encodeReconcile(sub.frameworkID, nil))
		}
		return chunked(tasks, func(part []TaskRef) ([]byte, error) { return encodeReconcile(sub.frameworkID, part) })
	})
}

func inOrder(l *lanes) (*lane, func()) { return &l.ordered, func() {} }

func one(body []byte, err error) ([][]byte, error) { return [][]byte{body}, err }

// chunked encodes a list in calls of at most maxIDsPerCall items.
func chunked[T any](items []T, encode func([]T) ([]byte, error)) ([][]byte, error) {
	var out [][]byte
	for part := range slices.Chunk(items, maxIDsPerCall) {
		body, err := encode(part)
		if err != nil {
			return nil, err
		}
		out = append(out, body)
	}
	return out, nil
}

// send makes calls of one type through a lane, one after the other, up to the
// first that fails.
func (s *Session) send(ctx context.Context, kind scheduler.Call_Type, pick func(*lanes) (*lane, func()),
	encode func(*subscription) ([][]byte, error),
) error {
	return s.sendThen(ctx, kind, pick, encode, func(*subscription) {})
}

// sendThen is send that calls then once all calls were accepted, still in the lane.
func (s *Session) sendThen(ctx context.Context, kind scheduler.Call_Type, pick func(*lanes) (*lane, func()),
	encode func(*subscription) ([][]byte, error), then func(*subscription),
) error {
	sub, err := s.begin()
	if err != nil {
		return err
	}
	defer s.inflight.Done()
	l, done := pick(sub.lanes)
	defer done()
	if !l.acquire(ctx, sub.ctx) {
		return notSent(ctx, sub)
	}
	defer l.release()
	// Not before our turn: a call before this one may change our roles.
	bodies, err := encode(sub)
	if err != nil {
		return &CallError{Type: kind.String(), Err: err}
	}
	for _, body := range bodies {
		if err := s.call(ctx, sub, kind, body); err != nil {
			return err
		}
	}
	then(sub)
	return nil
}

// notSent says why a call was never made.
func notSent(ctx context.Context, sub *subscription) error {
	if sub.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrNotSubscribed, context.Cause(sub.ctx))
	}
	return ctx.Err()
}

// call makes one call and ends the subscription if the answer shows that it is
// not live any more.
func (s *Session) call(ctx context.Context, sub *subscription, kind scheduler.Call_Type, body []byte) error {
	if ctx.Err() != nil || sub.ctx.Err() != nil {
		return notSent(ctx, sub)
	}
	started := time.Now()
	callCtx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	defer context.AfterFunc(sub.ctx, cancel)()
	x := s.exchange(callCtx, sub, body)
	if x.err == nil {
		s.observeCall(kind.String(), strconv.Itoa(x.status), started)
		if callSucceeded(x.status) {
			s.callsTaken()
			return nil
		}
		refusal := &CallError{Type: kind.String(), Status: x.status, Body: x.text, Sent: true}
		if x.status == http.StatusUnauthorized {
			refusal.Err = errUnauthorized
			s.callsRefused(s.explain(refusal))
		}
		if kind == scheduler.Call_UPDATE_FRAMEWORK && updateRefused(x.status, x.text) {
			refusal.Err = refusedFramework(x.status, x.text)
		} else if why := subscriptionLost(x.status, x.text); why != nil {
			sub.end(fmt.Errorf("%w: %w", why, refusal))
		}
		return refusal
	}
	failure := &CallError{Type: kind.String(), Sent: x.sent(), Err: x.err}
	switch {
	case sub.ctx.Err() != nil && !failure.Sent:
		return notSent(ctx, sub)
	case sub.ctx.Err() != nil:
		failure.Err = context.Cause(sub.ctx)
	case ctx.Err() != nil:
		failure.Err = ctx.Err()
	case callCtx.Err() != nil:
		failure.Err = fmt.Errorf("%w (%v): %w", errCallTimeout, s.cfg.CallTimeout, callCtx.Err())
	case x.reused.Load():
		// The other end closed an idle connection just now. That says nothing about
		// the stream: if the master died, its stream ends by itself.
	default:
		sub.end(fmt.Errorf("%w at %s: %w", errNotConnecting, sub.master, failure))
	}
	s.observeCall(kind.String(), failureName(failure.Err), started)
	return failure
}

// exchanged is what came of one request.
type exchanged struct {
	status int
	text   string
	err    error
	// asked, got and reused tell how far the request came: asked for a
	// connection, got one, and whether that had served others.
	asked, got, reused atomic.Bool
}

// sent tells whether bytes may have left. A transport that does not report how
// far it came counts as having sent, unless it could not even connect.
func (x *exchanged) sent() bool {
	if x.got.Load() {
		return true
	}
	var op *net.OpError
	if errors.As(x.err, &op) && op.Op == "dial" {
		return false
	}
	return !x.asked.Load()
}

// exchange sends one call and reads its answer.
func (s *Session) exchange(ctx context.Context, sub *subscription, body []byte) *exchanged {
	x := &exchanged{}
	req, err := s.request(ctx, sub, body)
	if err != nil {
		x.asked.Store(true)
		x.err = err
		return x
	}
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { x.asked.Store(true) },
		GotConn: func(info httptrace.GotConnInfo) {
			x.got.Store(true)
			x.reused.Store(info.Reused)
		},
	}
	resp, err := s.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		x.err = err
		return x
	}
	defer func() { _ = resp.Body.Close() }()
	x.status = resp.StatusCode
	if !callSucceeded(x.status) {
		x.text = readText(resp.Body)
	}
	// The rest is read so that the connection can serve again; there is hardly any.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
	return x
}

// request builds a POST for the scheduler endpoint. The media types carry no
// parameters: the master compares them as strings.
func (s *Session) request(ctx context.Context, sub *subscription, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", mediaTypeProtobuf)
	req.Header.Set("Accept", mediaTypeProtobuf)
	if sub.streamID != "" {
		req.Header.Set(headerStreamID, sub.streamID)
	}
	return req, s.authorize(req)
}

// authorize says who asks.
func (s *Session) authorize(req *http.Request) error {
	req.Header.Set("User-Agent", "kube-mesos")
	value, err := s.cfg.Credentials.Authorization()
	if err != nil {
		return fmt.Errorf("%w: %w", errCredentials, err)
	}
	if value != "" {
		req.Header.Set("Authorization", value)
	}
	return nil
}

// acknowledge sends one acknowledgement. What fails is not tried again: the agent
// repeats the update.
func (s *Session) acknowledge(sub *subscription, a ack) {
	defer s.inflight.Done()
	body, err := encodeAcknowledge(sub.frameworkID, a)
	if err == nil {
		err = s.call(sub.ctx, sub, scheduler.Call_ACKNOWLEDGE, body)
	}
	if err != nil {
		s.counters.acksFailed.Add(1)
		klog.FromContext(sub.ctx).V(2).Info("Acknowledgement failed, the agent will repeat the update", "taskID", a.taskID, "agentID", a.agentID, "err", err)
		return
	}
	s.counters.acksSent.Add(1)
}

// updateFramework replaces the short failover_timeout of the first subscription.
// If that fails, the subscription ends: the next one, with the id that is stored
// by now, brings the right value by itself.
func (s *Session) updateFramework(sub *subscription) {
	body, err := encodeUpdateFramework(s.cfg.Framework, sub.currentRoles(), sub.frameworkID, sub.constraints)
	if err == nil {
		err = s.call(sub.ctx, sub, scheduler.Call_UPDATE_FRAMEWORK, body)
	}
	if err != nil {
		sub.end(fmt.Errorf("cannot set the failover timeout, subscribing again with it: %w", err))
	}
}

func (s *Session) observeCall(kind, result string, started time.Time) {
	if s.cfg.Observer != nil {
		s.cfg.Observer.CallDone(kind, result, time.Since(started))
	}
}

// failureName is the result of a call that got no answer, for metrics.
func failureName(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errNoAnswer):
		return "timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, errClosed):
		return "canceled"
	}
	return "connection"
}
