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

package mesos

import (
	"context"
	"net/http"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
)

// MaintenanceWindow is one window of the master's maintenance schedule.
type MaintenanceWindow struct {
	Machines       []Machine
	Unavailability offers.Unavailability
}

// Machine names a machine in a schedule. It is an agent's only if both are equal, names
// without regard to case (Mesos type_utils.hpp operator==(MachineID)).
type Machine struct{ Hostname, IP string }

// schedulePath is the maintenance schedule (master http.cpp
// Master::Http::maintenanceSchedule).
const schedulePath = "/maintenance/schedule"

const getSchedule = "GET " + schedulePath

// Maintenance reads the maintenance schedule. Nothing else tells a suppressed framework
// that a window was cancelled. The error is ErrNotSubscribed, a *CallError or the
// context's.
func (s *Session) Maintenance(ctx context.Context) ([]MaintenanceWindow, error) {
	type nanoseconds struct {
		Nanoseconds int64 `json:"nanoseconds"`
	}
	var answer struct {
		Windows []struct {
			Machines []struct {
				Hostname string `json:"hostname"`
				IP       string `json:"ip"`
			} `json:"machine_ids"`
			Unavailability struct {
				Start    nanoseconds `json:"start"`
				Duration nanoseconds `json:"duration"`
			} `json:"unavailability"`
		} `json:"windows"`
	}
	if err := s.operate(ctx, operation{name: getSchedule, method: http.MethodGet, path: schedulePath, into: &answer}); err != nil {
		return nil, err
	}
	windows := make([]MaintenanceWindow, len(answer.Windows))
	for i, w := range answer.Windows {
		windows[i].Unavailability = *windowOf(w.Unavailability.Start.Nanoseconds, w.Unavailability.Duration.Nanoseconds)
		for _, m := range w.Machines {
			windows[i].Machines = append(windows[i].Machines, Machine{m.Hostname, m.IP})
		}
	}
	return windows, nil
}
