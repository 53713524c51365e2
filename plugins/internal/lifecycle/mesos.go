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
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/constraints"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

var _ mesos.Handler = (*Manager)(nil)

// Subscribed implements mesos.Handler.
func (m *Manager) Subscribed(s mesos.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.generation++
	m.subscription, m.subscribed = s, true
	m.void()
	m.identity.Store(&s.FrameworkID)
	m.cfg.Registry.SetFramework(s.FrameworkID)
	m.rolesSubscribed(s, now)
	m.renotePods(now)
	m.ledger.Subscribed(now)
	m.carryOut()
	m.kick()
	select {
	case m.readQuotas <- struct{}{}:
	default:
	}
}

// Disconnected implements mesos.Handler.
func (m *Manager) Disconnected(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation++
	m.subscribed = false
	m.void()
	m.cfg.Registry.Disconnected()
	m.rolesDisconnected(err, time.Now())
	m.ledger.Disconnected()
	m.carryOut()
	m.kick()
}

// void forgets what a subscription told us: offers and agents. Reservations not
// sent yet fail, without blame. The mutex is held.
func (m *Manager) void() {
	for _, id := range m.cache.Reset(time.Now()) {
		m.ledger.Broken(id, claims.CauseDisconnected)
	}
	m.nodes.ClearAgents()
	m.upkeep.book.Disconnected()
	clear(m.expected)
	m.bargain.compiler.ClearAgents()
	clear(m.bargain.agents)
	m.index.ClearSlots()
	m.agentsKnown = false
	clear(m.reported)
	clear(m.foreign)
}

// offersAtOnce is how many offers are taken in before others get the mutex: a
// pod's Reserve never waits for a whole event of ten thousand.
const offersAtOnce = 128

// Offers implements mesos.Handler.
func (m *Manager) Offers(list []offers.Offer) {
	metrics.OffersReceived.Add(float64(len(list)))
	now := time.Now()
	fresh := freedSlots{}
	var owners []string
	for len(list) > 0 {
		n := min(offersAtOnce, len(list))
		owners = append(owners, m.takeIn(list[:n], fresh, now)...)
		list = list[n:]
	}
	m.mu.Lock()
	m.offered(fresh, now)
	woken := m.wake(fresh, (*demand.Demand).Wake)
	m.told = append(m.told, owners...)
	m.sweepAt = now
	m.mu.Unlock()
	m.kick()
	m.activatePods(woken)
}

// freedSlots are slots by role.
type freedSlots map[string][]int32

func (f freedSlots) add(role string, slots ...int32) { f[role] = append(f[role], slots...) }

// broken fails reservations whose offer went, or never came. The mutex is held.
func (m *Manager) broken(ids []string) {
	for _, id := range ids {
		m.ledger.Broken(id, claims.CauseOfferGone)
	}
}

// takeIn takes in some offers. It returns the pods that have to be tried because what
// is reserved for them is offered.
func (m *Manager) takeIn(list []offers.Offer, fresh freedSlots, now time.Time) (owners []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var foreign []string
	for i := range list {
		o := &list[i]
		if !m.known[o.Role] {
			// The role was given up meanwhile.
			foreign = append(foreign, o.ID)
			continue
		}
		if _, known := m.cache.Slot(o.AgentID); !known {
			m.relist = true // the list tells more of an agent than its offers do
		}
		m.agentSeen(o.AgentID, o.Hostname)
		if reserves(o.Special) {
			m.cfg.Registry.Offered(o.ID, o.AgentID, o.Special, now)
			if due := m.dueIn(o.AgentID, o.Special, now); len(due) > 0 {
				m.giveBack(o.ID, o.AgentID, o.Role, due, now)
				continue
			}
		}
		if reason, wait := m.unavailable(o, now); reason != "" {
			m.declineLocked([]string{o.ID}, wait, reason)
			continue
		}
		if wait := m.penalties.left(o.AgentID, now); wait > 0 {
			m.declineLocked([]string{o.ID}, wait, "AgentFailing")
			continue
		}
		m.reoffered(o.AgentID, o.Role, now)
		if slot, isNew := m.takeOffer(o, now); isNew {
			fresh.add(o.Role, slot)
			owners = append(owners, m.ownersIn(o.Special)...)
		}
	}
	m.resizeOn(list, now)
	m.declineLocked(foreign, m.cfg.Demand.RefuseForeign, string(demand.Foreign))
	return owners
}

