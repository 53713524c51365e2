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
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

var (
	start   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pod     = Pod{Namespace: "ns", Name: "p", UID: "uid"}
	one     = resources.Bundle{Vector: resources.Vector{resources.CPU: 1000, resources.Memory: 64000}}
	testCfg = atItsWord(DefaultConfig(30 * time.Second))
)

// atItsWord makes a ledger believe a master that says it does not know a task. The
// time it takes to be believed has tests of its own.
func atItsWord(cfg Config) Config {
	cfg.UnknownGrace = 0
	return cfg
}

// rig drives a ledger and its time in a test.
type rig struct {
	*testing.T
	*Ledger
	now time.Time
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, Ledger: NewLedger(testCfg), now: start}
	r.Ledger.Subscribed(r.now)
	r.want("AskAll")
	return r
}

func (r *rig) after(d time.Duration) *rig { r.now = r.now.Add(d); return r }

func (r *rig) tick(d time.Duration) { r.after(d); r.Tick(r.now) }

// text writes an effect as short as tests want it: tasks by their attempt alone.
func text(e Effect) string {
	short := func(task string) string { return strings.TrimPrefix(task, "uid.") }
	switch e := e.(type) {
	case Settle:
		what := "Settle "
		if e.Extra {
			what = "Settle extra "
		}
		if e.Outcome.OK {
			return what + "OK"
		}
		return what + string(e.Outcome.Cause)
	case Kill:
		return "Kill"
	case Ask:
		return "Ask"
	case AskAll:
		return "AskAll"
	case Evict:
		return "Evict " + e.Pod.Name + " " + string(e.Status.State)
	case Reacquire:
		return "Reacquire " + e.Pod.Name + " " + string(e.Status.State)
	case Kept:
		return "Kept " + e.Pod.Name + " " + string(e.Status.State)
	case Verified:
		return "Verified"
	case ExtraLost:
		return "ExtraLost " + e.Pod.Name + " " + string(e.Status.State)
	case Examine:
		return "Examine " + short(e.TaskID)
	}
	return "?"
}

func (r *rig) want(effects ...string) {
	r.Helper()
	var got []string
	for _, e := range r.Effects() {
		got = append(got, text(e))
	}
	if len(got)+len(effects) > 0 && !reflect.DeepEqual(got, effects) {
		r.Fatalf("effects are %q, want %q", got, effects)
	}
}

// phase checks the phase of a task; "" means that it has no claim.
func (r *rig) phase(task string, want Phase) {
	r.Helper()
	got := Phase("")
	if c := r.ByTask(task); c != nil {
		got = c.Phase
	}
	if got != want {
		r.Fatalf("task %s is %q, want %q", task, got, want)
	}
}

func (r *rig) open() string {
	r.Helper()
	id, err := r.Open(pod, "node", "agent", "role", one, r.now)
	if err != nil {
		r.Fatal(err)
	}
	return id
}

func (r *rig) news(task string, s TaskState) { r.Status(TaskStatus{TaskID: task, State: s}, r.now) }

// answer is a reconciliation's.
func (r *rig) answer(task string, s TaskState) {
	r.Status(TaskStatus{TaskID: task, State: s, Reason: "REASON_RECONCILIATION", Source: "SOURCE_MASTER"}, r.now)
}

func (r *rig) bind(task string) {
	r.PodBound(Binding{Pod: pod, Node: "node", TaskID: task, AgentID: "agent", Role: "role", Need: one}, r.now)
}

// in brings a claim into one of the states that tests begin with.
func (r *rig) in(state string) string {
	r.Helper()
	id := r.open()
	launched := func() { r.Launching([]string{id}, r.now) }
	sent := func() { launched(); r.Sent([]string{id}, r.now) }
	held := func() { sent(); r.news(id, TaskRunning) }
	switch state {
	case "Reserved":
	case "Launching":
		launched()
	case "LaunchingSent":
		sent()
	case "LaunchingDoubtful":
		launched()
		r.SendFailed([]string{id}, true, CauseDisconnected, r.now)
	case "Held":
		held()
	case "HeldBound":
		held()
		r.bind(id)
	case "Unreachable":
		held()
		r.news(id, TaskUnreachable)
	case "UnreachableBound":
		held()
		r.bind(id)
		r.news(id, TaskUnreachable)
	case "Recovering":
		r.Cancel(id, r.now)
		r.bind(id)
	case "Lost":
		held()
		r.news(id, TaskGone)
	case "LostBound":
		held()
		r.bind(id)
		r.news(id, TaskGone)
	case "Releasing":
		held()
		r.Cancel(id, r.now)
	case "ReleasingUnsent":
		launched()
		r.Cancel(id, r.now)
	case "ReleasingDoubtful":
		launched()
		r.Cancel(id, r.now)
		r.SendFailed([]string{id}, true, CauseDisconnected, r.now)
	case "ReleasingBound":
		held()
		r.Cancel(id, r.now)
		r.bind(id)
	default:
		r.Fatalf("no state %s", state)
	}
	r.Effects()
	return id
}

func TestTaskID(t *testing.T) {
	id := TaskID("0f9a-12", 42)
	if uid, attempt, ok := ParseTaskID(id); id != "0f9a-12.42" || !ok || uid != "0f9a-12" || attempt != 42 {
		t.Errorf("%s parses as %q %d %v", id, uid, attempt, ok)
	}
	for _, id := range []string{"", ".", ".1", "uid", "uid.", "uid.x", "uid.-1", "uid.+1", "uid.-0", "uid.01", "uid.1 ", "uid.99999999999999999999"} {
		if uid, attempt, ok := ParseTaskID(id); ok {
			t.Errorf("%q parses as %q %d", id, uid, attempt)
		}
	}
}

func FuzzParseTaskID(f *testing.F) {
	f.Add("uid.1")
	f.Add("a.b.007")
	f.Fuzz(func(t *testing.T, id string) {
		if uid, attempt, ok := ParseTaskID(id); ok && TaskID(uid, attempt) != id {
			t.Errorf("%q parses as %q %d, which makes %q", id, uid, attempt, TaskID(uid, attempt))
		}
	})
}

func TestTaskStates(t *testing.T) {
	type class struct{ terminal, live, final bool }
	want := map[TaskState]class{
		TaskStaging: {live: true}, TaskStarting: {live: true}, TaskRunning: {live: true}, TaskKilling: {live: true},
		TaskUnreachable: {}, TaskUnknown: {},
		TaskFinished: {terminal: true, final: true}, TaskFailed: {terminal: true, final: true},
		TaskKilled: {terminal: true, final: true}, TaskError: {terminal: true, final: true},
		TaskLost: {terminal: true}, TaskDropped: {terminal: true}, TaskGone: {terminal: true}, TaskGoneByOperator: {terminal: true},
	}
	for s, w := range want {
		if got := (class{s.Terminal(), s.Live(), s.Final()}); got != w {
			t.Errorf("%s is %+v, want %+v", s, got, w)
		}
	}
}
