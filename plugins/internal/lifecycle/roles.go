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
	"errors"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/maintenance"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// plan returns what the pod asks for.
func (m *Manager) plan(pod *v1.Pod) Plan {
	want, err := m.cfg.Pods.want(pod)
	p := Plan{Want: want, lasts: maintenance.Lasts(pod)}
	if err != nil {
		p.Problem = err.Error()
		return p
	}
	assigned, known := m.namespaces.Of(pod.Namespace)
	if !known {
		p.Problem = "the pod's namespace has not been seen yet"
		return p
	}
	if p.Roles, err = roles.Choose(assigned, pod.Annotations[AnnotationRole]); err == nil {
		err = m.keep(pod, &p)
	}
	if err != nil {
		p.Problem = err.Error()
	}
	return p
}

// open tells whether offers may come for a role. The mutex is held.
func (m *Manager) open(role string) bool { return m.subs.State(role) != roles.Refused }

// useRoles notes which roles a pod uses, now that it is as it is. The mutex is held.
func (m *Manager) useRoles(uid string, of []string, now time.Time) {
	was := m.users[uid]
	if slices.Equal(was, of) {
		return
	}
	for _, role := range of {
		m.subs.Want(role, now)
	}
	for _, role := range was {
		m.subs.Unwant(role, now)
	}
	if len(of) == 0 {
		delete(m.users, uid)
	} else {
		m.users[uid] = slices.Clone(of)
	}
}

// rolesOf are the roles that the pod uses: of a pod that is placed, the one it has.
func (p *podInfo) rolesOf() []string {
	if p.pod.Spec.NodeName == "" {
		return p.plan.Roles
	}
	// Annotations can be forged: an illegal role would be refused with all others.
	if role := p.pod.Annotations[AnnotationRole]; len(roles.Validate(role)) == 0 {
		return []string{role}
	}
	return nil
}

// SubscribeRoles returns the roles to subscribe with now: suppressed are those for
// which no offers are wanted.
func (m *Manager) SubscribeRoles() []mesos.RoleAsk {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, initial := time.Now(), m.subs.Initial()
	m.settleTerms(slices.Values(initial), now)
	var asks []mesos.RoleAsk
	for _, role := range initial {
		d := m.demands[role]
		asks = append(asks, mesos.RoleAsk{Name: role, Suppressed: d == nil || !d.Wanted() || m.stopping, Terms: m.bargain.book.Current(role, now)})
	}
	return asks
}

// rolesSubscribed takes in the roles of a new subscription. The mutex is held.
func (m *Manager) rolesSubscribed(s mesos.Subscription, now time.Time) {
	all, _ := mesos.SplitRoles(s.Roles)
	m.subs.Subscribed(all, now)
	m.recheck = true
	clear(m.known)
	for _, d := range m.demands {
		d.Disconnected()
	}
	told := map[string]terms.Terms{}
	for _, ask := range s.Roles {
		m.known[ask.Name] = true
		m.demandOf(ask.Name).Subscribed(ask.Suppressed)
		told[ask.Name] = ask.Terms
	}
	m.bargain.book.Subscribed(told, s.Constraints, now)
	m.refusalsChanged(now)
}

// rolesDisconnected takes in the end of the subscription, or of the attempt to make
// one. The mutex is held.
func (m *Manager) rolesDisconnected(err error, now time.Time) {
	clear(m.known)
	for _, d := range m.demands {
		d.Disconnected()
	}
	m.bargain.book.Disconnected()
	if errors.Is(err, mesos.ErrTermsRefused) {
		m.logger.Error(err, "The Mesos master refused the terms on which offers are wanted; asking without them for a while")
		m.bargain.book.Refused(nil, err.Error(), now)
	}
	if errors.Is(err, mesos.ErrRolesRefused) {
		m.subs.SubscribeRefused(err.Error(), now)
		m.refusalsChanged(now)
	} else {
		m.subs.Disconnected()
	}
}

// updateRoles changes the framework's roles if that is due, and returns when to look
// again. The mutex is held.
func (m *Manager) updateRoles(now time.Time) time.Time {
	change, again := m.subs.Next(now)
	if change == nil {
		return again
	}
	for _, role := range change.Removed {
		// From now on it is in no call: a REVIVE that names one role too many is
		// ignored as a whole.
		delete(m.known, role)
		m.demandOf(role).Disconnected()
		m.bargain.forget(role)
	}
	m.settleTerms(slices.Values(change.Roles), now)
	m.sendUpdate(m.bargain.book.Join(now), change, now)
	return again
}

