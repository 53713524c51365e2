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
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// world is a simple Mesos master, a Kubernetes and the caller between them, who
// obeys the effects of the ledger.
type world struct {
	t   *testing.T
	l   *Ledger
	now time.Time
	in  []byte

	// tasks are those that the master knows, by their state; accepted are the ids
	// it ever took.
	tasks    map[string]TaskState
	launched map[string]bool
	// flying are ACCEPTs without answer; slow are those that were given up and may
	// arrive yet.
	flying, slow []string
	// old are statuses sent before, which may come again in any order.
	old []TaskStatus
	// pods are the living ones; their binding names a task, or none.
	pods map[string]string
	// extras are the further tasks that the annotation of each pod names.
	extras map[string]map[string]bool
	// snaps are annotations as they once were, which may be seen again.
	snaps []snapshot
	// given are tasks given up before their pod was seen to name them.
	given map[string]bool
	// open are the tasks whose launch must be settled, once.
	open map[string]bool
	// evicted are pods to be deleted, examine the tasks to look up.
	evicted []Evict
	examine []Examine
	// lost are extras of which pods' annotations are to be corrected.
	lost []ExtraLost
	// calm worlds have fewer faults, so that pods live to grow.
	calm bool
	// did counts what a run came upon.
	did    map[string]int
	serial int
	used   map[string]bool
	loss
}

func newWorld(t *testing.T, in []byte) *world {
	w := &world{
		t: t, now: start, in: in, tasks: map[string]TaskState{}, launched: map[string]bool{},
		pods: map[string]string{}, open: map[string]bool{}, given: map[string]bool{}, used: map[string]bool{},
		extras: map[string]map[string]bool{}, did: map[string]int{},
	}
	w.calm = w.byte(2) == 0
	w.loss = newLoss(w.byte(2) == 0)
	w.l = NewLedger(w.cfg)
	return w
}

// odds are of one in n that a fault happens, and longer in calm worlds.
func (w *world) odds(n int) int {
	if w.calm {
		n *= 4
	}
	return n
}

func (w *world) byte(n int) int {
	if len(w.in) == 0 {
		return 0
	}
	b := int(w.in[0])
	w.in = w.in[1:]
	return b % n
}

// names returns the keys in order, so that runs repeat.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func pick[V any](w *world, m map[string]V) (string, bool) {
	if len(m) == 0 {
		return "", false
	}
	return names(m)[w.byte(256)%len(m)], true
}

func (w *world) send(s TaskStatus) {
	w.old = append(w.old, s)
	w.l.Status(s, w.now)
}

func (w *world) answer(id, asked string) {
	s := TaskStatus{TaskID: id, AgentID: w.on[id], State: w.tasks[id], Reason: "REASON_RECONCILIATION", Source: "SOURCE_MASTER"}
	if s.State == TaskUnreachable && asked == w.agent && asked != w.on[id] {
		s.State, s.AgentID = TaskGone, asked // the agent that was asked about does not have it
	}
	if s.State == "" {
		s.State = []TaskState{TaskGone, TaskUnknown}[w.byte(2)]
	}
	w.send(s)
}

// obey carries the effects out. A lossy master answers no calls.
func (w *world) obey(lossy bool) {
	for _, e := range w.l.Effects() {
		switch e := e.(type) {
		case Settle:
			if !w.open[e.TaskID] {
				w.t.Fatalf("%s is settled twice, or was never opened", e.TaskID)
			}
			delete(w.open, e.TaskID)
			if e.Extra && e.Outcome.OK {
				w.did["extra held"]++
			}
		case Kill:
			w.mayKill(e.TaskID)
			if lossy {
				continue
			}
			if w.tasks[e.TaskID] == "" || w.tasks[e.TaskID] == TaskUnreachable {
				w.answer(e.TaskID, e.AgentID)
				continue
			}
			if e.AgentID != "" && e.AgentID != w.on[e.TaskID] {
				continue
			}
			delete(w.tasks, e.TaskID)
			w.send(TaskStatus{TaskID: e.TaskID, AgentID: w.on[e.TaskID], State: TaskKilled})
		case Ask:
			if !lossy {
				w.answer(e.TaskID, e.AgentID)
			}
		case AskAll:
			for _, id := range names(w.tasks) {
				if s := w.tasks[id]; !lossy && s != TaskUnreachable {
					w.answer(id, "")
				}
			}
		case Evict:
			w.evict(e)
		case Reacquire, Kept:
			w.staysOn(e)
		case ExtraLost:
			w.did["extra lost"]++
			w.lost = append(w.lost, e)
		case Examine:
			w.examine = append(w.examine, e)
		}
	}
}

