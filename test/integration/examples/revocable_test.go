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

package examples

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// revocable is the example of docs/revocable.md.
type revocable struct {
	*stage
	pods *cluster.Cluster
	web  []string
	job  *batchv1.Job
	// names are the pods of the job that there are.
	names []string
}

// overload is a load above the threshold of the agents' QoS controllers.
const (
	threshold = 8.0
	overload  = threshold + 1
)

func TestRevocable(t *testing.T) {
	config := cluster.Quick()
	for i := range 2 {
		config.Agents = append(config.Agents, mesosmaster.AgentConfig{
			Hostname: cluster.Host(i), Resources: cluster.AgentResources + ";cpus{REV}:3",
			LoadThreshold: threshold, QoSInterval: time.Second, OversubscribedInterval: time.Second,
		})
	}
	s := set(t, "revocable", config)
	e := &revocable{stage: s, pods: s.in("default")}
	e.StartScheduler()
	e.apply("priorityclass.yaml")
	e.startRegular()
	e.startRiding()
	host := e.overloaded()
	e.replace(host)
	e.estimate(host)
	for _, name := range e.web {
		if pod := e.pods.Pod(name); pod == nil || pod.DeletionTimestamp != nil || len(e.pods.EventNotes(name, "MesosTaskLost")) > 0 {
			t.Errorf("pod %s on regular resources was disturbed", name)
		}
	}
	e.end()
}

// wantRiding checks which resources hold a pod.
func (e *revocable) wantRiding(pod string, want bool) {
	e.T.Helper()
	if task := e.pods.Task(pod); task.Revocable != want {
		e.T.Errorf("pod %s on revocable resources: %v, want %v", pod, task.Revocable, want)
	}
}

func (e *revocable) startRegular() {
	web := e.apply("deployment.yaml").(*appsv1.Deployment)
	e.web = e.addPods(int(*web.Spec.Replicas), web, "ReplicaSet", &web.Spec.Template)
	e.pods.WaitBound(e.web...)
	for _, name := range e.web {
		e.wantRiding(name, false)
	}
}

// startRiding starts what finds no regular cpus: each node has one of them left.
func (e *revocable) startRiding() {
	e.apply("pod.yaml")
	e.pods.WaitBound("index")
	e.wantRiding("index", true)
	e.job = e.apply("job.yaml").(*batchv1.Job)
	e.names = e.addPods(int(*e.job.Spec.Parallelism), e.job, "Job", &e.job.Spec.Template)
	bound, waiting := e.waitSome(e.pods, 4, e.names)
	for _, name := range bound {
		e.wantRiding(name, true)
	}
	e.pods.WaitUnscheduled(waiting[0], "Mesos offer short of revocable cpu")
}

// overloaded makes the QoS controller of one agent take its revocable resources back:
// the agent on which pods of the job have all of them.
func (e *revocable) overloaded() (host string) {
	for i := range 2 {
		if cluster.Host(i) != e.pods.Pod("index").Spec.NodeName {
			host = cluster.Host(i)
		}
	}
	var ended []string
	for _, task := range e.tasksOn(host) {
		if task.Revocable {
			ended = append(ended, task.Labels["kube-mesos.io/pod-name"])
		}
	}
	if len(ended) != 3 {
		e.T.Fatalf("pods on revocable resources of %s: %v, want 3", host, ended)
	}
	e.Must(e.Mesos.SetLoad(host, overload))
	e.Eventually("pods deleted", func() string {
		for _, name := range ended {
			if pod := e.pods.Pod(name); pod.DeletionTimestamp == nil {
				return name + " is not"
			}
		}
		return ""
	})
	e.Must(e.Mesos.SetLoad(host, 0))
	for _, name := range ended {
		e.ignored(e.pods.Pod(name))
		e.pods.WaitEvent(name, "MesosResourcesRevoked", "Container preempted by QoS correction")
		e.pods.DeletePod(name) // the kubelet has ended it
	}
	e.names = slices.DeleteFunc(e.names, func(name string) bool { return slices.Contains(ended, name) })
	for _, name := range append([]string{"index"}, e.names...) {
		if pod := e.pods.Pod(name); pod.DeletionTimestamp != nil {
			e.T.Errorf("pod %s was ended, too", name)
		}
	}
	return host
}

// ignored checks that the Job's policy does not count the pod as failed.
func (e *revocable) ignored(pod *v1.Pod) {
	e.T.Helper()
	for _, condition := range pod.Status.Conditions {
		for _, rule := range e.job.Spec.PodFailurePolicy.Rules {
			for _, on := range rule.OnPodConditions {
				if on.Type == condition.Type && on.Status == condition.Status && rule.Action == batchv1.PodFailurePolicyActionIgnore {
					if condition.Reason != "Revoked" {
						e.T.Errorf("pod %s: condition %+v", pod.Name, condition)
					}
					return
				}
			}
		}
	}
	e.T.Errorf("no rule of the job is for pod %s: %+v", pod.Name, pod.Status.Conditions)
}

// replace plays the Job controller: pods that were taken away are made anew.
func (e *revocable) replace(host string) {
	e.names = append(e.names, e.addPods(3, e.job, "Job", &e.job.Spec.Template)...)
	bound, waiting := e.waitSome(e.pods, 4, e.names)
	again := 0
	for _, name := range bound {
		if e.pods.Pod(name).Spec.NodeName == host {
			again++
		}
	}
	if again != 3 || len(waiting) != 1 {
		e.T.Errorf("%d pods on %s, waiting are %v", again, host, waiting)
	}
}

// estimate lets the resource estimator of an agent find more, and then less than is
// used: a pod that waits gets it, and none is ended.
func (e *revocable) estimate(host string) {
	e.Must(e.Mesos.SetEstimate(host, "cpus:5"))
	e.pods.WaitBound(e.names...)
	e.Must(e.Mesos.SetEstimate(host, "cpus:1"))
	e.Eventually("the agent has told of it", func() string {
		if total := e.total(host); !strings.Contains(total, "cpus{REV}:4") {
			return total
		}
		return ""
	})
	tasks := 0
	for _, task := range e.tasksOn(host) {
		if task.Revocable {
			tasks++
		}
	}
	if tasks != 4 {
		e.T.Errorf("%d tasks on revocable resources of %s, want 4", tasks, host)
	}
	for _, name := range e.names {
		if pod := e.pods.Pod(name); pod == nil || pod.DeletionTimestamp != nil {
			e.T.Errorf("pod %s was ended because an estimate fell", name)
		}
	}
}
