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
	"io"
	"sync"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"k8s.io/klog/v2"
)

// subscription is what the calls need of one live subscription.
type subscription struct {
	// ctx ends with the subscription; end ends it, and the first reason given is
	// the one that is reported.
	ctx context.Context
	end context.CancelCauseFunc
	// master is host:port, endpoint the URL of the calls: those go to the very
	// master that holds the stream.
	master, endpoint string
	// streamID is the Mesos-Stream-Id, "" before SUBSCRIBE is answered.
	streamID    string
	frameworkID string
	// constraints tells whether the master heeds offer constraints.
	constraints bool
	lanes       *lanes
	acks        *ackQueue
	held        heldAcks
	// workers are the goroutines of the subscription.
	workers sync.WaitGroup

	mu sync.Mutex
	// roles are those that the master has accepted. Who holds the ordered lane may
	// change them.
	roles roleSet
	// names are the addresses (host:port) by which the master is known.
	names []string
}

// stream is the reading side of one subscription. All its methods run on the
// goroutine of Session.Run.
type stream struct {
	session *Session
	// run is the context of Session.Run.
	run   context.Context
	sub   *subscription
	body  io.ReadCloser
	watch *watchedReader
	// first tells that we subscribed without a FrameworkID.
	first bool
	// live tells that SUBSCRIBED came and the handler knows; since says when.
	live  bool
	since time.Time
}

// serve reads events until the subscription ends and returns why it did.
func (st *stream) serve() error {
	s := st.session
	stopClosing := context.AfterFunc(st.sub.ctx, func() { _ = st.body.Close() })
	st.watch = watch(st.body, s.silence(defaultHeartbeat), func() { st.sub.end(errSilent) })
	records := newRecordReader(st.watch, s.cfg.MaxRecordBytes)
	var err error
	for err == nil {
		var record []byte
		if record, err = records.next(); err != nil {
			err = readFailure(err)
			break
		}
		s.lastRecord.Store(time.Now().UnixNano())
		err = st.handle(record)
	}
	err = st.why(err)
	st.sub.end(err)
	stopClosing()
	// Closed before we return, so that the master learns of it before we come back.
	// Closing twice does no harm.
	_ = st.body.Close()
	if errors.Is(err, errRecordIO) || errors.Is(err, errWire) {
		s.counters.streamsBroken.Add(1)
	}
	st.retire(err)
	return err
}

// why finds the reason that counts: the first one given to end, else err.
func (st *stream) why(err error) error {
	if cause := context.Cause(st.sub.ctx); cause != nil {
		return cause
	}
	return err
}

// readFailure tells a stream that the master ended from one that was cut, as by
// its death.
func readFailure(err error) error {
	switch {
	case errors.Is(err, errRecordIO):
		return err
	case errors.Is(err, io.EOF):
		return errStreamEnded
	}
	return fmt.Errorf("%w: %w", errStreamCut, err)
}

// retire takes the subscription away from the calls, tells the handler, and waits
// for the subscription's goroutines.
func (st *stream) retire(err error) {
	s := st.session
	state := StateBackoff
	switch {
	case errors.Is(err, ErrFailedOver):
		state = StateFailedOver
	case errors.Is(err, ErrFrameworkRemoved):
		state = StateRemoved
	case st.run.Err() != nil:
		state = StateStopped
	}
	s.mu.Lock()
	s.current, s.attached = nil, nil
	s.mu.Unlock()
	s.setState(state, err)
	if st.live || refusesAsks(err) {
		s.handler.Disconnected(err)
	}
	st.sub.workers.Wait()
	// An acknowledgement may have been queued after its sender had stopped.
	for i := range st.sub.acks.lanes {
		for range st.sub.acks.lanes[i].take() {
			s.dropAck()
		}
	}
}

// dropAck gives one queued acknowledgement up.
func (s *Session) dropAck() {
	s.counters.acksDropped.Add(1)
	s.inflight.Done()
}

