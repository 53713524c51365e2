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
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// remainders: what an ACCEPT leaves over comes back without waiting for the master's
// next allocation, and without a storm of calls.
func remainders(t *testing.T, kube *cluster.Kube) {
	const pods, interval = 60, 5 * time.Second
	c := stage(t, kube, 3, recording(interval), cluster.AgentResources)
	// No ACCEPT can take what an agent may hold.
	c.Args = `
      offers: {maxTasksPerAccept: 8}
`
	names := addPods(c, "pod", pods, "150m", "256Mi")
	from := time.Now()
	c.StartScheduler()
	c.WaitBound(names...)
	c.WaitSettled()
	c.WaitIdle()

	n := counts(c, from)
	accepts := calls(c, from, "ACCEPT")
	t.Logf("%d pods on 3 agents in %v: %v, %.1f launches per ACCEPT", pods, accepts[len(accepts)-1].Time.Sub(from).Round(time.Millisecond), n, pods/float64(len(accepts)))
	if len(accepts) < 4 {
		t.Errorf("%d ACCEPTs on 3 agents: no remainder was used", len(accepts))
	}
	if len(accepts) > pods/3 {
		t.Errorf("%d ACCEPTs for %d pods: too few share one", len(accepts), pods)
	}
	refusals(c, accepts, pods)
	// One for the pods that came, the others for remainders: they serve all agents.
	if n["REVIVE"] < 2 || n["REVIVE"] > len(accepts) {
		t.Errorf("%d REVIVEs for %d ACCEPTs", n["REVIVE"], len(accepts))
	}
	if n["DECLINE"] > 10 || n["UPDATE_FRAMEWORK"] > 6 || n["SUPPRESS"] > 3 {
		t.Errorf("calls: %v", n)
	}
	for id, times := range c.Launched() {
		if times > 1 {
			t.Errorf("task %s was launched %d times", id, times)
		}
	}
	c.Finish()
}

// refusals checks the filters of ACCEPTs: while pods wait, what is left over is wanted.
func refusals(c *cluster.Cluster, accepts []recordOf, pods int) {
	c.T.Helper()
	launched := 0
	for _, r := range accepts {
		a := r.Call.GetAccept()
		for i := range a.Operations {
			launched += len(a.Operations[i].GetLaunch().GetTaskInfos())
		}
		switch {
		case a.Filters == nil:
			c.T.Error("an ACCEPT without filters refuses for 5 s")
		case pods-launched >= 8*3 && a.Filters.GetRefuseSeconds() > 0:
			// More pods wait than all agents' batches can hold.
			c.T.Errorf("an ACCEPT refuses for %v s with %d pods to be placed", a.Filters.GetRefuseSeconds(), pods-launched)
		}
	}
	if launched < pods {
		c.T.Errorf("%d tasks were launched for %d pods", launched, pods)
	}
}
