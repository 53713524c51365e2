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

package flavours

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// oversubscribedInterval is how often agents look at their estimates here.
const oversubscribedInterval = 50 * time.Millisecond

// stage makes a cluster with an agent for each text of resources, on a node of its
// own.
func stage(t *testing.T, kube *cluster.Kube, agents ...string) *cluster.Cluster {
	t.Helper()
	config := cluster.Quick()
	for i, text := range agents {
		config.Agents = append(config.Agents, agent(i, text))
	}
	c := kube.New(t, 0, config)
	for i := range agents {
		c.AddNode(cluster.Host(i))
	}
	return c
}

func agent(i int, text string) mesosmaster.AgentConfig {
	return mesosmaster.AgentConfig{Hostname: cluster.Host(i), Resources: text, OversubscribedInterval: oversubscribedInterval}
}

// finish deletes all pods and checks that nothing is left over, no dynamic
// reservation of ours among it.
func finish(c *cluster.Cluster) {
	c.T.Helper()
	c.Finish()
	waitNoReservations(c)
	c.Must(c.Mesos.CheckInvariants())
}

// ours is what all labelled reservations of the scheduler have in their text.
const ours = "kube-mesos.io/statefulset-uid: "

// reservations lists what is reserved for pods, by agent.
func reservations(c *cluster.Cluster) (list []string) {
	for _, a := range c.Mesos.Agents() {
		for _, part := range strings.Split(a.Total, "; ") {
			if strings.Contains(part, ours) {
				list = append(list, a.Hostname+" "+part)
			}
		}
	}
	return list
}

func waitNoReservations(c *cluster.Cluster) {
	c.T.Helper()
	c.Eventually("no reservation is left", func() string { return strings.Join(reservations(c), "; ") })
}

// parts are the resources of a pod's task, sorted.
func parts(c *cluster.Cluster, pod string) []string {
	c.T.Helper()
	c.WaitBound(pod)
	list := strings.Split(c.Task(pod).Resources, "; ")
	slices.Sort(list)
	return list
}

// wantParts waits for the pod to be bound and compares what its task has, in the
// text form of Mesos and in any order.
func wantParts(c *cluster.Cluster, pod string, want ...string) {
	c.T.Helper()
	slices.Sort(want)
	if got := parts(c, pod); !slices.Equal(got, want) {
		c.T.Errorf("the task of pod %s has\n %q, want\n %q", pod, got, want)
	}
}

// annotated sets an annotation of a pod.
func annotated(key, value string) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[key] = value
	}
}

// on makes the pod fit one node only.
func on(i int) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		pod.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{
			NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchFields: []v1.NodeSelectorRequirement{
				{Key: "metadata.name", Operator: v1.NodeSelectorOpIn, Values: []string{cluster.Host(i)}},
			}}},
		}}}
	}
}

// requesting makes the pod's container ask for one more resource.
func requesting(name v1.ResourceName, amount string) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		r := &pod.Spec.Containers[0].Resources
		q := resource.MustParse(amount)
		r.Requests[name] = q
		if strings.Contains(string(name), "/") {
			// The API server wants both of extended resources.
			r.Limits = v1.ResourceList{name: q}
		}
	}
}

// operate makes an operator's call in JSON, as curl would.
func operate(c *cluster.Cluster, format string, args ...any) {
	c.T.Helper()
	resp, err := http.Post(c.Mesos.URL()+"/api/v1", "application/json", strings.NewReader(fmt.Sprintf(format, args...)))
	c.Must(err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	c.Must(err)
	if resp.StatusCode/100 != 2 {
		c.T.Fatalf("the master answers %d %s", resp.StatusCode, body)
	}
}

// reserve makes a dynamic reservation as an operator. labels is JSON, may be empty.
func reserve(c *cluster.Cluster, host, role string, cpus float64, labels string) {
	c.T.Helper()
	for _, a := range c.Mesos.Agents() {
		if a.Hostname == host {
			operate(c, `{"type": "RESERVE_RESOURCES", "reserve_resources": {"agent_id": {"value": %q}, "resources": [{"name": "cpus",
				"type": "SCALAR", "scalar": {"value": %v}, "reservations": [{"type": "DYNAMIC", "role": %q %s}]}]}}`, a.AgentID, cpus, role, labels)
			return
		}
	}
	c.T.Fatalf("no agent on %s", host)
}

// waits checks that the pod is not placed, and says why.
func waits(c *cluster.Cluster, pod string, words ...string) {
	c.T.Helper()
	c.WaitUnscheduled(pod, words...)
	if node := c.Pod(pod).Spec.NodeName; node != "" {
		c.T.Errorf("pod %s is on %s, it was to wait", pod, node)
	}
}
