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
)

// loss is what a world needs to take tasks away: agents that come and go on the one
// node, frameworks that are removed, and pods that say what becomes of them.
type loss struct {
	cfg Config
	// agent is the one that the node has now, on the agent of each task.
	agent  string
	on     map[string]string
	agents int
	// framework is ours, 0 while we have none; of is that of each pod's claim.
	framework, frameworks int
	of                    map[string]int
	// policy is what pods say of their loss; "" for nothing.
	policy map[string]OnLost
}

func newLoss(patient bool) loss {
	cfg := testCfg
	cfg.ReacquireFor = 2 * time.Minute
	if patient {
		cfg.ReacquireFor = 0
	}
	return loss{cfg: cfg, agent: "a0", on: map[string]string{}, framework: 1, frameworks: 1, of: map[string]int{}, policy: map[string]OnLost{}}
}

// subscribe begins a subscription, as a new framework if the old one was removed.
func (w *world) subscribe() {
	if w.framework == 0 {
		w.frameworks++
		w.framework = w.frameworks
		for _, uid := range names(w.pods) {
			w.seen(uid)
		}
	}
	w.l.Subscribed(w.now)
}

// policyOf is what the caller says of a pod: its own word, or the default. What a former
// framework held is claimed again.
func (w *world) policyOf(uid string) (onLost OnLost, explicit bool) {
	if p := w.policy[uid]; p != "" {
		return p, true
	}
	if w.framework != 0 && w.of[uid] != w.framework {
		return OnLostReacquire, false
	}
	return OnLostEvict, false
}

func (w *world) stepLoss() {
	what := w.byte(12)
	if what < 5 && w.byte(w.odds(2)) > 0 {
		what = 10
	}
	switch what {
	case 0:
		w.partition()
	case 1:
		w.returns(false)
	case 2:
		w.returns(true)
	case 3:
		w.replaceAgent()
	case 4:
		w.removeFramework()
	case 5, 6, 7:
		if uid, ok := pick(w, w.pods); ok {
			w.did["policy changed"]++
			w.policy[uid] = []OnLost{"", OnLostEvict, OnLostReacquire, OnLostKeep}[w.byte(4)]
			w.seen(uid)
		}
	case 8:
		w.takeAway()
	case 9:
		if id, ok := pick(w, w.l.byTask); ok {
			w.l.Verify(id, w.now)
		}
	default:
		if uid, ok := pick(w, w.pods); ok {
			w.reclaim(uid)
		}
	}
}

// partition makes the agent unreachable with all its tasks; the news may be lost.
func (w *world) partition() {
	w.did["agent lost"]++
	for _, id := range names(w.tasks) {
		if w.on[id] == w.agent {
			w.tasks[id] = TaskUnreachable
			if w.byte(4) > 0 {
				w.send(TaskStatus{TaskID: id, AgentID: w.agent, State: TaskUnreachable, Reason: "REASON_AGENT_REMOVED", Source: "SOURCE_MASTER"})
			}
		}
	}
}

// returns brings a partitioned agent back, with its tasks or without.
func (w *world) returns(empty bool) {
	w.did["agent back"]++
	for _, id := range names(w.tasks) {
		switch {
		case w.on[id] != w.agent || w.tasks[id] != TaskUnreachable:
		case empty: // of tasks that it forgot nobody tells
			w.did["agent rebooted"]++
			delete(w.tasks, id)
		default:
			w.tasks[id] = TaskRunning
			w.send(TaskStatus{TaskID: id, AgentID: w.agent, State: TaskRunning, Reason: "REASON_AGENT_REREGISTERED", Source: "SOURCE_MASTER"})
		}
	}
}

// replaceAgent gives the node an agent with another id. The old one's tasks stay
// unreachable for ever, or the master says that they are lost.
func (w *world) replaceAgent() {
	w.did["agent replaced"]++
	w.partition()
	removed := w.byte(2) == 0
	for _, id := range names(w.tasks) {
		if removed && w.on[id] == w.agent {
			delete(w.tasks, id)
			w.send(TaskStatus{TaskID: id, AgentID: w.agent, State: TaskLost, Reason: "REASON_AGENT_REMOVED", Source: "SOURCE_MASTER"})
		}
	}
	w.agents++
	w.agent = fmt.Sprint("a", w.agents)
}

