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
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// offer is an outstanding offer.
type offer struct {
	id    string
	seq   int
	fw    *framework
	agent *agent
	role  string
	res   resource.Resources // allocated to role
	at    time.Time
}

// newOffer makes an offer of resources that the allocator has charged already.
func (m *Master) newOffer(f *framework, a *agent, role string, res resource.Resources) *offer {
	o := &offer{id: fmt.Sprintf("%s-O%d", m.id, m.offerSeq), seq: m.offerSeq, fw: f, agent: a, role: role, res: res, at: m.now}
	m.offerSeq++
	m.offers[o.id] = o
	f.offers[o.id] = o
	a.offers[o.id] = o
	f.offeredSum.Add(o.res)
	if d := m.cfg.OfferTimeout; d > 0 {
		m.after(d, func() {
			if m.offers[o.id] == o {
				m.discardOffer(o, true)
			}
		})
	}
	return o
}

// forget takes an offer off the books without touching its resources.
func (m *Master) forgetOffer(o *offer) {
	delete(m.offers, o.id)
	delete(o.fw.offers, o.id)
	delete(o.agent.offers, o.id)
	o.fw.offeredSum.Sub(o.res)
	o.fw.stats.use.outstanding(o, m.now)
}

// discardOffer takes an offer back, with or without a RESCIND; its resources
// return without a filter (Mesos master.cpp rescindOffer, discardOffer).
func (m *Master) discardOffer(o *offer, rescind bool) {
	m.forgetOffer(o)
	m.recoverRes(o.fw, o.agent, o.role, o.res, 0)
	if rescind {
		m.sendRescind(o)
	}
}

// rescindFiltered rescinds an offer whose resources its framework shall not get
// again for a while.
func (m *Master) rescindFiltered(o *offer, refuse time.Duration) {
	m.forgetOffer(o)
	m.recoverRes(o.fw, o.agent, o.role, o.res, refuse)
	m.sendRescind(o)
}

func (m *Master) sendRescind(o *offer) {
	o.fw.stats.rescinded++
	m.emit(o.fw, &scheduler.Event{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{
		OfferID: mesos.OfferID{Value: o.id},
	}})
}

// toProto renders the offer for its framework.
func (o *offer) toProto() mesos.Offer {
	return o.toProtoIn(o.fw.form())
}

// toProtoIn renders the offer with its resources in some form.
func (o *offer) toProtoIn(form resource.WireForm) mesos.Offer {
	p := mesos.Offer{
		ID: mesos.OfferID{Value: o.id}, FrameworkID: mesos.FrameworkID{Value: o.fw.id},
		AgentID: mesos.AgentID{Value: o.agent.id}, Hostname: o.agent.hostname, URL: o.agent.url,
		Resources: o.res.ToProto(form), Attributes: o.agent.attributes, Domain: o.agent.domain, Unavailability: o.agent.unavailability,
	}
	if form.Allocation {
		role := o.role
		p.AllocationInfo = &mesos.Resource_AllocationInfo{Role: &role}
	}
	for _, id := range o.fw.onAgent[o.agent.id] {
		p.ExecutorIDs = append(p.ExecutorIDs, mesos.ExecutorID{Value: id})
	}
	return p
}

// bySeq are offers in the order in which they were made.
func bySeq(offers map[string]*offer) []*offer {
	return slices.SortedFunc(maps.Values(offers), func(a, b *offer) int { return a.seq - b.seq })
}

// RescindAll rescinds every outstanding offer and returns how many there were.
func (m *Master) RescindAll(now time.Time) int {
	return m.rescindWhere(now, func(*offer) bool { return true })
}

// RescindOffers rescinds the offers of one agent by host name.
func (m *Master) RescindOffers(now time.Time, hostname string) int {
	return m.rescindWhere(now, func(o *offer) bool { return o.agent.hostname == hostname })
}

func (m *Master) rescindWhere(now time.Time, match func(*offer) bool) int {
	m.enter(now)
	n := 0
	for _, id := range sortedKeys(m.offers) {
		if o := m.offers[id]; match(o) {
			m.discardOffer(o, true)
			n++
		}
	}
	return n
}
