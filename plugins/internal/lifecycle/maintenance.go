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
	"net/http"
	"time"

	"golang.org/x/time/rate"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// MaintenanceConfig says how machines are dealt with that leave the service.
type MaintenanceConfig struct {
	maintenance.Config
	// DrainGrace bounds how long tasks may take to end on agents that we drain for
	// cordoned nodes, 0 for as long as they want.
	DrainGrace time.Duration
	// Show is told what nodes are to show, by node; complete tells that others are to
	// show nothing. It is called under a lock and must not call the Manager. May be nil.
	Show func(marks map[string]maintenance.Mark, complete bool)
}

// Operator is the part of the master's operator API that maintenance needs.
type Operator interface {
	Maintenance(ctx context.Context) ([]mesos.MaintenanceWindow, error)
	DrainAgent(ctx context.Context, agentID string, maxGrace time.Duration, markGone bool) error
	DeactivateAgent(ctx context.Context, agentID string) error
	ReactivateAgent(ctx context.Context, agentID string) error
}

// upkeep is what is done about machines that leave the service. The Manager's mutex
// guards it.
type upkeep struct {
	book     *maintenance.Book
	operator Operator
	// at is when it is next looked at.
	at time.Time
	// leaving is what the offer cache was told of agents.
	leaving map[string]time.Time
	// finite are the pods that end by themselves and tolerate the taint.
	finite map[string]*podInfo
	// going are the pods that are evicted for a window, and the limiter how fast.
	going   map[string]bool
	limiter *rate.Limiter
	// marked are the pods whose condition says that their machine goes down, perhaps since
	// an earlier process of ours wrote it.
	marked map[string]bool
	// relistAt is when the list of agents is read again because some are out of service:
	// nothing tells when they are back.
	relistAt time.Time
	// reread makes pollSchedule read soon, operate makes runOperations look.
	reread  bool
	operate chan struct{}
}

// upkeepEvery is how often maintenance is looked at for what time alone changes.
const upkeepEvery = time.Second

// relistOff is how often the list of agents is read while some are out of service.
const relistOff = 20 * time.Second

// One machine's pods may go at once, those of many in turns: one schedule, posted by
// mistake, must not empty the cluster in a moment.
const (
	leavingPerSecond = rate.Limit(5)
	leavingBurst     = 100
)

func newUpkeep(cfg *MaintenanceConfig) upkeep {
	return upkeep{
		book: maintenance.New(cfg.Config), leaving: map[string]time.Time{}, finite: map[string]*podInfo{}, going: map[string]bool{},
		marked: map[string]bool{}, limiter: rate.NewLimiter(leavingPerSecond, leavingBurst), operate: make(chan struct{}, 1),
	}
}

// SetOperator gives the manager the operator API. Without it, windows are known from
// offers and inverse offers only, and agents are left as they are. It must be called
// before Run.
func (m *Manager) SetOperator(o Operator) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.upkeep.operator = o
}

// settleUpkeep does what is due about maintenance. The mutex is held.
func (m *Manager) settleUpkeep(now time.Time) {
	u := &m.upkeep
	if now.Before(u.at) {
		return
	}
	u.at = now.Add(upkeepEvery)
	m.setLeaving(now)
	if u.book.Reopened(now, m.finishes) {
		m.reopen()
		m.kick()
	}
	m.evictLeaving(now)
	m.spareMarked(now)
	if len(u.leaving) > 0 && !now.Before(u.relistAt) {
		u.relistAt = now.Add(relistOff)
		m.relist = true
	}
	for _, task := range u.book.Overdue(now) {
		m.logger.Info("A drained agent waited for a pod for as long as the drain allows; it waits no longer", "task", task)
		m.mesos.ReleaseAck(task)
	}
	if m.subscribed && !m.stopping {
		m.answerInverse(now)
	}
	if m.cfg.Maintenance.Show != nil {
		m.cfg.Maintenance.Show(u.book.Marks(now), u.book.Complete())
	}
	select {
	case u.operate <- struct{}{}:
	default:
	}
}

// soonUpkeep makes the loop look at maintenance at once. The mutex is held.
func (m *Manager) soonUpkeep() {
	m.upkeep.at, m.sweepAt = time.Time{}, time.Time{}
	m.kick()
}

// setLeaving tells the offer cache which agents are to go. The mutex is held.
func (m *Manager) setLeaving(now time.Time) {
	u := &m.upkeep
	leaving := u.book.Leaving(now)
	for id := range u.leaving {
		if _, still := leaving[id]; !still {
			m.broken(m.cache.SetLeaving(id, false, time.Time{}))
			if slot, ok := m.cache.Slot(id); ok {
				m.freeAll(slot)
			}
		}
	}
	for id, at := range leaving {
		m.broken(m.cache.SetLeaving(id, true, at))
	}
	u.leaving = leaving
}

