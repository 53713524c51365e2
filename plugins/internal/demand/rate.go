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
	"math"
	"time"
)

// runTime is how long the master takes from a REVIVE to the offers it brings: for the
// most part, to run an allocation of all agents.
type runTime struct{ mean time.Duration }

const (
	// firstRun is taken for the run time before it was measured, maxRun bounds what is
	// believed.
	firstRun = 50 * time.Millisecond
	maxRun   = 15 * time.Second
)

// take takes in a measurement. The mean falls fast and rises slowly: offers of the
// allocator's periodic runs come after a REVIVE that brought nothing, too, and look
// like a slow master's answer; what looks fast is fast.
func (r *runTime) take(took time.Duration) {
	took = min(took, maxRun)
	if took < r.mean {
		r.mean -= (r.mean - took) / 2
	} else {
		r.mean += (took - r.mean) / 8
	}
}

// The bucket's tokens are REVIVEs. Each costs the master an allocation of all agents,
// so at most one twentieth of its allocator's time is spent for us.
const (
	bucketBurst = 3
	bucketShare = 20
)

// bucket is a token bucket whose refill follows what a token costs.
type bucket struct {
	tokens float64
	at     time.Time
	// least is how often a token comes at most.
	least time.Duration
}

// every returns how often a token comes when a run takes so long.
func (b *bucket) every(run time.Duration) time.Duration { return max(b.least, bucketShare*run) }

// fill adds the tokens that came since it was last filled.
func (b *bucket) fill(now time.Time, run time.Duration) {
	if now.After(b.at) {
		b.tokens = min(bucketBurst, b.tokens+float64(now.Sub(b.at))/float64(b.every(run)))
		b.at = now
	}
}

// ready returns when there is a token, not before now. The bucket was filled now.
func (b *bucket) ready(now time.Time, run time.Duration) time.Time {
	if b.full() {
		return now
	}
	return now.Add(max(time.Duration(math.Ceil((1-b.tokens)*float64(b.every(run)))), time.Nanosecond))
}

// full tells whether there is a token. Sums of fractions come out a little short.
func (b *bucket) full() bool { return b.tokens >= 1-1e-9 }

// take takes a token, if there is one.
func (b *bucket) take() { b.tokens = max(b.tokens-1, 0) }

// arrivals measures how fast pods come.
type arrivals struct {
	// count is how many came since the last fold, rate the mean, per second.
	count int
	rate  float64
}

const (
	// foldEvery is the least time over which a rate is measured, rateMemory how long
	// an old rate takes to lose most of its weight.
	foldEvery  = 100 * time.Millisecond
	rateMemory = 10 * time.Second
)

// fold takes in what came during a time.
func (a *arrivals) fold(during time.Duration) {
	weight := 1 - math.Exp(-float64(during)/float64(rateMemory))
	a.rate += weight * (float64(a.count)/during.Seconds() - a.rate)
	a.count = 0
}

// foldArrivals turns the arrivals since the last time into rates.
func (d *Demand) foldArrivals(now time.Time) {
	during := now.Sub(d.foldedAt)
	if during < foldEvery {
		return
	}
	for _, s := range d.shapes {
		s.arrivals.fold(during)
	}
	d.foldedAt = now
}
