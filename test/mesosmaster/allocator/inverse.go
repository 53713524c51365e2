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

package allocator

import (
	"maps"
	"slices"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// InverseOffer asks a framework to do without an agent for some time.
type InverseOffer struct {
	Framework, Agent string
	Unavailability   *mesos.Unavailability
}

// InverseOfferStatus is the last answer of a framework to inverse offers of an
// agent.
type InverseOfferStatus struct {
	Framework string
	Accepted  bool
	At        time.Time
}

// SetUnavailability takes over a planned maintenance, or with nil its end. All
// answers and filters about it are void; a run over the agent is due at once
// (Mesos updateUnavailability).
func (a *Allocator) SetUnavailability(agentID string, u *mesos.Unavailability) {
	on := a.agents[agentID]
	if on == nil {
		return
	}
	for _, f := range a.frameworks {
		a.clearOne(f.inverse, agentID)
	}
	on.Unavailability, on.outstanding, on.answers = u, nil, nil
	a.runOver(on)
}

// AnswerInverse takes over the end of an inverse offer: an answer, or none if it
// was rescinded or lost; a refusal above zero is how long no other is wanted
// (Mesos updateInverseOffer).
func (a *Allocator) AnswerInverse(agentID, frameworkID string, answer *InverseOfferStatus, refusal time.Duration) {
	f, on := a.frameworks[frameworkID], a.agents[agentID]
	if f == nil || on == nil || on.Unavailability == nil {
		return
	}
	if on.outstanding[f] {
		delete(on.outstanding, f)
		if answer != nil {
			if on.answers == nil {
				on.answers = map[*framework]InverseOfferStatus{}
			}
			on.answers[f] = *answer
		}
	}
	if refusal > 0 {
		a.filter(f.inverse, agentID, &refused{at: a.now().Add(refusal)})
	}
	a.touch()
}

// InverseAnswers are the answers about an agent, by framework.
func (a *Allocator) InverseAnswers(agentID string) []InverseOfferStatus {
	on := a.agents[agentID]
	if on == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(on.answers), func(x, y InverseOfferStatus) int {
		return strings.Compare(x.Framework, y.Framework)
	})
}

// invert asks, for agents with planned maintenance, the active frameworks that
// hold or are offered something there and have not been asked already
// (Mesos generateInverseOffers).
func (a *Allocator) invert(over []*agent, result *Result) {
	for _, on := range over {
		if on.Unavailability == nil {
			continue
		}
		for f := range on.held {
			if !f.active || on.outstanding[f] || len(f.inverse[on.ID]) > 0 {
				continue
			}
			if on.outstanding == nil {
				on.outstanding = map[*framework]bool{}
			}
			on.outstanding[f] = true
			result.Inverse = append(result.Inverse, InverseOffer{f.ID, on.ID, on.Unavailability})
		}
	}
	slices.SortStableFunc(result.Inverse, func(x, y InverseOffer) int {
		if c := strings.Compare(x.Framework, y.Framework); c != 0 {
			return c
		}
		return strings.Compare(x.Agent, y.Agent)
	})
}
