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

// Package nodebalance compares what the Mesos agent of a node gives away with what
// the node has left for it: its allocatable resources minus the requests of pods
// that other schedulers placed there. An agent that gives away more overcommits the
// machine, whatever both sides' books say; the node then has a condition that tells,
// and who places pods may be told how much of the agent's offers to leave unused.
package nodebalance

import (
	"fmt"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Books holds the sums. It is not safe for concurrent use.
type Books struct {
	agents, foreign map[string]resources.Vector
	nodes           map[string]Capacity
	pods            map[string]entry
}

// entry is a pod of another scheduler on a node.
type entry struct {
	node     string
	requests resources.Vector
}

// Capacity is what a node has for pods.
type Capacity struct {
	Amount resources.Vector
	// Says is of which kinds the node says something, be it that it has none: that is
	// how a kubelet tells of devices that it lost. A kind of which it says nothing is
	// not the kubelet's to share.
	Says [resources.NumKinds]bool
}

// CapacityOf counts allocatable resources of a node.
func CapacityOf(table *resources.Table, allocatable v1.ResourceList) Capacity {
	c := Capacity{Amount: table.NodeAllocatable(allocatable).Vector}
	for name := range allocatable {
		if mesos, ok := table.MesosNameOf(name); ok {
			if kind, counted := resources.KindOfMesos(mesos); counted {
				c.Says[kind] = true
			}
		}
	}
	return c
}

// NewBooks returns empty books.
func NewBooks() *Books {
	return &Books{
		agents: map[string]resources.Vector{}, foreign: map[string]resources.Vector{},
		nodes: map[string]Capacity{}, pods: map[string]entry{},
	}
}

// SetAgents notes what the agents of all nodes that have one advertise. It returns
// the nodes of which that changed.
func (b *Books) SetAgents(agents map[string]resources.Vector) (changed []string) {
	for node, v := range agents {
		if old, ok := b.agents[node]; !ok || old != v {
			changed = append(changed, node)
		}
	}
	for node := range b.agents {
		if _, ok := agents[node]; !ok {
			changed = append(changed, node)
		}
	}
	b.agents = agents
	return changed
}

// SetNode notes what a node has, and whether that is something else than before.
func (b *Books) SetNode(name string, capacity Capacity) (changed bool) {
	old, known := b.nodes[name]
	b.nodes[name] = capacity
	return !known || old != capacity
}

// DeleteNode forgets a node.
func (b *Books) DeleteNode(name string) { delete(b.nodes, name) }

// SetPod notes what a pod that is not ours requests on a node. It returns the nodes
// of which the sum changed, "" for none.
func (b *Books) SetPod(uid, node string, requests resources.Vector) (changed, left string) {
	old, known := b.pods[uid]
	if known && old.node == node && old.requests == requests {
		return "", ""
	}
	left = b.DeletePod(uid)
	b.pods[uid] = entry{node, requests}
	b.foreign[node] = b.foreign[node].Add(requests)
	if left == node {
		left = ""
	}
	return node, left
}

// DeletePod forgets a pod and returns the node it was on, "" if it is not known.
func (b *Books) DeletePod(uid string) (node string) {
	old, known := b.pods[uid]
	if !known {
		return ""
	}
	delete(b.pods, uid)
	if rest := b.foreign[old.node].Sub(old.requests); rest.IsZero() {
		delete(b.foreign, old.node)
	} else {
		b.foreign[old.node] = rest
	}
	return old.node
}

// Balance is how a node stands.
type Balance struct {
	// Known tells that the node is there and has an agent.
	Known bool
	// Advertised is what its agent gives away in all, Free what the node has left for
	// it. Kinds that are not compared are nothing in both.
	Advertised, Free resources.Vector
}

// Of returns the balance of a node.
func (b *Books) Of(node string) Balance {
	advertised, hasAgent := b.agents[node]
	capacity, there := b.nodes[node]
	if !hasAgent || !there {
		return Balance{}
	}
	// Pods may hold more than there is: of a node that shrank, or as static pods.
	free := capacity.Amount.Sub(b.foreign[node]).Max(resources.Vector{})
	for k, says := range capacity.Says {
		if !says {
			advertised[k], free[k] = 0, 0
		}
	}
	return Balance{Known: true, Advertised: advertised, Free: free}
}

// Over returns by how much the agent gives away more than there is, of each kind;
// nothing if the machine is not overcommitted. It is also what must not be used of
// the agent's offers: they are what it advertises minus what tasks use, so that what
// remains of them is what the node has free of tasks and pods alike.
func (b Balance) Over() resources.Vector { return b.Advertised.Sub(b.Free).Max(resources.Vector{}) }

// message tells both numbers. withheld says that the excess is not used.
func (b Balance) message(withheld bool) string {
	text := fmt.Sprintf("the Mesos agent advertises %s, but pods of other schedulers leave %s of what the kubelet can allocate: give the agent %s less (its --resources), or the pods another node",
		b.Advertised, b.Free, b.Over())
	if withheld {
		text += "; until then that much of its offers is left unused"
	}
	return text
}
