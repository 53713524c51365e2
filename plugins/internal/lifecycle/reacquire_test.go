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

package lifecycle

import (
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// staysPod is a running pod that needs what one test pod does and says what becomes of
// it if its task is lost.
func staysPod(onLost claims.OnLost) *v1.Pod {
	pod := runs(1)
	pod.Annotations[AnnotationOnLost] = string(onLost)
	return pod
}

func (r *rig) wantEvent(want string) {
	r.t.Helper()
	for {
		select {
		case event := <-r.events.Events:
			if strings.Contains(event, want) {
				return
			}
		default:
			r.t.Errorf("no event %q on the pod", want)
			return
		}
	}
}

func TestReacquire(t *testing.T) {
	inResize(t, staysPod(claims.OnLostReacquire), func(r *rig) {
		r.onEviction(func(int) error { return nil })
		r.ends("uid-p.7", claims.TaskFailed, "REASON_CONTAINER_LIMITATION_MEMORY")
		r.wantEvent(EventTaskLost)
		r.pass(10 * time.Second) // the agent is left alone for a while: it ended what it was given
		r.Offers([]offers.Offer{offer("o-next", "n1", 2)})
		id := r.taken(units(1))
		r.runsTask(id)
		r.follow()
		r.wantNamed(id, units(1), "")
		r.wantHeld(1)
		r.wantEvent(EventReacquired)
		if !r.exists("p") || r.disruption("p") != nil {
			t.Errorf("the pod exists: %v", r.exists("p"))
		}
		r.pass(20 * time.Minute)
		if !r.exists("p") || r.phase("uid-p.7") != "" {
			t.Errorf("the pod exists: %v, its first claim is %q", r.exists("p"), r.phase("uid-p.7"))
		}
	})
}

// The agent comes back under another id: the claim moves there.
func TestReacquireOnNewAgent(t *testing.T) {
	inResize(t, staysPod(claims.OnLostReacquire), func(r *rig) {
		r.Failed("a-n1", "", 0)
		r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskGoneByOperator, Reason: "REASON_AGENT_REMOVED_BY_OPERATOR", Source: "SOURCE_MASTER"})
		r.pass(5 * time.Second)
		again := offer("o-again", "n1", 2)
		again.AgentID = "b-n1"
		r.Offers([]offers.Offer{again})
		r.pass(50 * time.Millisecond)
		l := r.master.lastLaunch(t)
		if l.AgentID != "b-n1" || len(l.Tasks) != 1 {
			t.Fatalf("launched %+v", l)
		}
		r.Updated(claims.TaskStatus{TaskID: l.Tasks[0].ID, AgentID: "b-n1", State: claims.TaskRunning})
		r.pass(0)
		r.follow()
		r.wantNamed(l.Tasks[0].ID, units(1), "")
		if got := r.atAPI().Annotations[AnnotationAgent]; got != "b-n1" {
			t.Errorf("the pod names agent %q", got)
		}
	})
}

// An agent is partitioned, and another one registers in its place: nothing more is heard
// of the first.
func TestPartitionedAgentIsReplaced(t *testing.T) {
	inResize(t, staysPod(claims.OnLostEvict), func(r *rig) {
		r.onEviction(func(int) error { return nil })
		r.agentsAre("a-n1")
		r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskUnreachable, Reason: "REASON_AGENT_REMOVED", Source: "SOURCE_MASTER"})
		r.agentsAre()
		r.pass(time.Hour)
		if !r.exists("p") {
			t.Fatal("the pod went although its agent may come back")
		}
		r.agentsAre("b-n1")
		r.pass(replacedAfter - time.Second)
		if !r.exists("p") {
			t.Fatal("the pod went at once")
		}
		r.pass(5 * time.Second)
		if r.exists("p") {
			t.Error("the pod stays on an agent that does not come back")
		}
		r.wantEvent(EventTaskLost)
	})
}

