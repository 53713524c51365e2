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

import (
	"slices"
	"strings"
	"time"
)

// Subscribed tells that a subscription began: everything that Mesos may hold for
// us is asked about, and KILLs are repeated, because calls made meanwhile are
// lost.
func (l *Ledger) Subscribed(now time.Time) {
	l.connected = true
	l.skipOutage(now)
	l.reconcile(now)
	for _, o := range l.orphans {
		o.due, o.stale = now.Add(l.cfg.OrphanGrace), true
	}
}

// Disconnected tells that the subscription ended. Claims stay: Mesos keeps the
// tasks of an absent framework.
func (l *Ledger) Disconnected() { l.connected = false }

func (l *Ledger) reconcile(now time.Time) {
	l.asked, l.nextFull = now, now.Add(l.cfg.ReconcileEvery)
	l.effects = append(l.effects, AskAll{})
	for _, c := range l.inOrder(func(*Claim) bool { return true }) {
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
		case Lost:
			if c.verifying {
				c.asks = 0
				l.ask(c, now)
			}
		}
	}
}

// inOrder returns the claims that are picked, the longest in their phase first,
// so that equal events have equal effects.
func (l *Ledger) inOrder(pick func(*Claim) bool) []*Claim {
	var picked []*Claim
	for _, c := range l.byTask {
		if pick(c) {
			picked = append(picked, c)
		}
	}
	slices.SortFunc(picked, func(a, b *Claim) int {
		if order := a.Since.Compare(b.Since); order != 0 {
			return order
		}
		return strings.Compare(a.TaskID, b.TaskID)
	})
	return picked
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
	l.outage(now)
	for _, c := range l.inOrder(func(c *Claim) bool { return l.overdue(c, now) || l.late(c, now) || l.repeats(c, now) }) {
		switch {
		case l.late(c, now):
			l.giveUpReacquiring(c, now)
		case l.overdue(c, now):
			l.expire(c, now)
		case c.Phase == Releasing:
			l.kill(c, now)
		default:
			l.ask(c, now)
		}
	}
	l.noteAnswered(now)
	if !l.connected {
		return
	}
	l.examine(now)
	if !l.nextFull.IsZero() && !now.Before(l.nextFull) {
		l.reconcile(now)
	}
}

// overdue tells whether the launch takes too long: for a claim that was released
// meanwhile, whether the answer to its ACCEPT does.
func (l *Ledger) overdue(c *Claim, now time.Time) bool {
	waits := c.Phase == Launching || c.Phase == Releasing && !c.sent && !c.doubtful
	return waits && now.Sub(c.Since) >= l.patience(c)
}

// patience is how long the launch may take, by what is known of it.
func (l *Ledger) patience(c *Claim) time.Duration {
	switch {
	case !c.probed:
		return l.cfg.LaunchTimeout
	case c.Status.State == TaskStaging:
		return StagingFactor * l.cfg.LaunchTimeout
	}
	return l.cfg.LaunchTimeout + min(l.cfg.LaunchTimeout, probeTimeout)
}

// probeTimeout is how long the answer about an overdue launch may take.
const probeTimeout = 5 * time.Second

// repeats tells whether a KILL or a question is due again.
func (l *Ledger) repeats(c *Claim, now time.Time) bool {
	if !l.connected || c.next.IsZero() || now.Before(c.next) {
		return false
	}
	return c.Phase == Releasing || c.Phase == Unreachable || c.awaiting
}

// expire deals with an overdue launch. A slow agent is given more time: killing
// what it is about to start would make it slower still. Otherwise the wait ends.
// The task may exist: it is killed, and believed to be gone only when Mesos says so.
func (l *Ledger) expire(c *Claim, now time.Time) {
	if c.Phase == Launching && c.sent && !c.probed && l.connected {
		c.probed = true
		l.ask(c, now)
		return
	}
	l.doubt(c, now)
	if c.Phase == Launching {
		l.settle(c, Outcome{Cause: CauseTimeout, Status: c.Status})
		l.enter(c, Releasing, now)
	}
	l.kill(c, now)
}

