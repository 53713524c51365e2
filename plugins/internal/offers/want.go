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

// Revocable says whether a pod may live on revocable resources.
type Revocable uint8

const (
	// RevocableNever keeps to regular resources.
	RevocableNever Revocable = iota
	// RevocableAllowed takes regular resources where they suffice, else revocable ones.
	RevocableAllowed
	// RevocableRequired takes revocable resources only, see resources.SplitRiding.
	RevocableRequired
)

// Order says which of an agent's regular resources a pod takes first.
type Order uint8

const (
	// ReservedFirst takes what is reserved for the role before the rest.
	ReservedFirst Order = iota
	// UnreservedFirst takes the rest first.
	UnreservedFirst
	// ReservedOnly takes only what is reserved for the role.
	ReservedOnly
)

// Want is what a pod asks of one agent's offers.
type Want struct {
	Need      resources.Bundle
	Revocable Revocable
	Order     Order
	// Predicted lets the pod reserve on a prediction, too, if it is an ordinary one: to
	// be set from Selection.Predicted, so that no pod waits for an offer while it fits
	// one that there is.
	Predicted bool
	// Until is when the pod is sure to have ended: that makes it use agents, too, that
	// are to go then or later. Zero for no such time.
	Until time.Time
	// Owner is whose labelled reservations are for this pod, "" for none. They are
	// taken before anything else.
	Owner string
	// Reserve, if set, makes reservations of this flavour of the unreserved resources
	// that the pod takes. It then takes nothing that is reserved for the role at
	// large, because others may take that when the pod is away; with the order
	// ReservedOnly nothing but what is its Owner's. What it takes of revocable resources
	// stays as it is: Mesos reserves none of those.
	Reserve *resources.Flavour
}

// Plain returns the want of a pod that needs nothing but an amount of regular
// resources.
func Plain(need resources.Vector) *Want {
	return &Want{Need: resources.Bundle{Vector: need}}
}

// plain tells whether the columns can judge the want: they show the regular
// resources that any pod may use, of agents that are not kept for GPUs.
func (w *Want) plain() bool {
	return w.Need.Plain() && w.Need.Vector[resources.GPU] == 0 && w.Revocable != RevocableRequired &&
		w.Order != ReservedOnly && w.Owner == "" && w.Reserve == nil && w.Until.IsZero()
}

// foresees tells whether the pod may reserve on a prediction.
func (w *Want) foresees() bool { return w.Predicted && w.plain() }

// Prefixes of what is short, if not the resource as such is.
const (
	revocablePrefix = "revocable "
	reservedPrefix  = "reserved "
)

// pool is what a slot has of one flavour that is not plain.
type pool struct {
	flavour *resources.Flavour
	// owner is the only one who may use it, "" if every pod may; usable is false for
	// the reservations of others than us.
	owner  string
	usable bool
	// offers counts the portions of it that are offered, free is what the open batch
	// has left of their sum.
	offers int
	free   resources.Bundle
}

// common tells whether every pod may use the pool.
func (p *pool) common() bool { return p.usable && p.owner == "" && !p.flavour.IsRevocable() }

// split shares a want out over the pools: exactly the need, of each pool no
// more than is free. The parts have the flavours of their pools. If that cannot be,
// short names what is lacking. withheld is not ours although it is offered.
func (s *pools) split(w *Want, withheld *resources.Vector) (parts []resources.Portion, short string) {
	if w.Revocable != RevocableRequired {
		if parts, short = resources.Split(s.regular(w, withheld), w.Need); short == "" {
			return parts, ""
		}
		if w.Order == ReservedOnly {
			short = reservedPrefix + short
		}
		if w.Revocable == RevocableNever {
			return nil, short
		}
	}
	parts, lacking := resources.SplitRiding(s.revocable(), s.regular(w, withheld), w.Need)
	switch {
	case lacking == "":
		return parts, ""
	case w.Revocable == RevocableAllowed:
		return nil, short
	}
	return nil, revocablePrefix + lacking
}

// regular returns the pools that a want may use for regular resources, the
// preferred first.
func (s *pools) regular(w *Want, withheld *resources.Vector) []resources.Portion {
	list := make([]resources.Portion, 0, 1+len(s.special))
	if w.Owner != "" {
		for i := range s.special {
			if p := &s.special[i]; p.usable && p.owner == w.Owner {
				list = append(list, resources.Portion{Flavour: p.flavour, Bundle: p.free})
			}
		}
	}
	unreserved := func() {
		free := s.unreserved
		free.Vector = s.freeUnreserved(withheld)
		list = append(list, resources.Portion{Bundle: free})
	}
	if w.Order == UnreservedFirst || w.Reserve != nil && w.Order != ReservedOnly {
		unreserved()
	}
	if w.Reserve != nil {
		return list
	}
	for i := range s.special {
		if p := &s.special[i]; p.common() {
			list = append(list, resources.Portion{Flavour: p.flavour, Bundle: p.free})
		}
	}
	if w.Order == ReservedFirst {
		unreserved()
	}
	return list
}

