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

// Package preemption tests when pods preempt others for what Mesos offers too little
// of, and what becomes of them then.
package preemption

import (
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// ranked gives the pod a priority class that the test made.
func ranked(c *cluster.Cluster, class string, value int32) func(*v1.Pod) {
	c.T.Helper()
	name := c.Namespace + "-" + class
	_, err := c.Client.SchedulingV1().PriorityClasses().Create(c.T.Context(), &schedulingv1.PriorityClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value,
	}, metav1.CreateOptions{})
	c.Must(err)
	return func(pod *v1.Pod) {
		// The API server of the tests admits no priority classes.
		pod.Spec.PriorityClassName, pod.Spec.Priority = name, &value
	}
}

// A starved pod of high priority evicts exactly one pod, of low priority, and goes to
// its node.
func TestStarvedPodPreemptsOne(t *testing.T) {
	kube := cluster.StartKube(t)
	c := kube.New(t, 2, cluster.Quick())
	c.Args = `
      preemption: {starvationTimeout: 500ms}`
	c.StartScheduler()
	low, middle, high := ranked(c, "low", 1), ranked(c, "middle", 10), ranked(c, "high", 100)
	var names []string
	for i := range 4 {
		// Each agent has 4 cores.
		name := fmt.Sprintf("pod-%d", i)
		names = append(names, name)
		if i == 0 {
			c.AddPod(name, "2", "1Gi", low)
		} else {
			c.AddPod(name, "2", "1Gi", middle)
		}
	}
	c.WaitBound(names...)
	c.WaitSettled()
	node := c.Pod("pod-0").Spec.NodeName
	c.AddPod("high", "2", "1Gi", high)
	c.WaitBound("high")
	c.WaitGone("pod-0")
	if got := c.Pod("high").Spec.NodeName; got != node {
		t.Errorf("the pod is on %s, its victim was on %s", got, node)
	}
	c.WaitBound(names[1:]...)
	c.WaitSettled()
	for _, name := range names[1:] {
		if notes := c.EventNotes(name, "Preempted"); len(notes) > 0 {
			t.Errorf("pod %s was preempted, too: %s", name, strings.Join(notes, "; "))
		}
	}
	c.Finish()
}
