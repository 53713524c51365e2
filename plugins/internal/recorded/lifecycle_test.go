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

package recorded

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/test/recordings"
)

// TestLifecycleLivesEveryRecording plays every recorded framework to the Manager,
// once with pods that ask for what the recorded framework launched, once with none.
func TestLifecycleLivesEveryRecording(t *testing.T) {
	for _, name := range recordings.Names() {
		for i, l := range lives(t, name) {
			for _, idle := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d-%s/idle=%v", name, i, l.conns(), idle), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, l, idle)
						w.live(t)
						w.compare(facts[name][i])
					})
				})
			}
		}
	}
}

// claimFacts are, for each framework from whose offers pods were placed, how many
// of their claims stood how at the end of its last stream; "" counts those that
// Mesos had ended, whose pods were evicted. Recovering are those of which a process
// that had just taken over was told nothing yet.
var claimFacts = map[string]map[claims.Phase]int{
	"01p-protobuf P,Q":        {claims.Held: 1},
	"02-accept-launch A":      {claims.Held: 4, "": 9}, // t1, t2, t3, t4c run on
	"03-accept-invalid A":     {"": 2},
	"03-accept-invalid B":     {"": 2},
	"04-task-invalid A":       {claims.Held: 7, "": 28},
	"06-kill A":               {"": 10},
	"06-kill B":               {"": 10},
	"07-reconcile A":          {claims.Held: 1, "": 4}, // a1
	"07-reconcile B":          {claims.Held: 1, "": 4},
	"08-failover A,B,C,D":     {claims.Held: 1}, // t1, over three processes
	"08-failover E,F":         {claims.Held: 1},
	"13-maintenance A":        {"": 1},
	"13-maintenance B":        {"": 1},
	"14-drain A":              {claims.Held: 1, "": 2},                 // d3, on the agent that was reactivated
	"14-drain B":              {claims.Held: 1, claims.Lost: 1, "": 1}, // and d4, whose pod is just being evicted
	"15-agent-loss A":         {"": 6},
	"15-agent-loss B":         {"": 6},
	"15-agent-loss N":         {"": 6},
	"17-quota A":              {claims.Held: 1, "": 1},
	"18-master-restart A,B":   {claims.Held: 2},
	"18-master-restart C,D,E": {claims.Held: 1}, // u1, over two deaths of the master
	"22-zookeeper A,B,C":      {claims.Held: 3}, // t1, t2, unack, over three leaders
	"23-operator-stream A,A":  {claims.Recovering: 1, "": 2},
	"24-executor-timeouts A":  {claims.Held: 1, "": 1}, // cmdfree
	"25-gpus-ports-disks A":   {claims.Held: 4, "": 5},
	"25-gpus-ports-disks F":   {claims.Held: 1},
	"25-gpus-ports-disks H":   {claims.Held: 1, "": 2},
	"26-half-open A,C":        {claims.Recovering: 3, "": 1},
}

// compare checks the end of the world.
func (w *world) compare(want fact) {
	if !slices.Equal(w.outcomes, want.outcomes) {
		w.t.Errorf("ended with\n\t%q, the facts say\n\t%q", w.outcomes, want.outcomes)
	}
	if w.idle {
		if w.master.kinds["ACCEPT"] > 0 || w.master.kinds["REVIVE"] > 0 {
			w.t.Errorf("without pods it called %v", w.master.kinds)
		}
		return
	}
	counts := claimFacts[w.master.life.file+" "+w.master.life.conns()]
	if len(w.told) > 0 && !maps.Equal(w.ended, counts) || len(w.told) == 0 && len(counts) > 0 && want.conns != "B" {
		w.t.Errorf("%d claims ended as %v, the facts say %v", len(w.told), w.ended, counts)
	}
}

