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

package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// Host names the i-th node and its agent.
func Host(i int) string { return fmt.Sprintf("node-%03d", i) }

// AddNodes makes ready nodes with plenty of everything, many at a time.
func (c *Cluster) AddNodes(names []string, change ...func(*v1.Node)) {
	c.T.Helper()
	next, errs := make(chan string), make(chan error, len(names))
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for name := range next {
				node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: readyStatus()}
				for _, f := range change {
					f(node)
				}
				_, err := c.Client.CoreV1().Nodes().Create(c.T.Context(), node, metav1.CreateOptions{})
				errs <- err
			}
		})
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	workers.Wait()
	close(errs)
	for err := range errs {
		c.Must(err)
	}
	c.nodes = append(c.nodes, names...)
}

func readyStatus() v1.NodeStatus {
	capacity := v1.ResourceList{
		v1.ResourceCPU: resource.MustParse("64"), v1.ResourceMemory: resource.MustParse("256Gi"),
		v1.ResourceEphemeralStorage: resource.MustParse("1Ti"), v1.ResourcePods: resource.MustParse("1000"),
	}
	return v1.NodeStatus{Capacity: capacity, Allocatable: capacity, Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}}
}

// AddNode makes a ready node with plenty of everything.
func (c *Cluster) AddNode(name string, change ...func(*v1.Node)) {
	c.T.Helper()
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, f := range change {
		f(node)
	}
	created, err := c.Client.CoreV1().Nodes().Create(c.T.Context(), node, metav1.CreateOptions{})
	if err != nil {
		c.T.Fatal(err)
	}
	c.nodes = append(c.nodes, name)
	created.Status = readyStatus()
	if _, err := c.Client.CoreV1().Nodes().UpdateStatus(c.T.Context(), created, metav1.UpdateOptions{}); err != nil {
		c.T.Fatal(err)
	}
}

// AddPod makes a pod for our scheduler that asks for cpu and memory.
func (c *Cluster) AddPod(name, cpu, memory string, change ...func(*v1.Pod)) *v1.Pod {
	c.T.Helper()
	zero := int64(0)
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: c.Namespace},
		Spec: v1.PodSpec{
			SchedulerName: SchedulerName, TerminationGracePeriodSeconds: &zero,
			Containers: []v1.Container{{Name: "main", Image: "none", Resources: v1.ResourceRequirements{
				Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}}}},
		},
	}
	for _, f := range change {
		f(pod)
	}
	created, err := c.Client.CoreV1().Pods(c.Namespace).Create(c.T.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		c.T.Fatal(err)
	}
	return created
}

// Pod reads a pod from the API server; nil if there is none.
func (c *Cluster) Pod(name string) *v1.Pod {
	c.T.Helper()
	list, err := c.Client.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		c.T.Fatal(err)
	}
	if len(list.Items) == 0 {
		return nil
	}
	return &list.Items[0]
}

// Pods reads all pods of the test.
func (c *Cluster) Pods() []v1.Pod {
	c.T.Helper()
	list, err := c.Client.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	if err != nil {
		c.T.Fatal(err)
	}
	return list.Items
}

// DeletePod deletes a pod at once.
func (c *Cluster) DeletePod(name string) {
	c.T.Helper()
	zero := int64(0)
	if err := c.Client.CoreV1().Pods(c.Namespace).Delete(c.T.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		c.T.Fatal(err)
	}
}

// FinishPod plays the kubelet of a pod that ran to its end.
func (c *Cluster) FinishPod(name string) {
	c.T.Helper()
	pod := c.Pod(name)
	pod.Status.Phase = v1.PodSucceeded
	if _, err := c.Client.CoreV1().Pods(c.Namespace).UpdateStatus(c.T.Context(), pod, metav1.UpdateOptions{}); err != nil {
		c.T.Fatal(err)
	}
}

// Eventually waits until check returns "" and fails the test with what it last
// returned if it never does.
func (c *Cluster) Eventually(what string, check func() string) {
	c.T.Helper()
	deadline := time.Now().Add(patience)
	for {
		begun := time.Now()
		problem := check()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			c.T.Fatalf("%s: still not so after %v: %s", what, patience, problem)
		}
		// Polling is how an outside observer sees two systems agree; nothing is
		// synchronised by this pause. It leaves most of the time to what is observed.
		<-time.After(max(20*time.Millisecond, 4*time.Since(begun)))
	}
}

