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

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

const (
	// retryEvery is the wait after a failed call.
	retryEvery = time.Second
	// A REVIVE that no offers followed is repeated after answerWait and twice the run
	// time, and then again after twice as long each time, up to maxBackoff.
	answerWait = 2 * time.Second
	maxBackoff = time.Minute
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

// Cause says why the role is revived, for metrics.
type Cause string

// The causes of a REVIVE.
const (
	// Pods came while the role was suppressed, or after a failed call.
	Pods Cause = "demand"
	// Filters of what was declined may be in the way.
	Filters Cause = "filters"
	// Rest is of use that an ACCEPT left over.
	Rest Cause = "remainder"
	// Repeat is for those before that brought nothing of use.
	Repeat Cause = "repeat"
)

// revives says when a REVIVE is worth what it costs.
type revives struct {
	// anew is why one is wanted, "" if none is: what was declined, or what an ACCEPT
	// left over, may be of use now. cause is why the last one was made.
	anew, cause Cause
	// rest is what ACCEPTs left over that no OFFERS brought back yet, restAt when the
	// last one landed; awaiting counts the reservations that count on it.
	rest     limit
	restAt   time.Time
	awaiting int

	run    runTime
	bucket bucket
	// called is when Next last asked for a call, last when for a REVIVE; failed
	// tells that the last call failed.
	called, last time.Time
	failed       bool
	// unanswered is the first REVIVE since the last OFFERS, unmet the first since the
	// last OFFERS that fitted; zero if there was none.
	unanswered, unmet time.Time
	// barren counts the REVIVEs since the last offers that fitted, heard tells that
	// some OFFERS followed the last one.
	barren int
	heard  bool
}

// want notes that a REVIVE is worth a token.
func (r *revives) want(c Cause) {
	if r.anew == "" {
		r.anew = c
	}
}

// reset forgets what was of the last subscription, but not how fast the master is.
func (r *revives) reset(least time.Duration, now time.Time) {
	run := r.run
	if run.mean == 0 {
		run.mean = firstRun
	}
	*r = revives{run: run, bucket: bucket{tokens: bucketBurst, at: now, least: least}}
}

// Offering tells whether the master was last asked for offers.
func (d *Demand) Offering() bool { return d.asked == Offering }

// Asked returns what the master was last asked for.
func (d *Demand) Asked() Asked { return d.asked }

// Reopen notes that something declined for long may be of use after all, whatever
// the pods' needs: the role is revived if pods wait.
func (d *Demand) Reopen() {
	if d.Wanted() {
		d.revives.want(Filters)
	}
}

// Cause returns why Next last answered Revive.
func (d *Demand) Cause() Cause { return d.revives.cause }

// Subscribed notes how the role stands at the start of a subscription.
func (d *Demand) Subscribed(suppressed bool) {
	d.subscribed, d.asked = true, Offering
	if suppressed {
		d.asked = Suppressed
	}
	d.revives.reset(d.cfg.ReviveEvery, time.Time{})
	// Filters may have survived a fail-over that the master did not notice; only
	// a REVIVE lifts them.
	d.revives.want(Filters)
	d.declined.lifted()
}

// Disconnected notes the end of the subscription. No call is due without one.
func (d *Demand) Disconnected() { d.subscribed, d.asked = false, Unknown }

// Failed notes that the call of an action failed: it will be asked for again
// after a moment.
func (d *Demand) Failed(a Action) {
	if d.asked == Unknown {
		return
	}
	r := &d.revives
	d.asked, r.failed = Unknown, true
	if a != Revive {
		return
	}
	r.barren = max(r.barren-1, 0)
	if r.barren == 0 {
		r.unanswered, r.unmet = time.Time{}, time.Time{}
	}
}

// Offered notes that an OFFERS event of the role was taken in; fitting tells that
// something in it fits a pod. If it answers a REVIVE with what fits, ok is true and
// took is how long that took.
func (d *Demand) Offered(fitting bool, now time.Time) (took time.Duration, ok bool) {
	r := &d.revives
	if !r.unanswered.IsZero() {
		// What comes very late was brought by something else.
		if took := now.Sub(r.unanswered); took <= 3*r.patience() {
			r.run.take(took)
		}
		r.unanswered = time.Time{}
	}
	r.heard = true
	// A rest that the master got back while this was under way is not in it.
	if r.awaiting == 0 && now.Sub(r.restAt) >= r.run.mean {
		r.rest = limit{}
	}
	if !fitting {
		return 0, false
	}
	r.barren = 0
	if r.unmet.IsZero() {
		return 0, false
	}
	took, r.unmet = now.Sub(r.unmet), time.Time{}
	return took, true
}

// Remainder notes that an ACCEPT landed which left over so much of its agent. The
// master offers that in its next allocation; if a pod that sleeps can use it, or a
// reservation counts on it, a REVIVE makes it run one at once.
func (d *Demand) Remainder(left resources.Vector, now time.Time) {
	r := &d.revives
	if left.Max(resources.Vector{}).IsZero() {
		return
	}
	r.rest.include(left)
	r.restAt = now
	if r.awaiting > 0 {
		r.want(Rest)
		return
	}
	for ask, s := range d.shapes {
		if s.parked > 0 && ask.Need.Fits(left) {
			r.want(Rest)
			return
		}
	}
}

// Awaiting notes how many reservations count on what is to be offered again.
func (d *Demand) Awaiting(n int) {
	r := &d.revives
	if n > r.awaiting && r.rest.any {
		r.want(Rest)
	}
	r.awaiting = n
}

// RefuseRest returns the filter of what an ACCEPT leaves over, given how many pods of
// the demand have a reservation: none while others wait, and else a short one: the
// next pod's REVIVE may be processed before this ACCEPT.
func (d *Demand) RefuseRest(reserved int) time.Duration {
	if len(d.pods) > reserved || d.revives.awaiting > 0 || d.cfg.Warm > 0 {
		return 0
	}
	d.declined.emptied = true
	return min(d.cfg.RefuseUnused, d.cfg.IdleGrace)
}

// hungry notes that a pod found no offer.
func (d *Demand) hungry(p *pod, s *shape) {
	r := &d.revives
	if r.rest.mayFit(p.ask.Need) {
		r.want(Rest)
	}
	if d.declined.wantedBy(p, s) {
		r.want(Filters)
	}
	p.fresh, s.small = false, false
}

// Next returns the call that is due, and when to ask again (zero: when
// something changes). The caller makes the call, in order, and reports a failure.
func (d *Demand) Next(now time.Time) (Action, time.Time) {
	r := &d.revives
	if !d.subscribed {
		return None, time.Time{}
	}
	if at := r.called.Add(retryEvery); r.failed && now.Before(at) {
		return None, at
	}
	if !d.Wanted() && d.cfg.Warm == 0 {
		return d.nextIdle(now)
	}
	r.bucket.fill(now, r.run.mean)
	if d.asked == Offering {
		due := d.reviveDue(now)
		if due.IsZero() || now.Before(due) {
			return None, due
		}
	}
	d.revived(now)
	return Revive, d.reviveDue(now)
}

// nextIdle is Next while offers are not wanted.
func (d *Demand) nextIdle(now time.Time) (Action, time.Time) {
	if d.asked == Suppressed {
		return None, time.Time{}
	}
	if at := d.idleSince.Add(d.cfg.IdleGrace); now.Before(at) {
		return None, at
	}
	d.asked, d.revives.called, d.revives.failed = Suppressed, now, false
	d.revives.anew, d.revives.rest = "", limit{}
	d.revives.unanswered, d.revives.unmet, d.revives.barren = time.Time{}, time.Time{}, 0
	return Suppress, time.Time{}
}

// revived notes a REVIVE that is made now.
func (d *Demand) revived(now time.Time) {
	r := &d.revives
	r.bucket.take()
	switch {
	case d.asked != Offering:
		r.cause = Pods
	case r.anew != "":
		r.cause = r.anew
	default:
		r.cause = Repeat
	}
	d.asked, r.anew, r.called, r.last, r.failed = Offering, "", now, now, false
	r.barren++
	r.heard = false
	r.rest = limit{}
	if r.unanswered.IsZero() {
		r.unanswered = now
	}
	if r.unmet.IsZero() {
		r.unmet = now
	}
	d.declined.lifted()
	for _, s := range d.shapes {
		s.small, s.moved = false, false
	}
}

// reviveDue returns when a role that is not suppressed is to be revived next, zero if
// nothing calls for it. The bucket was filled now.
func (d *Demand) reviveDue(now time.Time) time.Time { return d.dueWith(&d.revives.bucket, now) }

func (d *Demand) dueWith(b *bucket, now time.Time) time.Time {
	r := &d.revives
	ready := b.ready(now, r.run.mean)
	if r.anew != "" {
		return ready
	}
	at := d.repeatAt()
	if !at.IsZero() && at.Before(ready) {
		return ready
	}
	return at
}

// repeatAt returns when a REVIVE is to be repeated that brought nothing of use: once
// if the master may not have heard it, and ever more rarely while pods sleep.
func (d *Demand) repeatAt() time.Time {
	r := &d.revives
	switch {
	case r.barren == 0, len(d.pods) == 0:
		return time.Time{}
	case r.barren == 1 && !r.heard:
		return r.last.Add(r.patience())
	case d.parked == 0:
		return time.Time{}
	}
	return r.last.Add(max(r.patience(), min(r.patience()<<min(r.barren-1, 16), maxBackoff)))
}

// patience is how long the answer to a REVIVE may take.
func (r *revives) patience() time.Duration { return answerWait + 2*r.run.mean }
