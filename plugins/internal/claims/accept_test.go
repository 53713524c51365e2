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

func TestKillWaitsForTheAccept(t *testing.T) {
	r := newRig(t)
	id := r.in("ReleasingUnsent")
	r.Disconnected()
	r.Subscribed(r.now)
	r.want("AskAll")
	r.tick(20 * time.Second)
	r.want()
	r.Sent([]string{id}, r.now)
	r.want("Kill")
	r.tick(testCfg.RetryMin)
	r.want("Kill")
	r.answer(id, TaskGone)
	r.phase(id, gone)

	// An ACCEPT of which nothing is ever heard again ends as a doubtful one.
	_ = r.in("ReleasingUnsent")
	r.tick(testCfg.LaunchTimeout)
	r.want("Kill")
}

func TestKillIsRepeatedWhileConnected(t *testing.T) {
	r := newRig(t)
	id := r.in("Releasing")
	for _, wait := range []int{2, 4, 8, 16, 32, 60, 60} {
		r.tick(time.Duration(wait)*time.Second - 1)
		r.want()
		r.tick(1)
		r.want("Kill")
	}
	r.Disconnected()
	r.tick(time.Minute)
	r.want()
	r.Subscribed(r.now)
	r.want("AskAll", "Kill")
	r.tick(2 * time.Second)
	r.want("Kill")
	// The master forgets what it was to kill on an agent that is unreachable: once
	// it is back it is told again, at once.
	r.answer(id, TaskUnreachable)
	r.want()
	r.news(id, TaskRunning)
	r.want("Kill")
	r.news(id, TaskRunning)
	r.want()
	r.answer(id, TaskUnknown)
	r.phase(id, gone)
}

func TestReleasedWhileDisconnected(t *testing.T) {
	r := newRig(t)
	id := r.in("HeldBound")
	r.Disconnected()
	r.PodGone(pod.UID, r.now)
	r.tick(time.Hour)
	r.want()
	r.phase(id, Releasing)
	r.Subscribed(r.now)
	r.want("AskAll", "Kill")
}

func TestDoubtfulAccept(t *testing.T) {
	t.Run("it came through", func(t *testing.T) {
		r := newRig(t)
		id := r.in("LaunchingDoubtful")
		r.answer(id, TaskStaging)
		r.want()
		r.news(id, TaskRunning)
		r.want("Settle OK")
	})
	for _, unheard := range []TaskState{TaskUnknown, TaskGone} {
		t.Run("unheard as "+string(unheard), func(t *testing.T) {
			r := newRig(t)
			id := r.in("LaunchingDoubtful")
			// Each question is answered, and the next one waits its turn.
			for _, wait := range []int{4, 8} {
				r.answer(id, unheard)
				r.phase(id, Launching)
				r.want()
				r.tick(time.Duration(wait)*time.Second - 1)
				r.want()
				r.tick(1)
				r.want("Ask")
			}
			r.answer(id, unheard)
			r.want("Settle Failed")
			r.phase(id, gone)
		})
		t.Run("released, unheard as "+string(unheard), func(t *testing.T) {
			r := newRig(t)
			id := r.in("ReleasingDoubtful")
			r.answer(id, unheard)
			r.want()
			r.phase(id, Releasing)
			r.tick(4 * time.Second)
			r.want("Kill")
			r.after(doubtGrace)
			r.answer(id, unheard)
			r.phase(id, gone)
		})
	}
	t.Run("an end is an end, grace or not", func(t *testing.T) {
		r := newRig(t)
		id := r.in("ReleasingDoubtful")
		r.answer(id, TaskFailed)
		r.phase(id, gone)
	})
	t.Run("seen alive before the answer was lost", func(t *testing.T) {
		for _, doubtful := range []bool{true, false} {
			r := newRig(t)
			id := r.in("Launching")
			r.news(id, TaskRunning)
			r.want("Settle OK")
			r.SendFailed([]string{id}, doubtful, CauseDisconnected, r.now)
			r.want()
			r.phase(id, Held)
			r.PodGone(pod.UID, r.now)
			r.want("Kill")
		}
	})
}

func TestLaunchTimeout(t *testing.T) {
	r := newRig(t)
	id := r.in("LaunchingSent")
	r.tick(testCfg.LaunchTimeout - 1)
	r.want()
	r.tick(1)
	r.want("Ask")
	r.phase(id, Launching)
	r.tick(probeTimeout)
	r.want("Settle Timeout", "Kill")
	r.phase(id, Releasing)
	r.news(id, TaskRunning)
	r.want()
	r.phase(id, Releasing)
	r.news(id, TaskKilled)
	r.want()
	r.phase(id, gone)

	// The ACCEPT is still on its way: that the master does not know the task yet
	// means nothing.
	id = r.in("Launching")
	r.tick(testCfg.LaunchTimeout)
	r.want("Settle Timeout", "Kill")
	r.answer(id, TaskUnknown)
	r.phase(id, Releasing)
	r.Sent([]string{id}, r.now)
	r.want("Kill")
	r.answer(id, TaskGone)
	r.phase(id, gone)
}

// An ACCEPT that reaches the master twice launches its task and is refused: the task
// of the first call lives on, and Mesos is asked.
func TestAcceptDelivered(t *testing.T) {
	refusal := func(id string) TaskStatus {
		return TaskStatus{TaskID: id, AgentID: "agent", State: TaskDropped, Reason: "REASON_INVALID_OFFERS", Source: "SOURCE_MASTER"}
	}
	r := newRig(t)
	id := r.in("Launching")
	r.news(id, TaskStarting)
	r.want("Settle OK")
	r.bind(id)
	r.Status(refusal(id), r.now)
	r.want("Ask")
	r.phase(id, Held)
	r.news(id, TaskRunning)
	r.PodGone(pod.UID, r.now)
	r.want("Kill")
	r.Status(refusal(id), r.now)
	r.want()
	r.phase(id, Releasing)
	r.news(id, TaskKilled)
	r.phase(id, gone)
}
