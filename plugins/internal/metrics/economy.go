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

// The values of the label end of OffersHeldSeconds.
const (
	// EndAccepted is an offer that an ACCEPT spent.
	EndAccepted = "accepted"
	// EndDeclined is one that we gave back.
	EndDeclined = "declined"
	// EndRescinded is one that the master took back.
	EndRescinded = "rescinded"
	// EndVoid is one that ended with its subscription or its agent.
	EndVoid = "void"
)

// The values of the label cause of Revives.
const (
	// CauseDemand is a role that was suppressed, or is since a call failed nobody knows,
	// and pods wait.
	CauseDemand = "demand"
	// CauseFilters is one where something declined, or left out by the terms that the
	// master had, may be of use now.
	CauseFilters = "filters"
	// CauseRemainder is one that brings back at once what an ACCEPT left over.
	CauseRemainder = "remainder"
	// CauseRepeat is one after others that brought nothing of use.
	CauseRepeat = "repeat"
)

// The values of the label result of TermsUpdates.
const (
	// TermsAccepted is an update that the master took.
	TermsAccepted = "accepted"
	// TermsRefused is one that it refused.
	TermsRefused = "refused"
	// TermsFailed is one of which it is not known whether the master took it.
	TermsFailed = "failed"
)

// The values of the label result of PredictedClaims.
const (
	// PredictedKept is a pod that was promised what the agent's next offer then had.
	PredictedKept = "kept"
	// PredictedBroken is one whose promise came to nothing: it is tried again.
	PredictedBroken = "broken"
)

// The counters and histograms of holding offers and asking for them.
var (
	OffersHeldSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "offers_held_seconds",
		Help:    "Age of offers when they ended, by end: accepted, declined, rescinded (by the master), void (with the subscription or the agent).",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}, []string{"end"})
	ReviveToOffer = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "revive_to_offer_seconds", Help: "Time from a REVIVE to the first offer that fits a waiting pod.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)})
	Reoffer = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "reoffer_seconds", Help: "Time from an ACCEPT to the agent's next offer to the role, if it refused nothing.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)})
	Revives = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "revives_total",
		Help: "REVIVE calls, by cause: demand (pods came to a suppressed role, or a call failed), filters (something declined may be of use now), remainder (of an ACCEPT), repeat (after one that brought nothing of use)."},
		[]string{"cause"})
	TermsUpdates = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "terms_updates_total",
		Help: "UPDATE_FRAMEWORK calls that told the master what offers must be like, by result: accepted, refused, failed (unknown)."},
		[]string{"result"})
	PredictedClaims = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "predicted_claims_total",
		Help: "Pods promised what an ACCEPT would leave over on its agent, by result: kept (it was offered) or broken (the pod is tried again)."},
		[]string{"result"})
)
