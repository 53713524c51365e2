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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"k8s.io/component-base/metrics/legacyregistry"
)

// source gives fixed values.
type source struct{ gauges Gauges }

func (s source) Gauges() Gauges { return s.gauges }

var sample = source{Gauges{
	OffersHeld:  3,
	Offered:     map[string]float64{"cpus": 12.5, "mem": 2048},
	Claimed:     map[string]float64{"cpus": 0.25},
	Claims:      map[string]int{"Held": 7, "Launching": 0},
	PodsWaiting: 5, PodsParked: 4, Suppressed: true, NodesPaired: 9, NodesAmbiguous: 1, Orphans: 2, Unanswered: 6,
	Reservations: map[string]int{"kept": 8, "stuck": 1},
	PodsStarving: 2, OldestOffer: 1500 * time.Millisecond,
	HeldSeconds: map[string]float64{"cpus": 100, "mem": 4096}, UnusedSeconds: map[string]float64{"cpus": 7.5},
	RolesSubscribed: 5, RolesSuppressed: 4, RolesConstrained: 3, RolesWithMinimum: 2,
	SinceReconciled: new(90 * time.Second), Leaving: map[string]int{LeavingAnnounced: 2, LeavingDraining: 1},
}}

const sampleText = `
# HELP kube_mesos_agents_leaving Nodes whose agents leave the service, by state: announced (a maintenance window is ahead), underway, draining, drained, deactivated.
# TYPE kube_mesos_agents_leaving gauge
kube_mesos_agents_leaving{state="announced"} 2
kube_mesos_agents_leaving{state="draining"} 1
# HELP kube_mesos_claimed_resources Sum of the claims that Mesos holds for our pods, by Mesos resource (cpus in cores, mem and disk in MiB).
# TYPE kube_mesos_claimed_resources gauge
kube_mesos_claimed_resources{resource="cpus"} 0.25
# HELP kube_mesos_claims Claims by phase.
# TYPE kube_mesos_claims gauge
kube_mesos_claims{phase="Held"} 7
kube_mesos_claims{phase="Launching"} 0
# HELP kube_mesos_held_resource_seconds_total Amount held in offers times the time it was held, by Mesos resource (cpus in cores, mem and disk in MiB).
# TYPE kube_mesos_held_resource_seconds_total counter
kube_mesos_held_resource_seconds_total{resource="cpus"} 100
kube_mesos_held_resource_seconds_total{resource="mem"} 4096
# HELP kube_mesos_nodes_ambiguous Nodes not used because several nodes or agents claim their host.
# TYPE kube_mesos_nodes_ambiguous gauge
kube_mesos_nodes_ambiguous 1
# HELP kube_mesos_nodes_paired Nodes that are a Mesos agent.
# TYPE kube_mesos_nodes_paired gauge
kube_mesos_nodes_paired 9
# HELP kube_mesos_offer_terms Roles for which the Mesos master was told what offers must be like, by kind: constraints (of which agents) or minimum (how much at least).
# TYPE kube_mesos_offer_terms gauge
kube_mesos_offer_terms{kind="constraints"} 3
kube_mesos_offer_terms{kind="minimum"} 2
# HELP kube_mesos_offered_resources Sum of the offers held now, by Mesos resource (cpus in cores, mem and disk in MiB).
# TYPE kube_mesos_offered_resources gauge
kube_mesos_offered_resources{resource="cpus"} 12.5
kube_mesos_offered_resources{resource="mem"} 2048
# HELP kube_mesos_offers_oldest_age_seconds Age of the offer held longest, 0 if none is held.
# TYPE kube_mesos_offers_oldest_age_seconds gauge
kube_mesos_offers_oldest_age_seconds 1.5
# HELP kube_mesos_offers_outstanding Offers held now.
# TYPE kube_mesos_offers_outstanding gauge
kube_mesos_offers_outstanding 3
# HELP kube_mesos_orphan_tasks Tasks in Mesos that no claim explains yet.
# TYPE kube_mesos_orphan_tasks gauge
kube_mesos_orphan_tasks 2
# HELP kube_mesos_pods_parked Waiting pods that found no offer and sleep until one comes.
# TYPE kube_mesos_pods_parked gauge
kube_mesos_pods_parked 4
# HELP kube_mesos_pods_starving Waiting pods that found no fitting offer for so long that preemption may look at more nodes for them.
# TYPE kube_mesos_pods_starving gauge
kube_mesos_pods_starving 2
# HELP kube_mesos_pods_waiting Pods that want an offer.
# TYPE kube_mesos_pods_waiting gauge
kube_mesos_pods_waiting 5
# HELP kube_mesos_reconciliation_age_seconds Time since the master last answered for every claim it was asked about. Absent before the first time.
# TYPE kube_mesos_reconciliation_age_seconds gauge
kube_mesos_reconciliation_age_seconds 90
# HELP kube_mesos_reconciliation_unanswered Claims about which Mesos was asked and has not answered yet.
# TYPE kube_mesos_reconciliation_unanswered gauge
kube_mesos_reconciliation_unanswered 6
# HELP kube_mesos_reservations Reservations with labels of single pods: kept, releasing (being given back), stuck (for too long), unreadable (naming no pod), foreign (of another framework or a former id).
# TYPE kube_mesos_reservations gauge
kube_mesos_reservations{state="kept"} 8
kube_mesos_reservations{state="stuck"} 1
# HELP kube_mesos_roles_subscribed Roles that our framework is subscribed to.
# TYPE kube_mesos_roles_subscribed gauge
kube_mesos_roles_subscribed 5
# HELP kube_mesos_roles_suppressed Roles for which the Mesos master was told to send no offers.
# TYPE kube_mesos_roles_suppressed gauge
kube_mesos_roles_suppressed 4
# HELP kube_mesos_suppressed 1 if the Mesos master was told to send no offers.
# TYPE kube_mesos_suppressed gauge
kube_mesos_suppressed 1
# HELP kube_mesos_unused_resource_seconds_total Of held_resource_seconds_total what nobody used: held until it was declined, rescinded or void, or left over by an ACCEPT.
# TYPE kube_mesos_unused_resource_seconds_total counter
kube_mesos_unused_resource_seconds_total{resource="cpus"} 7.5
`

