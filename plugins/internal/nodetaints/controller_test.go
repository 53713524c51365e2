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

package nodetaints

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a controller on a fake API server, in virtual time.
type rig struct {
	*Controller
	t   *testing.T
	api *fake.Clientset
	// failures are how many patches fail from now on.
	failures atomic.Int32
	patches  atomic.Int32
}

func inBubble(t *testing.T, nodes []*v1.Node, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, api: fake.NewClientset()}
		for _, node := range nodes {
			if err := r.api.Tracker().Add(node); err != nil {
				t.Fatal(err)
			}
		}
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
		r.Controller = New(r.api, factory.Core().V1().Nodes().Lister(), klog.Background())
		if _, err := factory.Core().V1().Nodes().Informer().AddEventHandler(r.NodeHandler()); err != nil {
			t.Fatal(err)
		}
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(ctx.Done())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		test(r)
		cancel()
		<-done
		factory.Shutdown()
	})
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

type taints = []v1.Taint

// wants fails the test unless the node has exactly these taints and annotations.
func (r *rig) wants(node string, want taints, annotations map[string]string) {
	r.t.Helper()
	r.pass(time.Millisecond)
	got, err := r.api.CoreV1().Nodes().Get(r.t.Context(), node, metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	if !slices.Equal(got.Spec.Taints, want) || !maps.Equal(got.Annotations, annotations) {
		r.t.Errorf("%s has the taints %v and the annotations %v, want %v and %v", node, got.Spec.Taints, got.Annotations, want, annotations)
	}
}

func node(name string, annotations map[string]string, list ...v1.Taint) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Spec: v1.NodeSpec{Taints: list}}
}

var (
	others   = v1.Taint{Key: "other", Value: "x", Effect: v1.TaintEffectNoExecute}
	start    = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	planned  = maintenance.Mark{Kind: maintenance.Maintenance, Window: maintenance.Window{Start: start, Duration: time.Hour}}
	draining = maintenance.Mark{Kind: maintenance.Draining}
)

type marks = map[string]maintenance.Mark

func noted(m maintenance.Mark) map[string]string {
	return map[string]string{maintenance.Annotation: m.Text()}
}

func ours(value string) v1.Taint {
	return v1.Taint{Key: "kube-mesos.io/maintenance", Value: value, Effect: v1.TaintEffectNoSchedule}
}

func TestNothingBeforeTheFirstSet(t *testing.T) {
	inBubble(t, []*v1.Node{node("n", noted(planned), planned.Taint())}, func(r *rig) {
		r.pass(time.Hour)
		r.wants("n", taints{ours("20260102T150405Z")}, noted(planned))
	})
}

func TestFollowsTheMarks(t *testing.T) {
	inBubble(t, []*v1.Node{node("n", map[string]string{"a": "b"}, others), node("m", nil)}, func(r *rig) {
		r.Set(marks{"n": planned, "strange": planned}, true)
		r.wants("n", taints{others, ours("20260102T150405Z")}, map[string]string{"a": "b", maintenance.Annotation: planned.Text()})
		r.wants("m", nil, nil)
		patches := r.patches.Load()
		r.Set(marks{"n": planned}, true)
		r.pass(time.Hour)
		if r.patches.Load() != patches {
			t.Error("a node was written that shows all there is")
		}
		r.Set(marks{"n": draining, "m": planned}, true)
		r.wants("n", taints{others, ours("now")}, map[string]string{"a": "b", maintenance.Annotation: draining.Text()})
		r.wants("m", taints{ours("20260102T150405Z")}, noted(planned))
		r.Set(marks{}, true)
		r.wants("n", taints{others}, map[string]string{"a": "b"})
		r.wants("m", nil, map[string]string{})
	})
}

// What a former process wrote is found again, and stays until all is known.
func TestStartsAgain(t *testing.T) {
	inBubble(t, []*v1.Node{node("n", noted(planned), others, planned.Taint()), node("m", noted(planned), planned.Taint())}, func(r *rig) {
		r.Set(marks{"m": draining}, false)
		r.wants("n", taints{others, planned.Taint()}, noted(planned))
		r.wants("m", taints{draining.Taint()}, noted(draining))
		r.Set(marks{"m": draining}, true)
		r.wants("n", taints{others}, map[string]string{})
		r.wants("m", taints{draining.Taint()}, noted(draining))
	})
}

// A taint that we did not write, or that somebody changed, stays. So do those of other
// effects.
func TestTaintsOfOthers(t *testing.T) {
	hand, other := ours("by-hand"), v1.Taint{Key: maintenance.TaintKey, Value: "now", Effect: v1.TaintEffectNoExecute}
	inBubble(t, []*v1.Node{node("bare", nil, hand), node("changed", noted(planned), hand), node("effect", nil, other), node("empty", nil, ours(""))}, func(r *rig) {
		r.Set(marks{}, true)
		r.wants("bare", taints{hand}, nil)
		r.wants("empty", taints{ours("")}, nil)
		r.wants("changed", taints{hand}, map[string]string{})
		r.Set(marks{"bare": draining, "changed": draining, "effect": draining}, true)
		r.wants("bare", taints{hand}, noted(draining))
		r.wants("changed", taints{hand}, noted(draining))
		r.wants("effect", taints{other, ours("now")}, noted(draining))
		r.Set(marks{}, true)
		r.wants("bare", taints{hand}, map[string]string{})
		r.wants("effect", taints{other}, map[string]string{})
	})
}

func TestWhatOthersUndoIsDoneAgain(t *testing.T) {
	inBubble(t, []*v1.Node{node("n", nil)}, func(r *rig) {
		r.Set(marks{"n": draining}, true)
		r.wants("n", taints{ours("now")}, noted(draining))
		if _, err := r.api.CoreV1().Nodes().Update(t.Context(), node("n", noted(draining), others), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wants("n", taints{others, ours("now")}, noted(draining))
		if _, err := r.api.CoreV1().Nodes().Update(t.Context(), node("n", nil, ours("now")), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wants("n", taints{ours("now")}, noted(draining))
	})
}

func TestFailuresAreRepeated(t *testing.T) {
	inBubble(t, []*v1.Node{node("n", nil)}, func(r *rig) {
		r.failures.Store(3)
		r.Set(marks{"n": draining}, true)
		r.pass(time.Minute)
		r.wants("n", taints{ours("now")}, noted(draining))
		if got := r.patches.Load(); got != 4 {
			t.Errorf("%d patches", got)
		}
	})
}
