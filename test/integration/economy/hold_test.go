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
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/neighbour"
)

// surplus: one pod needs one offer; the others go back at once, to be had by
// somebody else, though the role stays open.
func surplus(t *testing.T, kube *cluster.Kube) {
	const agents, few = 50, 3
	c := stage(t, kube, agents, recording(100*time.Millisecond), cluster.AgentResources)
	// Neither age nor idleness gives anything back here.
	c.Args = `
      offers: {maxHold: 5m, idleGrace: 1m}
`
	c.StartScheduler()
	waitSubscriptions(c, 1)
	from := time.Now()
	c.AddPod("one", "100m", "64Mi")
	c.WaitBound("one")
	c.Eventually("the surplus is declined", func() string {
		if n := ourOffers(c); n > few {
			return fmt.Sprintf("%d offers are held for one small pod", n)
		}
		return ""
	})
	given := map[string]time.Time{}
	for _, r := range calls(c, from, "DECLINE") {
		for _, id := range r.Call.GetDecline().OfferIDs {
			given[id.Value] = r.Time
		}
	}
	quick, slowest := 0, time.Duration(0)
	for _, o := range offersTo(c, cluster.FrameworkName, from) {
		if at, ok := given[o.id]; ok {
			slowest = max(slowest, at.Sub(o.at))
			if at.Sub(o.at) <= time.Second {
				quick++
			}
		}
	}
	t.Logf("%d offers declined, within %v; calls %v", quick, slowest, counts(c, from))
	if quick < agents-1-few {
		t.Errorf("%d offers were declined within a second, want %d at least", quick, agents-1-few)
	}

	other, err := neighbour.New(neighbour.Config{URL: c.Mesos.URL(), Machines: agents - 1 - few})
	c.Must(err)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- other.Run(ctx) }()
	c.Eventually("a neighbour takes the surplus", func() string {
		if s := other.Stats(); s.Running < agents-1-few {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	})
	if slices.Contains(suppressed(c), "*") {
		t.Error("our role was suppressed: this is no test of surplus")
	}
	leave()
	c.Must(<-left)
}

// warm: a warm reserve is held without pods, used by the next pod without any
// REVIVE, and filled again.
func warm(t *testing.T, kube *cluster.Kube) {
	c := stage(t, kube, 10, recording(100*time.Millisecond), cluster.AgentResources)
	c.Args = `
      offers: {warmAgents: 2}
`
	c.StartScheduler()
	held := func() {
		t.Helper()
		c.Eventually("two agents are warm", func() string {
			if n := ourOffers(c); n != 2 {
				return fmt.Sprintf("%d offers are held", n)
			}
			return ""
		})
	}
	held()
	from := time.Now()
	<-time.After(20 * 100 * time.Millisecond) // some allocations and more than the idle grace
	held()
	if n := counts(c, from); n["REVIVE"]+n["SUPPRESS"] > 2 {
		t.Errorf("calls of an idle framework with a warm reserve: %v", n)
	}
	from = time.Now()
	c.AddPod("one", "100m", "64Mi")
	c.WaitBound("one")
	accepts := calls(c, from, "ACCEPT")
	if len(accepts) != 1 {
		t.Fatalf("%d ACCEPTs for a pod", len(accepts))
	}
	for _, r := range calls(c, from, "REVIVE") {
		if r.Time.Before(accepts[0].Time) {
			t.Error("a REVIVE before the ACCEPT of a pod that a warm agent has room for")
		}
	}
	held()
	c.DeletePod("one")
	c.WaitSettled()
	if err := c.Mesos.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

// suppressed are the roles that the master sends us no offers for.
func suppressed(c *cluster.Cluster) []string {
	for _, f := range c.Mesos.Frameworks() {
		if f.Name == cluster.FrameworkName {
			return f.SuppressedRoles
		}
	}
	return nil
}