// unavailable takes in what an offer says of its agent's maintenance, and tells why and
// for how long it is to be refused; reason "" for not at all. The mutex is held.
func (m *Manager) unavailable(o *offers.Offer, now time.Time) (reason string, wait time.Duration) {
	var w *maintenance.Window
	if o.Unavailability != nil {
		w = windowOf(o.Unavailability)
		if !w.Over(now) {
			m.broken(m.cache.SetLeaving(o.AgentID, true, w.Start))
		}
	}
	if at, leaving := m.upkeep.leaving[o.AgentID]; leaving && at.IsZero() && now.Before(m.upkeep.relistAt) {
		// It is out of service, and yet makes an offer.
		m.upkeep.relistAt = time.Time{}
		m.soonUpkeep()
	}
	if m.upkeep.book.Offered(o.AgentID, w, now) {
		m.upkeep.reread = true
		m.soonUpkeep()
	}
	return m.upkeep.book.Refuse(o.AgentID, now, m.finishes)
}

func windowOf(u *offers.Unavailability) *maintenance.Window {
	return &maintenance.Window{Start: u.Start.UTC(), Duration: u.Duration}
}

// finishes tells whether a pod waits that would end before a time. The mutex is held.
func (m *Manager) finishes(before time.Time) bool {
	now := time.Now()
	for _, p := range m.upkeep.finite {
		if p.pending && p.asked > 0 && !now.Add(p.plan.lasts).After(before) {
			return true
		}
	}
	return false
}

// upkeepPod takes in what a pod is now, nil if it is gone. The mutex is held.
func (m *Manager) upkeepPod(uid string, p *podInfo) {
	switch u := &m.upkeep; {
	case p != nil && p.plan.lasts > 0:
		if u.finite[uid] == nil {
			m.soonUpkeep()
		}
		u.finite[uid] = p
	default:
		delete(u.finite, uid)
	}
	if p != nil && p.pod.Spec.NodeName != "" && disruptedBy(p.pod) == ReasonMaintenance {
		m.upkeep.marked[uid] = true
	} else {
		delete(m.upkeep.marked, uid)
	}
	if p == nil {
		delete(m.upkeep.going, uid)
		for _, task := range m.upkeep.book.PodGone(uid) {
			m.mesos.ReleaseAck(task)
		}
	}
}

// upkeepNode takes in a node. The mutex is held.
func (m *Manager) upkeepNode(node *v1.Node) {
	mark, _ := maintenance.Shown(node)
	if m.upkeep.book.NodeSet(maintenance.Node{
		Name: node.Name, Host: nodes.HostOf(node), Cordoned: node.Spec.Unschedulable,
		Deactivated: node.Annotations[maintenance.AnnotationDeactivated], Shown: mark,
	}) {
		m.soonUpkeep()
	}
}

