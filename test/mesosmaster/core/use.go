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

package core

import (
	"fmt"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// OfferUse is what a framework has had of offers, and made of them, since it
// subscribed with this master.
type OfferUse struct {
	// OfferSeconds sums for how long each offer was outstanding.
	OfferSeconds float64
	// CPUSeconds and MemMBSeconds sum offered amounts times how long they were
	// outstanding, UsedCPUSeconds and UsedMemMBSeconds the part of them that was
	// launched on in the end.
	CPUSeconds, MemMBSeconds         float64
	UsedCPUSeconds, UsedMemMBSeconds float64
}

// outstanding adds what an offer has been up to now.
func (u *OfferUse) outstanding(o *offer, now time.Time) {
	age := now.Sub(o.at).Seconds()
	u.OfferSeconds += age
	u.CPUSeconds += age * units(o.res, "cpus")
	u.MemMBSeconds += age * units(o.res, "mem")
}

// launched adds the used part of offers that were accepted together. All of them
// count as used in the same proportion.
func (u *OfferUse) launched(offers []*offer, offered, left resource.Resources, now time.Time) {
	for _, x := range []struct {
		name string
		sum  *float64
	}{{"cpus", &u.UsedCPUSeconds}, {"mem", &u.UsedMemMBSeconds}} {
		all := units(offered, x.name)
		if all <= 0 {
			continue
		}
		share := max(all-units(left, x.name), 0) / all
		for _, o := range offers {
			*x.sum += share * units(o.res, x.name) * now.Sub(o.at).Seconds()
		}
	}
}

// offerUse is the use up to now, with the offers that are outstanding.
func (f *framework) offerUse(now time.Time) OfferUse {
	u := f.stats.use
	for _, o := range f.offers {
		u.outstanding(o, now)
	}
	return u
}

// OfferNow offers a framework exactly these resources of an agent at once, past the
// allocator: no real master does. It serves comparisons with a framework that would
// always know where to ask. The error says why there is no offer.
func (m *Master) OfferNow(now time.Time, frameworkID, hostname, role, resources string) error {
	m.enter(now)
	f := m.frameworks[frameworkID]
	if f == nil || !f.connected {
		return fmt.Errorf("framework %s is not connected", frameworkID)
	}
	want, err := resource.Parse(resources)
	if err != nil {
		return err
	}
	for _, a := range m.order {
		if a.hostname != hostname || !a.offerable() {
			continue
		}
		if free := a.total.Sub(m.alloc.Held(a.id)); !free.Contains(want) {
			return fmt.Errorf("agent %s has %s free, asked for are %s", hostname, free, want)
		}
		m.charge(f.id, a, role, want)
		m.sendOffers(f, []*offer{m.newOffer(f, a, role, want.WithAlloc(role))})
		return nil
	}
	return fmt.Errorf("no agent to be offered on %s", hostname)
}
