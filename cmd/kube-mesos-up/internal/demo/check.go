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
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

// Problem is one way in which Kubernetes and Mesos disagree.
type Problem struct {
	// Kind groups problems, Subject is the pod or task, Detail says what was
	// found and what was expected.
	Kind    ProblemKind
	Subject string
	Detail  string
}

// String returns the problem as one line.
func (p Problem) String() string { return fmt.Sprintf("%s: %s: %s", p.Kind, p.Subject, p.Detail) }

// ProblemKind names a rule that was broken.
type ProblemKind string

// The rules of the check.
const (
	// MissingTask: a bound pod that is not over has no live task.
	MissingTask ProblemKind = "bound pod without a live task"
	// SeveralTasks: a pod holds more than one live task.
	SeveralTasks ProblemKind = "pod with several live tasks"
	// WrongAgent: the task runs on another machine than the pod's node.
	WrongAgent ProblemKind = "task on another machine than its pod"
	// TooSmall: the task holds less than the pod requests.
	TooSmall ProblemKind = "task smaller than its pod"
	// Orphan: a live task belongs to no pod that exists.
	Orphan ProblemKind = "live task without a pod"
	// NotReleased: the pod is over and its task is still live.
	NotReleased ProblemKind = "live task of a pod that is over"
	// NotBound: a pending pod's task is live, but the pod was not bound.
	NotBound ProblemKind = "live task of a pod that is not bound"
	// Lingering: a task is neither live nor ended: it is being killed, or its
	// agent is unreachable.
	Lingering ProblemKind = "task that neither runs nor ended"
	// BadTaskID: the task's ID does not have the form <pod UID>.<attempt>.
	BadTaskID ProblemKind = "task with an ID that is not ours"
)

// Check compares the pods of our scheduler with the tasks of our frameworks, as
// the Kubernetes API and the Mesos master tell them, and returns every
// disagreement. Both must be at rest: what is under way counts as a problem.
func Check(pods []v1.Pod, agents []mesosstate.Agent, frameworks []mesosstate.Framework) []Problem {
	hostnames := map[string]string{}
	for _, a := range agents {
		hostnames[a.ID] = a.Hostname
	}
	tasks, problems := tasksByPod(frameworks)
	known := map[types.UID]bool{}
	for i := range pods {
		pod := &pods[i]
		known[pod.UID] = true
		problems = append(problems, checkPod(pod, tasks[pod.UID], hostnames)...)
	}
	for uid, held := range tasks {
		if known[uid] {
			continue
		}
		for _, t := range held {
			problems = append(problems, Problem{Orphan, t.ID, fmt.Sprintf("%s on %s, but no pod has UID %s", t.State, hostnames[t.AgentID], uid)})
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	return problems
}

// tasksByPod sorts live tasks by the UID of their pod.
func tasksByPod(frameworks []mesosstate.Framework) (map[types.UID][]mesosstate.Task, []Problem) {
	tasks := map[types.UID][]mesosstate.Task{}
	var problems []Problem
	for _, f := range frameworks {
		for _, t := range f.Tasks {
			if t.Ended() {
				continue
			}
			if !t.Live() {
				problems = append(problems, Problem{Lingering, t.ID, t.State})
				continue
			}
			uid, ok := podUID(t.ID)
			if !ok {
				problems = append(problems, Problem{BadTaskID, t.ID, "expected <pod UID>.<attempt>"})
				continue
			}
			tasks[uid] = append(tasks[uid], t)
		}
	}
	return tasks, problems
}

// podUID returns the part of a task ID before its last dot.
func podUID(taskID string) (types.UID, bool) {
	dot := strings.LastIndexByte(taskID, '.')
	if dot <= 0 || dot == len(taskID)-1 {
		return "", false
	}
	return types.UID(taskID[:dot]), true
}

func checkPod(pod *v1.Pod, tasks []mesosstate.Task, hostnames map[string]string) []Problem {
	name := pod.Namespace + "/" + pod.Name
	var problems []Problem
	add := func(kind ProblemKind, format string, args ...any) {
		problems = append(problems, Problem{kind, name, fmt.Sprintf(format, args...)})
	}
	over := pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
	for _, t := range tasks {
		switch {
		case over:
			add(NotReleased, "the pod is %s, task %s is %s", pod.Status.Phase, t.ID, t.State)
		case pod.Spec.NodeName == "":
			add(NotBound, "task %s is %s on %s", t.ID, t.State, hostnames[t.AgentID])
		}
	}
	if over || pod.Spec.NodeName == "" {
		return problems
	}
	if len(tasks) > 1 {
		add(SeveralTasks, "%d tasks, one expected", len(tasks))
	}
	if len(tasks) == 0 && pod.DeletionTimestamp == nil {
		add(MissingTask, "on node %s", pod.Spec.NodeName)
	}
	needed := Requests(pod)
	for _, t := range tasks {
		if hostname := hostnames[t.AgentID]; hostname != pod.Spec.NodeName {
			add(WrongAgent, "the pod is on node %s, task %s on agent %q", pod.Spec.NodeName, t.ID, hostname)
		}
		if short := shortages(needed, t.Resources); short != "" {
			add(TooSmall, "task %s: %s", t.ID, short)
		}
	}
	return problems
}

// shortages says which resources a task has less of than needed.
func shortages(needed, held mesosstate.Resources) string {
	var out []string
	for _, r := range []struct {
		name         string
		needed, held mesosstate.Milli
	}{
		{"cpus", needed.CPUs, held.CPUs}, {"mem", needed.Mem, held.Mem}, {"disk", needed.Disk, held.Disk},
	} {
		if r.held < r.needed {
			out = append(out, fmt.Sprintf("%s %s of %s", r.name, r.held, r.needed))
		}
	}
	return strings.Join(out, ", ")
}

// Requests returns what a pod requests, in Mesos' units, rounded up: init
// containers, sidecars and overhead count as kube-scheduler counts them.
func Requests(pod *v1.Pod) mesosstate.Resources {
	list := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	return mesosstate.Resources{
		CPUs: mesosstate.Milli(list.Cpu().MilliValue()),
		Mem:  milliMebibytes(list.Memory().Value()),
		Disk: milliMebibytes(list.StorageEphemeral().Value()),
	}
}

// milliMebibytes converts bytes to thousandths of a MiB, rounded up.
func milliMebibytes(bytes int64) mesosstate.Milli {
	const mebi = 1 << 20
	whole, part := bytes/mebi, bytes%mebi
	return mesosstate.Milli(whole*1000 + (part*1000+mebi-1)/mebi)
}
