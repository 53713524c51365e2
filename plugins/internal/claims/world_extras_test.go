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
	"maps"
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// snapshot is what a pod's annotations said at one time.
type snapshot struct {
	uid, main string
	extras    []string
}

// snap remembers a pod's annotations as they are now.
func (w *world) snap(uid string) {
	w.snaps = append(w.snaps, snapshot{uid, w.pods[uid], names(w.extras[uid])})
}

func (w *world) tell(s snapshot) {
	need := resources.Bundle{Vector: resources.Vector{1}}
	onLost, explicit := w.policyOf(s.uid)
	w.l.PodBound(Binding{
		Pod: Pod{"ns", s.uid, s.uid}, Node: "n", TaskID: s.main, AgentID: w.on[s.main], Role: roleOf(s.uid), Need: need, OnLost: onLost, Explicit: explicit,
	}, w.now)
	for _, id := range s.extras {
		w.l.PodExtra(s.uid, id, need, w.now)
	}
	w.l.NamedExtras(s.uid, s.extras, w.now)
}

// mayKill checks that no living pod needs the task that the ledger kills. Extras
// end with the claim that the pod lives by.
func (w *world) mayKill(id string) {
	c := w.l.ByTask(id)
	if c == nil || w.given[id] {
		return
	}
	if w.pods[c.Pod.UID] == id || w.extras[c.Pod.UID][id] {
		w.t.Fatalf("KILL of a task that a bound pod names: %+v", c)
	}
}

// evict notes a pod to be deleted. Its extras are let go, even if the claim that
// it lives by comes back before that.
func (w *world) evict(e Evict) {
	if _, lives := w.pods[e.Pod.UID]; !lives {
		return
	}
	w.mayEvict(e)
	w.evicted = append(w.evicted, e)
	for _, c := range w.l.Extras(e.Pod.UID) {
		w.given[c.TaskID] = true
	}
}

func (w *world) stepExtra() {
	bound := maps.Clone(w.pods)
	maps.DeleteFunc(bound, func(_, task string) bool { return task == "" })
	uid, ok := pick(w, bound)
	if !ok {
		return
	}
	switch w.byte(12) {
	case 0, 1, 2:
		w.opened(w.l.OpenExtra(uid, w.agent, w.need(), w.now))
	case 3, 4, 5:
		w.nameExtra(uid)
	case 6:
		w.unnameExtra(uid)
	case 7, 8:
		w.replace(uid)
	case 9, 10: // an event that is late
		if len(w.snaps) > 0 {
			if s := w.snaps[w.byte(256)%len(w.snaps)]; w.pods[s.uid] != "" {
				w.did["old news"]++
				w.tell(s)
			}
		}
	case 11:
		w.look()
	}
}

// heldExtra picks a Held extra of the pod.
func (w *world) heldExtra(uid string) *Claim {
	held := slices.DeleteFunc(w.l.Extras(uid), func(c *Claim) bool { return c.Phase != Held })
	if len(held) == 0 || w.pods[uid] == "" {
		return nil
	}
	return held[w.byte(256)%len(held)]
}

// nameExtra writes an extra into the pod's annotation; the caller may hear of a
// failure although it took effect.
func (w *world) nameExtra(uid string) {
	c := w.heldExtra(uid)
	if c == nil || w.extras[uid][c.TaskID] || w.pods[uid] == c.TaskID {
		return
	}
	w.did["extra named"]++
	w.annotate(uid, w.pods[uid], func(extras map[string]bool) { extras[c.TaskID] = true })
	if w.byte(w.odds(4)) == 0 {
		w.l.Cancel(c.TaskID, w.now)
		w.given[c.TaskID] = true
	}
	w.seen(uid)
}

// unnameExtra takes an extra out of the annotation; the caller may not live to
// release it.
func (w *world) unnameExtra(uid string) {
	id, ok := pick(w, w.extras[uid])
	if !ok {
		return
	}
	w.did["extra unnamed"]++
	w.annotate(uid, w.pods[uid], func(extras map[string]bool) { delete(extras, id) })
	if w.byte(2) == 0 {
		if w.l.ReleaseExtra(id, w.now) {
			delete(w.open, id)
		}
	}
}

// replace writes an extra into the pod's binding. It may have ended just before.
func (w *world) replace(uid string) {
	c := w.heldExtra(uid)
	main := w.l.ByPod(uid)
	if c == nil || w.pods[uid] != main.TaskID || !later(c.TaskID, main.TaskID) {
		return
	}
	w.did["replaced"]++
	id := c.TaskID
	w.annotate(uid, id, func(extras map[string]bool) { delete(extras, id) })
	if w.byte(2) == 0 {
		w.did["replaced by a dead one"]++
		delete(w.tasks, id)
		w.send(TaskStatus{TaskID: id, AgentID: w.on[id], State: TaskFailed})
	}
	if w.byte(2) == 0 {
		_ = w.l.Replace(uid, id, w.now)
	}
	w.seen(uid)
}

func (w *world) annotate(uid, main string, change func(map[string]bool)) {
	extras := maps.Clone(w.extras[uid])
	if extras == nil {
		extras = map[string]bool{}
	}
	change(extras)
	if w.pods[uid] != main {
		w.of[uid] = w.framework
	}
	w.pods[uid], w.extras[uid] = main, extras
	w.snap(uid)
}

// correct is the caller's work after extras were lost.
func (w *world) correct() {
	for _, e := range w.lost {
		uid, main := e.Pod.UID, w.l.ByPod(e.Pod.UID)
		switch {
		case w.l.ByTask(e.TaskID) != nil:
		case w.extras[uid][e.TaskID]:
			w.annotate(uid, w.pods[uid], func(extras map[string]bool) { delete(extras, e.TaskID) })
		case w.pods[uid] == e.TaskID && main != nil && main.Bound:
			w.did["restored"]++
			w.annotate(uid, main.TaskID, func(extras map[string]bool) { delete(extras, main.TaskID) })
		}
	}
	w.lost = nil
}

// checkNamed checks, when all is settled, that the pods have the extras that their
// annotations name, and no other that an annotation ever named.
func (w *world) checkNamed() {
	for uid, extras := range w.extras {
		for id := range extras {
			if c := w.l.ByTask(id); c == nil || c.Phase != Held || !c.Bound || !c.Extra || w.tasks[id] == "" {
				w.t.Fatalf("pod %s names the extra %s: claim %+v, task %q", uid, id, c, w.tasks[id])
			}
		}
	}
	w.l.All(func(c *Claim) {
		if c.Extra && c.Bound && !w.extras[c.Pod.UID][c.TaskID] {
			w.t.Fatalf("extra %+v is kept, and its pod does not name it", c)
		}
	})
}
