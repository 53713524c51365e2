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

package mesos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

type recorder struct {
	mu  sync.Mutex
	log []string
	// onUpdate, onSubscribed and onDisconnected run inside the handler's methods.
	onUpdate       func(claims.TaskStatus)
	onSubscribed   func(Subscription)
	onDisconnected func(error)
	// hold is the answer of Updated; nil holds nothing.
	hold     func(claims.TaskStatus) bool
	inverse  []InverseOffer
	subs     []Subscription
	statuses []claims.TaskStatus
	offers   []offers.Offer
	reasons  []error
}

func (r *recorder) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *recorder) Subscribed(s Subscription) {
	r.add("subscribed %s at %s", s.FrameworkID, s.Master)
	r.subs = append(r.subs, s)
	if r.onSubscribed != nil {
		r.onSubscribed(s)
	}
}

func (r *recorder) Disconnected(err error) {
	if r.onDisconnected != nil {
		r.onDisconnected(err)
	}
	r.add("disconnected")
	r.reasons = append(r.reasons, err)
}

func (r *recorder) Offers(list []offers.Offer) {
	for _, o := range list {
		r.add("offer %s", o.ID)
		r.offers = append(r.offers, o)
	}
}

func (r *recorder) Rescinded(id string) { r.add("rescinded %s", id) }

func (r *recorder) Updated(s claims.TaskStatus) (hold bool) {
	if r.onUpdate != nil {
		r.onUpdate(s)
	}
	r.add("updated %s %s", s.TaskID, s.State)
	r.statuses = append(r.statuses, s)
	return r.hold != nil && r.hold(s)
}

func (r *recorder) InverseOffers(list []InverseOffer) {
	for _, o := range list {
		r.add("inverse offer %s", o.ID)
		r.inverse = append(r.inverse, o)
	}
}

func (r *recorder) InverseRescinded(id string) { r.add("inverse rescinded %s", id) }

func (r *recorder) Failed(agent, executor string, status int32) {
	r.add("failed %s/%s %d", agent, executor, status)
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, "\n")
}

func (r *recorder) wants(t testing.TB, lines ...string) {
	t.Helper()
	if got, want := r.text(), strings.Join(lines, "\n"); got != want {
		t.Fatalf("the handler was told\n%s\nwant\n%s", got, want)
	}
}

type memIDs struct {
	mu               sync.Mutex
	id               string
	loads, saves     int
	loadErr, saveErr error
	onSave           func()
}

func (m *memIDs) Load(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	return m.id, m.loadErr
}

func (m *memIDs) Save(_ context.Context, id string) error {
	if m.onSave != nil {
		m.onSave()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves++
	if m.saveErr != nil {
		return m.saveErr
	}
	m.id = id
	return nil
}

type countingObserver struct {
	mu     sync.Mutex
	calls  []string
	events []string
	states []State
}

func (o *countingObserver) CallDone(kind, result string, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, kind+" "+result)
}

func (o *countingObserver) EventReceived(kind string, _ int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, kind)
}

func (o *countingObserver) StateChanged(state State, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.states = append(o.states, state)
}

func (o *countingObserver) snapshot() (calls, events []string, states []State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls), slices.Clone(o.events), slices.Clone(o.states)
}
