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

package nodebalance

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a controller on a fake API server with one node, "n", of 4 CPUs and 2
// GPUs, in virtual time.
type rig struct {
	*Controller
	t        *testing.T
	api      *fake.Clientset
	failures atomic.Int32
	patches  atomic.Int32
	// told are the maps that Withhold was called with.
	told []map[string]resources.Vector
	// begin runs the controller and starts the informers.
	begin func()
}

func inBubble(t *testing.T, test func(r *rig)) {
	withholding(t, func(r *rig) {
		r.Withhold = nil
		r.begin()
		test(r)
	})
}

// withholding runs a test with a controller whose informers are not started.
func withholding(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, api: fake.NewClientset(nodeOf("n"))}
		r.api.PrependReactor("patch", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
			r.patches.Add(1)
			if r.failures.Add(-1) >= 0 {
				return true, nil, errors.New("no")
			}
			return false, nil, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		// Without a resync period, reflectors wait on a channel from outside the bubble.
		factory := informers.NewSharedInformerFactory(r.api, 24*time.Hour)
		var err error
		r.Controller, err = New(Config{
			Client: r.api, Nodes: factory.Core().V1().Nodes(), Pods: factory.Core().V1().Pods(),
			Mine:  func(pod *v1.Pod) bool { return pod.Spec.SchedulerName == "kube-mesos" },
			Table: resources.NewTable(resources.Options{GPU: gpu}),
			Withhold: func(amounts map[string]resources.Vector) {
				r.mu.Lock() // would hang if the caller held it
				defer r.mu.Unlock()
				r.told = append(r.told, amounts)
			},
		}, klog.Background())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		r.begin = func() {
			go func() { r.Run(ctx); close(done) }()
			synctest.Wait()
			factory.Start(ctx.Done())
			r.pass(time.Second)
		}
		test(r)
		cancel()
		<-done
		factory.Shutdown()
	})
}

const gpu = "nvidia.com/gpu"

func nodeOf(name string) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1.NodeStatus{
		Allocatable: v1.ResourceList{v1.ResourceCPU: resource.MustParse("4"), v1.ResourceMemory: resource.MustParse("8Gi"), gpu: resource.MustParse("2")},
		Conditions:  []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}},
	}}
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) advertise(cpu int64) {
	r.SetAgents(map[string]resources.Vector{"n": {resources.CPU: cpu * 1000, resources.Memory: 1000000}})
}

func podOf(name, scheduler, cpu string) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)},
		Spec: v1.PodSpec{NodeName: "n", SchedulerName: scheduler, Containers: []v1.Container{{Name: "c", Resources: v1.ResourceRequirements{
			Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), "example.com/thing": resource.MustParse("1")},
		}}}},
	}
}

func (r *rig) pod(name, scheduler, cpu string) *v1.Pod {
	r.t.Helper()
	return r.create(podOf(name, scheduler, cpu))
}

func (r *rig) create(pod *v1.Pod) *v1.Pod {
	r.t.Helper()
	if _, err := r.api.CoreV1().Pods("ns").Create(r.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		r.t.Fatal(err)
	}
	return pod
}

// wants fails the test unless the node's condition is as told, "" for none, and has
// the words in its message.
func (r *rig) wants(status v1.ConditionStatus, words ...string) {
	r.t.Helper()
	r.pass(settleFor + time.Second)
	node, err := r.api.CoreV1().Nodes().Get(r.t.Context(), "n", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	var got v1.NodeCondition
	for _, c := range node.Status.Conditions {
		if c.Type == Condition {
			got = c
		}
	}
	if got.Status != status || len(node.Status.Conditions) == 1 && status != "" {
		r.t.Errorf("condition is %+v, want %q", node.Status.Conditions, status)
	}
	for _, word := range words {
		if !strings.Contains(got.Message, word) {
			r.t.Errorf("message %q lacks %q", got.Message, word)
		}
	}
}

func TestNothingBeforeAgentsAreKnown(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.pod("daemon", "default-scheduler", "4")
		r.wants("")
	})
}

func TestForeignPodsCount(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.advertise(4)
		r.wants("")
		r.pod("ours", "kube-mesos", "3")
		r.wants("")
		daemon := r.pod("daemon", "default-scheduler", "1500m")
		r.wants(v1.ConditionTrue, "advertises cpus:4;mem:1000", "leave cpus:2.5;mem:8192", "cpus:1.5 less")
		r.pod("static", "default-scheduler", "1")
		r.wants(v1.ConditionTrue, "leave cpus:1.5", "cpus:2.5 less")
		daemon.Status.Phase = v1.PodSucceeded
		if _, err := r.api.CoreV1().Pods("ns").UpdateStatus(r.t.Context(), daemon, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wants(v1.ConditionTrue, "cpus:1 less")
		r.advertise(3)
		r.wants(v1.ConditionFalse)
		r.advertise(4)
		r.wants(v1.ConditionTrue)
		if err := r.api.CoreV1().Pods("ns").Delete(r.t.Context(), "static", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wants(v1.ConditionFalse)
		patches := r.patches.Load()
		r.advertise(2)
		r.pass(time.Hour)
		if r.patches.Load() != patches {
			t.Error("a node was written of which nothing new is to be told")
		}
	})
}

func TestAgentGone(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.advertise(5)
		r.wants(v1.ConditionTrue)
		r.SetAgents(map[string]resources.Vector{})
		r.wants(v1.ConditionFalse)
	})
}

func TestFailuresAreRepeated(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.failures.Store(3)
		r.advertise(5)
		r.pass(time.Minute)
		r.wants(v1.ConditionTrue)
		if got := r.patches.Load(); got != 4 {
			t.Errorf("%d patches, want 4", got)
		}
	})
}

func TestMetricHasBothNumbers(t *testing.T) {
	inBubble(t, func(r *rig) {
		shows := func(want int) {
			t.Helper()
			if got := testutil.CollectAndCount(metrics.NodeOvercommitted); got != want {
				t.Errorf("%d amounts are shown, want %d", got, want)
			}
		}
		r.advertise(5)
		r.wants(v1.ConditionTrue)
		shows(2)
		for amount, want := range map[string]float64{"advertised": 5, "free": 4} {
			if got := testutil.ToFloat64(metrics.NodeOvercommitted.WithLabelValues("n", "cpus", amount)); got != want {
				t.Errorf("%s is %v, want %v", amount, got, want)
			}
		}
		r.advertise(3)
		r.wants(v1.ConditionFalse)
		shows(0)
		r.advertise(5)
		r.wants(v1.ConditionTrue)
		if err := r.api.CoreV1().Nodes().Delete(r.t.Context(), "n", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		shows(0)
		r.pass(time.Minute)
		shows(0)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.books.Of("n").Known {
			t.Error("a node that is gone is still on the books")
		}
	})
}
