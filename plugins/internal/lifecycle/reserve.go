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
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
)

// ErrNotConnected refuses work while there is no subscription.
var ErrNotConnected = errors.New("the Mesos master is not connected")

// QuotaError refuses a claim that the quota of the role's tree has no room for.
type QuotaError struct {
	// Lack names what is exhausted.
	Lack string
}

func (e *QuotaError) Error() string { return quota.Reason(e.Lack) }

// Cycle is what a scheduling cycle of a pod starts from.
type Cycle struct {
	// Connected tells whether a subscription is live.
	Connected bool
	// Seen is the offers' version, for Park.
	Seen uint64
	// Wide tells that the pod failed on a choice of nodes and wants all of them.
	Wide bool
	// First is the first of its roles to be looked at; see NextRole. Those from End on
	// are not to be looked at yet: it waits for offers in one that it prefers.
	First, End int
	// Plan is what the pod asks for now.
	Plan Plan
	// Starvation is how hungry it is.
	Starvation Starvation
}

// Begin notes that a scheduling cycle of the pod begins: open batches linger for
// it, and the pod is not asleep any more.
func (m *Manager) Begin(pod *v1.Pod) Cycle {
	m.lastCycle.Store(time.Now().UnixNano())
	seen := m.Version()
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Cycle{Connected: m.subscribed && !m.stopping, Seen: seen, End: 1}
	c.Starvation = m.starvation(string(pod.UID), time.Now())
	p := m.pods[string(pod.UID)]
	if p != nil {
		for _, role := range p.askedRoles() {
			m.demandOf(role).Tried(string(pod.UID))
		}
		c.Wide, c.First, c.End = p.wide, p.first, max(p.asked, p.first+1)
		if p.first == 0 {
			p.seen = seen
		} else {
			// What came for its first roles since it looked at them counts as not seen.
			c.Seen = p.seen
		}
		p.asleep, p.first = false, 0
	}
	if p != nil && p.pod.ResourceVersion == pod.ResourceVersion {
		c.Plan = p.plan
	} else {
		// The scheduler has heard more of the pod than we, or less.
		c.Plan = m.plan(pod)
	}
	if c.Plan.Problem == "" {
		c.Plan.Problem = m.refused(c.Plan.Roles)
	}
	if c.Plan.Problem == "" && m.quotasUnread() {
		c.Plan.Problem = problemQuotasUnread
		m.awaiting = append(m.awaiting, string(pod.UID))
	}
	return c
}

// Widen makes the pod's next cycles see all fitting nodes, and tries it again.
func (m *Manager) Widen(pod *v1.Pod) {
	m.mu.Lock()
	if p := m.pods[string(pod.UID)]; p != nil {
		p.wide = true
	}
	m.mu.Unlock()
	m.Retry(pod)
}

// NextRole tries the pod again, once, with the offers of its roles from the n-th on:
// of those before, other plugins refused all nodes that had enough.
func (m *Manager) NextRole(pod *v1.Pod, n int) {
	m.mu.Lock()
	if p := m.pods[string(pod.UID)]; p != nil {
		p.first = n
	}
	m.mu.Unlock()
	m.Retry(pod)
}

// Retry tries the pod again as soon as the scheduler is free.
func (m *Manager) Retry(pod *v1.Pod) {
	m.activatePods(map[string]*v1.Pod{pod.Namespace + "/" + pod.Name: pod})
}

// Reserve promises what the pod wants of the node's offers for the role to the pod,
// and returns the id of the task that will hold it. The error is ErrNotConnected,
// offers.ErrNoOffer, offers.ErrKept, an *offers.ShortError, a *QuotaError, or says
// that the pod holds a claim already.
func (m *Manager) Reserve(pod *v1.Pod, node, role string, want *offers.Want) (string, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.subscribed || m.stopping {
		return "", ErrNotConnected
	}
	slot := m.index.LookupName(node)
	if slot == nodes.NoSlot {
		return "", offers.ErrNoOffer
	}
	agent, of := m.cache.Owner(slot)
	if agent == "" || of != node {
		return "", offers.ErrNoOffer
	}
	id, err := m.ledger.Open(podOf(pod), node, agent, role, want.Need, now)
	if err != nil {
		return "", err
	}
	if err := m.secure(id, slot, role, want, now); err != nil {
		return "", err
	}
	m.fed(string(pod.UID))
	return id, nil
}

// secure takes what is wanted of the slot's offers for a new claim, which is
// cancelled if that cannot be. The errors are those of Reserve. The mutex is held.
func (m *Manager) secure(id string, slot int32, role string, want *offers.Want, now time.Time) error {
	r := m.cache.Role(role)
	parts, err := r.Reserve(slot, id, want, now)
	if err != nil {
		m.ledger.Cancel(id, now)
		return err
	}
	if parts != nil {
		m.ledger.SetParts(id, parts)
	}
	if lack := m.overQuota(role, id); lack != "" {
		m.cache.Release(id)
		m.ledger.Cancel(id, now)
		// Others may have looked in between.
		m.free(role, slot)
		m.kick()
		return &QuotaError{Lack: lack}
	}
	m.batchGrew(r, slot, now)
	return nil
}

