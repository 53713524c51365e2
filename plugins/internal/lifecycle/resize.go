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
	"cmp"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resize"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

const (
	// resizeEvery is how often a pod that needs another task is looked at when
	// nothing happens.
	resizeEvery = time.Second
	// resizeTell is how long a pod may lack what it needs before its users are told,
	// resizeRetell how often they are told again.
	resizeTell, resizeRetell = time.Minute, 15 * time.Minute
	// A pod that shrank asks for a smaller task for shrinkSeek and then rests for
	// shrinkRest: it lacks nothing, and a role without need is to be suppressed.
	shrinkSeek, shrinkRest = time.Minute, 15 * time.Minute
	// resizeBackoff is the wait after the first failed launch of a further task; it
	// doubles up to resizeTell.
	resizeBackoff = time.Second
)

// resizing is a pod that needs another task.
type resizing struct {
	agentID, role string
	// take is what the task should hold, since when that is sought; whole tells that
	// it is to replace all that the pod has.
	take  resources.Bundle
	whole bool
	since time.Time
	// rest is until when nothing is sought, after so many failures in a row.
	rest     time.Time
	failures int
	// again is when to look at the pod again, told when its users were last told.
	again, told time.Time
}

// resizer is the pod to the demand, for which it is another one than while it waited.
func resizer(uid string) string { return "resize/" + uid }

// resize makes what is held for a running pod follow what it needs: it takes and
// gives back whole tasks. It does so step by step, and is called again whenever any of
// it changes. The mutex is held.
func (m *Manager) resize(uid string, now time.Time) {
	p := m.pods[uid]
	state, main, ok := m.tasksOf(p)
	if !ok {
		m.endResize(uid, now)
		return
	}
	plan := resize.Decide(state)
	if !m.asInscribed(p.pod, &plan) || len(plan.Drop) > 0 {
		m.duties.Add(duty{kind: inscribe, namespace: p.pod.Namespace, name: p.pod.Name, uid: uid})
	}
	switch {
	case len(state.Coming) > 0:
		// What was sought is on its way.
		if r := m.resizes[uid]; r != nil {
			r.again = now.Add(resizeEvery)
		}
	case plan.Take.IsZero():
		m.endResize(uid, now)
	default:
		m.take(uid, p, main, &plan, now)
	}
}

// tasksOf returns what the pod needs and what is held for it. ok is false for a pod
// whose tasks are not to be changed now: one that is not bound by a living task, or
// ends. The mutex is held.
func (m *Manager) tasksOf(p *podInfo) (s resize.State, main *claims.Claim, ok bool) {
	if p == nil || p.pod.Spec.NodeName == "" || p.pod.DeletionTimestamp != nil {
		return s, nil, false
	}
	uid := string(p.pod.UID)
	main = m.ledger.ByPod(uid)
	if main == nil || !main.Bound || !alive(main) && !main.Reacquires() || m.wasRevoked(uid) {
		return s, nil, false
	}
	s.Need, s.Main, s.Fixed, s.Gone = m.needOf(p.pod, main), taskOf(main), p.plan.Sticky(), !alive(main)
	if s.Gone {
		s.Main.Need = resources.Bundle{}
	}
	for _, c := range m.ledger.Extras(uid) {
		switch {
		case alive(c):
			s.Extras = append(s.Extras, taskOf(c))
		case c.Phase != claims.Releasing && c.Status.State != claims.TaskKilling:
			s.Coming = append(s.Coming, taskOf(c))
		}
	}
	slices.SortFunc(s.Extras, func(a, b resize.Task) int { return cmp.Compare(a.Attempt, b.Attempt) })
	return s, main, true
}

// needOf returns what a running pod needs now that its claim was made for: cpu and
// memory may have changed, nothing else can. What it never requested stays as it was
// given, whatever the defaults are by now.
func (m *Manager) needOf(pod *v1.Pod, main *claims.Claim) resources.Bundle {
	need, requested := main.Need, m.cfg.Pods.Table.Requests(pod).Vector
	for _, kind := range []resources.Kind{resources.CPU, resources.Memory} {
		if requested[kind] > 0 {
			need.Vector[kind] = requested[kind]
		}
	}
	return need
}

// agentOf returns the agent from which the pod that lives by the claim may get another
// task: that of the claim, unless its task is gone, perhaps with the agent: then the
// node's of now, "" while there is none. The mutex is held.
func (m *Manager) agentOf(main *claims.Claim) string {
	if alive(main) {
		return main.AgentID
	}
	return m.nodes.AgentOf(main.Node)
}

// alive tells whether the claim is held at this moment.
func alive(c *claims.Claim) bool {
	return c.Phase == claims.Held && c.Status.State != claims.TaskKilling
}