// offered tells the demands of an OFFERS event. The mutex is held.
func (m *Manager) offered(fresh freedSlots, now time.Time) {
	for role, slots := range fresh {
		d, r := m.demandOf(role), m.cache.Role(role)
		took, answered := d.Offered(slices.ContainsFunc(slots, func(slot int32) bool {
			free, ok := r.FreeOf(slot)
			return ok && d.FitsFree(free)
		}), now)
		if answered {
			metrics.ReviveToOffer.Observe(took.Seconds())
		}
	}
}

// wake names the pods worth trying because of these slots, as the demands say when asked
// in that way. The mutex is held.
func (m *Manager) wake(freed freedSlots, ask func(*demand.Demand, []offers.Free) []string) map[string]*v1.Pod {
	woken := m.wakeNominees(freed)
	for role, slots := range freed {
		d := m.demandOf(role)
		if _, parked := d.Pods(); parked == 0 || len(slots) == 0 {
			continue
		}
		list := make([]offers.Free, 0, len(slots))
		r := m.cache.Role(role)
		for _, slot := range slots {
			if free, ok := r.FreeOf(slot); ok {
				list = append(list, free)
			}
		}
		for _, uid := range ask(d, list) {
			woken = append(woken, uid)
			m.unpark(uid)
		}
	}
	return m.podsOf(woken)
}

// podsOf returns the pods of these UIDs by their keys. The mutex is held.
func (m *Manager) podsOf(uids []string) map[string]*v1.Pod {
	pods := make(map[string]*v1.Pod, len(uids))
	for _, uid := range uids {
		if p := m.pods[uid]; p != nil {
			pods[p.pod.Namespace+"/"+p.pod.Name] = p.pod
		}
	}
	return pods
}

// activatePods puts pods in front of the scheduler. The mutex must not be held:
// the scheduling queue has a lock of its own and calls us under it.
func (m *Manager) activatePods(pods map[string]*v1.Pod) {
	if len(pods) > 0 {
		metrics.PodsActivated.Add(float64(len(pods)))
		m.activate(pods)
	}
}

// Rescinded implements mesos.Handler.
func (m *Manager) Rescinded(offerID string) {
	metrics.OffersRescinded.Inc()
	m.cfg.Registry.OfferGone(offerID)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken(m.cache.Remove(offerID, time.Now()))
	m.carryOut()
}

// Updated implements mesos.Handler.
func (m *Manager) Updated(s claims.TaskStatus) (hold bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.State.Terminal() && m.releasing {
		m.relist = true // what it used of a reservation may be given back now
	}
	now := time.Now()
	m.ledger.Status(s, now)
	m.carryOut()
	if c := m.ledger.ByTask(s.TaskID); c != nil {
		m.resize(c.Pod.UID, now)
	}
	return m.holdAck(&s, now)
}

