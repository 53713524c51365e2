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
	"errors"
	"fmt"
	"net/http"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// Must fails the test on an error.
func (c *Cluster) Must(err error) {
	c.T.Helper()
	if err != nil {
		c.T.Fatal(err)
	}
}

// SetPhase plays the kubelet of a pod whose phase changes.
func (c *Cluster) SetPhase(name string, phase v1.PodPhase) {
	c.T.Helper()
	pod := c.Pod(name)
	pod.Status.Phase = phase
	_, err := c.Client.CoreV1().Pods(c.Namespace).UpdateStatus(c.T.Context(), pod, metav1.UpdateOptions{})
	c.Must(err)
}

// DeleteNode deletes a node object.
func (c *Cluster) DeleteNode(name string) {
	c.T.Helper()
	c.Must(c.Client.CoreV1().Nodes().Delete(c.T.Context(), name, metav1.DeleteOptions{}))
}

// LabelNode sets a label of a node; an empty value removes it.
func (c *Cluster) LabelNode(name, key, value string) {
	c.T.Helper()
	var set any
	if value != "" {
		set = value
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{key: set}}})
	c.Must(err)
	_, err = c.Client.CoreV1().Nodes().Patch(c.T.Context(), name, "application/merge-patch+json", patch, metav1.PatchOptions{})
	c.Must(err)
}

// WaitGone waits until there is no pod of these names.
func (c *Cluster) WaitGone(names ...string) {
	c.T.Helper()
	c.Eventually("pods gone", func() string {
		var left []string
		for _, name := range names {
			if c.Pod(name) != nil {
				left = append(left, name)
			}
		}
		return strings.Join(left, ", ")
	})
}

// WaitNodeEvent waits for an event about a node whose text contains each of the
// words. Nodes and their events are no namespace's: earlier tests' are among them.
func (c *Cluster) WaitNodeEvent(node, reason string, words ...string) {
	c.T.Helper()
	c.Eventually("event "+reason, func() string {
		list, err := c.Client.EventsV1().Events(metav1.NamespaceAll).List(c.T.Context(), metav1.ListOptions{})
		c.Must(err)
		var notes []string
		for i := range list.Items {
			e := &list.Items[i]
			if e.Regarding.Kind != "Node" || e.Regarding.Name != node || e.Reason != reason {
				continue
			}
			if containsAll(e.Note, words) {
				return ""
			}
			notes = append(notes, e.Note)
		}
		return fmt.Sprintf("no event about node %s with %q, only %q", node, words, notes)
	})
}

// Task returns the task that the pod's binding names.
func (c *Cluster) Task(pod string) mesosmaster.TaskSnapshot {
	c.T.Helper()
	p := c.Pod(pod)
	if p == nil {
		c.T.Fatalf("there is no pod %s", pod)
	}
	for _, task := range c.Mesos.Tasks() {
		if task.TaskID == p.Annotations["kube-mesos.io/task-id"] {
			return task
		}
	}
	c.T.Fatalf("pod %s has no task; its annotations are %v", pod, p.Annotations)
	return mesosmaster.TaskSnapshot{}
}

// WaitTask waits until a task of the master's is in one of the states.
func (c *Cluster) WaitTask(states ...string) {
	c.T.Helper()
	c.Eventually("a task", func() string {
		tasks := c.Mesos.Tasks()
		for _, task := range tasks {
			for _, state := range states {
				if task.State == state {
					return ""
				}
			}
		}
		return fmt.Sprintf("none is %q: %+v", states, tasks)
	})
}

// WaitCalls waits until the master has received n calls of a type.
func (c *Cluster) WaitCalls(callType string, n int) {
	c.T.Helper()
	c.Eventually(callType, func() string {
		if got := c.Mesos.CallCount(callType); got < n {
			return fmt.Sprintf("%d calls, want %d", got, n)
		}
		return ""
	})
}

// errConnectionLost is what a scheduler sees of a request that was held.
var errConnectionLost = errors.New("connection to the API server lost")

// HoldBindings stops every binding of schedulers started from now on until the
// test ends: on its way to the API server, or, if late, its answer on the way
// back. The scheduler then sees a lost connection. The returned hold tells of the
// first.
func (c *Cluster) HoldBindings(late bool) *Hold {
	h := NewHold()
	c.T.Cleanup(h.Open)
	c.API = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.Method != http.MethodPost || !strings.HasSuffix(req.URL.Path, "/binding") {
			return next.RoundTrip(req)
		}
		if late {
			resp, err := next.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			_ = resp.Body.Close() // the answer is lost
		}
		// Not even the scheduler's end lets it go: a dead process hears nothing.
		h.Pass(c.T.Context())
		return nil, errConnectionLost
	}
	return h
}