// handle deals with one record. An error ends the subscription.
//
// A record that is no protobuf ends it, since the framing is in doubt then. A
// record whose frame and type are good but whose content does not decode is
// skipped and counted: a master or agent would only repeat it after a new
// subscription, so that ending it would never end.
func (st *stream) handle(record []byte) error {
	head, err := scanEvent(record)
	if err != nil {
		return fmt.Errorf("a record is no event: %w", err)
	}
	if o := st.session.cfg.Observer; o != nil {
		o.EventReceived(eventName(head.kind), len(record))
	}
	if !st.live {
		return st.handleFirst(head.kind, record)
	}
	switch head.kind {
	case scheduler.Event_OFFERS:
		return st.onOffers(head.offers)
	case scheduler.Event_RESCIND, scheduler.Event_UPDATE, scheduler.Event_FAILURE,
		scheduler.Event_INVERSE_OFFERS, scheduler.Event_RESCIND_INVERSE_OFFER:
		return st.onEvent(head.kind, record)
	case scheduler.Event_ERROR:
		return onError(record)
	case scheduler.Event_SUBSCRIBED:
		return fmt.Errorf("%w: a second SUBSCRIBED on one stream", errProtocol)
	case scheduler.Event_HEARTBEAT, scheduler.Event_UPDATE_OPERATION_STATUS, scheduler.Event_MESSAGE:
		return nil
	}
	st.onUnknown(head.kind)
	return nil
}

// handleFirst deals with records before SUBSCRIBED: a master sends SUBSCRIBED
// first, or a single ERROR instead of it.
func (st *stream) handleFirst(kind scheduler.Event_Type, record []byte) error {
	switch kind {
	case scheduler.Event_SUBSCRIBED:
		return st.onSubscribed(record)
	case scheduler.Event_ERROR:
		return onError(record)
	case scheduler.Event_HEARTBEAT:
		return nil
	}
	return fmt.Errorf("%w: the first event is %s, want SUBSCRIBED", errProtocol, eventName(kind))
}

func onError(record []byte) error {
	event, err := decodeEvent(record)
	if err != nil || event.Error == nil {
		return fmt.Errorf("%w, and its text cannot be read", errMasterError)
	}
	return classifyErrorEvent(event.Error.Message)
}

// onSubscribed makes the subscription live: first the FrameworkID is stored, then
// calls are let in, then the handler is told.
func (st *stream) onSubscribed(record []byte) error {
	s := st.session
	event, err := decodeEvent(record)
	if err != nil {
		return fmt.Errorf("SUBSCRIBED cannot be decoded: %w", err)
	}
	id := event.GetSubscribed().GetFrameworkID().GetValue()
	if id == "" {
		return fmt.Errorf("%w: SUBSCRIBED without a FrameworkID", errProtocol)
	}
	if s.frameworkID != "" && s.frameworkID != id {
		return fmt.Errorf("%w: subscribed as %s, the master answers for %s", errProtocol, s.frameworkID, id)
	}
	if st.first {
		if err := s.saveID(st.sub.ctx, id); err != nil {
			return err
		}
	}
	interval := heartbeatInterval(event.GetSubscribed().GetHeartbeatIntervalSeconds())
	st.watch.limit = s.silence(interval)
	version := event.GetSubscribed().GetMasterInfo().GetVersion()
	st.sub.frameworkID, st.sub.constraints = id, heedsConstraints(version)
	st.sub.known(event.GetSubscribed().GetMasterInfo())
	if !st.publish() {
		return errClosed
	}
	st.live, st.since = true, time.Now()
	s.counters.subscriptions.Add(1)
	if s.cfg.Observer != nil {
		s.cfg.Observer.StateChanged(StateSubscribed, nil)
	}
	roles := st.sub.currentRoles()
	klog.FromContext(st.sub.ctx).Info("Subscribed to the Mesos master",
		"master", st.sub.master, "masterVersion", version, "frameworkID", id, "heartbeatInterval", interval,
		"roles", len(roles))
	s.handler.Subscribed(Subscription{
		FrameworkID:       id,
		Master:            st.sub.master,
		Version:           version,
		HeartbeatInterval: interval,
		Roles:             roles,
		Constraints:       st.sub.constraints,
	})
	return nil
}

