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

// Reason says why an offer is given back.
type Reason string

// The reasons to decline, for metrics.
const (
	// Foreign is an offer of an agent that is no usable node.
	Foreign Reason = "Foreign"
	// Idle is an offer while no pod is to be placed.
	Idle Reason = "Idle"
	// TooSmall is an offer that fits no pod: too small, or of the wrong agent.
	TooSmall Reason = "TooSmall"
	// Expired is an offer that was held too long.
	Expired Reason = "Expired"
	// Surplus is an offer that fits pods, when others are held that suffice.
	Surplus Reason = "Surplus"
)

// Reasons lists all reasons, for metrics.
var Reasons = []Reason{Foreign, Idle, TooSmall, Expired, Surplus}

// maxRefuseExpired bounds the growing filter of offers that fit pods and yet are
// never used.
const maxRefuseExpired = 5 * time.Minute

// Refuse returns the filter of an offer declined for a reason.
func (d *Demand) Refuse(r Reason) time.Duration {
	switch r {
	case Foreign:
		return d.cfg.RefuseForeign
	case Surplus:
		return d.cfg.RefuseSurplus
	case Expired:
		// Pods that other plugins keep from every offer must not hold the machines
		// of others in turns for as long as they wait.
		return max(d.cfg.RefuseUnused, min(d.cfg.RefuseUnused<<min(max(d.declined.stale-1, 0), 16), maxRefuseExpired))
	}
	return d.cfg.RefuseUnused
}

// declined is what was given back since the last REVIVE, which lifts all filters.
type declined struct {
	// small is what fitted no pod or came while there was none, unused what was not
	// used although it fitted, surplus what fitted when others sufficed: the largest
	// amount of each kind on one agent.
	small, unused, surplus limit
	// emptied tells that an ACCEPT refused what it left over, as nobody wanted it.
	emptied bool
	// stale counts the rounds of offers that expired unused since a pod came or was
	// tried again; staleAt is when the last one did.
	stale   int
	staleAt time.Time
}

// lifted forgets what a REVIVE brings back.
func (c *declined) lifted() {
	c.small, c.unused, c.surplus, c.emptied = limit{}, limit{}, limit{}, false
}

// note remembers a decline: pods that come later may want the offer again.
func (c *declined) note(r Reason, h *offers.Held, now time.Time, maxHold time.Duration) {
	switch r {
	case Idle, TooSmall:
		c.small.include(h.AgentAll)
	case Expired:
		c.unused.include(h.AgentAll)
		if !now.Before(c.staleAt.Add(maxHold / 2)) {
			c.stale++
			c.staleAt = now
		}
	case Foreign, Surplus:
	}
}

// wantedBy tells whether a pod that found no offer may use what was declined.
func (c *declined) wantedBy(p *pod, s *shape) bool {
	switch need := p.ask.Need; {
	case p.fresh && (c.emptied || c.unused.mayFit(need)):
		return true
	case s.small:
		return true
	default:
		return (p.fresh || s.moved) && c.surplus.mayFit(need)
	}
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