// rolesUpdated takes in the answer to a change. The mutex is held.
func (m *Manager) rolesUpdated(change *roles.Change, err error, now time.Time) {
	var call *mesos.CallError
	switch {
	case err == nil:
		m.logger.V(2).Info("Changed the roles of the framework", "added", change.Added, "removed", change.Removed)
		m.subs.Accepted(change.Roles, now)
		m.recheck = true
		for _, role := range change.Roles {
			m.roleKnown(role, true)
		}
		for _, role := range change.Removed {
			m.dropRole(role)
		}
	case errors.As(err, &call) && (call.Status == 400 || call.Status == 403) && !errors.Is(err, mesos.ErrTermsRefused):
		m.logger.Info("The Mesos master refused a change of roles", "added", change.Added, "err", err)
		m.subs.Refused(change.Roles, call.Body, call.Status == 403, now)
		for _, role := range change.Removed {
			m.roleKnown(role, false)
		}
	default:
		m.logger.V(2).Info("A change of roles has an unknown outcome; it is made again", "added", change.Added, "err", err)
		m.subs.Failed(now)
	}
	m.refusalsChanged(now)
}

// roleKnown notes that the master has the role in our set, unless that was known.
// The mutex is held.
func (m *Manager) roleKnown(role string, suppressed bool) {
	if !m.known[role] {
		d := m.demandOf(role)
		m.known[role] = true
		d.Subscribed(suppressed)
	}
}

// dropRole forgets a role of which nothing is left. The mutex is held.
func (m *Manager) dropRole(role string) {
	if !m.demandOf(role).Wanted() && role != m.cfg.Roles.Default {
		delete(m.demands, role)
		m.broken(m.cache.Drop(role))
	}
}

// keepIdle is how long what is offered to a role is kept track of after its last pod
// was placed: it takes memory for each agent.
const keepIdle = time.Minute

// dropIdle forgets roles that nobody wants offers for: those that the master does not
// know at once, of others what was offered to them. The mutex is held.
func (m *Manager) dropIdle(now time.Time) {
	for role, d := range m.demands {
		if d.Wanted() {
			continue
		}
		if m.subscribed && !m.known[role] {
			m.dropRole(role)
		} else if d.Asked() == demand.Suppressed && d.IdleFor(now) >= keepIdle && role != m.cfg.Roles.Default {
			m.broken(m.cache.Drop(role))
		}
	}
	if now.Before(m.dropAt) {
		return
	}
	m.dropAt = now.Add(keepIdle)
	// Pods look at the offers of all their roles, also of those in which none is asked.
	m.cache.Roles(func(r *offers.Role) {
		if role := r.Name(); m.demands[role] == nil && role != m.cfg.Roles.Default {
			m.broken(m.cache.Drop(role))
		}
	})
}

// NamespaceHandler returns the informer handler for namespaces.
func (m *Manager) NamespaceHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { m.namespaceChanged(obj.(*v1.Namespace)) },
		UpdateFunc: func(_, obj any) { m.namespaceChanged(obj.(*v1.Namespace)) },
		DeleteFunc: func(obj any) {
			if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = t.Obj
			}
			if ns, ok := obj.(*v1.Namespace); ok {
				m.namespaces.Delete(ns.Name)
				m.forgetRefusals(ns.Name)
			}
		},
	}
}

// namespaceChanged makes the pods of a namespace follow its roles.
func (m *Manager) namespaceChanged(ns *v1.Namespace) {
	assigned, changed := m.namespaces.Set(ns.Name, ns.Labels, ns.Annotations)
	if !changed {
		return
	}
	if len(assigned.Problems) > 0 {
		m.logger.Info("A namespace asks for Mesos roles that it cannot have", "namespace", ns.Name, "problems", assigned.Problems)
		m.tellNamespace(ns.Name, strings.Join(assigned.Problems, "; "))
	}
	m.activatePods(m.replan(ns.Name, assigned.Roles))
}

// replan makes the pods of a namespace follow its new roles, and returns those to be
// tried. It is one step: pods that change or go meanwhile must not be taken in as they
// were.
func (m *Manager) replan(namespace string, of []string) map[string]*v1.Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, role := range of {
		m.subs.Retry(role)
	}
	var pods []*v1.Pod
	for _, p := range m.pods {
		if p.pod.Namespace == namespace {
			pods = append(pods, p.pod)
		}
	}
	woken, now := map[string]*v1.Pod{}, time.Now()
	for _, pod := range pods {
		if m.takePod(pod, now) {
			woken[pod.Namespace+"/"+pod.Name] = pod
		}
	}
	return woken
}
