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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Config holds the policy's times.
type Config struct {
	// MaxHold is how long an offer is held at most that no pod uses. Each goes up to a
	// fifth earlier, so that those which came together do not go together.
	MaxHold time.Duration
	// SurplusAfter is how long more is held than the pods need, for them to choose
	// from; 0 is 200 ms.
	SurplusAfter time.Duration
	// RefuseUnused is the filter of an offer declined because no pod uses it,
	// RefuseForeign that of an offer which no pod of ours can ever use, RefuseSurplus
	// that of one which fits pods that have enough to choose from; 0 is 30 s.
	RefuseUnused, RefuseForeign, RefuseSurplus time.Duration
	// ReviveEvery is the least time between two REVIVEs but the first few, while the
	// role is not suppressed; 0 is 200 ms.
	ReviveEvery time.Duration
	// IdleGrace is how long after the last pod everything is given back.
	IdleGrace time.Duration
	// Warm is on how many agents offers are held although no pod needs them.
	Warm int
	// Matches tells whether an agent is what pods require; see Ask.Require. It is asked
	// about "", too. When its answers change, Reopen is to be called. nil is yes to
	// everything.
	Matches func(require, agentID string) bool
}

// The defaults of a Config.
const (
	surplusAfter  = 200 * time.Millisecond
	reviveEvery   = 200 * time.Millisecond
	refuseSurplus = 30 * time.Second
)

func (c Config) withDefaults() Config {
	if c.ReviveEvery <= 0 {
		c.ReviveEvery = reviveEvery
	}
	if c.SurplusAfter <= 0 {
		c.SurplusAfter = surplusAfter
	}
	if c.RefuseSurplus <= 0 {
		c.RefuseSurplus = refuseSurplus
	}
	return c
}

// Demand knows the pods to be placed. See the package comment.
type Demand struct {
	cfg  Config
	pods map[string]*pod
	// shapes are the classes of pods that ask for the same: few shapes, many pods.
	// Those without pods are kept for a grace, as more of the like may come.
	shapes map[Ask]*shape
	// classes counts the shapes that have pods, generation their comings and goings.
	classes    int
	generation uint64
	// parked counts pods that wait for an offer, not for a scheduling cycle.
	parked int
	// untold counts the parked pods that have not been shown a declined offer.
	untold int
	// parkings numbers the calls of Park that put a pod to sleep; announced is the
	// number when capacity was last announced to the sleeping.
	parkings, announced uint64

	subscribed bool
	asked      Asked
	// idleSince is when the last pod was placed, zero while there are pods.
	idleSince time.Time
	// seeking tells that offers are wanted although no pod may wait.
	seeking bool

	declined declined
	revives  revives
	round    Round
	// warm are the agents held without need.
	warm warm
	// foldedAt is when arrivals were last turned into rates.
	foldedAt time.Time
}

// Ask is what a pod asks for.
type Ask struct {
	Need resources.Vector
	// Special pods may use what ordinary pods may not: revocable resources, a
	// reservation of their own, GPUs.
	Special bool
	// Choosy pods have wishes other than resources, so that others may turn down what
	// we offer: all offers that fit them are worth showing.
	Choosy bool
	// Require is the key of what the pod requires of its node, "" if nothing.
	Require string
	// AgentID, if not "", is the only agent whose offers are of use: the pod runs
	// there and needs more. Whoever adds such a pod looks at offers as they come, and
	// parks it in between.
	AgentID string
}

type pod struct {
	ask Ask
	// parking is the number of the Park the pod sleeps by, 0 while it does not.
	parking uint64
	// told tells that the pod was tried again after an offer had been declined as
	// too small: it says so now, and not that there is none.
	told bool
	// fresh tells that the pod has not slept since it came or Kubernetes had it tried
	// again: what others left unused may be of use to it.
	fresh bool
}

// shape is all pods that ask for the same.
type shape struct {
	pods int
	// since is when the last pod was placed.
	since time.Time
	// queue lists the parked pods in the order they were parked, and sleepers that
	// left since: those are skipped when met, and dropped when they are many.
	queue  []sleeper
	parked int
	// small tells that offers were declined as too small that this shape, which came
	// later, may use; moved that a pod came or went since the last REVIVE.
	small, moved bool
	arrivals     arrivals
}

// New returns the demand of no pods, of a role about which the master was told
// nothing yet.
func New(cfg Config, now time.Time) *Demand {
	d := &Demand{
		cfg: cfg.withDefaults(), pods: map[string]*pod{}, shapes: map[Ask]*shape{}, asked: Unknown,
		idleSince: now, foldedAt: now, warm: warm{agents: map[string]bool{}},
	}
	d.revives.reset(d.cfg.ReviveEvery, now)
	return d
}

