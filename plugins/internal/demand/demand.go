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

// reviveEvery bounds how often a REVIVE is sent while the role is not
// suppressed: each one makes the master run a full allocation.
const reviveEvery = time.Second

// Asked is what we last told the master to do with our role.
type Asked string

// What the master was asked for.
const (
	// Unknown is the state before a subscription, or after a failed call.
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
	// shapes counts the pods by need; few shapes, many pods.
	shapes map[resources.Vector]*shape
	// parked counts pods that wait for an offer, not for a scheduling cycle.
	parked int

	asked Asked
	// idleSince is when the last pod was placed, zero while there are pods.
	idleSince time.Time
	// declined is when an offer was last declined as unused, with a filter that a
	// new shape of pod might want lifted; revived is the last REVIVE.
	declined, revived time.Time
	// anew is set by a pod whose shape was not there when offers were declined.
	anew bool
}

type pod struct {
	need   resources.Vector
	parked bool
}

type shape struct {
	pods int
	// queue lists the parked pods in the order they were parked. Entries of pods
	// that left since are skipped when met.
	queue  []string
	parked int
}

// New returns the demand of no pods, of a role about which the master was told
// nothing yet.
func New(cfg Config, now time.Time) *Demand {
	return &Demand{cfg: cfg, pods: map[string]*pod{}, shapes: map[resources.Vector]*shape{}, asked: Unknown, idleSince: now}
}

// Add makes a pod part of the demand, or changes its need.
func (d *Demand) Add(uid string, need resources.Vector) {
	if p := d.pods[uid]; p != nil {
		if p.need == need {
			return
		}
		d.drop(uid, p)
	}
	d.pods[uid] = &pod{need: need}
	s := d.shapes[need]
	if s == nil {
		s = &shape{}
		d.shapes[need] = s
		d.anew = true
	}
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
		d.idleSince = now
	}
}

func (d *Demand) drop(uid string, p *pod) {
	s := d.shapes[p.need]
	s.pods--
	if p.parked {
		s.parked--
		d.parked--
	}
	if s.pods == 0 {
		delete(d.shapes, p.need)
	}
	delete(d.pods, uid)
}

// Park notes that a pod of the demand found no offer and sleeps until Wake names
// it. Pods that are not part of the demand are ignored.
func (d *Demand) Park(uid string) {
	p := d.pods[uid]
	if p == nil || p.parked {
		return
	}
	p.parked = true
	d.parked++
	s := d.shapes[p.need]
	s.parked++
	s.queue = append(s.queue, uid)
}

// Unpark notes that a pod is being scheduled again for whatever reason.
func (d *Demand) Unpark(uid string) {
	p := d.pods[uid]
	if p == nil || !p.parked {
		return
	}
	p.parked = false
	d.parked--
	d.shapes[p.need].parked--
}

// Wake names the parked pods worth another try because these amounts became
// free, oldest first: as many of each shape as they can hold, and a fifth more
// for those that other plugins will turn away. The pods are no longer parked.
func (d *Demand) Wake(free []resources.Vector) []string {
	if d.parked == 0 || len(free) == 0 {
		return nil
	}
	var woken []string
	for need, s := range d.shapes {
		if s.parked == 0 {
			continue
		}
		capacity := 0
		for _, f := range free {
			if capacity += fitting(need, f); capacity >= s.parked {
				break
			}
		}
		woken = s.wake(d, need, min(s.parked, capacity+(capacity+4)/5), woken)
	}
	return woken
}

func (s *shape) wake(d *Demand, need resources.Vector, count int, woken []string) []string {
	for len(s.queue) > 0 && count > 0 {
		uid := s.queue[0]
		s.queue = s.queue[1:]
		if p := d.pods[uid]; p != nil && p.parked && p.need == need {
			d.Unpark(uid)
			woken = append(woken, uid)
			count--
		}
	}
	if s.parked == 0 {
		s.queue = nil
	}
	return woken
}

// fitting returns how many times need fits into free.
func fitting(need, free resources.Vector) int {
	n := int64(1 << 20)
	for k := range need {
		if need[k] > 0 {
			n = min(n, free[k]/need[k])
		} else if free[k] < 0 {
			return 0
		}
	}
	return int(max(n, 0))
}

// Smallest returns the elementwise smallest need of the pods that are not
// parked: what an offer must have left for any of them to join.
func (d *Demand) Smallest() resources.Vector {
	var smallest resources.Vector
	first := true
	for need, s := range d.shapes {
		if s.pods == s.parked {
			continue
		}
		if first {
			smallest, first = need, false
		} else {
			smallest = smallest.Min(need)
		}
	}
	return smallest
}

// Pods returns how many pods are to be placed, and how many of them are parked.
func (d *Demand) Pods() (all, parked int) { return len(d.pods), d.parked }

// Has tells whether the pod is part of the demand.
func (d *Demand) Has(uid string) bool { return d.pods[uid] != nil }

// Asked returns what the master was last asked for.
func (d *Demand) Asked() Asked { return d.asked }

// Subscribed notes how the role stands at the start of a subscription.
func (d *Demand) Subscribed(suppressed bool) {
	d.asked = Offering
	if suppressed {
		d.asked = Suppressed
	}
	// Filters may have survived a fail-over that the master did not notice; only
	// a REVIVE lifts them.
	d.anew = true
	d.declined, d.revived = time.Time{}, time.Time{}
}

// Disconnected notes the end of the subscription.
func (d *Demand) Disconnected() { d.asked = Unknown }

// Failed notes that the call of an action failed: it will be asked for again.
func (d *Demand) Failed(Action) {
	if d.asked != Unknown {
		d.asked = Unknown
	}
}

// Next returns the call that is due, and when to ask again (zero: when
// something changes). The caller makes the call, in order, and reports a failure.
func (d *Demand) Next(now time.Time) (Action, time.Time) {
	if len(d.pods) == 0 {
		if d.asked == Suppressed {
			return None, time.Time{}
		}
		if at := d.idleSince.Add(d.cfg.IdleGrace); now.Before(at) {
			return None, at
		}
		d.asked, d.anew = Suppressed, false
		return Suppress, time.Time{}
	}
	if d.asked != Offering {
		d.revive(now)
		return Revive, time.Time{}
	}
	if !d.anew || d.revived.After(d.declined) {
		return None, time.Time{}
	}
	// A new kind of pod: what was declined as useless may be of use now.
	if at := d.revived.Add(reviveEvery); now.Before(at) {
		return None, at
	}
	d.revive(now)
	return Revive, time.Time{}
}

func (d *Demand) revive(now time.Time) {
	d.asked, d.anew, d.revived = Offering, false, now
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
	if r == Foreign {
		return d.cfg.RefuseForeign
	}
	return d.cfg.RefuseUnused
}

// Judge decides about one held offer: keep it (reason ""), or decline it.
func (d *Demand) Judge(h offers.Held, now time.Time) Reason {
	switch {
	case h.Node == "":
		return Foreign
	case len(d.pods) == 0:
		if now.Before(d.idleSince.Add(d.cfg.IdleGrace)) {
			return ""
		}
		return Idle
	case !d.fitsAny(h.AgentFree):
		d.declined = now
		return TooSmall
	case !now.Before(h.Since.Add(d.cfg.MaxHold)):
		d.declined = now
		return Expired
	}
	return ""
}

func (d *Demand) fitsAny(free resources.Vector) bool {
	for need := range d.shapes {
		if need.Fits(free) {
			return true
		}
	}
	return false
}
