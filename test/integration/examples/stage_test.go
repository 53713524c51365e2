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

// stage is a cluster on which an example is played.
type stage struct {
	*cluster.Cluster
	// folder is where the example's files are.
	folder string
	// priorities are the values of priority classes by name.
	priorities map[string]int32
	// replaced counts the pods that were made of templates.
	replaced int
}

// set makes a stage with the agents and the arguments of an example.
func set(t *testing.T, folder string, config mesosmaster.Config) *stage {
	t.Helper()
	hosts := make([]string, 0, len(config.Agents))
	for _, agent := range config.Agents {
		hosts = append(hosts, agent.Hostname)
	}
	s := &stage{Cluster: cluster.StartKube(t).New(t, 0, config), folder: path.Join("examples", folder), priorities: map[string]int32{}}
	for _, host := range hosts {
		s.AddNode(host)
	}
	for line := range strings.Lines(string(s.file("arguments.yaml"))) {
		s.Args += "      " + line
	}
	return s
}

// file reads a file of the example.
func (s *stage) file(name string) []byte {
	s.T.Helper()
	data, err := manifests.Examples.ReadFile(path.Join(s.folder, name))
	s.Must(err)
	return data
}

// in is the same stage with helpers that look at another namespace.
func (s *stage) in(namespace string) *cluster.Cluster {
	c := *s.Cluster
	c.Namespace = namespace
	return &c
}

// apply creates the objects of a file and returns the last of them.
func (s *stage) apply(name string) (last runtime.Object) {
	s.T.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(s.file(name))))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return last
		}
		s.Must(err)
		object, _, err := decoder.Decode(document, nil, nil)
		s.Must(err)
		last, err = s.create(object)
		s.Must(err)
	}
}

func (s *stage) create(object runtime.Object) (runtime.Object, error) {
	ctx, options := s.T.Context(), metav1.CreateOptions{}
	switch o := object.(type) {
	case *v1.Namespace:
		return s.Client.CoreV1().Namespaces().Create(ctx, o, options)
	case *appsv1.StatefulSet:
		return s.Client.AppsV1().StatefulSets(o.Namespace).Create(ctx, o, options)
	case *appsv1.Deployment:
		return s.Client.AppsV1().Deployments(o.Namespace).Create(ctx, o, options)
	case *batchv1.Job:
		return s.Client.BatchV1().Jobs(o.Namespace).Create(ctx, o, options)
	case *schedulingv1.PriorityClass:
		s.priorities[o.Name] = o.Value
		return s.Client.SchedulingV1().PriorityClasses().Create(ctx, o, options)
	case *v1.Pod:
		return s.Client.CoreV1().Pods(o.Namespace).Create(ctx, o, options)
	}
	return nil, fmt.Errorf("no example has a %T", object)
}

// addPod plays a controller of workloads and the admission of priority classes: it
// makes a pod of a template.
func (s *stage) addPod(name string, owner metav1.Object, kind string, template *v1.PodTemplateSpec) *v1.Pod {
	s.T.Helper()
	pod := &v1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	pod.Name, pod.Namespace = name, owner.GetNamespace()
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind(kind))}
	if class := pod.Spec.PriorityClassName; class != "" {
		value, never := s.priorities[class], v1.PreemptNever
		pod.Spec.Priority, pod.Spec.PreemptionPolicy = &value, &never
	}
	created, err := s.create(pod)
	s.Must(err)
	s.replaced++
	return created.(*v1.Pod)
}

// addPods makes n pods of a template, with names of their own, and returns the
// names.
func (s *stage) addPods(n int, owner metav1.Object, kind string, template *v1.PodTemplateSpec) (names []string) {
	s.T.Helper()
	for range n {
		names = append(names, s.addPod(fmt.Sprintf("%s-%d", owner.GetName(), s.replaced), owner, kind, template).Name)
	}
	return names
}

// waitSome waits until n of the pods are bound, and returns those and the others.
func (s *stage) waitSome(c *cluster.Cluster, n int, names []string) (bound, waiting []string) {
	s.T.Helper()
	s.Eventually("pods bound", func() string {
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
		s.T.Fatalf("%v are bound, want %d of them", bound, n)
	}
	return bound, waiting
}

// tasksOn returns our live tasks on a host.
func (s *stage) tasksOn(host string) []mesosmaster.TaskSnapshot {
	return slices.DeleteFunc(s.LiveTasks(), func(task mesosmaster.TaskSnapshot) bool { return task.Hostname != host })
}

// total is what an agent has, in Mesos' text form.
func (s *stage) total(host string) string {
	for _, agent := range s.Mesos.Agents() {
		if agent.Hostname == host {
			return agent.Total
		}
	}
	return ""
}

// end checks that each bound pod has its one task, and that there is no other.
func (s *stage) end() {
	s.T.Helper()
	s.Eventually("pods and tasks agree", func() string {
		list, err := s.Client.CoreV1().Pods(metav1.NamespaceAll).List(s.T.Context(), metav1.ListOptions{})
		s.Must(err)
		pods := map[string]string{}
		for _, pod := range list.Items {
			if pod.Spec.NodeName != "" {
				pods[pod.Annotations["kube-mesos.io/task-id"]] = pod.Spec.NodeName
			}
		}
		tasks := s.LiveTasks()
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
	s.Must(s.Mesos.CheckInvariants())
	if crash := s.Mesos.Crashed(); crash != "" {
		s.T.Errorf("the master died of us: %s", crash)
	}
}
