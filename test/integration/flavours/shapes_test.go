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
	"strconv"
	"testing"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/utils/ptr"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

const (
	gpuName  = "nvidia.com/gpu"
	fpgaName = "example.com/fpga"
)

func TestShapes(t *testing.T) {
	kube := cluster.StartKube(t)
	const gpuAgent, fpgaAgent = "cpus:4;mem:8192;gpus:2", "cpus:4;mem:8192;fpgas:2"
	t.Run("GPUs for pods that need them", func(t *testing.T) { gpusKept(withDevices(stage(t, kube, gpuAgent, "cpus:1;mem:8192"), gpuName, 0)) })
	t.Run("GPUs for all pods", func(t *testing.T) { gpusShared(withDevices(stage(t, kube, gpuAgent), gpuName, 0)) })
	t.Run("GPUs not used", func(t *testing.T) { gpusUnused(withDevices(stage(t, kube, gpuAgent, plainAgent), gpuName, 0)) })
	t.Run("extended resources", func(t *testing.T) { extended(withDevices(stage(t, kube, plainAgent, fpgaAgent), fpgaName, 0, 1)) })
	t.Run("what pods of all shapes claim", func(t *testing.T) { shapes(stage(t, kube, "cpus:64;mem:65536;disk:100000")) })
	t.Run("defaults", func(t *testing.T) { defaults(stage(t, kube, plainAgent)) })
}

// withDevices gives nodes devices, as a device plugin and the kubelet do.
func withDevices(c *cluster.Cluster, name v1.ResourceName, nodes ...int) *cluster.Cluster {
	c.T.Helper()
	for _, i := range nodes {
		node, err := c.Client.CoreV1().Nodes().Get(c.T.Context(), cluster.Host(i), metav1.GetOptions{})
		c.Must(err)
		node.Status.Capacity[name] = resource.MustParse("2")
		node.Status.Allocatable[name] = resource.MustParse("2")
		_, err = c.Client.CoreV1().Nodes().UpdateStatus(c.T.Context(), node, metav1.UpdateOptions{})
		c.Must(err)
	}
	return c
}

func gpusKept(c *cluster.Cluster) {
	c.Args = `
      resources: {gpus: {agents: ForGPUPods}}`
	c.StartScheduler()
	c.AddPod("gpu", "1", "512Mi", requesting(gpuName, "2"))
	wantParts(c, "gpu", "cpus:1", "gpus:2", "mem:512")
	c.AddPod("more", "1", "512Mi", requesting(gpuName, "1"))
	c.WaitUnscheduled("more", "0/2")
	c.DeletePod("gpu")
	wantParts(c, "more", "cpus:1", "gpus:1", "mem:512")
	c.AddPod("plain", "1", "512Mi")
	wantParts(c, "plain", "cpus:1", "mem:512")
	if got, want := c.Pod("plain").Spec.NodeName, cluster.Host(1); got != want {
		c.T.Errorf("a pod without GPUs is on %s, want %s", got, want)
	}
	c.AddPod("kept", "1", "512Mi")
	waits(c, "kept", "kept for pods that need GPUs")
	c.WaitSettled()
	finish(c)
}

func gpusShared(c *cluster.Cluster) {
	c.Args = `
      resources: {gpus: {agents: ForAllPods}}`
	c.StartScheduler()
	c.AddPod("plain", "1", "512Mi")
	wantParts(c, "plain", "cpus:1", "mem:512")
	c.AddPod("gpu", "1", "512Mi", requesting(gpuName, "1"))
	wantParts(c, "gpu", "cpus:1", "gpus:1", "mem:512")
	c.WaitSettled()
	finish(c)
}

func gpusUnused(c *cluster.Cluster) {
	c.StartScheduler()
	c.AddPod("gpu", "1", "512Mi", requesting(gpuName, "1"))
	waits(c, "gpu", gpuName, "resources.gpus")
	c.AddPod("plain", "1", "512Mi")
	wantParts(c, "plain", "cpus:1", "mem:512")
	if got, want := c.Pod("plain").Spec.NodeName, cluster.Host(1); got != want {
		c.T.Errorf("a pod is on %s, want %s: we asked for no offers of agents with GPUs", got, want)
	}
	finish(c)
}

func extended(c *cluster.Cluster) {
	c.Args = `
      resources: {extended: [{kubernetes: example.com/fpga, mesos: fpgas}]}`
	c.StartScheduler()
	c.AddPod("one", "1", "512Mi", requesting(fpgaName, "1"))
	wantParts(c, "one", "cpus:1", "fpgas:1", "mem:512")
	c.AddPod("two", "1", "512Mi", requesting(fpgaName, "2"))
	waits(c, "two", fpgaName)
	c.AddPod("unmapped", "1", "512Mi", requesting("example.com/tpu", "1"))
	waits(c, "unmapped", "example.com/tpu", "resources.extended")
	c.DeletePod("one")
	wantParts(c, "two", "cpus:1", "fpgas:2", "mem:512")
	c.WaitSettled()
	finish(c)
}

// container is a container of a shape: what it requests.
func container(name, cpu, memory string) v1.Container {
	return v1.Container{Name: name, Image: "none", Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
		v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}}}
}

func sidecar(name, cpu, memory string) v1.Container {
	s := container(name, cpu, memory)
	s.RestartPolicy = ptr.To(v1.ContainerRestartPolicyAlways)
	return s
}

