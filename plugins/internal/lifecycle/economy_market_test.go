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

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// allocationInterval is the master's --allocation_interval.
const allocationInterval = time.Second

// market is a model of a Mesos master and its allocator: it judges offer constraints,
// minimums, filters and suppression as Mesos does, and takes and frees resources for a
// neighbour at random. It implements mesos.Client.
type market struct {
	w *economy

	mu sync.Mutex
	// rng is for latencies and the neighbour.
	rng    *rand.Rand
	agents map[string]*marketAgent
	offers map[string]*marketOffer
	roles  map[string]*marketRole
	tasks  map[string]*marketTask
	// epoch counts subscriptions and their ends; heeds tells that constraints count.
	connected, heeds bool
	epoch            int
	serial           int
	// running tells that an allocation of all agents was asked for.
	running bool
	// greed is how likely the neighbour takes something of an agent in an allocation,
	// flaky how likely calls and launches fail.
	greed, flaky float64
	// sent are the calls of each type, with their times.
	sent map[string][]sentCall
	// events are what the manager is to be told, in order.
	events chan func()
}

type sentCall struct {
	at    time.Time
	roles []string
	// anew tells that the set of roles changed with it.
	anew bool
}

type marketAgent struct {
	id, host    string
	attributes  map[string]string
	total, free resources.Vector
	// busy is what the neighbour uses, and until when.
	busy []busyUntil
}

type busyUntil struct {
	need  resources.Vector
	until time.Time
}

type marketOffer struct {
	id, agent, role string
	amount          resources.Vector
	at              time.Time
}

type marketRole struct {
	suppressed bool
	since      time.Time
	terms      terms.Terms
	filters    map[string][]marketFilter
}

type marketFilter struct {
	amount resources.Vector
	until  time.Time
}

type marketTask struct {
	agent string
	need  resources.Vector
	state claims.TaskState
}

func newMarket(w *economy, rng *rand.Rand) *market {
	return &market{
		w: w, rng: rng, agents: map[string]*marketAgent{}, offers: map[string]*marketOffer{}, roles: map[string]*marketRole{},
		tasks: map[string]*marketTask{}, sent: map[string][]sentCall{}, events: make(chan func(), 1<<16),
	}
}

// run delivers events in order and allocates every interval, until the context ends.
func (k *market) run(ctx context.Context) {
	ticker := time.NewTicker(allocationInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.mu.Lock()
			k.allocate(slices.Sorted(maps.Keys(k.agents)))
			k.mu.Unlock()
		case happen := <-k.events:
			happen()
		}
	}
}

// later does something under the lock after up to d.
func (k *market) later(d time.Duration, do func()) {
	time.AfterFunc(time.Duration(k.rng.Int64N(int64(d)))+time.Microsecond, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		do()
	})
}

// allocateSoon runs an allocation of all agents, one for all who ask meanwhile.
func (k *market) allocateSoon() {
	if !k.running {
		k.running = true
		k.later(10*time.Millisecond, func() {
			k.running = false
			k.allocate(slices.Sorted(maps.Keys(k.agents)))
		})
	}
}

// allocate offers what is free of some agents.
func (k *market) allocate(ids []string) {
	now := time.Now()
	k.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	var list []offers.Offer
	names := slices.Sorted(maps.Keys(k.roles))
	for _, id := range ids {
		a := k.agents[id]
		if a == nil {
			continue
		}
		k.neighbour(a, now)
		if !k.connected || a.free.IsZero() {
			continue
		}
		k.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			if r := k.roles[name]; !r.suppressed && k.admits(r, a) && !r.filtered(a, now) {
				k.serial++
				o := &marketOffer{id: fmt.Sprint("o", k.serial), agent: id, role: name, amount: a.free, at: now}
				a.free = resources.Vector{}
				k.offers[o.id] = o
				list = append(list, offers.Offer{ID: o.id, AgentID: id, Hostname: a.host, Role: name, Unreserved: resources.Bundle{Vector: o.amount}})
				k.w.note("offer %s: %s to %s, %v", o.id, id, name, o.amount)
				break
			}
		}
	}
	if len(list) > 0 {
		k.tell(func() { k.w.Offers(list) })
	}
}

// tell has the manager told something, unless the subscription ends before.
func (k *market) tell(what func()) {
	epoch := k.epoch
	k.events <- func() {
		k.mu.Lock()
		live := k.epoch == epoch
		k.mu.Unlock()
		if live {
			what()
		}
	}
}