// Failed implements mesos.Handler. An agent that the master gave up is forgotten
// with its offers; what became of its tasks comes as updates.
func (m *Manager) Failed(agentID, executorID string, status int32) {
	if executorID != "" {
		m.logger.V(2).Info("An executor ended", "agent", agentID, "executor", executorID, "waitStatus", status)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures++
	m.cfg.Registry.AgentGone(agentID, time.Now())
	m.forgetAgent(agentID)
	m.carryOut()
}

func (m *Manager) forgetAgent(agentID string) {
	node := m.nodes.NodeOf(agentID)
	m.broken(m.cache.RemoveAgent(agentID, time.Now()))
	if node != "" {
		m.index.Assign(node, nodes.NoSlot)
	}
	m.remap(m.nodes.DeleteAgent(agentID))
	m.bargain.compiler.DeleteAgent(agentID)
	delete(m.bargain.agents, agentID)
}

// agentSeen makes an agent known. The mutex is held.
func (m *Manager) agentSeen(id, hostname string) {
	m.cache.AddAgent(id, hostname)
	if m.bargain.agents[id] == nil {
		m.bargain.agents[id] = &constraints.Agent{Hostname: hostname}
		m.bargain.compiler.SetAgent(id, *m.bargain.agents[id])
	}
	m.remap(m.nodes.SetAgent(id, hostname))
}

// agentsEvery is how often the list of all agents is read again: it matters for
// reasons and for agents that never offer, not for placing pods. Where it does
// matter, for agents that are new and for reservations to be given back, it is read
// relistAfter after the last time, and if that changes nothing ever later.
const (
	agentsEvery = time.Minute
	relistAfter = 2 * time.Second
)

func (m *Manager) pollAgents(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var read uint64
	var last time.Time
	wait := relistAfter
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		releasing := m.cfg.Registry.Waiting()
		m.mu.Lock()
		subscribed, generation, failures, agents := m.subscribed, m.generation, m.failures, m.agents
		relist := m.relist
		m.releasing = releasing
		m.mu.Unlock()
		if relist || !releasing {
			wait = relistAfter
		}
		pause := agentsEvery
		if relist || releasing {
			pause = wait
		}
		if !subscribed || agents == nil || (generation == read && time.Since(last) < pause) {
			continue
		}
		wait = min(2*wait, agentsEvery)
		begun := time.Now()
		read, last = generation, begun
		m.mu.Lock()
		m.relist = false
		m.mu.Unlock()
		list, err := agents.Agents(ctx)
		if err != nil {
			m.logger.V(2).Info("Cannot read the list of Mesos agents; nodes without offers cannot be told from nodes without an agent", "err", err)
			continue
		}
		if !m.agentsListed(generation, failures, begun, list) {
			last = time.Time{} // an agent went meanwhile: the list may still have it
		}
	}
}

// agentsListed takes in the list of all agents. With the first of a subscription,
// pods that still sleep are tried once more: what keeps them waiting can be told
// now, and what they were told, as that the master was not connected, is not so
// any more.
//
// The list comes beside the stream: it is not taken, and false returned, if the
// stream told of a subscription or of an agent's end since it was asked for.
func (m *Manager) agentsListed(generation, failures uint64, begun time.Time, list []mesos.Agent) bool {
	all := slices.Clone(list)
	// An agent that the master only waits for is none yet.
	list = slices.DeleteFunc(list, func(a mesos.Agent) bool { return a.Recovered })
	first, taken := m.takeInAgents(generation, failures, list)
	if taken {
		m.upkeepAgents(all, begun)
		m.listReservations(begun, list, first)
	}
	if taken && m.cfg.ShowAgents != nil {
		m.cfg.ShowAgents(m.byNode(list))
	}
	return taken
}

// byNode returns the agents that are a node.
func (m *Manager) byNode(list []mesos.Agent) map[string]mesos.Agent {
	m.mu.Lock()
	defer m.mu.Unlock()
	agents := map[string]mesos.Agent{}
	for _, a := range list {
		if node := m.nodes.NodeOf(a.ID); node != "" {
			agents[node] = a
		}
	}
	return agents
}

// takeInAgents makes the agents known. first tells that none were since the
// subscription began, taken that the list is good.
func (m *Manager) takeInAgents(generation, failures uint64, list []mesos.Agent) (first, taken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.generation != generation || m.failures != failures {
		return false, false
	}
	// An agent that was installed anew has a new id. The old one, inactive until the
	// master gives it up, must not make the node ambiguous.
	active, listed := map[string]bool{}, map[string]bool{}
	for _, a := range list {
		active[a.Hostname] = active[a.Hostname] || a.Active
	}
	for _, a := range list {
		listed[a.ID] = a.Active || !active[a.Hostname]
	}
	for _, id := range m.nodes.Agents() {
		if !listed[id] && !m.cache.HasOffers(id) {
			m.forgetAgent(id)
		}
	}
	for _, a := range list {
		if !listed[a.ID] {
			continue
		}
		m.agentSeen(a.ID, a.Hostname)
		m.bargain.describe(&a)
		if a.Total[resources.GPU] > 0 {
			m.cache.HasGPUs(a.ID)
		}
	}
	m.cache.SetCapacities(capacitiesOf(list))
	first = !m.agentsKnown
	m.agentsKnown = true
	m.bargain.compiler.SetComplete(true)
	m.carryOut()
	return first, true
}
