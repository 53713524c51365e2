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

// Package lifecycle joins pods and Mesos tasks: it drives the offer cache, the
// claims ledger and the demand with what Kubernetes and Mesos report, and carries
// out what they ask for. All calls to Mesos and all writes to Kubernetes but the
// binding itself start here.
//
// The three state machines are guarded by one mutex that is never held over I/O;
// the offer cache has a lock of its own, taken inside. Calls to Mesos whose order
// matters go through one queue; ACCEPTs of different agents run side by side.
package lifecycle

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/kube-mesos/kube-mesos/plugins/internal/breaker"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
)

// Agents lists the cluster's agents, to tell nodes without an offer from nodes
// without an agent. May be nil.
type Agents interface {
	Agents(ctx context.Context) ([]mesos.Agent, error)
}

// tickEvery is how often the time-driven duties are looked at. Everything that
// must be quick is driven by events instead.
const tickEvery = 250 * time.Millisecond

// dutyWorkers is how many duties are done side by side: most of them wait for the API
// server, some for a PodDisruptionBudget.
const dutyWorkers = 16

// earlyFor is how long we remember a pod that the informer has not told us of: far
// longer than one handler of an informer lags behind another.
const earlyFor = time.Minute

// Manager joins pods and tasks. See the package comment.
type Manager struct {
	cfg   Config
	cache *offers.Cache
	index *nodes.Index

	client   kubernetes.Interface
	recorder events.EventRecorder
	activate func(map[string]*v1.Pod)
	logger   klog.Logger

	// lastCycle is when the last scheduling cycle began, in Unix nanoseconds.
	lastCycle atomic.Int64
	// identity is the framework's id, nil before the first subscription.
	identity atomic.Pointer[string]
	// freedCount counts the calls of free.
	freedCount atomic.Uint64
	kicked     chan struct{}
	// nominees is how many pods are in nominated.
	nominees atomic.Int32
	// readQuotas makes pollQuotas read at once.
	readQuotas chan struct{}
	calls      *callQueue
	duties     workqueue.TypedRateLimitingInterface[duty]
	accepts    sync.WaitGroup

	mu    sync.Mutex
	mesos mesos.Client
	// refusedFor is for what people were last told that the session needs them.
	refusedFor mesos.Reason
	agents     Agents
	quotas     Quotas
	ledger     *claims.Ledger
	// demands by role, and on which terms offers are wanted.
	demands map[string]*demand.Demand
	bargain bargain
	// expected are the ACCEPTs, with when they were sent, whose remainder no OFFERS
	// brought yet.
	expected map[spent]time.Time
	// namespaces says which roles each namespace has, subs which of them we are
	// subscribed to, users the roles that a pod uses, by UID.
	namespaces *roles.Cache
	subs       *roles.Subscriptions
	users      map[string][]string
	// refusals holds, for each role that the master refuses, what the namespaces were
	// told of it.
	refusals map[string]map[string]string
	// limited are the pods that a quota or a refused role keeps from asking for offers
	// in one of their roles, or from a part of those. recheck tells that this may have
	// changed; at recheckAt they are looked at in any case. promised is, while they are,
	// what quotas have room for and pods just looked at will take, by top-level role.
	limited   map[string]bool
	recheck   bool
	recheckAt time.Time
	promised  map[string]resources.Bundle
	// reserved are the roles that something is reserved for.
	reserved map[string]bool
	// reserving is what launches are to reserve that no reading of the quotas counts
	// yet, by task.
	reserving map[string]charge
	// withheld is what of nodes' agents must not be used.
	withheld map[string]resources.Vector
	// quotaReadings counts the readings of quotas up to firstReadings; one that
	// succeeded counts as all of them. awaiting are pods that were tried before.
	quotaReadings int
	awaiting      []string
	// known are the roles that the master offers resources to, in this subscription.
	known map[string]bool
	nodes *nodes.Map
	pods  map[string]*podInfo
	// falling are the pods that ask for offers in some of their roles and not in all.
	falling map[string]*podInfo
	// hungry are the pods that find no fitting offer, by UID; at hungryAt the loop looks
	// at them. nominated are the nodes of pods that preempted others there.
	hungry    map[string]*hunger
	hungryAt  time.Time
	nominated map[string]string
	// early holds pods that looked for offers before the informer told us of them,
	// and when.
	early map[string]time.Time
	// waiters holds who waits for a launch, by task, outcomes what nobody asked for
	// yet.
	waiters  map[string]chan *claims.Outcome
	outcomes map[string]*claims.Outcome
	// subscription is the live one; its FrameworkID is kept after it ends.
	subscription mesos.Subscription
	subscribed   bool
	// generation counts subscriptions: calls of an earlier one are pointless.
	generation uint64
	// agentsKnown tells that the list of all agents was read in this subscription.
	agentsKnown bool
	// relist tells that the list is to be read soon, releasing that reservations to be
	// given back wait for it.
	relist, releasing bool
	stopping          bool
	sweepAt           time.Time
	// dropAt is when roles are next forgotten that nobody asks for.
	dropAt   time.Time
	reported map[string]bool
	// foreign holds the agents whose offers were declined for long because they
	// are no usable node.
	foreign map[string]bool
	// wakeAt is when the loop looks at the time again.
	wakeAt time.Time
	// rewakeAt is when sleeping pods are next shown the offers in hand; show are the
	// roles in which they are at once.
	rewakeAt  time.Time
	show      map[string]bool
	penalties penalties
	// returns are the reserved resources that the master was told to take back, by
	// returnKey: as penalties, because it may not do so.
	returns penalties
	// owners are the pods with a reservation of their own, by its owner.
	owners map[string]string
	// breaker bounds how fast pods are evicted, revocations those on revocable resources;
	// evicting holds the tasks of the latter that it let go.
	breaker     *breaker.Breaker
	revocations *rate.Limiter
	evicting    map[string]bool
	// replaced are partitioned tasks whose node has another agent, with since when that
	// is known.
	replaced map[string]time.Time
	// failures counts the agents that the master told us to be gone.
	failures uint64
	// resizes are the pods that need other amounts than they hold, by UID; revoked are
	// the further tasks of pods that Mesos took back, with the UIDs of the pods.
	resizes map[string]*resizing
	revoked map[string]string
	upkeep  upkeep
	// told are pods to be tried again only so that they say what they lack.
	told []string
	// freed is to be shown to sleeping pods; see free.
	freed freedSlots
}

