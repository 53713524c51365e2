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
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

func inverseOffer(id, agent string, start, duration int64) mesosv1.InverseOffer {
	o := mesosv1.InverseOffer{
		OfferID: mesosv1.OfferID{Value: id}, FrameworkID: mesosv1.FrameworkID{Value: "fw"},
		Unavailability: mesosv1.Unavailability{Start: mesosv1.TimeInfo{Nanoseconds: start}},
	}
	if agent != "" {
		o.AgentID = &mesosv1.AgentID{Value: agent}
	}
	if duration != 0 {
		o.Unavailability.Duration = &mesosv1.DurationInfo{Nanoseconds: duration}
	}
	return o
}

func TestInverseOffers(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, nil)
		st.send(
			&scheduler.Event{Type: scheduler.Event_INVERSE_OFFERS, InverseOffers: &scheduler.Event_InverseOffers{InverseOffers: []mesosv1.InverseOffer{
				inverseOffer("I1", "S0", 5e9, 2e9), inverseOffer("I2", "", 5e9, 0), inverseOffer("", "S0", 5e9, 0), inverseOffer("I3", "S1", 7e9, -1),
			}}},
			&scheduler.Event{Type: scheduler.Event_INVERSE_OFFERS, InverseOffers: &scheduler.Event_InverseOffers{}},
			&scheduler.Event{Type: scheduler.Event_INVERSE_OFFERS},
			&scheduler.Event{Type: scheduler.Event_RESCIND_INVERSE_OFFER, RescindInverseOffer: &scheduler.Event_RescindInverseOffer{InverseOfferID: mesosv1.OfferID{Value: "I1"}}},
			&scheduler.Event{Type: scheduler.Event_RESCIND_INVERSE_OFFER},
		)
		synctest.Wait()
		r.handler.wants(t, "subscribed fw at m1:5050", "inverse offer I1", "inverse offer I3", "inverse rescinded I1")
		want := []InverseOffer{
			{ID: "I1", AgentID: "S0", Unavailability: offers.Unavailability{Start: time.Unix(5, 0), Duration: 2 * time.Second}},
			{ID: "I3", AgentID: "S1", Unavailability: offers.Unavailability{Start: time.Unix(7, 0)}},
		}
		if diff := cmp.Diff(want, r.handler.inverse); diff != "" {
			t.Error(diff)
		}
		if got := r.session.Stats().EventsUndecodable; got != 4 {
			t.Errorf("%d undecodable", got)
		}
		var many []string
		for i := range 1500 {
			many = append(many, fmt.Sprint("I", i))
		}
		for _, err := range []error{
			r.session.AnswerInverse(t.Context(), true, nil, time.Hour),
			r.session.AnswerInverse(t.Context(), true, []string{"I1"}, 90*time.Second),
			r.session.AnswerInverse(t.Context(), false, many, -1),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		var got []string
		for _, c := range m.seen()[1:] {
			switch {
			case c.AcceptInverseOffers != nil:
				got = append(got, fmt.Sprintf("%s %d for %v s", c.Type, len(c.AcceptInverseOffers.InverseOfferIDs), c.AcceptInverseOffers.Filters.GetRefuseSeconds()))
			case c.DeclineInverseOffers != nil:
				got = append(got, fmt.Sprintf("%s %d for %v s", c.Type, len(c.DeclineInverseOffers.InverseOfferIDs), c.DeclineInverseOffers.Filters.GetRefuseSeconds()))
			}
		}
		if diff := cmp.Diff([]string{
			"ACCEPT_INVERSE_OFFERS 1 for 90 s", "DECLINE_INVERSE_OFFERS 1000 for 0 s", "DECLINE_INVERSE_OFFERS 500 for 0 s",
		}, got); diff != "" {
			t.Error(diff)
		}
		r.stop()
	})
}
