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

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OnClaimLost says what becomes of a running pod whose claim Mesos ended.
type OnClaimLost string

const (
	// OnClaimLostEvict evicts the pod.
	OnClaimLostEvict OnClaimLost = "Evict"
	// OnClaimLostReacquire lets the pod run and claims its resources anew on its
	// node.
	OnClaimLostReacquire OnClaimLost = "Reacquire"
	// OnClaimLostKeep lets the pod run without a claim.
	OnClaimLostKeep OnClaimLost = "Keep"
)

// Claims says what becomes of running pods whose claims Mesos ended, and how many
// of them may go.
type Claims struct {
	// OnLost is for pods without the annotation kube-mesos.io/on-claim-lost.
	// "Evict" (default), "Reacquire" or "Keep".
	OnLost OnClaimLost `json:"onLost,omitempty"`
	// ReacquireTimeout is how long a pod may run without a claim until it is
	// evicted, where OnLost says Reacquire; 0: for ever. 0s to 24h, default 10m.
	ReacquireTimeout *metav1.Duration `json:"reacquireTimeout,omitempty"`
	// PDBDeadline is how long PodDisruptionBudgets are honoured until the pod is
	// deleted; 0: not at all. 0s to 24h, default 5m.
	PDBDeadline *metav1.Duration `json:"pdbDeadline,omitempty"`
	// EvictionsPerMinute bounds how many pods are evicted in the long run because
	// of lost claims. 1 to 10000, default 30.
	EvictionsPerMinute *int32 `json:"evictionsPerMinute,omitempty"`
	// EvictionBurst is how many of them may go at once. No fewer lost claims ever
	// stop all evictions. 1 to 10000, default 20.
	EvictionBurst *int32 `json:"evictionBurst,omitempty"`
	// EvictionPercent is the share of our pods above which lost claims stop all
	// such evictions, until Mesos says again of each that it is lost; 100: never.
	// 1 to 100, default 20.
	EvictionPercent *int32 `json:"evictionPercent,omitempty"`
	// EvictionWindow is the time within which lost claims are counted for that.
	// 10s to 1h, default 5m.
	EvictionWindow *metav1.Duration `json:"evictionWindow,omitempty"`
}

// CordonedNodes says what Mesos is told of an agent whose node is cordoned.
type CordonedNodes string

const (
	// CordonedNodesIgnore tells Mesos nothing: we refuse the agent's offers, and
	// other frameworks may use it.
	CordonedNodesIgnore CordonedNodes = "Ignore"
	// CordonedNodesDeactivate deactivates the agent (DEACTIVATE_AGENT): nobody is
	// offered it, and what runs there runs on.
	CordonedNodesDeactivate CordonedNodes = "Deactivate"
	// CordonedNodesDrain drains the agent (DRAIN_AGENT): the tasks of all
	// frameworks there end.
	CordonedNodesDrain CordonedNodes = "Drain"
)

// Maintenance says what is done about agents that Mesos' operators, and nodes that
// Kubernetes' take out of service.
type Maintenance struct {
	// Taint taints the nodes of agents with a maintenance window or a drain ahead.
	// Default true.
	Taint *bool `json:"taint,omitempty"`
	// EvictBefore is how long before such a window begins its pods are evicted.
	// 0s to 24h, default 5m.
	EvictBefore *metav1.Duration `json:"evictBefore,omitempty"`
	// CordonedNodes says what Mesos is told of the agents of cordoned nodes.
	// "Ignore" (default), "Deactivate" or "Drain"; the last two take rights of a
	// Mesos operator.
	CordonedNodes CordonedNodes `json:"cordonedNodes,omitempty"`
	// DrainGrace is the most grace that tasks get where CordonedNodes drains
	// (max_grace_period); 0: as much as they ask for. 0s to 24h, default 10m.
	DrainGrace *metav1.Duration `json:"drainGrace,omitempty"`
}
