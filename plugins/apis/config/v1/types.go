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

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MesosOffersArgs holds the arguments of the scheduler plugin MesosOffers. They
// are logged at start-up and served on /configz, so they never hold secrets.
//
// Durations are written as in Go: "500ms", "30s", "168h".
type MesosOffersArgs struct {
	metav1.TypeMeta `json:",inline"`

	// Masters lists the Mesos masters, each as "host:port", "http://host:port"
	// or "https://host:port"; without a scheme http is spoken, or https if
	// TLS.Enabled says so. The session asks them for the leader. At least one
	// entry is required; no two entries may name the same host and port. Or it is
	// one entry "zk://host:port,host:port/path": the ZooKeeper ensemble that knows
	// the leader, 2181 where a port is left out. No default.
	// +listType=atomic
	Masters []string `json:"masters,omitempty"`
	// Framework says who we are in Mesos.
	Framework Framework `json:"framework,omitempty"`
	// Authentication says how we prove to the masters who we are.
	Authentication Authentication `json:"authentication,omitempty"`
	// TLS says how https is spoken with the masters.
	TLS TLS `json:"tls,omitempty"`
	// ZooKeeper says how the ensemble is asked that Masters names.
	ZooKeeper ZooKeeper `json:"zookeeper,omitempty"`
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
	// Offers tunes which offers we ask for, how long they are held and how they
	// are used and refused.
	Offers Offers `json:"offers,omitempty"`
	// Preemption says when other pods may be preempted for a pod that finds no
	// fitting offer.
	Preemption Preemption `json:"preemption,omitempty"`
	// Session tunes the connection to the Mesos master.
	Session Session `json:"session,omitempty"`
	// Placeholder describes the task that holds a pod's resources on an agent.
	Placeholder Placeholder `json:"placeholder,omitempty"`
	// NodeLabels says what of a node's agent its labels show.
	NodeLabels NodeLabels `json:"nodeLabels,omitempty"`
	// Roles says which Mesos roles the pods of a namespace use.
	Roles Roles `json:"roles,omitempty"`
	// Reservations says how reserved resources are used.
	Reservations Reservations `json:"reservations,omitempty"`
	// Revocable says which pods ride on revocable resources.
	Revocable Revocable `json:"revocable,omitempty"`
	// Resources says what of a pod's needs is claimed, and under which Mesos names.
	Resources Resources `json:"resources,omitempty"`
	// Quota says what the Mesos quotas of our roles do in Kubernetes.
	Quota Quota `json:"quota,omitempty"`
	// Balance says what is done where an agent offers more than its node has.
	Balance Balance `json:"balance,omitempty"`
	// Claims says what becomes of running pods whose claims Mesos ended.
	Claims Claims `json:"claims,omitempty"`
	// Maintenance says what is done about agents and nodes that are taken out of
	// service.
	Maintenance Maintenance `json:"maintenance,omitempty"`
}

// OnFrameworkRemoved says what follows when Mesos removed the framework.
type OnFrameworkRemoved string

const (
	// OnFrameworkRemovedNewIdentity registers a new framework, which takes over
	// the pods that run.
	OnFrameworkRemovedNewIdentity OnFrameworkRemoved = "NewIdentity"
	// OnFrameworkRemovedWait waits until an operator deletes the framework ID
	// that is kept.
	OnFrameworkRemovedWait OnFrameworkRemoved = "Wait"
)

// Framework is what we register as in Mesos (FrameworkInfo).
type Framework struct {
	// Name is shown in the Mesos UI. Not empty, default "kube-mesos".
	Name *string `json:"name,omitempty"`
	// User is the operating system user of the placeholder tasks on the agents.
	// Not empty, default "root".
	User *string `json:"user,omitempty"`
	// Role is the Mesos role of pods whose namespace names none, be it by
	// annotation or by a rule of Roles, for example "batch" or
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
	// OnRemoved says what follows when Mesos removed the framework, and with it
	// all its tasks. "NewIdentity" (default) or "Wait".
	OnRemoved OnFrameworkRemoved `json:"onRemoved,omitempty"`
}

// ConfigMapReference names a ConfigMap.
type ConfigMapReference struct {
	// Namespace of the ConfigMap. Default "kube-system".
	Namespace *string `json:"namespace,omitempty"`
	// Name of the ConfigMap. Default "kube-mesos-framework".
	Name *string `json:"name,omitempty"`
}

// OfferTerms says whether the Mesos master is told what offers must be like.
type OfferTerms string

const (
	// OfferTermsAuto tells a master that understands it.
	OfferTermsAuto OfferTerms = "Auto"
	// OfferTermsNever tells no master: we sort out what it offers.
	OfferTermsNever OfferTerms = "Never"
)

