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
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
)

// FrameworkName is what our framework is called at the Mesos master.
const FrameworkName = "kube-mesos"

// Claim is what the debug page tells of one claim.
type Claim struct {
	TaskID, Pod, Node, Phase string
	Bound                    bool
}

// Claims reads the scheduler's debug page: the only outside view of what happens
// before an ACCEPT.
func (c *Cluster) Claims(s *Scheduler) []Claim {
	c.T.Helper()
	recorder := httptest.NewRecorder()
	s.Runtime.DebugHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, mesosoffers.DebugPrefix+"/claims", nil))
	var list []Claim
	if err := json.Unmarshal(recorder.Body.Bytes(), &list); err != nil {
		c.T.Fatalf("the debug page of claims does not parse: %v\n%s", err, recorder.Body)
	}
	return list
}

// ClaimOf returns the claim of a pod in one of the phases; its TaskID is empty if
// there is none.
func (c *Cluster) ClaimOf(s *Scheduler, pod string, phases ...string) Claim {
	c.T.Helper()
	for _, claim := range c.Claims(s) {
		if claim.Pod == c.Namespace+"/"+pod && slices.Contains(phases, claim.Phase) {
			return claim
		}
	}
	return Claim{}
}

// WaitClaim waits until the pod has a claim in the phase.
func (c *Cluster) WaitClaim(s *Scheduler, pod, phase string) Claim {
	c.T.Helper()
	var found Claim
	c.Eventually("a claim "+phase, func() string {
		if found = c.ClaimOf(s, pod, phase); found.TaskID == "" {
			return fmt.Sprintf("pod %s has none; claims: %+v", pod, c.Claims(s))
		}
		return ""
	})
	return found
}

// EventNotes returns the texts of the events of one reason about a pod.
func (c *Cluster) EventNotes(pod, reason string) []string {
	c.T.Helper()
	list, err := c.Client.EventsV1().Events(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	if err != nil {
		c.T.Fatal(err)
	}
	var notes []string
	for i := range list.Items {
		if e := &list.Items[i]; e.Regarding.Name == pod && e.Reason == reason {
			notes = append(notes, e.Note)
		}
	}
	return notes
}

// WaitEvent waits for an event about the pod whose text contains each of the words.
func (c *Cluster) WaitEvent(pod, reason string, words ...string) {
	c.T.Helper()
	c.Eventually("event "+reason, func() string {
		notes := c.EventNotes(pod, reason)
		if slices.ContainsFunc(notes, func(note string) bool { return containsAll(note, words) }) {
			return ""
		}
		return fmt.Sprintf("no event about pod %s with %q, only %q", pod, words, notes)
	})
}

// Unscheduled returns the message of the pod's condition PodScheduled while it is
// false, "" otherwise.
func (c *Cluster) Unscheduled(pod string) string {
	c.T.Helper()
	if p := c.Pod(pod); p != nil {
		for _, condition := range p.Status.Conditions {
			if condition.Type == v1.PodScheduled && condition.Status == v1.ConditionFalse {
				return condition.Message
			}
		}
	}
	return ""
}

// WaitUnscheduled waits until the pod's condition says why it is not scheduled, in
// a message that contains each of the words.
func (c *Cluster) WaitUnscheduled(pod string, words ...string) {
	c.T.Helper()
	c.Eventually("the pod's condition tells", func() string {
		message := c.Unscheduled(pod)
		if message != "" && containsAll(message, words) {
			return ""
		}
		return fmt.Sprintf("pod %s says %q, want %q", pod, message, words)
	})
}

func containsAll(s string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
}

// Launched returns how often each task of ours was launched by the ACCEPTs that
// the master has received.
func (c *Cluster) Launched() map[string]int {
	times := map[string]int{}
	for _, record := range c.Mesos.Calls() {
		if record.Type != "ACCEPT" || !c.isOurs(record.FrameworkID) {
			continue
		}
		for _, operation := range record.Call.GetAccept().GetOperations() {
			for _, task := range operation.GetLaunch().GetTaskInfos() {
				times[task.TaskID.Value]++
			}
		}
	}
	return times
}

// isOurs tells whether the framework is ours.
func (c *Cluster) isOurs(frameworkID string) bool {
	for _, f := range c.Mesos.Frameworks() {
		if f.ID == frameworkID {
			return f.Name == FrameworkName
		}
	}
	return false
}

// Finish deletes all pods, of all namespaces, and checks that nothing is left over:
// no task, no offer, no task id used twice, a consistent master.
func (c *Cluster) Finish() {
	c.T.Helper()
	for _, space := range c.spaces() {
		for _, pod := range space.Pods() {
			space.DeletePod(pod.Name)
		}
	}
	c.WaitSettled()
	c.WaitIdle()
	if n := len(c.LiveTasks()); n > 0 {
		c.T.Errorf("%d tasks are left without any pod", n)
	}
	for id, n := range c.Launched() {
		if n > 1 {
			c.T.Errorf("task id %s was launched %d times", id, n)
		}
	}
	if crash := c.Mesos.Crashed(); crash != "" {
		c.T.Errorf("the master died of us: %s", crash)
	}
}