// neighbour takes and frees resources of an agent.
func (k *market) neighbour(a *marketAgent, now time.Time) {
	a.busy = slices.DeleteFunc(a.busy, func(b busyUntil) bool {
		if now.Before(b.until) {
			return false
		}
		a.free = a.free.Add(b.need)
		return true
	})
	if k.rng.Float64() >= k.greed {
		return
	}
	var need resources.Vector
	for kind, free := range a.free {
		need[kind] = free * k.rng.Int64N(5) / 4
	}
	a.free = a.free.Sub(need)
	a.busy = append(a.busy, busyUntil{need, now.Add(time.Duration(k.rng.IntN(5000)) * time.Millisecond)})
}

// admits tells whether an agent may be offered to a role as far as its terms go.
func (k *market) admits(r *marketRole, a *marketAgent) bool {
	if least := r.terms.Min; least != nil && !least.Fits(a.free) || least == nil && a.free[resources.CPU] < 10 && a.free[resources.Memory] < 32_000 {
		return false
	}
	return !k.heeds || a.meets(r.terms.Constraints)
}

func (a *marketAgent) meets(c terms.Constraints) bool {
	return len(c) == 0 || slices.ContainsFunc(c, func(g terms.Group) bool {
		return !slices.ContainsFunc(g, func(c terms.Constraint) bool {
			value, there := a.attributes[c.Attribute]
			if c.Attribute == "" {
				value, there = a.host, true
			}
			is := map[terms.Op]bool{
				terms.Exists: there, terms.NotExists: !there,
				terms.Equals: there && value == c.Value, terms.NotEquals: !there || value != c.Value,
			}[c.Op]
			return !is
		})
	})
}

// filtered tells whether a filter holds all that is free of the agent.
func (r *marketRole) filtered(a *marketAgent, now time.Time) bool {
	live := slices.DeleteFunc(r.filters[a.id], func(f marketFilter) bool { return !now.Before(f.until) })
	r.filters[a.id] = live
	return slices.ContainsFunc(live, func(f marketFilter) bool { return a.free.Fits(f.amount) })
}

// recover takes an amount of an agent back, with a filter for a role if refuse is set.
func (k *market) recover(agent, role string, amount resources.Vector, refuse time.Duration) {
	a := k.agents[agent]
	if a == nil {
		return
	}
	a.free = a.free.Add(amount)
	if r := k.roles[role]; r != nil && refuse > 0 {
		r.filters[agent] = append(r.filters[agent], marketFilter{amount, time.Now().Add(max(refuse, allocationInterval) + time.Millisecond)})
	}
}

// call carries out a call after the time that it takes to come, or loses it.
func (k *market) call(name string, roles []string, do func() error) error {
	k.mu.Lock()
	epoch, lost, when := k.epoch, k.rng.Float64(), time.Now()
	latency := time.Duration(k.rng.IntN(2000)) * time.Microsecond
	connected := k.connected
	k.mu.Unlock()
	if !connected {
		return mesos.ErrNotSubscribed
	}
	time.Sleep(latency)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch != epoch {
		return mesos.ErrNotSubscribed
	}
	anew := name == "UPDATE_FRAMEWORK" && !slices.Equal(roles, slices.Sorted(maps.Keys(k.roles)))
	k.sent[name] = append(k.sent[name], sentCall{at: when, roles: roles, anew: anew})
	if lost < k.flaky/2 {
		k.w.note("%s %v lost", name, roles)
		return &mesos.CallError{Type: name, Sent: true, Err: errors.New("lost")}
	}
	err := do()
	if err == nil && lost < k.flaky {
		k.w.note("%s %v: answer lost", name, roles)
		err = &mesos.CallError{Type: name, Sent: true, Err: errors.New("the answer was lost")}
	}
	return err
}

// Accept implements mesos.Client.
func (k *market) Accept(_ context.Context, l mesos.Launch) error {
	return k.call("ACCEPT", []string{l.Role}, func() error {
		var offered, used resources.Vector
		valid := len(l.OfferIDs) > 0
		for _, id := range l.OfferIDs {
			o := k.offers[id]
			valid = valid && o != nil && o.agent == l.AgentID && o.role == l.Role
		}
		for _, id := range l.OfferIDs {
			if o := k.offers[id]; o != nil {
				delete(k.offers, id)
				offered = offered.Add(o.amount)
				if !valid {
					k.recover(o.agent, o.role, o.amount, 0)
				}
			}
		}
		k.w.note("ACCEPT %v of %s to %s, %d tasks, refuse %s, valid %v", l.OfferIDs, l.AgentID, l.Role, len(l.Tasks), l.Refuse, valid)
		for _, task := range l.Tasks {
			var need resources.Vector
			for _, part := range task.Parts {
				need = need.Add(part.Bundle.Vector)
			}
			if !valid {
				k.update(task.ID, l.AgentID, claims.TaskDropped, "REASON_INVALID_OFFERS", "SOURCE_MASTER")
				continue
			}
			if k.tasks[task.ID] != nil {
				k.w.violated("task id %s was used twice", task.ID)
			}
			used = used.Add(need)
			k.launch(task.ID, l.AgentID, need)
		}
		if valid {
			if !used.Fits(offered) {
				k.w.violated("tasks of %v were launched on offers of %v of %s", used, offered, l.AgentID)
			}
			k.recover(l.AgentID, l.Role, offered.Sub(used), l.Refuse)
		}
		return nil
	})
}

