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

package economy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
	"github.com/kube-mesos/kube-mesos/test/integration/cluster"
)

// told: metrics and the page of offers tell what happened.
func told(t *testing.T, kube *cluster.Kube) {
	c := stage(t, kube, 6, recording(100*time.Millisecond), cluster.AgentResources)
	c.Args = `
      offers: {warmAgents: 1}
`
	s := c.StartScheduler()
	waitSubscriptions(c, 1)
	c.Eventually("one agent is warm", func() string {
		if n := ourOffers(c); n != 1 {
			return "not one offer is held"
		}
		return ""
	})
	before, from := gathered(t), time.Now()
	const pods = 30
	c.WaitBound(addPods(c, "pod", pods, "200m", "128Mi")...)
	c.WaitSettled()
	// Metrics are written after what they count.
	c.Eventually("metrics agree with the master's records", func() string {
		after := gathered(t)
		delta := func(name string, labels ...string) float64 {
			return after.sum(name, labels...) - before.sum(name, labels...)
		}
		if n := ourOffers(c); n != 1 {
			return fmt.Sprintf("%d offers are held, want that of the warm agent", n)
		}
		made := counts(c, from)
		_, declined := spent(c, from)
		return differing(
			figure{"launches_total Held", delta("launches_total", "Held"), pods},
			figure{"accept_tasks_sum", delta("accept_tasks_sum"), pods},
			figure{"accept_tasks_count", delta("accept_tasks_count"), made["ACCEPT"]},
			figure{"revives_total", delta("revives_total"), made["REVIVE"]},
			figure{"terms_updates_total", delta("terms_updates_total"), made["UPDATE_FRAMEWORK"]},
			figure{"offers_received_total", delta("offers_received_total"), len(offersTo(c, cluster.FrameworkName, from))},
			figure{"offers_declined_total", delta("offers_declined_total"), declined},
			figure{"offers_outstanding", after.sum("offers_outstanding"), 1},
			figure{"roles_subscribed", after.sum("roles_subscribed"), 1},
			figure{"roles_suppressed", after.sum("roles_suppressed"), 0},
			figure{"offer_terms minimum", after.sum("offer_terms", "minimum"), 1},
		)
	})
	after := gathered(t)
	held, unused := after.sum("held_resource_seconds_total", "cpus"), after.sum("unused_resource_seconds_total", "cpus")
	if held <= before.sum("held_resource_seconds_total", "cpus") || unused > held {
		t.Errorf("%v core seconds held, of them %v unused; before %v held", held, unused, before.sum("held_resource_seconds_total", "cpus"))
	}
	offersPage(c, s)
}

// offersPage checks what the debug page shows of one warm agent.
func offersPage(c *cluster.Cluster, s *cluster.Scheduler) {
	c.T.Helper()
	recorder := httptest.NewRecorder()
	s.Runtime.DebugHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, mesosoffers.DebugPrefix+"/offers", nil))
	var page struct {
		Held                int
		OldestSeconds       float64
		HeldResourceSeconds map[string]float64
		Roles               []struct {
			Role, Asked string
			OffersHeld  int
			Terms       struct{ MinAllocatable string }
		}
		Agents []struct {
			Hostname string
			Offers   []string
		}
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &page); err != nil {
		c.T.Fatalf("the page of offers does not parse: %v\n%s", err, recorder.Body)
	}
	offers := 0
	for _, a := range page.Agents {
		offers += len(a.Offers)
	}
	if page.Held != 1 || offers != 1 || page.OldestSeconds <= 0 || page.HeldResourceSeconds["cpus"] <= 0 {
		c.T.Errorf("the page shows %d offers held, %d listed, the oldest %v s, %v held:\n%s", page.Held, offers, page.OldestSeconds, page.HeldResourceSeconds, recorder.Body)
	}
	if len(page.Roles) != 1 || page.Roles[0].Role != "*" || page.Roles[0].Asked != "Offering" || page.Roles[0].OffersHeld != 1 || page.Roles[0].Terms.MinAllocatable == "" {
		c.T.Errorf("the page shows the roles %+v:\n%s", page.Roles, recorder.Body)
	}
}

// figure is what a metric says and what the master knows.
type figure struct {
	name string
	is   float64
	want int
}

func differing(figures ...figure) string {
	var texts []string
	for _, f := range figures {
		if f.is != float64(f.want) {
			texts = append(texts, fmt.Sprintf("%s is %v, want %d", f.name, f.is, f.want))
		}
	}
	return strings.Join(texts, "; ")
}

// spent counts the offers in our ACCEPTs and DECLINEs after a moment.
func spent(c *cluster.Cluster, after time.Time) (accepted, declined int) {
	for _, r := range calls(c, after, "ACCEPT", "DECLINE") {
		accepted += len(r.Call.GetAccept().GetOfferIDs())
		declined += len(r.Call.GetDecline().GetOfferIDs())
	}
	return accepted, declined
}

// sample is one value of a metric; histograms have two, with _sum and _count.
type sample struct {
	name   string
	labels []string
	value  float64
}

type samples []sample

// sum adds up the samples of a metric of ours that have the values of labels.
func (s samples) sum(name string, labels ...string) (sum float64) {
	for _, x := range s {
		has := func(label string) bool { return slices.Contains(x.labels, label) }
		if x.name == "kube_mesos_"+name && !slices.ContainsFunc(labels, func(l string) bool { return !has(l) }) {
			sum += x.value
		}
	}
	return sum
}

// gathered reads all metrics of this process.
func gathered(t *testing.T) (list samples) {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if h := m.GetHistogram(); h != nil {
				list = append(list, sample{family.GetName() + "_sum", labels, h.GetSampleSum()}, sample{family.GetName() + "_count", labels, float64(h.GetSampleCount())})
				continue
			}
			list = append(list, sample{family.GetName(), labels, m.GetCounter().GetValue() + m.GetGauge().GetValue()})
		}
	}
	return list
}
