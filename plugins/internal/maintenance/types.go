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

package maintenance

import (
	"fmt"
	"time"
)

// Window is when a machine is not to be counted on (v1/mesos.proto Unavailability).
// Its begin does nothing by itself: an operator takes the machine down.
type Window struct {
	Start time.Time
	// Duration is 0 if the end is open.
	Duration time.Duration
}

// Over tells whether the window has passed.
func (w Window) Over(now time.Time) bool {
	return w.Duration > 0 && !now.Before(w.Start.Add(w.Duration))
}

// End returns when the window ends, zero if that is open.
func (w Window) End() time.Time {
	if w.Duration == 0 {
		return time.Time{}
	}
	return w.Start.Add(w.Duration)
}

// String is the window for people.
func (w Window) String() string {
	start := w.Start.UTC().Format(time.RFC3339)
	if w.Duration == 0 {
		return "from " + start
	}
	return fmt.Sprintf("from %s to %s", start, w.End().UTC().Format(time.RFC3339))
}

// Kind says why a machine leaves the service, in Mesos' words.
type Kind string

// The kinds, the weakest first.
const (
	// Maintenance is planned: the machine is in the maintenance schedule.
	Maintenance Kind = "Maintenance"
	// Deactivated makes no offers (DEACTIVATE_AGENT); its tasks go on.
	Deactivated Kind = "Deactivated"
	// Draining has all its tasks killed (DRAIN_AGENT), Drained has none left.
	Draining Kind = "Draining"
	Drained  Kind = "Drained"
)

// Mark is what a node is to show of its machine's maintenance.
type Mark struct {
	Kind Kind
	// Window is the planned one, zero if there is none: then it is now.
	Window Window
}

// Planned tells whether the machine stays in service until the window's start.
func (m Mark) Planned() bool { return m.Kind == Maintenance }

// Agent is an agent as the master lists it.
type Agent struct {
	ID, Hostname, IP string
	// Deactivated tells that it makes no offers because an operator said so: also of
	// agents that are drained.
	Deactivated bool
	// Drain is nil if it is not being drained, and was not.
	Drain *Drain
	// Recovered is an agent that the master only remembers and has not seen since it
	// began: nothing more is known of it.
	Recovered bool
}

// Drain is how an agent is drained.
type Drain struct {
	Drained bool
	// MaxGrace is how long tasks may take to end, nil for as long as they want.
	MaxGrace *time.Duration
}

// Scheduled is one machine of the maintenance schedule.
type Scheduled struct {
	Hostname, IP string
	Window       Window
}

// Inverse is an inverse offer: the master asks us to leave an agent.
type Inverse struct {
	ID, AgentID string
	Window      Window
}

// Node is a node as the API server has it.
type Node struct {
	// Host is the canonical host name of its agent.
	Name, Host string
	// Cordoned is spec.unschedulable.
	Cordoned bool
	// Deactivated is the agent that we noted, on the node, to have deactivated; ""
	// for none.
	Deactivated string
	// Shown is what we wrote on the node, nil for nothing.
	Shown *Mark
}

// Cordoned says what becomes of the agents of cordoned nodes.
type Cordoned string

// What becomes of the agents of cordoned nodes, beside that we refuse their offers.
const (
	// Ignore leaves them to others.
	Ignore Cordoned = "Ignore"
	// Deactivate keeps all frameworks from getting offers of them.
	Deactivate Cordoned = "Deactivate"
	// Empty drains them, once no pod of ours is left there but those of DaemonSets.
	Empty Cordoned = "Drain"
)

// Config says how maintenance is dealt with.
type Config struct {
	// EvictBefore is how long before a window's start pods begin to be evicted. It is
	// the most grace, too, that pods get then, if it is not 0.
	EvictBefore time.Duration
	// Cordoned says what becomes of the agents of cordoned nodes; "" is Ignore.
	Cordoned Cordoned
	// BudgetFor is how long PodDisruptionBudgets may keep the pods of a machine that is
	// drained without a grace period of its own.
	BudgetFor time.Duration
}
