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
	"testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// check recounts the ledger.
func check(t *testing.T, l *Ledger) {
	t.Helper()
	for id, c := range l.byTask {
		lives := l.byPod[c.Pod.UID] == c
		if c.TaskID != id || l.orphans[id] != nil {
			t.Fatalf("claim %+v is filed as %s, or an orphan too", c, id)
		}
		if c.Extra {
			checkExtra(t, l, c)
		} else if !lives && (c.Phase != Releasing || c.Bound) {
			t.Fatalf("no pod lives by %+v, and it is bound or not released", c)
		}
		if c.Phase == Releasing && c.next.IsZero() && (c.sent || c.doubtful) {
			t.Fatalf("nothing will ever kill %+v", c)
		}
		if c.Phase == Unreachable && c.next.IsZero() {
			t.Fatalf("nothing will ever ask about %+v", c)
		}
	}
	for uid, c := range l.byPod {
		if l.byTask[c.TaskID] != c || c.Pod.UID != uid || c.Extra {
			t.Fatalf("pod %s lives by %+v, which is unknown or an extra", uid, c)
		}
	}
	for uid, list := range l.extras {
		heirs := 0
		for i, c := range list {
			if l.byTask[c.TaskID] != c || c.Pod.UID != uid || !c.Extra || slices.Contains(list[:i], c) {
				t.Fatalf("pod %s has the extra %+v, which is unknown, none or there twice", uid, c)
			}
			if c.heir {
				heirs++
			}
		}
		if len(list) == 0 || heirs > 1 {
			t.Fatalf("pod %s has %d extras and %d heirs", uid, len(list), heirs)
		}
	}
	checkSums(t, l)
}

func checkExtra(t *testing.T, l *Ledger, c *Claim) {
	t.Helper()
	if !slices.Contains(l.extras[c.Pod.UID], c) {
		t.Fatalf("extra %+v is not among its pod's", c)
	}
	if c.Phase == Releasing {
		return
	}
	main := l.byPod[c.Pod.UID]
	if main == nil || !main.carries() && !main.stays() || c.Phase == Lost {
		t.Fatalf("extra %+v is not released, and its pod lives by %+v", c, main)
	}
	if c.Pod != main.Pod || c.Node != main.Node || c.Role != main.Role || c.AgentID != main.AgentID && main.AgentID != "" && main.Phase != Lost && !c.Bound {
		t.Fatalf("extra %+v is of another place than %+v", c, main)
	}
	if (c.heir || !c.lookup.IsZero()) && !c.Bound {
		t.Fatalf("extra %+v is an heir, or to be looked up, and was never named", c)
	}
}

func checkSums(t *testing.T, l *Ledger) {
	t.Helper()
	counts, roles := map[Phase]int{}, map[string]resources.Vector{}
	var held resources.Vector
	for _, c := range l.byTask {
		counts[c.Phase]++
		regular := resources.Vector{}
		switch c.Phase {
		case Launching, Held, Recovering, Unreachable, Releasing:
			held = held.Add(c.Need.Vector)
			regular = regularOf(c)
		case Reserved:
			regular = regularOf(c)
		}
		roles[c.Role] = roles[c.Role].Add(regular)
	}
	for _, p := range Phases {
		if l.Count(p) != counts[p] {
			t.Fatalf("%d claims are %s, counted %d", counts[p], p, l.Count(p))
		}
	}
	if l.Claimed() != held {
		t.Fatalf("claimed is %v, want %v", l.Claimed(), held)
	}
	for role, want := range roles {
		if got := l.ClaimedOf(role); got != want {
			t.Fatalf("claimed of role %q is %v, want %v", role, got, want)
		}
	}
	delete(roles, "")
	if got, want := l.Roles(), slices.Sorted(maps.Keys(roles)); !slices.Equal(got, want) {
		t.Fatalf("roles with claims are %q, want %q", got, want)
	}
}

func regularOf(c *Claim) (sum resources.Vector) {
	if c.Parts == nil {
		return c.Need.Vector
	}
	for _, p := range c.Parts {
		if f := p.Flavour; f == nil || !f.Revocable && len(f.Reservations) == 0 {
			sum = sum.Add(p.Bundle.Vector)
		}
	}
	return sum
}
