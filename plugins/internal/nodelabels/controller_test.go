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

package nodelabels

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

func inBubble(t *testing.T, options Options, nodes []*v1.Node, test func(r *rig)) {
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
		r.Controller = New(options, r.api, factory.Core().V1().Nodes().Lister(), klog.Background())
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

// wants fails the test unless the node has exactly these labels.
func (r *rig) wants(node string, want texts) {
	r.t.Helper()
	r.pass(time.Millisecond)
	got, err := r.api.CoreV1().Nodes().Get(r.t.Context(), node, metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	if !maps.Equal(got.Labels, want) {
		r.t.Errorf("labels of %s are %v, want %v", node, got.Labels, want)
	}
}

func node(name string, labels texts) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

var shown = Facts{Attributes: texts{"rack": "r1"}, Region: "eu", Zone: "eu-1"}

var everything = Options{Attributes: true, FaultDomain: true}

func TestNothingBeforeTheFirstSet(t *testing.T) {
	inBubble(t, everything, []*v1.Node{node("n", texts{rack: "old"})}, func(r *rig) {
		r.pass(time.Hour)
		r.wants("n", texts{rack: "old"})
	})
}

func TestFollowsTheAgent(t *testing.T) {
	inBubble(t, everything, []*v1.Node{node("n", texts{"a": "b"}), node("m", nil)}, func(r *rig) {
		r.Set(map[string]Facts{"n": shown})
		r.wants("n", texts{"a": "b", rack: "r1", region: "eu", zone: "eu-1"})
		r.wants("m", nil)
		r.Set(map[string]Facts{"n": {Attributes: texts{"rack": "r2"}, Region: "eu"}})
		r.wants("n", texts{"a": "b", rack: "r2", region: "eu"})
		patches := r.patches.Load()
		r.Set(map[string]Facts{"n": {Attributes: texts{"rack": "r2"}, Region: "eu"}})
		r.pass(time.Hour)
		if r.patches.Load() != patches {
			t.Error("a node was written that shows all there is")
		}
	})
}

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		want    texts
	}{
		"attributes":   {Options{Attributes: true}, texts{rack: "r1"}},
		"fault domain": {Options{FaultDomain: true}, texts{region: "eu", zone: "eu-1"}},
		"none":         {Options{}, texts{}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.options, []*v1.Node{node("n", texts{AttributePrefix + "old": "x"})}, func(r *rig) {
				r.Set(map[string]Facts{"n": shown})
				r.wants("n", test.want)
			})
		})
	}
}

func TestAgentGone(t *testing.T) {
	inBubble(t, everything, []*v1.Node{node("n", nil)}, func(r *rig) {
		all := texts{rack: "r1", region: "eu", zone: "eu-1"}
		r.Set(map[string]Facts{"n": shown})
		r.wants("n", all)
		r.Set(map[string]Facts{})
		r.pass(ForgetAfter - time.Minute)
		r.wants("n", all)
		r.Set(map[string]Facts{"n": shown})
		r.Set(map[string]Facts{})
		r.pass(ForgetAfter - time.Minute)
		r.wants("n", all) // its time began anew
		r.pass(2 * time.Minute)
		r.wants("n", texts{})
		r.pass(2 * ForgetAfter)
		r.Set(map[string]Facts{})
		if len(r.agents) != 0 {
			t.Errorf("%d agents are remembered for ever", len(r.agents))
		}
		r.Set(map[string]Facts{"n": shown})
		r.wants("n", all)
	})
}

// A predecessor of ours labelled the node; its agent went before we began.
func TestLeftover(t *testing.T) {
	inBubble(t, everything, []*v1.Node{node("n", texts{rack: "r1"})}, func(r *rig) {
		r.Set(map[string]Facts{})
		r.pass(ForgetAfter - time.Minute)
		r.wants("n", texts{rack: "r1"})
		r.pass(2 * time.Minute)
		r.wants("n", texts{})
	})
}

func TestNodesThatComeAndChange(t *testing.T) {
	inBubble(t, everything, nil, func(r *rig) {
		r.Set(map[string]Facts{"n": shown})
		r.pass(time.Minute)
		created, err := r.api.CoreV1().Nodes().Create(r.t.Context(), node("n", nil), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r.wants("n", texts{rack: "r1", region: "eu", zone: "eu-1"})
		created.Labels = texts{rack: "forged"}
		if _, err := r.api.CoreV1().Nodes().Update(r.t.Context(), created, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		r.wants("n", texts{rack: "r1", region: "eu", zone: "eu-1"})
	})
}

func TestFailuresAreRepeated(t *testing.T) {
	inBubble(t, everything, []*v1.Node{node("n", nil)}, func(r *rig) {
		r.failures.Store(3)
		r.Set(map[string]Facts{"n": shown})
		r.pass(10 * time.Second)
		r.wants("n", texts{rack: "r1", region: "eu", zone: "eu-1"})
		if got := r.patches.Load(); got != 4 {
			t.Errorf("%d patches, want 4", got)
		}
	})
}

func TestUnusableAttributesAreToldOnce(t *testing.T) {
	inBubble(t, everything, []*v1.Node{node("n", nil)}, func(r *rig) {
		r.Set(map[string]Facts{"n": {Attributes: texts{"rack": "r 1", "row": "7"}}})
		r.wants("n", texts{AttributePrefix + "row": "7"})
		if !slices.Equal([]string{r.told["n"]}, []string{"rack:r 1"}) {
			t.Errorf("told %q", r.told["n"])
		}
	})
}
