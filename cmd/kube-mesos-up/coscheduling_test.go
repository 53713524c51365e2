//go:build linux

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

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/cluster"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/demo"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
	"github.com/kube-mesos/kube-mesos/manifests"
)

// gangLimit is for what does not happen; nothing here takes as long.
const gangLimit = 90 * time.Second

// coschedulingFlags are the flags that manifests/scheduler-config/coscheduling.yaml
// tells users to start a local cluster with.
func coschedulingFlags(t *testing.T) []string {
	t.Helper()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/scheduler-plugins").Output()
	if err != nil {
		t.Fatalf("find the module of the CustomResourceDefinition: %v", err)
	}
	folder := filepath.Join("..", "..", "manifests")
	return []string{
		"--apply=" + filepath.Join(strings.TrimSpace(string(module)), "manifests", "coscheduling", "crd.yaml"),
		"--apply=" + filepath.Join(folder, "rbac-coscheduling.yaml"),
		"--scheduler-config=" + filepath.Join(folder, "scheduler-config", "coscheduling.yaml"),
	}
}

// sides are the clients of a running cluster.
type sides struct {
	pods    kubernetes.Interface
	applier *cluster.Applier
	mesos   *mesosstate.Client
}

// connect finds a cluster by what it printed, as a user does.
func connect(t *testing.T, u *up) *sides {
	t.Helper()
	find := func(pattern string) string {
		found := regexp.MustCompile(pattern).FindStringSubmatch(u.out.String())
		if found == nil {
			t.Fatalf("nothing printed is like %s", pattern)
		}
		return found[1]
	}
	config, err := clientcmd.BuildConfigFromFlags("", find(`export KUBECONFIG=(\S+)`))
	if err != nil {
		t.Fatal(err)
	}
	s := &sides{}
	if s.pods, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if s.applier, err = cluster.NewApplier(config); err != nil {
		t.Fatal(err)
	}
	if s.mesos, err = mesosstate.NewClient(find(`Mesos master: http://(\S+)/state`)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.mesos.Close)
	return s
}

// gang returns a PodGroup that wants all of so many pods, and the pods.
func gang(name string, pods int, cpu string) []*unstructured.Unstructured {
	text := fmt.Sprintf(`{apiVersion: scheduling.x-k8s.io/v1alpha1, kind: PodGroup, metadata: {name: %s, namespace: default}, spec: {minMember: %d}}`, name, pods)
	for i := range pods {
		text += fmt.Sprintf(`
---
apiVersion: v1
kind: Pod
metadata: {name: %s-%d, namespace: default, labels: {scheduling.x-k8s.io/pod-group: %s}}
spec:
  schedulerName: kube-mesos-gangs
  containers: [{name: main, image: "pause:3.10", resources: {requests: {cpu: %q, memory: 64Mi}}}]
`, name, i, name, cpu)
	}
	objects, err := cluster.Decode([]byte(text))
	if err != nil {
		panic(err)
	}
	return objects
}

// look is what both sides say about one gang's pods.
type look struct {
	pods          []v1.Pod
	bound, judged int
	// held are the live tasks of the gang's pods; tasks are all live ones.
	held, tasks int
	problems    []demo.Problem
}

func (s *sides) look(ctx context.Context, t *testing.T, name string) look {
	t.Helper()
	all, err := s.pods.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	state, err := s.mesos.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var l look
	ours := state.Named("kube-mesos")
	l.problems = demo.Check(all.Items, state.Agents, ours)
	uids := map[string]bool{}
	for i := range all.Items {
		pod := &all.Items[i]
		if pod.Labels["scheduling.x-k8s.io/pod-group"] != name {
			continue
		}
		l.pods = append(l.pods, *pod)
		uids[string(pod.UID)] = true
		if pod.Spec.NodeName != "" {
			l.bound++
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == v1.PodScheduled && c.Status == v1.ConditionFalse && c.Reason == v1.PodReasonUnschedulable {
				l.judged++
			}
		}
	}
	for _, f := range ours {
		for _, task := range f.Tasks {
			if task.Ended() {
				continue
			}
			l.tasks++
			if uid, _, _ := strings.Cut(task.ID, "."); uids[uid] {
				l.held++
			}
		}
	}
	return l
}

// testCoscheduling runs gangs on three machines of four CPUs each.
func testCoscheduling(t *testing.T, s *sides) {
	ctx := t.Context()
	apply := func(objects []*unstructured.Unstructured) {
		t.Helper()
		if err := s.applier.Apply(ctx, objects); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(objects []*unstructured.Unstructured) {
		t.Helper()
		if err := s.applier.Delete(ctx, objects); err != nil {
			t.Fatal(err)
		}
	}
	var l look
	until := func(what, name string, ok func() bool) {
		t.Helper()
		begin := time.Now()
		eventually(t, gangLimit, what, func() bool {
			l = s.look(ctx, t, name)
			return ok()
		})
		t.Logf("%v: %s", time.Since(begin).Round(100*time.Millisecond), what)
	}

	data, err := manifests.Examples.ReadFile("examples/coscheduling/gang.yaml")
	if err != nil {
		t.Fatal(err)
	}
	example, err := cluster.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	apply(example)
	until("the example's pods succeed and hold nothing", "training", func() bool {
		succeeded := 0
		for i := range l.pods {
			if l.pods[i].Status.Phase == v1.PodSucceeded {
				succeeded++
			}
		}
		return succeeded == 4 && l.tasks == 0
	})
	remove(example)

	// Two on each machine: one CPU of each stays free.
	fits := gang("fits", 6, "1500m")
	apply(fits)
	until("a gang that fits is bound whole", "fits", func() bool { return l.bound == 6 && l.held == 6 && len(l.problems) == 0 })

	// Three of these four would fit.
	waits := gang("waits", 4, "1")
	apply(waits)
	until("each pod of a gang that does not fit was tried and nothing is held for it", "waits", func() bool {
		if l.bound > 0 {
			t.Fatalf("%d pods of a gang that does not fit are bound", l.bound)
		}
		return len(l.pods) == 4 && l.judged == 4 && l.held == 0
	})
	if l.tasks != 6 {
		t.Errorf("%d live tasks, want the six of the other gang", l.tasks)
	}

	remove(fits)
	until("it is bound whole once it fits", "waits", func() bool { return l.bound == 4 && l.held == 4 && len(l.problems) == 0 })
	remove(waits)
	until("all is given back", "waits", func() bool { return len(l.pods) == 0 && l.tasks == 0 })
}
