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

// extraIn brings an extra of a held and bound pod into one of the states that tests
// begin with, and returns the pod's main task and the extra one.
func (r *rig) extraIn(state string) (main, extra string) {
	r.Helper()
	main = r.in("HeldBound")
	r.after(time.Second)
	extra, err := r.OpenExtra(pod.UID, "agent", one, r.now)
	if err != nil {
		r.Fatal(err)
	}
	ids := []string{extra}
	launched := func() { r.Launching(ids, r.now) }
	held := func() { launched(); r.Sent(ids, r.now); r.news(extra, TaskRunning) }
	switch state {
	case "Reserved":
	case "Launching":
		launched()
	case "LaunchingSent":
		launched()
		r.Sent(ids, r.now)
	case "Held":
		held()
	case "HeldNamed":
		held()
		r.PodExtra(pod.UID, extra, one, r.now)
	case "Recovering":
		r.Cancel(extra, r.now)
		r.PodExtra(pod.UID, extra, one, r.now)
	case "Unreachable":
		held()
		r.news(extra, TaskUnreachable)
	case "Releasing":
		held()
		r.ReleaseExtra(extra, r.now)
	case "ReleasingNamed":
		held()
		r.Cancel(extra, r.now)
		r.PodExtra(pod.UID, extra, one, r.now)
	default:
		r.Fatalf("no state %s", state)
	}
	r.Effects()
	check(r.T, r.Ledger)
	return main, extra
}

// TestExtraStatuses tells an extra of every kind of news: it never decides about
// its pod. A state that is not listed leaves it as it was.
func TestExtraStatuses(t *testing.T) {
	const lost = "ExtraLost p "
	failed := map[TaskState]transition{
		TaskFailed: does(gone, "Settle extra Failed"), TaskUnreachable: does(Releasing, "Settle extra Failed", "Kill"),
		TaskRunning: does(Held, "Settle extra OK"),
	}
	held := map[TaskState]transition{
		TaskFailed: does(gone, lost+"TASK_FAILED"), TaskGone: does(gone, lost+"TASK_GONE"),
		TaskUnknown: does(gone, lost+"TASK_UNKNOWN"), TaskUnreachable: does(Unreachable), TaskRunning: does(Held),
	}
	tests := map[string]map[TaskState]transition{
		"Reserved": {}, "Launching": failed,
		"LaunchingSent": {
			TaskFailed: failed[TaskFailed], TaskUnreachable: failed[TaskUnreachable], TaskRunning: failed[TaskRunning],
			TaskGone: failed[TaskFailed], TaskUnknown: failed[TaskFailed],
		},
		"Held": held, "HeldNamed": held, "Recovering": held, "Unreachable": held,
		"Releasing": {TaskFailed: does(gone), TaskGone: does(gone), TaskUnknown: does(gone)},
		"ReleasingNamed": {
			TaskFailed: held[TaskFailed], TaskGone: held[TaskGone], TaskUnknown: held[TaskUnknown],
		},
	}
	tests["Launching"][TaskGone] = failed[TaskFailed]
	for state, transitions := range tests {
		for _, s := range []TaskState{TaskStaging, TaskRunning, TaskFailed, TaskGone, TaskUnknown, TaskUnreachable} {
			t.Run(state+"/"+string(s), func(t *testing.T) {
				r := newRig(t)
				main, extra := r.extraIn(state)
				tr, listed := transitions[s]
				if !listed {
					tr = does(r.ByTask(extra).Phase)
					if s == TaskStaging && (state == "Recovering" || state == "Unreachable") {
						tr = does(Held)
					}
				}
				r.after(time.Second).news(extra, s)
				r.want(tr.effects...)
				r.phase(extra, tr.want)
				r.phase(main, Held)
				check(t, r.Ledger)
			})
		}
	}
}