// look compares, with all frames of a stream read, what the Manager holds with what
// the master has outstanding and has told.
func (w *world) look(now process, p *player) {
	where := fmt.Sprintf("%s %s", p.stream.file, p.stream.conn)
	v := now.manager.View()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.master.mu.Lock()
	defer w.master.mu.Unlock()
	if !v.Connected {
		return
	}
	var held []string
	for _, a := range v.Agents {
		held = append(held, a.Offers...)
	}
	slices.Sort(held)
	if outstanding := slices.Sorted(maps.Keys(p.offers)); !slices.Equal(held, outstanding) {
		w.t.Errorf("%s: holds offers %q, the master has outstanding %q", where, held, outstanding)
	}
	for a, n := range p.due {
		// An end that was held back for its pod is acknowledged once, however often it came,
		// and not before the pod has gone.
		if acked := p.acked[a]; acked != n && (!w.toldEnd(a.task) || acked == 0 && !lost(v, a.task)) {
			w.t.Errorf("%s: an update of %s was delivered %d times with this uuid and acknowledged %d times", where, a.task, n, acked)
		}
	}
	w.lookAtClaims(where, v)
	w.lookAtKills(where, p)
}

// lost tells whether a pod still has the claim of a task that has ended.
func lost(v lifecycle.View, task string) bool {
	return slices.ContainsFunc(v.Claims, func(c lifecycle.ClaimView) bool { return c.TaskID == task && c.Phase == claims.Lost })
}

// toldEnd tells whether the end of a task of ours was told.
func (w *world) toldEnd(task string) bool {
	return slices.ContainsFunc(w.told[task], func(s claims.TaskStatus) bool { return s.State.Terminal() })
}

func (w *world) lookAtClaims(where string, v lifecycle.View) {
	found := map[string]claims.Phase{}
	for _, c := range v.Claims {
		found[c.TaskID] = c.Phase
	}
	w.ended = map[claims.Phase]int{}
	for id := range w.told {
		w.ended[found[id]]++
	}
	for id, told := range w.told {
		allowed := phasesAfter(told)
		if !w.fresh[id] {
			// This process was told nothing; what it has, it has from the pod.
			allowed = append(allowed, claims.Recovering)
		}
		if phase := found[id]; !slices.Contains(allowed, phase) {
			w.t.Errorf("%s: the claim of %s is %q, want one of %q after %s", where, id, phase, allowed, states(told))
		}
		delete(found, id)
	}
	for id, phase := range found {
		if phase != claims.Releasing {
			w.t.Errorf("%s: claim %s is %s, of a task that no pod asked for", where, id, phase)
		}
	}
}

// phasesAfter are the phases that a claim may be in after these states; "" is none.
func phasesAfter(told []claims.TaskStatus) []claims.Phase {
	if len(told) == 0 {
		return []claims.Phase{claims.Launching, claims.Releasing, ""}
	}
	lived := false
	for i, s := range told {
		switch {
		case s.State.Terminal(), s.State == claims.TaskUnknown && !lived:
			if i+1 < len(told) && slices.ContainsFunc(told[i+1:], func(s claims.TaskStatus) bool { return s.State.Live() }) && !s.State.Final() {
				// It came back, perhaps before its pod had gone.
				return []claims.Phase{claims.Held, claims.Lost, claims.Releasing, ""}
			}
			return []claims.Phase{claims.Lost, ""}
		case s.State == claims.TaskStarting || s.State == claims.TaskRunning:
			lived = true
		}
	}
	switch last := told[len(told)-1].State; {
	case !lived:
		return []claims.Phase{claims.Launching, claims.Releasing}
	case last.Live():
		return []claims.Phase{claims.Held}
	default: // UNREACHABLE, or UNKNOWN for a while
		return []claims.Phase{claims.Unreachable}
	}
}

func states(told []claims.TaskStatus) []string {
	var out []string
	for _, s := range told {
		out = append(out, short(s))
	}
	return out
}

// lookAtKills: tasks that no pod asked for are killed once they have been left
// alone for a while, ours are not.
func (w *world) lookAtKills(where string, p *player) {
	grace := claims.DefaultConfig(0).OrphanGrace
	for id, task := range w.foreign {
		if opened := p.opened; task.last.Live() && time.Since(task.since) > grace+time.Second && time.Since(opened) > grace+time.Second && p.kills[id] == 0 {
			w.t.Errorf("%s: task %s lives since %v without a pod and was not killed", where, id, time.Since(task.since))
		}
	}
	for id, told := range w.told {
		if p.kills[id] > 0 && slices.Equal(phasesAfter(told), []claims.Phase{claims.Held}) {
			w.t.Errorf("%s: task %s was killed after %s", where, id, states(told))
		}
	}
}
