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

package maintenance

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Reasons to refuse offers, for metrics.
const (
	RefusedCordoned    = "Cordoned"
	RefusedMaintenance = "Maintenance"
)

// The longest filters: whatever is undone within makes us ask for offers again.
const (
	// RefuseOffers is for how long offers are refused at most.
	RefuseOffers = time.Hour
	// refuseDeclined is for how long a declined inverse offer does not come again.
	refuseDeclined = 5 * time.Second
	// keepBefore is how long before pods are evicted no inverse offer is declined any
	// more: they might be gone when the next one comes.
	keepBefore = 2 * refuseDeclined
	// answerRetry is how long after a failed answer it is given again.
	answerRetry = time.Second
)

// Refuse tells why and for how long the offers of an agent are to be refused; reason
// "" for not at all. finishes tells whether a pod waits that would end on an agent
// before a time.
func (b *Book) Refuse(agentID string, now time.Time, finishes func(before time.Time) bool) (reason string, wait time.Duration) {
	a := b.agents[agentID]
	if a == nil {
		return "", 0
	}
	if n := b.nodes[a.node]; n != nil && n.Cordoned {
		b.refused[agentID] = true
		return RefusedCordoned, RefuseOffers
	}
	if a.drains() || a.state.Deactivated {
		// One of these offers was on its way: there will be no more.
		b.refused[agentID] = true
		return RefusedMaintenance, RefuseOffers
	}
	w := b.window(a, now)
	if w == nil || now.Before(w.Start) && finishes(w.Start) {
		return "", 0
	}
	b.refused[agentID] = true
	wait = RefuseOffers
	if w.Duration > 0 {
		wait = min(w.End().Sub(now), wait)
	}
	return RefusedMaintenance, max(wait, time.Second)
}

// Reopened tells, once, whether offers that were refused would not be any more.
func (b *Book) Reopened(now time.Time, finishes func(before time.Time) bool) (reopened bool) {
	for id := range b.refused {
		if reason, _ := b.Refuse(id, now, finishes); reason == "" {
			delete(b.refused, id)
			reopened = true
		}
	}
	return reopened
}

// inverse is an inverse offer that waits for our answer.
type inverse struct {
	Inverse
	// sent tells that the answer is under way, again when it is to be given again.
	sent  bool
	again time.Time
}

// InverseOffers takes in inverse offers. It reports whether the windows are news.
func (b *Book) InverseOffers(list []Inverse, now time.Time) (news bool) {
	for _, i := range list {
		b.inverse[i.ID] = &inverse{Inverse: i}
		news = b.Offered(i.AgentID, &i.Window, now) || news
	}
	return news
}

// InverseRescinded takes in that the master takes an inverse offer back: because of
// another schedule, or because the agent is gone.
func (b *Book) InverseRescinded(id string) { delete(b.inverse, id) }

// Holding is what we hold of an agent.
type Holding struct {
	// Claims counts all, Others those that are not of DaemonSets' pods.
	Claims, Others int
}

// Answer is the answer to an inverse offer.
type Answer struct {
	ID     string
	Accept bool
	// Refuse is for how long the master is not to ask again.
	Refuse time.Duration
}

// Answers returns what to answer now. An inverse offer is accepted when we hold nothing
// of the agent any more. The master asks only who holds something, so what was declined
// could never be accepted later: the first inverse offer of a window is declined, for
// operators to see, the next one is kept until we hold nothing. It is kept at once when
// pods are about to be evicted. Each answer is to be confirmed by Answered.
func (b *Book) Answers(now time.Time, holding func(agentID string) Holding) (answers []Answer) {
	for _, id := range slices.Sorted(maps.Keys(b.inverse)) {
		i := b.inverse[id]
		if i.sent || now.Before(i.again) {
			continue
		}
		switch h := holding(i.AgentID); {
		case h.Claims == 0:
			i.sent = true
			answers = append(answers, Answer{ID: id, Accept: true, Refuse: b.acceptedFor(i, now)})
		case b.declined[i.AgentID] != i.Window && now.Before(i.Window.Start.Add(-b.cfg.EvictBefore-keepBefore)):
			i.sent = true
			answers = append(answers, Answer{ID: id, Refuse: refuseDeclined})
		}
	}
	return answers
}

// acceptedFor is for how long the master need not ask again: until the window is over.
func (b *Book) acceptedFor(i *inverse, now time.Time) time.Duration {
	wait := RefuseOffers
	if i.Window.Duration > 0 {
		wait = min(wait, i.Window.End().Sub(now))
	}
	return max(wait, refuseDeclined)
}

// Answered takes in that the master heard an answer, or that it did not.
func (b *Book) Answered(a Answer, heard bool, now time.Time) {
	switch i := b.inverse[a.ID]; {
	case i == nil:
	case heard:
		if !a.Accept {
			b.declined[i.AgentID] = i.Window
		}
		delete(b.inverse, a.ID)
	default:
		i.sent, i.again = false, now.Add(answerRetry)
	}
}

// inOrder sorts by a text.
func inOrder[T any](list []T, by func(T) string) []T {
	slices.SortFunc(list, func(x, y T) int { return cmp.Compare(by(x), by(y)) })
	return list
}
