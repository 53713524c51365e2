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
	"context"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// InverseOffer asks for an agent back, for maintenance: for all that we hold of it. It
// is made where something is allocated or offered to us (Mesos hierarchical.cpp
// generateInverseOffers).
type InverseOffer struct {
	// ID names it until it is answered, rescinded, or the subscription ends.
	ID, AgentID    string
	Unavailability offers.Unavailability
}

// onInverseOffers hands inverse offers to the handler.
func (st *stream) onInverseOffers(event *scheduler.Event_InverseOffers) {
	list := inverseOffersOf(event)
	if left := len(event.InverseOffers) - len(list); left > 0 {
		st.session.counters.eventsUndecodable.Add(uint64(left))
	}
	if len(list) > 0 {
		st.session.handler.InverseOffers(list)
	}
}

// inverseOffersOf reads INVERSE_OFFERS. One without an id or an agent is left out: it
// could not be answered or acted on, and no master sends any.
func inverseOffersOf(event *scheduler.Event_InverseOffers) []InverseOffer {
	out := make([]InverseOffer, 0, len(event.InverseOffers))
	for i := range event.InverseOffers {
		o := &event.InverseOffers[i]
		agent := o.GetAgentID().GetValue()
		if o.OfferID.Value == "" || agent == "" {
			continue
		}
		u := &o.Unavailability
		out = append(out, InverseOffer{
			ID: o.OfferID.Value, AgentID: agent,
			Unavailability: *windowOf(u.Start.Nanoseconds, u.GetDuration().GetNanoseconds()),
		})
	}
	return out
}

// AnswerInverse implements Client.
func (s *Session) AnswerInverse(ctx context.Context, accept bool, ids []string, refuse time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	kind := scheduler.Call_DECLINE_INVERSE_OFFERS
	if accept {
		kind = scheduler.Call_ACCEPT_INVERSE_OFFERS
	}
	return s.send(ctx, kind, inOrder, func(sub *subscription) ([][]byte, error) {
		return chunked(ids, func(part []string) ([]byte, error) { return encodeAnswer(sub.frameworkID, accept, part, refuse) })
	})
}

func encodeAnswer(framework string, accept bool, ids []string, refuse time.Duration) ([]byte, error) {
	call := &scheduler.Call{Type: scheduler.Call_DECLINE_INVERSE_OFFERS, FrameworkID: frameworkID(framework)}
	if accept {
		call.Type = scheduler.Call_ACCEPT_INVERSE_OFFERS
		call.AcceptInverseOffers = &scheduler.Call_AcceptInverseOffers{InverseOfferIDs: offerIDs(ids), Filters: filters(refuse)}
	} else {
		call.DeclineInverseOffers = &scheduler.Call_DeclineInverseOffers{InverseOfferIDs: offerIDs(ids), Filters: filters(refuse)}
	}
	return marshalCall(call)
}
