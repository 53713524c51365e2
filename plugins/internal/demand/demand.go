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
	// MaxHold is how long an offer is held that no pod uses.
	MaxHold time.Duration
	// RefuseUnused is the filter of an offer declined because no pod uses it,
	// RefuseForeign that of an offer which no pod of ours can ever use.
	RefuseUnused, RefuseForeign time.Duration
	// IdleGrace is how long after the last pod everything is given back.
	IdleGrace time.Duration
}

const (
	// reviveEvery bounds how often a REVIVE is sent while the role is not
	// suppressed: each one makes the master run a full allocation.
	reviveEvery = time.Second
	// retryEvery is the wait after a failed call.
	retryEvery = time.Second
)

// Asked is what we last told the master to do with our role.
type Asked string

// What the master was asked for.
const (
	// Unknown is the state without a subscription, or after a failed call.
	Unknown Asked = "Unknown"
	// Suppressed is "send no offers".
	Suppressed Asked = "Suppressed"
	// Offering is "send offers".
	Offering Asked = "Offering"
)

// Action is a call to make.
type Action string

// The calls.
const (
	None     Action = ""
	Revive   Action = "REVIVE"
	Suppress Action = "SUPPRESS"
)

// Demand knows the pods to be placed. See the package comment.
type Demand struct {
	cfg  Config
	pods map[string]*pod
	// shapes counts the pods by what they ask for; few shapes, many pods.
	shapes map[Ask]*shape
	// parked counts pods that wait for an offer, not for a scheduling cycle.
	parked int
	// untold counts the parked pods that have not been shown a declined offer.
	untold int
	// parkings numbers the calls of Park that put a pod to sleep.
	parkings uint64

	subscribed bool
	asked      Asked
	// idleSince is when the last pod was placed, zero while there are pods.
	idleSince time.Time
	// refused holds what was declined as too small or idle since the last REVIVE,
	// unused what was declined although it fits pods: the largest amount of each
	// kind on one agent.
	refused, unused limit
	// stale counts the rounds of offers that expired unused since a pod came or was
	// tried again; staleAt is when the last one did.
	stale   int
	staleAt time.Time
	// emptied tells that since the last REVIVE no pod was left: the ACCEPT of the
	// last one refused what remained of its offers, as nobody wanted it.
	emptied bool
	// seeking tells that offers are wanted although no pod may wait.
	seeking bool
	// anew is set by a pod that could use what was declined before it came.
	anew bool
	// called is when Next last asked for a call, revived when for a REVIVE; failed
	// tells that the last call failed.
	called, revived time.Time
	failed          bool
}

// limit is an upper bound of several amounts.
type limit struct {
	amount resources.Vector
	any    bool
}

func (l *limit) include(v resources.Vector) {
	if l.any {
		v = v.Max(l.amount)
	}
	l.amount, l.any = v, true
}

func (l limit) mayFit(need resources.Vector) bool { return l.any && need.Fits(l.amount) }

// Ask is what a pod asks for.
type Ask struct {
	Need resources.Vector
	// Special pods may use what ordinary pods may not: revocable resources, a
	// reservation of their own, GPUs.
	Special bool
	// AgentID, if not "", is the only agent whose offers are of use: the pod runs
	// there and needs more. Whoever adds such a pod looks at offers as they come, and
	// parks it in between.
	AgentID string
}

// fits tells whether an offer of an agent may be of use that has so much for ordinary
// pods, and for pods that may use everything.
func (a Ask) fits(h *offers.Held) bool {
	switch {
	case a.AgentID != "" && a.AgentID != h.AgentID:
		return false
	case a.Special:
		return a.Need.Fits(h.AgentAll)
	}
	return a.Need.Fits(h.AgentFree)
}

type pod struct {
	ask Ask
	// parking is the number of the Park the pod sleeps by, 0 while it does not.
	parking uint64
	// told tells that the pod was tried again after an offer had been declined as
	// too small: it says so now, and not that there is none.
	told bool
}

// New returns the demand of no pods, of a role about which the master was told
// nothing yet.
func New(cfg Config, now time.Time) *Demand {
	return &Demand{cfg: cfg, pods: map[string]*pod{}, shapes: map[Ask]*shape{}, asked: Unknown, idleSince: now}
}

// Add makes a pod part of the demand, or changes what it asks for.
func (d *Demand) Add(uid string, ask Ask) {
	if p := d.pods[uid]; p != nil {
		if p.ask == ask {
			return
		}
		d.drop(uid, p)
	}
	d.pods[uid] = &pod{ask: ask}
	s := d.shapes[ask]
	if s == nil {
		s = &shape{}
		d.shapes[ask] = s
		d.anew = d.anew || d.refused.mayFit(ask.Need)
	}
	// An unused offer was turned away by the pods that were there, for reasons
	// which need not be this pod's.
	d.anew = d.anew || d.emptied || d.unused.mayFit(ask.Need)
	d.stale = 0
	s.pods++
	d.idleSince = time.Time{}
}

// Remove takes a pod out of the demand: placed, or gone.
func (d *Demand) Remove(uid string, now time.Time) {
	p := d.pods[uid]
	if p == nil {
		return
	}
	d.drop(uid, p)
	if len(d.pods) == 0 {
		d.idleSince, d.emptied = now, true
	}
}

