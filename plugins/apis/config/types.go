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

package config

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
type MesosOffersArgs struct {
	metav1.TypeMeta

	// Masters lists the Mesos masters, each as "host:port", "http://host:port"
	// or "https://host:port"; without a scheme http is spoken. The session asks
	// them for the leader. At least one entry is required; no two entries may
	// name the same host and port.
	Masters []string
	// Framework says who we are in Mesos.
	Framework Framework
	// FrameworkIDConfigMap names the ConfigMap that keeps the framework ID.
	FrameworkIDConfigMap ConfigMapReference
	// DefaultRequests is what a pod claims of a resource of which it requests
	// nothing. Only cpu, memory and ephemeral-storage are allowed; cpu and
	// memory are always set and greater than zero, because Mesos launches no
	// task without both.
	DefaultRequests corev1.ResourceList
	// LaunchTimeout bounds how long PreBind waits for the placeholder task to be
	// STARTING or RUNNING. After it the claim is given back and the pod retried.
	LaunchTimeout metav1.Duration
	// Offers tunes how long offers are held and how they are used and refused.
	Offers Offers
	// Session tunes the connection to the Mesos master.
	Session Session
	// Placeholder describes the task that holds a pod's resources on an agent.
	Placeholder Placeholder
	// NodeLabels says what of a node's agent its labels show.
	NodeLabels NodeLabels
}

// Framework is what we register as in Mesos (FrameworkInfo).
type Framework struct {
	// Name is shown in the Mesos UI. Not empty.
	Name string
	// User is the operating system user of the placeholder tasks on the agents.
	// Not empty.
	User string
	// Role is the Mesos role whose offers we take; "*" is the default role.
	Role string
	// Principal identifies us to Mesos' authorizer and rate limiter; empty: none.
	Principal string
	// Hostname is shown in the Mesos UI; empty: the operating system's host name.
	Hostname string
	// WebUIURL is linked from the Mesos UI; empty: no link.
	WebUIURL string
	// FailoverTimeout is how long Mesos keeps our tasks after we disconnected.
	// When it ends, Mesos kills them all and refuses our framework ID for ever.
	FailoverTimeout metav1.Duration
}

// ConfigMapReference names a ConfigMap.
type ConfigMapReference struct {
	// Namespace of the ConfigMap, a DNS label.
	Namespace string
	// Name of the ConfigMap, a DNS subdomain.
	Name string
}

// Offers tunes how long offers are held and how they are used and refused.
type Offers struct {
	// MaxHold is how long an offer is held that no pending pod uses, before it
	// is declined.
	MaxHold metav1.Duration
	// RefuseUnused is the decline filter (refuse_seconds) of an offer that fitted
	// no pending pod: for so long Mesos does not offer us these resources again.
	RefuseUnused metav1.Duration
	// RefuseForeign is the decline filter of an offer from an agent that is no
	// Kubernetes node, or not clearly one.
	RefuseForeign metav1.Duration
	// IdleGrace is how long after the last pending pod all offers are declined
	// and the role is suppressed.
	IdleGrace metav1.Duration
	// BatchLinger is how long a batch of claims on one agent waits for one more
	// claim before its ACCEPT is sent; 0 sends at once.
	BatchLinger metav1.Duration
	// MaxBatchLinger bounds the age of a batch that keeps growing. At least
	// BatchLinger.
	MaxBatchLinger metav1.Duration
	// MaxTasksPerAccept bounds the number of tasks launched by one ACCEPT.
	MaxTasksPerAccept int32
	// CandidateLimit bounds how many fitting nodes PreFilter hands to the
	// scheduler for one pod; 0 hands over all of them.
	CandidateLimit int32
}

// Session tunes the connection to the Mesos master.
type Session struct {
	// Start says when this process subscribes.
	Start SessionStart
	// CallTimeout bounds one call to the master, from dialing to its response.
	// It does not bound the subscription's stream of events.
	CallTimeout metav1.Duration
	// HeartbeatMisses is the number of heartbeat intervals (announced by the
	// master) without any event after which the connection counts as dead.
	HeartbeatMisses int32
	// MaxRecordBytes bounds one event of the stream, in bytes. A longer one ends
	// the connection.
	MaxRecordBytes int64
	// BackoffInitial is the pause before the first new attempt to connect. It
	// doubles with each failed attempt, with jitter.
	BackoffInitial metav1.Duration
	// BackoffMax bounds that pause. At least BackoffInitial.
	BackoffMax metav1.Duration
}

// Placeholder describes the task that holds a pod's resources on an agent.
type Placeholder struct {
	// Command is the argument vector the agent executes, without a shell. The
	// task must run until it is killed.
	Command []string
}

// NodeLabels says what of a node's agent its labels show.
type NodeLabels struct {
	// Attributes shows each agent attribute as attribute.kube-mesos.io/<name>.
	Attributes bool
	// FaultDomain shows the agent's region and zone as
	// topology.kubernetes.io/region and zone, where the node has none.
	FaultDomain bool
}
