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
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

const (
	manyAgents = 1000
	rackLabel  = "attribute.kube-mesos.io/rack"
)

// pinned is about pods that few of many agents are of use to: the master is to send
// offers of no others.
func pinned(t *testing.T, kube *cluster.Kube) {
	i := 0
	c := stage(t, kube, manyAgents, recording(200*time.Millisecond), cluster.AgentResources, func(a *mesosmaster.AgentConfig) {
		if i++; i%250 == 0 {
			a.Attributes = map[string]string{"rack": fmt.Sprintf("r%d", i/250)}
		}
	})
	s := c.StartScheduler()
	// The labels of attributes are ours to make.
	for i, host := range []string{cluster.Host(249), cluster.Host(499), cluster.Host(749), cluster.Host(999)} {
		waitLabel(c, host, rackLabel, fmt.Sprintf("r%d", i+1))
	}
	c.WaitIdle()

	only := func(name string, add func(), pods []string, want ...string) {
		c.T.Helper()
		c.WaitIdle()
		from := time.Now()
		add()
		c.WaitBound(pods...)
		c.WaitIdle()
		sent := offersTo(c, cluster.FrameworkName, from)
		if got := hostsOf(sent); !slices.Equal(got, want) {
			c.T.Errorf("%s: the master sent %d offers, of %d agents, want those of %q only", name, len(sent), len(got), want)
		}
		c.T.Logf("%s: %d offers sent, calls %v", name, len(sent), counts(c, from))
	}
	only("a selected host name", func() {
		c.AddPod("one", "100m", "64Mi", selecting("kubernetes.io/hostname", cluster.Host(123)))
	}, []string{"one"}, cluster.Host(123))
	only("required affinity to an attribute", func() {
		c.AddPod("two", "100m", "64Mi", requiring(rackLabel, "r3"))
	}, []string{"two"}, cluster.Host(749))
	only("two selectors", func() {
		c.AddPod("three", "100m", "64Mi", selecting("kubernetes.io/hostname", cluster.Host(7)))
		c.AddPod("four", "100m", "64Mi", selecting(rackLabel, "r4"))
	}, []string{"three", "four"}, cluster.Host(7), cluster.Host(999))

	// A pod that may go anywhere, after those: nothing of what was asked for stays.
	c.AddPod("five", "100m", "64Mi")
	c.WaitBound("five")

	c.WaitIdle()
	s.Kill()
	c.Args = `
      offers: {constraints: Never}
`
	c.StartScheduler()
	waitSubscriptions(c, 2)
	c.WaitIdle()
	from := time.Now()
	c.AddPod("six", "100m", "64Mi", selecting("kubernetes.io/hostname", cluster.Host(123)))
	c.WaitBound("six")
	c.WaitIdle()
	if n := len(hostsOf(offersTo(c, cluster.FrameworkName, from))); n != manyAgents {
		t.Errorf("without constraints offers of %d agents were sent, want all %d", n, manyAgents)
	}
	for _, r := range calls(c, from, "UPDATE_FRAMEWORK") {
		if len(r.Constraints.RoleConstraints) > 0 {
			t.Errorf("constraints were sent that never were to be: %+v", r.Constraints)
		}
	}
	if err := c.Mesos.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

func waitLabel(c *cluster.Cluster, node, label, value string) {
	c.T.Helper()
	c.Eventually("label "+label, func() string {
		if got := nodeLabels(c, node)[label]; got != value {
			return fmt.Sprintf("node %s has %q, want %q", node, got, value)
		}
		return ""
	})
}

// waitSubscriptions waits until we are subscribed for the n-th time.
func waitSubscriptions(c *cluster.Cluster, n int) {
	c.T.Helper()
	c.WaitCalls("SUBSCRIBE", n)
	c.Eventually("subscribed", func() string {
		for _, f := range c.Mesos.Frameworks() {
			if f.Name == cluster.FrameworkName && f.Connected {
				return ""
			}
		}
		return "not connected"
	})
}

// waitAgents waits until the scheduler knows the agents of the cluster.
func waitAgents(c *cluster.Cluster, s *cluster.Scheduler) {
	c.T.Helper()
	c.Eventually("agents are known", func() string {
		recorder := httptest.NewRecorder()
		s.Runtime.DebugHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, mesosoffers.DebugPrefix, nil))
		var page struct{ State struct{ AgentsKnown bool } }
		if err := json.Unmarshal(recorder.Body.Bytes(), &page); err != nil {
			return err.Error()
		}
		if !page.State.AgentsKnown {
			return "not yet"
		}
		return ""
	})
}

// foreignAgents: agents that are no Kubernetes nodes are not offered to us.
func foreignAgents(t *testing.T, kube *cluster.Kube) {
	config := recording(100 * time.Millisecond)
	for i := range 10 {
		config.Agents = append(config.Agents, mesosmaster.AgentConfig{Hostname: fmt.Sprintf("mesos-only-%d", i), Resources: cluster.AgentResources})
	}
	c := stage(t, kube, 3, config, cluster.AgentResources)
	s := c.StartScheduler()
	waitAgents(c, s)
	c.WaitIdle()
	from := time.Now()
	names := addPods(c, "pod", 9, "1", "256Mi")
	c.WaitBound(names...)
	c.WaitIdle()
	for _, host := range hostsOf(offersTo(c, cluster.FrameworkName, from)) {
		if !slices.Contains([]string{cluster.Host(0), cluster.Host(1), cluster.Host(2)}, host) {
			t.Errorf("the master sent an offer of %s, which is no node", host)
		}
	}
	// An agent that becomes a node is of use at once.
	late := addPods(c, "late", 4, "2", "256Mi")
	c.AddNode("mesos-only-4")
	c.AddNode("mesos-only-5")
	c.WaitBound(late...)
	c.Finish()
}
