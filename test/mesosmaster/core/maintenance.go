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
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	pballocator "github.com/mesos/mesos-go/api/v1/lib/allocator"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	host "github.com/kube-mesos/kube-mesos/test/mesosmaster/agent"
	"github.com/kube-mesos/kube-mesos/test/mesosmaster/codec"
)

func keyOf(id *mesos.MachineID) machineKey {
	return machineKey{strings.ToLower(id.GetHostname()), id.GetIP()}
}

func machineOf(h *host.Agent) machineKey {
	return machineKey{strings.ToLower(h.Hostname()), h.IP()}
}

// machineText is a machine in the master's texts.
func machineText(id *mesos.MachineID) string {
	b, err := codec.MarshalJSON(id)
	if err != nil {
		return err.Error()
	}
	return "Machine '" + string(b) + "'"
}

// planned is the maintenance planned for a machine, nil for none.
func (m *Master) planned(key machineKey) *mesos.Unavailability {
	if x := m.registry.machines[key]; x != nil {
		return &x.unavailability
	}
	return nil
}

// isDown tells whether an operator has brought a machine down.
func (m *Master) isDown(key machineKey) bool {
	x := m.registry.machines[key]
	return x != nil && x.mode == machineDown
}

// updateSchedule is UPDATE_MAINTENANCE_SCHEDULE: the schedule is replaced, and
// the offers of every agent are rescinded, in the schedule or not, as recorded
// (Mesos master/http.cpp _updateMaintenanceSchedule).
func (m *Master) updateSchedule(s *maintenance.Schedule) Response {
	if err := m.validSchedule(s); err != nil {
		return badRequest(err.Error())
	}
	next := map[machineKey]*machine{}
	for _, w := range s.Windows {
		for i := range w.MachineIDs {
			key := keyOf(&w.MachineIDs[i])
			next[key] = &machine{id: w.MachineIDs[i], unavailability: w.Unavailability}
			if m.isDown(key) {
				next[key].mode = machineDown
			}
		}
	}
	m.registry.machines, m.registry.schedule = next, *s
	for _, a := range slices.Clone(m.order) {
		m.updateUnavailability(a)
	}
	return done
}

// updateUnavailability takes back all offers of an agent, so that frameworks
// soon see what is planned, and tells the allocator (Mesos master.cpp
// updateUnavailability).
func (m *Master) updateUnavailability(a *agent) {
	a.unavailability = m.planned(machineOf(a.host))
	m.rescindAgent(a)
	m.rescindInverse(a)
	m.alloc.SetUnavailability(a.id, a.unavailability)
}

// validSchedule is Mesos master/maintenance.cpp validation::schedule.
func (m *Master) validSchedule(s *maintenance.Schedule) error {
	seen := map[machineKey]bool{}
	for _, w := range s.Windows {
		if len(w.MachineIDs) == 0 {
			return errors.New("List of machines in the maintenance window is empty")
		}
		if w.Unavailability.GetDuration().GetNanoseconds() < 0 {
			return errors.New("Unavailability 'duration' is negative")
		}
		for i := range w.MachineIDs {
			id := &w.MachineIDs[i]
			if err := validMachine(id); err != nil {
				return err
			}
			if seen[keyOf(id)] {
				return fmt.Errorf("%s appears more than once in the schedule", machineText(id))
			}
			seen[keyOf(id)] = true
		}
	}
	for _, key := range m.machineKeys() {
		if x := m.registry.machines[key]; x.mode == machineDown && !seen[key] {
			return fmt.Errorf("%s is deactivated and cannot be removed from the schedule", machineText(&x.id))
		}
	}
	return nil
}

func validMachine(id *mesos.MachineID) error {
	if id.GetHostname() == "" && id.GetIP() == "" {
		return errors.New("Both 'hostname' and 'ip' for a machine are empty")
	}
	if ip := id.GetIP(); ip != "" {
		if a, err := netip.ParseAddr(ip); err != nil || !a.Is4() {
			return fmt.Errorf("Failed to parse the IP: '%s'", ip)
		}
	}
	return nil
}

// machineKeys are the machines of the schedule in a fixed order.
func (m *Master) machineKeys() []machineKey {
	keys := make([]machineKey, 0, len(m.registry.machines))
	for key := range m.registry.machines {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b machineKey) int {
		return strings.Compare(a.hostname+"\x00"+a.ip, b.hostname+"\x00"+b.ip)
	})
	return keys
}

// checkMachines finds the machines of START_MAINTENANCE or STOP_MAINTENANCE, which
// must be in the schedule and in some mode.
func (m *Master) checkMachines(ids []mesos.MachineID, mode machineMode, refusal string) ([]machineKey, error) {
	if len(ids) == 0 {
		return nil, errors.New("List of machines is empty")
	}
	var keys []machineKey
	for i := range ids {
		if err := validMachine(&ids[i]); err != nil {
			return nil, err
		}
		key := keyOf(&ids[i])
		if slices.Contains(keys, key) {
			return nil, fmt.Errorf("%s appears more than once in the list of machines", machineText(&ids[i]))
		}
		keys = append(keys, key)
	}
	for i, key := range keys {
		x := m.registry.machines[key]
		switch {
		case x == nil && !m.hasAgentOn(key):
			return nil, fmt.Errorf("%s is not part of a maintenance schedule", machineText(&ids[i]))
		case x == nil || x.mode != mode:
			return nil, fmt.Errorf("%s %s", machineText(&ids[i]), refusal)
		}
	}
	return keys, nil
}

