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

package core

import (
	"maps"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"
)

// registry is what a master writes down durably and its successor reads (Mesos
// master/registry.proto): agents given up, maintenance, what operators said of
// agents, quotas and weights. Agents admitted are added when a master ends. All
// else a master knows dies with it.
type registry struct {
	lost     map[string]*lostAgent // unreachable or gone, by agent id
	machines map[machineKey]*machine
	schedule maintenance.Schedule
	drains   map[string]*drain // agents drained or deactivated, by id
	quotas   map[string]allocator.Quota
	weights  map[string]float64
}

func newRegistry(cfg *Config) *registry {
	r := &registry{
		lost: map[string]*lostAgent{}, machines: map[machineKey]*machine{}, drains: map[string]*drain{},
		quotas: map[string]allocator.Quota{}, weights: map[string]float64{},
	}
	maps.Copy(r.quotas, cfg.Quotas)
	maps.Copy(r.weights, cfg.Weights)
	return r
}

// hostOf finds the machine of an agent the master knows of, in whatever state;
// nil if it does not.
func (m *Master) hostOf(agentID string) *host.Agent {
	if m.agents[agentID] == nil && m.recovered[agentID] == nil && m.registry.lost[agentID] == nil {
		return nil
	}
	for _, h := range m.hostOrder {
		if h.ID() == agentID {
			return h
		}
	}
	return nil
}

// isGone tells whether an agent can never come back.
func (m *Master) isGone(agentID string) bool {
	l := m.registry.lost[agentID]
	return l != nil && l.gone
}

// machineKey names a machine as Mesos compares them: the host name without regard
// to case, and the address; each may be missing, but then it matches no agent.
type machineKey struct{ hostname, ip string }

// machineMode is how far the maintenance of a machine has come.
type machineMode uint8

const (
	machineDraining machineMode = iota // in the schedule
	machineDown
)

// machine is a machine in the maintenance schedule.
type machine struct {
	id             mesos.MachineID
	mode           machineMode
	unavailability mesos.Unavailability
}
