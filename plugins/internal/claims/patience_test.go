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

func newDoubtingRig(t *testing.T) *rig {
	r := &rig{T: t, Ledger: NewLedger(DefaultConfig(30 * time.Second)), now: start}
	r.Ledger.Subscribed(r.now)
	r.want("AskAll")
	return r
}

// A master that lost its registry knows none of its agents until they register
// again, and says of every task that it is unknown.
func TestUnknownMustLast(t *testing.T) {
	const grace = 30 * time.Second
	t.Run("a bound pod stays while the agents come back", func(t *testing.T) {
		r := newDoubtingRig(t)
		id := r.in("HeldBound")
		r.answer(id, TaskUnknown)
		r.want()
		r.phase(id, Unreachable)
		r.tick(2 * time.Second)
		r.want("Ask")
		r.answer(id, TaskRunning)
		r.phase(id, Held)
		// What was said before does not count any more.
		r.after(grace).answer(id, TaskUnknown)
		r.want()
		r.phase(id, Unreachable)
	})
	t.Run("a pod is evicted when it lasts", func(t *testing.T) {
		r := newDoubtingRig(t)
		id := r.in("HeldBound")
		r.answer(id, TaskUnknown)
		asked := 0
		for waited := time.Second; waited < grace; waited += time.Second {
			r.tick(time.Second)
			for _, e := range r.Effects() {
				if _, ok := e.(Ask); !ok {
					t.Fatalf("%s after %v, want questions only", text(e), waited)
				}
				asked++
				r.answer(id, TaskUnknown)
			}
			r.phase(id, Unreachable)
		}
		if asked == 0 {
			t.Fatal("the master was not asked again")
		}
		r.after(time.Second).answer(id, TaskUnknown)
		r.want("Evict p TASK_UNKNOWN")
		r.phase(id, Lost)
	})
	t.Run("a task to be killed is killed again when its agent is back", func(t *testing.T) {
		r := newDoubtingRig(t)
		id := r.in("Releasing")
		r.answer(id, TaskUnknown)
		r.phase(id, Releasing)
		r.tick(grace)
		r.want("Kill")
		r.news(id, TaskKilled)
		r.phase(id, gone)
	})
	t.Run("and forgotten when that lasts", func(t *testing.T) {
		r := newDoubtingRig(t)
		id := r.in("Releasing")
		r.answer(id, TaskUnknown)
		r.after(grace).answer(id, TaskUnknown)
		r.phase(id, gone)
	})
}

// A slow agent is not made slower by killing what it is about to start.
func TestStagingIsGivenTime(t *testing.T) {
	r := newDoubtingRig(t)
	id := r.in("LaunchingSent")
	r.tick(30 * time.Second)
	r.want("Ask")
	r.answer(id, TaskStaging)
	r.tick((StagingFactor-1)*30*time.Second - 1)
	r.want()
	r.phase(id, Launching)
	r.tick(1)
	r.want("Settle Timeout", "Kill")

	r = newDoubtingRig(t)
	id = r.in("LaunchingSent")
	r.tick(30 * time.Second)
	r.want("Ask")
	r.answer(id, TaskGone)
	r.want("Settle Failed")
	r.phase(id, gone)
}

// A standby replica sees pods come and go for weeks. It must not gather tasks to
// be killed on the day it leads.
func TestStandbyForgetsPodsThatEnd(t *testing.T) {
	l := NewLedger(DefaultConfig(30 * time.Second))
	l.PodBound(Binding{Pod: pod, Node: "node", TaskID: TaskID(pod.UID, 1), AgentID: "agent", Role: "role", Need: one}, start)
	l.PodGone(pod.UID, start)
	if n := l.Count(Releasing) + l.Count(Recovering); n != 0 {
		t.Errorf("%d claims are left of a pod that ended while we did not lead", n)
	}
	if !l.Claimed().IsZero() {
		t.Errorf("claimed is %s, want nothing", l.Claimed())
	}
	l.Subscribed(start)
	if effects := l.Effects(); len(effects) != 1 {
		t.Errorf("effects of subscribing are %v, want one AskAll", effects)
	}
}
