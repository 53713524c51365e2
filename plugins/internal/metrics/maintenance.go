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

// The values of the label answer of InverseOffers.
const (
	// InverseAccepted is an inverse offer that was accepted: the machine is free of us.
	InverseAccepted = "accept"
	// InverseDeclined is one that was declined: pods are there still.
	InverseDeclined = "decline"
)

// The values of the label result of AgentOperations.
const (
	// OperationDone is an operation that the master took.
	OperationDone = "done"
	// OperationFailed is one that it refused, or of which it is not known.
	OperationFailed = "failed"
)

var (
	// InverseOffers counts the inverse offers answered.
	InverseOffers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "inverse_offers_total", Help: "Inverse offers answered, by answer: accept (no pod of ours is there any more) or decline.",
	}, []string{"answer"})
	// AgentOperations counts what the master was asked to do about agents of cordoned
	// nodes.
	AgentOperations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "agent_operations_total", Help: "What the Mesos master was asked to do about agents of cordoned nodes: deactivate, drain, reactivate; and whether it did: done, failed.",
	}, []string{"operation", "result"})
)

// The states of Gauges.Leaving.
const (
	// LeavingAnnounced is a machine whose maintenance window is ahead.
	LeavingAnnounced = "announced"
	// LeavingNow is one whose window has begun.
	LeavingNow = "underway"
	// LeavingDraining is an agent that is being drained.
	LeavingDraining = "draining"
	// LeavingDrained is one that was drained, and takes nothing until it is reactivated.
	LeavingDrained = "drained"
	// LeavingDeactivated is one that was deactivated.
	LeavingDeactivated = "deactivated"
)

var (
	reconciled = desc("reconciliation_age_seconds", "Time since the master last answered for every claim it was asked about. Absent before the first time.")
	leaving    = desc("agents_leaving", "Nodes whose agents leave the service, by state: announced (a maintenance window is ahead), underway, draining, drained, deactivated.", "state")
)

// collectFailures is Collect for what is about failures and maintenance.
func collectFailures(ch chan<- prometheus.Metric, g *Gauges) {
	if g.SinceReconciled != nil {
		ch <- prometheus.MustNewConstMetric(reconciled, prometheus.GaugeValue, g.SinceReconciled.Seconds())
	}
	for state, n := range g.Leaving {
		ch <- prometheus.MustNewConstMetric(leaving, prometheus.GaugeValue, float64(n), state)
	}
}
