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

package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kube-mesos/kube-mesos/test/stage"
)

// serviceLabel is the service of a pod.
const serviceLabel = "service"

// services keep as many pods as each service is to have, as a ReplicaSet does.
type services struct {
	w *World

	mu      sync.Mutex
	wanted  map[string]*Service
	made    int
	timer   *time.Timer
	stopped bool
}

func newServices(w *World) *services {
	s := &services{w: w, wanted: map[string]*Service{}}
	for i := range w.script.Services {
		service := w.script.Services[i]
		s.wanted[service.Name] = &service
		if service.Budget || service.Never {
			w.check(s.budget(&service))
		}
	}
	w.api.OnPod(func(was, is *v1.Pod) {
		if is == nil && was.Labels[serviceLabel] != "" || is != nil && is.DeletionTimestamp != nil {
			s.soon(time.Second)
		}
	})
	s.soon(0)
	return s
}

// budget protects a service's pods.
func (s *services) budget(service *Service) error {
	most := intstr.FromInt32(1)
	if service.Never {
		most = intstr.FromInt32(0)
	}
	_, err := s.w.api.Client().PolicyV1().PodDisruptionBudgets(stage.Namespace).Create(context.Background(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: stage.Namespace, Name: service.Name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &most, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{serviceLabel: service.Name}},
		},
	}, metav1.CreateOptions{})
	return err
}

// soon looks at all services after a while.
func (s *services) soon(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil && !s.stopped {
		s.timer = time.AfterFunc(d, s.reconcile)
	}
}

func (s *services) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// scale changes how many pods a service has.
func (s *services) scale(name string, replicas int) {
	s.mu.Lock()
	s.wanted[name].Replicas = replicas
	s.mu.Unlock()
	s.soon(0)
}

// protected tells whether a PodDisruptionBudget protects a service's pods.
func (s *services) protected(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted[name].Budget || s.wanted[name].Never
}

// reconcile makes and deletes pods until each service has its number.
func (s *services) reconcile() {
	s.mu.Lock()
	s.timer = nil
	s.mu.Unlock()
	pods := s.w.api.Pods()
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return
	}
	have := map[string][]*v1.Pod{}
	for _, pod := range pods {
		if name := pod.Labels[serviceLabel]; name != "" && pod.DeletionTimestamp == nil {
			have[name] = append(have[name], pod)
		}
	}
	var create, remove []*v1.Pod
	for _, name := range slices.Sorted(maps.Keys(s.wanted)) {
		service, pods := s.wanted[name], have[name]
		for range service.Replicas - len(pods) {
			s.made++
			pod := newPod(fmt.Sprintf("%s-%d", name, s.made), service.Size)
			pod.Labels = map[string]string{serviceLabel: name}
			pod.Spec.RestartPolicy = v1.RestartPolicyAlways
			create = append(create, pod)
		}
		for i := range len(pods) - service.Replicas {
			remove = append(remove, pods[len(pods)-1-i])
		}
	}
	s.mu.Unlock()
	client := s.w.api.Client().CoreV1().Pods(stage.Namespace)
	for _, pod := range create {
		if _, err := client.Create(context.Background(), pod, metav1.CreateOptions{}); err != nil {
			s.soon(5 * time.Second)
			return
		}
	}
	for _, pod := range remove {
		s.w.observer.willGo(pod)
		if err := client.Delete(context.Background(), pod.Name, metav1.DeleteOptions{}); err != nil {
			s.soon(5 * time.Second)
			return
		}
	}
}

// newPod is a pending pod for our scheduler.
func newPod(name string, size Size) *v1.Pod {
	grace := int64(10)
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: stage.Namespace, Name: name},
		Spec: v1.PodSpec{
			SchedulerName: stage.SchedulerName, RestartPolicy: v1.RestartPolicyNever, TerminationGracePeriodSeconds: &grace,
			Containers: []v1.Container{{Name: "main", Image: "none", Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
				v1.ResourceCPU:    *resource.NewMilliQuantity(size.MilliCPU, resource.DecimalSI),
				v1.ResourceMemory: *resource.NewQuantity(size.MemMi<<20, resource.BinarySI),
			}}}},
			Tolerations: []v1.Toleration{
				{Key: v1.TaintNodeNotReady, Operator: v1.TolerationOpExists}, {Key: v1.TaintNodeUnreachable, Operator: v1.TolerationOpExists},
			},
		},
		Status: v1.PodStatus{Phase: v1.PodPending},
	}
}

// createJob makes n pods that run for a time and succeed.
func (w *World) createJob(n int, size Size, runs time.Duration) error {
	w.jobs++
	for i := range n {
		pod := newPod("job-"+strconv.Itoa(w.jobs)+"-"+strconv.Itoa(i), size)
		pod.Annotations = map[string]string{stage.RunsAnnotation: runs.String()}
		if _, err := w.api.Client().CoreV1().Pods(stage.Namespace).Create(context.Background(), pod, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
