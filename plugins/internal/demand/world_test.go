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

package demand

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// world is a demand with a small master, agents and a scheduler around it. The master
// allocates every second and some time after a REVIVE.
type world struct {
	t   *testing.T
	r   *rand.Rand
	now time.Time
	d   *Demand
	cfg Config

	suppressed bool
	tickAt     time.Time
	runs       []time.Time
	runTime    time.Duration
	agents     map[string]*agent

	pods   map[string]Ask
	awake  []string
	placed map[string]string // the agent by pod
	// picky are the pods that other plugins keep from all agents but one.
	picky   map[string]string
	sweepAt time.Time
	// fresh is what came and was not announced.
	fresh []string
	// starved is since when a pod sleeps although its agent has room.
	starved map[string]time.Time
	// idle is since when no pod is to be placed.
	idle time.Time
	// paid are the times of the REVIVEs of a role that was not suppressed.
	paid    []time.Time
	revives int
	rewoken map[string]int
}

type agent struct {
	free resources.Vector
	// held is what we were offered of it; it is not part of free.
	held    resources.Vector
	offer   string
	since   time.Time
	refused resources.Vector
	until   time.Time
}

func newWorld(t *testing.T, seed uint64, cfg Config) *world {
	w := &world{
		t: t, r: rand.New(rand.NewPCG(seed, 5)), now: start, suppressed: true, tickAt: start.Add(time.Second), cfg: cfg,
		agents: map[string]*agent{}, pods: map[string]Ask{}, placed: map[string]string{}, picky: map[string]string{},
		starved: map[string]time.Time{}, idle: start, rewoken: map[string]int{},
	}
	w.runTime = time.Duration(1+w.r.IntN(40)) * time.Millisecond
	for i := range 1 + w.r.IntN(8) {
		n := int64(1 + w.r.IntN(12))
		w.agents[fmt.Sprint("a", i)] = &agent{free: amount(n, n)}
	}
	w.cfg.Matches = func(require, agentID string) bool { return require == "" || require == agentID }
	w.d = New(w.cfg, w.now)
	w.d.Subscribed(true)
	return w
}

func (w *world) names() []string { return slices.Sorted(maps.Keys(w.agents)) }

// allocate offers what is free, not refused and not nothing.
func (w *world) allocate() {
	if w.suppressed {
		return
	}
	came, fitting := false, false
	for _, id := range w.names() {
		a := w.agents[id]
		if a.offer != "" || a.free.IsZero() || w.now.Before(a.until) && a.free.Fits(a.refused) {
			continue
		}
		a.held, a.free, a.since = a.free, resources.Vector{}, w.now
		a.offer = fmt.Sprint(id, "-", w.now.UnixNano())
		came = true
		fitting = fitting || w.d.FitsFree(w.freeOf(id))
		w.fresh = append(w.fresh, id)
	}
	if came {
		w.d.Offered(fitting, w.now)
	}
}

func (w *world) freeOf(id string) offers.Free {
	held := w.agents[id].held
	return offers.Free{AgentID: id, Regular: held, All: held}
}

func (w *world) freeOfAll(ids []string) (list []offers.Free) {
	for _, id := range ids {
		if w.agents[id].offer != "" {
			list = append(list, w.freeOf(id))
		}
	}
	return list
}

// announce wakes pods for what came and lets the scheduler try all that are awake.
func (w *world) announce() {
	if len(w.fresh) > 0 {
		w.awake = append(w.awake, w.d.Wake(w.freeOfAll(w.fresh))...)
		w.fresh = nil
		clear(w.rewoken)
	}
	w.schedule()
	for {
		again := w.d.Rewake(w.freeOfAll(w.names()))
		if len(again) == 0 {
			break
		}
		for _, uid := range again {
			if w.rewoken[uid]++; w.rewoken[uid] > 1 {
				w.t.Fatalf("%s is woken again although nothing came", uid)
			}
		}
		w.awake = append(w.awake, again...)
		w.schedule()
	}
	for uid, ask := range w.pods {
		for id, a := range w.agents {
			if w.d.Asleep(uid) && a.offer != "" && w.likes(uid, id) && ask.Need.Fits(a.held) && w.d.matches(&ask, id) {
				w.t.Fatalf("%s sleeps beside an offer of %s", uid, id)
			}
		}
	}
}

func (w *world) likes(uid, agentID string) bool {
	return w.picky[uid] == "" || w.picky[uid] == agentID
}

// schedule tries each pod that is awake: it is placed, with what else fits the offer, or
// parked.
func (w *world) schedule() {
	type batch struct {
		agent string
		pods  []string
	}
	batches := map[string]*batch{}
	for _, uid := range w.awake {
		ask, ok := w.pods[uid]
		if !ok || w.d.Asleep(uid) {
			continue
		}
		found := false
		for _, i := range w.r.Perm(len(w.agents)) {
			id := w.names()[i]
			a := w.agents[id]
			if a.offer == "" || !ask.Need.Fits(a.held) || !w.likes(uid, id) || !w.d.matches(&ask, id) {
				continue
			}
			a.held = a.held.Sub(ask.Need)
			if batches[id] == nil {
				batches[id] = &batch{agent: id}
			}
			batches[id].pods = append(batches[id].pods, uid)
			found = true
			break
		}
		if !found {
			w.d.Park(uid)
		}
	}
	w.awake = nil
	for _, id := range slices.Sorted(maps.Keys(batches)) {
		a := w.agents[id]
		for _, uid := range batches[id].pods {
			w.remove(uid)
			w.placed[uid] = id
		}
		refuse := w.d.RefuseRest(0)
		a.free, a.offer = a.free.Add(a.held), ""
		if refuse > 0 {
			a.refused, a.until = a.held, w.now.Add(refuse)
		}
		w.d.Remainder(a.held, w.now)
		a.held = resources.Vector{}
	}
}

