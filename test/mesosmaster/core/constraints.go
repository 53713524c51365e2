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

import "github.com/kube-mesos/kube-mesos/test/mesosmaster/allocator"

// Offer constraints as the allocator has them.
type (
	// OfferConstraints are a framework's conditions on agents, by role.
	OfferConstraints = allocator.OfferConstraints
	// RoleConstraints is a disjunction of groups.
	RoleConstraints = allocator.RoleConstraints
	// ConstraintGroup is a conjunction of attribute constraints.
	ConstraintGroup = allocator.ConstraintGroup
	// AttributeConstraint is one predicate on one attribute or pseudo-attribute.
	AttributeConstraint = allocator.AttributeConstraint
	// ConstraintSelector names what a predicate looks at.
	ConstraintSelector = allocator.ConstraintSelector
	// ConstraintPredicate is exactly one condition.
	ConstraintPredicate = allocator.ConstraintPredicate
	// ConstraintEmpty is a predicate without operand.
	ConstraintEmpty = allocator.ConstraintEmpty
	// ConstraintText is the operand of a comparison.
	ConstraintText = allocator.ConstraintText
	// ConstraintRegex is the operand of a match.
	ConstraintRegex = allocator.ConstraintRegex
)
