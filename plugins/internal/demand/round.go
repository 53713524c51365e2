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
	"cmp"
	"slices"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Round is one look at all offers held: Judge each, then ask for the Surplus and for
// the time of the Next round. The demand must not change in between.
type Round struct {
	d   *Demand
	now time.Time
	// agents are those whose offers are kept so far, ids their offers.
	agents []heldAgent
	ids    []string
	// order is the indices of agents, the most useful first; targets is what is to be
	// held.
	order   []int32
	targets []target
	// total is the sum of what the agents have, most the largest amount of each kind.
	total offers.Free
	most  resources.Vector
	next  time.Time
}

// heldAgent is an agent whose offers are kept.
type heldAgent struct {
	free offers.Free
	// from and to bound its offers in Round.ids; since is when the last of them came.
	from, to int
	since    time.Time
	// special tells that some of it is reserved or revocable, late that it is of use
	// as a warm agent only.
	// ending tells that its maintenance is announced.
	special, ending, late bool
	score                 float64
}

// Round begins a round. reserved is how many pods of the demand have a reservation
// in a batch that was not sent.
func (d *Demand) Round(now time.Time, reserved int) *Round {
	d.forget(now)
	d.foldArrivals(now)
	r := &d.round
	// What a round held may be gone: its strings must not keep it alive.
	clear(r.agents)
	clear(r.ids)
	*r = Round{d: d, now: now, agents: r.agents[:0], ids: r.ids[:0], order: r.order[:0], targets: d.targets(r.targets[:0], reserved)}
	return r
}

// hold returns how long an offer is held at most: 0.8 to 1.0 of MaxHold, by its id.
func (d *Demand) hold(offerID string) time.Duration {
	hash := uint32(2166136261) // FNV-1a
	for i := range len(offerID) {
		hash = (hash ^ uint32(offerID[i])) * 16777619
	}
	return d.cfg.MaxHold - d.cfg.MaxHold/5/1024*time.Duration(hash>>16%1024)
}

// Judge decides about one held offer: keep it (reason ""), or decline it. A
// decline is remembered: pods that come later may want the offer again. The offers
// of an agent are to be judged one after another.
func (r *Round) Judge(h offers.Held) Reason {
	d := r.d
	if h.Node == "" {
		return Foreign
	}
	free := offers.Free{Regular: h.AgentFree, All: h.AgentAll, AgentID: h.AgentID}
	expires := h.Since.Add(d.hold(h.ID))
	reason := Reason("")
	switch {
	case len(d.pods) == 0:
		if grace := d.idleSince.Add(d.cfg.IdleGrace); !r.now.Before(grace) || !r.now.Before(expires) {
			reason = Idle
		} else {
			r.nextAt(grace)
		}
	case !r.fitsAny(&free):
		reason = TooSmall
	case !r.now.Before(expires):
		reason = Expired
	}
	if reason != "" && !d.warm.candidate(&free, d.cfg.Warm) {
		d.declined.note(reason, &h, r.now, d.cfg.MaxHold)
		return reason
	}
	if reason == "" {
		r.nextAt(expires)
	}
	r.keep(&h, &free, reason != "")
	return ""
}

func (r *Round) fitsAny(f *offers.Free) bool {
	for i := range r.targets {
		if r.d.fits(&r.targets[i].ask, f) {
			return true
		}
	}
	return false
}

func (r *Round) nextAt(at time.Time) {
	if at.After(r.now) && (r.next.IsZero() || at.Before(r.next)) {
		r.next = at
	}
}

func (r *Round) keep(h *offers.Held, free *offers.Free, late bool) {
	r.nextAt(h.Since.Add(r.d.cfg.SurplusAfter))
	r.ids = append(r.ids, h.ID)
	if n := len(r.agents); n > 0 && r.agents[n-1].free.AgentID == h.AgentID {
		a := &r.agents[n-1]
		a.to = len(r.ids)
		a.special = a.special || len(h.Special) > 0
		a.ending = a.ending || !h.UnavailableAt.IsZero()
		a.late = a.late && late
		if h.Since.After(a.since) {
			a.since = h.Since
		}
		return
	}
	r.agents = append(r.agents, heldAgent{
		free: *free, from: len(r.ids) - 1, to: len(r.ids), since: h.Since, late: late,
		special: len(h.Special) > 0, ending: !h.UnavailableAt.IsZero(),
	})
	none := resources.Vector{}
	r.total.Regular = r.total.Regular.Add(free.Regular.Max(none))
	r.total.All = r.total.All.Add(free.All.Max(none))
	r.most = r.most.Max(free.All)
}

