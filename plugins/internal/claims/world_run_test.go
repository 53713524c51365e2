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
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// restart replaces the ledger by an empty one, as a new leader begins with. That
// takes a moment, in which no task ids are given out.
func (w *world) restart() {
	w.now = w.now.Add(time.Second)
	if w.l.Count(Lost) > 0 {
		w.did["crash while lost"]++
	}
	w.l = NewLedger(w.cfg)
	w.flying, w.evicted, w.examine, w.lost = nil, nil, nil, nil
	clear(w.open)
	w.snaps = nil // a new watch begins with what is
	for _, uid := range names(w.pods) {
		w.seen(uid)
	}
	w.subscribe()
	w.obey(false)
	check(w.t, w.l)
}

// settle lets the master answer everything and the caller do his work, for some
// minutes.
func (w *world) settle() {
	w.subscribe()
	for range 120 {
		for _, id := range w.flying {
			w.launch(id)
			w.l.Sent([]string{id}, w.now)
		}
		w.flying = nil
		for len(w.slow) > 0 {
			w.launch(w.slow[0])
			w.slow = w.slow[1:]
		}
		w.look()
		for _, uid := range names(w.pods) {
			w.seen(uid)
		}
		w.reclaimAll()
		for _, id := range names(w.tasks) {
			s := w.tasks[id]
			if w.on[id] != w.agent {
				continue
			}
			if s == TaskStaging || s == TaskStarting {
				w.tasks[id] = TaskRunning
				w.send(TaskStatus{TaskID: id, AgentID: w.agent, State: TaskRunning})
			} else if s == TaskUnreachable { // the agent is back
				w.tasks[id] = TaskRunning
				w.send(TaskStatus{TaskID: id, AgentID: w.agent, State: TaskRunning, Reason: "REASON_AGENT_REREGISTERED"})
			}
		}
		w.now = w.now.Add(5 * time.Second)
		w.l.Tick(w.now)
		for range 3 {
			w.obey(false)
		}
		check(w.t, w.l)
	}
}

func (w *world) run() {
	for len(w.in) > 0 {
		if w.byte(w.odds(200)) == 7 {
			w.restart()
		}
		w.step()
	}
	w.settle()
	// Every bound pod holds its task, or is kept without one, and nothing else is bound.
	for uid, id := range w.pods {
		if c := w.l.ByTask(id); id != "" && !w.keeps(c) && (c == nil || c.Phase != Held || !c.Bound || w.tasks[id] == "") {
			w.t.Fatalf("pod %s is bound by %s: claim %+v, task %q", uid, id, c, w.tasks[id])
		}
	}
	w.checkNamed()
	w.end()
}

// end takes all pods away: nothing may be left, in the ledger or at the master.
func (w *world) end() {
	for _, uid := range names(w.pods) {
		w.deletePod(uid)
	}
	w.l.All(func(c *Claim) { w.l.PodGone(c.Pod.UID, w.now) })
	w.settle()
	maps.DeleteFunc(w.tasks, func(id string, _ TaskState) bool { return w.on[id] != w.agent })
	w.l.All(func(c *Claim) { w.t.Errorf("left in the ledger: %+v", c) })
	if w.l.Orphans() > 0 || len(w.l.byPod)+len(w.l.extras) > 0 || w.l.Claimed() != (resources.Vector{}) || len(w.l.Roles()) > 0 {
		w.t.Errorf("left are %d orphans, %d pods, %v of %q", w.l.Orphans(), len(w.l.byPod), w.l.Claimed(), w.l.Roles())
	}
	if len(w.tasks) > 0 {
		w.t.Errorf("left at the master: %v", w.tasks)
	}
	if len(w.open) > 0 {
		w.t.Errorf("never settled: %v", w.open)
	}
}

func TestLedgerInRandomWorlds(t *testing.T) {
	did := map[string]int{}
	seed := uint64(0)
	defer func() {
		if t.Failed() {
			t.Logf("the last seed is %d", seed)
		}
	}()
	for ; seed < 600 && !t.Failed(); seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		in := make([]byte, 0, 4096)
		for range 4096 / 8 {
			in = binary.LittleEndian.AppendUint64(in, r.Uint64())
		}
		w := newWorld(t, in)
		w.run()
		for what, n := range w.did {
			did[what] += n
		}
	}
	for _, what := range []string{"extra held", "extra lost", "extra named", "extra unnamed", "replaced", "replaced by a dead one", "restored", "old news", "agent lost", "agent back", "agent replaced", "agent rebooted", "framework removed",
		"policy changed", "reacquired", "kept", "evicted after all", "crash while lost"} {
		if did[what] < 25 {
			t.Errorf("%q happened %d times, which proves little", what, did[what])
		}
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte{1, 0, 1, 3, 1, 2, 0, 1, 1, 4, 4, 1, 7, 0, 1, 1, 1, 11, 0, 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		newWorld(t, in).run()
	})
}
