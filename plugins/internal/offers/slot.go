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

package offers

import (
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// agent is one Mesos agent: what its slots in all roles share.
type agent struct {
	// node is the Kubernetes node of this agent, "" if there is none that is
	// clearly its own.
	node string
	// known is false where the slot is vacant.
	known bool
	// gpus tells that the agent has GPUs, in use or not.
	gpus bool
	// withheld is what of its offers must not be used; see Cache.Withhold.
	withheld resources.Vector
	// leaving tells that the agent is to go at leavesAt; see Cache.SetLeaving.
	leaving  bool
	leavesAt time.Time

	id, hostname string
}

// slot is what one agent offered to one role.
type slot struct {
	// members are the reservations of the open batch, in the order they joined.
	members []member
	// pools are what the members have left of the offers, or of the prediction.
	pools
	offers   []held
	openedAt time.Time
	// batchNode is the node that the members were promised. It differs from the
	// agent's if that was matched anew while the batch was open.
	batchNode string
	inFlight  bool
	// predicted is one more than the place of the slot's prediction in the list of the
	// role, 0 if it has none; see predict.go.
	predicted int32
	// declined is what the agent had when its offers were last given back, nil if it
	// has offers now or spent them.
	declined *pools
}

// pools are resources by flavour.
type pools struct {
	unreserved resources.Bundle
	special    []pool
}

// held is one offer.
type held struct {
	id         string
	unreserved resources.Bundle
	since      time.Time
	// rare is nil for most offers.
	rare *rare
}

// rare is what few offers have.
type rare struct {
	special     []resources.Portion
	unavailable time.Time
}

// hold adds an offer to those held.
func (s *slot) hold(o *Offer, now time.Time) *held {
	s.offers = append(s.offers, held{id: o.ID, unreserved: o.Unreserved, since: now})
	h := &s.offers[len(s.offers)-1]
	if len(o.Special) > 0 || o.Unavailability != nil {
		h.rare = &rare{special: o.Special}
		if o.Unavailability != nil {
			h.rare.unavailable = o.Unavailability.Start
		}
	}
	return h
}

// special is what of the offer is reserved or revocable.
func (h *held) special() []resources.Portion {
	if h.rare == nil {
		return nil
	}
	return h.rare.special
}

// total is all that is in the offer.
func (h *held) total() resources.Vector {
	if h.rare == nil {
		return h.unreserved.Vector
	}
	sum := h.unreserved.Vector
	for i := range h.rare.special {
		sum = sum.Add(h.rare.special[i].Bundle.Vector)
	}
	return sum
}

// member is a reservation that waits for its batch to be sent.
type member struct {
	id   string
	want Want
	// parts is what it takes of which pool; nil if all is unreserved.
	parts []resources.Portion
}

// usable reports whether a reservation may be made here, if only there is enough:
// the agent is a node, and the open batch, if any, is for that same node.
func (s *slot) usable(node string) bool {
	return node != "" && (s == nil || len(s.members) == 0 || s.batchNode == node)
}

// reserved is the sum of what the members need.
func (s *slot) reserved() resources.Vector {
	var sum resources.Vector
	for i := range s.members {
		sum = sum.Add(s.members[i].want.Need.Vector)
	}
	return sum
}

// offered is the sum of the offers.
func (s *slot) offered() resources.Vector {
	var sum resources.Vector
	for i := range s.offers {
		sum = sum.Add(s.offers[i].total())
	}
	return sum
}

// refill shares the members' needs out anew after an offer went. Those that find
// no place any more are taken out of the batch and returned, youngest first; none
// finds one when no offer is left.
func (s *slot) refill(withheld *resources.Vector) (broken []string) {
	s.unreserved = resources.Bundle{}
	for i := range s.special {
		s.special[i].free = resources.Bundle{}
	}
	for i := range s.offers {
		s.give(&s.offers[i])
	}
	kept := s.members[:0]
	for _, m := range s.members {
		parts, short := s.split(&m.want, withheld)
		if len(s.offers) == 0 || short != "" {
			broken = append(broken, m.id)
			continue
		}
		m.parts = parts
		s.book(&m, true)
		kept = append(kept, m)
	}
	clear(s.members[len(kept):])
	s.members = kept
	slices.Reverse(broken)
	return broken
}