func TestGaugesAreReadWhenAsked(t *testing.T) {
	c := &collector{}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	if err := testutil.GatherAndCompare(registry, strings.NewReader("")); err != nil {
		t.Errorf("without a source: %v", err)
	}
	c.set(sample)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(sampleText)); err != nil {
		t.Error(err)
	}
	more := sample
	more.gauges.OffersHeld, more.gauges.Suppressed = 4, false
	more.gauges.SinceReconciled = nil
	c.set(more)
	before, rest, _ := strings.Cut(sampleText, "# HELP kube_mesos_reconciliation_age_seconds")
	_, after, _ := strings.Cut(rest, "age_seconds 90\n")
	want := strings.NewReplacer("outstanding 3", "outstanding 4", "mesos_suppressed 1\n", "mesos_suppressed 0\n").Replace(before + after)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Errorf("after a change: %v", err)
	}
}

// Every profile's factory may register; a second registration would panic.
func TestRegisterOnceInTheSchedulersRegistry(t *testing.T) {
	var profiles sync.WaitGroup
	for range 8 {
		profiles.Go(func() { Register(sample) })
	}
	profiles.Wait()
	defer Register(nil)
	for _, v := range []*prometheus.CounterVec{OffersDeclined, Launches, Evictions, ReservationsReleased, Revives, TermsUpdates, PredictedClaims, InverseOffers} {
		v.WithLabelValues("Test").Inc()
		defer v.Reset()
	}
	Rejections.WithLabelValues("Test", "test").Inc()
	ClaimsLost.WithLabelValues("Test", "test").Inc()
	defer ClaimsLost.Reset()
	AgentOperations.WithLabelValues("Test", "test").Inc()
	defer AgentOperations.Reset()
	Events.WithLabelValues("TEST").Inc()
	SessionState.WithLabelValues("Test").Set(1)
	for _, v := range []*prometheus.HistogramVec{AcceptSeconds, LaunchSeconds, OffersHeldSeconds} {
		v.WithLabelValues("test").Observe(1)
	}
	Calls.WithLabelValues("TEST", "202").Observe(1)
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, family := range families {
		if name := family.GetName(); strings.HasPrefix(name, namespace+"_") {
			names = append(names, strings.TrimPrefix(name, namespace+"_"))
		}
	}
	want := []string{
		"accept_duration_seconds", "accept_tasks", "agent_operations_total", "agents_leaving", "call_duration_seconds", "claimed_resources", "claims", "claims_lost_total",
		"claims_reacquired_total", "event_bytes_total", "events_received_total", "evictions_halted", "evictions_total", "frameworks_removed_total", "held_resource_seconds_total", "inverse_offers_total", "launch_duration_seconds", "launches_total",
		"nodes_ambiguous", "nodes_paired", "offer_terms", "offered_resources", "offers_declined_total", "offers_held_seconds",
		"offers_oldest_age_seconds", "offers_outstanding", "offers_received_total", "offers_rescinded_total", "orphan_tasks",
		"pods_activated_total", "pods_parked", "pods_starving", "pods_waiting", "predicted_claims_total", "reconciliation_age_seconds", "reconciliation_unanswered",
		"rejections_total", "reoffer_seconds", "reservations", "reservations_released_total", "revive_to_offer_seconds", "revives_total",
		"roles_subscribed", "roles_suppressed", "session_state", "suppressed", "terms_updates_total", "unused_resource_seconds_total",
	}
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("the scheduler serves %v, want %v", names, want)
	}
	lintOurs(t)
}

// lintOurs checks names and help of what is registered by the rules of Prometheus.
func lintOurs(t *testing.T) {
	t.Helper()
	for _, c := range []prometheus.Collector{
		OffersReceived, OffersRescinded, OffersDeclined, PodsActivated, Launches, AcceptSeconds, LaunchSeconds, BatchTasks, Evictions,
		ClaimsLost, ClaimsReacquired, EvictionsHalted, FrameworksRemoved, InverseOffers, AgentOperations, Rejections, ReservationsReleased, Calls, Events, EventBytes, SessionState, &current,
		OffersHeldSeconds, ReviveToOffer, Reoffer, Revives, TermsUpdates, PredictedClaims,
	} {
		problems, err := testutil.CollectAndLint(c)
		if err != nil {
			t.Error(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