// wantHelper compares the pod's task with what kube-scheduler's own helper counts
// of the pod as the API server has it.
func wantHelper(c *cluster.Cluster, pod string) {
	c.T.Helper()
	c.WaitBound(pod)
	requests := resourcehelper.PodRequests(c.Pod(pod), resourcehelper.PodResourcesOptions{})
	mib := func(q *resource.Quantity) string { return strconv.FormatFloat(float64(q.Value())/(1<<20), 'f', -1, 64) }
	want := []string{
		"cpus:" + strconv.FormatFloat(float64(requests.Cpu().MilliValue())/1000, 'f', -1, 64), "mem:" + mib(requests.Memory()),
	}
	if disk := requests.StorageEphemeral(); !disk.IsZero() {
		want = append(want, "disk:"+mib(disk))
	}
	wantParts(c, pod, want...)
}

func shapes(c *cluster.Cluster) {
	class, err := c.Client.NodeV1().RuntimeClasses().Create(c.T.Context(), &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{Name: c.Namespace}, Handler: "kata",
		Overhead: &nodev1.Overhead{PodFixed: v1.ResourceList{v1.ResourceCPU: resource.MustParse("250m"), v1.ResourceMemory: resource.MustParse("120Mi")}},
	}, metav1.CreateOptions{})
	c.Must(err)
	c.StartScheduler()
	for name, shape := range map[string]struct {
		change    func(*v1.Pod)
		cpus, mem string
	}{
		"disk":       {requesting(v1.ResourceEphemeralStorage, "3Gi"), "1", "512"},
		"two":        {func(p *v1.Pod) { p.Spec.Containers = append(p.Spec.Containers, container("more", "250m", "64Mi")) }, "1.25", "576"},
		"large-init": {func(p *v1.Pod) { p.Spec.InitContainers = []v1.Container{container("init", "3", "128Mi")} }, "3", "512"},
		"sidecar":    {func(p *v1.Pod) { p.Spec.InitContainers = []v1.Container{sidecar("side", "500m", "128Mi")} }, "1.5", "640"},
		"sidecar-init": {func(p *v1.Pod) {
			p.Spec.InitContainers = []v1.Container{sidecar("side", "500m", "128Mi"), container("init", "2", "1Gi")}
		}, "2.5", "1152"},
		"overhead": {func(p *v1.Pod) { p.Spec.RuntimeClassName = &class.Name }, "1.25", "632"},
		"pod-level": {func(p *v1.Pod) {
			p.Spec.Resources = &v1.ResourceRequirements{Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse("2"), v1.ResourceMemory: resource.MustParse("1Gi")}}
		}, "2", "1024"},
		"fractions": {requesting(v1.ResourceCPU, "1001m"), "1.001", "512"},
	} {
		c.AddPod(name, "1", "512Mi", shape.change)
		wantHelper(c, name)
		if task := c.Task(name); fmt.Sprint(task.CPUs) != shape.cpus || fmt.Sprint(task.MemMB) != shape.mem {
			c.T.Errorf("pod %s has cpus %v and mem %v, want %s and %s", name, task.CPUs, task.MemMB, shape.cpus, shape.mem)
		}
	}
	c.Must(c.Mesos.CheckInvariants())
	finish(c)
	c.Must(c.Client.NodeV1().RuntimeClasses().Delete(c.T.Context(), class.Name, metav1.DeleteOptions{}))
}

func noRequests(pod *v1.Pod) { pod.Spec.Containers[0].Resources = v1.ResourceRequirements{} }

func defaults(c *cluster.Cluster) {
	c.Args = `
      defaultRequests: {cpu: 300m, memory: 100Mi}`
	c.StartScheduler()
	c.AddPod("nothing", "1", "1Gi", noRequests)
	wantParts(c, "nothing", "cpus:0.3", "mem:100")
	c.AddPod("cpu", "1", "1Gi", noRequests, func(p *v1.Pod) {
		p.Spec.Containers[0].Resources.Requests = v1.ResourceList{v1.ResourceCPU: resource.MustParse("700m")}
	})
	wantParts(c, "cpu", "cpus:0.7", "mem:100")
	// What the API server writes into the pod goes before.
	_, err := c.Client.CoreV1().LimitRanges(c.Namespace).Create(c.T.Context(), &v1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "defaults"},
		Spec: v1.LimitRangeSpec{Limits: []v1.LimitRangeItem{{Type: v1.LimitTypeContainer, DefaultRequest: v1.ResourceList{
			v1.ResourceCPU: resource.MustParse("450m"), v1.ResourceMemory: resource.MustParse("333Mi")}}}},
	}, metav1.CreateOptions{})
	c.Must(err)
	// The API server's admission hears of it from its own watch.
	dry := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "dry"}, Spec: v1.PodSpec{Containers: []v1.Container{{Name: "main", Image: "none"}}}}
	c.Eventually("the LimitRange counts", func() string {
		made, err := c.Client.CoreV1().Pods(c.Namespace).Create(c.T.Context(), dry, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil || len(made.Spec.Containers[0].Resources.Requests) == 0 {
			return fmt.Sprint("no requests: ", err)
		}
		return ""
	})
	c.AddPod("limited", "1", "1Gi", noRequests)
	wantParts(c, "limited", "cpus:0.45", "mem:333")
	c.Must(c.Mesos.CheckInvariants())
	finish(c)
}
