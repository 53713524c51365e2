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

import "testing"

func TestReplace(t *testing.T) {
	t.Run("the binding moves on", func(t *testing.T) {
		r := newRig(t)
		main, extra := r.extraIn("Held")
		other, err := r.OpenExtra(pod.UID, "agent", one, r.now)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Replace(pod.UID, extra, r.now); err != nil {
			t.Fatal(err)
		}
		r.want("Kill")
		r.phase(main, Releasing)
		r.phase(other, Reserved)
		if c := r.ByPod(pod.UID); c.TaskID != extra || !c.Bound || c.Extra {
			t.Fatalf("the pod lives by %+v", c)
		}
		// Twice is once, and what the binding said before is old.
		if err := r.Replace(pod.UID, extra, r.now); err != nil {
			t.Error(err)
		}
		r.bind(extra)
		r.bind(main)
		r.news(main, TaskKilled)
		r.bind(main)
		r.want()
		r.phase(main, gone)
		r.phase(extra, Held)
		check(t, r.Ledger)
		r.news(extra, TaskGone)
		r.want("Evict p TASK_GONE", "Settle extra PodGone")
	})
	for _, state := range []string{"Reserved", "Launching", "Recovering", "Unreachable", "Releasing"} {
		r := newRig(t)
		main, extra := r.extraIn(state)
		if r.Replace(pod.UID, extra, r.now) == nil || r.Replace(pod.UID, "absent", r.now) == nil || r.Replace("absent", extra, r.now) == nil {
			t.Errorf("%s: replaced", state)
		}
		r.phase(main, Held)
		check(t, r.Ledger)
	}
}

// The binding may have been written just as the extra ended: the pod goes on living
// by the claim that it has.
func TestBindingNamesAnExtra(t *testing.T) {
	t.Run("held", func(t *testing.T) {
		r := newRig(t)
		main, extra := r.extraIn("HeldNamed")
		r.bind(extra)
		r.want("Kill")
		r.phase(main, Releasing)
		check(t, r.Ledger)
	})
	t.Run("lost already", func(t *testing.T) {
		r := newRig(t)
		main, extra := r.extraIn("Held")
		r.news(extra, TaskFailed)
		r.want("ExtraLost p TASK_FAILED")
		r.bind(extra)
		r.want("Ask")
		r.phase(main, Held)
		check(t, r.Ledger)
		r.answer(extra, TaskGone)
		r.want("ExtraLost p TASK_GONE")
		r.bind(extra)
		r.want()
		r.phase(main, Held)
	})
	t.Run("lost, and an earlier one instead", func(t *testing.T) {
		r := newRig(t)
		main, extra := r.extraIn("Held")
		newer := TaskID(pod.UID, start.UnixMilli()*2)
		r.bind(newer)
		r.want("Ask")
		r.answer(newer, TaskGone)
		r.want("ExtraLost p TASK_GONE")
		if err := r.Replace(pod.UID, extra, r.now); err != nil {
			t.Fatal(err)
		}
		r.want("Kill")
		r.phase(main, Releasing)
		r.news(newer, TaskRunning)
		r.bind(newer)
		r.want()
		r.phase(extra, Held)
		r.tick(testCfg.OrphanGrace)
		r.Disown(newer, r.now)
		r.phase(newer, Releasing)
	})
	t.Run("alive after all", func(t *testing.T) {
		r := newRig(t)
		main, extra := r.extraIn("Unreachable")
		r.bind(extra)
		r.phase(main, Held)
		r.news(extra, TaskRunning)
		r.want("Kill")
		r.phase(main, Releasing)
		check(t, r.Ledger)
	})
	t.Run("the old one ends first", func(t *testing.T) {
		r := newRig(t)
		main, extra := r.extraIn("Unreachable")
		r.bind(extra)
		r.news(main, TaskGone)
		r.want()
		r.phase(main, gone)
		if c := r.ByPod(pod.UID); c == nil || c.TaskID != extra || c.Phase != Unreachable {
			t.Fatalf("the pod lives by %+v", c)
		}
		check(t, r.Ledger)
	})
	t.Run("and the old one again", func(t *testing.T) {
		r := newRig(t)
		main, extra := r.extraIn("Unreachable")
		r.bind(extra)
		r.bind(main)
		r.news(extra, TaskRunning)
		r.want()
		r.phase(main, Held)
		r.phase(extra, Held)
	})
}
