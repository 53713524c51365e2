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

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MesosOffersArgs holds the arguments of the scheduler plugin MesosOffers. They
// are logged at start-up and served on /configz, so they never hold secrets.
type MesosOffersArgs struct {
	metav1.TypeMeta

	// Masters lists the Mesos masters, each as "host:port", "http://host:port"
	// or "https://host:port"; without a scheme http is spoken, or https if
	// TLS.Enabled says so. The session asks them for the leader. At least one
	// entry is required; no two entries may name the same host and port. Or it is
	// one entry "zk://host:port,host:port/path": the ZooKeeper ensemble that knows
	// the leader, 2181 where a port is left out.
	Masters []string
	// Framework says who we are in Mesos.
	Framework Framework
	// Authentication says how we prove to the masters who we are.
	Authentication Authentication
	// TLS says how https is spoken with the masters.
	TLS TLS
	// ZooKeeper says how the ensemble is asked that Masters names.
	ZooKeeper ZooKeeper
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
	// Offers tunes which offers we ask for, how long they are held and how they
	// are used and refused.
	Offers Offers
	// Preemption says when other pods may be preempted for a pod that finds no
	// fitting offer.
	Preemption Preemption
	// Session tunes the connection to the Mesos master.
	Session Session
	// Placeholder describes the task that holds a pod's resources on an agent.
	Placeholder Placeholder
	// NodeLabels says what of a node's agent its labels show.
	NodeLabels NodeLabels
	// Roles says which Mesos roles the pods of a namespace use.
	Roles Roles
	// Reservations says how reserved resources are used.
	Reservations Reservations
	// Revocable says which pods ride on revocable resources.
	Revocable Revocable
	// Resources says what of a pod's needs is claimed, and under which Mesos names.
	Resources Resources
	// Quota says what the Mesos quotas of our roles do in Kubernetes.
	Quota Quota
	// Balance says what is done where an agent offers more than its node has.
	Balance Balance
	// Claims says what becomes of running pods whose claims Mesos ended.
	Claims Claims
	// Maintenance says what is done about agents and nodes that are taken out of
	// service.
	Maintenance Maintenance
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
	// Name is shown in the Mesos UI. Not empty.
	Name string
	// User is the operating system user of the placeholder tasks on the agents.
	// Not empty.
	User string
	// Role is the Mesos role of pods whose namespace names none, be it by
	// annotation or by a rule of Roles; "*" is Mesos' default role.
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
	// OnRemoved says what follows when Mesos removed the framework, and with it
	// all its tasks.
	OnRemoved OnFrameworkRemoved
}

// ConfigMapReference names a ConfigMap.
type ConfigMapReference struct {
	// Namespace of the ConfigMap, a DNS label.
	Namespace string
	// Name of the ConfigMap, a DNS subdomain.
	Name string
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
	// is declined.
	MaxHold metav1.Duration
	// RefuseUnused is the decline filter (refuse_seconds) of an offer that no
	// pending pod can use, or none used: for so long Mesos does not offer us these
	// resources again, unless more becomes free on the agent or we revive.
	RefuseUnused metav1.Duration
	// RefuseForeign is the decline filter of an offer from an agent that is no
	// Kubernetes node, or not clearly one.
	RefuseForeign metav1.Duration
	// ReviveEvery is the least time between two REVIVEs of a role that waits for
	// offers, but for the first three: each costs the master an allocation.
	ReviveEvery metav1.Duration
	// SurplusAfter is how long more is held than the waiting pods need, for them
	// to choose from, before the surplus is declined.
	SurplusAfter metav1.Duration
	// RefuseSurplus is the decline filter of an offer that fits a waiting pod but
	// is one more than the waiting pods need.
	RefuseSurplus metav1.Duration
	// WarmAgents is the number of agents, for each role, whose offers are held
	// although no pod waits, for the next pod; 0 holds none.
	WarmAgents int32
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
	// PredictedWait bounds how long a pod waits for what an ACCEPT just sent will
	// leave over on its agent; 0: no pod is promised that.
	PredictedWait metav1.Duration
	// Constraints says whether the master is told of which agents we want offers
	// (offer constraints, Mesos 1.11).
	Constraints OfferTerms
	// MaxConstraintHosts bounds how many agents the constraints of one role name
	// by their host names; more are not told apart by name.
	MaxConstraintHosts int32
	// MinAllocatable says whether the master is told the size below which an
	// offer serves no waiting pod (offer_filters.min_allocatable_resources).
	MinAllocatable OfferTerms
}

