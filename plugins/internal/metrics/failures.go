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

package metrics

import "github.com/prometheus/client_golang/prometheus"

var (
	// ClaimsLost counts bound pods whose task Mesos ended, by what that means
	// (claims.Meaning) and what becomes of the pod (claims.OnLost).
	ClaimsLost = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "claims_lost_total", Help: "Bound pods whose task Mesos ended, by what that means (Lost, Gone, Drained, Revoked, MaybeBack, NeverRan) and what becomes of the pod: Evict, Reacquire or Keep.",
	}, []string{"meaning", "policy"})
	// ClaimsReacquired counts pods that got another task in place of a lost one.
	ClaimsReacquired = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "claims_reacquired_total", Help: "Running pods that got another task in place of one that Mesos ended.",
	})
	// FrameworksRemoved counts how often the master removed our framework.
	FrameworksRemoved = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "frameworks_removed_total", Help: "How often the master removed our framework, with all its tasks.",
	})
	// EvictionsHalted is 1 while the breaker lets only those pods go whose loss the master
	// confirmed.
	EvictionsHalted = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "evictions_halted", Help: "1 while so many pods lost their tasks that only those are evicted whose loss the master confirmed.",
	})
)
