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
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// pinned is a pod that may be placed on the nodes with a label only.
func pinned(name, key, value string) *v1.Pod {
	pod := testPod(name)
	pod.Spec.NodeSelector = map[string]string{key: value}
	return pod
}

// withTerms makes the rig tell terms to a master that knows all of some agents, which
// are nodes in two racks.
func (r *rig) withTerms(names ...string) {
	r.bargain = newBargain(TermsConfig{Constraints: true, MinAllocatable: true, MaxHosts: 8})
	var list []mesos.Agent
	for i, name := range names {
		rack := "even"
		if i%2 == 1 {
			rack = "odd"
		}
		r.nodeChanged(st.MakeNode().Name(name).Label("rack", rack).Obj())
		list = append(list, mesos.Agent{ID: "a-" + name, Hostname: name, Active: true})
	}
	r.Subscribed(mesos.Subscription{FrameworkID: "fw", Constraints: true, Roles: mesos.AskRoles([]string{"web"}, []string{"web"})})
	r.mu.Lock()
	generation, failures := r.generation, r.failures
	r.mu.Unlock()
	r.agentsListed(generation, failures, time.Now(), list)
	r.pass(time.Second)
	r.master.take()
}

func hosts(names ...string) (c terms.Constraints) {
	for _, name := range names {
		c = append(c, terms.Group{{Op: terms.Equals, Value: name}})
	}
	return c
}

func TestTermsFollowThePods(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.withTerms("n0", "n1", "n2", "n3", "n4")
		r.podChanged(pinned("p", "rack", "odd"))
		r.pass(100 * time.Millisecond)
		r.wantCalls("UPDATE_FRAMEWORK web, suppressed web", "REVIVE")
		if got := r.master.lastTerms("web"); !got.Constraints.Equal(hosts("n1", "n3")) {
			t.Errorf("terms told: %+v", got)
		}
		// A second later somebody needs another node: it must be admitted at once, and a
		// REVIVE has it offered.
		r.pass(time.Second)
		r.podChanged(pinned("q", "rack", "even"))
		r.pass(100 * time.Millisecond)
		calls := r.master.take()
		if !slices.Contains(calls, "UPDATE_FRAMEWORK web, suppressed") || calls[len(calls)-1] != "REVIVE" {
			t.Errorf("calls to Mesos: %q", calls)
		}
		if got := r.master.lastTerms("web"); got.Constraints != nil {
			t.Errorf("terms told: %+v, want no constraints for pods that may use every agent", got)
		}
		// Fewer agents are enough again: that may lag behind.
		r.podGone(pinned("q", "rack", "even"))
		r.pass(time.Second)
		if calls := r.master.take(); slices.ContainsFunc(calls, isUpdate) {
			t.Errorf("calls to Mesos: %q, want none that tells at once that fewer agents are needed", calls)
		}
		r.pass(10 * time.Second)
		if calls := r.master.take(); !slices.ContainsFunc(calls, isUpdate) {
			t.Errorf("calls to Mesos: %q, want one that tells that fewer agents are needed", calls)
		}
		if got := r.master.lastTerms("web"); !got.Constraints.Equal(hosts("n1", "n3")) {
			t.Errorf("terms told: %+v", got)
		}
		// Nothing changes any more.
		r.pass(time.Minute)
		if calls := r.master.take(); slices.ContainsFunc(calls, isUpdate) {
			t.Errorf("calls to Mesos: %q", calls)
		}
	})
}

func isUpdate(call string) bool { return len(call) > 6 && call[:6] == "UPDATE" }

func TestRefusedTerms(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.withTerms("n0", "n1", "n2")
		r.master.failNext("UPDATE_FRAMEWORK", mesos.ErrTermsRefused)
		r.podChanged(pinned("p", "rack", "odd"))
		r.pass(100 * time.Millisecond)
		r.wantCalls("UPDATE_FRAMEWORK web, suppressed web", "REVIVE")
		r.pass(time.Minute)
		if got := r.master.lastTerms("web"); got.Constraints != nil && slices.ContainsFunc(r.master.take(), isUpdate) {
			t.Errorf("told again what was refused: %+v", got)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.bargain.book.Current("web", time.Now()).Constraints != nil {
			t.Error("refused constraints are asked for")
		}
	})
}

func TestNodesThatCannotBeUsed(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.withTerms("n0", "n1")
		r.nodeChanged(st.MakeNode().Name("n1").Taints([]v1.Taint{{Key: "k", Effect: v1.TaintEffectNoSchedule}}).Obj())
		r.podChanged(testPod("p"))
		r.pass(100 * time.Millisecond)
		if got := r.master.lastTerms("web"); !got.Constraints.Equal(hosts("n0")) && !got.Constraints.Equal(terms.Constraints{{{Op: terms.NotEquals, Value: "n1"}}}) {
			t.Errorf("terms told: %+v", got)
		}
	})
}
