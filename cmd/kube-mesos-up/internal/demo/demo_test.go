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
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

func TestExamplesHoldTheImpossiblePod(t *testing.T) {
	objects, err := examples()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, obj := range objects {
		kinds[obj.GetKind()] = obj.GetName()
	}
	if kinds["Pod"] != impossiblePod || kinds["Deployment"] == "" || kinds["StatefulSet"] == "" || kinds["Job"] == "" {
		t.Errorf("examples: %v", kinds)
	}
}

func TestWorkloads(t *testing.T) {
	three, one := int32(3), int32(1)
	complete := batchv1.JobCondition{Type: batchv1.JobComplete, Status: v1.ConditionTrue}
	for name, tc := range map[string]struct {
		got  workload
		have int32
		done bool
	}{
		"deployment under way": {got: deploymentWorkload(&appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: &three},
			Status: appsv1.DeploymentStatus{ReadyReplicas: 2, UpdatedReplicas: 3},
		}), have: 2},
		"deployment ready": {got: deploymentWorkload(&appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: &three},
			Status: appsv1.DeploymentStatus{ReadyReplicas: 3, UpdatedReplicas: 3},
		}), have: 3, done: true},
		"deployment changed since": {got: deploymentWorkload(&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Generation: 2},
			Spec:       appsv1.DeploymentSpec{Replicas: &three},
			Status:     appsv1.DeploymentStatus{ObservedGeneration: 1, ReadyReplicas: 3, UpdatedReplicas: 3},
		})},
		"deployment of old pods": {got: deploymentWorkload(&appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: &one},
			Status: appsv1.DeploymentStatus{ReadyReplicas: 1},
		})},
		"stateful set by default has one": {got: statefulSetWorkload(&appsv1.StatefulSet{
			Status: appsv1.StatefulSetStatus{ReadyReplicas: 1, UpdatedReplicas: 1},
		}), have: 1, done: true},
		"stateful set under way": {got: statefulSetWorkload(&appsv1.StatefulSet{
			Spec:   appsv1.StatefulSetSpec{Replicas: &three},
			Status: appsv1.StatefulSetStatus{ReadyReplicas: 1, UpdatedReplicas: 1},
		}), have: 1},
		"job complete": {got: jobWorkload(&batchv1.Job{
			Spec:   batchv1.JobSpec{Completions: &three},
			Status: batchv1.JobStatus{Succeeded: 3, Conditions: []batchv1.JobCondition{complete}},
		}), have: 3, done: true},
		"job not declared complete": {got: jobWorkload(&batchv1.Job{
			Spec: batchv1.JobSpec{Completions: &three}, Status: batchv1.JobStatus{Succeeded: 3},
		}), have: 2},
	} {
		if tc.got.have != tc.have || tc.got.done() != tc.done {
			t.Errorf("%s: %+v, want %d, done %v", name, tc.got, tc.have, tc.done)
		}
	}
}

// tooBig is the impossible pod, with or without the scheduler's explanation.
func tooBig(explained bool) v1.Pod {
	p := pod(impossiblePod, "")
	if explained {
		p.Status.Conditions = []v1.PodCondition{{
			Type: v1.PodScheduled, Status: v1.ConditionFalse, Reason: v1.PodReasonUnschedulable, Message: "no offer is that large",
		}}
	}
	return p
}

