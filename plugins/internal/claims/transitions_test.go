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

// transition is one thing told about a claim and what must follow.
type transition struct {
	want    Phase
	effects []string
}

func does(p Phase, effects ...string) transition { return transition{p, effects} }

const gone Phase = ""

// TestStatuses tells a claim in every state of every status that Mesos has. A
// state that is not listed must leave the claim as it was, without effect.
func TestStatuses(t *testing.T) {
	all := []TaskState{
		TaskStaging, TaskStarting, TaskRunning, TaskKilling, TaskFinished, TaskFailed, TaskKilled, TaskError,
		TaskLost, TaskDropped, TaskUnreachable, TaskGone, TaskGoneByOperator, TaskUnknown,
	}
	ends := []TaskState{TaskFinished, TaskFailed, TaskKilled, TaskError, TaskLost, TaskDropped, TaskGone, TaskGoneByOperator}
	// each builds what several statuses have in common.
	each := func(states []TaskState, f func(TaskState) transition, more map[TaskState]transition) map[TaskState]transition {
		out := map[TaskState]transition{}
		for _, s := range states {
			out[s] = f(s)
		}
		for s, tr := range more {
			out[s] = tr
		}
		return out
	}
	launch := func(unknown transition) map[TaskState]transition {
		return each(ends, func(TaskState) transition { return does(gone, "Settle Failed") }, map[TaskState]transition{
			TaskStarting: does(Held, "Settle OK"), TaskRunning: does(Held, "Settle OK"),
			TaskKilling:     does(Releasing, "Settle Failed", "Kill"),
			TaskUnreachable: does(Releasing, "Settle Failed", "Kill"),
			TaskError:       does(gone, "Settle Rejected"), TaskUnknown: unknown,
		})
	}
	live := []TaskState{TaskStaging, TaskStarting, TaskRunning, TaskKilling}
	back := each(live, func(TaskState) transition { return does(Held) }, nil)
	lost := func(bound bool, more map[TaskState]transition) map[TaskState]transition {
		return each(append(ends[:len(ends):len(ends)], TaskUnknown), func(s TaskState) transition {
			if bound {
				return does(Lost, "Evict p "+string(s))
			}
			return does(Lost)
		}, more)
	}
	with := func(m map[TaskState]transition, s TaskState, tr transition) map[TaskState]transition {
		out := each(nil, nil, m)
		out[s] = tr
		return out
	}
	released := each(append(ends[:len(ends):len(ends)], TaskUnknown), func(TaskState) transition { return does(gone) }, nil)
	tests := map[string]map[TaskState]transition{
		"Reserved":          {},
		"Launching":         launch(does(Launching)),
		"LaunchingSent":     launch(does(gone, "Settle Failed")),
		"LaunchingDoubtful": launch(does(Launching)),
		"Held":              lost(false, map[TaskState]transition{TaskUnreachable: does(Unreachable)}),
		"HeldBound":         lost(true, map[TaskState]transition{TaskUnreachable: does(Unreachable)}),
		"Recovering":        lost(true, with(back, TaskUnreachable, does(Unreachable))),
		"Unreachable":       lost(false, back),
		"UnreachableBound":  lost(true, back),
		"Lost":              back,
		"LostBound":         back,
		"Releasing":         released,
		"ReleasingUnsent": with(each(live, func(TaskState) transition { return does(Releasing, "Kill") }, released),
			TaskUnknown, does(Releasing)),
		"ReleasingDoubtful": with(released, TaskUnknown, does(Releasing)),
		"ReleasingBound":    lost(true, nil),
	}
	for state, transitions := range tests {
		for _, s := range all {
			t.Run(state+"/"+string(s), func(t *testing.T) {
				r := newRig(t)
				id := r.in(state)
				before := r.ByTask(id).Phase
				tr, listed := transitions[s]
				if !listed {
					tr = does(before)
				}
				r.after(time.Second).news(id, s)
				r.want(tr.effects...)
				r.phase(id, tr.want)
				check(t, r.Ledger)
				// A duplicate changes nothing more, whatever the status was.
				r.news(id, s)
				r.want()
				r.phase(id, tr.want)
			})
		}
	}
}

