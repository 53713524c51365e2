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
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// End says how an offer ended.
type End string

const (
	// Accepted was spent by an ACCEPT.
	Accepted End = "accepted"
	// Declined was given back.
	Declined End = "declined"
	// Rescinded was taken back by the master.
	Rescinded End = "rescinded"
	// Void ended with its agent or with the subscription.
	Void End = "void"
)

// usage sums up what offers cost those who could not have their resources meanwhile.
type usage struct {
	// held is what all offers held, up to the time at.
	held, unused [resources.NumKinds]float64
	at           time.Time
}

// count adds what was held since the last call. The lock is held, and whoever changes
// the total calls count before.
func (c *Cache) count(now time.Time) {
	d := now.Sub(c.usage.at)
	if d <= 0 {
		return
	}
	for k, amount := range c.total {
		c.usage.held[k] += float64(amount) * d.Seconds()
	}
	c.usage.at = now
}

// wasted adds what was held since and not used.
func (c *Cache) wasted(amount *resources.Vector, since, now time.Time) {
	if d := now.Sub(since).Seconds(); d > 0 {
		for k := range amount {
			c.usage.unused[k] += float64(amount[k]) * d
		}
	}
}

// leftOver ends offers by an ACCEPT, and adds what that leaves over: what is needed is taken of
// the oldest first.
func (c *Cache) leftOver(offers []held, need resources.Vector, now time.Time) {
	for i := range offers {
		total := offers[i].total()
		used := total.Min(need)
		total, need = total.Sub(used), need.Sub(used)
		c.wasted(&total, offers[i].since, now)
		c.ended(Accepted, &offers[i], now)
	}
}

// ended tells of an offer's end.
func (c *Cache) ended(end End, h *held, now time.Time) {
	if c.cfg.Ended != nil {
		c.cfg.Ended(end, max(now.Sub(h.since), 0))
	}
}

// end ends an offer that was not used.
func (r *Role) end(h *held, end End, now time.Time) {
	c := r.cache
	total := h.total()
	c.count(now)
	c.wasted(&total, h.since, now)
	c.total = c.total.Sub(total)
	delete(c.byOffer, h.id)
	r.held.Add(-1)
	c.ended(end, h, now)
}

// Usage returns, in units (cores, MiB, GPUs) times seconds, how much was held in
// offers up to now, and how much of that was not used: held until it was declined,
// rescinded or void, or left over by an ACCEPT. What is held still is part of held
// only. Neither ever decreases.
func (c *Cache) Usage(now time.Time) (held, unused [resources.NumKinds]float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(now)
	for k := range held {
		held[k], unused[k] = c.usage.held[k]/1000, c.usage.unused[k]/1000
	}
	return held, unused
}

// Oldest returns the age of the offer held longest, 0 if there is none. It looks at
// all offers, some at a time.
func (c *Cache) Oldest(now time.Time) (age time.Duration) {
	for _, r := range *c.roles.Load() {
		if r.Held() == 0 {
			continue
		}
		for from, left := 0, true; left; from += sweepSlots {
			var of time.Duration
			of, left = r.oldestPart(from, now)
			age = max(age, of)
		}
	}
	return age
}

// oldestPart is Oldest for the slots from index from on. It reports whether more
// follow.
func (r *Role) oldestPart(from int, now time.Time) (age time.Duration, more bool) {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	end := min(from+sweepSlots, len(r.slots))
	for i := from; i < end; i++ {
		if s := r.slots[i]; s != nil {
			for n := range s.offers {
				age = max(age, now.Sub(s.offers[n].since))
			}
		}
	}
	return age, end < len(r.slots)
}

// Held returns how many offers to the role are held. It takes no lock.
func (r *Role) Held() int { return int(r.held.Load()) }
