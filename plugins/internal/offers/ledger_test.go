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
	"fmt"
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// ledger is what the flavour tests know of a cache: what was offered and who asked for
// what. It knows nothing of how needs are shared out; it judges what comes out.
type ledger struct {
	offers map[string]*ledgerOffer
	pods   map[string]*ledgerPod
	joined int
}

type ledgerOffer struct {
	agent, role string
	has         books
	// ended is "" while the offer is held.
	ended string
}

type ledgerPod struct {
	id, agent, role string
	want            Want
	// order tells who joined before whom.
	order int
	// foreseen tells that it was on a prediction.
	foreseen bool
	ended    string
}

func newLedger() *ledger {
	return &ledger{offers: map[string]*ledgerOffer{}, pods: map[string]*ledgerPod{}}
}

func (l *ledger) add(o *Offer) {
	has := books{}
	has.add(nil, o.Unreserved)
	for _, p := range o.Special {
		has.add(p.Flavour, p.Bundle)
	}
	l.offers[o.ID] = &ledgerOffer{agent: o.AgentID, role: o.Role, has: has}
}

// held are the ids of the offers of an agent to a role, sorted; role "" is all roles.
func (l *ledger) held(agent, role string) (ids []string) {
	for id, o := range l.offers {
		if o.ended == "" && o.agent == agent && (role == "" || o.role == role) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// open are the pods in the open batch, in the order they joined.
func (l *ledger) open(agent, role string) (ids []string) {
	for id, p := range l.pods {
		if p.ended == "" && p.agent == agent && (role == "" || p.role == role) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return l.pods[a].order - l.pods[b].order })
	return ids
}

func (l *ledger) endOffer(id, how string) error {
	o := l.offers[id]
	if o == nil || o.ended != "" {
		return fmt.Errorf("offer %s is %s, which is unknown or ended before: %+v", id, how, o)
	}
	o.ended = how
	return nil
}

func (l *ledger) endPod(id, how string) error {
	p := l.pods[id]
	if p == nil || p.ended != "" {
		return fmt.Errorf("reservation %s is %s, which is unknown or ended before: %+v", id, how, p)
	}
	p.ended = how
	return nil
}

// broken ends the pods that a rescind broke: some of the open batch, youngest first,
// all of them if no offer is left.
func (l *ledger) broken(agent, role string, ids []string) error {
	open := l.open(agent, role)
	for n, id := range ids {
		if !slices.Contains(open, id) {
			return fmt.Errorf("%s is broken, but is not in the batch %v", id, open)
		}
		if n > 0 && l.pods[id].order > l.pods[ids[n-1]].order {
			return fmt.Errorf("broken are %v, which is not youngest first", ids)
		}
		if err := l.endPod(id, "broken"); err != nil {
			return err
		}
	}
	if len(l.held(agent, role)) == 0 && len(ids) < len(open) {
		return fmt.Errorf("of %v without an offer only %v are broken", open, ids)
	}
	return nil
}

// end ends pods that broke otherwise; agent "" is any.
func (l *ledger) void(agent, why string, ids []string) error {
	for _, id := range ids {
		if p := l.pods[id]; p == nil || agent != "" && p.agent != agent || len(l.held(p.agent, p.role)) > 0 {
			return fmt.Errorf("%s is broken by %s, though its agent has offers", id, why)
		}
		if err := l.endPod(id, "broken"); err != nil {
			return err
		}
	}
	return nil
}

// spend judges a batch, and ends its offers and members.
func (l *ledger) spend(b *Batch) error {
	ids := slices.Sorted(slices.Values(b.OfferIDs))
	if held := l.held(b.AgentID, b.Role); len(ids) == 0 || !slices.Equal(ids, held) {
		return fmt.Errorf("names offers %v, held are %v", ids, held)
	}
	if err := l.stay(b); err != nil {
		return err
	}
	var has, asked books
	for _, id := range ids {
		for _, p := range l.offers[id].has {
			has.add(p.Flavour, p.Bundle)
		}
	}
	var need resources.Vector
	for i := range b.Members {
		m := &b.Members[i]
		pod := l.pods[m.ID]
		need = need.Add(pod.want.Need.Vector)
		if err := l.judge(pod, m, &asked); err != nil {
			return fmt.Errorf("member %s: %w", m.ID, err)
		}
		if err := l.endPod(m.ID, "sent"); err != nil {
			return err
		}
	}
	var offered resources.Vector
	for _, p := range has {
		offered = offered.Add(p.Bundle.Vector)
	}
	if b.Offered != offered || b.Need != need {
		return fmt.Errorf("offered %s and need %s, want %s and %s", b.Offered, b.Need, offered, need)
	}
	for _, p := range asked {
		if from, _ := has.find(p.Flavour); !p.Bundle.Fits(&from) {
			return fmt.Errorf("asks for %s of %s, offered is %s", p.Bundle, p.Flavour, from)
		}
	}
	for _, id := range ids {
		if err := l.endOffer(id, "spent"); err != nil {
			return err
		}
	}
	return nil
}

// stay checks that the batch has all members that there are, but for ordinary ones that
// stay behind on a prediction that holds them.
func (l *ledger) stay(b *Batch) error {
	open, left := l.open(b.AgentID, b.Role), b.Predicted
	sent := slices.DeleteFunc(slices.Clone(open), func(id string) bool { return !slices.Contains(b.IDs(), id) })
	if len(sent) == 0 || !slices.Equal(b.IDs(), sent) {
		return fmt.Errorf("has members %v, open are %v", b.IDs(), open)
	}
	for _, id := range open {
		pod := l.pods[id]
		if slices.Contains(sent, id) {
			continue
		}
		if left = left.Sub(pod.want.Need.Vector); !pod.want.plain() || left.AnyNegative() {
			return fmt.Errorf("%s with %+v stays behind, predicted is %s", id, pod.want, b.Predicted)
		}
		pod.foreseen = true
	}
	return nil
}

// judge checks one member by its want and adds to asked what it asks of each flavour
// that was offered.
func (l *ledger) judge(pod *ledgerPod, m *Member, asked *books) error {
	w := &pod.want
	var sum, revocable, regular resources.Bundle
	var reserve []resources.Portion
	for i, p := range m.Parts {
		// Reservations to be made are told by the pointer.
		from := p.Flavour
		if w.Reserve != nil && p.Flavour == w.Reserve {
			from = nil
			reserve = append(reserve, p)
		}
		if before, _ := asked.find(from); len(before.Ports.Intersect(p.Bundle.Ports)) > 0 {
			return fmt.Errorf("ports %s of %s are taken twice", p.Bundle.Ports, from)
		}
		if slices.ContainsFunc(m.Parts[:i], func(o resources.Portion) bool { return from != nil && o.Flavour != w.Reserve && o.Flavour.Equal(from) }) {
			return fmt.Errorf("two parts are of %s", p.Flavour)
		}
		asked.add(from, p.Bundle)
		sum = sum.Add(p.Bundle)
		if p.Flavour.IsRevocable() {
			revocable = revocable.Add(p.Bundle)
		} else {
			regular = regular.Add(p.Bundle)
		}
		if err := allowed(w, from, &p); err != nil {
			return err
		}
	}
	if !sum.Equal(&w.Need) {
		return fmt.Errorf("needs %s and asks for %s", w.Need, sum)
	}
	if err := unmixed(&revocable, &regular); err != nil {
		return err
	}
	if !slices.EqualFunc(reserve, m.Reserve, func(a, b resources.Portion) bool { return a.Flavour == b.Flavour && a.Bundle.Equal(&b.Bundle) }) {
		return fmt.Errorf("reserves %v, of the parts %v", m.Reserve, m.Parts)
	}
	if cpu := regular.Vector[resources.CPU]; w.Revocable == RevocableRequired && cpu > 0 {
		return fmt.Errorf("must ride and asks for %d regular cpus", cpu)
	}
	return nil
}

// unmixed checks that no name is of both kinds.
func unmixed(revocable, regular *resources.Bundle) error {
	for k := range revocable.Vector {
		if revocable.Vector[k] > 0 && regular.Vector[k] > 0 {
			return fmt.Errorf("mixes revocable and regular %s", resources.Kind(k))
		}
	}
	if len(revocable.Ports) > 0 && len(regular.Ports) > 0 {
		return fmt.Errorf("mixes revocable and regular ports")
	}
	for _, s := range revocable.Scalars {
		if regular.Scalars.Of(s.Name) > 0 {
			return fmt.Errorf("mixes revocable and regular %s", s.Name)
		}
	}
	return nil
}

// allowed checks that a want permits a part of an offered flavour.
func allowed(w *Want, from *resources.Flavour, p *resources.Portion) error {
	wrong := func(why string) error { return fmt.Errorf("asks for %s of %s: %s", p.Bundle, from, why) }
	switch {
	case from.IsRevocable():
		if w.Revocable == RevocableNever || from.Reserved() != nil {
			return wrong("must not ride on it")
		}
	case from == nil:
		if w.Reserve != nil && p.Flavour != w.Reserve && !p.Bundle.IsZero() {
			return wrong("it is not reserved")
		}
		if w.Order == ReservedOnly && !p.Bundle.IsZero() {
			return wrong("only reserved resources are wanted")
		}
	default:
		switch owner, usable := byOwner(from); {
		case !usable || owner != "" && owner != w.Owner:
			return wrong("it is somebody else's")
		case owner == "" && w.Reserve != nil:
			return wrong("others may take it when the pod is away")
		}
	}
	return nil
}
