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
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
)

// registry is what a master writes down durably and its successor reads (Mesos
// master/registry.proto): agents given up, maintenance, and what operators said
// of agents. Agents admitted are added when a master ends. All else a master
// knows dies with it.
type registry struct {
	lost     map[string]*lostAgent // unreachable or gone, by agent id
	machines map[machineKey]*machine
	schedule maintenance.Schedule
}

func newRegistry() *registry {
	return &registry{lost: map[string]*lostAgent{}, machines: map[machineKey]*machine{}}
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