// Offers tunes which offers we ask for, how long they are held and how they are
// used and refused.
type Offers struct {
	// MaxHold is how long an offer is held that no pending pod uses, before it
	// is declined. Longer finds offers ready for the next pod, shorter leaves
	// them to other frameworks. 100ms to 5m, default 10s.
	MaxHold *metav1.Duration `json:"maxHold,omitempty"`
	// RefuseUnused is the decline filter (refuse_seconds) of an offer that no
	// pending pod can use, or none used: for so long Mesos does not offer us these
	// resources again, unless more becomes free on the agent or we revive. 0s to
	// 1h, default 1m.
	RefuseUnused *metav1.Duration `json:"refuseUnused,omitempty"`
	// RefuseForeign is the decline filter of an offer from an agent that is no
	// Kubernetes node, or not clearly one. 1s to 8760h, default 1h.
	RefuseForeign *metav1.Duration `json:"refuseForeign,omitempty"`
	// ReviveEvery is the least time between two REVIVEs of a role that waits for
	// offers, but for the first three: each costs the master an allocation.
	ReviveEvery *metav1.Duration `json:"reviveEvery,omitempty"`
	// SurplusAfter is how long more is held than the waiting pods need, for them
	// to choose from, before the surplus is declined. 1ms to 1m, default 200ms.
	SurplusAfter *metav1.Duration `json:"surplusAfter,omitempty"`
	// RefuseSurplus is the decline filter of an offer that fits a waiting pod but
	// is one more than the waiting pods need. A REVIVE ends it. 1s to 1h, default
	// 30s.
	RefuseSurplus *metav1.Duration `json:"refuseSurplus,omitempty"`
	// WarmAgents is the number of agents, for each role, whose offers are held
	// although no pod waits, for the next pod; nobody else can use them meanwhile.
	// 0 holds none. 0 to 10000, default 0.
	WarmAgents *int32 `json:"warmAgents,omitempty"`
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
	// PredictedWait bounds how long a pod waits for what an ACCEPT just sent will
	// leave over on its agent; 0s: no pod is promised that. 0s to 1m, default 2s.
	PredictedWait *metav1.Duration `json:"predictedWait,omitempty"`
	// Constraints says whether the master is told of which agents we want offers
	// (offer constraints): "Auto" (default) tells masters of Mesos 1.11 and later,
	// "Never" none.
	Constraints OfferTerms `json:"constraints,omitempty"`
	// MaxConstraintHosts bounds how many agents the constraints of one role name
	// by their host names; more are not told apart by name. 1 to 10000, default
	// 256.
	MaxConstraintHosts *int32 `json:"maxConstraintHosts,omitempty"`
	// MinAllocatable says whether the master is told the size below which an
	// offer serves no waiting pod (offer_filters.min_allocatable_resources):
	// "Auto" (default) or "Never".
	MinAllocatable OfferTerms `json:"minAllocatable,omitempty"`
}