func taskOf(c *claims.Claim) resize.Task {
	_, attempt, _ := claims.ParseTaskID(c.TaskID)
	return resize.Task{ID: c.TaskID, Attempt: attempt, Need: c.Need}
}

// take looks for the task that the plan asks for. The mutex is held.
func (m *Manager) take(uid string, p *podInfo, main *claims.Claim, plan *resize.Plan, now time.Time) {
	agent := m.agentOf(main)
	r := m.sought(uid, agent, main, plan, now)
	r.again = now.Add(resizeEvery)
	if r.whole && now.Sub(r.since) >= shrinkSeek {
		r.since, r.rest = now.Add(shrinkRest), now.Add(shrinkRest)
	}
	if now.Before(r.rest) {
		m.demandOf(r.role).Remove(resizer(uid), now)
		r.again = r.rest
		return
	}
	if !m.subscribed || m.stopping {
		return
	}
	why := m.takeNow(uid, p, main, r, now)
	if why == "" || r.whole || now.Sub(r.since) < resizeTell || !r.told.IsZero() && now.Sub(r.told) < resizeRetell {
		return
	}
	r.told = now
	m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventResizePending, actionResize, "%s", note(pendingNote(p.pod, main, r, why)))
}

// sought returns what is sought for the pod, which is what the plan says. The mutex is
// held.
func (m *Manager) sought(uid, agent string, main *claims.Claim, plan *resize.Plan, now time.Time) *resizing {
	r := m.resizes[uid]
	if r != nil && r.role == main.Role && r.agentID == agent && r.whole == plan.Whole && r.take.Equal(&plan.Take) {
		return r
	}
	next := &resizing{agentID: agent, role: main.Role, take: plan.Take, whole: plan.Whole, since: now}
	if r != nil {
		m.demandOf(r.role).Remove(resizer(uid), now)
		next.failures, next.told = r.failures, r.told
		if !r.whole {
			next.rest = r.rest
		}
	}
	m.resizes[uid] = next
	return next
}

// takeNow takes the task from what the pod's agent offers, or asks for offers. why is
// what stands in the way, "" if nothing. The mutex is held.
func (m *Manager) takeNow(uid string, p *podInfo, main *claims.Claim, r *resizing, now time.Time) (why string) {
	want := m.wantMore(p, main, r.take)
	d := m.demandOf(r.role)
	switch {
	case p.plan.Problem != "":
		why = p.plan.Problem
	case !m.open(r.role):
		why = m.subs.Problem(r.role)
	case m.over(r.role, &want) && !m.otherwise(r.role, &want):
		_, lack := m.WithinQuota(r.role, want)
		why = quota.Reason(lack)
	}
	if why != "" {
		d.Remove(resizer(uid), now)
		return why
	}
	if r.agentID == "" {
		d.Remove(resizer(uid), now)
		m.relist = true // its host may have a new one by now, which offers us nothing yet
		return "the node has no Mesos agent now"
	}
	ask := demand.Ask{Need: want.Need.Vector, Special: special(&want)}
	ask.AgentID = r.agentID
	d.Add(resizer(uid), ask)
	if why = m.takeFrom(uid, r.agentID, main, &want, now); why != "" {
		// Nobody wakes it: it looks at what comes by itself.
		d.Park(resizer(uid))
		return why
	}
	d.Unpark(resizer(uid))
	return ""
}

// takeFrom reserves a further task for the pod, or says why not. The mutex is held.
func (m *Manager) takeFrom(uid, agent string, main *claims.Claim, want *offers.Want, now time.Time) (why string) {
	const notOffered = "the node's agent does not offer that"
	slot, ok := m.cache.Slot(agent)
	if !ok || m.nodes.NodeOf(agent) != main.Node {
		return "the node's agent is not known now"
	}
	ways, lack := m.WithinQuota(main.Role, *want)
	for i := range ways {
		if verdict, _ := m.cache.Role(main.Role).Fits(slot, &ways[i]); verdict != offers.Fitting {
			continue
		}
		id, err := m.ledger.OpenExtra(uid, agent, want.Need, now)
		if err != nil {
			return err.Error()
		}
		if err = m.secure(id, slot, main.Role, &ways[i], now); err == nil {
			m.logger.V(2).Info("Taking a further Mesos task for a running pod", "pod", uid, "task", id, "resources", want.Need)
			return ""
		}
		why = err.Error()
	}
	switch {
	case lack != "":
		return quota.Reason(lack)
	case why != "":
		return why
	}
	return notOffered
}

// wantMore is what the pod wants of offers for a further task: of the kind that it
// has. The regular resources of a pod do not become revocable because it grows.
func (m *Manager) wantMore(p *podInfo, main *claims.Claim, need resources.Bundle) offers.Want {
	want := m.WantIn(&p.plan, main.Role)
	want.Need = need
	if !main.Revocable && want.Revocable != offers.RevocableRequired {
		want.Revocable = offers.RevocableNever
	} else {
		want.Revocable = offers.RevocableRequired
	}
	return want
}