// revocable returns the free revocable resources.
func (s *pools) revocable() resources.Bundle {
	for i := range s.special {
		if ridden(s.special[i].flavour) {
			return s.special[i].free
		}
	}
	return resources.Bundle{}
}

// book takes a member's parts out of the pools, or puts them back.
func (s *slot) book(m *member, take bool) {
	if m.parts == nil {
		book(&s.unreserved, &m.want.Need, take)
		return
	}
	for i := range m.parts {
		free := &s.unreserved
		if p := s.poolOf(m.parts[i].Flavour); p != nil {
			free = &p.free
		}
		book(free, &m.parts[i].Bundle, take)
	}
}

func book(free, b *resources.Bundle, take bool) {
	switch {
	case take && b.Plain():
		free.Vector = free.Vector.Sub(b.Vector)
	case take:
		*free = free.Sub(*b)
	case b.Plain():
		free.Vector = free.Vector.Add(b.Vector)
	default:
		*free = free.Add(*b)
	}
}

// ridden tells whether a flavour is the one that riding pods use. What is revocable and
// reserved, too, is nobody's: resources.SplitRiding knows no such flavour.
func ridden(f *resources.Flavour) bool { return f.IsRevocable() && f.Reserved() == nil }

// poolOf returns the pool of a flavour, nil for the plain one.
func (s *slot) poolOf(flavour *resources.Flavour) *pool {
	for i := range s.special {
		if of := s.special[i].flavour; of.Equal(flavour) || ridden(of) && ridden(flavour) {
			return &s.special[i]
		}
	}
	return nil
}

// enter adds an offer to the pools.
func (s *slot) enter(h *held, classify func(*resources.Flavour) (owner string, usable bool)) {
	special := h.special()
	for i := range special {
		flavour := special[i].Flavour
		p := s.poolOf(flavour)
		if p == nil && flavour != nil {
			made := pool{flavour: flavour, usable: ridden(flavour)}
			if !flavour.IsRevocable() {
				made.owner, made.usable = classify(flavour)
			}
			s.special = append(s.special, made)
			p = &s.special[len(s.special)-1]
		}
		if p != nil {
			p.offers++
		}
	}
	s.give(h)
}

// give adds what is in an offer to the pools, which there are.
func (s *slot) give(h *held) {
	book(&s.unreserved, &h.unreserved, false)
	if h.rare == nil {
		return
	}
	special := h.rare.special
	for i := range special {
		free := &s.unreserved
		if p := s.poolOf(special[i].Flavour); p != nil {
			free = &p.free
		}
		book(free, &special[i].Bundle, false)
	}
}

// exit takes an offer out of the pools. It reports whether no member needs anything
// of it; if one does, the pools are wrong until the next refill.
func (s *slot) exit(h *held) (spare bool) {
	spare = s.unreserved.Ports.Contains(h.unreserved.Ports)
	book(&s.unreserved, &h.unreserved, true)
	special := h.special()
	for i := range special {
		free := &s.unreserved
		if p := s.poolOf(special[i].Flavour); p != nil {
			p.offers--
			free = &p.free
		}
		spare = free.Ports.Contains(special[i].Bundle.Ports) && spare
		book(free, &special[i].Bundle, true)
		spare = spare && !free.AnyNegative()
	}
	if len(special) > 0 {
		s.special = slices.DeleteFunc(s.special, func(p pool) bool { return p.offers == 0 })
	}
	return spare && !s.unreserved.AnyNegative()
}

// freeRegular is what any pod may have of the slot.
func (s *slot) freeRegular(withheld *resources.Vector) resources.Vector {
	free := s.freeUnreserved(withheld)
	for i := range s.special {
		if s.special[i].common() {
			free = free.Add(s.special[i].free.Vector)
		}
	}
	return free
}

// freeAll is what the slot has for whatever pods of ours.
func (s *slot) freeAll(withheld *resources.Vector) resources.Vector {
	free := s.freeUnreserved(withheld)
	for i := range s.special {
		if s.special[i].usable {
			free = free.Add(s.special[i].free.Vector)
		}
	}
	return free
}

func (s *pools) freeUnreserved(withheld *resources.Vector) resources.Vector {
	if withheld.IsZero() {
		return s.unreserved.Vector
	}
	return s.unreserved.Vector.Sub(*withheld).Max(resources.Vector{})
}
