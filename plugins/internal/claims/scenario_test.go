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
	"math"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestLifeOfAClaim(t *testing.T) {
	r := newRig(t)
	id := r.open()
	r.phase(id, Reserved)
	if r.Claimed() != (resources.Vector{}) {
		t.Error("a reservation counts as claimed")
	}
	if list := r.Launching([]string{id, "other"}, r.now); len(list) != 1 || list[0].TaskID != id {
		t.Fatalf("to be launched are %v", list)
	}
	if r.Claimed() != one.Vector {
		t.Errorf("claimed is %v", r.Claimed())
	}
	r.Sent([]string{id}, r.now)
	r.news(id, TaskStarting)
	r.want("Settle OK")
	r.bind(id)
	r.news(id, TaskRunning)
	r.want()
	if c := r.ByPod(pod.UID); c == nil || c.TaskID != id || !c.Bound || c.Phase != Held {
		t.Fatalf("the pod lives by %+v", c)
	}
	r.PodGone(pod.UID, r.now)
	r.want("Kill")
	r.news(id, TaskKilling)
	r.news(id, TaskKilled)
	r.want()
	r.phase(id, gone)
	if r.ByPod(pod.UID) != nil || r.Claimed() != (resources.Vector{}) {
		t.Errorf("something is left: %v", r.Claimed())
	}
}

func TestOpenOncePerPod(t *testing.T) {
	for _, state := range []string{"Reserved", "Launching", "Held", "HeldBound", "Unreachable", "Lost", "LostBound", "ReleasingBound"} {
		r := newRig(t)
		r.in(state)
		if id, err := r.Open(pod, "n", "a", "r", one, r.now); err == nil {
			t.Errorf("%s: opened %s besides", state, id)
		}
	}
	r := newRig(t)
	old := r.in("Releasing")
	next := r.open()
	r.PodGone(pod.UID, r.now)
	r.want("Settle PodGone")
	r.phase(next, gone)
	r.phase(old, Releasing)
	r.news(old, TaskKilled)
	r.phase(old, gone)
	check(t, r.Ledger)
}

func TestRestart(t *testing.T) {
	r := &rig{T: t, Ledger: NewLedger(testCfg), now: start}
	id := func(uid string) string { return TaskID(uid, 7) }
	for _, uid := range []string{"runs", "ended", "unreachable", "recovering"} {
		r.PodBound(Binding{Pod: Pod{"ns", uid, uid}, Node: "n", TaskID: id(uid), AgentID: "a", Role: "r", Need: one}, r.now)
	}
	r.want() // no connection, no questions
	r.after(time.Second)
	r.Subscribed(r.now)
	r.want("AskAll", "Ask", "Ask", "Ask", "Ask")
	if open, since := r.Unanswered(); open != 4 || since != r.now {
		t.Errorf("%d answers missing since %v", open, since)
	}
	r.answer(id("runs"), TaskRunning)
	r.answer(id("ended"), TaskGone)
	r.answer(id("unreachable"), TaskUnreachable)
	r.want("Evict ended TASK_GONE")
	// The agent of the last one is recovering: Mesos does not answer, and asking
	// goes on at growing intervals, about this one and the unreachable.
	for i, wait := range []int{2, 4, 8, 16, 32, 60, 60} {
		r.after(time.Duration(wait)*time.Second - 1)
		r.Tick(r.now)
		r.want()
		r.tick(1)
		r.want("Ask", "Ask")
		r.answer(id("unreachable"), TaskUnreachable)
		if open, _ := r.Unanswered(); open != 1 {
			t.Errorf("round %d: %d answers missing", i, open)
		}
	}
	r.news(id("recovering"), TaskRunning)
	r.phase(id("recovering"), Held)
	if open, _ := r.Unanswered(); open != 0 {
		t.Errorf("%d answers missing", open)
	}
}

