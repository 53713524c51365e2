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
	"fmt"
	"math/rand/v2"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

func cmd(cpu, memory, disk int64) resources.Vector {
	return resources.Vector{resources.CPU: cpu, resources.Memory: memory, resources.Disk: disk}
}

// capacity is that of a node that says something of all that it has.
func capacity(amount resources.Vector) Capacity {
	c := Capacity{Amount: amount}
	for k := range amount {
		c.Says[k] = amount[k] > 0
	}
	return c
}

func TestCapacity(t *testing.T) {
	table := resources.NewTable(resources.Options{
		GPU:      "nvidia.com/gpu",
		Extended: map[v1.ResourceName]string{"amd.com/gpu": "gpus", "example.com/thing": "things"},
	})
	quantities := func(pairs ...string) v1.ResourceList {
		list := v1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			list[v1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return list
	}
	for _, test := range []struct {
		name        string
		table       *resources.Table
		allocatable v1.ResourceList
		want        Capacity
	}{
		{"nothing", table, nil, Capacity{}},
		{"other resources", table, quantities("pods", "110", "example.com/thing", "3", "hugepages-1Gi", "1Gi"), Capacity{}},
		{
			"all kinds", table, quantities("cpu", "4", "memory", "8Gi", "ephemeral-storage", "1Gi", "nvidia.com/gpu", "2"),
			Capacity{resources.Vector{4000, 8192000, 1024000, 2000}, [resources.NumKinds]bool{true, true, true, true}},
		},
		{
			"two kinds of GPUs", table, quantities("nvidia.com/gpu", "2", "amd.com/gpu", "1"),
			Capacity{resources.Vector{resources.GPU: 3000}, [resources.NumKinds]bool{resources.GPU: true}},
		},
		{
			"devices that were lost", table, quantities("nvidia.com/gpu", "0"),
			Capacity{Says: [resources.NumKinds]bool{resources.GPU: true}},
		},
		{"GPUs that nobody configured", resources.NewTable(resources.Options{}), quantities("nvidia.com/gpu", "2"), Capacity{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := CapacityOf(test.table, test.allocatable); got != test.want {
				t.Errorf("capacity is %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestBalance(t *testing.T) {
	for _, test := range []struct {
		name                        string
		agent, allocatable, foreign resources.Vector
		over                        resources.Vector
	}{
		{"exactly what is left", cmd(3, 6, 0), cmd(4, 8, 0), cmd(1, 2, 0), cmd(0, 0, 0)},
		{"less than is left", cmd(1, 1, 0), cmd(4, 8, 0), cmd(1, 2, 0), cmd(0, 0, 0)},
		{"more cpu than is left", cmd(4, 6, 0), cmd(4, 8, 0), cmd(1, 2, 0), cmd(1, 0, 0)},
		{"more of everything", cmd(4, 8, 9), cmd(4, 8, 9), cmd(1, 2, 3), cmd(1, 2, 3)},
		{"more than the whole node", cmd(5, 8, 0), cmd(4, 8, 0), cmd(0, 0, 0), cmd(1, 0, 0)},
		{"disk that the kubelet does not count", cmd(4, 8, 100), cmd(4, 8, 0), cmd(0, 0, 0), cmd(0, 0, 0)},
		{"foreign pods above what there is", cmd(2, 2, 0), cmd(4, 8, 0), cmd(9, 9, 0), cmd(2, 2, 0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := NewBooks()
			b.SetPod("p", "n", test.foreign)
			b.SetNode("n", capacity(test.allocatable))
			if b.Of("n").Known {
				t.Error("a node without an agent is compared")
			}
			b.SetAgents(map[string]resources.Vector{"n": test.agent})
			got := b.Of("n")
			if over := got.Over(); !got.Known || over != test.over {
				t.Errorf("over by %s, want %s", over, test.over)
			}
			b.DeleteNode("n")
			if got := b.Of("n"); got.Known || !got.Over().IsZero() {
				t.Errorf("a node that is gone is over by %s", got.Over())
			}
		})
	}
}

// A kind that the kubelet counts and has none of is compared, one it does not count
// is not.
func TestWhatANodeSaysNothingOf(t *testing.T) {
	b := NewBooks()
	b.SetAgents(map[string]resources.Vector{"n": {4000, 8000, 100, 2000}})
	none := Capacity{Amount: resources.Vector{4000, 8000}, Says: [resources.NumKinds]bool{true, true, false, true}}
	b.SetNode("n", none)
	if over := b.Of("n").Over(); over != (resources.Vector{resources.GPU: 2000}) {
		t.Errorf("over by %s, want gpus:2", over)
	}
	none.Says[resources.GPU] = false
	if !b.SetNode("n", none) || !b.Of("n").Over().IsZero() {
		t.Errorf("over by %s, want nothing", b.Of("n").Over())
	}
	if b.SetNode("n", none) {
		t.Error("a node that is the same changed")
	}
}

// TestSumsAgainstModel adds, moves, changes and deletes pods at random, and sums
// them up anew each time.
func TestSumsAgainstModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	b, model := NewBooks(), map[string]entry{}
	for range 5000 {
		uid, node := fmt.Sprint("p", random.IntN(20)), fmt.Sprint("n", random.IntN(3))
		if random.IntN(3) == 0 {
			if got := b.DeletePod(uid); got != model[uid].node {
				t.Fatalf("%s was on %q, want %q", uid, got, model[uid].node)
			}
			delete(model, uid)
		} else {
			was, known := model[uid]
			is := entry{node, cmd(random.Int64N(3), random.Int64N(3), 0)}
			changed, left := b.SetPod(uid, is.node, is.requests)
			wantChanged, wantLeft := is.node, ""
			if known && was.node != is.node {
				wantLeft = was.node
			}
			if known && was == is {
				wantChanged = ""
			}
			if changed != wantChanged || left != wantLeft {
				t.Fatalf("SetPod = %q, %q, want %q, %q", changed, left, wantChanged, wantLeft)
			}
			model[uid] = is
		}
		sums := map[string]resources.Vector{}
		for _, e := range model {
			sums[e.node] = sums[e.node].Add(e.requests)
		}
		for n := range 3 {
			if node := fmt.Sprint("n", n); b.foreign[node] != sums[node] {
				t.Fatalf("%s has %s, want %s", node, b.foreign[node], sums[node])
			}
		}
	}
}

func TestSetAgentsTellsWhatChanged(t *testing.T) {
	b := NewBooks()
	type agents = map[string]resources.Vector
	for _, step := range []struct {
		set  agents
		want int
	}{
		{agents{"a": cmd(1, 1, 1), "b": cmd(1, 1, 1)}, 2}, {agents{"a": cmd(1, 1, 1), "b": cmd(1, 1, 1)}, 0},
		{agents{"a": cmd(2, 1, 1), "b": cmd(1, 1, 1)}, 1}, {agents{"a": cmd(2, 1, 1), "c": cmd(1, 1, 1)}, 2}, {agents{}, 2},
	} {
		if got := b.SetAgents(step.set); len(got) != step.want {
			t.Errorf("%v changed %v, want %d", step.set, got, step.want)
		}
	}
}
