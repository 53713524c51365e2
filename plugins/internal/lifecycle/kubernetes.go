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
	"maps"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
)

// podInfo is what we know of a pod of ours.
type podInfo struct {
	pod  *v1.Pod
	plan Plan
	// require is what it requires of its node (constraints.Compiler.Require), choosy
	// tells that it has other wishes beside.
	require string
	choosy  bool
	// asked is in how many of the plan's roles offers are asked for; since is when the
	// last of them was added.
	asked int
	since time.Time
	// barred are those of them, by bitOf, that a quota or a refused role keeps the pod
	// from, or from a part of their offers.
	barred uint64
	// asleep tells that the pod found nothing and was not tried since.
	asleep bool
	// first is the role that the pod looks at first: in those before it just found
	// nodes that would not do. See NextRole. seen is the offers' version when it last
	// looked at the very first.
	first int
	seen  uint64
	// pending tells that the pod may be scheduled and claims can be made for it.
	pending bool
	// wide tells that the pod wants to see all fitting nodes, not a choice.
	wide bool
}

// PodHandler returns the informer handler for pods. mine tells which pods are
// ours to place.
func (m *Manager) PodHandler(mine func(*v1.Pod) bool) cache.ResourceEventHandler {
	return cache.FilteringResourceEventHandler{
		FilterFunc: func(obj any) bool {
			pod := podFrom(obj)
			return pod != nil && mine(pod)
		},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: func(obj any) { m.podChanged(podFrom(obj)) },
			UpdateFunc: func(was, is any) {
				if old, pod := podFrom(was), podFrom(is); old.UID != pod.UID {
					m.podGone(old)
				}
				m.podChanged(podFrom(is))
			},
			DeleteFunc: func(obj any) { m.podGone(podFrom(obj)) },
		},
	}
}

func podFrom(obj any) *v1.Pod {
	if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = t.Obj
	}
	pod, _ := obj.(*v1.Pod)
	return pod
}

func (m *Manager) podChanged(pod *v1.Pod) {
	if pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
		m.podGone(pod)
		return
	}
	if m.notePod(pod, time.Now()) {
		m.Retry(pod)
	}
}

// notePod takes in what the pod is now. It reports whether the pod, which may
// sleep where we cannot wake it, should be tried again: it looked for offers before
// we knew of it, or for an amount that it does not need any more.
func (m *Manager) notePod(pod *v1.Pod, now time.Time) (again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.takePod(pod, now)
}

// takePod is notePod with the mutex held.
func (m *Manager) takePod(pod *v1.Pod, now time.Time) (again bool) {
	uid := string(pod.UID)
	was := m.pods[uid]
	_, again = m.early[uid]
	delete(m.early, uid)
	p := &podInfo{pod: pod, plan: m.plan(pod), choosy: choosy(pod)}
	if pod.Spec.NodeName == "" {
		p.require = m.bargain.compiler.Require(pod)
	}
	if was != nil {
		p.wide, p.first, p.seen = was.wide, was.first, was.seen
		if was.pending && !was.plan.equal(&p.plan) {
			again = true
			// A cycle that looked for something else must not put it to sleep.
			m.freedCount.Add(1)
		}
		if slices.Equal(was.plan.Roles, p.plan.Roles) {
			p.asked, p.since, p.barred, p.asleep = was.asked, was.since, was.barred, was.asleep
		} else {
			m.unask(uid, was, now)
		}
	}
	p.pending = p.plan.Problem == "" && pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && len(pod.Spec.SchedulingGates) == 0
	again = again || was != nil && !was.pending && p.pending
	m.pods[uid] = p
	m.noteOwner(uid, was, p)
	m.noteHunger(uid, was, p)
	m.upkeepPod(uid, p)
	delete(m.falling, uid)
	m.useRoles(uid, p.rolesOf(), now)
	m.noteBound(p, now)
	m.tellRefusals(p)
	m.refreshDemand(uid, now)
	m.resize(uid, now)
	m.carryOut()
	m.kick()
	return again && m.pods[uid].pending
}

// noteOwner notes whose reservation a pod wants, was and is what is known of it. The
// mutex is held.
func (m *Manager) noteOwner(uid string, was, is *podInfo) {
	if was != nil && was.plan.Want.Owner != "" && m.owners[was.plan.Want.Owner] == uid {
		delete(m.owners, was.plan.Want.Owner)
	}
	if is != nil && is.plan.Want.Owner != "" {
		m.owners[is.plan.Want.Owner] = uid
	}
}

func (m *Manager) podGone(pod *v1.Pod) { m.forgetPod(string(pod.UID)) }