// agentsAre tells what agents the master lists, each on n1.
func (r *rig) agentsAre(ids ...string) {
	var list []mesos.Agent
	for _, id := range ids {
		list = append(list, mesos.Agent{ID: id, Hostname: "n1", Active: true})
	}
	r.mu.Lock()
	generation, failures := r.generation, r.failures
	r.mu.Unlock()
	r.agentsListed(generation, failures, time.Now(), list)
}

// The task turns out to live while another one is sought: the pod keeps it.
func TestReacquireEndsWhenTheTaskIsBack(t *testing.T) {
	inResize(t, staysPod(claims.OnLostReacquire), func(r *rig) {
		r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskLost, Reason: "REASON_AGENT_REMOVED", Source: "SOURCE_MASTER"})
		r.Offers([]offers.Offer{offer("o-next", "n1", 2)})
		id := r.taken(units(1))
		r.runsTask("uid-p.7")
		r.runsTask(id)
		r.pass(time.Second)
		r.wantNamed("uid-p.7", units(1), "")
		if got := r.phase(id); got != claims.Releasing {
			t.Errorf("the other task is %q, want it released", got)
		}
		r.wantHeld(1)
	})
}

func TestReacquireTakesTooLong(t *testing.T) {
	pod := staysPod(claims.OnLostReacquire)
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return nil })
		r.lose(pod)
		r.pass(r.cfg.Claims.ReacquireFor - time.Second)
		if !r.exists("p") {
			t.Fatal("the pod went too early")
		}
		r.pass(3 * time.Second)
		if r.exists("p") {
			t.Error("the pod stays without a claim")
		}
	}, pod)
}

func TestKeep(t *testing.T) {
	pod := staysPod(claims.OnLostKeep)
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return nil })
		id := r.lose(pod)
		r.wantEvent(EventTaskLost)
		r.pass(time.Hour)
		if !r.exists("p") || r.phase(id) != claims.Lost {
			t.Fatalf("the pod exists: %v, its claim is %q", r.exists("p"), r.phase(id))
		}
		// Its users change their minds.
		pod := r.atAPI()
		pod.Annotations[AnnotationOnLost] = string(claims.OnLostEvict)
		r.podChanged(pod)
		r.pass(time.Second)
		if r.exists("p") {
			t.Error("the pod stays although it is to be evicted now")
		}
	}, pod)
}

// Neither policy holds a pod whose machine is to be empty.
func TestDrainedPodGoes(t *testing.T) {
	for _, policy := range []claims.OnLost{claims.OnLostKeep, claims.OnLostReacquire} {
		pod := staysPod(policy)
		inBubble(t, func(r *rig) {
			r.onEviction(func(int) error { return nil })
			r.podChanged(pod)
			r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskKilled, Reason: "REASON_AGENT_DRAINING", Source: "SOURCE_EXECUTOR"})
			r.pass(time.Minute)
			if r.exists("p") {
				t.Errorf("%s keeps a pod on an agent that is drained", policy)
			}
		}, pod)
	}
}

// What a former framework held is claimed again, whatever the default says.
func TestPodOfFormerFramework(t *testing.T) {
	pod := runs(1)
	pod.Annotations[AnnotationFramework] = "former"
	inBubble(t, func(r *rig) {
		r.onEviction(func(int) error { return nil })
		r.node("n1")
		r.podChanged(pod)
		r.Updated(claims.TaskStatus{TaskID: "uid-p.7", AgentID: "a-n1", State: claims.TaskGone, Reason: "REASON_RECONCILIATION", Source: "SOURCE_MASTER"})
		r.pass(2 * time.Second)
		r.Offers([]offers.Offer{offer("o-next", "n1", 2)})
		id := r.taken(units(1))
		r.runsTask(id)
		r.follow()
		r.wantNamed(id, units(1), "")
		if got := r.atAPI().Annotations[AnnotationFramework]; got == "former" {
			t.Error("the pod still names the former framework")
		}
	}, pod)
}