// batchGrew sees to it that the loop looks at the open batches in time, and does
// not wake it when it will anyway: it would take the mutex from the next pod's
// cycle. The mutex is held.
func (m *Manager) batchGrew(r *offers.Role, slot int32, now time.Time) {
	quietAt := time.Unix(0, m.lastCycle.Load()).Add(m.cfg.Linger)
	switch policy := m.flushPolicy(r.Name()); {
	case policy.Drained, r.Complete(slot, policy):
		m.wakeAt = now
	case quietAt.Before(m.wakeAt):
		m.wakeAt = quietAt
	default:
		return
	}
	m.kick()
}

// Cancel gives a claim up: resources still in an offer are free again, a task
// that may exist is killed. It may be called at any time and more than once.
func (m *Manager) Cancel(taskID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	c := m.ledger.ByTask(taskID)
	if m.ledger.Cancel(taskID, now) {
		m.uncharge(taskID)
		m.unreserve(c)
	}
	if c != nil {
		m.refreshDemand(c.Pod.UID, now)
	}
	m.carryOut()
	// What the cancellation itself brought about is nobody's news either.
	delete(m.waiters, taskID)
	delete(m.outcomes, taskID)
	m.kick()
}

// unreserve gives a claim's part of the offers back, if it has not left with an
// ACCEPT. The mutex is held.
func (m *Manager) unreserve(c *claims.Claim) {
	if !m.cache.Release(c.TaskID) {
		return
	}
	if slot, ok := m.cache.Slot(c.AgentID); ok {
		m.free(c.Role, slot)
	}
}

// free notes that more than before may be had of a slot, other than by an offer
// that comes in: the loop wakes who waits for it. The mutex is held.
func (m *Manager) free(role string, slot int32) {
	m.freed.add(role, slot)
	m.freedCount.Add(1)
}

// freeAll notes the same of the slot in all roles. The mutex is held.
func (m *Manager) freeAll(slot int32) {
	m.cache.Roles(func(r *offers.Role) {
		if _, ok := r.FreeOf(slot); ok {
			m.free(r.Name(), slot)
		}
	})
}

// Version changes whenever more can be had of any agent than before: by an offer,
// by a reservation given back, by an agent that became a node.
func (m *Manager) Version() uint64 { return m.cache.Version() + m.freedCount.Load() }

// Await returns how the launch of a reserved task ended. Exactly one caller may
// wait for a task.
func (m *Manager) Await(ctx context.Context, taskID string) (claims.Outcome, error) {
	m.mu.Lock()
	outcome := m.outcomes[taskID]
	delete(m.outcomes, taskID)
	if c := m.ledger.ByTask(taskID); outcome == nil && (c == nil || c.Phase != claims.Reserved && c.Phase != claims.Launching) {
		outcome = &claims.Outcome{Cause: claims.CausePodGone}
	}
	if outcome != nil {
		m.mu.Unlock()
		return *outcome, nil
	}
	ch := make(chan *claims.Outcome, 1)
	m.waiters[taskID] = ch
	m.mu.Unlock()
	select {
	case outcome := <-ch:
		return *outcome, nil
	case <-ctx.Done():
		m.mu.Lock()
		delete(m.waiters, taskID)
		m.mu.Unlock()
		return claims.Outcome{}, context.Cause(ctx)
	}
}

// Binding is what the pod's binding says about its claim.
type Binding struct{ TaskID, AgentID, FrameworkID, Role, Resources string }

// Annotations returns the binding as pod annotations.
func (b Binding) Annotations() map[string]string {
	return map[string]string{
		AnnotationTask: b.TaskID, AnnotationAgent: b.AgentID,
		AnnotationFramework: b.FrameworkID, AnnotationRole: b.Role, AnnotationResources: b.Resources,
	}
}

// Confirmed returns what to write into the binding, and false unless the claim
// is held at this moment, on the node's own agent: no pod is bound on less.
func (m *Manager) Confirmed(taskID string) (Binding, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.ledger.ByTask(taskID)
	if c == nil || c.Phase != claims.Held || c.Status.State == claims.TaskKilling {
		return Binding{}, false
	}
	// The pod may have been given larger requests since its claim was made.
	if p := m.pods[c.Pod.UID]; p != nil && p.plan.Want.Need.FirstShort(&c.Need) != "" {
		return Binding{}, false
	}
	if node := m.nodes.NodeOf(c.AgentID); node != "" && node != c.Node {
		return Binding{}, false
	}
	return Binding{TaskID: c.TaskID, AgentID: c.AgentID, FrameworkID: m.subscription.FrameworkID, Role: c.Role, Resources: c.Need.String()}, true
}

