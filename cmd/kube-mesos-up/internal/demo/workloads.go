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

package demo

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/cluster"
	"github.com/kube-mesos/kube-mesos/manifests"
)

// examples returns all example manifests, in the order of their files' names.
func examples() ([]*unstructured.Unstructured, error) {
	paths, err := fs.Glob(manifests.Examples, "examples/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("examples: %w", err)
	}
	slices.Sort(paths)
	var objects []*unstructured.Unstructured
	for _, path := range paths {
		data, err := manifests.Examples.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("examples: %w", err)
		}
		decoded, err := cluster.Decode(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		objects = append(objects, decoded...)
	}
	return objects, nil
}

// workload is how far one example is.
type workload struct {
	// name is "Kind/name".
	name string
	// wanted is how many pods it needs in its final state, have how many are.
	wanted, have int32
	// state names what is counted: "ready" or "succeeded".
	state string
}

// done tells whether the workload reached its final state.
func (w workload) done() bool { return w.have == w.wanted }

func deploymentWorkload(d *appsv1.Deployment) workload {
	w := workload{name: "Deployment/" + d.Name, wanted: 1, state: "ready"}
	if d.Spec.Replicas != nil {
		w.wanted = *d.Spec.Replicas
	}
	// Counts of an older version of the object say nothing.
	if d.Status.ObservedGeneration >= d.Generation {
		w.have = min(d.Status.ReadyReplicas, d.Status.UpdatedReplicas)
	}
	return w
}

func statefulSetWorkload(s *appsv1.StatefulSet) workload {
	w := workload{name: "StatefulSet/" + s.Name, wanted: 1, state: "ready"}
	if s.Spec.Replicas != nil {
		w.wanted = *s.Spec.Replicas
	}
	if s.Status.ObservedGeneration >= s.Generation {
		w.have = min(s.Status.ReadyReplicas, s.Status.UpdatedReplicas)
	}
	return w
}

func jobWorkload(j *batchv1.Job) workload {
	w := workload{name: "Job/" + j.Name, wanted: 1, have: j.Status.Succeeded, state: "succeeded"}
	if j.Spec.Completions != nil {
		w.wanted = *j.Spec.Completions
	}
	complete := slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete && c.Status == v1.ConditionTrue
	})
	if !complete {
		w.have = min(w.have, w.wanted-1)
	}
	return w
}

// workloads reads how far the examples are that have controllers.
func workloads(ctx context.Context, client kubernetes.Interface, objects []*unstructured.Unstructured) ([]workload, error) {
	var out []workload
	for _, obj := range objects {
		var err error
		switch obj.GetKind() {
		case "Deployment":
			var d *appsv1.Deployment
			if d, err = client.AppsV1().Deployments(obj.GetNamespace()).Get(ctx, obj.GetName(), metav1.GetOptions{}); err == nil {
				out = append(out, deploymentWorkload(d))
			}
		case "StatefulSet":
			var s *appsv1.StatefulSet
			if s, err = client.AppsV1().StatefulSets(obj.GetNamespace()).Get(ctx, obj.GetName(), metav1.GetOptions{}); err == nil {
				out = append(out, statefulSetWorkload(s))
			}
		case "Job":
			var j *batchv1.Job
			if j, err = client.BatchV1().Jobs(obj.GetNamespace()).Get(ctx, obj.GetName(), metav1.GetOptions{}); err == nil {
				out = append(out, jobWorkload(j))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return out, nil
}

// unschedulable returns the message of a pod that kube-scheduler could not
// place, or false when it did not try or did not fail.
func unschedulable(pod *v1.Pod) (string, bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == v1.PodScheduled && c.Status == v1.ConditionFalse && c.Reason == v1.PodReasonUnschedulable && c.Message != "" {
			return c.Message, true
		}
	}
	return "", false
}
