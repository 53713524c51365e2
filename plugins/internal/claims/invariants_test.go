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

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// check recounts the ledger.
func check(t *testing.T, l *Ledger) {
	t.Helper()
	counts := map[Phase]int{}
	var held resources.Vector
	for id, c := range l.byTask {
		counts[c.Phase]++
		if c.Phase.holds() {
			held = held.Add(c.Need.Vector)
		}
		lives := l.byPod[c.Pod.UID] == c
		if c.TaskID != id || l.orphans[id] != nil {
			t.Fatalf("claim %+v is filed as %s, or an orphan too", c, id)
		}
		if !lives && c.Phase != Releasing {
			t.Fatalf("no pod lives by %+v, and it is not released", c)
		}
		if !lives && c.Bound {
			t.Fatalf("no pod lives by the bound %+v", c)
		}
		if c.Phase == Releasing && c.next.IsZero() && (c.sent || c.doubtful) {
			t.Fatalf("nothing will ever kill %+v", c)
		}
		if c.Phase == Unreachable && c.next.IsZero() {
			t.Fatalf("nothing will ever ask about %+v", c)
		}
	}
	for uid, c := range l.byPod {
		if l.byTask[c.TaskID] != c || c.Pod.UID != uid {
			t.Fatalf("pod %s lives by %+v, which is unknown", uid, c)
		}
	}
	for _, p := range Phases {
		if l.Count(p) != counts[p] {
			t.Fatalf("%d claims are %s, counted %d", counts[p], p, l.Count(p))
		}
	}
	if l.Claimed() != held {
		t.Fatalf("claimed is %v, want %v", l.Claimed(), held)
	}
}
