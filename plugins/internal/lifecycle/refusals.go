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
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
)

// refused says why none of the roles can be had, "" if one can. The mutex is held.
func (m *Manager) refused(of []string) string {
	problem := ""
	for _, role := range of {
		if m.subs.State(role) != roles.Refused {
			return ""
		}
		if problem == "" {
			problem = m.subs.Problem(role)
		}
	}
	return problem
}

// refusalsChanged tells everybody whom it concerns which roles the master refuses
// since this was last called: pods that may use others ask there, and namespaces are
// told. An accepted change, too, can show which role was to blame for a refused one.
// The mutex is held.
func (m *Manager) refusalsChanged(now time.Time) {
	refused := m.subs.Problems()
	for role := range m.refusals {
		if refused[role] == "" {
			delete(m.refusals, role)
		}
	}
	if len(refused) == 0 {
		return
	}
	for role := range refused {
		if m.refusals[role] == nil {
			m.refusals[role] = map[string]string{}
		}
	}
	var told []*podInfo
	for uid, p := range m.pods {
		if news := p.pending && slices.ContainsFunc(p.plan.Roles, func(role string) bool {
			problem := refused[role]
			return problem != "" && m.refusals[role][p.pod.Namespace] != problem
		}); news {
			m.refreshDemand(uid, now)
			m.told = append(m.told, uid)
			told = append(told, p)
		}
	}
	for _, p := range told {
		m.tellRefusals(p)
	}
}

// tellRefusals tells the namespace of a pod that waits, once, which of its roles the
// master refuses. The mutex is held.
func (m *Manager) tellRefusals(p *podInfo) {
	if len(m.refusals) == 0 || !p.pending {
		return
	}
	for _, role := range p.plan.Roles {
		told, problem := m.refusals[role], m.subs.Problem(role)
		if told != nil && problem != "" && told[p.pod.Namespace] != problem {
			told[p.pod.Namespace] = problem
			m.tellNamespace(p.pod.Namespace, problem)
		}
	}
}

// forgetRefusals forgets what a namespace was told that is gone.
func (m *Manager) forgetRefusals(namespace string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, told := range m.refusals {
		delete(told, namespace)
	}
}

// tellNamespace records an event on a namespace. With its own name as the namespace,
// the event is among those that its users see, and not in "default".
func (m *Manager) tellNamespace(name, problem string) {
	m.recorder.Eventf(&v1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: name, Namespace: name},
		nil, v1.EventTypeWarning, EventRoleRefused, actionRoles, "%s", note(problem))
}