func (d *Demand) drop(uid string, p *pod) {
	d.Unpark(uid)
	s := d.shapes[p.ask]
	s.pods--
	if s.pods == 0 {
		delete(d.shapes, p.ask)
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

// Pods returns how many pods are to be placed, and how many of them are parked.
func (d *Demand) Pods() (all, parked int) { return len(d.pods), d.parked }

// Has tells whether the pod is part of the demand.
func (d *Demand) Has(uid string) bool { return d.pods[uid] != nil }

// Offering tells whether the master was last asked for offers.
func (d *Demand) Offering() bool { return d.asked == Offering }

// Asked returns what the master was last asked for.
func (d *Demand) Asked() Asked { return d.asked }

// Seek tells whether offers are wanted for another reason than pods: to give back
// what is reserved. Whoever seeks looks at offers as they come; they are not held.
func (d *Demand) Seek(on bool, now time.Time) {
	if d.seeking == on {
		return
	}
	d.seeking = on
	// What is sought may be in an offer that was declined for long.
	d.anew = d.anew || on
	if !on && len(d.pods) == 0 {
		d.idleSince = now
	}
}

// Wanted tells whether offers are wanted at all.
func (d *Demand) Wanted() bool { return len(d.pods) > 0 || d.seeking }

// IdleFor returns for how long no pod has been part of the demand, zero if one is.
func (d *Demand) IdleFor(now time.Time) time.Duration {
	if len(d.pods) > 0 {
		return 0
	}
	return now.Sub(d.idleSince)
}

// Reopen notes that something declined for long may be of use after all, whatever
// the pods' needs: the role is revived if pods wait.
func (d *Demand) Reopen() { d.anew = d.anew || d.Wanted() }

// Subscribed notes how the role stands at the start of a subscription.
func (d *Demand) Subscribed(suppressed bool) {
	d.subscribed, d.asked = true, Offering
	if suppressed {
		d.asked = Suppressed
	}
	// Filters may have survived a fail-over that the master did not notice; only
	// a REVIVE lifts them.
	d.anew = true
	d.refused, d.unused, d.emptied = limit{}, limit{}, false
	d.called, d.revived, d.failed = time.Time{}, time.Time{}, false
}

// Disconnected notes the end of the subscription. No call is due without one.
func (d *Demand) Disconnected() { d.subscribed, d.asked = false, Unknown }

// Failed notes that the call of an action failed: it will be asked for again
// after a moment.
func (d *Demand) Failed(Action) {
	if d.asked != Unknown {
		d.asked, d.failed = Unknown, true
	}
}

// Next returns the call that is due, and when to ask again (zero: when
// something changes). The caller makes the call, in order, and reports a failure.
func (d *Demand) Next(now time.Time) (Action, time.Time) {
	if !d.subscribed {
		return None, time.Time{}
	}
	if at := d.called.Add(retryEvery); d.failed && now.Before(at) {
		return None, at
	}
	if !d.Wanted() {
		if d.asked == Suppressed {
			return None, time.Time{}
		}
		if at := d.idleSince.Add(d.cfg.IdleGrace); now.Before(at) {
			return None, at
		}
		d.asked, d.called, d.failed = Suppressed, now, false
		return Suppress, time.Time{}
	}
	if d.asked == Offering {
		// What was declined as useless is worth a REVIVE only if a pod that came
		// later may use it.
		if !d.anew {
			return None, time.Time{}
		}
		if at := d.revived.Add(reviveEvery); now.Before(at) {
			return None, at
		}
	}
	d.asked, d.anew, d.called, d.revived, d.failed = Offering, false, now, now, false
	d.refused, d.unused, d.emptied = limit{}, limit{}, false
	return Revive, time.Time{}
}

// Reason says why an offer is given back.
type Reason string

// The reasons to decline, for metrics.
const (
	// Foreign is an offer of an agent that is no usable node.
	Foreign Reason = "Foreign"
	// Idle is an offer while no pod is to be placed.
	Idle Reason = "Idle"
	// TooSmall is an offer that fits no pod.
	TooSmall Reason = "TooSmall"
	// Expired is an offer that was held too long.
	Expired Reason = "Expired"
)

// Reasons lists all reasons, for metrics.
var Reasons = []Reason{Foreign, Idle, TooSmall, Expired}

// Refuse returns the filter of an offer declined for a reason.
func (d *Demand) Refuse(r Reason) time.Duration {
	switch r {
	case Foreign:
		return d.cfg.RefuseForeign
	case Expired:
		// Pods that other plugins keep from every offer must not hold the machines
		// of others in turns for as long as they wait.
		return max(d.cfg.RefuseUnused, min(d.cfg.RefuseUnused<<min(max(d.stale-1, 0), 16), maxRefuseExpired))
	}
	return d.cfg.RefuseUnused
}

// maxRefuseExpired bounds the growing filter of offers that fit pods and yet are
// never used.
const maxRefuseExpired = 5 * time.Minute

// Judge decides about one held offer: keep it (reason ""), or decline it. A
// decline is remembered: pods that come later may want the offer again.
func (d *Demand) Judge(h offers.Held, now time.Time) Reason {
	switch {
	case h.Node == "":
		return Foreign
	case len(d.pods) == 0:
		if now.Before(d.idleSince.Add(d.cfg.IdleGrace)) {
			return ""
		}
		d.refused.include(h.AgentAll)
		return Idle
	case !d.fitsAny(&h):
		d.refused.include(h.AgentAll)
		return TooSmall
	case !now.Before(h.Since.Add(d.cfg.MaxHold)):
		d.unused.include(h.AgentAll)
		if !now.Before(d.staleAt.Add(d.cfg.MaxHold)) {
			d.stale++
			d.staleAt = now
		}
		return Expired
	}
	return ""
}

func (d *Demand) fitsAny(h *offers.Held) bool {
	for ask := range d.shapes {
		if ask.fits(h) {
			return true
		}
	}
	return false
}
