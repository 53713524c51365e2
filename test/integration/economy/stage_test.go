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
	"slices"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

func TestEconomy(t *testing.T) {
	kube := cluster.StartKube(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *cluster.Kube)
	}{
		{"Pinned", pinned}, {"ForeignAgents", foreignAgents}, {"OldMaster", oldMaster}, {"MinAllocatable", minAllocatable},
		{"Idle", idle}, {"Surplus", surplus}, {"Warm", warm}, {"Remainders", remainders}, {"Told", told},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, kube) })
	}
}

// recording is a master that allocates every interval and keeps records of all that it
// sends.
func recording(interval time.Duration) mesosmaster.Config {
	return mesosmaster.Config{AllocationInterval: interval, EventLog: 100_000}
}

// stage makes a cluster with n agents of 4 cores, on a node each.
func stage(t *testing.T, kube *cluster.Kube, n int, config mesosmaster.Config, resources string, change ...func(*mesosmaster.AgentConfig)) *cluster.Cluster {
	t.Helper()
	var hosts []string
	for i := range n {
		agent := mesosmaster.AgentConfig{Hostname: cluster.Host(i), Resources: resources}
		for _, f := range change {
			f(&agent)
		}
		config.Agents = append(config.Agents, agent)
		hosts = append(hosts, agent.Hostname)
	}
	c := kube.New(t, 0, config)
	c.Args = "      offers: {}\n"
	c.AddNodes(hosts, func(node *v1.Node) {
		node.Labels = map[string]string{v1.LabelHostname: node.Name}
	})
	return c
}

// offered is one offer that the master sent.
type offered struct {
	id, host, role string
	at             time.Time
}

// offersTo lists the offers sent to a framework after a moment.
func offersTo(c *cluster.Cluster, framework string, after time.Time) (list []offered) {
	id := frameworkID(c, framework)
	for _, e := range c.Mesos.Events() {
		if e.Type != "OFFERS" || !e.Time.After(after) {
			continue
		}
		for _, o := range e.Event.Offers.Offers {
			if o.FrameworkID.Value == id {
				list = append(list, offered{id: o.ID.Value, host: o.Hostname, role: o.AllocationInfo.GetRole(), at: e.Time})
			}
		}
	}
	return list
}

// hostsOf are the agents of offers, sorted.
func hostsOf(list []offered) (hosts []string) {
	for _, o := range list {
		hosts = append(hosts, o.host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func frameworkID(c *cluster.Cluster, name string) string {
	for _, f := range c.Mesos.Frameworks() {
		if f.Name == name {
			return f.ID
		}
	}
	return ""
}

// calls lists our calls of some types after a moment.
func calls(c *cluster.Cluster, after time.Time, types ...string) (list []mesosmaster.CallRecord) {
	id := frameworkID(c, cluster.FrameworkName)
	for _, r := range c.Mesos.Calls() {
		ours := r.FrameworkID == id || r.Call.GetSubscribe().GetFrameworkInfo().GetName() == cluster.FrameworkName
		if ours && r.Time.After(after) && slices.Contains(types, r.Type) {
			list = append(list, r)
		}
	}
	return list
}

// counts says how many calls of each type we made after a moment.
func counts(c *cluster.Cluster, after time.Time) map[string]int {
	n := map[string]int{}
	for _, name := range []string{"ACCEPT", "DECLINE", "REVIVE", "SUPPRESS", "UPDATE_FRAMEWORK"} {
		n[name] = len(calls(c, after, name))
	}
	return n
}

// lastUpdate is when the master last told us of a task in a state.
func lastUpdate(c *cluster.Cluster, state string) (at time.Time) {
	for _, e := range c.Mesos.Events() {
		if e.Type == "UPDATE" && e.Event.Update.Status.GetState().String() == state {
			at = e.Time
		}
	}
	return at
}

// addPods makes n pods, several at a time, and returns their names.
func addPods(c *cluster.Cluster, prefix string, n int, cpu, memory string) (names []string) {
	c.T.Helper()
	var workers sync.WaitGroup
	next, errs := make(chan string), make(chan error, n)
	for range 8 {
		workers.Go(func() {
			for name := range next {
				_, err := c.Client.CoreV1().Pods(c.Namespace).Create(c.T.Context(), podOf(name, cpu, memory), metav1.CreateOptions{})
				errs <- err
			}
		})
	}
	for i := range n {
		name := fmt.Sprintf("%s-%04d", prefix, i)
		names = append(names, name)
		next <- name
	}
	close(next)
	workers.Wait()
	close(errs)
	for err := range errs {
		c.Must(err)
	}
	return names
}

func podOf(name, cpu, memory string) *v1.Pod {
	zero := int64(0)
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1.PodSpec{
			SchedulerName: cluster.SchedulerName, TerminationGracePeriodSeconds: &zero,
			Containers: []v1.Container{{Name: "main", Image: "none", Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
				v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}}}},
		},
	}
}

// selecting gives a pod a node selector.
func selecting(label, value string) func(*v1.Pod) {
	return func(pod *v1.Pod) { pod.Spec.NodeSelector = map[string]string{label: value} }
}

// requiring gives a pod required node affinity to the values of a label.
func requiring(label string, values ...string) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		pod.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{
			NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: []v1.NodeSelectorRequirement{
				{Key: label, Operator: v1.NodeSelectorOpIn, Values: values},
			}}},
		}}}
	}
}

// ourOffers counts the offers that we hold, as the master knows.
func ourOffers(c *cluster.Cluster) (n int) {
	id := frameworkID(c, cluster.FrameworkName)
	for _, o := range c.Mesos.OutstandingOffers() {
		if o.FrameworkID == id {
			n++
		}
	}
	return n
}

type recordOf = mesosmaster.CallRecord

// podNames are the names that addPods gives.
func podNames(prefix string, n int) []string { return podsNamed(prefix+"-%04d", n) }

func podsNamed(format string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf(format, i))
	}
	return names
}

func nodeLabels(c *cluster.Cluster, name string) map[string]string {
	c.T.Helper()
	node, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), name, metav1.GetOptions{})
	c.Must(err)
	return node.Labels
}