func (k *market) launch(id, agent string, need resources.Vector) {
	k.tasks[id] = &marketTask{agent, need, claims.TaskStaging}
	ends := k.rng.Float64() < k.flaky
	k.later(20*time.Millisecond, func() {
		switch t := k.tasks[id]; {
		case t == nil:
		case ends:
			k.end(id, claims.TaskDropped, "SOURCE_MASTER")
		default:
			t.state = claims.TaskRunning
			k.update(id, agent, claims.TaskRunning, "", "SOURCE_EXECUTOR")
		}
	})
}

func (k *market) end(id string, state claims.TaskState, source string) {
	if t := k.tasks[id]; t != nil {
		delete(k.tasks, id)
		k.recover(t.agent, "", t.need, 0)
		k.update(id, t.agent, state, "", source)
	}
}

func (k *market) update(id, agent string, state claims.TaskState, reason, source string) {
	k.w.note("%s %s %s", id, state, reason)
	if k.connected {
		at := time.Now()
		k.tell(func() {
			k.w.Updated(claims.TaskStatus{TaskID: id, AgentID: agent, State: state, Reason: reason, Source: source, Timestamp: at})
		})
	}
}

// Decline implements mesos.Client.
func (k *market) Decline(_ context.Context, ids []string, refuse time.Duration) error {
	return k.call("DECLINE", nil, func() error {
		k.w.note("DECLINE %v for %s", ids, refuse)
		for _, id := range ids {
			if o := k.offers[id]; o != nil {
				delete(k.offers, id)
				k.recover(o.agent, o.role, o.amount, refuse)
			}
		}
		return nil
	})
}

// Kill implements mesos.Client.
func (k *market) Kill(_ context.Context, ref mesos.TaskRef) error {
	return k.call("KILL", nil, func() error {
		k.later(30*time.Millisecond, func() {
			if k.tasks[ref.TaskID] != nil {
				k.end(ref.TaskID, claims.TaskKilled, "SOURCE_EXECUTOR")
			} else {
				k.explain(ref)
			}
		})
		return nil
	})
}

// explain tells of a task as an explicit reconciliation does.
func (k *market) explain(ref mesos.TaskRef) {
	state := claims.TaskUnknown
	if t := k.tasks[ref.TaskID]; t != nil {
		state = t.state
	} else if k.agents[ref.AgentID] != nil {
		state = claims.TaskGone
	}
	k.update(ref.TaskID, ref.AgentID, state, "REASON_RECONCILIATION", "SOURCE_MASTER")
}

// Reconcile implements mesos.Client.
func (k *market) Reconcile(_ context.Context, refs ...mesos.TaskRef) error {
	return k.call("RECONCILE", nil, func() error {
		for _, ref := range refs {
			k.explain(ref)
		}
		if len(refs) == 0 {
			for id, t := range k.tasks {
				k.explain(mesos.TaskRef{TaskID: id, AgentID: t.agent})
			}
		}
		return nil
	})
}

// AnswerInverse implements mesos.Client: nothing is ever maintained here.
func (k *market) AnswerInverse(context.Context, bool, []string, time.Duration) error {
	return errors.New("there are no inverse offers")
}

// ReleaseAck implements mesos.Client: nobody waits for acknowledgements here.
func (k *market) ReleaseAck(string) {}

// Revive implements mesos.Client.
func (k *market) Revive(_ context.Context, names ...string) error {
	return k.call("REVIVE", names, func() error {
		k.w.note("REVIVE %v", names)
		for _, name := range names {
			if k.roles[name] == nil {
				k.w.violated("REVIVE of %v, but %s is not subscribed to: all of it is ignored", names, name)
				return nil
			}
		}
		for _, name := range names {
			k.roles[name].suppress(false)
			clear(k.roles[name].filters)
		}
		k.allocateSoon()
		return nil
	})
}

func (r *marketRole) suppress(is bool) {
	if r.suppressed != is {
		r.suppressed, r.since = is, time.Now()
	}
}