func TestPending(t *testing.T) {
	ready, half := workload{name: "Job/a", wanted: 2, have: 2}, workload{name: "Job/b", wanted: 2, have: 1, state: "succeeded"}
	for name, tc := range map[string]struct {
		o    observation
		want string
	}{
		"at rest":        {o: observation{workloads: []workload{ready}, pods: []v1.Pod{pod("x", "n"), tooBig(true)}}},
		"under way":      {o: observation{workloads: []workload{ready, half}, pods: []v1.Pod{tooBig(true)}}, want: "Job/b: 1 of 2 pods succeeded"},
		"no explanation": {o: observation{workloads: []workload{ready}, pods: []v1.Pod{tooBig(false)}}, want: "nobody said why"},
		"no such pod":    {o: observation{workloads: []workload{ready}}, want: "does not exist"},
	} {
		if got := tc.o.pending(); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestVerdict makes sure that only a demo that showed something succeeds.
func TestVerdict(t *testing.T) {
	live := []mesosstate.Framework{{ID: "F", Tasks: []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING")}}}
	running := []v1.Pod{pod("a", "node-0")}
	for name, tc := range map[string]struct {
		o        observation
		problems []Problem
		bound    int
		want     string
	}{
		"all well":          {o: observation{pods: running, ours: live}, bound: 1, want: "OK: "},
		"a problem":         {o: observation{pods: running, ours: live}, problems: []Problem{{Orphan, "uid.1", "x"}}, bound: 1, want: string(Orphan)},
		"unknown framework": {o: observation{pods: running}, bound: 1, want: "does not know our framework"},
		"nothing bound":     {o: observation{pods: running, ours: live}, want: "nothing to check"},
		"nothing running":   {o: observation{ours: live}, bound: 1, want: "nothing to check"},
		"no live task":      {o: observation{pods: running, ours: []mesosstate.Framework{{ID: "F"}}}, bound: 1, want: "nothing to check"},
	} {
		var out strings.Builder
		err := verdict(&out, &tc.o, tc.problems, Figures{Bound: tc.bound})
		if !strings.Contains(out.String(), tc.want) {
			t.Errorf("%s: printed %q, want %q", name, out.String(), tc.want)
		}
		if good := strings.HasPrefix(tc.want, "OK"); errors.Is(err, ErrFailed) == good || (err == nil) != good {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func sample() *observation {
	return &observation{
		pods:      []v1.Pod{pod("a", "node-0"), pod("b", ""), pod("c", "node-1", phase(v1.PodSucceeded)), pod("d", "node-1", phase(v1.PodPending))},
		workloads: []workload{{name: "Job/pi", wanted: 50, have: 7, state: "succeeded"}},
		mesos: &mesosstate.State{Agents: []mesosstate.Agent{
			{ID: "S1", Hostname: "node-1", Total: mesosstate.Resources{CPUs: 4000}, Used: mesosstate.Resources{CPUs: 3000}},
			{
				ID: "S0", Hostname: "node-0", Total: mesosstate.Resources{CPUs: 4000},
				Used: mesosstate.Resources{CPUs: 1500}, Offered: mesosstate.Resources{CPUs: 2000},
			},
		}},
		ours: []mesosstate.Framework{{
			Offered: mesosstate.Resources{CPUs: 2000},
			Tasks:   []mesosstate.Task{task("uid-a.0", "S0", "TASK_RUNNING"), task("uid-c.0", "S1", "TASK_KILLED")},
		}},
	}
}

func TestMachines(t *testing.T) {
	got := sample().machines()
	want := []machine{
		{
			hostname: "node-1", total: mesosstate.Resources{CPUs: 4000}, used: mesosstate.Resources{CPUs: 3000},
			others: 3000, free: 1000,
		},
		{
			hostname: "node-0", total: mesosstate.Resources{CPUs: 4000}, used: mesosstate.Resources{CPUs: 1500},
			ours: 500, others: 1000, offered: 2000, free: 500, claims: 1,
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(machine{})); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	want := `  3.5s  pods: 1 pending, 1 starting, 1 running, 1 over; claims: 1; offers held: 2 cpus; other frameworks: 4 cpus

WORKLOAD  PODS
Job/pi    7/50 succeeded

MACHINE  CLAIMS  CPUS  OURS  OTHERS  OFFERED  FREE
node-0   1       4     0.5   1       2        0.5
node-1   0       4     0     3       0        1
`
	got := strings.ReplaceAll(table(sample(), 3500*time.Millisecond), " \n", "\n")
	for strings.Contains(got, " \n") {
		got = strings.ReplaceAll(got, " \n", "\n")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestDisplay draws the table in place on a terminal and prints few lines
// elsewhere.
func TestDisplay(t *testing.T) {
	start := time.Unix(100, 0)
	var out strings.Builder
	quiet := newDisplay(&out, start)
	for second := range 12 {
		quiet.show(sample(), start.Add(time.Duration(second)*time.Second), false)
	}
	quiet.show(sample(), start.Add(11*time.Second), true)
	if got := strings.Count(out.String(), "\n"); got != 4 {
		t.Errorf("%d lines without a terminal, want those of 0, 5, 10 s and the last:\n%s", got, out.String())
	}
	out.Reset()
	screen := &display{out: &out, terminal: true, start: start}
	screen.show(sample(), start, false)
	height := strings.Count(out.String(), "\n")
	if strings.Contains(out.String(), "\x1b") || height < 8 {
		t.Errorf("first table: %q", out.String())
	}
	out.Reset()
	screen.show(sample(), start, false)
	if !strings.HasPrefix(out.String(), "\x1b[8A\x1b[J") || height != 8 {
		t.Errorf("second table, over %d lines: %q", height, out.String())
	}
}
