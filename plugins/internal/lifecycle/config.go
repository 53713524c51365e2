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

package lifecycle

import (
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/breaker"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
)

// Config holds what the plugin's arguments say about claims and offers.
type Config struct {
	// Roles are the role of namespaces that say nothing, and how others say it.
	Roles roles.Config
	// Subscriptions says how often the framework's roles may change.
	Subscriptions roles.Options
	// FallbackAfter is how long a pod waits for offers in one of its roles before the
	// next is asked, too.
	FallbackAfter time.Duration
	// Pods says what pods ask for.
	Pods   PodRules
	Claims claims.Config
	// OnLost is what becomes of bound pods whose task Mesos ended and that say nothing
	// else (AnnotationOnLost).
	OnLost claims.OnLost
	Demand demand.Config
	// Terms says what the master is told of the offers that we want.
	Terms   TermsConfig
	Command []string
	// Principal is who we are to Mesos, "" without authentication.
	Principal string
	// Registry knows the reservations of pods.
	Registry *reservations.Registry
	// Book and Usage are the quotas of our roles and what we hold of them; SetQuotas
	// takes in a reading, made every QuotaPeriod (0: never). EnforceQuota makes the
	// quota of a role hold for the roles below it.
	Book         *quota.Book
	Usage        *quota.Usage
	SetQuotas    func(list []quota.Role, ours map[string]resources.Bundle, at time.Time)
	QuotaPeriod  time.Duration
	EnforceQuota bool
	// KeepGPUs keeps agents with GPUs for pods that need some.
	KeepGPUs bool
	// Preempt lets a pod preempt others that found no fitting offer for
	// StarvationTimeout.
	Preempt           bool
	StarvationTimeout time.Duration
	// Maintenance says how machines are dealt with that leave the service.
	Maintenance MaintenanceConfig
	// Linger, MaxLinger and MaxTasks say when a batch is sent.
	Linger, MaxLinger time.Duration
	MaxTasks          int
	// PredictedWait is how long pods may wait for what an ACCEPT leaves over; 0: none
	// is promised any.
	PredictedWait time.Duration
	// Evictions says how many pods Mesos' news may end, and how fast.
	Evictions breaker.Config
	// Identity is the object that keeps the FrameworkID, for events about all of us; none
	// without a name.
	Identity v1.ObjectReference
	// PDBDeadline is how long an eviction may be refused by PodDisruptionBudgets
	// before the pod is deleted.
	PDBDeadline time.Duration
	// ShowAgents is told, now and then, of the agents of all nodes that have one, by
	// node. May be nil.
	ShowAgents func(map[string]mesos.Agent)
}

func withDefaults(cfg Config) Config {
	if cfg.Evictions.Burst == 0 {
		cfg.Evictions = defaultEvictions
	}
	if cfg.Evictions.Settle == 0 {
		cfg.Evictions.Settle = evictionSettle
	}
	if cfg.OnLost == "" {
		cfg.OnLost = claims.OnLostEvict
	}
	if cfg.Registry == nil {
		cfg.Registry = reservations.NewRegistry()
	}
	if cfg.Book == nil {
		cfg.Book = &quota.Book{}
	}
	if cfg.Usage == nil {
		cfg.Usage = &quota.Usage{}
	}
	if cfg.SetQuotas == nil {
		cfg.SetQuotas = func(list []quota.Role, ours map[string]resources.Bundle, at time.Time) { cfg.Book.Set(list, ours, at) }
	}
	return cfg
}
