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

// What the master must say for a loss to be verified.
func TestVerify(t *testing.T) {
	for name, test := range map[string]struct {
		answers  []TaskState
		replaced bool
		verified bool
		phase    Phase
	}{
		"gone":                             {[]TaskState{TaskGone}, false, true, Lost},
		"gone by an operator":              {[]TaskState{TaskGoneByOperator}, false, true, Lost},
		"it lives":                         {[]TaskState{TaskRunning}, false, false, Held},
		"unreachable":                      {[]TaskState{TaskUnreachable, TaskUnreachable}, false, false, Lost},
		"unreachable, then gone":           {[]TaskState{TaskUnreachable, TaskGone}, false, true, Lost},
		"unreachable, and agent replaced":  {[]TaskState{TaskUnreachable}, true, true, Lost},
		"unknown once":                     {[]TaskState{TaskUnknown}, false, false, Lost},
		"unknown for long enough":          {[]TaskState{TaskUnknown, TaskUnknown, TaskUnknown}, false, true, Lost},
		"unknown, and alive all the same":  {[]TaskState{TaskUnknown, TaskRunning}, false, false, Held},
		"replaced, and alive all the same": {[]TaskState{TaskRunning}, true, false, Held},
		"nobody answers":                   {nil, false, false, Lost},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLedger(DefaultConfig(30 * time.Second))
			now := start
			pod := Pod{"ns", "p", "uid"}
			id := TaskID(pod.UID, 1)
			l.Subscribed(now)
			l.PodBound(Binding{Pod: pod, Node: "node", TaskID: id, AgentID: "agent", Role: "role", Need: one}, now)
			if test.replaced {
				l.Status(TaskStatus{TaskID: id, State: TaskUnreachable}, now)
				l.AgentReplaced(id, "other", now)
			} else {
				l.Status(TaskStatus{TaskID: id, State: TaskLost, Reason: "REASON_AGENT_REMOVED"}, now)
			}
			l.Effects()
			l.Verify(id, now)
			verified := false
			collect := func() {
				for _, e := range l.Effects() {
					if _, ok := e.(Verified); ok {
						verified = true
					}
				}
			}
			for _, state := range test.answers {
				now = now.Add(20 * time.Second)
				l.Tick(now)
				l.Status(TaskStatus{TaskID: id, AgentID: "agent", State: state, Reason: "REASON_RECONCILIATION"}, now)
				collect()
			}
			for range 10 {
				now = now.Add(time.Minute)
				l.Tick(now)
				collect()
			}
			if verified != test.verified || l.ByTask(id).Phase != test.phase {
				t.Errorf("verified: %v, phase %s", verified, l.ByTask(id).Phase)
			}
		})
	}
}

// A claim on an agent that another one replaced is given up in any phase.
func TestAgentReplaced(t *testing.T) {
	l := NewLedger(DefaultConfig(30 * time.Second))
	l.Subscribed(start)
	bound, freed, fine := Pod{"ns", "bound", "bound"}, Pod{"ns", "freed", "freed"}, Pod{"ns", "fine", "fine"}
	for _, pod := range []Pod{bound, freed, fine} {
		l.PodBound(Binding{Pod: pod, Node: "node", TaskID: TaskID(pod.UID, 1), AgentID: "agent", Role: "role", Need: one}, start)
	}
	l.PodGone(freed.UID, start)
	for _, pod := range []Pod{bound, freed} {
		l.Status(TaskStatus{TaskID: TaskID(pod.UID, 1), State: TaskUnreachable}, start)
	}
	l.Status(TaskStatus{TaskID: TaskID(fine.UID, 1), State: TaskRunning}, start)
	if n := len(l.Partitioned()); n != 2 {
		t.Fatalf("%d claims are partitioned, want 2", n)
	}
	l.Effects()
	for _, pod := range []Pod{bound, freed, fine} {
		l.AgentReplaced(TaskID(pod.UID, 1), "other", start.Add(time.Minute))
	}
	effects := l.Effects()
	if len(effects) != 1 {
		t.Fatalf("effects %v", effects)
	}
	if e, ok := effects[0].(Evict); !ok || e.Pod != bound || e.Meaning != Gone {
		t.Errorf("effect %+v", effects[0])
	}
	if l.ByTask(TaskID(freed.UID, 1)) != nil || l.ByPod(fine.UID).Phase != Held {
		t.Error("the released claim stays, or the one that lives went")
	}
}