// New returns a manager. Attach it to a session and Run it.
func New(cfg Config, client kubernetes.Interface, recorder events.EventRecorder, activate func(map[string]*v1.Pod), logger klog.Logger) *Manager {
	cfg = withDefaults(cfg)
	m := &Manager{
		cfg: cfg, index: nodes.NewIndex(),
		client: client, recorder: recorder, activate: activate, logger: logger,
		kicked: make(chan struct{}, 1), readQuotas: make(chan struct{}, 1), calls: newCallQueue(),
		show:    map[string]bool{},
		duties:  workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[duty](200*time.Millisecond, 10*time.Second)),
		demands: map[string]*demand.Demand{}, known: map[string]bool{},
		namespaces: roles.NewCache(roles.New(cfg.Roles)), subs: roles.NewSubscriptions(cfg.Subscriptions), users: map[string][]string{}, refusals: map[string]map[string]string{},
		reserving: map[string]charge{}, limited: map[string]bool{}, reserved: map[string]bool{},
		falling: map[string]*podInfo{},
		hungry:  map[string]*hunger{}, nominated: map[string]string{},
		nodes:   nodes.NewMap(),
		pods:    map[string]*podInfo{},
		early:   map[string]time.Time{},
		waiters: map[string]chan *claims.Outcome{}, outcomes: map[string]*claims.Outcome{},
		freed: freedSlots{}, bargain: newBargain(cfg.Terms), expected: map[spent]time.Time{},
		reported: map[string]bool{}, foreign: map[string]bool{},
		penalties: newPenalties(), returns: newPenalties(), owners: map[string]string{}, breaker: breaker.New(cfg.Evictions),
		revocations: rate.NewLimiter(revocationsPerSecond, revocationBurst), evicting: map[string]bool{},
		resizes: map[string]*resizing{}, revoked: map[string]string{},
	}
	m.upkeep = newUpkeep(&m.cfg.Maintenance)
	cfg.Claims.Tally = tally{cfg.Usage, m}
	m.ledger = claims.NewLedger(cfg.Claims)
	m.cache = offers.NewCache(offers.Config{KeepGPUs: cfg.KeepGPUs, Classify: m.classify, Ended: offerEnded})
	return m
}

// Attach gives the manager the session to call. agents and quotas may be nil.
func (m *Manager) Attach(client mesos.Client, agents Agents, quotas Quotas) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mesos, m.agents, m.quotas = client, agents, quotas
}

// Cache returns the offer cache, for the plugin's hot paths.
func (m *Manager) Cache() *offers.Cache { return m.cache }

// Index returns the node index, for the plugin's hot paths.
func (m *Manager) Index() *nodes.Index { return m.index }

// Run works until the context ends. It does not connect to Mesos: the session
// does, and calls the Manager's Handler methods.
func (m *Manager) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { m.calls.run(ctx) })
	wg.Go(func() { m.pollAgents(ctx) })
	wg.Go(func() { m.pollQuotas(ctx) })
	wg.Go(func() { m.pollSchedule(ctx) })
	wg.Go(func() { m.runOperations(ctx) })
	for range dutyWorkers {
		wg.Go(func() { m.runDuties(ctx) })
	}
	m.loop(ctx)
	m.duties.ShutDown()
	m.calls.close()
	wg.Wait()
	m.accepts.Wait()
}

// loop is the only goroutine that flushes batches and looks at the time.
func (m *Manager) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.kicked:
		case <-timer.C:
		}
		wait, woken := m.step(ctx, time.Now())
		m.activatePods(woken)
		timer.Reset(wait)
	}
}

// kick makes the loop look again at once.
func (m *Manager) kick() {
	select {
	case m.kicked <- struct{}{}:
	default:
	}
}

