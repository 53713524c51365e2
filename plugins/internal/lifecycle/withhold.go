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

import "github.com/kube-mesos/kube-mesos/plugins/internal/resources"

// Withhold keeps so much of what the agents of these nodes offer from being used,
// and nothing of all others: their nodes do not have it. The map must not be changed
// afterwards.
func (m *Manager) Withhold(byNode map[string]resources.Vector) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.withheld
	m.withheld = byNode
	for node := range was {
		if _, still := byNode[node]; !still {
			m.withhold(node)
		}
	}
	for node, amount := range byNode {
		if was[node] != amount {
			m.withhold(node)
		}
	}
	m.kick()
}

// withhold makes the cache follow, for one node. The mutex is held.
func (m *Manager) withhold(node string) {
	agent := m.nodes.AgentOf(node)
	if agent == "" {
		return
	}
	m.broken(m.cache.Withhold(agent, m.withheld[node]))
	if slot, ok := m.cache.Slot(agent); ok {
		// There may be more now.
		m.freeAll(slot)
	}
}
