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
	"fmt"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// OnLost says what becomes of a bound pod whose task Mesos ended.
type OnLost string

// The policies. Neither Reacquire nor Keep holds a pod where its resources were revoked
// or its agent is drained: both are meant to be empty then.
const (
	// OnLostEvict ends the pod.
	OnLostEvict OnLost = "Evict"
	// OnLostReacquire lets the pod run on and claims its resources again.
	OnLostReacquire OnLost = "Reacquire"
	// OnLostKeep lets the pod run on without a claim.
	OnLostKeep OnLost = "Keep"
)

// Binding is what a bound pod says of its claim.
type Binding struct {
	Pod                         Pod
	Node, TaskID, AgentID, Role string
	Need                        resources.Bundle
	// OnLost is what becomes of the pod when its task ends; "" is OnLostEvict. Explicit
	// tells that the pod itself says so, and not a default.
	OnLost   OnLost
	Explicit bool
}

type (
	// Reacquire asks for another task of a bound pod whose task ended, by OpenExtra and
	// Replace. The claim stays Lost until then.
	Reacquire struct {
		AgentID string
		Pod     Pod
		Node    string
		TaskID  string
		Status  TaskStatus
		Meaning Meaning
	}
	// Kept tells that a bound pod stays although its task ended.
	Kept struct {
		AgentID string
		Pod     Pod
		Node    string
		TaskID  string
		Status  TaskStatus
		Meaning Meaning
	}
	// Verified tells that the master, asked by Verify, says again that a lost task is no
	// more.
	Verified struct{ TaskID string }
)

func (Reacquire) effect() {}
func (Kept) effect()      {}
func (Verified) effect()  {}

// Reacquires tells whether the pod's task ended and another one is to take its place.
func (c *Claim) Reacquires() bool {
	return c.Phase == Lost && c.Bound && c.fate() == OnLostReacquire
}

// Goes tells whether the pod's task ended and the pod is to go.
func (c *Claim) Goes() bool { return c.Phase == Lost && (!c.Bound || c.fate() == OnLostEvict) }

// stays tells whether the pod's task ended and the pod runs on.
func (c *Claim) stays() bool { return c.Phase == Lost && c.Bound && c.fate() != OnLostEvict }

// fate is what becomes of the pod of a lost claim.
func (c *Claim) fate() OnLost {
	switch meaning := MeaningOf(c.Status, false); {
	case c.gaveUp, meaning == Drained:
		return OnLostEvict
	case meaning == Revoked && (c.Revocable || c.Parts == nil):
		// Where it is not known, as after a restart, it is taken for what it seems.
		return OnLostEvict
	case c.Status.Reason == ReasonFrameworkRemoved && !c.explicit:
		return OnLostReacquire
	case c.OnLost == OnLostReacquire, c.OnLost == OnLostKeep:
		return c.OnLost
	}
	return OnLostEvict
}

// inherit takes over what the pod said of its loss, for a task that follows another.
func (c *Claim) inherit(from *Claim) {
	if c.OnLost == "" {
		c.OnLost, c.explicit = from.OnLost, from.explicit
	}
}

// lost says what becomes of a bound pod whose claim is Lost.
func (l *Ledger) lost(c *Claim, now time.Time) {
	meaning := MeaningOf(c.Status, false)
	switch c.fate() {
	case OnLostReacquire:
		l.effects = append(l.effects, Reacquire{AgentID: c.AgentID, Pod: c.Pod, Node: c.Node, TaskID: c.TaskID, Status: c.Status, Meaning: meaning})
	case OnLostKeep:
		l.effects = append(l.effects, Kept{AgentID: c.AgentID, Pod: c.Pod, Node: c.Node, TaskID: c.TaskID, Status: c.Status, Meaning: meaning})
	default:
		l.effects = append(l.effects, Evict{
			AgentID: c.AgentID, Pod: c.Pod, Node: c.Node, TaskID: c.TaskID, Status: c.Status, Meaning: meaning, Revoked: meaning == Revoked,
		})
		l.releaseExtras(c.Pod.UID, now)
	}
}

// setPolicy notes what the pod says of its loss. If that changes what becomes of a pod
// whose claim is lost already, it is said anew.
func (l *Ledger) setPolicy(c *Claim, b *Binding, now time.Time) {
	before := c.fate()
	if b.Explicit && (b.OnLost != c.OnLost || !c.explicit) {
		c.gaveUp = false // the pod itself was told something new
	}
	c.OnLost, c.explicit = b.OnLost, b.Explicit
	if c.Phase == Lost && c.Bound && c.fate() != before {
		c.Since = now
		l.lost(c, now)
	}
}

// giveUpReacquiring ends the pod of a lost claim in whose place no other came in time.
func (l *Ledger) giveUpReacquiring(c *Claim, now time.Time) {
	c.gaveUp = true
	l.lost(c, now)
}

// late tells whether another task has been sought for too long. That cannot be done while
// there is no master, so that this time does not count; see skipOutage.
func (l *Ledger) late(c *Claim, now time.Time) bool {
	return l.connected && l.cfg.ReacquireFor > 0 && c.Reacquires() && now.Sub(c.Since) >= l.cfg.ReacquireFor
}

