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
	"fmt"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// oldMaster: a master before 1.11 is sent no offer constraints, and pods that
// require something of nodes find theirs.
func oldMaster(t *testing.T, kube *cluster.Kube) {
	config := recording(100 * time.Millisecond)
	config.Version = "1.10.0"
	c := stage(t, kube, 10, config, cluster.AgentResources)
	c.StartScheduler()
	waitSubscriptions(c, 1)
	c.WaitIdle()
	from := time.Now()
	c.AddPod("pinned", "100m", "64Mi", selecting("kubernetes.io/hostname", cluster.Host(6)))
	c.AddPod("other", "100m", "64Mi", requiring("kubernetes.io/hostname", cluster.Host(2), cluster.Host(3)))
	c.AddPod("free", "100m", "64Mi")
	c.WaitBound("pinned", "other", "free")
	if got := c.Pod("pinned").Spec.NodeName; got != cluster.Host(6) {
		t.Errorf("the pinned pod is on %s", got)
	}
	c.WaitSettled()
	c.WaitIdle()
	for _, r := range calls(c, time.Time{}, "SUBSCRIBE", "UPDATE_FRAMEWORK") {
		if len(r.Constraints.RoleConstraints) > 0 {
			t.Errorf("%s has constraints: %+v", r.Type, r.Constraints)
		}
	}
	t.Logf("calls: %v", counts(c, from))
	c.Finish()
}

// minAllocatable: the size below which no offers are wanted follows the smallest
// pod, in coarse steps and few calls.
func minAllocatable(t *testing.T, kube *cluster.Kube) {
	const large = 3
	i := 0
	c := stage(t, kube, 2*large, recording(100*time.Millisecond), cluster.AgentResources, func(a *mesosmaster.AgentConfig) {
		if i++; i > large {
			a.Resources = "cpus:1;mem:1500;disk:10000"
		}
	})
	waitAgents(c, c.StartScheduler())
	c.WaitIdle()
	minimum := func(name, cpu string, cpus, mem float64) {
		c.T.Helper()
		c.AddPod(name, cpu, "3Gi")
		c.WaitBound(name)
		c.Eventually("the minimum", func() string {
			got := toldMinimum(c)
			if got["cpus"] != cpus || got["mem"] != mem {
				return fmt.Sprintf("it is %v, want cpus %v and mem %v", got, cpus, mem)
			}
			return ""
		})
		c.WaitIdle()
	}
	minimum("large", "3", 2, 2048)
	minimum("middle", "1500m", 1, 2048)
	for _, o := range offersTo(c, cluster.FrameworkName, time.Time{}) {
		if o.host >= cluster.Host(large) {
			t.Errorf("an offer of %s was sent, which is too small for any pod", o.host)
		}
	}
	// A burst of pods of about a size is one step. They cannot but have the small agents.
	before := time.Now()
	for i := range 12 {
		c.AddPod(fmt.Sprintf("burst-%d", i), fmt.Sprintf("%dm", 130+10*i), "300Mi",
			requiring("kubernetes.io/hostname", cluster.Host(3), cluster.Host(4), cluster.Host(5)))
	}
	c.WaitBound(podsNamed("burst-%d", 12)...)
	c.WaitIdle()
	if got := toldMinimum(c); got["cpus"] != 0.125 || got["mem"] != 256 {
		t.Errorf("after the burst the minimum is %v, want cpus 0.125 and mem 256", got)
	}
	changes, last := 0, ""
	for _, r := range calls(c, time.Time{}, "SUBSCRIBE", "UPDATE_FRAMEWORK") {
		is := fmt.Sprint(minimumIn(infoOf(r), "*"))
		if is != last && r.Time.After(before) {
			changes++
		}
		last = is
	}
	if n := len(calls(c, before, "UPDATE_FRAMEWORK")); changes > 2 || n > 4 {
		t.Errorf("%d changes of the minimum in %d UPDATE_FRAMEWORK for one burst of pods", changes, n)
	}
	t.Logf("calls: %v", counts(c, time.Time{}))
	c.Finish()
}

// toldMinimum is what the master was last told for the role "*".
func toldMinimum(c *cluster.Cluster) map[string]float64 {
	list := calls(c, time.Time{}, "SUBSCRIBE", "UPDATE_FRAMEWORK")
	if len(list) == 0 {
		return nil
	}
	return minimumIn(infoOf(list[len(list)-1]), "*")
}

func infoOf(r recordOf) *mesos.FrameworkInfo {
	if update := r.Call.GetUpdateFramework(); update != nil {
		return &update.FrameworkInfo
	}
	return r.Call.GetSubscribe().GetFrameworkInfo()
}

func minimumIn(info *mesos.FrameworkInfo, role string) map[string]float64 {
	filters, ok := info.OfferFilters[role]
	if !ok {
		return nil
	}
	all := map[string]float64{}
	for _, q := range filters.GetMinAllocatableResources().GetQuantities() {
		for name, scalar := range q.Quantities {
			all[name] = scalar.Value
		}
	}
	return all
}
