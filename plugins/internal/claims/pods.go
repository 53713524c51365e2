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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Cancel gives a claim up: the pod will not be bound with it. It may be called
// at any time and more than once. It reports whether the claim was still
// Reserved, so that the caller gives the offers' part back. A claim that the
// pod's binding names is not given up: the call that bound the pod may fail
// although it took effect.
func (l *Ledger) Cancel(taskID string, now time.Time) (reserved bool) {
	c := l.byTask[taskID]
	if c == nil {
		return false
	}
	switch {
	case c.Phase == Reserved:
		l.remove(c)
		return true
	case c.Bound || c.Phase == Releasing:
	case c.Phase == Lost:
		l.remove(c)
	default:
		l.release(c, now)
	}
	return false
}

// PodBound tells that the pod is bound to the node by the task its annotations
// name. It is told of every bound pod of ours, again and again. A pod that names
// the task of another pod changes nothing: it must not take over what the other
// one holds. Nor does a task older than the one that the pod is bound by: that is
// old news, because a pod only ever moves on to a later task. Such a one takes the
// place of a living claim when it is known to be held, and not before.
func (l *Ledger) PodBound(b Binding, now time.Time) {
	pod, taskID := b.Pod, b.TaskID
	uid, attempt, ours := ParseTaskID(taskID)
	if ours && uid != pod.UID {
		return
	}
	l.used(attempt)
	c, main := l.byTask[taskID], l.byPod[pod.UID]
	if c != nil && c.Pod.UID != pod.UID {
		return
	}
	if main != nil && main.Bound {
		switch {
		case c == main:
			l.setPolicy(main, &b, now)
			l.disinherit(pod.UID)
			return
		case main.outdates(taskID):
			l.setPolicy(main, &b, now)
			return
		case main.carries():
			l.setPolicy(main, &b, now)
			l.succeed(main, taskID, b.Need, now)
			return
		}
		// The lost claim is done with: what the pod says is of the one that follows.
	}
	if c != nil {
		if c.Pod != pod {
			// A task disowned before its pod was seen.
			l.describe(c, pod, b.Node, b.Role, b.Need)
		}
		c.OnLost, c.explicit = b.OnLost, b.Explicit
		l.adoptAs(c, now)
		if c.Phase == Lost {
			l.lost(c, now)
		}
		return
	}
	c = &Claim{
		TaskID: taskID, Pod: pod, Node: b.Node, AgentID: b.AgentID, Role: b.Role, Need: b.Need,
		Phase: Recovering, Since: now, sent: true, OnLost: b.OnLost, explicit: b.Explicit,
	}
	l.adoptAs(c, now)
	l.recover(c, now)
}

// recover files the claim of a task that another run of ours launched, and finds
// out how the task is.
func (l *Ledger) recover(c *Claim, now time.Time) {
	l.insert(c)
	o := l.orphans[c.TaskID]
	delete(l.orphans, c.TaskID)
	if o == nil || o.stale {
		l.ask(c, now)
		return
	}
	l.Status(o.status, now)
}

// describe completes a claim of which only the task was known.
func (l *Ledger) describe(c *Claim, pod Pod, node, role string, need resources.Bundle) {
	l.sums.sub(c)
	c.Pod, c.Node, c.Role, c.Need = pod, node, role, need
	l.sums.add(c)
}

// adoptAs makes c the claim that its pod's binding names and that it lives by; any
// other that it lived by is released, because the binding decides.
func (l *Ledger) adoptAs(c *Claim, now time.Time) {
	if c.Extra {
		l.unlist(c)
		c.Extra, c.heir, c.lookup = false, false, time.Time{}
	}
	other := l.byPod[c.Pod.UID]
	c.Bound = true
	l.byPod[c.Pod.UID] = c
	if other != nil && other != c {
		if other.Bound {
			c.inherit(other)
		}
		c.barred = append(c.barred, other.barred...)
		l.giveUp(other, now)
	}
	l.releaseElsewhere(c, now)
}

// PodGone tells that the pod has ended or was deleted: whatever it holds is
// released.
func (l *Ledger) PodGone(podUID string, now time.Time) {
	if c := l.byPod[podUID]; c != nil {
		l.giveUp(c, now)
	}
	for _, c := range l.extras[podUID] {
		c.Bound = false
	}
	l.releaseExtras(podUID, now)
}

// giveUp releases whatever the claim holds; no pod lives by it any more.
func (l *Ledger) giveUp(c *Claim, now time.Time) {
	c.Bound = false
	l.letGo(c, now)
}

// letGo releases whatever the claim holds.
func (l *Ledger) letGo(c *Claim, now time.Time) {
	switch c.Phase {
	case Reserved:
		l.effects = append(l.effects, Settle{
			TaskID: c.TaskID, AgentID: c.AgentID, Pod: c.Pod, Outcome: Outcome{Cause: CausePodGone}, Extra: c.Extra, Reserved: true,
		})
		l.remove(c)
	case Lost:
		l.remove(c)
	case Releasing:
	default:
		if l.asked.IsZero() && c.Phase == Recovering {
			// We have not led yet, so the task is not ours to kill. If it still
			// lives when we do, Mesos tells of it.
			l.remove(c)
			return
		}
		l.release(c, now)
	}
}

// Disown tells that the examined task has no pod, or none that names it: it is
// killed.
func (l *Ledger) Disown(taskID string, now time.Time) {
	o := l.orphans[taskID]
	if o == nil {
		if c := l.byTask[taskID]; c != nil && c.Extra && !c.lookup.IsZero() {
			l.giveUp(c, now)
		}
		return
	}
	delete(l.orphans, taskID)
	c := &Claim{
		TaskID: taskID, Pod: Pod{UID: o.podUID}, AgentID: o.status.AgentID,
		Phase: Releasing, Since: now, Status: o.status, sent: true,
	}
	l.byTask[taskID] = c
	l.sums.add(c)
	l.kill(c, now)
}

// release starts to kill the claim's task. While its ACCEPT is on the way the
// KILL waits: a KILL that overtakes it would find no task and stop nothing.
func (l *Ledger) release(c *Claim, now time.Time) {
	if c.Phase == Launching {
		l.settle(c, Outcome{Cause: CausePodGone})
	}
	l.enter(c, Releasing, now)
	if c.sent || c.doubtful {
		l.kill(c, now)
	}
}
