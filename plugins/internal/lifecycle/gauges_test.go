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
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
)

// TestReconciliationGauges: a reconciliation is complete when the last answer came, and
// ages from then on.
func TestReconciliationGauges(t *testing.T) {
	inBubble(t, func(r *rig) {
		one, two := r.held(testPod("one"), "n1"), r.held(testPod("two"), "n2")
		r.Disconnected(nil)
		r.pass(time.Minute)
		r.Subscribed(mesos.Subscription{FrameworkID: "fw", Roles: []mesos.RoleAsk{{Name: "web"}}})
		r.pass(time.Second)
		r.Updated(claims.TaskStatus{TaskID: one, AgentID: "a-n1", State: claims.TaskRunning, Reason: "REASON_RECONCILIATION"})
		r.pass(time.Second)
		g := r.Gauges()
		if g.Unanswered != 1 || g.SinceReconciled != nil && *g.SinceReconciled < time.Minute {
			t.Errorf("%d are open, and the last reconciliation ended %v ago", g.Unanswered, g.SinceReconciled)
		}
		r.Updated(claims.TaskStatus{TaskID: two, AgentID: "a-n2", State: claims.TaskRunning, Reason: "REASON_RECONCILIATION"})
		r.pass(30 * time.Second)
		if g = r.Gauges(); g.Unanswered != 0 || g.SinceReconciled == nil || *g.SinceReconciled > 31*time.Second || *g.SinceReconciled < 29*time.Second {
			t.Errorf("%d are open, and the last reconciliation ended %v ago, want 30s", g.Unanswered, g.SinceReconciled)
		}
	})
}
