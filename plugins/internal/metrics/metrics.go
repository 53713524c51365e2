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

// Package metrics holds the metrics of the plugin. They are registered with
// component-base's registry, which is the one that kube-scheduler serves on
// /metrics, and are named kube_mesos_*.
package metrics

import "github.com/prometheus/client_golang/prometheus"

const namespace = "kube_mesos"

// The counters and histograms.
var (
	OffersReceived = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "offers_received_total", Help: "Offers received from the Mesos master."})
	OffersRescinded = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "offers_rescinded_total", Help: "Offers that the Mesos master took back."})
	OffersDeclined = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "offers_declined_total",
		Help: "Offers given back unused, by reason: Foreign (agent is no usable node), Idle (no pod waits), TooSmall (no waiting pod can use it), Surplus (the waiting pods have enough others), Expired (held too long), AgentFailing (the agent did not run what it was given), Cancelled, Stopping."},
		[]string{"reason"})
	PodsActivated = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "pods_activated_total", Help: "Waiting pods put in front of the scheduler because an offer came that may hold them."})
	Launches = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "launches_total",
		Help: "Placeholder tasks launched, by result: Held, or why not (OfferGone, Disconnected, Rejected, Failed, Timeout, PodGone)."},
		[]string{"result"})
	AcceptSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "accept_duration_seconds", Help: "Time from an ACCEPT to its answer, by result: accepted, refused, doubtful, disconnected.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"result"})
	LaunchSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "launch_duration_seconds", Help: "Time a pod waited in PreBind for its claim, by result: held or failed.",
		Buckets: prometheus.ExponentialBuckets(0.002, 2, 15)}, []string{"result"})
	BatchTasks = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "accept_tasks", Help: "Tasks launched by one ACCEPT.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)})
	Evictions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "evictions_total", Help: "Pods evicted because Mesos ended their task, by the task's last state."}, []string{"state"})
	Rejections = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "rejections_total", Help: "Pods turned away by the plugin, by extension point and reason."}, []string{"extension_point", "reason"})
	NodeLabelUpdates = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "node_label_updates_total", Help: "Nodes whose labels were made to show their Mesos agent's attributes and fault domain, by result: done or failed."}, []string{"result"})
	NodeOvercommitted = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "node_overcommitted_resources", Help: "Of nodes whose Mesos agent advertises more than pods of other schedulers leave: the amounts, by Mesos resource (cpus in cores, mem and disk in MiB), advertised and free."},
		[]string{"node", "resource", "amount"})
	ReservationsReleased = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "reservations_released_total",
		Help: "Reservations of single pods that were given back, by reason: StatefulSetGone, VolumeClaimsGone, ScaledDown, ByHand, Surplus (the pod uses another one)."},
		[]string{"reason"})
	Calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "call_duration_seconds", Help: "Calls to the Mesos master, by type and result (HTTP status, or how it failed).",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"call", "result"})
	Events = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "events_received_total", Help: "Events received from the Mesos master, by type."}, []string{"event"})
	EventBytes = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "event_bytes_total", Help: "Bytes of events received from the Mesos master."})
	SessionState = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "session_state", Help: "1 for the state the session with the Mesos master is in, 0 for the others."}, []string{"state"})
)
