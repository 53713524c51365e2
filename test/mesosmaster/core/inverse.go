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

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
)

// inverseOffer is an outstanding request to do without an agent for some time.
type inverseOffer struct {
	id             string
	seq            int
	fw             *framework
	agent          *agent
	unavailability *mesos.Unavailability
}

// inverseOffers sends what an allocation run asks of frameworks, in one event for
// each. Ids are those of offers, from the same counter (Mesos master.cpp
// inverseOffer).
func (m *Master) inverseOffers(list []allocator.InverseOffer) {
	var events []*scheduler.Event
	var to []*framework
	for _, x := range list {
		f, a := m.frameworks[x.Framework], m.agents[x.Agent]
		if f == nil || a == nil {
			continue
		}
		o := &inverseOffer{id: fmt.Sprintf("%s-O%d", m.id, m.offerSeq), seq: m.offerSeq, fw: f, agent: a, unavailability: x.Unavailability}
		m.offerSeq++
		f.inverse[o.id], a.inverse[o.id] = o, o
		if n := len(to); n == 0 || to[n-1] != f {
			to = append(to, f)
			events = append(events, &scheduler.Event{Type: scheduler.Event_INVERSE_OFFERS, InverseOffers: &scheduler.Event_InverseOffers{}})
		}
		e := events[len(events)-1].InverseOffers
		e.InverseOffers = append(e.InverseOffers, o.toProto())
	}
	for i, f := range to {
		m.emit(f, events[i])
	}
}

func (o *inverseOffer) toProto() mesos.InverseOffer {
	return mesos.InverseOffer{
		OfferID: mesos.OfferID{Value: o.id}, URL: o.agent.url, FrameworkID: mesos.FrameworkID{Value: o.fw.id},
		AgentID: &mesos.AgentID{Value: o.agent.id}, Unavailability: *o.unavailability,
	}
}

// endInverse takes an inverse offer off the books, with the answer if there was
// one.
func (m *Master) endInverse(o *inverseOffer, answer *allocator.InverseOfferStatus, refuse time.Duration) {
	delete(o.fw.inverse, o.id)
	delete(o.agent.inverse, o.id)
	m.alloc.AnswerInverse(o.agent.id, o.fw.id, answer, refuse)
}

// answerInverse is ACCEPT_INVERSE_OFFERS or DECLINE_INVERSE_OFFERS: each id on its
// own, unknown ones and those of others are ignored (Mesos master.cpp
// acceptInverseOffers, declineInverseOffers).
func (m *Master) answerInverse(f *framework, ids []mesos.OfferID, filters *mesos.Filters, accepted bool) {
	for _, id := range ids {
		if o := f.inverse[id.Value]; o != nil {
			m.endInverse(o, &allocator.InverseOfferStatus{Framework: f.id, Accepted: accepted, At: m.now}, refuseFor(filters))
		}
	}
}

// rescindInverse takes back the inverse offers of an agent.
func (m *Master) rescindInverse(a *agent) {
	for _, o := range inverseInOrder(a.inverse) {
		m.endInverse(o, nil, 0)
		m.emit(o.fw, &scheduler.Event{Type: scheduler.Event_RESCIND_INVERSE_OFFER, RescindInverseOffer: &scheduler.Event_RescindInverseOffer{
			InverseOfferID: mesos.OfferID{Value: o.id},
		}})
	}
}

// dropInverse forgets the inverse offers of a framework that is not there to
// answer them.
func (m *Master) dropInverse(f *framework) {
	for _, o := range inverseInOrder(f.inverse) {
		m.endInverse(o, nil, 0)
	}
}

func inverseInOrder(in map[string]*inverseOffer) []*inverseOffer {
	list := make([]*inverseOffer, 0, len(in))
	for _, id := range sortedKeys(in) {
		list = append(list, in[id])
	}
	return list
}
