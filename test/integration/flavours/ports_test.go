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
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// ports gives the pod's container host ports.
func ports(protocol v1.Protocol, numbers ...int32) func(*v1.Pod) {
	return func(pod *v1.Pod) {
		container := &pod.Spec.Containers[0]
		for _, n := range numbers {
			container.Ports = append(container.Ports, v1.ContainerPort{ContainerPort: n, HostPort: n, Protocol: protocol})
		}
	}
}

func TestPorts(t *testing.T) {
	kube := cluster.StartKube(t)
	const narrow = "cpus:4;mem:8192;ports:[31000-31004]"
	t.Run("one per agent", func(t *testing.T) { onePerAgent(stage(t, kube, narrow, narrow)) })
	t.Run("ranges are split and merged", func(t *testing.T) { ranges(stage(t, kube, narrow)) })
	t.Run("not offered", func(t *testing.T) {
		c := stage(t, kube, narrow)
		c.StartScheduler()
		c.AddPod("one", "1", "512Mi", ports(v1.ProtocolTCP, 80))
		waits(c, "one", "host port")
		finish(c)
	})
	t.Run("left to Kubernetes", func(t *testing.T) {
		c := stage(t, kube, narrow)
		c.Args = `
      resources: {hostPorts: Ignore}`
		c.StartScheduler()
		c.AddPod("one", "1", "512Mi", ports(v1.ProtocolTCP, 80))
		wantParts(c, "one", "cpus:1", "mem:512")
		finish(c)
	})
}

func onePerAgent(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("one", "500m", "512Mi", ports(v1.ProtocolTCP, 31001))
	c.AddPod("two", "500m", "512Mi", ports(v1.ProtocolTCP, 31001))
	wantParts(c, "one", "cpus:0.5", "mem:512", "ports:[31001-31001]")
	wantParts(c, "two", "cpus:0.5", "mem:512", "ports:[31001-31001]")
	if c.Pod("one").Spec.NodeName == c.Pod("two").Spec.NodeName {
		c.T.Error("both pods are on one node")
	}
	// Mesos knows no protocols: neither does a port of ours.
	c.AddPod("three", "500m", "512Mi", ports(v1.ProtocolUDP, 31001))
	waits(c, "three", "host port")
	c.FinishPod("one")
	c.WaitBound("three")
	if got, want := c.Pod("three").Spec.NodeName, c.Pod("one").Spec.NodeName; got != want {
		c.T.Errorf("the port was free on %s, the pod is on %s", want, got)
	}
	c.WaitSettled()
	finish(c)
}

func ranges(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("middle", "500m", "512Mi", ports(v1.ProtocolTCP, 31002))
	wantParts(c, "middle", "cpus:0.5", "mem:512", "ports:[31002-31002]")
	c.AddPod("around", "500m", "512Mi", ports(v1.ProtocolTCP, 31001, 31003, 31004))
	wantParts(c, "around", "cpus:0.5", "mem:512", "ports:[31001-31001, 31003-31004]")
	c.AddPod("all", "500m", "512Mi", ports(v1.ProtocolTCP, 31000, 31001, 31002, 31003, 31004))
	waits(c, "all", "host port")
	c.DeletePod("middle")
	c.DeletePod("around")
	wantParts(c, "all", "cpus:0.5", "mem:512", "ports:[31000-31004]")
	c.DeletePod("all")
	// One port in two protocols is one port.
	c.AddPod("dns", "500m", "512Mi", ports(v1.ProtocolUDP, 31000), ports(v1.ProtocolTCP, 31000))
	wantParts(c, "dns", "cpus:0.5", "mem:512", "ports:[31000-31000]")
	// In the host's network every port counts.
	c.AddPod("host", "500m", "512Mi", func(pod *v1.Pod) {
		pod.Spec.HostNetwork = true
		pod.Spec.Containers[0].Ports = []v1.ContainerPort{{ContainerPort: 31001}}
	})
	wantParts(c, "host", "cpus:0.5", "mem:512", "ports:[31001-31001]")
	c.WaitSettled()
	finish(c)
}
