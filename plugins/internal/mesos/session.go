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
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
)

// Session keeps one framework subscribed to the leading Mesos master. Make it
// with NewSession, run it with Run; it implements Client.
type Session struct {
	cfg       Config
	handler   Handler
	dial      credentials.Dial
	transport http.RoundTripper
	names     serverNames
	// lastNews is when the detector told of another leader, in Unix nanoseconds.
	lastNews atomic.Int64
	// refused tells that the master does not take our calls for want of credentials.
	refused  atomic.Bool
	jitter   func() float64
	counters counters
	// lastRecord is when the last record came, in Unix nanoseconds; 0 for never.
	lastRecord atomic.Int64

	// The fields of Run's goroutine.
	backoff backoff
	decoder *offerDecoder
	// unknown holds the event types that were logged already.
	unknown map[int32]bool
	// frameworkID is "" until it was loaded or stored.
	frameworkID string
	// turns says which master to try next.
	turns turns

	// inflight counts calls and acknowledgements between begin and their end.
	// Only begin and publish, under mu and unless closing, add to it.
	inflight sync.WaitGroup
	// done is closed when Run has returned.
	done chan struct{}
	// hurry holds a token when something has changed that ends the wait for the next try.
	hurry chan struct{}

	mu      sync.Mutex
	status  Status
	current *subscription
	// attached is the subscription that is being made or served.
	attached *subscription
	closing  bool
	stop     context.CancelCauseFunc
}

var _ Client = (*Session)(nil)

// Status is where a session stands.
type Status struct {
	State State
	// FrameworkID is "" until the first subscription or the store told it.
	FrameworkID string
	// Master is the address that holds the subscription, "" without one.
	Master string
	// Since is when State began.
	Since time.Time
	// LastError is why State is not Subscribed, or why the master does not take our calls
	// though it is; "" if all is well. Reason is the same for machines.
	LastError string
	Reason    Reason
	// LastRecord is when the master was last heard of, zero for never.
	LastRecord time.Time
}

// Status returns where the session stands. It is safe for concurrent use.
func (s *Session) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	if at := s.lastRecord.Load(); at != 0 {
		status.LastRecord = time.Unix(0, at)
	}
	return status
}

// Run subscribes and stays subscribed, calling the Handler, until ctx is done or
// Close is called: then it returns nil. It returns an error wrapping ErrFailedOver
// or, without Config.Removed, ErrFrameworkRemoved if the master tells so, after which the
// FrameworkID must not be used by this process again. A session runs once.
func (s *Session) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.mu.Lock()
	if s.stop != nil {
		s.mu.Unlock()
		return errors.New("mesos session: Run was called before; make a new session")
	}
	s.stop = stop
	s.mu.Unlock()
	defer close(s.done)
	defer s.closeIdle()
	var running sync.WaitGroup
	defer func() {
		stop(nil)
		running.Wait()
	}()
	running.Go(func() { s.cfg.Masters.Run(ctx) })
	running.Go(func() { s.cfg.Credentials.Run(ctx) })
	running.Go(func() { s.watchChanges(ctx) })
	for {
		lasted, err := s.cycle(ctx)
		if s.survivable(err) {
			if err = s.outlive(ctx, err); err == nil {
				continue
			}
		}
		switch {
		case errors.Is(err, ErrFailedOver), errors.Is(err, ErrFrameworkRemoved):
			return err
		case ctx.Err() != nil || s.isClosing():
			s.setState(StateStopped, nil)
			return nil
		}
		s.backoff.lasted(lasted)
		if needsOperator(err) {
			s.backoff.longest()
		}
		wait := s.backoff.wait(s.jitter())
		s.setState(StateBackoff, err)
		klog.FromContext(ctx).Error(err, "No subscription to a Mesos master, will try again", "wait", wait)
		select {
		case <-ctx.Done():
		case <-s.hurry:
			s.backoff.reset()
		case <-time.After(wait):
		}
	}
}

