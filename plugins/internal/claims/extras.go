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
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// OpenExtra makes a further claim of a bound pod, in phase Reserved, of its node,
// agent and role, and returns its task id. It fails unless the claim that the pod
// lives by is held on that agent, or is lost and to be replaced (Reacquire).
func (l *Ledger) OpenExtra(podUID, agentID string, need resources.Bundle, now time.Time) (string, error) {
	main := l.byPod[podUID]
	switch {
	case main == nil || !main.Bound:
		return "", fmt.Errorf("no claim is bound to the pod with UID %s that another could be added to", podUID)
	case main.Reacquires():
		// Its agent may have come back under another id.
	case main.Phase != Held || main.Status.State == TaskKilling:
		return "", fmt.Errorf("claim %s of pod %s/%s is %s (%s) and cannot be added to", main.TaskID, main.Pod.Namespace, main.Pod.Name, main.Phase, main.Status.State)
	case main.AgentID != agentID:
		return "", fmt.Errorf("pod %s/%s has its claim on agent %s and cannot have another on %s", main.Pod.Namespace, main.Pod.Name, main.AgentID, agentID)
	}
	c := main.extra(l.newTaskID(podUID, now), need, Reserved, now)
	c.AgentID = agentID
	l.insert(c)
	return c.TaskID, nil
}

// extra is a further claim of the pod that lives by c.
func (c *Claim) extra(taskID string, need resources.Bundle, p Phase, now time.Time) *Claim {
	return &Claim{
		TaskID: taskID, Pod: c.Pod, Node: c.Node, AgentID: c.AgentID, Role: c.Role, Need: need,
		Phase: p, Since: now, Extra: true,
	}
}

// PodExtra tells that the bound pod's annotation names the task among its extras.
// It is told of each of them, again and again, after PodBound. While the pod lives
// by no task that may be alive this is not believed; if it matters, the task is
// examined later.
func (l *Ledger) PodExtra(podUID, taskID string, need resources.Bundle, now time.Time) {
	if c := l.named(podUID, taskID, need, now); c != nil {
		c.heir = false
	}
}

// named notes that the pod's annotations name the task besides the one that it
// lives by, and returns the extra claim that this makes; nil if none.
func (l *Ledger) named(podUID, taskID string, need resources.Bundle, now time.Time) *Claim {
	uid, attempt, ours := ParseTaskID(taskID)
	main := l.byPod[podUID]
	if !ours || uid != podUID || main == nil || !main.Bound || main.TaskID == taskID {
		return nil
	}
	l.used(attempt)
	c := l.byTask[taskID]
	switch {
	case c == nil && !main.carries() && !main.stays():
		return nil
	case c == nil:
		c = main.extra(taskID, need, Recovering, now)
		c.Bound, c.sent = true, true
		l.recover(c, now)
		// The news of an orphan may have ended it.
		return l.byTask[taskID]
	case !c.Extra:
		// It is being killed already: the pod must hear of its end.
		l.describe(c, main.Pod, main.Node, main.Role, need)
		c.Extra = true
		l.extras[podUID] = append(l.extras[podUID], c)
	}
	c.Bound, c.lookup, c.looks = true, time.Time{}, 0
	return c
}

// NamedExtras tells of all tasks that the bound pod's annotation names among its
// extras, after PodExtra was told of each. One that it named before and does not
// any more is examined: the annotation may be an old one.
func (l *Ledger) NamedExtras(podUID string, taskIDs []string, now time.Time) {
	for _, c := range l.extras[podUID] {
		if c.Bound && c.Phase != Releasing && !c.heir && c.lookup.IsZero() && !slices.Contains(taskIDs, c.TaskID) {
			c.lookup = now.Add(l.cfg.OrphanGrace)
		}
	}
}

// ReleaseExtra gives a further claim of a pod up, named by the pod's annotation or
// not. It may be called at any time and more than once, and reports like Cancel
// whether the claim was still Reserved. The claim that the pod lives by is left
// alone.
func (l *Ledger) ReleaseExtra(taskID string, now time.Time) (reserved bool) {
	c := l.byTask[taskID]
	if c == nil || !c.Extra {
		return false
	}
	c.Bound = false
	return l.Cancel(taskID, now)
}

