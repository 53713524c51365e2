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
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

var agents = []mesosstate.Agent{{ID: "S0", Hostname: "node-0"}, {ID: "S1", Hostname: "node-1"}}

// pod is bound to node, or pending when node is empty, and requests half a CPU
// and 64 MiB.
func pod(name, node string, change ...func(*v1.Pod)) v1.Pod {
	p := v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec: v1.PodSpec{NodeName: node, Containers: []v1.Container{{
			Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
				v1.ResourceCPU: resource.MustParse("500m"), v1.ResourceMemory: resource.MustParse("64Mi"),
			}},
		}}},
		Status: v1.PodStatus{Phase: v1.PodRunning},
	}
	if node == "" {
		p.Status.Phase = v1.PodPending
	}
	for _, f := range change {
		f(&p)
	}
	return p
}

func phase(phase v1.PodPhase) func(*v1.Pod) { return func(p *v1.Pod) { p.Status.Phase = phase } }

func deleting(p *v1.Pod) { p.DeletionTimestamp = &metav1.Time{} }

// task holds exactly what pod requests.
func task(id, agent, state string, change ...func(*mesosstate.Task)) mesosstate.Task {
	t := mesosstate.Task{ID: id, AgentID: agent, State: state, Resources: mesosstate.Resources{CPUs: 500, Mem: 64_000}}
	for _, f := range change {
		f(&t)
	}
	return t
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name  string
		pods  []v1.Pod
		tasks []mesosstate.Task
		want  []ProblemKind
	}{
		{name: "nothing at all"},
		{
			name:  "agreement",
			pods:  []v1.Pod{pod("a", "node-0"), pod("b", "node-1"), pod("c", ""), pod("d", "node-0", phase(v1.PodSucceeded))},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING"), task("uid-b.7", "S1", "TASK_STARTING")},
		},
		{
			name:  "a larger task is fine, and so are ended ones",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S1", "TASK_KILLED"), task("uid-a.1", "S0", "TASK_RUNNING", func(t *mesosstate.Task) { t.Resources.CPUs = 501 })},
		},
		{name: "missing task", pods: []v1.Pod{pod("a", "node-0")}, want: []ProblemKind{MissingTask}},
		{
			name:  "the only task has ended",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_FAILED")},
			want:  []ProblemKind{MissingTask},
		},
		{
			name:  "the only task is being killed",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_KILLING")},
			want:  []ProblemKind{MissingTask, Lingering},
		},
		{
			name:  "another pod's task does not count",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-aa.0", "S0", "TASK_RUNNING")},
			want:  []ProblemKind{MissingTask, Orphan},
		},
		{
			name:  "too little CPU",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING", func(t *mesosstate.Task) { t.Resources.CPUs = 499 })},
			want:  []ProblemKind{TooSmall},
		},
		{
			name:  "too little memory",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING", func(t *mesosstate.Task) { t.Resources.Mem = 63_999 })},
			want:  []ProblemKind{TooSmall},
		},
		{
			name: "no disk",
			pods: []v1.Pod{pod("a", "node-0", func(p *v1.Pod) {
				p.Spec.Containers[0].Resources.Requests[v1.ResourceEphemeralStorage] = resource.MustParse("1")
			})},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING")},
			want:  []ProblemKind{TooSmall},
		},
		{
			name:  "wrong agent",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S1", "TASK_RUNNING")},
			want:  []ProblemKind{WrongAgent},
		},
		{
			name:  "unknown agent",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S9", "TASK_RUNNING")},
			want:  []ProblemKind{WrongAgent},
		},
		{
			name:  "orphan task",
			tasks: []mesosstate.Task{task("uid-gone.0", "S0", "TASK_STAGING")},
			want:  []ProblemKind{Orphan},
		},
		{
			name:  "two tasks of one pod",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING"), task("uid-a.1", "S0", "TASK_RUNNING")},
			want:  []ProblemKind{SeveralTasks},
		},
		{
			name:  "finished pods keep nothing",
			pods:  []v1.Pod{pod("a", "node-0", phase(v1.PodSucceeded)), pod("b", "node-0", phase(v1.PodFailed))},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING"), task("uid-b.0", "S0", "TASK_RUNNING")},
			want:  []ProblemKind{NotReleased, NotReleased},
		},
		{
			name:  "a finished pod's task that is being killed is not gone yet",
			pods:  []v1.Pod{pod("a", "node-0", phase(v1.PodSucceeded))},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_KILLING")},
			want:  []ProblemKind{Lingering},
		},
		{
			name:  "a task without a binding",
			pods:  []v1.Pod{pod("a", "")},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING")},
			want:  []ProblemKind{NotBound},
		},
		{
			name:  "a pod on its way out may have lost its task, or not",
			pods:  []v1.Pod{pod("a", "node-0", deleting), pod("b", "node-1", deleting)},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING")},
		},
		{
			name:  "foreign task IDs",
			tasks: []mesosstate.Task{task("x", "S0", "TASK_RUNNING"), task(".1", "S0", "TASK_RUNNING"), task("uid.", "S0", "TASK_RUNNING")},
			want:  []ProblemKind{BadTaskID, BadTaskID, BadTaskID},
		},
		{
			name:  "unreachable",
			pods:  []v1.Pod{pod("a", "node-0")},
			tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_UNREACHABLE")},
			want:  []ProblemKind{MissingTask, Lingering},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			problems := Check(tc.pods, agents, []mesosstate.Framework{{Tasks: tc.tasks}})
			var got []ProblemKind
			for _, p := range problems {
				got = append(got, p.Kind)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s\n%v", diff, problems)
			}
		})
	}
}

// TestCheckSeesAllFrameworks makes sure that tasks of an older framework of ours
// are not overlooked.
func TestCheckSeesAllFrameworks(t *testing.T) {
	problems := Check([]v1.Pod{pod("a", "node-0")}, agents, []mesosstate.Framework{
		{ID: "old", Tasks: []mesosstate.Task{task("uid-gone.0", "S0", "TASK_RUNNING")}},
		{ID: "new", Tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING")}},
	})
	if len(problems) != 1 || problems[0].Kind != Orphan {
		t.Errorf("got %v, want one orphan", problems)
	}
}

func TestRequestsRoundUp(t *testing.T) {
	for _, tc := range []struct {
		cpu, memory, disk string
		want              mesosstate.Resources
	}{
		{"1", "1Mi", "1Mi", mesosstate.Resources{CPUs: 1000, Mem: 1000, Disk: 1000}},
		{"1m", "1", "1", mesosstate.Resources{CPUs: 1, Mem: 1, Disk: 1}},
		{"100u", "1049", "1048", mesosstate.Resources{CPUs: 1, Mem: 2, Disk: 1}},
		{"0", "128974848", "0", mesosstate.Resources{Mem: 123_000}},
		{"4096", "16Ti", "0", mesosstate.Resources{CPUs: 4_096_000, Mem: 16 << 20 * 1000}},
	} {
		p := pod("a", "")
		p.Spec.Containers[0].Resources.Requests = v1.ResourceList{
			v1.ResourceCPU: resource.MustParse(tc.cpu), v1.ResourceMemory: resource.MustParse(tc.memory),
			v1.ResourceEphemeralStorage: resource.MustParse(tc.disk),
		}
		if got := Requests(&p); got != tc.want {
			t.Errorf("requests of %s, %s, %s: got %v, want %v", tc.cpu, tc.memory, tc.disk, got, tc.want)
		}
	}
}
