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

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Status describes a demand to people.
type Status struct {
	// Pods are to be placed, Parked of them sleep until an offer fits.
	Pods   int `json:"pods"`
	Parked int `json:"parked"`
	// Classes are the pods by what they ask for, most pods first.
	Classes []Class `json:"classes"`
	Asked   Asked   `json:"asked"`
	// Tokens are the REVIVEs that may be sent at once, a further one each RefillSeconds.
	Tokens        float64 `json:"tokens"`
	RefillSeconds float64 `json:"refillSeconds"`
	// RunSeconds is the mean time from a REVIVE to offers.
	RunSeconds float64 `json:"runSeconds"`
	// Barren is the number of REVIVEs since the last offers that fitted.
	Barren     int        `json:"barrenRevives"`
	LastRevive *time.Time `json:"lastRevive,omitempty"`
	NextRevive *time.Time `json:"nextRevive,omitempty"`
	// Awaiting counts the reservations on what is to be offered again.
	Awaiting int `json:"awaiting"`
	// Warm is how many agents are held without need.
	Warm int `json:"warm"`
}

// Class is all pods that ask for the same.
type Class struct {
	Need    resources.Vector `json:"-"`
	Asks    string           `json:"need"`
	Require string           `json:"require,omitempty"`
	AgentID string           `json:"agent,omitempty"`
	Special bool             `json:"special,omitempty"`
	Choosy  bool             `json:"choosy,omitempty"`
	Pods    int              `json:"pods"`
	Parked  int              `json:"parked"`
	// Target is for how many pods offers are held while none has a reservation.
	Target int `json:"target"`
	// Rate is how many such pods come in a second.
	Rate float64 `json:"podsPerSecond"`
}

// Status returns how the demand stands. It changes nothing.
func (d *Demand) Status(now time.Time) Status {
	r := &d.revives
	bucket := r.bucket
	bucket.fill(now, r.run.mean)
	s := Status{
		Pods: len(d.pods), Parked: d.parked, Classes: []Class{}, Asked: d.asked,
		Tokens: bucket.tokens, RefillSeconds: bucket.every(r.run.mean).Seconds(), RunSeconds: r.run.mean.Seconds(),
		Barren: r.barren, Awaiting: r.awaiting, Warm: len(d.warm.agents),
	}
	if !r.last.IsZero() {
		last := r.last
		s.LastRevive = &last
	}
	if d.asked == Offering && d.Wanted() {
		if at := d.dueWith(&bucket, now); !at.IsZero() {
			s.NextRevive = &at
		}
	}
	for _, t := range d.targets(nil, 0) {
		shape := d.shapes[t.ask]
		s.Classes = append(s.Classes, Class{
			Need: t.ask.Need, Asks: t.ask.Need.String(), Require: t.ask.Require, AgentID: t.ask.AgentID,
			Special: t.ask.Special, Choosy: t.ask.Choosy, Pods: shape.pods, Parked: shape.parked,
			Target: t.left, Rate: shape.arrivals.rate,
		})
	}
	slices.SortFunc(s.Classes, func(a, b Class) int {
		return cmp.Or(cmp.Compare(b.Pods, a.Pods), cmp.Compare(a.Asks, b.Asks), cmp.Compare(a.Require, b.Require), cmp.Compare(a.AgentID, b.AgentID))
	})
	return s
}