func (w *world) launch(id string) {
	if w.launched[id] {
		return
	}
	w.launched[id] = true
	if w.on[id] != w.agent { // its offer went with the agent
		w.send(TaskStatus{TaskID: id, State: TaskDropped, Reason: "REASON_INVALID_OFFERS", Source: "SOURCE_MASTER"})
		return
	}
	w.tasks[id] = TaskStaging
}

func (w *world) newPod() {
	uid := fmt.Sprint("u", w.serial)
	if len(w.pods) < 8 && w.byte(3) > 0 || w.serial == 0 {
		w.serial++
		w.pods[uid] = ""
	} else if other, ok := pick(w, w.pods); ok {
		uid = other
	}
	if w.pods[uid] != "" {
		return
	}
	w.opened(w.l.Open(Pod{"ns", uid, uid}, "n", w.agent, roleOf(uid), w.need(), w.now))
}

func (w *world) need() resources.Bundle {
	return resources.Bundle{Vector: resources.Vector{int64(1 + w.byte(5))}}
}

// roleOf puts pods into a few roles.
func roleOf(uid string) string { return "r" + uid[len(uid)-1:] }

func (w *world) opened(id string, err error) {
	if err != nil {
		return
	}
	if w.used[id] {
		w.t.Fatalf("task id %s is given out twice", id)
	}
	w.used[id], w.open[id], w.on[id] = true, true, w.agent
	need := w.l.ByTask(id).Need.Vector
	flavour := []*resources.Flavour{nil, resources.RevocableFlavour, {Reservations: []resources.Reservation{{Role: "r"}}}}[w.byte(3)]
	w.l.SetParts(id, []resources.Portion{
		{Bundle: resources.Bundle{Vector: resources.Vector{1}}},
		{Flavour: flavour, Bundle: resources.Bundle{Vector: need.Sub(resources.Vector{1})}},
	})
}

func (w *world) step() {
	switch w.byte(32) {
	case 0, 1:
		w.newPod()
	case 2, 3: // an ACCEPT goes out
		id := w.claim(Reserved)
		for _, c := range w.l.Launching([]string{id}, w.now) {
			w.flying = append(w.flying, c.TaskID)
		}
	case 4, 5, 6: // and is answered, or not
		w.accepted()
	case 7, 8, 9: // tasks progress
		if id, ok := pick(w, w.tasks); ok {
			w.progress(id)
		}
	case 10: // news comes again
		if len(w.old) > 0 {
			w.l.Status(w.old[w.byte(256)%len(w.old)], w.now)
		}
	case 11: // bind what is held; the caller may hear of a failure or not
		if id := w.claim(Held); id != "" {
			w.bind(id)
		}
	case 12: // give up
		if id, ok := pick(w, w.l.byTask); ok && w.byte(w.odds(2)) == 0 {
			if w.l.Cancel(id, w.now) {
				delete(w.open, id)
			}
		}
	case 13:
		if uid, ok := pick(w, w.pods); ok && w.byte(w.odds(2)) == 0 {
			w.deletePod(uid)
		}
	case 14:
		if w.byte(w.odds(1)) == 0 {
			w.l.Broken(first(pick(w, w.l.byTask)), CauseOfferGone)
		}
	case 15:
		if w.byte(w.odds(1)) == 0 {
			w.l.Disconnected()
		}
	case 16:
		w.subscribe()
	case 17: // a slow ACCEPT arrives after all
		if len(w.slow) > 0 {
			w.launch(w.slow[0])
			w.slow = w.slow[1:]
		}
	case 18:
		w.look()
	case 26, 27, 28, 29:
		w.stepLoss()
	case 19:
		w.now = w.now.Add(time.Duration(w.byte(20)) * time.Second)
		w.l.Tick(w.now)
	default:
		w.stepExtra()
	}
	w.obey(w.byte(4) == 0)
	check(w.t, w.l)
}