// TestEvents tells a claim in every state of every event that is no status.
func TestEvents(t *testing.T) {
	events := map[string]func(*rig, string){
		"Launching": func(r *rig, id string) { r.Launching([]string{id}, r.now) },
		"Sent":      func(r *rig, id string) { r.Sent([]string{id}, r.now) },
		"Failed":    func(r *rig, id string) { r.SendFailed([]string{id}, false, CauseDisconnected, r.now) },
		"Doubtful":  func(r *rig, id string) { r.SendFailed([]string{id}, true, CauseDisconnected, r.now) },
		"Broken":    func(r *rig, id string) { r.Broken(id, CauseOfferGone) },
		"Cancel":    func(r *rig, id string) { r.Cancel(id, r.now) },
		"Bound":     func(r *rig, id string) { r.bind(id) },
		"Gone":      func(r *rig, _ string) { r.PodGone(pod.UID, r.now) },
		"Disown":    func(r *rig, id string) { r.Disown(id, r.now) },
		"Timeout":   func(r *rig, _ string) { r.Disconnected(); r.tick(testCfg.LaunchTimeout); r.connected = true },
	}
	kill := does(Releasing, "Kill")
	tests := map[string]map[string]transition{
		"Reserved": {
			"Launching": does(Launching), "Failed": does(gone, "Settle Disconnected"), "Broken": does(gone, "Settle OfferGone"),
			"Cancel": does(gone), "Gone": does(gone, "Settle PodGone"),
		},
		"Launching": {
			"Failed": does(gone, "Settle Disconnected"), "Doubtful": does(Launching, "Ask"),
			"Cancel": does(Releasing, "Settle PodGone"), "Gone": does(Releasing, "Settle PodGone"),
			"Timeout": does(Releasing, "Settle Timeout"),
		},
		"LaunchingSent": {
			"Cancel": does(Releasing, "Settle PodGone", "Kill"), "Gone": does(Releasing, "Settle PodGone", "Kill"),
			"Timeout": does(Releasing, "Settle Timeout"),
		},
		"LaunchingDoubtful": {
			"Failed": does(gone, "Settle Disconnected"), "Doubtful": does(Launching, "Ask"),
			"Cancel": does(Releasing, "Settle PodGone", "Kill"), "Gone": does(Releasing, "Settle PodGone", "Kill"),
			"Timeout": does(Releasing, "Settle Timeout"),
		},
		"Held":             {"Cancel": kill, "Gone": kill},
		"HeldBound":        {"Gone": kill},
		"Recovering":       {"Gone": kill},
		"Unreachable":      {"Cancel": kill, "Gone": kill},
		"UnreachableBound": {"Gone": kill},
		"Lost":             {"Cancel": does(gone), "Bound": does(Lost, "Evict p TASK_GONE"), "Gone": does(gone)},
		"LostBound":        {"Gone": does(gone)},
		"Releasing":        {"Sent": kill},
		"ReleasingUnsent":  {"Sent": kill, "Failed": does(gone), "Doubtful": kill},
		"ReleasingDoubtful": {
			"Sent": kill, "Failed": does(gone), "Doubtful": kill,
		},
		"ReleasingBound": {"Sent": kill},
	}
	for state, transitions := range tests {
		for event, tell := range events {
			t.Run(state+"/"+event, func(t *testing.T) {
				r := newRig(t)
				id := r.in(state)
				tr, listed := transitions[event]
				if !listed {
					tr = does(r.ByTask(id).Phase)
				}
				tell(r, id)
				r.want(tr.effects...)
				r.phase(id, tr.want)
				check(t, r.Ledger)
			})
		}
	}
}

func TestLaunchCauses(t *testing.T) {
	tests := []struct {
		state     TaskState
		reason    string
		want      Cause
		blameless bool
	}{
		{TaskDropped, "REASON_INVALID_OFFERS", CauseOfferGone, true},
		{TaskLost, "REASON_INVALID_OFFERS", CauseOfferGone, true},
		{TaskDropped, "REASON_EXECUTOR_TERMINATED", CauseFailed, false},
		{TaskError, "REASON_TASK_INVALID", CauseRejected, false},
		{TaskError, "REASON_INVALID_OFFERS", CauseRejected, false},
		{TaskFailed, "", CauseFailed, false},
	}
	for _, tc := range tests {
		r := newRig(t)
		id := r.in("LaunchingSent")
		status := TaskStatus{TaskID: id, State: tc.state, Reason: tc.reason, Message: "m"}
		r.Status(status, r.now)
		effects := r.Effects()
		if len(effects) != 1 {
			t.Fatalf("%s %s has effects %v", tc.state, tc.reason, effects)
		}
		got := effects[0].(Settle)
		if got.TaskID != id || got.Pod != pod || got.Outcome.OK || got.Outcome.Cause != tc.want || got.Outcome.Status.Message != "m" {
			t.Errorf("%s %s settles as %+v, want cause %s", tc.state, tc.reason, got, tc.want)
		}
		if got.Outcome.Cause.Blameless() != tc.blameless {
			t.Errorf("cause %s: blameless is %v", got.Outcome.Cause, !tc.blameless)
		}
	}
	if !CauseDisconnected.Blameless() {
		t.Error("the pod is blamed for a lost master")
	}
}
