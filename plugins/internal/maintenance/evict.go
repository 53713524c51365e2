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

package maintenance

import "time"

// Eviction says why and how the pods of a machine have to go.
type Eviction struct {
	Mark Mark
	// Due is from when on.
	Due time.Time
	// MaxGrace is how long a pod may take at most, nil for as long as it wants.
	MaxGrace *time.Duration
	// budgets is how long after Due PodDisruptionBudgets count if there is no MaxGrace.
	budgets time.Duration
}

// minGrace is the shortest grace period: none at all would take the pod's object away
// while its containers run on.
const minGrace = time.Second

// For says how a pod with a grace period has to go: until when budgets may keep it, and
// what its grace period is capped to, nil if that is short enough.
func (e Eviction) For(grace time.Duration) (deadline time.Time, capped *time.Duration) {
	if e.Mark.Planned() {
		deadline = e.Mark.Window.Start
		if e.MaxGrace != nil && grace > *e.MaxGrace {
			capped = e.MaxGrace
		}
		return deadline, capped
	}
	if e.MaxGrace == nil {
		return e.Due.Add(e.budgets), nil
	}
	most := max(*e.MaxGrace, minGrace)
	if grace > most {
		grace, capped = most, &most
	}
	// What is deleted then ends inside of the drain's grace period.
	return e.Due.Add(most - grace), capped
}

// Evictions returns the agents whose pods have to go because their machine's window
// begins soon, or has. Those of agents that are drained are told of one by one, as
// Mesos ends their tasks: see Drain.
func (b *Book) Evictions(now time.Time) map[string]Eviction {
	evictions := map[string]Eviction{}
	for _, a := range b.agents {
		if e, ok := b.planned(a, now); ok {
			evictions[a.id] = e
		}
	}
	return evictions
}

// Eviction returns why the pods of an agent have to go, false if they need not.
func (b *Book) Eviction(agentID string, now time.Time) (Eviction, bool) {
	if a := b.agents[agentID]; a != nil {
		return b.planned(a, now)
	}
	return Eviction{}, false
}

func (b *Book) planned(a *agent, now time.Time) (Eviction, bool) {
	w := b.window(a, now)
	if w == nil {
		return Eviction{}, false
	}
	due := w.Start.Add(-b.cfg.EvictBefore)
	if now.Before(due) {
		return Eviction{}, false
	}
	e := Eviction{Mark: Mark{Kind: Maintenance, Window: *w}, Due: due}
	if b.cfg.EvictBefore > 0 {
		e.MaxGrace = &b.cfg.EvictBefore
	}
	return e, true
}

// TaskDrained takes in that Mesos ended a task because its agent is drained.
func (b *Book) TaskDrained(agentID string, now time.Time) {
	if a := b.agent(agentID); a.drainSince.IsZero() {
		a.drainSince = now
	}
}

// Drain returns how the pods of an agent have to go that is being drained, or was; false
// if it is not. confirmed tells that the list of agents says so, too: until it does, how
// is a guess.
func (b *Book) Drain(agentID string, now time.Time) (e Eviction, confirmed, drains bool) {
	a := b.agents[agentID]
	if a == nil || !a.drains() {
		return Eviction{}, false, false
	}
	e = Eviction{Mark: Mark{Kind: Draining}, Due: a.drainSince, budgets: b.cfg.BudgetFor}
	if w := b.window(a, now); w != nil {
		e.Mark.Window = *w
	}
	if a.state.Drain != nil {
		e.MaxGrace = a.state.Drain.MaxGrace
	}
	return e, a.state.Drain != nil, true
}

// hold is a task that Mesos ended and whose pod is still there. As long as we do not
// acknowledge that, the agent does not count as drained.
type hold struct {
	pod, agent string
	// grace is the pod's own grace period.
	grace time.Duration
	since time.Time
}

// holdMargin is how much longer than its pod may take a task is held.
const holdMargin = 30 * time.Second

// Hold takes in the end of a drained agent's task whose pod is still there, with the
// grace period of that. The acknowledgement is to be held until Overdue or PodGone
// names the task.
func (b *Book) Hold(taskID, podUID, agentID string, grace time.Duration, now time.Time) {
	if b.held[taskID] == nil {
		b.held[taskID] = &hold{pod: podUID, agent: agentID, grace: grace, since: now}
	}
}

// Held tells whether a task's acknowledgement is held.
func (b *Book) Held(taskID string) bool { return b.held[taskID] != nil }

// PodGone takes in that a pod is gone. It returns the tasks to acknowledge.
func (b *Book) PodGone(podUID string) (release []string) {
	for task, h := range b.held {
		if h.pod == podUID {
			release = append(release, task)
			delete(b.held, task)
		}
	}
	return inOrder(release, func(s string) string { return s })
}

// Overdue returns the tasks to acknowledge although their pods are still there: they had
// as long as the drain gives, and no machine is to wait for ever.
func (b *Book) Overdue(now time.Time) (release []string) {
	for task, h := range b.held {
		if !now.Before(b.holdUntil(h)) {
			release = append(release, task)
			delete(b.held, task)
		}
	}
	return inOrder(release, func(s string) string { return s })
}

func (b *Book) holdUntil(h *hold) time.Time {
	if a := b.agents[h.agent]; a != nil && a.state.Drain != nil && a.state.Drain.MaxGrace != nil {
		return h.since.Add(max(*a.state.Drain.MaxGrace, minGrace) + holdMargin)
	}
	return h.since.Add(b.cfg.BudgetFor + h.grace + holdMargin)
}
