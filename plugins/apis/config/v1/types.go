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

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SessionStart says when this process subscribes to the Mesos master.
type SessionStart string

const (
	// SessionStartLeading subscribes once this replica leads: standby replicas
	// never subscribe. Two subscriptions with one framework ID would evict each
	// other.
	SessionStartLeading SessionStart = "Leading"
	// SessionStartImmediately subscribes as soon as the plugin is built. It is
	// for a single replica without leader election only.
	SessionStartImmediately SessionStart = "Immediately"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MesosOffersArgs holds the arguments of the scheduler plugin MesosOffers. They
// are logged at start-up and served on /configz, so they never hold secrets.
//
// Durations are written as in Go: "500ms", "30s", "168h".
type MesosOffersArgs struct {
	metav1.TypeMeta `json:",inline"`

	// Masters lists the Mesos masters, each as "host:port", "http://host:port"
	// or "https://host:port"; without a scheme http is spoken. The session asks
	// them for the leader. At least one entry is required; no two entries may
	// name the same host and port. No default.
	// +listType=atomic
	Masters []string `json:"masters,omitempty"`
	// Framework says who we are in Mesos.
	Framework Framework `json:"framework,omitempty"`
	// FrameworkIDConfigMap names the ConfigMap that keeps the framework ID which
	// Mesos gave us. Losing it means losing every running task, so it is written
	// before the first offer is used.
	FrameworkIDConfigMap ConfigMapReference `json:"frameworkIDConfigMap,omitempty"`
	// DefaultRequests is what a pod claims of a resource of which it requests
	// nothing. Only cpu, memory and ephemeral-storage are allowed. Default: cpu
	// 100m, memory 200Mi (each where it is left out), no ephemeral-storage. cpu
	// and memory must be greater than zero, because Mesos launches no task
	// without both.
	DefaultRequests corev1.ResourceList `json:"defaultRequests,omitempty"`
	// LaunchTimeout bounds how long PreBind waits for the placeholder task to be
	// STARTING or RUNNING. After it the claim is given back and the pod retried.
	// 1s to 10m, default 30s.
	LaunchTimeout *metav1.Duration `json:"launchTimeout,omitempty"`
	// Offers tunes how long offers are held and how they are used and refused.
	Offers Offers `json:"offers,omitempty"`
	// Session tunes the connection to the Mesos master.
	Session Session `json:"session,omitempty"`
	// Placeholder describes the task that holds a pod's resources on an agent.
	Placeholder Placeholder `json:"placeholder,omitempty"`
	// NodeLabels says what of a node's agent its labels show.
	NodeLabels NodeLabels `json:"nodeLabels,omitempty"`
}

// Framework is what we register as in Mesos (FrameworkInfo).
type Framework struct {
	// Name is shown in the Mesos UI. Not empty, default "kube-mesos".
	Name *string `json:"name,omitempty"`
	// User is the operating system user of the placeholder tasks on the agents.
	// Not empty, default "root".
	User *string `json:"user,omitempty"`
	// Role is the Mesos role whose offers we take, for example "batch" or
	// "engineering/batch". Mesos' rules for role names apply. Default "*", the
	// default role.
	Role *string `json:"role,omitempty"`
	// Principal identifies us to Mesos' authorizer and rate limiter. Default:
	// none.
	Principal string `json:"principal,omitempty"`
	// Hostname is shown in the Mesos UI. Default: the operating system's host
	// name.
	Hostname string `json:"hostname,omitempty"`
	// WebUIURL is an http or https URL linked from the Mesos UI. Default: none.
	WebUIURL string `json:"webUIURL,omitempty"`
	// FailoverTimeout is how long Mesos keeps our tasks after we disconnected.
	// When it ends, Mesos kills them all and refuses our framework ID for ever.
	// At least 1m, default 168h (a week).
	FailoverTimeout *metav1.Duration `json:"failoverTimeout,omitempty"`
}

// ConfigMapReference names a ConfigMap.
type ConfigMapReference struct {
	// Namespace of the ConfigMap. Default "kube-system".
	Namespace *string `json:"namespace,omitempty"`
	// Name of the ConfigMap. Default "kube-mesos-framework".
	Name *string `json:"name,omitempty"`
}

// Offers tunes how long offers are held and how they are used and refused.
type Offers struct {
	// MaxHold is how long an offer is held that no pending pod uses, before it
	// is declined. Longer finds offers ready for the next pod, shorter leaves
	// them to other frameworks. 100ms to 5m, default 10s.
	MaxHold *metav1.Duration `json:"maxHold,omitempty"`
	// RefuseUnused is the decline filter (refuse_seconds) of an offer that fitted
	// no pending pod: for so long Mesos does not offer us these resources again,
	// unless we revive. 0s to 1h, default 5s.
	RefuseUnused *metav1.Duration `json:"refuseUnused,omitempty"`
	// RefuseForeign is the decline filter of an offer from an agent that is no
	// Kubernetes node, or not clearly one. 1s to 8760h, default 1h.
	RefuseForeign *metav1.Duration `json:"refuseForeign,omitempty"`
	// IdleGrace is how long after the last pending pod all offers are declined
	// and the role is suppressed. 0s to 1m, default 1s.
	IdleGrace *metav1.Duration `json:"idleGrace,omitempty"`
	// BatchLinger is how long a batch of claims on one agent waits for one more
	// claim before its ACCEPT is sent; 0s sends at once. 0s to 1s, default 2ms.
	BatchLinger *metav1.Duration `json:"batchLinger,omitempty"`
	// MaxBatchLinger bounds the age of a batch that keeps growing. At least
	// BatchLinger, at most 5s, default 50ms.
	MaxBatchLinger *metav1.Duration `json:"maxBatchLinger,omitempty"`
	// MaxTasksPerAccept bounds the number of tasks launched by one ACCEPT. 1 to
	// 500, default 64.
	MaxTasksPerAccept *int32 `json:"maxTasksPerAccept,omitempty"`
	// CandidateLimit bounds how many fitting nodes PreFilter hands to the
	// scheduler for one pod; 0 hands over all of them. Fewer are faster in large
	// clusters, more give other plugins more to choose from. 0 to 1024, default
	// 128.
	CandidateLimit *int32 `json:"candidateLimit,omitempty"`
}

// Session tunes the connection to the Mesos master.
type Session struct {
	// Start says when this process subscribes: "Leading" (default) once this
	// replica leads, "Immediately" at start-up, for a single replica without
	// leader election only.
	Start SessionStart `json:"start,omitempty"`
	// CallTimeout bounds one call to the master, from dialing to its response.
	// It does not bound the subscription's stream of events. 100ms to 10m,
	// default 10s.
	CallTimeout *metav1.Duration `json:"callTimeout,omitempty"`
	// HeartbeatMisses is the number of heartbeat intervals (announced by the
	// master) without any event after which the connection counts as dead. 1 to
	// 20, default 3.
	HeartbeatMisses *int32 `json:"heartbeatMisses,omitempty"`
	// MaxRecordBytes bounds one event of the stream, in bytes. A longer one ends
	// the connection. At least 65536, default 268435456 (256 MiB).
	MaxRecordBytes *int64 `json:"maxRecordBytes,omitempty"`
	// BackoffInitial is the pause before the first new attempt to connect. It
	// doubles with each failed attempt, with jitter. 10ms to 1m, default 500ms.
	BackoffInitial *metav1.Duration `json:"backoffInitial,omitempty"`
	// BackoffMax bounds that pause. At least BackoffInitial, at most 1h, default
	// 15s.
	BackoffMax *metav1.Duration `json:"backoffMax,omitempty"`
}

// Placeholder describes the task that holds a pod's resources on an agent.
type Placeholder struct {
	// Command is the argument vector the agent executes, without a shell. The
	// task must run until it is killed. Not empty, default ["sleep", "infinity"].
	// +listType=atomic
	Command []string `json:"command,omitempty"`
}

// NodeLabels says what of a node's agent its labels show. What is switched off is
// removed from the nodes.
type NodeLabels struct {
	// Attributes shows each agent attribute as attribute.kube-mesos.io/<name>.
	// Default true.
	Attributes *bool `json:"attributes,omitempty"`
	// FaultDomain shows the agent's region and zone as
	// topology.kubernetes.io/region and zone, where the node has none. Default
	// true.
	FaultDomain *bool `json:"faultDomain,omitempty"`
}
