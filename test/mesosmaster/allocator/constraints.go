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

package allocator

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// OfferConstraints are a framework's conditions on agents, by role (Mesos
// v1/scheduler.proto OfferConstraints, since 1.11, newer than the generated
// types). The tags serve the JSON codec; DecodeConstraints reads protobuf.
type OfferConstraints struct {
	RoleConstraints map[string]RoleConstraints `protobuf:"bytes,1,rep,name=role_constraints"`
}

// RoleConstraints is a disjunction of groups.
type RoleConstraints struct {
	Groups []ConstraintGroup `protobuf:"bytes,1,rep,name=groups"`
}

// ConstraintGroup is a conjunction of attribute constraints.
type ConstraintGroup struct {
	AttributeConstraints []AttributeConstraint `protobuf:"bytes,1,rep,name=attribute_constraints"`
}

// AttributeConstraint is one predicate on one attribute or pseudo-attribute.
type AttributeConstraint struct {
	Selector  *ConstraintSelector  `protobuf:"bytes,1,req,name=selector"`
	Predicate *ConstraintPredicate `protobuf:"bytes,2,req,name=predicate"`
	regex     *regexp.Regexp
}

// ConstraintSelector names what a predicate looks at: exactly one of a
// pseudo-attribute (HOSTNAME, REGION, ZONE) and an attribute name.
type ConstraintSelector struct {
	PseudoAttribute *string `protobuf:"bytes,1,opt,name=pseudoattribute_type"`
	AttributeName   *string `protobuf:"bytes,2,opt,name=attribute_name"`
}

// ConstraintPredicate is exactly one condition.
type ConstraintPredicate struct {
	Exists         *ConstraintEmpty `protobuf:"bytes,1,opt,name=exists"`
	NotExists      *ConstraintEmpty `protobuf:"bytes,2,opt,name=not_exists"`
	TextEquals     *ConstraintText  `protobuf:"bytes,3,opt,name=text_equals"`
	TextNotEquals  *ConstraintText  `protobuf:"bytes,4,opt,name=text_not_equals"`
	TextMatches    *ConstraintRegex `protobuf:"bytes,5,opt,name=text_matches"`
	TextNotMatches *ConstraintRegex `protobuf:"bytes,6,opt,name=text_not_matches"`
}

// ConstraintEmpty is a predicate without operand.
type ConstraintEmpty struct{}

// ConstraintText is the operand of a comparison.
type ConstraintText struct {
	Value string `protobuf:"bytes,1,req,name=value"`
}

// ConstraintRegex is the operand of a match.
type ConstraintRegex struct {
	Regex string `protobuf:"bytes,1,req,name=regex"`
}

// Validate compiles the constraints and says why they are refused, with the
// texts of a recorded master.
func (c *OfferConstraints) Validate(roles []string) error {
	subscribed := map[string]bool{}
	for _, r := range roles {
		subscribed[r] = true
	}
	for _, role := range slices.Sorted(maps.Keys(c.RoleConstraints)) {
		if !subscribed[role] {
			return fmt.Errorf("Offer constraints specify `role_constraints` for a role '%s'not contained in the set of roles", role)
		}
	}
	for _, role := range slices.Sorted(maps.Keys(c.RoleConstraints)) {
		if err := c.RoleConstraints[role].compile(role); err != nil {
			return fmt.Errorf("Offer constraints are not valid: %w", err)
		}
	}
	return nil
}

func (rc RoleConstraints) compile(role string) error {
	if len(rc.Groups) == 0 {
		return fmt.Errorf("'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role %s", role)
	}
	for _, g := range rc.Groups {
		if len(g.AttributeConstraints) == 0 {
			return fmt.Errorf("'OfferConstraints::RoleConstraints::groups' for role %scontains an empty RoleConstraints::Group", role)
		}
		for i := range g.AttributeConstraints {
			if err := g.AttributeConstraints[i].compile(); err != nil {
				return fmt.Errorf("A role %s has an invalid 'AttributeConstraint': %w", role, err)
			}
		}
	}
	return nil
}

func (ac *AttributeConstraint) compile() error {
	if err := ac.Selector.check(); err != nil {
		return err
	}
	p := ac.Predicate
	set := 0
	for _, on := range []bool{p.Exists != nil, p.NotExists != nil, p.TextEquals != nil, p.TextNotEquals != nil, p.TextMatches != nil, p.TextNotMatches != nil} {
		if on {
			set++
		}
	}
	if set != 1 {
		return errors.New("Unknown predicate type")
	}
	var pattern string
	switch {
	case p.TextMatches != nil:
		pattern = p.TextMatches.Regex
	case p.TextNotMatches != nil:
		pattern = p.TextNotMatches.Regex
	default:
		return nil
	}
	re, err := compilePattern(pattern)
	if err != nil {
		return err
	}
	ac.regex = re
	return nil
}

func (s *ConstraintSelector) check() error {
	known := s.PseudoAttribute != nil
	if known {
		switch *s.PseudoAttribute {
		case "HOSTNAME", "REGION", "ZONE":
		case "UNKNOWN":
			return errors.New("Unknown pseudoattribute type")
		default: // an enum name the master does not know counts as unset
			known = false
		}
	}
	if known == (s.AttributeName != nil) {
		return errors.New("Exactly one of 'AttributeConstraint::Selector::name' or 'AttributeConstraint::Selector::pseudoattribute_type' must be set")
	}
	return nil
}

// Excludes tells whether the constraints of a role keep an agent away
// (Mesos OfferConstraintsFilter::isAgentExcluded).
func (c *OfferConstraints) Excludes(role string, a *AgentInfo) bool {
	rc, ok := c.RoleConstraints[role]
	if !ok {
		return false
	}
	for _, g := range rc.Groups {
		all := true
		for i := range g.AttributeConstraints {
			all = all && g.AttributeConstraints[i].matches(a)
		}
		if all {
			return false
		}
	}
	return true
}

// matches evaluates one predicate. An absent attribute fails the positive forms
// and satisfies the negative ones; an attribute that is not text satisfies every
// text predicate (Mesos offer_constraints_filter.cpp).
func (ac *AttributeConstraint) matches(a *AgentInfo) bool {
	text, isText, exists := ac.Selector.value(a)
	p := ac.Predicate
	switch {
	case p.Exists != nil:
		return exists
	case p.NotExists != nil:
		return !exists
	case p.TextNotEquals != nil:
		return !exists || !isText || text != p.TextNotEquals.Value
	case p.TextNotMatches != nil:
		return !exists || !isText || !ac.regex.MatchString(text)
	case p.TextEquals != nil:
		return exists && (!isText || text == p.TextEquals.Value)
	default:
		return exists && (!isText || ac.regex.MatchString(text))
	}
}

func (s *ConstraintSelector) value(a *AgentInfo) (text string, isText, exists bool) {
	if s.AttributeName != nil {
		for i := range a.Attributes {
			if at := &a.Attributes[i]; at.Name == *s.AttributeName {
				return at.GetText().GetValue(), at.Type == mesos.TEXT, true
			}
		}
		return "", false, false
	}
	fault := a.Domain.GetFaultDomain()
	switch {
	case *s.PseudoAttribute == "HOSTNAME":
		return a.Hostname, true, true
	case fault == nil:
		return "", false, false
	case *s.PseudoAttribute == "REGION":
		return fault.Region.Name, true, true
	default:
		return fault.Zone.Name, true, true
	}
}