func TestExtrasEndWithTheirPod(t *testing.T) {
	for state, want := range map[string]struct {
		effects []string
		left    Phase
	}{
		"Reserved":       {[]string{"Settle extra PodGone"}, gone},
		"Launching":      {[]string{"Settle extra PodGone"}, Releasing},
		"Held":           {[]string{"Kill"}, Releasing},
		"HeldNamed":      {[]string{"Kill"}, Releasing},
		"Recovering":     {[]string{"Kill"}, Releasing},
		"Unreachable":    {[]string{"Kill"}, Releasing},
		"Releasing":      {nil, Releasing},
		"ReleasingNamed": {nil, Releasing},
	} {
		t.Run(state+", the pod is gone", func(t *testing.T) {
			r := newRig(t)
			main, extra := r.extraIn(state)
			r.PodGone(pod.UID, r.now)
			r.want(append([]string{"Kill"}, want.effects...)...)
			r.phase(extra, want.left)
			check(t, r.Ledger)
			r.Sent([]string{extra}, r.now)
			r.Effects()
			r.news(extra, TaskKilled)
			r.news(main, TaskKilled)
			r.want()
			r.phase(extra, gone)
			if len(r.Extras(pod.UID)) > 0 || len(r.Roles()) > 0 {
				t.Errorf("left are %v, roles %q", r.Extras(pod.UID), r.Roles())
			}
		})
		t.Run(state+", the main claim is lost", func(t *testing.T) {
			r := newRig(t)
			main, extra := r.extraIn(state)
			r.news(main, TaskFailed)
			r.want(append([]string{"Evict p TASK_FAILED"}, want.effects...)...)
			r.phase(extra, want.left)
			r.PodExtra(pod.UID, TaskID(pod.UID, 3), one, r.now)
			if r.ByTask(TaskID(pod.UID, 3)) != nil {
				t.Error("a lost pod got an extra")
			}
			check(t, r.Ledger)
		})
	}
	r := newRig(t)
	r.extraIn("Reserved")
	r.PodGone(pod.UID, r.now)
	if s := r.Effects()[1].(Settle); !s.Reserved || !s.Extra {
		t.Errorf("%+v does not say that the offers' part is to be given back", s)
	}
}

func TestOpenExtra(t *testing.T) {
	for _, state := range []string{"Reserved", "Launching", "Held", "UnreachableBound", "Recovering", "LostBound", "Releasing", "ReleasingBound"} {
		r := newRig(t)
		r.in(state)
		if id, err := r.OpenExtra(pod.UID, "agent", one, r.now); err == nil {
			t.Errorf("%s: opened %s", state, id)
		}
	}
	r := newRig(t)
	main := r.in("HeldBound")
	if _, err := r.OpenExtra(pod.UID, "another", one, r.now); err == nil {
		t.Error("opened on another agent")
	}
	if _, err := r.OpenExtra("absent", "agent", one, r.now); err == nil {
		t.Error("opened for an unknown pod")
	}
	first, err := r.OpenExtra(pod.UID, "agent", one, r.now)
	second, err2 := r.OpenExtra(pod.UID, "agent", one, r.now)
	if err != nil || err2 != nil || first == second || first == main {
		t.Fatalf("opened %s %v, %s %v", first, err, second, err2)
	}
	if c := r.ByTask(first); c.Role != "role" || c.Node != "node" || c.AgentID != "agent" || c.Pod != pod {
		t.Errorf("the extra is %+v", c)
	}
	if got := r.HeldOf(pod.UID); !got.Equal(&one) {
		t.Errorf("the pod holds %s, want only what is held", got)
	}
	r.Launching([]string{first}, r.now)
	r.news(first, TaskRunning)
	if got, want := r.HeldOf(pod.UID), one.Add(one); !got.Equal(&want) {
		t.Errorf("the pod holds %s, want %s", got, want)
	}
	if list := r.Extras(pod.UID); len(list) != 2 || list[0].TaskID != first || list[1].TaskID != second {
		t.Errorf("extras are %v", list)
	}
	if !r.ReleaseExtra(second, r.now) || r.ReleaseExtra(first, r.now) || r.ReleaseExtra(main, r.now) || r.ReleaseExtra("absent", r.now) {
		t.Error("only a reserved extra gives something back")
	}
	r.phase(main, Held)
	r.phase(first, Releasing)
	r.news(main, TaskKilling)
	if _, err := r.OpenExtra(pod.UID, "agent", one, r.now); err == nil {
		t.Error("opened for a pod whose task is being killed")
	}
}