// examine asks about the tasks that no claim explains, and the extras that no pod
// seems to name any more.
func (l *Ledger) examine(now time.Time) {
	var due []string
	for id, o := range l.orphans {
		if !now.Before(o.due) {
			due = append(due, id)
		}
	}
	for _, list := range l.extras {
		for _, c := range list {
			if c.Phase != Releasing && !c.lookup.IsZero() && !now.Before(c.lookup) {
				due = append(due, c.TaskID)
			}
		}
	}
	slices.Sort(due)
	for _, id := range due {
		if c := l.byTask[id]; c != nil {
			c.lookup = now.Add(l.backoff(c.looks + 1))
			c.looks++
			l.effects = append(l.effects, Examine{TaskID: id, AgentID: c.AgentID, PodUID: c.Pod.UID})
			continue
		}
		o := l.orphans[id]
		o.due = now.Add(l.backoff(o.tries + 1))
		o.tries++
		l.effects = append(l.effects, Examine{TaskID: id, AgentID: o.status.AgentID, PodUID: o.podUID})
	}
}

// Status tells of one status update or reconciliation answer.
func (l *Ledger) Status(s TaskStatus, now time.Time) {
	c := l.byTask[s.TaskID]
	if c == nil {
		l.unexplained(s, now)
		return
	}
	if c.Phase == Reserved {
		// An id of ours that Mesos knows before we sent it: impossible, because
		// ids are never repeated. Nothing follows from it.
		return
	}
	if c.runs() && s.refusesLaunch() {
		// An ACCEPT that reached the master twice: the second one is refused, and says
		// nothing about the task of the first.
		if c.Phase != Releasing {
			l.ask(c, now)
		}
		return
	}
	if c.awaiting {
		c.awaiting, c.next = false, time.Time{}
	}
	before := c.Status
	c.note(s, now)
	switch c.Phase {
	case Launching:
		l.launchNews(c, s, now)
	case Held, Recovering, Unreachable:
		l.heldNews(c, s, now)
	case Lost:
		l.lostNews(c, before, now)
	case Releasing:
		l.releaseNews(c, before, now)
	}
	if c.heir && c.Phase == Held {
		l.adoptAs(c, now)
	}
}

// note takes the status for the claim's latest.
func (c *Claim) note(s TaskStatus, now time.Time) {
	if c.AgentID == "" || s.State.Live() && s.AgentID != "" {
		// A task found by an annotation is taken to be where the pod's first one is, and
		// need not be. The master drops a KILL that names another agent (Mesos
		// master.cpp kill()).
		c.AgentID = s.AgentID
	}
	if s.State.Live() {
		c.sent = true
	}
	if s.State != TaskUnknown {
		c.unknownSince = time.Time{}
	} else if c.unknownSince.IsZero() {
		c.unknownSince = now
	}
	c.Status = s
}

// runs tells whether the claim's task is known to have been launched, and not to have
// ended.
func (c *Claim) runs() bool {
	switch c.Phase {
	case Held, Recovering, Unreachable:
		return true
	case Releasing:
		return c.Status.State.Live()
	}
	return false
}

