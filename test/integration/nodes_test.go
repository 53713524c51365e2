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

package integration

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// agentHostname is the label that names a node's agent.
const agentHostname = "kube-mesos.io/agent-hostname"

func TestNodes(t *testing.T) {
	kube := cluster.StartKube(t)
	for _, test := range []struct {
		name  string
		nodes int
		play  func(*cluster.Cluster)
	}{
		{"a node without an agent is never chosen", 1, bareNode},
		{"an agent that is no node gets its offers back", 1, strangeAgent},
		{"two agents of one host", 1, ambiguousAgents},
		{"two nodes of one host", 1, ambiguousNodes},
		{"a node added later", 0, nodeAddedLater},
		{"a node deleted and added again", 1, nodeReturns},
		{"a node that names its agent", 0, nodeNamesAgent},
		{"a node that names its agent later", 0, nodeNamesAgentLater},
		{"an agent added later", 0, agentAddedLater},
		{"agent attributes and fault domain as node labels", 1, agentAttributes},
		{"an agent that gives away more than its node has", 1, greedyAgent},
	} {
		t.Run(test.name, func(t *testing.T) { test.play(kube.New(t, test.nodes, cluster.Quick())) })
	}
}

func addAgent(c *cluster.Cluster, hostname string) {
	c.T.Helper()
	_, err := c.Mesos.RegisterAgent(mesosmaster.AgentConfig{Hostname: hostname, Resources: cluster.AgentResources})
	c.Must(err)
}

// wantOn fails the test unless the pod is bound to the node.
func wantOn(c *cluster.Cluster, pod, node string) {
	c.T.Helper()
	c.WaitBound(pod)
	if got := c.Pod(pod).Spec.NodeName; got != node {
		c.T.Errorf("pod %s is on %s, want %s", pod, got, node)
	}
}

func bareNode(c *cluster.Cluster) {
	c.AddNode("bare")
	c.StartScheduler()
	for i := range 4 {
		c.AddPod(fmt.Sprintf("pod-%d", i), "1", "1Gi")
	}
	for i := range 4 {
		wantOn(c, fmt.Sprintf("pod-%d", i), cluster.Host(0))
	}
	c.AddPod("more", "1", "1Gi")
	c.WaitUnscheduled("more", "0/2 nodes are available: ", "1 not a Mesos agent")
	c.DeletePod("pod-0")
	wantOn(c, "more", cluster.Host(0))
	c.WaitSettled()
	c.Finish()
}

func strangeAgent(c *cluster.Cluster) {
	addAgent(c, "stranger")
	// Or the master would not offer us what is of no use: it must be sorted out here.
	c.Args = "      offers: {constraints: Never, minAllocatable: Never}\n"
	c.StartScheduler()
	c.AddPod("one", "4", "1Gi")
	wantOn(c, "one", cluster.Host(0))
	// Nothing but the stranger could hold this one.
	c.AddPod("two", "4", "1Gi")
	c.WaitUnscheduled("two", "0/1 nodes are available: ", "1 Mesos offer short of cpu")
	c.Eventually("the stranger's offer declined for an hour", func() string {
		if !declinedFor(c, time.Hour) {
			return "no such DECLINE"
		}
		return ""
	})
	c.Eventually("no offer held", func() string {
		if n := len(c.Mesos.OutstandingOffers()); n > 0 {
			return fmt.Sprintf("%d", n)
		}
		return ""
	})
	c.Finish()
	for _, task := range c.Mesos.Tasks() {
		if task.Hostname == "stranger" {
			c.T.Errorf("task %s ran on a machine that is no node", task.TaskID)
		}
	}
}

// declinedFor tells whether any DECLINE refused for so long.
func declinedFor(c *cluster.Cluster, refuse time.Duration) bool {
	for _, call := range c.Mesos.Calls() {
		if call.Type == "DECLINE" && call.Call.Decline.Filters.GetRefuseSeconds() == refuse.Seconds() {
			return true
		}
	}
	return false
}

// ambiguousAgents: host names are equal but for case, as in DNS.
func ambiguousAgents(c *cluster.Cluster) {
	twin := strings.ToUpper(cluster.Host(0))
	addAgent(c, twin)
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitUnscheduled("one", "1 Mesos agent not unique")
	c.WaitNodeEvent(cluster.Host(0), "MesosAgentAmbiguous", cluster.Host(0), agentHostname)
	if n := len(c.Mesos.Tasks()); n > 0 {
		c.T.Errorf("%d tasks were launched on a host that is claimed twice", n)
	}
	c.Must(c.Mesos.MarkGone(twin))
	wantOn(c, "one", cluster.Host(0))
	c.WaitSettled()
	c.Finish()
}

func ambiguousNodes(c *cluster.Cluster) {
	c.AddNode("twin", func(node *v1.Node) { node.Labels = map[string]string{agentHostname: cluster.Host(0)} })
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitUnscheduled("one", "2 Mesos agent not unique")
	c.WaitNodeEvent("twin", "MesosAgentAmbiguous", cluster.Host(0))
	c.DeleteNode("twin")
	wantOn(c, "one", cluster.Host(0))
	c.WaitSettled()
	c.Finish()
}