// matches tells whether an agent is what the pod requires of its node.
func (d *Demand) matches(ask *Ask, agentID string) bool {
	switch {
	case ask.AgentID != "":
		return ask.AgentID == agentID
	case d.cfg.Matches == nil:
		return true
	}
	return d.cfg.Matches(ask.Require, agentID)
}

// usable returns what such pods may use of an agent.
func (a *Ask) usable(f *offers.Free) *resources.Vector {
	if a.Special {
		return &f.All
	}
	return &f.Regular
}

// fits tells whether what an agent has free may be of use to such pods.
func (d *Demand) fits(ask *Ask, f *offers.Free) bool {
	return ask.Need.Fits(*ask.usable(f)) && d.matches(ask, f.AgentID)
}

// FitsFree tells whether what an agent has free fits a pod of the demand.
func (d *Demand) FitsFree(f offers.Free) bool {
	for ask, s := range d.shapes {
		if s.pods > 0 && d.fits(&ask, &f) {
			return true
		}
	}
	return false
}

// Add makes a pod part of the demand, or changes what it asks for.
func (d *Demand) Add(uid string, ask Ask) {
	if p := d.pods[uid]; p != nil {
		if p.ask == ask {
			return
		}
		d.drop(uid, p)
	}
	d.pods[uid] = &pod{ask: ask, fresh: true}
	s := d.shapes[ask]
	if s == nil {
		s = &shape{small: d.declined.small.mayFit(ask.Need)}
		d.shapes[ask] = s
	}
	if s.pods == 0 {
		d.classes++
		d.generation++
	}
	s.pods++
	s.moved = true
	s.arrivals.count++
	d.declined.stale = 0
	d.idleSince = time.Time{}
}

// Remove takes a pod out of the demand: placed, or gone.
func (d *Demand) Remove(uid string, now time.Time) {
	p := d.pods[uid]
	if p == nil {
		return
	}
	s := d.shapes[p.ask]
	d.drop(uid, p)
	s.moved, s.since = true, now
	if len(d.pods) == 0 {
		d.idleSince, d.declined.emptied = now, true
	}
}

func (d *Demand) drop(uid string, p *pod) {
	d.Unpark(uid)
	s := d.shapes[p.ask]
	s.pods--
	if s.pods == 0 {
		d.classes--
		d.generation++
	}
	delete(d.pods, uid)
}

// Smallest returns the elementwise smallest need of the pods that are not
// parked: what an offer must have left for any of them to join.
func (d *Demand) Smallest() resources.Vector {
	var smallest resources.Vector
	first := true
	for ask, s := range d.shapes {
		if s.pods == s.parked {
			continue
		}
		if first {
			smallest, first = ask.Need, false
		} else {
			smallest = smallest.Min(ask.Need)
		}
	}
	return smallest
}

// Classes yields what pods ask for, with how many do and how many of those are
// parked, in no order.
func (d *Demand) Classes(yield func(ask Ask, pods, parked int)) {
	for ask, s := range d.shapes {
		if s.pods > 0 {
			yield(ask, s.pods, s.parked)
		}
	}
}

// ClassGeneration changes whenever Classes would yield other asks.
func (d *Demand) ClassGeneration() uint64 { return d.generation }

// Pods returns how many pods are to be placed, and how many of them are parked.
func (d *Demand) Pods() (all, parked int) { return len(d.pods), d.parked }

// Has tells whether the pod is part of the demand.
func (d *Demand) Has(uid string) bool { return d.pods[uid] != nil }

// Seek tells whether offers are wanted for another reason than pods: to give back
// what is reserved. Whoever seeks looks at offers as they come; they are not held.
func (d *Demand) Seek(on bool, now time.Time) {
	if d.seeking == on {
		return
	}
	d.seeking = on
	// What is sought may be in an offer that was declined for long.
	if on {
		d.revives.want(Filters)
	}
	if !on && len(d.pods) == 0 {
		d.idleSince = now
	}
}

// Seeking tells whether offers are wanted for another reason than pods.
func (d *Demand) Seeking() bool { return d.seeking }

// Wanted tells whether offers are wanted because of pods or what is sought.
func (d *Demand) Wanted() bool { return len(d.pods) > 0 || d.seeking }

// IdleFor returns for how long no pod has been part of the demand, zero if one is.
func (d *Demand) IdleFor(now time.Time) time.Duration {
	if len(d.pods) > 0 {
		return 0
	}
	return now.Sub(d.idleSince)
}

// forget drops the classes that had no pod for the grace.
func (d *Demand) forget(now time.Time) {
	for ask, s := range d.shapes {
		if s.pods == 0 && !now.Before(s.since.Add(d.cfg.IdleGrace)) {
			delete(d.shapes, ask)
		}
	}
}