// Preemption says when other pods may be preempted for a pod that finds no
// fitting offer. Preemption on nodes whose offers fit the pod is Kubernetes' own
// and not concerned.
type Preemption struct {
	// Enabled lets preemption look at nodes whose agents offer too little, once a
	// pod starves.
	Enabled bool
	// StarvationTimeout is how long a pod must have found no fitting offer before
	// that; 0: at once.
	StarvationTimeout metav1.Duration
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

// RoleTemplateNamespace stands for the name of the pod's namespace in the role
// templates of a RoleRule.
const RoleTemplateNamespace = "{namespace}"

// Roles says which Mesos roles the pods of a namespace use, and when we
// subscribe to them. Framework.Role is for namespaces without annotation or
// matching rule.
type Roles struct {
	// Annotation lets the annotation kube-mesos.io/roles of a Namespace name
	// its roles, parted by commas; it goes before the rules.
	Annotation bool
	// Rules give roles to namespaces by their labels. The first that matches
	// counts.
	Rules []RoleRule
	// FallbackAfter is how long a pod waits for offers in the first of its
	// roles before the next role is asked too; 0 asks all at once.
	FallbackAfter metav1.Duration
	// UpdatePeriod is the time in which the roles of our framework change once
	// at most, since Mesos tells every change to all agents. The first change
	// goes at once.
	UpdatePeriod metav1.Duration
	// KeepUnused is how long we stay subscribed to a role that no pod uses.
	KeepUnused metav1.Duration
}

// RoleRule gives roles to the namespaces that match a label selector.
type RoleRule struct {
	// NamespaceSelector selects namespaces by their labels; nil or empty: all
	// of them.
	NamespaceSelector *metav1.LabelSelector
	// Roles are the roles of such a namespace, in order of preference.
	// {namespace} in them stands for its name, as in "k8s/{namespace}". At
	// least one is required.
	Roles []string
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
	// kube-mesos.io/reservation-policy.
	Policy ReservationPolicy
	// Sticky lets pods of StatefulSets ask, by the annotation
	// kube-mesos.io/reserve, for reservations of their own, which outlive them.
	Sticky bool
	// ReleaseAfter is how long the owner of such a reservation must seem to need
	// it no more before it is given back.
	ReleaseAfter metav1.Duration
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
	// REVOCABLE_RESOURCES).
	Enabled bool
	// PriorityClasses lets pods ride by their priority class; a pod's
	// annotation kube-mesos.io/revocable goes before. Only allowed with
	// Enabled.
	PriorityClasses []RevocableRule
}

// RevocableRule says whether the pods of a priority class ride on revocable
// resources.
type RevocableRule struct {
	// Name of the PriorityClass. No two rules may name the same.
	Name string
	// Use is "Never", "Allowed" or "Required".
	Use RevocableUse
}

// Quota says what the Mesos quotas of our roles do in Kubernetes.
type Quota struct {
	// PollPeriod is the pause between two readings of the quotas.
	PollPeriod metav1.Duration
	// Enforce makes the limits of a top-level role hold for what we use in its
	// sub-roles too, which Mesos itself does not.
	Enforce bool
	// Status shows the quota of a namespace's role, and what is used of it, in
	// an annotation of the namespace.
	Status bool
	// ResourceQuota keeps a ResourceQuota in each namespace that follows the
	// Mesos quota of its role.
	ResourceQuota bool
	// Push makes the Mesos quota of a namespace's role follow the ResourceQuota
	// that is labelled kube-mesos.io/push=true. Not together with
	// ResourceQuota.
	Push bool
}

// Balance says what is done where an agent offers more than its node has free
// of pods that are not ours.
type Balance struct {
	// Cap uses of an agent's offers no more than what the kubelet can allocate
	// minus what pods of other schedulers request on the node.
	Cap bool
}