// Preemption says when other pods may be preempted for a pod that finds no
// fitting offer. Preemption on nodes whose offers fit the pod is Kubernetes' own
// and not concerned.
type Preemption struct {
	// Enabled lets preemption look at nodes whose agents offer too little, once a
	// pod starves. Default true.
	Enabled *bool `json:"enabled,omitempty"`
	// StarvationTimeout is how long a pod must have found no fitting offer before
	// that; 0s: at once. 0s to 1h, default 30s.
	StarvationTimeout *metav1.Duration `json:"starvationTimeout,omitempty"`
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

// Roles says which Mesos roles the pods of a namespace use, and when we
// subscribe to them. Framework.Role is for namespaces without annotation or
// matching rule.
type Roles struct {
	// Annotation lets the annotation kube-mesos.io/roles of a Namespace name
	// its roles, parted by commas; it goes before the rules. Default true.
	Annotation *bool `json:"annotation,omitempty"`
	// Rules give roles to namespaces by their labels. The first that matches
	// counts. Default: none.
	// +listType=atomic
	Rules []RoleRule `json:"rules,omitempty"`
	// FallbackAfter is how long a pod waits for offers in the first of its
	// roles before the next role is asked too; 0 asks all at once. 0s to 10m,
	// default 3s.
	FallbackAfter *metav1.Duration `json:"fallbackAfter,omitempty"`
	// UpdatePeriod is the time in which the roles of our framework change once
	// at most, since Mesos tells every change to all agents. The first change
	// goes at once. 1s to 10m, default 10s.
	UpdatePeriod *metav1.Duration `json:"updatePeriod,omitempty"`
	// KeepUnused is how long we stay subscribed to a role that no pod uses. 0s
	// to 24h, default 10m.
	KeepUnused *metav1.Duration `json:"keepUnused,omitempty"`
}

// RoleRule gives roles to the namespaces that match a label selector.
type RoleRule struct {
	// NamespaceSelector selects namespaces by their labels. Left out, or empty:
	// all of them.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// Roles are the roles of such a namespace, in order of preference.
	// {namespace} in them stands for its name, as in "k8s/{namespace}". At
	// least one is required.
	// +listType=atomic
	Roles []string `json:"roles,omitempty"`
}

// ReservationPolicy says whether pods use reserved or unreserved resources.
type ReservationPolicy string

const (
	// ReservationPolicyReservedFirst uses reserved resources before unreserved
	// ones.
	ReservationPolicyReservedFirst ReservationPolicy = "ReservedFirst"
	// ReservationPolicyUnreservedFirst uses reserved resources where the
	// unreserved ones do not suffice.
	ReservationPolicyUnreservedFirst ReservationPolicy = "UnreservedFirst"
	// ReservationPolicyReservedOnly uses nothing but reserved resources.
	ReservationPolicyReservedOnly ReservationPolicy = "ReservedOnly"
)

// Reservations says how resources that are reserved for our roles are used.
type Reservations struct {
	// Policy is for pods without the annotation
	// kube-mesos.io/reservation-policy. "ReservedFirst" (default),
	// "UnreservedFirst" or "ReservedOnly".
	Policy ReservationPolicy `json:"policy,omitempty"`
	// Sticky lets pods of StatefulSets ask, by the annotation
	// kube-mesos.io/reserve, for reservations of their own, which outlive them.
	// Default true.
	Sticky *bool `json:"sticky,omitempty"`
	// ReleaseAfter is how long the owner of such a reservation must seem to need
	// it no more before it is given back: who replaces a pod together with its
	// volume claims gets both again. 0s to 24h, default 30s.
	ReleaseAfter *metav1.Duration `json:"releaseAfter,omitempty"`
}

// RevocableUse says whether a pod rides on revocable resources.
type RevocableUse string

const (
	// RevocableUseNever keeps a pod on regular resources.
	RevocableUseNever RevocableUse = "Never"
	// RevocableUseAllowed lets a pod use revocable or regular resources.
	RevocableUseAllowed RevocableUse = "Allowed"
	// RevocableUseRequired keeps a pod pending until revocable cpus are
	// offered.
	RevocableUseRequired RevocableUse = "Required"
)

// Revocable says which pods ride on revocable resources: what Mesos lends
// until its owner wants it back, and then kills the pod that rides on it.
type Revocable struct {
	// Enabled asks Mesos for offers of revocable resources (the capability
	// REVOCABLE_RESOURCES). Default false.
	Enabled *bool `json:"enabled,omitempty"`
	// PriorityClasses lets pods ride by their priority class; a pod's
	// annotation kube-mesos.io/revocable goes before. Only allowed with
	// Enabled. Default: none.
	// +listType=map
	// +listMapKey=name
	PriorityClasses []RevocableRule `json:"priorityClasses,omitempty"`
}

// RevocableRule says whether the pods of a priority class ride on revocable
// resources.
type RevocableRule struct {
	// Name of the PriorityClass. No two rules may name the same.
	Name string `json:"name"`
	// Use is "Never", "Allowed" or "Required".
	Use RevocableUse `json:"use"`
}

// Quota says what the Mesos quotas of our roles do in Kubernetes.
type Quota struct {
	// PollPeriod is the pause between two readings of the quotas. 1s to 10m,
	// default 10s.
	PollPeriod *metav1.Duration `json:"pollPeriod,omitempty"`
	// Enforce makes the limits of a top-level role hold for what we use in its
	// sub-roles too, which Mesos itself does not. Default true.
	Enforce *bool `json:"enforce,omitempty"`
	// Status shows the quota of a namespace's role, and what is used of it, in
	// an annotation of the namespace. Default true.
	Status *bool `json:"status,omitempty"`
	// ResourceQuota keeps a ResourceQuota in each namespace that follows the
	// Mesos quota of its role. Default false.
	ResourceQuota *bool `json:"resourceQuota,omitempty"`
	// Push makes the Mesos quota of a namespace's role follow the ResourceQuota
	// that is labelled kube-mesos.io/push=true. Not together with
	// ResourceQuota. Default false.
	Push *bool `json:"push,omitempty"`
}

// Balance says what is done where an agent offers more than its node has free
// of pods that are not ours.
type Balance struct {
	// Cap uses of an agent's offers no more than what the kubelet can allocate
	// minus what pods of other schedulers request on the node. Default false.
	Cap *bool `json:"cap,omitempty"`
}
