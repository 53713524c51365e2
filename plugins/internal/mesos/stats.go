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

import "sync/atomic"

// Stats counts what a session has seen since it was made.
type Stats struct {
	// Subscriptions counts SUBSCRIBED events.
	Subscriptions uint64
	// OffersReceived counts usable offers, OffersMalformed those left out because
	// they could not be used.
	OffersReceived, OffersMalformed uint64
	// EventsUnknown counts events of types that we do not know, EventsUndecodable
	// those of known types whose content could not be decoded; both were skipped.
	EventsUnknown, EventsUndecodable uint64
	// StreamsBroken counts subscriptions given up because a record or the framing
	// was malformed.
	StreamsBroken uint64
	// AcksSent counts acknowledgements that the master took, AcksFailed those it
	// did not, AcksDropped those not sent because the subscription ended or too
	// many waited (the agent repeats the update), AcksImpossible updates whose
	// uuid or agent no master accepts.
	AcksSent, AcksFailed, AcksDropped, AcksImpossible uint64
}

// counters are Stats while they change.
type counters struct {
	subscriptions                                     atomic.Uint64
	offersReceived, offersMalformed                   atomic.Uint64
	eventsUnknown, eventsUndecodable                  atomic.Uint64
	streamsBroken                                     atomic.Uint64
	acksSent, acksFailed, acksDropped, acksImpossible atomic.Uint64
}

// Stats returns the counts so far. It is safe for concurrent use.
func (s *Session) Stats() Stats {
	c := &s.counters
	return Stats{
		Subscriptions:     c.subscriptions.Load(),
		OffersReceived:    c.offersReceived.Load(),
		OffersMalformed:   c.offersMalformed.Load(),
		EventsUnknown:     c.eventsUnknown.Load(),
		EventsUndecodable: c.eventsUndecodable.Load(),
		StreamsBroken:     c.streamsBroken.Load(),
		AcksSent:          c.acksSent.Load(),
		AcksFailed:        c.acksFailed.Load(),
		AcksDropped:       c.acksDropped.Load(),
		AcksImpossible:    c.acksImpossible.Load(),
	}
}
