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

package offers

import (
	"time"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Unavailability is a maintenance window: a time in which an agent is expected to be
// away (v1/mesos.proto Unavailability). Its start does nothing by itself: an
// operator takes the machine down.
type Unavailability struct {
	Start time.Time
	// Duration is how long it lasts; 0 means that no end is known.
	Duration time.Duration
}

// End returns when the window ends, zero if no end is known.
func (u Unavailability) End() time.Time {
	if u.Duration == 0 {
		return time.Time{}
	}
	return u.Start.Add(u.Duration)
}

// Offer is what the cache knows of one Mesos offer: one agent's resources,
// allocated to one role, good for exactly one ACCEPT or DECLINE
// (v1/mesos.proto Offer).
type Offer struct {
	// ID names the offer. It is void after a RESCIND, a DECLINE, an ACCEPT and
	// whenever the subscription that brought it ends.
	ID string
	// AgentID is the Mesos agent that has the resources.
	AgentID string
	// Hostname is the agent's --hostname, by which it is matched to a node.
	Hostname string
	// Role is the allocation role. Offers of different roles never share an
	// ACCEPT (master validation of offers).
	Role string
	// Unreserved is what any task may use: neither reserved nor revocable; never
	// negative.
	Unreserved resources.Bundle
	// Special is the rest, one portion for each flavour; nil for most offers.
	Special []resources.Portion
	// Unavailability is the agent's maintenance window, nil if none is scheduled.
	Unavailability *Unavailability
	// Executors are our executors that the master believes to run on the agent.
	// Nil for most offers; a snapshot, not a promise.
	Executors []string
}
