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

package mesos

import (
	"fmt"
	"testing"

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// realisticOffer is what a master sends of one agent of a middling cluster:
// three scalars, ports, three attributes, a URL, allocation info on everything.
func realisticOffer(n int) mesosv1.Offer {
	const master = "d958639b-bded-4e64-9711-a15cf0c8f378"
	role, host := "kubernetes/production", fmt.Sprintf("node-%05d.cluster.example.com", n)
	text, ranges, ip := mesosv1.TEXT, mesosv1.RANGES, "10.11.12.13"
	scalarOf := func(name string, value float64) mesosv1.Resource {
		r := scalarOf(name, value)
		r.AllocationInfo.Role = &role
		return r
	}
	attribute := func(name, value string) mesosv1.Attribute {
		return mesosv1.Attribute{Name: name, Type: text, Text: &mesosv1.Value_Text{Value: value}}
	}
	path := "/slave(1)"
	return mesosv1.Offer{
		ID:          mesosv1.OfferID{Value: fmt.Sprintf("%s-O%d", master, 1000000+n)},
		FrameworkID: mesosv1.FrameworkID{Value: master + "-0000"},
		AgentID:     mesosv1.AgentID{Value: fmt.Sprintf("%s-S%d", master, n)},
		Hostname:    host,
		URL:         &mesosv1.URL{Scheme: "http", Address: mesosv1.Address{Hostname: &host, IP: &ip, Port: 5051}, Path: &path},
		Resources: []mesosv1.Resource{
			{Name: "ports", Type: &ranges, AllocationInfo: &mesosv1.Resource_AllocationInfo{Role: &role},
				Ranges: &mesosv1.Value_Ranges{Range: []mesosv1.Value_Range{{Begin: 31000, End: 32000}}}},
			scalarOf("cpus", 15.9), scalarOf("mem", 63488), scalarOf("disk", 409600),
		},
		Attributes: []mesosv1.Attribute{
			attribute("topology.kubernetes.io/rack", fmt.Sprintf("rack-%02d", n%40)), attribute("topology.kubernetes.io/zone", "eu-central-1a"),
			attribute("node.kubernetes.io/instance-type", "m5.4xlarge"),
		},
		AllocationInfo: &mesosv1.Resource_AllocationInfo{Role: &role},
	}
}

// BenchmarkDecodeOffers decodes one OFFERS event of 10,000 offers by the scan and
// by the generated decoder. The repeated case is an allocator's daily life: the
// same agents with new offer ids.
func BenchmarkDecodeOffers(b *testing.B) {
	list := make([]mesosv1.Offer, 10_000)
	for i := range list {
		list[i] = realisticOffer(i)
	}
	record, err := offersEvent(list...).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	report := func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(record)))
		b.ReportMetric(float64(len(record))/float64(len(list)), "B/offer")
	}
	b.Run("scan/first", func(b *testing.B) {
		report(b)
		for b.Loop() {
			if got, left := scan(b, newOfferDecoder(), record); len(got) != len(list) || left.count != 0 {
				b.Fatal(len(got), left)
			}
		}
	})
	b.Run("scan/repeated", func(b *testing.B) {
		report(b)
		d := newOfferDecoder()
		for b.Loop() {
			if got, left := scan(b, d, record); len(got) != len(list) || left.count != 0 {
				b.Fatal(len(got), left)
			}
		}
	})
	b.Run("generated", func(b *testing.B) {
		report(b)
		for b.Loop() {
			event := &scheduler.Event{}
			if err := event.Unmarshal(record); err != nil || len(event.Offers.Offers) != len(list) {
				b.Fatal(err)
			}
		}
	})
}