// Replace makes the pod live by one of its extras; the claim that it lived by is
// released. The caller has written that into the pod's binding annotations. It
// fails unless the extra is held, and later than the claim it replaces; then both
// stay until PodBound tells what the binding names and Mesos whether that lives.
func (l *Ledger) Replace(podUID, newTaskID string, now time.Time) error {
	main, c := l.byPod[podUID], l.byTask[newTaskID]
	switch {
	case c == nil || c.Pod.UID != podUID || !c.Extra && c != main:
		return fmt.Errorf("the pod with UID %s has no further claim %s that could replace its first", podUID, newTaskID)
	case c == main && c.Bound:
		return nil
	case c.Phase != Held || c.Status.State == TaskKilling:
		return fmt.Errorf("claim %s of pod %s/%s is %s (%s) and can replace no other", newTaskID, c.Pod.Namespace, c.Pod.Name, c.Phase, c.Status.State)
	case main == nil || !later(newTaskID, main.TaskID):
		return fmt.Errorf("claim %s of pod %s/%s is not later than the one that it should replace", newTaskID, c.Pod.Namespace, c.Pod.Name)
	}
	l.adoptAs(c, now)
	return nil
}

// outdates tells whether the pod's binding can only have named the task before it
// named that of c.
func (c *Claim) outdates(taskID string) bool {
	return !later(taskID, c.TaskID) || slices.Contains(c.barred, taskID)
}

// later tells whether the first of two task ids of one pod was given out after the
// second. Ids that are not ours were never given out.
func later(taskID, than string) bool {
	_, a, _ := ParseTaskID(taskID)
	_, b, _ := ParseTaskID(than)
	return a > b
}

// Extras returns the further claims of a pod, the oldest first, also those that
// are being released. They must not be changed or kept.
func (l *Ledger) Extras(podUID string) []*Claim { return slices.Clone(l.extras[podUID]) }

// HeldOf returns what the pod has: the need of the claim that it lives by, unless
// that is not launched yet or lost, and those of its extras that are Held.
func (l *Ledger) HeldOf(podUID string) resources.Bundle {
	var sum resources.Bundle
	if c := l.byPod[podUID]; c != nil && c.confirmed() {
		sum = c.Need
	}
	for _, c := range l.extras[podUID] {
		if c.Phase == Held {
			sum = sum.Add(c.Need)
		}
	}
	return sum
}

// confirmed tells whether the task was alive when last heard of.
func (c *Claim) confirmed() bool {
	return c.Phase == Held || c.Phase == Recovering || c.Phase == Unreachable
}

// carries tells whether the pod lives by the claim, so that others may be added.
func (c *Claim) carries() bool { return c.Bound && c.confirmed() }

// succeed notes that the pod's binding names a later task than the one it lives
// by. Only a task that is known to be held takes another one's place at once.
func (l *Ledger) succeed(main *Claim, taskID string, need resources.Bundle, now time.Time) {
	l.disinherit(main.Pod.UID)
	c := l.named(main.Pod.UID, taskID, need, now)
	switch {
	case c == nil:
	case c.Phase == Held:
		l.adoptAs(c, now)
	default:
		c.heir, c.wasHeir = true, true
	}
}

// heirOf returns the extra that the pod's binding is known to have named, nil if
// there is none. It is better than nothing.
func (l *Ledger) heirOf(podUID string) *Claim {
	for _, c := range l.extras[podUID] {
		if c.wasHeir && c.confirmed() {
			return c
		}
	}
	return nil
}

// disinherit notes that the pod's binding names none of the extras.
func (l *Ledger) disinherit(podUID string) {
	for _, c := range l.extras[podUID] {
		c.heir = false
	}
}

// releaseExtras lets go of all further claims of a pod.
func (l *Ledger) releaseExtras(podUID string, now time.Time) {
	for _, c := range slices.Clone(l.extras[podUID]) {
		l.letGo(c, now)
	}
}

// releaseElsewhere lets go of what was claimed on other agents for the pod that lives by
// c, to take the place of a task that was lost. If the pod's annotations name it, they
// are corrected first.
func (l *Ledger) releaseElsewhere(c *Claim, now time.Time) {
	for _, extra := range slices.Clone(l.extras[c.Pod.UID]) {
		if !extra.Bound && extra.AgentID != c.AgentID {
			l.letGo(extra, now)
		}
	}
}

// drop forgets an extra that ended, and tells of it.
func (l *Ledger) drop(c *Claim, tell bool) {
	l.remove(c)
	if main := l.byPod[c.Pod.UID]; main != nil && c.wasHeir {
		main.barred = append(main.barred, c.TaskID)
	}
	if tell {
		l.effects = append(l.effects, ExtraLost{AgentID: c.AgentID, Pod: c.Pod, Node: c.Node, TaskID: c.TaskID, Status: c.Status})
	}
}

func (l *Ledger) unlist(c *Claim) {
	rest := slices.DeleteFunc(slices.Clone(l.extras[c.Pod.UID]), func(other *Claim) bool { return other == c })
	if len(rest) == 0 {
		delete(l.extras, c.Pod.UID)
	} else {
		l.extras[c.Pod.UID] = rest
	}
}