// outage notes that there is no master.
func (l *Ledger) outage(now time.Time) {
	if !l.connected && l.down.IsZero() {
		l.down = now
	}
}

// skipOutage lets the search for other tasks last longer by the time for which there was
// no master.
func (l *Ledger) skipOutage(now time.Time) {
	if l.down.IsZero() {
		return
	}
	for _, c := range l.byTask {
		if !c.Reacquires() {
			continue
		}
		began := l.down
		if c.Since.After(began) {
			began = c.Since
		}
		c.Since = c.Since.Add(now.Sub(began))
	}
	l.down = time.Time{}
}

// Verify asks the master once more about a lost task, until it says again that the task
// is no more (Verified), or that it lives after all.
func (l *Ledger) Verify(taskID string, now time.Time) {
	if c := l.byTask[taskID]; c != nil && c.Phase == Lost && !c.verifying {
		c.verifying, c.asks = true, 0
		l.ask(c, now)
	}
}

// verified takes the master's answer about a lost task that is not alive. As long as it
// may come back, the question stays open.
func (l *Ledger) verified(c *Claim, answer TaskStatus, now time.Time) {
	if !c.verifying {
		return
	}
	if answer.State == TaskUnreachable && !c.replaced || l.isStrange(c, answer, now) {
		l.askLater(c, now)
		return
	}
	c.verifying = false
	l.effects = append(l.effects, Verified{TaskID: c.TaskID})
}

// FrameworkRemoved tells that the master removed our framework: all its tasks are gone,
// and of their ends it tells nothing. Pods that say nothing else themselves run on, and
// their resources are claimed again by the framework that follows.
func (l *Ledger) FrameworkRemoved(why string, now time.Time) {
	l.connected = false
	l.outage(now)
	clear(l.orphans)
	for _, c := range l.inOrder(func(c *Claim) bool { return c.Phase != Reserved }) {
		if l.byTask[c.TaskID] != c {
			continue // it went with another one
		}
		before := c.Status
		c.Status = TaskStatus{
			TaskID: c.TaskID, AgentID: c.AgentID, State: TaskGone, Reason: ReasonFrameworkRemoved, Source: "SOURCE_MASTER", Message: why, Timestamp: now,
		}
		c.awaiting, c.next = false, time.Time{}
		switch c.Phase {
		case Launching:
			l.settle(c, Outcome{Cause: CauseDisconnected, Status: c.Status})
			l.ended(c, now)
		case Releasing:
			l.ended(c, now)
		case Held, Recovering, Unreachable:
			l.lose(c, now)
		default:
			c.Status = before
		}
	}
}

// Partitioned returns the claims of whose tasks Mesos' last word is that their agent is
// unreachable, the longest in their phase first. They must not be changed or kept.
func (l *Ledger) Partitioned() []*Claim {
	return l.inOrder(func(c *Claim) bool { return c.Status.State == TaskUnreachable && c.Phase.holds() })
}

// AgentReplaced tells that another agent has the place of the one that a partitioned
// task was on: that one does not come back, and of its tasks the master tells nothing
// new (Mesos master.cpp reregisterSlave() knows agents by their id alone). Should it come
// back all the same, the task is believed.
func (l *Ledger) AgentReplaced(taskID, by string, now time.Time) {
	c := l.byTask[taskID]
	if c == nil || c.Status.State != TaskUnreachable || !c.Phase.holds() {
		return
	}
	c.Status.State, c.Status.Reason, c.Status.Timestamp = TaskGone, "REASON_AGENT_REMOVED", now
	c.Status.Message = fmt.Sprintf("agent %s is unreachable, and %s registered in its place", c.AgentID, by)
	c.awaiting, c.next, c.replaced = false, time.Time{}, true
	switch c.Phase {
	case Launching:
		l.settle(c, Outcome{Cause: CauseFailed, Status: c.Status})
		l.ended(c, now)
	case Releasing:
		l.ended(c, now)
	default:
		l.lose(c, now)
	}
}

// Reconciliation is how far the last complete reconciliation came.
type Reconciliation struct {
	// Begun is when it began, Ended when the last one that came to its end did; zero for
	// never.
	Begun, Ended time.Time
	// Open is how many claims wait for an answer.
	Open int
}

// String is for people.
func (r Reconciliation) String() string {
	return fmt.Sprintf("begun %s, %d open, last ended %s", r.Begun.Format(time.RFC3339), r.Open, r.Ended.Format(time.RFC3339))
}

// Reconciliation returns how far the last complete reconciliation came.
func (l *Ledger) Reconciliation() Reconciliation {
	open, begun := l.Unanswered()
	return Reconciliation{Begun: begun, Ended: l.answered, Open: open}
}

// noteAnswered notes the end of a complete reconciliation.
func (l *Ledger) noteAnswered(now time.Time) {
	if !l.connected || l.asked.IsZero() || l.answered.After(l.asked) || !now.After(l.asked) {
		return
	}
	if open, _ := l.Unanswered(); open == 0 {
		l.answered = now
	}
}
