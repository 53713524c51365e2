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

package economy

import (
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// soon is how fast everything must be given back when no pod waits any more.
const soon = 5 * time.Second

// idle: after the last pod was placed, or went, we hold nothing and every role is
// suppressed, by the records of the master.
func idle(t *testing.T, kube *cluster.Kube) {
	c := stage(t, kube, 8, recording(100*time.Millisecond), cluster.AgentResources)
	spaces := []*cluster.Cluster{c, c.AddNamespace("a", cluster.WithRoles("batch/a")), c.AddNamespace("b", cluster.WithRoles("batch/b", "web")), c.AddNamespace("w", cluster.WithRoles("web"))}
	c.Args = `
      roles: {updatePeriod: 1s}
`
	c.StartScheduler()
	for _, ns := range spaces {
		addPods(ns, "pod", 5, "500m", "256Mi")
	}
	for _, ns := range spaces {
		ns.WaitBound(podNames("pod", 5)...)
	}
	c.WaitSettled()
	c.WaitIdle()
	placed := lastUpdate(c, "TASK_STARTING")
	idleWithin(c, "the last pod was placed", placed)
	if roles := c.Roles(); len(roles) < 4 {
		t.Errorf("the roles are %q, want all that namespaces name", roles)
	}

	// A pod that fits nowhere keeps its role open until it goes, and no offers.
	spaces[1].AddPod("too-big", "32", "256Mi")
	spaces[1].WaitUnscheduled("too-big", "Mesos agent short of cpu")
	gone := time.Now()
	spaces[1].DeletePod("too-big")
	c.WaitIdle()
	idleWithin(c, "the last pod went", gone)

	// Idle lasts: the master makes us no offers, and we no calls.
	from := lastCall(c)
	<-time.After(10 * 100 * time.Millisecond) // some allocations
	if sent := offersTo(c, cluster.FrameworkName, from); len(sent) > 0 {
		t.Errorf("%d offers were sent to an idle framework: %+v", len(sent), sent)
	}
	if n := counts(c, from); n["REVIVE"]+n["DECLINE"]+n["UPDATE_FRAMEWORK"] > 0 {
		t.Errorf("calls of an idle framework: %v", n)
	}
	c.Finish()
}

// idleWithin checks that the last call which gave something back came soon after a
// moment.
func idleWithin(c *cluster.Cluster, what string, since time.Time) {
	c.T.Helper()
	last := lastCall(c)
	c.T.Logf("idle %v after %s", last.Sub(since), what)
	if d := last.Sub(since); d > soon {
		c.T.Errorf("idle %v after %s, want within %v", d, what, soon)
	}
}

// lastCall is when we last gave something back or suppressed a role.
func lastCall(c *cluster.Cluster) time.Time {
	list := calls(c, time.Time{}, "DECLINE", "SUPPRESS", "UPDATE_FRAMEWORK", "REVIVE", "ACCEPT")
	return slices.MaxFunc(list, func(a, b recordOf) int { return a.Time.Compare(b.Time) }).Time
}