func pendingNote(pod *v1.Pod, main *claims.Claim, r *resizing, why string) string {
	return fmt.Sprintf("The pod needs %s more than Mesos holds for it on agent %s, and has not got it: %s. "+
		"Until it does, the pod may use more than it holds, and other frameworks may be given the same resources. "+
		"Free resources on node %s, resize the pod back, or delete it to have it placed where there is room",
		r.take, cmp.Or(r.agentID, main.AgentID), why, pod.Spec.NodeName)
}

// endResize notes that the pod needs no other task. The mutex is held.
func (m *Manager) endResize(uid string, now time.Time) {
	if r := m.resizes[uid]; r != nil {
		m.demandOf(r.role).Remove(resizer(uid), now)
		delete(m.resizes, uid)
	}
}

// forgetRevoked forgets that further tasks of the pod were taken back: it is gone. The
// mutex is held.
func (m *Manager) forgetRevoked(uid string) {
	for task, of := range m.revoked {
		if of == uid {
			delete(m.revoked, task)
			delete(m.evicting, task)
		}
	}
}

// resizeDue looks at the pods that wait for another task. The mutex is held.
func (m *Manager) resizeDue(now time.Time) {
	for uid, r := range m.resizes {
		if !now.Before(r.again) {
			m.resize(uid, now)
		}
	}
}

// resizeOn shows offers that just came to the pods that wait for them. The mutex is
// held.
func (m *Manager) resizeOn(list []offers.Offer, now time.Time) {
	if len(m.resizes) == 0 {
		return
	}
	type place struct{ agentID, role string }
	came := make(map[place]bool, len(list))
	for i := range list {
		came[place{list[i].AgentID, list[i].Role}] = true
	}
	for uid, r := range m.resizes {
		// The node of a pod that knows no agent may have got one with them.
		if r.agentID == "" || came[place{r.agentID, r.role}] {
			m.resize(uid, now)
		}
	}
}

// settledExtra takes in how the launch of a further task ended. The mutex is held.
func (m *Manager) settledExtra(s claims.Settle) {
	now := time.Now()
	r := m.resizes[s.Pod.UID]
	if s.Outcome.OK {
		metrics.Launches.WithLabelValues("Held").Inc()
		if c := m.ledger.ByTask(s.TaskID); c != nil {
			m.madeReservations(c, now)
		}
		if r != nil {
			r.failures = 0
		}
		m.resize(s.Pod.UID, now)
		return
	}
	m.launchFailed(s)
	if slot, ok := m.cache.Slot(s.AgentID); ok && s.Reserved {
		m.freeAll(slot)
	}
	p := m.pods[s.Pod.UID]
	if p == nil || s.Outcome.Cause == claims.CausePodGone {
		return
	}
	if r != nil && !s.Outcome.Cause.Blameless() {
		r.rest = now.Add(min(resizeBackoff<<min(r.failures, 16), resizeTell))
		r.failures++
	}
	m.tellFailed(p.pod, s)
	m.resize(s.Pod.UID, now)
}

// extraLost deals with the end of a further task. The pod stays, unless the task was
// on revocable resources: those are taken back because they are needed now. The mutex
// is held.
func (m *Manager) extraLost(e claims.ExtraLost) {
	p := m.pods[e.Pod.UID]
	if p == nil {
		return
	}
	m.logger.Info("Mesos ended a further task of a running pod", "pod", e.Pod.Namespace+"/"+e.Pod.Name, "node", e.Node,
		"task", e.TaskID, "state", e.Status.State, "reason", e.Status.Reason, "message", e.Status.Message)
	if e.Status.Revoked() && p.plan.Want.Revocable != offers.RevocableNever {
		m.revoked[e.TaskID] = e.Pod.UID
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventRevoked, actionEvict, "%s", note(
			"Mesos took revocable resources back that the pod was using: "+e.Status.Message))
		m.duties.Add(duty{
			kind: revoke, namespace: e.Pod.Namespace, name: e.Pod.Name, uid: e.Pod.UID, taskID: e.TaskID, since: time.Now().Unix(),
		})
	} else {
		m.recorder.Eventf(p.pod, nil, v1.EventTypeWarning, EventTaskLost, actionResize, "%s", note(fmt.Sprintf(
			"Mesos ended a task that held a part of the pod's resources (%s, %s); another one is taken: %s", e.Status.State, e.Status.Reason, e.Status.Message)))
	}
	m.resize(e.Pod.UID, time.Now())
}

// wasRevoked tells whether the pod is to go because a further task of it was taken
// back. The mutex is held.
func (m *Manager) wasRevoked(uid string) bool {
	for _, of := range m.revoked {
		if of == uid {
			return true
		}
	}
	return false
}
