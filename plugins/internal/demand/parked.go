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

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// sleeper is a pod that was parked.
type sleeper struct {
	uid     string
	parking uint64
}

// Park notes that a pod of the demand found no offer and sleeps until Wake names
// it. Pods that are not part of the demand are ignored. Offers that were announced
// before do not wake it: whoever parks a pod makes sure that it had seen them.
func (d *Demand) Park(uid string) {
	p := d.pods[uid]
	if p == nil || p.parking != 0 {
		return
	}
	s := d.shapes[p.ask]
	d.hungry(p, s)
	d.parkings++
	p.parking = d.parkings
	d.parked++
	if !p.told {
		d.untold++
	}
	s.parked++
	// Twice the parked ones bounds the memory, and pays for each sweep with as
	// many parkings.
	if len(s.queue) > 2*s.parked+16 {
		s.queue = slices.DeleteFunc(s.queue, func(e sleeper) bool { return !d.asleep(e) })
	}
	s.queue = append(s.queue, sleeper{uid: uid, parking: p.parking})
}

// Asleep tells whether the pod is parked.
func (d *Demand) Asleep(uid string) bool {
	p := d.pods[uid]
	return p != nil && p.parking != 0
}

// asleep tells whether the pod still sleeps by this parking.
func (d *Demand) asleep(e sleeper) bool {
	p := d.pods[e.uid]
	return p != nil && p.parking == e.parking
}

// Tried notes that Kubernetes had the pod tried again, not we: something changed
// for it, and offers that it could not use before may be of use now.
func (d *Demand) Tried(uid string) {
	p := d.pods[uid]
	if p == nil || p.parking == 0 {
		return
	}
	d.Unpark(uid)
	p.fresh = true
	d.declined.stale = 0
}

// Unpark notes that a pod is being scheduled again for whatever reason.
func (d *Demand) Unpark(uid string) {
	p := d.pods[uid]
	if p == nil || p.parking == 0 {
		return
	}
	p.parking = 0
	d.parked--
	if !p.told {
		d.untold--
	}
	d.shapes[p.ask].parked--
}

// Tell names, once each, the parked pods that looked before there was an offer to
// be too small: what keeps them waiting can be told better now.
func (d *Demand) Tell() []string {
	if d.untold == 0 {
		return nil
	}
	var told []sleeper
	for uid, p := range d.pods {
		if p.parking != 0 && !p.told {
			told = append(told, sleeper{uid: uid, parking: p.parking})
			d.Unpark(uid)
			p.told = true
		}
	}
	return oldestFirst(told)
}

// Wake names the parked pods worth another try because so much, each of one agent,
// became free, oldest first: as many of each class as they can hold,
// and a fifth more for those that other plugins will turn away. The pods are no
// longer parked. Pods that ask of one agent are not named.
func (d *Demand) Wake(free []offers.Free) []string {
	if len(free) == 0 {
		return nil
	}
	d.announced = d.parkings
	return d.wake(free)
}

// Rewake is Wake for what was announced before: those named then may have been turned
// away for reasons of their own. It names only pods that sleep since before the last
// Wake; all others have seen what there is and found it of no use.
func (d *Demand) Rewake(free []offers.Free) []string { return d.wake(free) }

func (d *Demand) wake(free []offers.Free) []string {
	if d.parked == 0 || len(free) == 0 {
		return nil
	}
	var woken []sleeper
	for ask, s := range d.shapes {
		if s.parked == 0 || ask.AgentID != "" {
			continue
		}
		capacity := 0
		for i := range free {
			n := fitting(&ask.Need, ask.usable(&free[i]))
			if n > 0 && d.matches(&ask, free[i].AgentID) {
				capacity += n
			}
			if capacity >= s.parked {
				break
			}
		}
		woken = s.wake(d, min(s.parked, capacity+(capacity+4)/5), d.announced, woken)
	}
	return oldestFirst(woken)
}

// WakeAll names all parked pods, oldest first: what they wait for is to be judged
// anew. They are no longer parked.
func (d *Demand) WakeAll() []string {
	var woken []sleeper
	for _, s := range d.shapes {
		woken = s.wake(d, s.parked, d.parkings, woken)
	}
	return oldestFirst(woken)
}

func oldestFirst(woken []sleeper) []string {
	slices.SortFunc(woken, func(a, b sleeper) int { return cmp.Compare(a.parking, b.parking) })
	var uids []string
	for _, e := range woken {
		uids = append(uids, e.uid)
	}
	return uids
}

// wake takes up to count pods from the queue that were parked no later than by this
// parking.
func (s *shape) wake(d *Demand, count int, latest uint64, woken []sleeper) []sleeper {
	for len(s.queue) > 0 && count > 0 {
		e := s.queue[0]
		if e.parking > latest {
			break
		}
		s.queue = s.queue[1:]
		if d.asleep(e) {
			d.Unpark(e.uid)
			woken = append(woken, e)
			count--
		}
	}
	if s.parked == 0 {
		s.queue = nil
	}
	return woken
}

// maxFitting is the largest answer of fitting.
const maxFitting = 1 << 20

// fitting returns how many times need fits into free, at most maxFitting times. A kind
// of which nothing is needed never stands in the way, as in Vector.Fits.
func fitting(need, free *resources.Vector) int {
	n := int64(maxFitting)
	for k := range need {
		if need[k] > 0 {
			n = min(n, free[k]/need[k])
		}
	}
	return int(max(n, 0))
}