func first(id string, _ bool) string { return id }

// claim picks a claim in the phase that no pod names yet, "" if there is none.
func (w *world) claim(p Phase) string {
	in := map[string]*Claim{}
	for id, c := range w.l.byTask {
		if c.Phase == p && !c.Bound {
			in[id] = c
		}
	}
	return first(pick(w, in))
}

func (w *world) accepted() {
	if len(w.flying) == 0 {
		return
	}
	id := w.flying[0]
	w.flying = w.flying[1:]
	switch w.byte(w.odds(5)) {
	case 0:
		w.l.SendFailed([]string{id}, false, CauseDisconnected, w.now)
	case 1:
		w.slow = append(w.slow, id)
		w.l.SendFailed([]string{id}, true, CauseDisconnected, w.now)
	case 2: // the task is seen before the answer, which is lost
		w.launch(id)
		w.progress(id)
		w.l.SendFailed([]string{id}, true, CauseDisconnected, w.now)
	case 3: // an offer was gone
		w.send(TaskStatus{TaskID: id, State: TaskDropped, Reason: "REASON_INVALID_OFFERS", Source: "SOURCE_MASTER"})
		w.l.Sent([]string{id}, w.now)
	default:
		w.launch(id)
		w.l.Sent([]string{id}, w.now)
	}
}

func (w *world) progress(id string) {
	if w.on[id] != w.agent || w.tasks[id] == "" {
		return // its agent is not there to tell
	}
	states := []TaskState{TaskStarting, TaskRunning, TaskUnreachable, TaskFailed, TaskGone, TaskKilling}
	s := TaskRunning
	if n := w.byte(w.odds(16)); n < len(states) {
		s = states[n]
	}
	w.tasks[id] = s
	if s.Terminal() {
		delete(w.tasks, id)
	}
	if w.byte(8) > 0 {
		w.send(TaskStatus{TaskID: id, AgentID: w.on[id], State: s})
	}
}

func (w *world) bind(id string) {
	c := w.l.ByTask(id)
	if _, lives := w.pods[c.Pod.UID]; !lives || c.Phase != Held || w.pods[c.Pod.UID] != "" {
		return
	}
	if c.Extra {
		return
	}
	w.pods[c.Pod.UID], w.of[c.Pod.UID] = id, w.framework
	w.snap(c.Pod.UID)
	if w.byte(w.odds(3)) == 0 { // "failed", yet it took effect
		w.l.Cancel(id, w.now)
		w.given[id] = true
	}
	w.seen(c.Pod.UID)
}

func (w *world) seen(uid string) {
	if id := w.pods[uid]; id != "" {
		w.tell(snapshot{uid, id, names(w.extras[uid])})
	}
}

func (w *world) deletePod(uid string) {
	delete(w.pods, uid)
	delete(w.extras, uid)
	w.l.PodGone(uid, w.now)
}

// look is the caller's work: evictions, look-ups, the news of bound pods.
func (w *world) look() {
	for _, e := range w.evicted {
		if c := w.l.ByTask(e.TaskID); c != nil && c.Goes() {
			w.deletePod(e.Pod.UID)
		}
	}
	for _, e := range w.examine {
		if e.PodUID != "" && (w.pods[e.PodUID] == e.TaskID || w.extras[e.PodUID][e.TaskID]) {
			w.seen(e.PodUID)
		} else {
			w.l.Disown(e.TaskID, w.now)
		}
	}
	w.evicted, w.examine = nil, nil
	w.correct()
	if uid, ok := pick(w, w.pods); ok {
		w.seen(uid)
	}
}
