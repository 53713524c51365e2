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

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"k8s.io/component-base/metrics/legacyregistry"
)

const namespace = "kube_mesos"

// The counters and histograms.
var (
	OffersReceived = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "offers_received_total", Help: "Offers received from the Mesos master."})
	OffersRescinded = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "offers_rescinded_total", Help: "Offers that the Mesos master took back."})
	OffersDeclined = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "offers_declined_total",
		Help: "Offers given back unused, by reason: Foreign (agent is no usable node), Idle (no pod waits), TooSmall (fits no waiting pod), Expired (held too long), AgentFailing (the agent did not run what it was given), Cancelled, Stopping."},
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

// Gauges are the values that are read when somebody asks.
type Gauges struct {
	OffersHeld                  int
	Offered, Claimed            map[string]float64
	Claims                      map[string]int
	PodsWaiting, PodsParked     int
	Suppressed                  bool
	NodesPaired, NodesAmbiguous int
	Orphans, Unanswered         int
	// Reservations counts the reservations of single pods by state.
	Reservations map[string]int
}

// Source gives the present values.
type Source interface{ Gauges() Gauges }

var (
	register sync.Once
	current  collector
)

// Register registers all metrics once and reads gauges from source from now on;
// nil reads none.
func Register(source Source) {
	current.set(source)
	register.Do(func() {
		legacyregistry.RawMustRegister(OffersReceived, OffersRescinded, OffersDeclined, PodsActivated, Launches, AcceptSeconds,
			LaunchSeconds, BatchTasks, Evictions, Rejections, NodeLabelUpdates, NodeOvercommitted, ReservationsReleased, Calls, Events, EventBytes, SessionState, &current)
	})
}

// collector reads the gauges at scrape time.
type collector struct {
	mu     sync.Mutex
	source Source
}

func (c *collector) set(s Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.source = s
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	offersHeld     = desc("offers_outstanding", "Offers held now.")
	offered        = desc("offered_resources", "Sum of the offers held now, by Mesos resource (cpus in cores, mem and disk in MiB).", "resource")
	claimed        = desc("claimed_resources", "Sum of the claims that Mesos holds for our pods, by Mesos resource (cpus in cores, mem and disk in MiB).", "resource")
	claimsByState  = desc("claims", "Claims by phase.", "phase")
	podsWaiting    = desc("pods_waiting", "Pods that want an offer.")
	podsParked     = desc("pods_parked", "Waiting pods that found no offer and sleep until one comes.")
	suppressed     = desc("suppressed", "1 if the Mesos master was told to send no offers.")
	nodesPaired    = desc("nodes_paired", "Nodes that are a Mesos agent.")
	nodesAmbiguous = desc("nodes_ambiguous", "Nodes not used because several nodes or agents claim their host.")
	orphans        = desc("orphan_tasks", "Tasks in Mesos that no claim explains yet.")
	unanswered     = desc("reconciliation_unanswered", "Claims about which Mesos was asked and has not answered yet.")
	reservations   = desc("reservations", "Reservations with labels of single pods: kept, releasing (being given back), stuck (for too long), unreadable (naming no pod), foreign (of another framework or a former id).", "state")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{offersHeld, offered, claimed, claimsByState, podsWaiting, podsParked, suppressed, nodesPaired, nodesAmbiguous, orphans, unanswered, reservations} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	source := c.source
	c.mu.Unlock()
	if source == nil {
		return
	}
	g := source.Gauges()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(offersHeld, float64(g.OffersHeld))
	for name, v := range g.Offered {
		gauge(offered, v, name)
	}
	for name, v := range g.Claimed {
		gauge(claimed, v, name)
	}
	for phase, n := range g.Claims {
		gauge(claimsByState, float64(n), phase)
	}
	gauge(podsWaiting, float64(g.PodsWaiting))
	gauge(podsParked, float64(g.PodsParked))
	gauge(suppressed, boolFloat(g.Suppressed))
	gauge(nodesPaired, float64(g.NodesPaired))
	gauge(nodesAmbiguous, float64(g.NodesAmbiguous))
	gauge(orphans, float64(g.Orphans))
	gauge(unanswered, float64(g.Unanswered))
	for state, n := range g.Reservations {
		gauge(reservations, float64(n), state)
	}
}

func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