func TestOrphans(t *testing.T) {
	task := TaskID(pod.UID, 7)
	orphan := func(t *testing.T, s TaskState) *rig {
		r := newRig(t)
		r.Status(TaskStatus{TaskID: task, AgentID: "a", State: s}, r.now)
		r.want()
		if r.Orphans() != 1 {
			t.Fatalf("%d orphans", r.Orphans())
		}
		return r
	}
	t.Run("examined after a while, again and again", func(t *testing.T) {
		r := orphan(t, TaskRunning)
		r.tick(testCfg.OrphanGrace - 1)
		r.want()
		r.tick(1)
		r.want("Examine 7")
		r.tick(4*time.Second - 1)
		r.want()
		r.tick(1)
		r.want("Examine 7")
		r.tick(8 * time.Second)
		r.want("Examine 7")
	})
	t.Run("not while disconnected", func(t *testing.T) {
		r := orphan(t, TaskRunning)
		r.Disconnected()
		r.tick(time.Minute)
		r.want()
	})
	t.Run("disowned is killed", func(t *testing.T) {
		r := orphan(t, TaskRunning)
		r.Disown(task, r.now)
		r.Disown(task, r.now)
		r.want("Kill")
		r.phase(task, Releasing)
		r.news(task, TaskRunning)
		r.want()
		r.news(task, TaskKilled)
		r.phase(task, gone)
		// A repeated update makes it an orphan again, which another look ends.
		r.news(task, TaskRunning)
		r.Disown(task, r.now)
		r.want("Kill")
		r.answer(task, TaskGone)
		r.phase(task, gone)
		check(t, r.Ledger)
	})
	t.Run("disowned, yet bound", func(t *testing.T) {
		r := orphan(t, TaskRunning)
		r.Disown(task, r.now)
		r.want("Kill")
		r.bind(task)
		if r.Claimed() != one.Vector {
			t.Errorf("claimed is %v", r.Claimed())
		}
		check(t, r.Ledger)
		r.news(task, TaskKilled)
		r.want("Evict p TASK_KILLED")
	})
	t.Run("ended", func(t *testing.T) {
		r := orphan(t, TaskRunning)
		r.news(task, TaskFailed)
		r.tick(time.Minute)
		r.want()
		r.Disown(task, r.now)
		r.want()
	})
	for s, want := range map[TaskState]Phase{TaskRunning: Held, TaskStaging: Held, TaskUnreachable: Unreachable} {
		t.Run("adopted while "+string(s), func(t *testing.T) {
			r := orphan(t, s)
			r.bind(task)
			r.want()
			r.phase(task, want)
			r.Disown(task, r.now)
			r.want()
			r.phase(task, want)
			check(t, r.Ledger)
		})
	}
	t.Run("adopted on old news is asked about", func(t *testing.T) {
		r := orphan(t, TaskRunning)
		r.Disconnected()
		r.Subscribed(r.now)
		r.want("AskAll")
		r.bind(task)
		r.want("Ask")
		r.phase(task, Recovering)
	})
	t.Run("no id of ours", func(t *testing.T) {
		r := newRig(t)
		r.news("foreign", TaskRunning)
		r.tick(time.Minute)
		e := r.Effects()
		if len(e) != 1 || e[0].(Examine) != (Examine{TaskID: "foreign"}) {
			t.Errorf("effects are %v", e)
		}
	})
}

func TestReconcileAfterSubscribed(t *testing.T) {
	want := map[string][]string{
		"Reserved": {"AskAll"}, "Launching": {"AskAll"}, "LaunchingSent": {"AskAll", "Ask"}, "LaunchingDoubtful": {"AskAll", "Ask"},
		"HeldBound": {"AskAll", "Ask"}, "Recovering": {"AskAll", "Ask"}, "Unreachable": {"AskAll", "Ask"}, "LostBound": {"AskAll"},
		"Releasing": {"AskAll", "Kill"}, "ReleasingUnsent": {"AskAll"}, "ReleasingDoubtful": {"AskAll", "Kill"},
	}
	for state, effects := range want {
		r := newRig(t)
		r.in(state)
		r.Disconnected()
		r.Subscribed(r.now)
		r.want(effects...)
	}
	r := newRig(t)
	r.in("HeldBound")
	r.tick(testCfg.ReconcileEvery - 1)
	r.want()
	r.tick(1)
	r.want("AskAll", "Ask")
	r.Disconnected()
	r.tick(testCfg.ReconcileEvery)
	r.want()
}

func TestTaskIDsNeverRepeat(t *testing.T) {
	seen := map[string]bool{}
	now := start
	take := func(l *Ledger) {
		t.Helper()
		id, err := l.Open(pod, "n", "a", "r", one, now)
		if err != nil {
			t.Fatal(err)
		}
		if uid, _, ok := ParseTaskID(id); seen[id] || !ok || uid != pod.UID {
			t.Fatalf("bad task id %s (seen before: %v)", id, seen[id])
		}
		seen[id] = true
		l.Cancel(id, now)
	}
	for range 20 {
		l := NewLedger(testCfg)
		for range 50 {
			take(l)
		}
		now = now.Add(time.Second)
	}
	// A clock that runs behind, but the earlier run's tasks are known.
	last := slices.Sorted(func(yield func(string) bool) {
		for id := range seen {
			if !yield(id) {
				return
			}
		}
	})
	now = start.Add(-time.Hour)
	l := NewLedger(testCfg)
	l.Status(TaskStatus{TaskID: last[len(last)-1], State: TaskKilled}, now)
	for range 50 {
		take(l)
	}
	// Forged numbers must not make counting overflow.
	l.PodBound(Binding{Pod: Pod{UID: "x"}, Node: "n", TaskID: fmt.Sprintf("x.%d", math.MaxInt64), AgentID: "a", Role: "r", Need: one}, now)
	for range 50 {
		take(l)
	}
}

func TestEffectsAreInOrder(t *testing.T) {
	run := func() (out []string) {
		l := NewLedger(testCfg)
		for i := range 50 {
			uid := fmt.Sprint("u", i)
			l.PodBound(Binding{Pod: Pod{UID: uid}, Node: "n", TaskID: TaskID(uid, 1), AgentID: "a", Role: "r", Need: one}, start.Add(time.Duration(i%7)))
			l.Status(TaskStatus{TaskID: TaskID(uid, 2), State: TaskRunning}, start)
		}
		l.Subscribed(start)
		l.Tick(start.Add(time.Minute))
		for _, e := range l.Effects() {
			out = append(out, fmt.Sprintf("%T%v", e, e))
		}
		return out
	}
	want := run()
	if len(want) != 1+50+50+50 {
		t.Fatalf("%d effects", len(want))
	}
	for range 5 {
		if got := run(); !slices.Equal(got, want) {
			t.Fatal("equal events have effects in different order")
		}
	}
}
