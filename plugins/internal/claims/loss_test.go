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

// lossy is a bound pod's claim in a ledger that is told of it with a policy.
type lossy struct {
	*rig
	id string
}

func newLossy(t *testing.T, onLost OnLost, explicit bool) *lossy {
	r := newRig(t)
	l := &lossy{r, r.in("HeldBound")}
	l.bound(onLost, explicit)
	return l
}

func (l *lossy) bound(onLost OnLost, explicit bool) {
	l.PodBound(Binding{Pod: pod, Node: "node", TaskID: l.id, AgentID: "agent", Role: "role", Need: one, OnLost: onLost, Explicit: explicit}, l.now)
}

// Between the end of one framework and the beginning of the next, pods are told of as
// ever: what they do not say themselves ends none of them.
func TestFrameworkRemovedOutlivesDefaults(t *testing.T) {
	for name, test := range map[string]struct {
		onLost     OnLost
		explicit   bool
		then, want []string
	}{
		"default evict":   {OnLostEvict, false, []string{"Reacquire p TASK_GONE"}, nil},
		"default keep":    {OnLostKeep, false, []string{"Reacquire p TASK_GONE"}, nil},
		"explicit evict":  {OnLostEvict, true, []string{"Evict p TASK_GONE"}, nil},
		"explicit keep":   {OnLostKeep, true, []string{"Kept p TASK_GONE"}, nil},
		"nothing is said": {"", false, []string{"Reacquire p TASK_GONE"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLossy(t, test.onLost, test.explicit)
			l.FrameworkRemoved("removed", l.now)
			l.want(test.then...)
			l.bound(test.onLost, test.explicit)
			l.want(test.want...)
		})
	}
}

// A task that comes back begins anew: what was decided when it was lost before does not
// hold for the next loss.
func TestLostAgainAfterReturn(t *testing.T) {
	l := newLossy(t, OnLostReacquire, true)
	l.answer(l.id, TaskGone)
	l.want("Reacquire p TASK_GONE")
	l.tick(testCfg.ReacquireFor)
	l.Effects() // gives up, and reconciles
	if !l.ByTask(l.id).Goes() {
		t.Fatal("is sought for ever")
	}
	l.news(l.id, TaskRunning)
	l.phase(l.id, Held)
	l.answer(l.id, TaskGone)
	l.want("Reacquire p TASK_GONE")
}

// A pod that says so itself stays, also when another task was sought in vain.
func TestPolicyChangesAfterGivingUp(t *testing.T) {
	l := newLossy(t, OnLostReacquire, true)
	l.answer(l.id, TaskGone)
	l.tick(testCfg.ReacquireFor)
	l.Effects()
	l.bound(OnLostReacquire, true)
	l.want()
	l.bound(OnLostKeep, true)
	l.want("Kept p TASK_GONE")
}

// An agent that came back can be partitioned again: the master's word counts as before.
func TestReplacedAgentReturns(t *testing.T) {
	l := newLossy(t, OnLostEvict, false)
	l.news(l.id, TaskUnreachable)
	l.AgentReplaced(l.id, "other", l.now)
	l.news(l.id, TaskRunning)
	l.Status(TaskStatus{TaskID: l.id, State: TaskLost, Reason: "REASON_AGENT_REMOVED"}, l.now)
	l.Verify(l.id, l.now)
	l.Effects()
	l.answer(l.id, TaskUnreachable)
	l.want()
}

// While there is no master nothing can be claimed: that time does not count.
func TestReacquireForIsConnectedTime(t *testing.T) {
	l := newLossy(t, OnLostReacquire, true)
	l.answer(l.id, TaskGone)
	l.tick(testCfg.ReacquireFor / 2)
	l.Disconnected()
	for range 60 {
		l.tick(time.Minute)
	}
	l.Subscribed(l.now)
	l.tick(testCfg.ReacquireFor/2 - 2*time.Minute)
	if !l.ByTask(l.id).Reacquires() {
		t.Error("the time without a master counts")
	}
	l.tick(3 * time.Minute)
	if l.ByTask(l.id).Reacquires() {
		t.Error("is sought for ever")
	}
}

// The binding may name the new task and change the policy at once: that of a pod whose
// framework was removed is the default again with its first task of the next one.
func TestPolicyChangesWithTask(t *testing.T) {
	l := newLossy(t, OnLostReacquire, false)
	l.answer(l.id, TaskGone)
	id, err := l.OpenExtra(pod.UID, "other", one, l.now)
	if err != nil {
		t.Fatal(err)
	}
	l.Launching([]string{id}, l.now)
	l.Sent([]string{id}, l.now)
	l.news(id, TaskRunning)
	l.Effects()
	l.PodBound(Binding{Pod: pod, Node: "node", TaskID: id, AgentID: "other", Role: "role", Need: one, OnLost: OnLostEvict}, l.now)
	l.want()
	l.phase(id, Held)
	l.phase(l.id, "")
}

// A KILL that names another agent than the task's is dropped by the master. Of an extra
// that only an annotation names the agent is not known before Mesos tells it.
func TestExtraOfAnotherAgent(t *testing.T) {
	r := newRig(t)
	main, extra := TaskID(pod.UID, 2), TaskID(pod.UID, 1)
	r.bind(main)
	r.PodExtra(pod.UID, extra, one, r.now)
	r.Status(TaskStatus{TaskID: extra, AgentID: "former", State: TaskRunning}, r.now)
	r.Effects()
	r.PodGone(pod.UID, r.now)
	for _, e := range r.Effects() {
		if k, ok := e.(Kill); ok && k.TaskID == extra && k.AgentID != "former" {
			t.Errorf("%+v", k)
		}
	}
}

// The task that follows a lost one follows it in what becomes of the pod, too.
func TestHeirInheritsPolicy(t *testing.T) {
	l := newLossy(t, OnLostKeep, true)
	heir, err := l.OpenExtra(pod.UID, "agent", one, l.now)
	if err != nil {
		t.Fatal(err)
	}
	l.Launching([]string{heir}, l.now)
	l.Sent([]string{heir}, l.now)
	l.news(heir, TaskRunning)
	l.news(heir, TaskUnreachable)
	l.PodBound(Binding{Pod: pod, Node: "node", TaskID: heir, AgentID: "agent", Role: "role", Need: one, OnLost: OnLostKeep, Explicit: true}, l.now)
	l.answer(l.id, TaskGone)
	l.Effects()
	l.answer(heir, TaskGone)
	l.want("Kept p TASK_GONE")
}