// WaitBound waits until the pods are bound.
func (c *Cluster) WaitBound(names ...string) {
	c.T.Helper()
	c.Eventually("pods bound", func() string {
		var missing []string
		bound := map[string]bool{}
		for _, pod := range c.Pods() {
			bound[pod.Name] = pod.Spec.NodeName != ""
		}
		for _, name := range names {
			if !bound[name] {
				missing = append(missing, name)
			}
		}
		return strings.Join(missing, ", ")
	})
}

// LiveTasks returns our tasks that hold resources at the Mesos master.
func (c *Cluster) LiveTasks() []mesosmaster.TaskSnapshot {
	var live []mesosmaster.TaskSnapshot
	for _, task := range c.Mesos.Tasks() {
		if task.Framework != FrameworkName {
			continue
		}
		switch task.State {
		case "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING":
			live = append(live, task)
		}
	}
	return live
}

// WaitSettled waits until pods and tasks agree: every bound pod that has not ended
// has exactly the tasks its annotations name, running on its node with at least its
// requests, and there is no other task.
func (c *Cluster) WaitSettled() {
	c.T.Helper()
	c.Eventually("pods and tasks agree", c.Disagreement)
	if err := c.Mesos.CheckInvariants(); err != nil {
		c.T.Fatal(err)
	}
}

// Disagreement says how pods and tasks differ, "" if they agree.
func (c *Cluster) Disagreement() string {
	tasks := map[string]mesosmaster.TaskSnapshot{}
	for _, task := range c.LiveTasks() {
		tasks[task.TaskID] = task
	}
	var problems []string
	for _, pod := range c.allPods() {
		if pod.Spec.NodeName == "" || pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
			continue
		}
		problems = append(problems, disagreement(&pod, tasks)...)
	}
	for id := range tasks {
		problems = append(problems, "task without a pod: "+id)
	}
	return strings.Join(problems, "; ")
}

// disagreement says how a bound pod and its tasks differ, and takes those out of the
// others.
func disagreement(pod *v1.Pod, tasks map[string]mesosmaster.TaskSnapshot) (problems []string) {
	extras := map[string]string{}
	if text := pod.Annotations["kube-mesos.io/extra-tasks"]; text != "" {
		if err := json.Unmarshal([]byte(text), &extras); err != nil {
			return []string{fmt.Sprintf("pod %s has extra tasks %q: %v", pod.Name, text, err)}
		}
	}
	var cpus, mem float64
	for _, id := range append(slices.Collect(maps.Keys(extras)), pod.Annotations["kube-mesos.io/task-id"]) {
		task, ok := tasks[id]
		delete(tasks, id)
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("pod %s is bound without a task (%q)", pod.Name, id))
		case task.Hostname != pod.Spec.NodeName:
			problems = append(problems, fmt.Sprintf("pod %s is on %s, its task on %s", pod.Name, pod.Spec.NodeName, task.Hostname))
		}
		cpus, mem = cpus+task.CPUs, mem+task.MemMB
	}
	requests := pod.Spec.Containers[0].Resources.Requests
	if len(problems) == 0 && (cpus*1000 < float64(requests.Cpu().MilliValue())-0.5 || mem*(1<<20) < float64(requests.Memory().Value())-1) {
		problems = append(problems, fmt.Sprintf("pod %s has too small a task: cpus %v, mem %v", pod.Name, cpus, mem))
	}
	return problems
}

// WaitIdle waits until we are suppressed and hold no offer.
func (c *Cluster) WaitIdle() {
	c.T.Helper()
	c.Eventually("idle at Mesos", func() string {
		for _, f := range c.Mesos.Frameworks() {
			switch {
			case f.Name != FrameworkName:
			case f.Offers > 0:
				return fmt.Sprintf("%d offers held", f.Offers)
			case f.Connected && len(f.SuppressedRoles) < len(f.Roles):
				return fmt.Sprintf("of roles %q only %q are suppressed", f.Roles, f.SuppressedRoles)
			}
		}
		return ""
	})
}

// AddBystander makes a pod that stays pending, for a volume that nobody makes, so
// that open batches wait for it to join.
func (c *Cluster) AddBystander() {
	c.T.Helper()
	c.AddPod("bystander", "1m", "1Mi", func(p *v1.Pod) {
		p.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{
			PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "none"}}}}
	})
	c.WaitUnscheduled("bystander", "persistentvolumeclaim")
}