// upkeepAgents takes in the list of agents, as it was asked for at a time.
func (m *Manager) upkeepAgents(list []mesos.Agent, asked time.Time) {
	agents := make([]maintenance.Agent, len(list))
	for i := range list {
		a := &list[i]
		agents[i] = maintenance.Agent{ID: a.ID, Hostname: a.Hostname, IP: a.IP, Deactivated: a.Deactivated, Recovered: a.Recovered}
		if a.Drain != nil {
			agents[i].Drain = &maintenance.Drain{Drained: a.Drain.State == mesos.DrainStateDrained, MaxGrace: a.Drain.MaxGrace}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.upkeep.book.AgentsListed(agents, asked)
	m.soonUpkeep()
}

// InverseOffers implements mesos.Handler.
func (m *Manager) InverseOffers(list []mesos.InverseOffer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inverse := make([]maintenance.Inverse, len(list))
	for i := range list {
		inverse[i] = maintenance.Inverse{ID: list[i].ID, AgentID: list[i].AgentID, Window: *windowOf(&list[i].Unavailability)}
	}
	if m.upkeep.book.InverseOffers(inverse, time.Now()) {
		m.upkeep.reread = true
	}
	m.soonUpkeep()
}

// InverseRescinded implements mesos.Handler.
func (m *Manager) InverseRescinded(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.upkeep.book.InverseRescinded(id)
	m.upkeep.reread = true
}

// answerInverse answers inverse offers. Tasks that are not explained yet may be pods':
// until they are, nothing is said. The mutex is held.
func (m *Manager) answerInverse(now time.Time) {
	if m.ledger.Orphans() > 0 {
		return
	}
	var held map[string]maintenance.Holding
	for _, a := range m.upkeep.book.Answers(now, func(agent string) maintenance.Holding {
		if held == nil {
			held = m.holdings()
		}
		return held[agent]
	}) {
		m.answer(a)
	}
}

func (m *Manager) answer(a maintenance.Answer) {
	generation := m.generation
	m.calls.add(func(ctx context.Context) {
		if !m.current(generation) {
			return
		}
		err := m.session().AnswerInverse(ctx, a.Accept, []string{a.ID}, a.Refuse)
		m.mu.Lock()
		defer m.mu.Unlock()
		if err != nil {
			m.logger.V(2).Info("Call to Mesos failed; it is repeated", "call", "ANSWER_INVERSE_OFFERS", "accept", a.Accept, "err", err)
		}
		if err == nil {
			answer := metrics.InverseDeclined
			if a.Accept {
				answer = metrics.InverseAccepted
			}
			metrics.InverseOffers.WithLabelValues(answer).Inc()
		}
		if m.generation == generation {
			m.upkeep.book.Answered(a, err == nil, time.Now())
		}
	})
}

// holdings is what we hold of each agent. The mutex is held.
func (m *Manager) holdings() map[string]maintenance.Holding {
	held := map[string]maintenance.Holding{}
	m.ledger.All(func(c *claims.Claim) {
		h := held[c.AgentID]
		h.Claims++
		p := m.pods[c.Pod.UID]
		if p == nil || !daemon(p.pod) {
			h.Others++
		}
		held[c.AgentID] = h
	})
	return held
}

// daemon tells whether the pod is a DaemonSet's: such pods are left on cordoned nodes.
func daemon(pod *v1.Pod) bool {
	for i := range pod.OwnerReferences {
		if o := &pod.OwnerReferences[i]; o.Kind == "DaemonSet" && o.Controller != nil && *o.Controller {
			return true
		}
	}
	return false
}

// graceOf is how long a pod may take to end.
func graceOf(pod *v1.Pod) time.Duration {
	if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return v1.DefaultTerminationGracePeriodSeconds * time.Second
}

// Reading the schedule costs little; it is read anew so often, and soon when there is
// news. What was refused is tried again, as rights may be given.
const (
	scheduleEvery = 15 * time.Second
	scheduleRetry = 2 * time.Second
)

// pollSchedule reads the maintenance schedule now and then.
func (m *Manager) pollSchedule(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var read uint64
	var next time.Time
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		operator, generation, due := m.scheduleDue(read, next)
		if operator == nil {
			return
		}
		if !due {
			continue
		}
		asked := time.Now()
		list, err := operator.Maintenance(ctx)
		read, next = generation, asked.Add(scheduleEvery)
		switch {
		case err == nil:
			told = false
			m.scheduleRead(generation, list, asked)
		case !refusedForGood(err):
			next = asked.Add(scheduleRetry)
		default:
			if !told {
				told = true
				m.logger.Error(err, "Cannot read the maintenance schedule of Mesos; windows are known from offers only, and of idle agents perhaps not at all")
			}
			m.scheduleRefused(generation)
		}
	}
}

// refusedForGood tells an answer that will be the same next time from trouble.
func refusedForGood(err error) bool {
	var refusal *mesos.CallError
	return errors.As(err, &refusal) && refusal.Status >= 400 && refusal.Status < http.StatusInternalServerError
}

// scheduleDue tells whether the schedule is to be read: as news came, as it is time, or
// as the subscription is another than at the last reading. The operator is nil if it
// cannot be.
func (m *Manager) scheduleDue(read uint64, next time.Time) (o Operator, generation uint64, due bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := &m.upkeep
	if u.operator == nil {
		u.book.ScheduleRefused()
		return nil, 0, false
	}
	if due = m.subscribed && (u.reread || m.generation != read || !time.Now().Before(next)); due {
		u.reread = false
	}
	return u.operator, m.generation, due
}

func (m *Manager) scheduleRefused(generation uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.generation == generation {
		m.upkeep.book.ScheduleRefused()
		m.soonUpkeep()
	}
}

func (m *Manager) scheduleRead(generation uint64, list []mesos.MaintenanceWindow, asked time.Time) {
	var machines []maintenance.Scheduled
	for i := range list {
		for _, machine := range list[i].Machines {
			machines = append(machines, maintenance.Scheduled{Hostname: machine.Hostname, IP: machine.IP, Window: *windowOf(&list[i].Unavailability)})
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.generation == generation {
		m.upkeep.book.ScheduleRead(machines, asked)
		m.soonUpkeep()
	}
}

// leavingCounts counts the nodes whose agents leave the service, by state. The mutex is
// held.
func (m *Manager) leavingCounts(now time.Time) map[string]int {
	counts := map[string]int{}
	for _, mark := range m.upkeep.book.Marks(now) {
		switch {
		case mark.Kind == maintenance.Draining:
			counts[metrics.LeavingDraining]++
		case mark.Kind == maintenance.Drained:
			counts[metrics.LeavingDrained]++
		case mark.Kind == maintenance.Deactivated:
			counts[metrics.LeavingDeactivated]++
		case now.Before(mark.Window.Start):
			counts[metrics.LeavingAnnounced]++
		default:
			counts[metrics.LeavingNow]++
		}
	}
	return counts
}