// cycle subscribes once and serves the subscription to its end. It returns how
// long the subscription was live, and why it ended.
func (s *Session) cycle(ctx context.Context) (lasted time.Duration, err error) {
	if ctx.Err() != nil || s.isClosing() {
		return 0, errClosed
	}
	s.setState(StateConnecting, nil)
	if err := s.loadID(ctx); err != nil {
		return 0, err
	}
	st, err := s.subscribe(ctx)
	if err != nil {
		if refusesAsks(err) {
			s.handler.Disconnected(err)
		}
		return 0, err
	}
	err = st.serve()
	if st.live {
		lasted = time.Since(st.since)
	}
	if errors.Is(err, errSilent) {
		// A master that was stopped takes the next SUBSCRIBE and says nothing again: the
		// others may know a new leader.
		s.turns.pass()
	}
	return lasted, err
}

// loadID finds our FrameworkID before we subscribe: to subscribe without it would
// make a second framework next to the tasks of the first.
func (s *Session) loadID(ctx context.Context) error {
	if s.frameworkID != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	id, err := s.cfg.IDs.Load(ctx)
	if err != nil {
		return fmt.Errorf("%w: cannot load it, not subscribing without it: %w", errIdentity, err)
	}
	s.setFrameworkID(id)
	return nil
}

// saveID stores a FrameworkID that the master has just given.
func (s *Session) saveID(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	if err := s.cfg.IDs.Save(ctx, id); err != nil {
		return fmt.Errorf("%w: cannot store %s, giving the subscription up before it is used; the master forgets it in %v: %w",
			errIdentity, id, firstFailoverTimeout, err)
	}
	s.setFrameworkID(id)
	return nil
}

func (s *Session) setFrameworkID(id string) {
	s.frameworkID = id
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.FrameworkID = id
}

// setState publishes a state; err is why it is not better.
func (s *Session) setState(state State, err error) {
	s.mu.Lock()
	changed := s.status.State != state
	s.setStateLocked(state, "", err)
	s.mu.Unlock()
	if changed && s.cfg.Observer != nil {
		s.cfg.Observer.StateChanged(state, err)
	}
}

func (s *Session) setStateLocked(state State, master string, err error) {
	if s.status.State != state {
		s.status.Since = time.Now()
	}
	s.status.State, s.status.Master = state, master
	switch {
	case state == StateSubscribed || state == StateStopped:
		s.status.LastError, s.status.Reason = "", ""
	case err != nil:
		s.status.LastError, s.status.Reason = err.Error(), ReasonOf(err)
	}
}

// callsRefused notes that the master does not know our credentials any more. The stream
// needs none and stays: they may be mended.
func (s *Session) callsRefused(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.State == StateSubscribed {
		s.refused.Store(true)
		s.status.LastError, s.status.Reason = why.Error(), ReasonOf(why)
	}
}

// callsTaken ends that.
func (s *Session) callsTaken() {
	if !s.refused.Swap(false) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.State == StateSubscribed {
		s.status.LastError, s.status.Reason = "", ""
	}
}

func (s *Session) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// begin takes part in the live subscription for one call. The caller must call
// inflight.Done afterwards.
func (s *Session) begin() (*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.closing {
		return nil, ErrNotSubscribed
	}
	s.inflight.Add(1)
	return s.current, nil
}

// Close ends the session without ending the framework (no TEARDOWN): it refuses
// new calls, waits for those under way and for pending acknowledgements, closes
// the stream and waits for Run to return. If ctx is done first, calls are cut off
// and ctx's error returned. The master then waits for our return for
// FrameworkInfo.FailoverTimeout.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	stop := s.stop
	s.mu.Unlock()
	if stop == nil {
		return nil
	}
	flushed := make(chan struct{})
	go func() {
		s.inflight.Wait()
		close(flushed)
	}()
	var err error
	select {
	case <-flushed:
	case <-s.done:
	case <-ctx.Done():
		err = fmt.Errorf("mesos session: closed with calls under way: %w", ctx.Err())
	}
	stop(errClosed)
	select {
	case <-s.done:
	case <-ctx.Done():
		if err == nil {
			err = fmt.Errorf("mesos session: closing: %w", ctx.Err())
		}
	}
	return err
}

// closeIdle ends the connections that the calls leave open.
func (s *Session) closeIdle() {
	if t, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