func (m *Master) hasAgentOn(key machineKey) bool {
	return slices.ContainsFunc(m.order, func(a *agent) bool { return machineOf(a.host) == key })
}

// startMaintenance is START_MAINTENANCE: agents on the machines are told to shut
// down and forgotten at once (Mesos master/http.cpp _startMaintenance).
func (m *Master) startMaintenance(ids []mesos.MachineID) Response {
	keys, err := m.checkMachines(ids, machineDraining, "is not in DRAINING mode and cannot be brought down")
	if err != nil {
		return badRequest(err.Error())
	}
	for _, key := range keys {
		m.registry.machines[key].mode = machineDown
		for _, a := range slices.Clone(m.order) {
			if machineOf(a.host) == key {
				m.forgetAgent(a, "Operator initiated 'Machine DOWN'")
				a.host.Destroy()
			}
		}
	}
	return done
}

// stopMaintenance is STOP_MAINTENANCE: the machines leave the schedule and may
// register again (Mesos master/http.cpp _stopMaintenance).
func (m *Master) stopMaintenance(ids []mesos.MachineID) Response {
	keys, err := m.checkMachines(ids, machineDown, "is not in DOWN mode and cannot be brought up")
	if err != nil {
		return badRequest(err.Error())
	}
	for _, key := range keys {
		delete(m.registry.machines, key)
	}
	var rest maintenance.Schedule
	for _, w := range m.registry.schedule.Windows {
		w.MachineIDs = slices.DeleteFunc(slices.Clone(w.MachineIDs), func(id mesos.MachineID) bool { return slices.Contains(keys, keyOf(&id)) })
		if len(w.MachineIDs) > 0 {
			rest.Windows = append(rest.Windows, w)
		}
	}
	m.registry.schedule = rest
	return done
}

// maintenanceStatus is GET_MAINTENANCE_STATUS: machines to come with what
// frameworks answered, and machines down.
func (m *Master) maintenanceStatus() maintenance.ClusterStatus {
	var s maintenance.ClusterStatus
	for _, key := range m.machineKeys() {
		x := m.registry.machines[key]
		if x.mode == machineDown {
			s.DownMachines = append(s.DownMachines, x.id)
			continue
		}
		d := maintenance.ClusterStatus_DrainingMachine{ID: x.id}
		for _, a := range m.order {
			if machineOf(a.host) == key {
				d.Statuses = append(d.Statuses, m.inverseStatuses(a)...)
			}
		}
		s.DrainingMachines = append(s.DrainingMachines, d)
	}
	return s
}

func (m *Master) inverseStatuses(a *agent) []pballocator.InverseOfferStatus {
	var out []pballocator.InverseOfferStatus
	for _, x := range m.alloc.InverseAnswers(a.id) {
		status := pballocator.InverseOfferStatus_DECLINE
		if x.Accepted {
			status = pballocator.InverseOfferStatus_ACCEPT
		}
		out = append(out, pballocator.InverseOfferStatus{
			Status: &status, FrameworkID: mesos.FrameworkID{Value: x.Framework}, Timestamp: mesos.TimeInfo{Nanoseconds: x.At.UnixNano()},
		})
	}
	return out
}

// maintenanceCalls are the operator calls about maintenance.
var maintenanceCalls = map[master.Call_Type]operatorCall{
	master.Call_GET_MAINTENANCE_STATUS: asks(func(m *Master, r *OperatorReply) {
		r.GetMaintenanceStatus = &master.Response_GetMaintenanceStatus{Status: m.maintenanceStatus()}
	}),
	master.Call_GET_MAINTENANCE_SCHEDULE: asks(func(m *Master, r *OperatorReply) {
		r.GetMaintenanceSchedule = &master.Response_GetMaintenanceSchedule{Schedule: m.registry.schedule}
	}),
	master.Call_UPDATE_MAINTENANCE_SCHEDULE: {
		"update_maintenance_schedule", func(c *master.Call) bool { return c.UpdateMaintenanceSchedule != nil },
		func(m *Master, c *master.Call) Response {
			return m.updateSchedule(&c.UpdateMaintenanceSchedule.Schedule)
		},
	},
	master.Call_START_MAINTENANCE: {
		"start_maintenance", func(c *master.Call) bool { return c.StartMaintenance != nil },
		func(m *Master, c *master.Call) Response { return m.startMaintenance(c.StartMaintenance.Machines) },
	},
	master.Call_STOP_MAINTENANCE: {
		"stop_maintenance", func(c *master.Call) bool { return c.StopMaintenance != nil },
		func(m *Master, c *master.Call) Response { return m.stopMaintenance(c.StopMaintenance.Machines) },
	},
}
