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

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"k8s.io/component-base/metrics/legacyregistry"
)

// Gauges are the values that are read when somebody asks.
type Gauges struct {
	OffersHeld              int
	Offered, Claimed        map[string]float64
	Claims                  map[string]int
	PodsWaiting, PodsParked int
	// PodsStarving counts the waiting pods that found no fitting offer for so long
	// that preemption may look at more nodes for them.
	PodsStarving                int
	Suppressed                  bool
	NodesPaired, NodesAmbiguous int
	Orphans, Unanswered         int
	// Reservations counts the reservations of single pods by state.
	Reservations map[string]int
	// OldestOffer is the age of the offer held longest, zero if there is none.
	OldestOffer time.Duration
	// HeldSeconds and UnusedSeconds are, by Mesos resource, how much was held in offers
	// for how long, and how much of it was not used; they never decrease.
	HeldSeconds, UnusedSeconds map[string]float64
	// RolesSubscribed counts the roles of the subscription, RolesSuppressed those of
	// them for which the master was told to send no offers.
	RolesSubscribed, RolesSuppressed int
	// RolesConstrained and RolesWithMinimum count the roles for which the master has
	// offer constraints, and a least size of offers, from us.
	RolesConstrained, RolesWithMinimum int
	// SinceReconciled is how long ago the master last answered for every claim that it
	// was asked about, nil if it never did.
	SinceReconciled *time.Duration
	// Leaving counts the nodes whose agents leave the service, by state: LeavingNow and
	// so on.
	Leaving map[string]int
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
		legacyregistry.RawMustRegister(OffersHeldSeconds, ReviveToOffer, Reoffer, Revives, TermsUpdates, PredictedClaims, OffersReceived, OffersRescinded, OffersDeclined, PodsActivated, Launches, AcceptSeconds,
			LaunchSeconds, BatchTasks, Evictions, ClaimsLost, ClaimsReacquired, EvictionsHalted, FrameworksRemoved, InverseOffers, AgentOperations, Rejections, NodeLabelUpdates, NodeOvercommitted, ReservationsReleased, Calls, Events, EventBytes, SessionState, &current)
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
	podsStarving   = desc("pods_starving", "Waiting pods that found no fitting offer for so long that preemption may look at more nodes for them.")
	suppressed     = desc("suppressed", "1 if the Mesos master was told to send no offers.")
	nodesPaired    = desc("nodes_paired", "Nodes that are a Mesos agent.")
	nodesAmbiguous = desc("nodes_ambiguous", "Nodes not used because several nodes or agents claim their host.")
	orphans        = desc("orphan_tasks", "Tasks in Mesos that no claim explains yet.")
	unanswered     = desc("reconciliation_unanswered", "Claims about which Mesos was asked and has not answered yet.")
	reservations   = desc("reservations", "Reservations with labels of single pods: kept, releasing (being given back), stuck (for too long), unreadable (naming no pod), foreign (of another framework or a former id).", "state")
	oldestOffer    = desc("offers_oldest_age_seconds", "Age of the offer held longest, 0 if none is held.")
	heldSeconds    = desc("held_resource_seconds_total", "Amount held in offers times the time it was held, by Mesos resource (cpus in cores, mem and disk in MiB).", "resource")
	unusedSeconds  = desc("unused_resource_seconds_total", "Of held_resource_seconds_total what nobody used: held until it was declined, rescinded or void, or left over by an ACCEPT.", "resource")
	rolesKnown     = desc("roles_subscribed", "Roles that our framework is subscribed to.")
	rolesQuiet     = desc("roles_suppressed", "Roles for which the Mesos master was told to send no offers.")
	offerTerms     = desc("offer_terms", "Roles for which the Mesos master was told what offers must be like, by kind: constraints (of which agents) or minimum (how much at least).", "kind")
)

var descs = []*prometheus.Desc{
	offersHeld, offered, claimed, claimsByState, podsWaiting, podsParked, podsStarving, suppressed, nodesPaired, nodesAmbiguous, orphans,
	unanswered, reservations, oldestOffer, heldSeconds, unusedSeconds, rolesKnown, rolesQuiet, offerTerms,
	reconciled, leaving,
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
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
	gauge(podsStarving, float64(g.PodsStarving))
	gauge(suppressed, boolFloat(g.Suppressed))
	gauge(nodesPaired, float64(g.NodesPaired))
	gauge(nodesAmbiguous, float64(g.NodesAmbiguous))
	gauge(orphans, float64(g.Orphans))
	gauge(unanswered, float64(g.Unanswered))
	for state, n := range g.Reservations {
		gauge(reservations, float64(n), state)
	}
	collectEconomy(ch, &g)
	collectFailures(ch, &g)
}

// collectEconomy is Collect for what is about holding offers and asking for them.
func collectEconomy(ch chan<- prometheus.Metric, g *Gauges) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	send(oldestOffer, prometheus.GaugeValue, g.OldestOffer.Seconds())
	for name, v := range g.HeldSeconds {
		send(heldSeconds, prometheus.CounterValue, v, name)
	}
	for name, v := range g.UnusedSeconds {
		send(unusedSeconds, prometheus.CounterValue, v, name)
	}
	send(rolesKnown, prometheus.GaugeValue, float64(g.RolesSubscribed))
	send(rolesQuiet, prometheus.GaugeValue, float64(g.RolesSuppressed))
	send(offerTerms, prometheus.GaugeValue, float64(g.RolesConstrained), "constraints")
	send(offerTerms, prometheus.GaugeValue, float64(g.RolesWithMinimum), "minimum")
}

func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
