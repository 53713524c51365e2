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

package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// callRetry is how long after a failed call it is made again.
const callRetry = time.Second

// callQueue makes calls one after another, in the order they were added. It is
// unbounded: adding never blocks.
type callQueue struct {
	mu      sync.Mutex
	changed *sync.Cond
	calls   []func(context.Context)
	busy    bool
	closed  bool
}

func newCallQueue() *callQueue {
	q := &callQueue{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *callQueue) add(f func(context.Context)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.calls = append(q.calls, f)
		q.changed.Broadcast()
	}
}

func (q *callQueue) run(ctx context.Context) {
	for {
		q.mu.Lock()
		q.busy = false
		q.changed.Broadcast()
		for len(q.calls) == 0 && !q.closed {
			q.changed.Wait()
		}
		if q.closed {
			q.mu.Unlock()
			return
		}
		f := q.calls[0]
		q.calls[0] = nil
		q.calls = q.calls[1:]
		q.busy = true
		q.mu.Unlock()
		f(ctx)
	}
}

// drain waits until every call added so far was made, or the context ends.
func (q *callQueue) drain(ctx context.Context) {
	// Under the mutex: or the end of the context is announced after it was looked at
	// below and before anybody waits.
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.changed.Broadcast()
	})
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for (len(q.calls) > 0 || q.busy) && !q.closed && ctx.Err() == nil {
		q.changed.Wait()
	}
}

func (q *callQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.calls = nil
	q.changed.Broadcast()
}

// enqueue adds a call of the present subscription. The ledger repeats what
// matters, so a failure is only logged. The mutex is held.
func (m *Manager) enqueue(name string, call func(context.Context, mesos.Client) error) {
	generation := m.generation
	m.calls.add(func(ctx context.Context) {
		if !m.current(generation) {
			return
		}
		if err := call(ctx, m.session()); err != nil {
			m.logger.V(2).Info("Call to Mesos failed; it is repeated while it matters", "call", name, "err", err)
		}
	})
}

// ask makes the calls that the demands want. The mutex is held.
func (m *Manager) ask(a actions, now time.Time) {
	m.askOne(demand.Suppress, a.suppress)
	m.askOne(demand.Revive, a.revive)
	for _, role := range a.revive {
		metrics.Revives.WithLabelValues(string(m.demandOf(role).Cause())).Inc()
		m.bargain.revivedAt[role] = now
		delete(m.bargain.changed, role)
	}
}

func (m *Manager) askOne(action demand.Action, of []string) {
	if len(of) == 0 {
		return
	}
	generation := m.generation
	m.calls.add(func(ctx context.Context) {
		if !m.current(generation) {
			return
		}
		var err error
		if action == demand.Revive {
			err = m.session().Revive(ctx, of...)
		} else {
			err = m.session().Suppress(ctx, of...)
		}
		if err == nil {
			return
		}
		m.logger.V(2).Info("Call to Mesos failed; it is repeated", "call", string(action), "roles", of, "err", err)
		time.AfterFunc(callRetry, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.generation == generation {
				for _, role := range of {
					m.demandOf(role).Failed(action)
				}
				m.kick()
			}
		})
	})
}

// declineLocked gives offers back. A failed call is repeated as long as the
// subscription lasts: otherwise the master would keep them outstanding for us
// for ever. The mutex is held.
func (m *Manager) declineLocked(ids []string, refuse time.Duration, reason string) {
	if len(ids) == 0 {
		return
	}
	metrics.OffersDeclined.WithLabelValues(reason).Add(float64(len(ids)))
	for _, id := range ids {
		m.cfg.Registry.OfferGone(id)
	}
	generation := m.generation
	var send func(context.Context)
	send = func(ctx context.Context) {
		if !m.current(generation) {
			return
		}
		if err := m.session().Decline(ctx, ids, refuse); err != nil {
			m.logger.V(2).Info("Call to Mesos failed; it is repeated", "call", "DECLINE", "offers", len(ids), "err", err)
			// Repeated without a filter: by now a REVIVE may have gone out that this
			// one would take back in part.
			refuse = 0
			time.AfterFunc(callRetry, func() { m.calls.add(send) })
		}
	}
	m.calls.add(send)
}