// step does what is due. It returns how long nothing will be, and the pods to try.
func (m *Manager) step(ctx context.Context, now time.Time) (wait time.Duration, woken map[string]*v1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wait, woken = tickEvery, map[string]*v1.Pod{}
	sooner := func(at time.Time) {
		if !at.IsZero() {
			wait = max(min(wait, at.Sub(now)), 0)
		}
	}
	batches, broken, next := m.cache.Flush(now, time.Unix(0, m.lastCycle.Load()), m.flushPolicy)
	m.promiseBroken(broken)
	for _, b := range batches {
		m.accept(ctx, b, now)
	}
	sooner(next)
	if !now.Before(m.sweepAt) {
		m.sweepAt = now.Add(tickEvery)
		m.ledger.Tick(now)
		m.settleUpkeep(now)
		m.missReplaced(now)
		m.watchBreaker(now)
		m.sweep(now)
		m.seek(now)
		m.fallBack(now)
		m.resizeDue(now)
		maps.Copy(woken, m.recheckLimited(now))
		maps.Copy(woken, m.wakeStarved(now))
		m.penalties.forgive(now)
		m.returns.forgive(now)
		m.dropIdle(now)
		maps.DeleteFunc(m.early, func(_ string, at time.Time) bool { return now.Sub(at) >= earlyFor })
	}
	sooner(m.sweepAt)
	if m.subscribed && !m.stopping {
		sooner(m.updateRoles(now))
		sooner(m.updateTerms(now))
		m.awaitRemainders()
		calls, at := m.nextActions(now)
		m.ask(calls, now)
		sooner(at)
	}
	m.carryOut()
	maps.Copy(woken, m.rewake(now))
	if len(m.told) > 0 {
		maps.Copy(woken, m.podsOf(m.told))
		m.told = m.told[:0]
	}
	m.wakeAt = now.Add(wait)
	return wait, woken
}

// rewake shows sleeping pods what was freed. Now and then it shows them all offers
// in hand once more: those woken first may have been turned away for reasons of
// their own, and the offers would expire unseen by the rest. It does so only twice
// in an offer's life, because each time costs a scheduling cycle for every pod. The
// mutex is held.
func (m *Manager) rewake(now time.Time) map[string]*v1.Pod {
	freed, again := m.freed, freedSlots{}
	all := !now.Before(m.rewakeAt)
	if all {
		m.rewakeAt = now.Add(m.cfg.Demand.MaxHold / 2)
	}
	if all || len(m.show) > 0 {
		m.cache.Roles(func(r *offers.Role) {
			if m.show[r.Name()] {
				freed[r.Name()] = r.Offered()
			} else if all {
				again[r.Name()] = r.Offered()
			}
		})
		clear(m.show)
	}
	woken := m.wake(freed, (*demand.Demand).Wake)
	maps.Copy(woken, m.wake(again, (*demand.Demand).Rewake))
	m.freed = freedSlots{}
	return woken
}

// Stop gives everything held back before the process ends: no new reservations,
// offers declined, role suppressed. It returns when the master has been told or
// the context ends. Tasks stay: their pods do.
func (m *Manager) Stop(ctx context.Context) {
	m.mu.Lock()
	m.stopping = true
	if m.subscribed {
		ids := m.cache.Sweep(time.Now(), func(offers.Held) bool { return true })
		m.declineLocked(ids, m.cfg.Demand.RefuseUnused, "Stopping")
		m.calls.add(func(ctx context.Context) {
			if err := m.session().Suppress(ctx); err != nil {
				m.logger.V(2).Info("Could not suppress offers before stopping", "err", err)
			}
		})
	}
	m.mu.Unlock()
	m.calls.drain(ctx)
}

// carryOut starts what the ledger asks for. The mutex is held; nothing here
// blocks.
func (m *Manager) carryOut() {
	var asks []mesos.TaskRef
	for _, e := range m.ledger.Effects() {
		switch e := e.(type) {
		case claims.Settle:
			m.settled(e)
		case claims.Kill:
			m.enqueue("KILL", func(ctx context.Context, c mesos.Client) error {
				return c.Kill(ctx, mesos.TaskRef{TaskID: e.TaskID, AgentID: e.AgentID})
			})
		case claims.Ask:
			asks = append(asks, mesos.TaskRef{TaskID: e.TaskID, AgentID: e.AgentID})
		case claims.AskAll:
			m.enqueue("RECONCILE", func(ctx context.Context, c mesos.Client) error { return c.Reconcile(ctx) })
		case claims.Evict:
			m.lost(e)
		case claims.Reacquire:
			m.reacquire(e)
		case claims.Kept:
			m.kept(e)
		case claims.Verified:
			m.breaker.Verified(e.TaskID, time.Now())
		case claims.ExtraLost:
			m.extraLost(e)
		case claims.Examine:
			m.duties.Add(duty{kind: examine, taskID: e.TaskID, agentID: e.AgentID, uid: e.PodUID})
		}
	}
	// After a fail-over every claim is asked about: in one call, not in thousands.
	if len(asks) > 0 {
		m.enqueue("RECONCILE", func(ctx context.Context, c mesos.Client) error { return c.Reconcile(ctx, asks...) })
	}
}
