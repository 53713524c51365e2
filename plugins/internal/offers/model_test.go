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
	"cmp"
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// model says what a cache ought to do, in the plainest way: it keeps only which
// agent has which offers and reservations, and computes everything else from
// them each time. It has no slots, no sums and no columns.
type model struct {
	agents map[string]*modelAgent
	// fate is where every offer and every reservation ever made ended up.
	offerFate, podFate map[string]string
	// opened counts batches, to order them by age even within one moment.
	opened int
}

type modelAgent struct {
	name, node string
	offers     []modelPart
	pods       []modelPart
	batchNode  string
	batchAt    time.Time
	batchOrder int
	inFlight   bool
	// predicted is what is predicted, until when; nil if nothing is.
	predicted      *resources.Vector
	predictedUntil time.Time
}

type modelPart struct {
	id     string
	amount resources.Vector
}

const (
	fateHeld, fateSpent, fateDeclined, fateRescinded, fateVoid = "held", "spent", "declined", "rescinded", "void"
	fateOpen, fateSent, fateReleased, fateBroken               = "open", "sent", "released", "broken"
)

func newModel() *model {
	return &model{agents: map[string]*modelAgent{}, offerFate: map[string]string{}, podFate: map[string]string{}}
}

func sumOf(parts []modelPart) (sum resources.Vector) {
	for _, p := range parts {
		for k := range sum {
			sum[k] += p.amount[k]
		}
	}
	return sum
}

func idsOf(parts []modelPart) []string {
	var ids []string
	for _, p := range parts {
		ids = append(ids, p.id)
	}
	return ids
}

func amountsOf(parts []modelPart) (list []resources.Vector) {
	for _, p := range parts {
		list = append(list, p.amount)
	}
	return list
}

func (a *modelAgent) free() (free resources.Vector) {
	offered, reserved := sumOf(a.offers), sumOf(a.pods)
	if a.predicted != nil {
		offered = *a.predicted
	}
	for k := range free {
		free[k] = offered[k] - reserved[k]
	}
	return free
}

// verdict is what a reader must be told about need, if predictions are, or are not, of
// use to it.
func (a *modelAgent) verdict(need resources.Vector, foresees bool) (Verdict, resources.Kind) {
	foresees = foresees && need[resources.GPU] == 0 && a.predicted != nil
	switch {
	case a.node == "", len(a.pods) > 0 && a.batchNode != a.node:
		return NotAgent, 0
	case len(a.offers) == 0 && !foresees && (a.inFlight || a.predicted != nil):
		return InFlight, 0
	case len(a.offers) == 0 && !foresees:
		return NoOffer, 0
	}
	free := a.free()
	for k := range need {
		if need[k] > free[k] {
			return ShortOf, resources.Kind(k)
		}
	}
	return Fitting, 0
}

func (m *model) agent(name string) *modelAgent {
	if m.agents[name] == nil {
		m.agents[name] = &modelAgent{name: name}
	}
	return m.agents[name]
}

// find returns the agent that has the offer or the reservation.
func (m *model) find(id string, of func(*modelAgent) []modelPart) *modelAgent {
	for _, a := range m.agents {
		if slices.Contains(idsOf(of(a)), id) {
			return a
		}
	}
	return nil
}

func offersOf(a *modelAgent) []modelPart { return a.offers }
func podsOf(a *modelAgent) []modelPart   { return a.pods }

func without(parts []modelPart, id string) (rest []modelPart) {
	for _, p := range parts {
		if p.id != id {
			rest = append(rest, p)
		}
	}
	return rest
}

func (m *model) add(id, agent string, amount resources.Vector) (broken []string, isNew bool) {
	if m.find(id, offersOf) != nil {
		return nil, false
	}
	a := m.agent(agent)
	a.offers, a.inFlight = append(a.offers, modelPart{id, amount}), false
	m.offerFate[id] = fateHeld
	a.predicted = nil
	return m.fit(a), true
}

// unpredict ends the prediction and breaks who waits on it.
func (m *model) unpredict(a *modelAgent) []string {
	if a == nil || a.predicted == nil {
		return nil
	}
	a.predicted = nil
	return m.fit(a)
}

func (m *model) remove(id string) (broken []string) {
	a := m.find(id, offersOf)
	if a == nil {
		return nil
	}
	a.offers = without(a.offers, id)
	m.offerFate[id] = fateRescinded
	return m.fit(a)
}

