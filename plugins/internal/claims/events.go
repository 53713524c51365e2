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

package claims

import "time"

// Subscribed tells that a subscription began: everything that Mesos may hold for
// us is asked about, and KILLs are repeated, because calls made meanwhile are
// lost.
func (l *Ledger) Subscribed(now time.Time) {
	l.connected = true
	l.reconcile(now)
	for _, o := range l.orphans {
		o.due = now.Add(l.cfg.OrphanGrace)
	}
}

// Disconnected tells that the subscription ended. Claims stay: Mesos keeps the
// tasks of an absent framework.
func (l *Ledger) Disconnected() { l.connected = false }

func (l *Ledger) reconcile(now time.Time) {
	l.asked, l.nextFull = now, now.Add(l.cfg.ReconcileEvery)
	l.effects = append(l.effects, AskAll{})
	for _, c := range l.byTask {
		switch c.Phase {
		case Held, Recovering, Unreachable:
			c.asks = 0
			l.ask(c, now)
		case Launching:
			if c.sent || c.doubtful {
				c.asks = 0
				l.ask(c, now)
			}
		case Releasing:
			if c.sent || c.doubtful {
				c.kills = 0
				l.kill(c, now)
			}
		}
	}
}

// Unanswered returns how many claims still wait for an answer of the last
// reconciliation, and when that began.
func (l *Ledger) Unanswered() (open int, since time.Time) {
	for _, c := range l.byTask {
		if c.awaiting {
			open++
		}
	}
	return open, l.asked
}

// Tick does what is due: launch timeouts, repeated KILLs and questions, tasks
// that no claim explains, the periodic reconciliation.
func (l *Ledger) Tick(now time.Time) {
	for _, c := range l.byTask {
		if c.Phase == Launching && now.Sub(c.Since) >= l.cfg.LaunchTimeout {
			l.settle(c, Outcome{Cause: CauseTimeout, Status: c.Status})
			// The task may exist: kill it, and believe that it is gone only when
			// Mesos says so.
			c.doubtful = true
			l.enter(c, Releasing, now)
			l.kill(c, now)
			continue
		}
		if !l.connected || c.next.IsZero() || now.Before(c.next) {
			continue
		}
		switch {
		case c.Phase == Releasing:
			l.kill(c, now)
		case c.awaiting || c.Phase == Unreachable:
			l.ask(c, now)
		}
	}
	if !l.connected {
		return
	}
	for id, o := range l.orphans {
		if now.Before(o.due) {
			continue
		}
		o.due = now.Add(l.backoff(o.tries + 1))
		o.tries++
		l.effects = append(l.effects, Examine{TaskID: id, AgentID: o.agentID, PodUID: o.podUID})
	}
	if !l.nextFull.IsZero() && !now.Before(l.nextFull) {
		l.reconcile(now)
	}
}

// Status tells of one status update or reconciliation answer.
func (l *Ledger) Status(s TaskStatus, now time.Time) {
	c := l.byTask[s.TaskID]
	if c == nil {
		l.unexplained(s, now)
		return
	}
	if c.awaiting {
		c.awaiting, c.asks, c.next = false, 0, time.Time{}
	}
	if s.AgentID != "" && c.AgentID == "" {
		c.AgentID = s.AgentID
	}
	before := c.Status
	c.Status = s
	switch c.Phase {
	case Reserved:
		// An id of ours that Mesos knows before we sent it: impossible, because
		// ids are never repeated. Nothing follows from it.
		c.Status = before
	case Launching:
		l.launchNews(c, s, now)
	case Held, Recovering, Unreachable, Lost:
		l.heldNews(c, s, now)
	case Releasing:
		l.releaseNews(c, s, now)
	}
}

func (l *Ledger) launchNews(c *Claim, s TaskStatus, now time.Time) {
	switch {
	case s.State == TaskStarting || s.State == TaskRunning:
		l.enter(c, Held, now)
		l.settle(c, Outcome{OK: true, Status: s})
	case s.State == TaskStaging:
		// The master has it, the agent has not answered: keep waiting.
		c.sent = true
	case s.State.Terminal():
		l.settle(c, Outcome{Cause: launchCause(s), Status: s})
		l.remove(c)
	case s.State == TaskUnknown:
		if !c.sent {
			// The ACCEPT's fate is in doubt; it may still be processed.
			l.ask(c, now)
			return
		}
		l.settle(c, Outcome{Cause: CauseFailed, Status: s})
		l.remove(c)
	default: // KILLING by somebody else, UNREACHABLE
		l.settle(c, Outcome{Cause: CauseFailed, Status: s})
		l.enter(c, Releasing, now)
		l.kill(c, now)
	}
}

// launchCause reads from a terminal status why a launch failed. Only an offer
// that was gone is known to be nobody's fault: a task that an agent dropped may
// be dropped again at once.
func launchCause(s TaskStatus) Cause {
	switch {
	case s.State == TaskError:
		return CauseRejected
	case s.Reason == "REASON_INVALID_OFFERS":
		return CauseOfferGone
	}
	return CauseFailed
}

func (l *Ledger) heldNews(c *Claim, s TaskStatus, now time.Time) {
	switch {
	case s.State == TaskUnreachable:
		if c.Phase != Unreachable && c.Phase != Lost {
			l.enter(c, Unreachable, now)
		}
		c.next = now.Add(l.backoff(c.asks))
	case s.State.Live():
		if c.Phase != Held {
			l.enter(c, Held, now)
		}
	case c.Phase == Lost:
	default: // terminal, or UNKNOWN: the master knows neither task nor agent
		l.enter(c, Lost, now)
		if c.Bound {
			l.evict(c)
		}
	}
}

// doubtGrace is how long after a doubtful ACCEPT "unknown" may only mean "not
// yet": the call may still be under way to the master.
const doubtGrace = 10 * time.Second

func (l *Ledger) releaseNews(c *Claim, s TaskStatus, now time.Time) {
	gone := s.State.Terminal() || s.State == TaskUnknown
	if !gone {
		return
	}
	reconciled := s.Reason == "REASON_RECONCILIATION" || s.State == TaskUnknown
	if reconciled && !c.sent && now.Sub(c.Since) < doubtGrace {
		return
	}
	if c.Bound {
		// Released, yet the pod's binding names it: the pod has nothing left.
		l.enter(c, Lost, now)
		l.evict(c)
		return
	}
	l.remove(c)
}

// unexplained notes a living task of which no claim knows: launched by an
// earlier run of ours, most likely for a pod that was bound or deleted while
// nobody watched.
func (l *Ledger) unexplained(s TaskStatus, now time.Time) {
	if s.State.Terminal() || s.State == TaskUnknown {
		delete(l.orphans, s.TaskID)
		return
	}
	if o := l.orphans[s.TaskID]; o != nil {
		if s.AgentID != "" {
			o.agentID = s.AgentID
		}
		return
	}
	uid, _, _ := ParseTaskID(s.TaskID)
	l.orphans[s.TaskID] = &orphan{agentID: s.AgentID, podUID: uid, due: now.Add(l.cfg.OrphanGrace)}
}
