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

func TestRevoked(t *testing.T) {
	for _, tc := range []struct {
		state  TaskState
		reason string
		want   bool
	}{
		{TaskGone, "REASON_CONTAINER_PREEMPTED", true},
		{TaskLost, "REASON_CONTAINER_PREEMPTED", true},
		{TaskFailed, "REASON_CONTAINER_PREEMPTED", false},
		{TaskGone, "REASON_RECONCILIATION", false},
		{TaskLost, "", false},
	} {
		r := newRig(t)
		id := r.in("HeldBound")
		r.Status(TaskStatus{TaskID: id, State: tc.state, Reason: tc.reason}, r.now)
		if e := r.Effects()[0].(Evict); e.Revoked != tc.want {
			t.Errorf("%s %s: revoked is %v", tc.state, tc.reason, e.Revoked)
		}
	}
}

func TestSumsByRole(t *testing.T) {
	r := newRig(t)
	id := r.in("Reserved")
	if got := r.ClaimedOf("role"); got != one.Vector {
		t.Errorf("a need of unknown parts counts as %v", got)
	}
	r.SetParts("absent", nil)
	half := resources.Bundle{Vector: resources.Vector{resources.CPU: 500}}
	r.SetParts(id, []resources.Portion{
		{Bundle: half}, {Flavour: &resources.Flavour{}, Bundle: half}, {Flavour: resources.RevocableFlavour, Bundle: one},
		{Flavour: &resources.Flavour{Reservations: []resources.Reservation{{Role: "role"}}}, Bundle: one},
	})
	want := half.Add(half).Vector
	if got := r.ClaimedOf("role"); got != want || !r.ByTask(id).Revocable {
		t.Errorf("claimed is %v, want %v; revocable is %v", got, want, r.ByTask(id).Revocable)
	}
	r.SetParts(id, []resources.Portion{{Bundle: half}})
	if got := r.ClaimedOf("role"); got != half.Vector || r.ByTask(id).Revocable {
		t.Errorf("claimed is %v, want %v; revocable is %v", got, half.Vector, r.ByTask(id).Revocable)
	}
	if _, err := r.Open(Pod{UID: "b"}, "n", "a", "eng/ads", one, r.now); err != nil {
		t.Fatal(err)
	}
	r.news(TaskID("x", 1), TaskRunning)
	r.Disown(TaskID("x", 1), r.now)
	if got := r.Roles(); len(got) != 2 || got[0] != "eng/ads" || got[1] != "role" {
		t.Errorf("roles are %q", got)
	}
	check(t, r.Ledger)
	r.Cancel(id, r.now)
	if got := r.Roles(); len(got) != 1 || r.ClaimedOf("role") != (resources.Vector{}) {
		t.Errorf("roles are %q, of role %v", got, r.ClaimedOf("role"))
	}
}
