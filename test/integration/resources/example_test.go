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

package resources

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kube-mesos/kube-mesos/manifests"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// example is a cluster on which an example is played.
type example struct {
	*cluster.Cluster
	// folder is where the example's files are.
	folder string
	// priorities are the values of priority classes by name.
	priorities map[string]int32
	// replaced counts the pods that were made of templates.
	replaced int
}

// newExample makes a cluster with the agents and the arguments of an example.
func newExample(t *testing.T, folder string, config mesosmaster.Config) *example {
	t.Helper()
	hosts := make([]string, 0, len(config.Agents))
	for _, agent := range config.Agents {
		hosts = append(hosts, agent.Hostname)
	}
	e := &example{Cluster: cluster.StartKube(t).New(t, 0, config), folder: path.Join("examples", folder), priorities: map[string]int32{}}
	for _, host := range hosts {
		e.AddNode(host)
	}
	for line := range strings.Lines(string(e.file("arguments.yaml"))) {
		e.Args += "      " + line
	}
	return e
}

// file reads a file of the example.
func (e *example) file(name string) []byte {
	e.T.Helper()
	data, err := manifests.Examples.ReadFile(path.Join(e.folder, name))
	e.Must(err)
	return data
}

// in is the same cluster with helpers that look at another namespace.
func (e *example) in(namespace string) *cluster.Cluster {
	c := *e.Cluster
	c.Namespace = namespace
	return &c
}

// apply creates the objects of a file and returns the last of them.
func (e *example) apply(name string) (last runtime.Object) {
	e.T.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(e.file(name))))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return last
		}
		e.Must(err)
		object, _, err := decoder.Decode(document, nil, nil)
		e.Must(err)
		last, err = e.create(object)
		e.Must(err)
	}
}

func (e *example) create(object runtime.Object) (runtime.Object, error) {
	ctx, options := e.T.Context(), metav1.CreateOptions{}
	switch o := object.(type) {
	case *v1.Namespace:
		return e.Client.CoreV1().Namespaces().Create(ctx, o, options)
	case *appsv1.StatefulSet:
		return e.Client.AppsV1().StatefulSets(o.Namespace).Create(ctx, o, options)
	case *appsv1.Deployment:
		return e.Client.AppsV1().Deployments(o.Namespace).Create(ctx, o, options)
	case *batchv1.Job:
		return e.Client.BatchV1().Jobs(o.Namespace).Create(ctx, o, options)
	case *schedulingv1.PriorityClass:
		e.priorities[o.Name] = o.Value
		return e.Client.SchedulingV1().PriorityClasses().Create(ctx, o, options)
	case *v1.Pod:
		return e.Client.CoreV1().Pods(o.Namespace).Create(ctx, o, options)
	}
	return nil, fmt.Errorf("no example has a %T", object)
}

// addPod plays a controller of workloads and the admission of priority classes: it
// makes a pod of a template.
func (e *example) addPod(name string, owner metav1.Object, kind string, template *v1.PodTemplateSpec) *v1.Pod {
	e.T.Helper()
	pod := &v1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	pod.Name, pod.Namespace = name, owner.GetNamespace()
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind(kind))}
	if class := pod.Spec.PriorityClassName; class != "" {
		value, never := e.priorities[class], v1.PreemptNever
		pod.Spec.Priority, pod.Spec.PreemptionPolicy = &value, &never
	}
	created, err := e.create(pod)
	e.Must(err)
	e.replaced++
	return created.(*v1.Pod)
}

// addPods makes n pods of a template, with names of their own, and returns the
// names.
func (e *example) addPods(n int, owner metav1.Object, kind string, template *v1.PodTemplateSpec) (names []string) {
	e.T.Helper()
	for range n {
		names = append(names, e.addPod(fmt.Sprintf("%s-%d", owner.GetName(), e.replaced), owner, kind, template).Name)
	}
	return names
}

// waitSome waits until n of the pods are bound, and returns those and the others.
func (e *example) waitSome(c *cluster.Cluster, n int, names []string) (bound, waiting []string) {
	e.T.Helper()
	e.Eventually("pods bound", func() string {
		bound, waiting = nil, nil
		for _, name := range names {
			if pod := c.Pod(name); pod != nil && pod.Spec.NodeName != "" {
				bound = append(bound, name)
			} else {
				waiting = append(waiting, name)
			}
		}
		if len(bound) < n {
			return fmt.Sprintf("only %v are", bound)
		}
		return ""
	})
	if len(bound) > n {
		e.T.Fatalf("%v are bound, want %d of them", bound, n)
	}
	return bound, waiting
}

// tasksOn returns our live tasks on a host.
func (e *example) tasksOn(host string) []mesosmaster.TaskSnapshot {
	return slices.DeleteFunc(e.LiveTasks(), func(task mesosmaster.TaskSnapshot) bool { return task.Hostname != host })
}

// total is what an agent has, in Mesos' text form.
func (e *example) total(host string) string {
	for _, agent := range e.Mesos.Agents() {
		if agent.Hostname == host {
			return agent.Total
		}
	}
	return ""
}

// end checks that each bound pod has its one task, and that there is no other.
func (e *example) end() {
	e.T.Helper()
	e.Eventually("pods and tasks agree", func() string {
		list, err := e.Client.CoreV1().Pods(metav1.NamespaceAll).List(e.T.Context(), metav1.ListOptions{})
		e.Must(err)
		pods := map[string]string{}
		for _, pod := range list.Items {
			if pod.Spec.NodeName != "" {
				pods[pod.Annotations["kube-mesos.io/task-id"]] = pod.Spec.NodeName
			}
		}
		tasks := e.LiveTasks()
		for _, task := range tasks {
			if pods[task.TaskID] != task.Hostname {
				return fmt.Sprintf("task %s on %s has no pod there", task.TaskID, task.Hostname)
			}
		}
		if len(tasks) != len(pods) {
			return fmt.Sprintf("%d tasks for %d bound pods", len(tasks), len(pods))
		}
		return ""
	})
	e.Must(e.Mesos.CheckInvariants())
	if crash := e.Mesos.Crashed(); crash != "" {
		e.T.Errorf("the master died of us: %s", crash)
	}
}