// fit breaks those who do not fit the offers any more.
func (m *model) fit(a *modelAgent) (broken []string) {
	pods := a.pods
	a.pods = nil
	for _, p := range pods {
		if len(a.offers) > 0 && p.amount.Fits(a.free()) {
			a.pods = append(a.pods, p)
			continue
		}
		m.podFate[p.id] = fateBroken
		broken = append(broken, p.id)
	}
	slices.Reverse(broken)
	return broken
}

func (m *model) removeAgent(name string) (broken []string) {
	a := m.agents[name]
	if a == nil {
		return nil
	}
	for _, o := range a.offers {
		m.offerFate[o.id] = fateVoid
	}
	for _, p := range a.pods {
		m.podFate[p.id] = fateBroken
		broken = append(broken, p.id)
	}
	delete(m.agents, name)
	return broken
}

// reserve reports whether the reservation is made.
func (m *model) reserve(agent, id string, need resources.Vector, foresees bool, now time.Time) bool {
	a := m.agents[agent]
	if a == nil || m.find(id, podsOf) != nil || need.AnyNegative() {
		return false
	}
	if v, _ := a.verdict(need, foresees); v != Fitting {
		return false
	}
	if len(a.pods) == 0 {
		m.opened++
		a.batchNode, a.batchAt, a.batchOrder = a.node, now, m.opened
	}
	a.pods = append(a.pods, modelPart{id, need})
	m.podFate[id] = fateOpen
	return true
}

func (m *model) release(id string) bool {
	a := m.find(id, podsOf)
	if a == nil {
		return false
	}
	a.pods = without(a.pods, id)
	m.podFate[id] = fateReleased
	return true
}

// flush returns the broken ids in any order.
func (m *model) flush(now, quiet time.Time, p FlushPolicy) (due []Batch, broken []string, next time.Time) {
	var open []*modelAgent
	for _, a := range m.agents {
		if !a.predictedUntil.After(now) {
			broken = append(broken, m.unpredict(a)...)
		}
		if len(a.pods) > 0 && a.predicted == nil {
			open = append(open, a)
		}
	}
	slices.SortFunc(open, func(a, b *modelAgent) int { return cmp.Compare(a.batchOrder, b.batchOrder) })
	for _, a := range open {
		tooSmall, free := false, a.free()
		for k := range free {
			tooSmall = tooSmall || p.Smallest[k] > 0 && free[k] < p.Smallest[k]
		}
		wait := min(a.batchAt.Add(p.MaxLinger).Sub(now), quiet.Add(p.Linger).Sub(now))
		if !p.Drained && wait > 0 && len(a.pods) < p.MaxTasks && !tooSmall {
			if at := now.Add(wait); next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		var stayed []modelPart
		if p.MaxTasks > 0 && len(a.pods) > p.MaxTasks && p.PredictedWait > 0 && a.node == a.batchNode {
			all := a.pods
			a.pods = slices.Clone(all[:p.MaxTasks])
			for _, pod := range all[p.MaxTasks:] {
				if pod.amount[resources.GPU] > 0 {
					a.pods = append(a.pods, pod)
				} else {
					stayed = append(stayed, pod)
				}
			}
		}
		due = append(due, Batch{
			AgentID: a.name, Role: "web", Node: a.batchNode, OfferIDs: idsOf(a.offers), Members: plainMembers(idsOf(a.pods), amountsOf(a.pods)...),
			Offered: sumOf(a.offers), Need: sumOf(a.pods), OpenedAt: a.batchAt,
		})
		left := a.free()
		if len(stayed) > 0 || p.Predict && left != (resources.Vector{}) && !tooSmall && a.node == a.batchNode {
			due[len(due)-1].Predicted = left
			a.predicted, a.predictedUntil = &left, now.Add(p.PredictedWait)
		}
		for _, o := range a.offers {
			m.offerFate[o.id] = fateSpent
		}
		for _, pod := range a.pods {
			m.podFate[pod.id] = fateSent
		}
		a.offers, a.pods, a.inFlight = nil, stayed, true
	}
	for _, a := range m.agents {
		if a.predicted != nil && (next.IsZero() || a.predictedUntil.Before(next)) {
			next = a.predictedUntil
		}
	}
	return due, broken, next
}

// sweep returns the ids, sorted.
func (m *model) sweep(drop func(id string) bool) (ids []string) {
	for _, a := range m.agents {
		if len(a.pods) > 0 {
			continue
		}
		for _, o := range a.offers {
			if drop(o.id) {
				a.offers = without(a.offers, o.id)
				m.offerFate[o.id] = fateDeclined
				ids = append(ids, o.id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}