// Bound notes a successful binding before the informer tells of it.
func (m *Manager) Bound(taskID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.ledger.ByTask(taskID); c != nil {
		onLost, explicit := m.onLost(m.pods[c.Pod.UID])
		m.ledger.PodBound(claims.Binding{
			Pod: c.Pod, Node: c.Node, TaskID: c.TaskID, AgentID: c.AgentID, Role: c.Role, Need: c.Need, OnLost: onLost, Explicit: explicit,
		}, time.Now())
		m.carryOut()
	}
}

// Park notes that the pod found too little in the offers and waits for more.
// seen is the Version from before the pod looked: if offers came since, the pod is
// woken at once.
func (m *Manager) Park(pod *v1.Pod, seen uint64) {
	uid := string(pod.UID)
	m.mu.Lock()
	missed := m.Version() != seen
	if p := m.pods[uid]; p == nil {
		// The scheduler heard of the pod before us. It is tried again when we do.
		m.early[uid] = time.Now()
	} else if !missed {
		// What turned it away may keep it from offers altogether.
		m.refreshDemand(uid, time.Now())
		m.park(uid, p)
	}
	m.mu.Unlock()
	if missed {
		m.Retry(pod)
	}
}

// Shortage counts nodes that no slot stands for, by what keeps them from being used.
type Shortage struct{ NoOffer, NotAgent, Ambiguous int }

// Shortage tells about the nodes that are no known agents. NotAgent is zero as long as
// we do not know all agents.
func (m *Manager) Shortage() Shortage {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.nodes.Count()
	s := Shortage{Ambiguous: c.AmbiguousNodes}
	rest := c.Nodes - c.Pairs - c.AmbiguousNodes
	if m.agentsKnown {
		s.NotAgent = rest
	} else {
		s.NoOffer = rest
	}
	return s
}

// settled hands an outcome to whoever waits for it, and tells the pod's users of
// a failure that they should know of. The mutex is held.
func (m *Manager) settled(s claims.Settle) {
	if s.Extra {
		m.settledExtra(s)
		return
	}
	if ch := m.waiters[s.TaskID]; ch != nil {
		delete(m.waiters, s.TaskID)
		ch <- &s.Outcome
	} else {
		m.outcomes[s.TaskID] = &s.Outcome
	}
	if s.Outcome.OK {
		if c := m.ledger.ByTask(s.TaskID); c != nil {
			m.madeReservations(c, time.Now())
		}
		metrics.Launches.WithLabelValues("Held").Inc()
		return
	}
	m.launchFailed(s)
	m.refreshDemand(s.Pod.UID, time.Now())
	p := m.pods[s.Pod.UID]
	if p == nil || s.Outcome.Cause == claims.CausePodGone {
		return
	}
	m.tellFailed(p.pod, s)
}

// launchFailed takes note of a launch that did not come about. The mutex is held.
func (m *Manager) launchFailed(s claims.Settle) {
	m.uncharge(s.TaskID)
	metrics.Launches.WithLabelValues(string(s.Outcome.Cause)).Inc()
	if s.Outcome.Cause == claims.CauseTimeout || s.Outcome.Cause == claims.CauseFailed && s.Outcome.Status.OfAgent() {
		m.penalize(s.AgentID)
	}
	m.cache.Release(s.TaskID)
}

// tellFailed tells the pod's users of a failed launch that they should know of.
func (m *Manager) tellFailed(pod *v1.Pod, s claims.Settle) {
	m.logger.V(2).Info("Launch failed", "pod", s.Pod.Namespace+"/"+s.Pod.Name, "task", s.TaskID,
		"cause", s.Outcome.Cause, "state", s.Outcome.Status.State, "reason", s.Outcome.Status.Reason, "message", s.Outcome.Status.Message)
	if !s.Outcome.Cause.Blameless() {
		m.recorder.Eventf(pod, nil, v1.EventTypeWarning, EventLaunchFailed, actionLaunch, "%s", note(launchNote(s.Outcome)))
	}
}

func launchNote(o claims.Outcome) string {
	switch {
	case o.Cause == claims.CauseTimeout:
		return "Mesos did not start the placeholder task in time; it is killed and the pod is tried again"
	case o.Status.State == "":
		return "Mesos refused the placeholder task; the pod is tried again"
	}
	return fmt.Sprintf("Mesos did not run the placeholder task (%s, %s): %s", o.Status.State, o.Status.Reason, o.Status.Message)
}

// maxNote is how long the note of an event may be, in bytes (events.k8s.io); the
// API server refuses longer ones. Mesos' texts list every hole of a port range.
const maxNote = 1000

func note(text string) string {
	if len(text) <= maxNote {
		return text
	}
	return strings.ToValidUTF8(text[:maxNote-3], "") + "..."
}

// penalize leaves an agent alone for a while. The mutex is held.
func (m *Manager) penalize(agentID string) {
	wait := m.penalties.failed(agentID, time.Now())
	m.logger.V(2).Info("The agent does not run our tasks; leaving it alone", "agent", agentID, "for", wait)
	m.sweepAt = time.Time{}
	m.kick()
}

func podOf(pod *v1.Pod) claims.Pod {
	return claims.Pod{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)}
}