func (l *Ledger) launchNews(c *Claim, s TaskStatus, now time.Time) {
	switch {
	case s.State == TaskStarting || s.State == TaskRunning:
		l.enter(c, Held, now)
		l.settle(c, Outcome{OK: true, Status: s})
	case s.State == TaskStaging:
		// The master has it, the agent has not answered: keep waiting.
	case l.mayYetCome(c, now):
		if c.doubtful {
			l.askLater(c, now)
		}
	case s.State.Terminal() || s.State == TaskUnknown:
		l.settle(c, Outcome{Cause: launchCause(s), Status: s})
		l.ended(c, now)
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

// doubtGrace is how long after a doubtful ACCEPT "unknown" may only mean "not
// yet": the call may still be under way to the master.
const doubtGrace = 10 * time.Second

// mayYetCome tells whether the claim's status says only that the master has not
// heard of the task, while the ACCEPT may still reach it.
func (l *Ledger) mayYetCome(c *Claim, now time.Time) bool {
	return c.Status.unheard() && !c.sent && (!c.doubtful || now.Sub(c.doubtAt) < doubtGrace)
}

// strange tells that the master says, but not for long enough to be believed,
// that it knows neither the task nor its agent.
func (l *Ledger) strange(c *Claim, now time.Time) bool { return l.isStrange(c, c.Status, now) }

func (l *Ledger) isStrange(c *Claim, s TaskStatus, now time.Time) bool {
	return s.State == TaskUnknown && now.Sub(c.unknownSince) < l.cfg.UnknownGrace
}

func (l *Ledger) heldNews(c *Claim, s TaskStatus, now time.Time) {
	switch {
	case s.State == TaskUnreachable || l.strange(c, now):
		if c.Phase != Unreachable {
			l.enter(c, Unreachable, now)
		}
		c.next = now.Add(l.backoff(c.asks))
	case s.State.Live():
		if c.Phase != Held {
			l.enter(c, Held, now)
		}
	default: // terminal, or UNKNOWN: the master knows neither task nor agent
		l.lose(c, now)
	}
}

// lose deals with a claim whose task Mesos ended. Only the one that the pod lives
// by decides about the pod, unless another is about to take its place.
func (l *Ledger) lose(c *Claim, now time.Time) {
	if c.Extra {
		l.drop(c, true)
		return
	}
	if heir := l.heirOf(c.Pod.UID); heir != nil {
		c.Bound = false
		heir.barred = append(heir.barred, c.barred...)
		heir.inherit(c)
		l.remove(c)
		l.adoptAs(heir, now)
		return
	}
	l.enter(c, Lost, now)
	if c.Bound {
		l.lost(c, now)
	} else {
		l.releaseExtras(c.Pod.UID, now)
	}
}

// lostNews takes a task back that Mesos had given up with its agent. Everything
// else about a lost task is old news.
func (l *Ledger) lostNews(c *Claim, before TaskStatus, now time.Time) {
	if !c.Status.State.Live() || before.State.Final() {
		answer := c.Status
		c.Status = before
		l.verified(c, answer, now)
		return
	}
	c.verifying, c.replaced, c.gaveUp = false, false, false
	l.enter(c, Held, now)
	l.releaseElsewhere(c, now)
}

func (l *Ledger) releaseNews(c *Claim, before TaskStatus, now time.Time) {
	switch s := c.Status.State; {
	case s.Live():
		// The first news of a task whose KILL waited for its ACCEPT; or its agent
		// is back, and the master does not remember what it was to kill there.
		if c.next.IsZero() || before.State == TaskUnreachable {
			c.kills = 0
			l.kill(c, now)
		}
	case s == TaskUnreachable, l.mayYetCome(c, now), l.strange(c, now):
	case s.Terminal() || s == TaskUnknown:
		l.ended(c, now)
	}
}

// unexplained notes a living task of which no claim knows: launched by an
// earlier run of ours, most likely for a pod that was bound or deleted while
// nobody watched.
func (l *Ledger) unexplained(s TaskStatus, now time.Time) {
	uid, attempt, _ := ParseTaskID(s.TaskID)
	l.used(attempt)
	if s.State.Terminal() || s.State == TaskUnknown {
		delete(l.orphans, s.TaskID)
		return
	}
	o := l.orphans[s.TaskID]
	if o == nil {
		o = &orphan{podUID: uid, due: now.Add(l.cfg.OrphanGrace)}
		l.orphans[s.TaskID] = o
	}
	if s.AgentID == "" {
		s.AgentID = o.status.AgentID
	}
	o.status, o.stale = s, false
}
