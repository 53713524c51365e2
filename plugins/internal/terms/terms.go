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

package terms

import (
	"slices"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Terms are what offers to a role must be like for us to want them at all. The master
// heeds them before it makes an offer: what does not meet them goes to others at once.
type Terms struct {
	// Constraints say of which agents offers are wanted (scheduler.OfferConstraints).
	Constraints Constraints
	// Min is what an offer must hold at least (OfferFilters.min_allocatable_resources);
	// nil leaves that to the master, all zero takes offers of any size.
	Min *resources.Vector
}

// Constraints are alternatives, of which an agent must meet one. None at all admit
// every agent.
type Constraints []Group

// Group is what an agent must meet as a whole. It is never empty: the master refuses
// that.
type Group []Constraint

// Constraint is one condition on an agent.
type Constraint struct {
	// Attribute names an attribute of the agent, "" stands for the agent's host name
	// (the pseudo attribute HOSTNAME).
	Attribute string
	Op        Op
	// Value is compared with; unused by Exists and NotExists.
	Value string
}

// Op is how a constraint compares. An agent without the attribute meets NotExists and
// NotEquals only; one whose attribute is no TEXT meets every comparison
// (offer_constraints_filter.cpp).
type Op string

// The comparisons.
const (
	Exists    Op = "exists"
	NotExists Op = "not_exists"
	Equals    Op = "text_equals"
	NotEquals Op = "text_not_equals"
)

// Equal tells whether two constraints are the same, in the same order.
func (c Constraints) Equal(o Constraints) bool {
	return slices.EqualFunc(c, o, func(a, b Group) bool { return slices.Equal(a, b) })
}

// Equal tells whether the terms are the same.
func (t Terms) Equal(o Terms) bool {
	if (t.Min == nil) != (o.Min == nil) || t.Min != nil && *t.Min != *o.Min {
		return false
	}
	return t.Constraints.Equal(o.Constraints)
}