// missReplaced is the caller's work when another agent has the node.
func (w *world) missReplaced() {
	w.obey(false) // the caller waits a while, in which questions are answered
	for _, c := range w.l.Partitioned() {
		if c.AgentID != w.agent {
			w.l.AgentReplaced(c.TaskID, w.agent, w.now)
		}
	}
}

func (w *world) removeFramework() {
	if w.framework == 0 {
		return
	}
	w.did["framework removed"]++
	w.framework = 0
	clear(w.tasks)
	// Nothing of the old one's comes any more.
	w.old, w.flying, w.slow = nil, nil, nil
	w.l.FrameworkRemoved("removed", w.now)
}

// takeAway ends a task of a living agent.
func (w *world) takeAway() {
	id, ok := pick(w, w.tasks)
	if !ok || w.on[id] != w.agent {
		return
	}
	s := []TaskStatus{
		{State: TaskGone, Reason: "REASON_CONTAINER_PREEMPTED"}, {State: TaskKilled, Reason: "REASON_AGENT_DRAINING"},
		{State: TaskFailed, Reason: "REASON_EXECUTOR_TERMINATED"}, {State: TaskDropped, Reason: "REASON_RECONCILIATION"},
	}[w.byte(4)]
	s.TaskID, s.AgentID, s.Source = id, w.agent, "SOURCE_AGENT"
	delete(w.tasks, id)
	w.send(s)
}

// staysOn checks that a pod stays for a reason.
func (w *world) staysOn(e Effect) {
	switch e := e.(type) {
	case Kept:
		w.did["kept"]++
		if e.Meaning == Drained {
			w.t.Fatalf("a drained pod is kept: %+v", e)
		}
	case Reacquire:
		if e.Meaning == Drained {
			w.t.Fatalf("a drained pod's resources are claimed again: %+v", e)
		}
	}
}

// mayEvict checks that no pod goes against its word.
func (w *world) mayEvict(e Evict) {
	own := w.policy[e.Pod.UID]
	gone := e.Meaning == Drained || e.Meaning == Revoked || w.cfg.ReacquireFor > 0 && w.now.Sub(start) >= w.cfg.ReacquireFor && own != OnLostKeep
	if c := w.l.ByTask(e.TaskID); c == nil || !c.Goes() || w.pods[e.Pod.UID] != e.TaskID || c.explicit != (own != "") {
		return // its own word was not heard then, or since
	}
	if !gone && (own == OnLostReacquire || own == OnLostKeep || own == "" && e.Status.Reason == ReasonFrameworkRemoved) {
		w.t.Fatalf("evicted although it says %q: %+v", own, e)
	}
	if own == OnLostReacquire {
		w.did["evicted after all"]++
	}
}

// reclaim is the caller's work for a pod that lost its task and runs on.
func (w *world) reclaim(uid string) {
	main := w.l.ByPod(uid)
	if main == nil || w.pods[uid] == "" || !main.Reacquires() || w.framework == 0 {
		return
	}
	for _, c := range w.l.Extras(uid) {
		switch {
		case c.Phase == Held && later(c.TaskID, main.TaskID):
			w.did["reacquired"]++
			id := c.TaskID
			w.annotate(uid, id, func(extras map[string]bool) { delete(extras, id) })
			if w.byte(2) == 0 {
				_ = w.l.Replace(uid, id, w.now)
			}
			w.seen(uid)
			return
		case c.Phase == Reserved:
			for _, c := range w.l.Launching([]string{c.TaskID}, w.now) {
				w.flying = append(w.flying, c.TaskID)
			}
			return
		case c.Phase != Releasing && later(c.TaskID, main.TaskID):
			return
		}
	}
	w.opened(w.l.OpenExtra(uid, w.agent, w.need(), w.now))
}

func (w *world) reclaimAll() {
	w.missReplaced()
	for _, uid := range names(w.pods) {
		w.reclaim(uid)
	}
}

// keeps tells whether the pod of a lost claim is to stay as it is.
func (w *world) keeps(c *Claim) bool {
	return c != nil && c.Phase == Lost && c.Bound && c.fate() == OnLostKeep && w.policy[c.Pod.UID] == OnLostKeep
}