func TestExtrasAfterRestart(t *testing.T) {
	main, extra, third := TaskID(pod.UID, 7), TaskID(pod.UID, 8), TaskID(pod.UID, 9)
	r := &rig{T: t, Ledger: NewLedger(testCfg), now: start}
	r.PodExtra(pod.UID, extra, one, r.now)
	r.phase(extra, gone)
	r.bind(main)
	r.PodExtra(pod.UID, extra, one, r.now)
	r.PodExtra(pod.UID, main, one, r.now)
	r.PodExtra(pod.UID, TaskID("another", 8), one, r.now)
	r.phase(extra, Recovering)
	if len(r.Extras(pod.UID)) != 1 {
		t.Fatalf("extras are %v", r.Extras(pod.UID))
	}
	check(t, r.Ledger)
	r.Subscribed(r.now)
	r.want("AskAll", "Ask", "Ask")
	for _, id := range []string{main, extra, third} {
		r.answer(id, TaskRunning)
	}
	r.phase(extra, Held)
	// An orphan that the pod does not name is looked up, and killed.
	r.tick(testCfg.OrphanGrace)
	r.want("Examine 9")
	r.Disown(third, r.now)
	r.want("Kill")
	// One that it names is not.
	r.answer(TaskID(pod.UID, 10), TaskRunning)
	r.PodExtra(pod.UID, TaskID(pod.UID, 10), one, r.now)
	r.want()
	r.phase(TaskID(pod.UID, 10), Held)
	check(t, r.Ledger)
	if id, err := r.OpenExtra(pod.UID, "agent", one, start.Add(-time.Hour)); err != nil || !later(id, TaskID(pod.UID, 10)) {
		t.Errorf("opened %s, %v", id, err)
	}

	standby := NewLedger(testCfg)
	standby.PodBound(Binding{Pod: pod, Node: "node", TaskID: main, AgentID: "agent", Role: "role", Need: one}, start)
	standby.PodExtra(pod.UID, extra, one, start)
	standby.PodGone(pod.UID, start)
	standby.All(func(c *Claim) { t.Errorf("left with a standby: %+v", c) })
}

func TestExtraNotNamedAnyMore(t *testing.T) {
	r := newRig(t)
	_, extra := r.extraIn("Held")
	r.NamedExtras(pod.UID, nil, r.now) // it was never named
	r.tick(time.Minute)
	r.want()
	r.PodExtra(pod.UID, extra, one, r.now)
	r.NamedExtras(pod.UID, []string{extra}, r.now)
	r.tick(time.Minute)
	r.Disown(extra, r.now)
	r.want()

	r.NamedExtras(pod.UID, nil, r.now)
	r.tick(testCfg.OrphanGrace - 1)
	r.want()
	r.tick(1)
	examine := "Examine " + extra[len("uid."):]
	r.want(examine)
	// That was an old annotation.
	r.PodExtra(pod.UID, extra, one, r.now)
	r.tick(time.Minute)
	r.Disown(extra, r.now)
	r.want()
	r.phase(extra, Held)

	r.NamedExtras(pod.UID, nil, r.now)
	r.tick(testCfg.OrphanGrace)
	r.want(examine)
	r.Disown(extra, r.now)
	r.want("Kill")
	r.news(extra, TaskKilled)
	r.want()
	check(t, r.Ledger)
}