// forgetPod releases whatever the pod holds.
func (m *Manager) forgetPod(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if p := m.pods[uid]; p != nil {
		m.unask(uid, p, now)
		m.useRoles(uid, nil, now)
		m.noteOwner(uid, p, nil)
		m.noteHunger(uid, p, nil)
	}
	m.endResize(uid, now)
	m.forgetRevoked(uid)
	m.upkeepPod(uid, nil)
	delete(m.pods, uid)
	delete(m.early, uid)
	if c := m.ledger.ByPod(uid); c != nil {
		delete(m.evicting, c.TaskID)
		m.breaker.Gone(c.TaskID, now)
		if c.Phase == claims.Reserved {
			m.unreserve(c)
		}
	}
	m.ledger.PodGone(uid, now)
	m.carryOut()
	m.kick()
}

// refreshDemand makes the demand agree with what the pod is and holds: it wants
// offers while it is pending and has nothing on its way. The mutex is held.
func (m *Manager) refreshDemand(uid string, now time.Time) {
	p := m.pods[uid]
	if p == nil {
		return
	}
	c := m.ledger.ByPod(uid)
	if !p.pending || c != nil && c.Phase != claims.Reserved && c.Phase != claims.Releasing {
		m.unask(uid, p, now)
		return
	}
	if m.askIn(uid, p, max(p.asked, 1, m.homeIn(&p.plan)), now) && p.asleep {
		m.told = append(m.told, uid)
		m.unpark(uid)
		m.kick()
	}
}

// NodeHandler returns the informer handler for nodes.
func (m *Manager) NodeHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { m.nodeChanged(obj.(*v1.Node)) },
		UpdateFunc: func(_, obj any) { m.nodeChanged(obj.(*v1.Node)) },
		DeleteFunc: func(obj any) {
			if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = t.Obj
			}
			if node, ok := obj.(*v1.Node); ok {
				m.nodeGone(node.Name)
			}
		},
	}
}

func (m *Manager) nodeChanged(node *v1.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index.Set(node)
	m.bargain.compiler.SetNode(node)
	m.upkeepNode(node)
	m.remap(m.nodes.SetNode(node.Name, nodes.HostOf(node)))
	if agent := m.nodes.AgentOf(node.Name); agent != "" {
		if slot, ok := m.cache.Slot(agent); ok {
			m.index.Assign(node.Name, slot)
		}
	}
	m.kick()
}

func (m *Manager) nodeGone(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remap(m.nodes.DeleteNode(name))
	m.index.Delete(name)
	m.bargain.compiler.DeleteNode(name)
	m.upkeep.book.NodeGone(name)
	m.kick()
}

// remap makes cache and index follow a change of pairs. The mutex is held.
func (m *Manager) remap(changes []nodes.Change) {
	for _, c := range changes {
		if c.Node == "" {
			if slot, ok := m.cache.Slot(c.AgentID); ok {
				if node := m.cache.NodeOf(slot); node != "" {
					m.index.Assign(node, nodes.NoSlot)
				}
			}
		}
		m.broken(m.cache.SetNode(c.AgentID, c.Node))
		m.bargain.pair(c.AgentID, c.Node)
		m.upkeep.book.Paired(c.AgentID, c.Node)
		if c.Node == "" {
			continue
		}
		if slot, ok := m.cache.Slot(c.AgentID); ok {
			m.index.Assign(c.Node, slot)
			m.broken(m.cache.Withhold(c.AgentID, m.withheld[c.Node]))
			// Offers that came before their agent was a node are of use now.
			m.freeAll(slot)
		}
		if m.foreign[c.AgentID] {
			delete(m.foreign, c.AgentID)
			m.reopen()
		}
	}
	if len(changes) > 0 || m.nodes.Count().AmbiguousNodes != len(m.reported) {
		m.reportAmbiguities()
	}
}

// reportAmbiguities tells once of each host that several nodes or agents claim,
// on the nodes themselves. The mutex is held.
func (m *Manager) reportAmbiguities() {
	now := map[string]bool{}
	for _, a := range m.nodes.Ambiguities() {
		for _, node := range a.Nodes {
			now[node] = true
			if m.reported[node] {
				continue
			}
			m.logger.Error(nil, "A node is not used: several nodes or agents claim its host", "node", node, "hostname", a.Hostname, "nodes", a.Nodes, "agents", a.Agents)
			m.recorder.Eventf(&v1.Node{TypeMeta: nodeType, ObjectMeta: nodeMeta(node)}, nil, v1.EventTypeWarning, EventAgentAmbiguous, actionMap,
				"Not used for Mesos pods: host %q is claimed by agents %s and nodes %s; give each agent a --hostname of its own, or set the label %s",
				a.Hostname, strings.Join(a.Agents, ", "), strings.Join(a.Nodes, ", "), nodes.HostnameLabel)
		}
	}
	clear(m.reported)
	maps.Copy(m.reported, now)
}