// Suppress implements mesos.Client.
func (k *market) Suppress(_ context.Context, names ...string) error {
	return k.call("SUPPRESS", names, func() error {
		k.w.note("SUPPRESS %v", names)
		for _, name := range names {
			if k.roles[name] == nil {
				k.w.violated("SUPPRESS of %v, but %s is not subscribed to: all of it is ignored", names, name)
				return nil
			}
		}
		for _, name := range names {
			k.roles[name].suppress(true)
		}
		return nil
	})
}

// Unreserve implements mesos.Client.
func (k *market) Unreserve(context.Context, mesos.UnreserveCall) error {
	return errors.New("nothing is reserved")
}

// UpdateRoles implements mesos.Client.
func (k *market) UpdateRoles(_ context.Context, asks []mesos.RoleAsk) error {
	names, _ := mesos.SplitRoles(asks)
	slices.Sort(names)
	return k.call("UPDATE_FRAMEWORK", names, func() error {
		k.setRoles(asks)
		return nil
	})
}

// setRoles replaces the roles.
func (k *market) setRoles(asks []mesos.RoleAsk) {
	next := map[string]*marketRole{}
	for _, ask := range asks {
		k.w.note("role %s: suppressed %v, terms %+v, least %v", ask.Name, ask.Suppressed, ask.Terms.Constraints, ask.Terms.Min)
		r := k.roles[ask.Name]
		if r == nil {
			r = &marketRole{filters: map[string][]marketFilter{}, suppressed: ask.Suppressed, since: time.Now()}
		} else if r.suppressed && !ask.Suppressed {
			clear(r.filters)
		}
		r.suppress(ask.Suppressed)
		r.terms = ask.Terms
		next[ask.Name] = r
	}
	k.roles = next
	k.rescind(func(o *marketOffer) bool { return next[o.role] == nil })
}

// rescind takes back offers.
func (k *market) rescind(which func(*marketOffer) bool) {
	for _, id := range slices.Sorted(maps.Keys(k.offers)) {
		if o := k.offers[id]; which(o) {
			delete(k.offers, id)
			k.recover(o.agent, o.role, o.amount, 0)
			k.w.note("RESCIND %s", id)
			k.tell(func() { k.w.Rescinded(id) })
		}
	}
}

// disconnect ends the subscription: offers and filters go.
func (k *market) disconnect() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.connected {
		return
	}
	k.w.note("disconnected")
	k.connected = false
	k.epoch++
	for id, o := range k.offers {
		delete(k.offers, id)
		k.recover(o.agent, o.role, o.amount, 0)
	}
	clear(k.roles)
	k.tell(func() { k.w.Disconnected(errors.New("gone")) })
}

// subscribe begins one.
func (k *market) subscribe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.connected {
		return
	}
	k.tell(func() {
		asks := k.w.SubscribeRoles()
		k.mu.Lock()
		k.w.note("subscribed")
		k.connected = true
		k.epoch++
		k.setRoles(asks)
		k.allocateSoon()
		heeds := k.heeds
		k.mu.Unlock()
		k.w.Subscribed(mesos.Subscription{FrameworkID: "fw", Roles: asks, Constraints: heeds})
	})
}

// addAgent adds an agent of a host.
func (k *market) addAgent(host string, attributes map[string]string, total resources.Vector) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.serial++
	id := fmt.Sprintf("%s-%d", host, k.serial)
	k.w.note("agent %s: %v", id, total)
	k.agents[id] = &marketAgent{id: id, host: host, attributes: attributes, total: total, free: total}
	k.later(10*time.Millisecond, func() { k.allocate([]string{id}) })
}

// removeAgent removes an agent with its offers and tasks.
func (k *market) removeAgent(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.w.note("agent %s gone", id)
	k.rescind(func(o *marketOffer) bool { return o.agent == id })
	delete(k.agents, id)
	for _, r := range k.roles {
		delete(r.filters, id)
	}
	for task, t := range k.tasks {
		if t.agent == id {
			delete(k.tasks, task)
			k.update(task, id, claims.TaskGoneByOperator, "REASON_SLAVE_REMOVED", "SOURCE_MASTER")
		}
	}
	if k.connected {
		k.tell(func() { k.w.Failed(id, "", 0) })
	}
}

// Agents implements Agents.
func (k *market) Agents(context.Context) ([]mesos.Agent, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []mesos.Agent
	for _, id := range slices.Sorted(maps.Keys(k.agents)) {
		a := k.agents[id]
		list = append(list, mesos.Agent{ID: id, Hostname: a.host, Active: true, Attributes: maps.Clone(a.attributes), Total: a.total})
	}
	return list, nil
}