func nodeAddedLater(c *cluster.Cluster) {
	addAgent(c, "late")
	c.AddNode("bare")
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.Eventually("the offer declined as nobody's", func() string {
		if !declinedFor(c, time.Hour) {
			return "no such DECLINE"
		}
		return ""
	})
	c.AddNode("late")
	wantOn(c, "one", "late")
	c.WaitSettled()
	c.Finish()
}

func nodeReturns(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	wantOn(c, "one", cluster.Host(0))
	c.WaitSettled()
	c.AddNode("bare")
	c.DeleteNode(cluster.Host(0))
	c.AddPod("two", "1", "1Gi")
	c.WaitUnscheduled("two", "0/1 nodes are available: ")
	c.AddNode(cluster.Host(0))
	wantOn(c, "two", cluster.Host(0))
	c.WaitSettled()
	c.Finish()
}

func nodeNamesAgent(c *cluster.Cluster) {
	addAgent(c, "machine.example.com")
	c.AddNode("kube-name", func(node *v1.Node) { node.Labels = map[string]string{agentHostname: "machine.example.com"} })
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	wantOn(c, "one", "kube-name")
	if host := c.Task("one").Hostname; host != "machine.example.com" {
		c.T.Errorf("the task is on %s", host)
	}
	c.DeletePod("one")
	c.Eventually("no task left", func() string {
		if n := len(c.LiveTasks()); n > 0 {
			return fmt.Sprintf("%d", n)
		}
		return ""
	})
	c.Finish()
}

func nodeNamesAgentLater(c *cluster.Cluster) {
	addAgent(c, "machine.example.com")
	c.AddNode("kube-name")
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitUnscheduled("one", "0/1 nodes are available: 1 not a Mesos agent")
	c.LabelNode("kube-name", agentHostname, "machine.example.com")
	wantOn(c, "one", "kube-name")
	c.Finish()
}

func agentAddedLater(c *cluster.Cluster) {
	c.AddNode("late")
	c.StartScheduler()
	c.AddPod("one", "1", "1Gi")
	c.WaitUnscheduled("one", "0/1 nodes are available: 1 not a Mesos agent")
	addAgent(c, "late")
	wantOn(c, "one", "late")
	c.WaitSettled()
	c.Finish()
}

// agentAttributes: pods choose nodes by what their agents are, and a topology label
// that the node has of its own stays.
func agentAttributes(c *cluster.Cluster) {
	const rack = "attribute.kube-mesos.io/rack"
	for host, zone := range map[string]string{"east": "z-east", "west": "z-west"} {
		_, err := c.Mesos.RegisterAgent(mesosmaster.AgentConfig{
			Hostname: host, Resources: cluster.AgentResources, Attributes: map[string]string{"rack": "rack-" + host, "cores": "[1-4]"}, Region: "r", Zone: zone,
		})
		c.Must(err)
	}
	c.AddNode("east")
	c.AddNode("west", func(node *v1.Node) {
		node.Labels = map[string]string{v1.LabelTopologyZone: "of-its-own", "attribute.kube-mesos.io/old": "x"}
	})
	c.StartScheduler()
	selecting := func(key, value string) func(*v1.Pod) {
		return func(pod *v1.Pod) { pod.Spec.NodeSelector = map[string]string{key: value} }
	}
	c.AddPod("by-rack", "1", "1Gi", selecting(rack, "rack-west"))
	c.AddPod("by-zone", "1", "1Gi", selecting(v1.LabelTopologyZone, "z-east"))
	c.AddPod("by-own-zone", "1", "1Gi", selecting(v1.LabelTopologyZone, "of-its-own"))
	wantOn(c, "by-rack", "west")
	wantOn(c, "by-zone", "east")
	wantOn(c, "by-own-zone", "west")
	west, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), "west", metav1.GetOptions{})
	c.Must(err)
	want := map[string]string{rack: "rack-west", v1.LabelTopologyZone: "of-its-own", v1.LabelTopologyRegion: "r"}
	if !maps.Equal(west.Labels, want) {
		c.T.Errorf("labels of west are %v, want %v", west.Labels, want)
	}
	c.WaitSettled()
	c.Finish()
}

// greedyAgent: nodes of the tests have 64 cores.
func greedyAgent(c *cluster.Cluster) {
	_, err := c.Mesos.RegisterAgent(mesosmaster.AgentConfig{Hostname: "greedy", Resources: "cpus:60;mem:8192;disk:10000"})
	c.Must(err)
	c.AddNode("greedy")
	c.AddPod("daemon", "6", "1Gi", func(pod *v1.Pod) { pod.Spec.SchedulerName, pod.Spec.NodeName = "default-scheduler", "greedy" })
	c.StartScheduler()
	c.Eventually("a condition with both numbers", func() string {
		node, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), "greedy", metav1.GetOptions{})
		c.Must(err)
		for _, condition := range node.Status.Conditions {
			if condition.Type == "MesosAgentOvercommitted" && condition.Status == v1.ConditionTrue &&
				strings.Contains(condition.Message, "advertises cpus:60") && strings.Contains(condition.Message, "leave cpus:58") {
				return ""
			}
		}
		return fmt.Sprintf("%+v", node.Status.Conditions)
	})
	fine, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), cluster.Host(0), metav1.GetOptions{})
	c.Must(err)
	if len(fine.Status.Conditions) != 1 {
		c.T.Errorf("a node that is in balance has conditions %+v", fine.Status.Conditions)
	}
	c.DeletePod("daemon")
	c.Finish()
}