// Surplus returns the offers, of those kept, that are beyond the target and were held
// for long enough to choose from. The target is a fifth more than the pods that have no
// reservation, those that will come until a REVIVE brings more, and the warm agents.
func (r *Round) Surplus() []string {
	d := r.d
	d.warm.begin(r.most)
	if len(r.agents) == 0 {
		return nil
	}
	r.aim()
	if r.scarce() {
		return nil
	}
	r.rank()
	spare := d.cfg.Warm
	var surplus []string
	for _, i := range r.order {
		a := &r.agents[i]
		if !a.late && r.use(a) {
			continue
		}
		if spare > 0 {
			spare--
			d.warm.add(a)
			continue
		}
		if !a.late && r.now.Before(a.since.Add(d.cfg.SurplusAfter)) {
			continue
		}
		d.declined.surplus.include(a.free.All)
		surplus = append(surplus, r.ids[a.from:a.to]...)
	}
	d.warm.end(spare == 0)
	return surplus
}

// Next returns when a judgement may change by time alone, zero for never. It is known
// after Surplus.
func (r *Round) Next() time.Time {
	for _, s := range r.d.shapes {
		if s.pods == 0 {
			r.nextAt(s.since.Add(r.d.cfg.IdleGrace))
		}
	}
	return r.next
}

// scarce tells at small cost that what is held is so little that no agent can be
// surplus: that would take a class for whose target the sum of all suffices.
func (r *Round) scarce() bool {
	if r.d.cfg.Warm > 0 || len(r.d.pods) == 0 {
		return false
	}
	for i := range r.targets {
		t := &r.targets[i]
		if fitting(&t.ask.Need, t.ask.usable(&r.total)) >= min(t.left, maxFitting) {
			return false
		}
	}
	return true
}

// rank orders the agents: largest first, but last those whose maintenance is announced
// or that have what costs others dearly and no pod asked for.
func (r *Round) rank() {
	special, gpus := false, false
	for i := range r.targets {
		special = special || r.targets[i].ask.Special
		gpus = gpus || r.targets[i].ask.Need[resources.GPU] > 0
	}
	for i := range r.agents {
		a := &r.agents[i]
		a.score = size(&a.free.Regular, &r.most)
		if !special && a.special || !gpus && a.free.All[resources.GPU] > 0 || a.ending {
			a.score -= float64(resources.NumKinds)
		}
		r.order = append(r.order, int32(i))
	}
	slices.SortFunc(r.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(r.agents[b].score, r.agents[a].score), cmp.Compare(a, b))
	})
}

// size is the sum of the amounts as shares of the largest, GPUs aside.
func size(v, most *resources.Vector) (sum float64) {
	for k := range v {
		if most[k] > 0 && resources.Kind(k) != resources.GPU {
			sum += float64(v[k]) / float64(most[k])
		}
	}
	return sum
}

// use places pods on an agent, big ones first. It reports whether the agent is needed:
// for them, or for a pod to choose it.
func (r *Round) use(a *heldAgent) (used bool) {
	regular, all := a.free.Regular, a.free.All
	for i := range r.targets {
		t := &r.targets[i]
		if t.left == 0 && !t.choosy {
			continue
		}
		left := offers.Free{Regular: regular, All: all}
		if t.choosy && !used && r.d.fits(&t.ask, &a.free) {
			used = true
		}
		n := min(t.left, fitting(&t.ask.Need, t.ask.usable(&left)))
		if n == 0 || !r.d.matches(&t.ask, a.free.AgentID) {
			continue
		}
		used = true
		t.left -= n
		for k, need := range t.ask.Need {
			regular[k] -= need * int64(n)
			all[k] -= need * int64(n)
		}
	}
	return used
}