// accept sends one batch. The mutex is held; the call runs on its own.
func (m *Manager) accept(ctx context.Context, b offers.Batch, now time.Time) {
	if m.nodes.NodeOf(b.AgentID) != b.Node {
		// The agent is not the node any more that the pods were promised.
		for _, id := range b.IDs() {
			m.ledger.Broken(id, claims.CauseOfferGone)
		}
	}
	m.checkParts(&b)
	list := m.ledger.Launching(b.IDs(), now)
	if len(list) == 0 {
		m.cache.Landed(b.AgentID, b.Role)
		m.declineLocked(b.OfferIDs, 0, "Cancelled")
		return
	}
	// What the tasks leave over is kept away only until the role is suppressed: the
	// filter may take effect after the REVIVE of the next pod.
	launch := mesos.Launch{OfferIDs: b.OfferIDs, AgentID: b.AgentID, Role: b.Role, Refuse: m.demandOf(b.Role).RefuseRest(m.cache.Role(b.Role).Waiting() + len(list))}
	ids := make([]string, 0, len(list))
	members := make(map[string]*offers.Member, len(b.Members))
	for i := range b.Members {
		members[b.Members[i].ID] = &b.Members[i]
	}
	for _, c := range list {
		member := members[c.TaskID]
		m.ledger.SetParts(c.TaskID, member.Parts)
		ids = append(ids, c.TaskID)
		launch.Reserve = append(launch.Reserve, member.Reserve...)
		launch.Tasks = append(launch.Tasks, m.task(c))
		m.refreshDemand(c.Pod.UID, now)
		if c.Extra {
			m.demandOf(b.Role).Remove(resizer(c.Pod.UID), now)
		}
	}
	if left, _ := m.demandOf(b.Role).Pods(); left > 0 {
		// More pods wait: have the rest of the agent offered again at once.
		launch.Refuse = 0
	}
	for _, id := range b.OfferIDs {
		m.cfg.Registry.OfferGone(id)
	}
	metrics.BatchTasks.Observe(float64(len(ids)))
	client := m.mesos
	m.accepts.Go(func() {
		start := time.Now()
		err := client.Accept(ctx, launch)
		m.accepted(b, ids, err, start)
	})
}

// checkParts gives up members that were promised other resources than those they get:
// offers may have gone since, and a quota is charged for what takes their place. The
// mutex is held.
func (m *Manager) checkParts(b *offers.Batch) {
	if !m.cfg.EnforceQuota || !m.cfg.Book.Any() {
		return
	}
	for i := range b.Members {
		id := b.Members[i].ID
		c := m.ledger.ByTask(id)
		if c == nil || c.Parts == nil || slices.EqualFunc(c.Parts, b.Members[i].Parts, samePortion) {
			continue
		}
		m.uncharge(id)
		m.ledger.SetParts(id, b.Members[i].Parts)
		if m.overQuota(b.Role, id) != "" {
			m.ledger.Broken(id, claims.CauseOfferGone)
		}
	}
}

func samePortion(a, b resources.Portion) bool {
	return a.Flavour.Equal(b.Flavour) && a.Bundle.Equal(&b.Bundle)
}

// accepted deals with the answer to a batch's ACCEPT. Offers that the master may
// still hold outstanding for us are declined: it consumes those of an ACCEPT that
// it processed, and knows none of a subscription that ended, but of a call that it
// refused or never saw it keeps them for ever.
func (m *Manager) accepted(b offers.Batch, ids []string, err error, start time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.cache.Landed(b.AgentID, b.Role)
	if err != nil {
		m.promiseBroken(m.cache.Unpredict(b.AgentID, b.Role))
	}
	var call *mesos.CallError
	switch {
	case err == nil:
		metrics.AcceptSeconds.WithLabelValues("accepted").Observe(now.Sub(start).Seconds())
		m.ledger.Sent(ids, now)
		m.remains(&b, start, now)
	case errors.Is(err, mesos.ErrNotSubscribed):
		metrics.AcceptSeconds.WithLabelValues("disconnected").Observe(now.Sub(start).Seconds())
		m.ledger.SendFailed(ids, false, claims.CauseDisconnected, now)
	case errors.As(err, &call) && !call.OutcomeUnknown():
		metrics.AcceptSeconds.WithLabelValues("refused").Observe(now.Sub(start).Seconds())
		m.logger.Error(err, "Mesos refused an ACCEPT", "agent", b.AgentID, "tasks", len(ids))
		m.declineLocked(b.OfferIDs, 0, "Refused")
		m.ledger.SendFailed(ids, false, claims.CauseFailed, now)
	default:
		metrics.AcceptSeconds.WithLabelValues("doubtful").Observe(now.Sub(start).Seconds())
		m.logger.Error(err, "The answer to an ACCEPT never came; asking Mesos about its tasks", "agent", b.AgentID, "tasks", len(ids))
		m.declineLocked(b.OfferIDs, 0, "Doubtful")
		m.ledger.SendFailed(ids, true, claims.CauseDisconnected, now)
	}
	m.carryOut()
}

func (m *Manager) task(c *claims.Claim) mesos.Task {
	parts := c.Parts
	if parts == nil {
		parts = []resources.Portion{{Bundle: c.Need}}
	}
	return mesos.Task{
		ID: c.TaskID, Name: c.Pod.Name, Parts: parts, Command: m.cfg.Command,
		Labels: []mesos.Label{
			{Key: LabelNamespace, Value: c.Pod.Namespace},
			{Key: LabelName, Value: c.Pod.Name},
			{Key: LabelUID, Value: c.Pod.UID},
		},
	}
}

func (m *Manager) current(generation uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.subscribed && m.generation == generation
}

func (m *Manager) session() mesos.Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mesos
}