func (w *world) remove(uid string) {
	w.d.Remove(uid, w.now)
	delete(w.pods, uid)
	delete(w.starved, uid)
	delete(w.picky, uid)
	if len(w.pods) == 0 {
		w.idle = w.now
	}
}

// sweep judges all offers held.
func (w *world) sweep() {
	round := w.d.Round(w.now, 0)
	drop := map[string]Reason{}
	for _, id := range w.names() {
		a := w.agents[id]
		if a.offer == "" {
			continue
		}
		h := offers.Held{ID: a.offer, AgentID: id, Node: id, AgentFree: a.held, AgentAll: a.held, Since: a.since}
		if reason := round.Judge(h); reason != "" {
			drop[a.offer] = reason
		}
	}
	for _, offer := range round.Surplus() {
		if drop[offer] != "" {
			w.t.Fatalf("%s is surplus and %s", offer, drop[offer])
		}
		drop[offer] = Surplus
	}
	w.sweepAt = w.now.Add(250 * time.Millisecond)
	if at := round.Next(); !at.IsZero() {
		if !at.After(w.now) {
			w.t.Fatalf("the next round is %v ago", w.now.Sub(at))
		}
		if at.Before(w.sweepAt) {
			w.sweepAt = at
		}
	}
	for _, id := range w.names() {
		a := w.agents[id]
		if reason := drop[a.offer]; reason != "" {
			refuse := w.d.Refuse(reason)
			a.free, a.refused, a.until = a.free.Add(a.held), a.held, w.now.Add(refuse)
			a.held, a.offer = resources.Vector{}, ""
		}
	}
}

// call makes the calls that are due and returns when to ask again.
func (w *world) call() time.Time {
	asked := w.d.Asked()
	action, at := w.d.Next(w.now)
	switch action {
	case Revive:
		w.revives++
		if asked == Offering {
			w.paid = append(w.paid, w.now)
		}
		w.suppressed = false
		for _, a := range w.agents {
			a.until = time.Time{}
		}
		w.runs = append(w.runs, w.now.Add(w.runTime))
	case Suppress:
		if len(w.pods) > 0 {
			w.t.Fatalf("suppressed with %d pods", len(w.pods))
		}
		w.suppressed = true
	case None:
	}
	return at
}

// pass lets time pass, from event to event.
func (w *world) pass(span time.Duration) {
	end := w.now.Add(span)
	for {
		w.announce()
		if !w.now.Before(w.sweepAt) {
			w.sweep()
		}
		at := w.call()
		w.check()
		next := w.sweepAt
		for _, e := range append([]time.Time{at, w.tickAt}, w.runs...) {
			if !e.IsZero() && e.Before(next) {
				next = e
			}
		}
		if next.After(end) {
			w.now = end
			return
		}
		w.now = next
		if len(w.runs) > 0 && !w.now.Before(w.runs[0]) {
			w.runs = w.runs[1:]
			w.allocate()
		}
		if !w.now.Before(w.tickAt) {
			w.tickAt = w.tickAt.Add(time.Second)
			w.allocate()
		}
	}
}

// starving is how long a pod may sleep at most although an agent has room for it that
// is offered to nobody.
const starving = 5 * time.Second

func (w *world) check() {
	if n := len(w.paid); n > bucketBurst {
		// In whatever span, no more than the burst and what came in it.
		for i := range w.paid[:n-bucketBurst] {
			if most := bucketBurst + float64(w.now.Sub(w.paid[i]))/float64(reviveEvery); w.paid[n-1].Equal(w.now) && float64(n-i) > most+1e-6 {
				w.t.Fatalf("%d REVIVEs in %v", n-i, w.now.Sub(w.paid[i]))
			}
		}
	}
	if len(w.pods) == 0 && w.now.Sub(w.idle) > w.cfg.IdleGrace && w.cfg.Warm == 0 {
		if !w.suppressed {
			w.t.Fatalf("not suppressed %v after the last pod", w.now.Sub(w.idle))
		}
		if w.now.Sub(w.idle) > w.cfg.IdleGrace+250*time.Millisecond {
			for _, a := range w.agents {
				if a.offer != "" {
					w.t.Fatalf("%s is held %v after the last pod", a.offer, w.now.Sub(w.idle))
				}
			}
		}
	}
	for _, a := range w.agents {
		if a.offer != "" && w.cfg.Warm == 0 && w.now.Sub(a.since) > w.cfg.MaxHold+250*time.Millisecond {
			w.t.Fatalf("%s was held for %v", a.offer, w.now.Sub(a.since))
		}
	}
	for uid, ask := range w.pods {
		room := false
		for id, a := range w.agents {
			room = room || a.offer == "" && w.likes(uid, id) && ask.Need.Fits(a.free) && w.d.matches(&ask, id)
		}
		switch since, was := w.starved[uid]; {
		case !room:
			delete(w.starved, uid)
		case !was:
			w.starved[uid] = w.now
		case w.picky[uid] == "" && w.now.Sub(since) > starving:
			w.t.Fatalf("%s sleeps beside room for %v; next %v", uid, w.now.Sub(since), w.d.Status(w.now))
		}
	}
}
