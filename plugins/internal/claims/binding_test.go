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
	"testing"
	"time"
)

func TestUnreachableAndBack(t *testing.T) {
	r := newRig(t)
	id := r.in("UnreachableBound")
	r.tick(2 * time.Second)
	r.want("Ask")
	r.answer(id, TaskUnreachable)
	r.tick(4*time.Second - 1)
	r.want()
	r.Status(TaskStatus{TaskID: id, State: TaskRunning, Reason: "REASON_AGENT_REREGISTERED"}, r.now)
	r.phase(id, Held)
	r.tick(time.Minute)
	r.want()
	r.news(id, TaskUnreachable)
	r.news(id, TaskGoneByOperator)
	r.want("Evict p TASK_GONE_BY_OPERATOR")
}

func TestLostWhileBound(t *testing.T) {
	t.Run("one Evict, whatever comes after", func(t *testing.T) {
		r := newRig(t)
		id := r.in("HeldBound")
		// The master's own copy overtakes updates that the agent repeats.
		r.news(id, TaskFailed)
		r.want("Evict p TASK_FAILED")
		for _, s := range []TaskState{TaskFailed, TaskRunning, TaskUnreachable, TaskKilling, TaskGone, TaskFailed, TaskUnknown} {
			r.news(id, s)
		}
		r.bind(id)
		r.Cancel(id, r.now)
		r.Sent([]string{id}, r.now)
		r.Disconnected()
		r.Subscribed(r.now)
		r.want("AskAll")
		r.phase(id, Lost)
		if s := r.ByTask(id).Status.State; s != TaskFailed {
			t.Errorf("the loss is remembered as %s", s)
		}
		r.PodGone(pod.UID, r.now)
		r.want()
		r.phase(id, gone)
	})
	t.Run("the agent returns, and is lost again", func(t *testing.T) {
		r := newRig(t)
		id := r.in("LostBound")
		r.news(id, TaskRunning)
		r.phase(id, Held)
		r.want()
		r.news(id, TaskGone)
		r.want("Evict p TASK_GONE")
	})
	t.Run("between confirmation and binding", func(t *testing.T) {
		r := newRig(t)
		id := r.in("Lost")
		r.bind(id)
		r.bind(id)
		r.want("Evict p TASK_GONE")
		if r.Cancel(id, r.now) {
			t.Error("a lost claim is still reserved")
		}
		r.phase(id, Lost)
	})
	t.Run("given up, yet bound", func(t *testing.T) {
		r := newRig(t)
		id := r.in("ReleasingBound")
		r.news(id, TaskKilled)
		r.want("Evict p TASK_KILLED")
		r.PodGone(pod.UID, r.now)
		r.phase(id, gone)
	})
	t.Run("the evicted pod is named", func(t *testing.T) {
		r := newRig(t)
		id := r.in("HeldBound")
		r.news(id, TaskGone)
		got := r.Effects()[0].(Evict)
		if got.Pod != pod || got.Node != "node" || got.TaskID != id || got.Status.TaskID != id {
			t.Errorf("evicted is %+v", got)
		}
	})
}

func TestCancelOfABoundClaim(t *testing.T) {
	r := newRig(t)
	id := r.in("HeldBound")
	if r.Cancel(id, r.now) {
		t.Error("the claim is said to be reserved")
	}
	r.want()
	r.phase(id, Held)
	if r.Cancel("unknown", r.now) || !r.Cancel(r.openFor("other"), r.now) {
		t.Error("only a reserved claim gives something back")
	}
}

// openFor opens a claim for another pod.
func (r *rig) openFor(uid string) string {
	id, err := r.Open(Pod{"ns", uid, uid}, "node", "agent", "role", one, r.now)
	if err != nil {
		r.Fatal(err)
	}
	return id
}

func TestBindingDecidesBetweenClaims(t *testing.T) {
	for state, want := range map[string]struct {
		effects []string
		left    Phase
	}{
		"Reserved":        {[]string{"Settle PodGone"}, gone},
		"Launching":       {[]string{"Settle PodGone"}, Releasing},
		"Held":            {[]string{"Kill"}, Releasing},
		"Unreachable":     {[]string{"Kill"}, Releasing},
		"Lost":            {nil, gone},
		"Releasing":       {nil, Releasing},
		"ReleasingUnsent": {nil, Releasing},
	} {
		t.Run(state, func(t *testing.T) {
			r := newRig(t)
			older := r.in("Releasing")
			newer := r.in(state)
			r.bind(older)
			r.want(want.effects...)
			r.phase(newer, want.left)
			if c := r.ByPod(pod.UID); c == nil || c.TaskID != older || !c.Bound {
				t.Fatalf("the pod lives by %+v", c)
			}
			check(t, r.Ledger)
			r.news(older, TaskKilled)
			r.want("Evict p TASK_KILLED")
			r.PodGone(pod.UID, r.now)
			r.phase(older, gone)
			check(t, r.Ledger)
		})
	}
	t.Run("the older one is forgotten already", func(t *testing.T) {
		r := newRig(t)
		newer := r.in("Held")
		older := TaskID(pod.UID, 7)
		r.bind(older)
		r.want("Kill", "Ask")
		r.phase(newer, Releasing)
		r.answer(older, TaskUnknown)
		r.want("Evict p TASK_UNKNOWN")
	})
}

func TestBindingNamesAnotherPodsTask(t *testing.T) {
	r := newRig(t)
	id := r.in("Held")
	thief := Pod{"evil", "t", "thief"}
	r.PodBound(Binding{Pod: thief, Node: "node", TaskID: id, AgentID: "agent", Role: "role", Need: one}, r.now)
	r.PodBound(Binding{Pod: thief, Node: "node", TaskID: TaskID("absent", 3), AgentID: "agent", Role: "role", Need: one}, r.now)
	r.want()
	if r.ByTask(id).Bound || r.ByPod("thief") != nil || r.ByPod("absent") != nil {
		t.Error("a pod took over another pod's task")
	}
}