// publish lets calls in. After a first subscription UPDATE_FRAMEWORK holds the
// ordered lane before anybody else can: it would undo a REVIVE made before it.
func (st *stream) publish() bool {
	s, sub := st.session, st.sub
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if st.first {
		sub.lanes.ordered.acquire(sub.ctx, sub.ctx)
		s.inflight.Add(1)
		sub.workers.Go(func() {
			defer s.inflight.Done()
			defer sub.lanes.ordered.release()
			s.updateFramework(sub)
		})
	}
	for i := range sub.acks.lanes {
		l := &sub.acks.lanes[i]
		sub.workers.Go(func() {
			l.run(sub.ctx,
				func(a ack) { s.acknowledge(sub, a) },
				func(ack) { s.dropAck() })
		})
	}
	s.current = sub
	s.setStateLocked(StateSubscribed, sub.master, nil)
	return true
}

// onOffers hands the usable offers of one record to the handler.
func (st *stream) onOffers(message []byte) error {
	s := st.session
	list, left, err := s.decoder.decode(message)
	if left.count > 0 {
		s.counters.offersMalformed.Add(uint64(left.count))
		klog.FromContext(st.sub.ctx).Error(left.why, "Left out offers that cannot be used", "offers", left.count)
		st.declineLater(left.ids)
	}
	if err != nil {
		return fmt.Errorf("OFFERS cannot be decoded: %w", err)
	}
	s.counters.offersReceived.Add(uint64(len(list)))
	if len(list) > 0 {
		s.handler.Offers(list)
	}
	return nil
}

// refuseUnusable is for how long we refuse what we cannot use.
const refuseUnusable = time.Hour

// declineLater declines offers that nobody else knows of: unless declined they
// would keep their agents' resources from everyone.
func (st *stream) declineLater(ids []string) {
	if len(ids) == 0 {
		return
	}
	s, sub := st.session, st.sub
	sub.workers.Go(func() {
		if err := s.Decline(sub.ctx, ids, refuseUnusable); err != nil {
			klog.FromContext(sub.ctx).V(2).Info("Could not decline offers that cannot be used", "offers", len(ids), "err", err)
		}
	})
}

// onEvent hands all events but OFFERS to the handler.
func (st *stream) onEvent(kind scheduler.Event_Type, record []byte) error {
	s := st.session
	event, err := decodeEvent(record)
	if err != nil {
		s.counters.eventsUndecodable.Add(1)
		klog.FromContext(st.sub.ctx).Error(err, "Skipped an event that cannot be decoded", "eventType", eventName(kind), "bytes", len(record))
		return nil
	}
	switch {
	case kind == scheduler.Event_RESCIND && event.Rescind != nil:
		s.handler.Rescinded(event.Rescind.OfferID.Value)
	case kind == scheduler.Event_UPDATE && event.Update != nil:
		st.onUpdate(taskStatusOf(event.Update))
	case kind == scheduler.Event_INVERSE_OFFERS && event.InverseOffers != nil:
		st.onInverseOffers(event.InverseOffers)
	case kind == scheduler.Event_RESCIND_INVERSE_OFFER && event.RescindInverseOffer != nil:
		s.handler.InverseRescinded(event.RescindInverseOffer.InverseOfferID.Value)
	case kind == scheduler.Event_FAILURE && event.Failure != nil:
		f := event.Failure
		s.handler.Failed(f.GetAgentID().GetValue(), f.GetExecutorID().GetValue(), f.GetStatus())
	default:
		s.counters.eventsUndecodable.Add(1)
	}
	return nil
}

func (st *stream) onUnknown(kind scheduler.Event_Type) {
	s := st.session
	s.counters.eventsUnknown.Add(1)
	const manyTypes = 64
	if s.unknown[int32(kind)] || len(s.unknown) >= manyTypes {
		return
	}
	s.unknown[int32(kind)] = true
	klog.FromContext(st.sub.ctx).V(4).Info("Ignoring events of an unknown type", "eventType", int32(kind))
}
