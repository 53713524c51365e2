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
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// Field numbers of the terms in v1/mesos.proto and v1/scheduler.proto.
const (
	fieldOfferFilters = 13 // of FrameworkInfo
	fieldKey          = 1  // of an entry of any map
	fieldEntry        = 2
	// fieldOnly is the one field of OfferFilters, its MinAllocatableResources and
	// ResourceQuantities, and of OfferConstraints, its RoleConstraints and Group.
	fieldOnly = 1

	// Of AttributeConstraint.
	fieldSelector  = 1
	fieldPredicate = 2
	// Of AttributeConstraint.Selector.
	fieldPseudoAttribute = 1
	fieldAttributeName   = 2
	// pseudoHostname is PseudoAttributeType HOSTNAME.
	pseudoHostname = 1
)

// predicates are the field numbers of AttributeConstraint.Predicate.
var predicates = map[terms.Op]protowire.Number{
	terms.Exists: 1, terms.NotExists: 2, terms.Equals: 3, terms.NotEquals: 4,
}

// validateTerms refuses what the master would refuse (Mesos OfferConstraintsFilter::create)
// or take for another text than is meant.
func validateTerms(t terms.Terms) error {
	for _, group := range t.Constraints {
		if len(group) == 0 {
			return fmt.Errorf("%w: an empty group of offer constraints", ErrTermsRefused)
		}
		for _, c := range group {
			if predicates[c.Op] == 0 {
				return fmt.Errorf("%w: the offer constraint on %q compares by %q, which is unknown", ErrTermsRefused, c.Attribute, c.Op)
			}
			if !utf8.ValidString(c.Attribute) || !utf8.ValidString(c.Value) {
				return fmt.Errorf("%w: the offer constraint on %q is no UTF-8", ErrTermsRefused, c.Attribute)
			}
		}
	}
	return nil
}

// byName returns the roles in the order of their names: the same terms are always the
// same bytes.
func (r roleSet) byName() []RoleAsk {
	return slices.SortedFunc(slices.Values(r), func(a, b RoleAsk) int { return strings.Compare(a.Name, b.Name) })
}

// filters are the fields FrameworkInfo.offer_filters: for each role whose terms have a
// Min. Masters heed them from Mesos 1.8 on and skip the field before.
func (r roleSet) filters() []byte {
	var out []byte
	for _, ask := range r.byName() {
		if ask.Terms.Min != nil {
			out = appendMessage(out, fieldOfferFilters, entryOf(ask.Name, appendMessage(nil, fieldOnly, minOf(*ask.Terms.Min))))
		}
	}
	return out
}

// minOf encodes OfferFilters.MinAllocatableResources: one set of quantities, all of
// which an offer must hold, or none, which any offer satisfies. A set without any
// quantity would be refused (Mesos validateOfferFilters).
func minOf(v resources.Vector) []byte {
	var set []byte
	for _, q := range []struct {
		name string
		kind resources.Kind
	}{{"cpus", resources.CPU}, {"disk", resources.Disk}, {"gpus", resources.GPU}, {"mem", resources.Memory}} {
		if v[q.kind] > 0 {
			set = appendMessage(set, fieldOnly, entryOf(q.name, scalarOnWire(v[q.kind])))
		}
	}
	if set == nil {
		return nil
	}
	return appendMessage(nil, fieldOnly, set)
}

// scalarOnWire encodes Value.Scalar of thousandths.
func scalarOnWire(milli int64) []byte {
	b := protowire.AppendTag(nil, fieldValue, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(float64(milli)/1000))
}

// constraints encodes OfferConstraints, nil if no role has any: the master refuses a
// role without groups.
func (r roleSet) constraints() []byte {
	var out []byte
	for _, ask := range r.byName() {
		if len(ask.Terms.Constraints) == 0 {
			continue
		}
		var groups []byte
		for _, group := range ask.Terms.Constraints {
			var all []byte
			for _, c := range group {
				all = appendMessage(all, fieldOnly, constraintOf(c))
			}
			groups = appendMessage(groups, fieldOnly, all)
		}
		out = appendMessage(out, fieldOnly, entryOf(ask.Name, groups))
	}
	return out
}

// constraintOf encodes AttributeConstraint.
func constraintOf(c terms.Constraint) []byte {
	var selector, operand []byte
	if c.Attribute == "" {
		selector = protowire.AppendVarint(protowire.AppendTag(nil, fieldPseudoAttribute, protowire.VarintType), pseudoHostname)
	} else {
		selector = appendMessage(nil, fieldAttributeName, []byte(c.Attribute))
	}
	if c.Op == terms.Equals || c.Op == terms.NotEquals {
		operand = appendMessage(nil, fieldValue, []byte(c.Value))
	}
	out := appendMessage(nil, fieldSelector, selector)
	return appendMessage(out, fieldPredicate, appendMessage(nil, predicates[c.Op], operand))
}

// entryOf encodes an entry of a map from strings to messages.
func entryOf(key string, message []byte) []byte {
	return appendMessage(appendMessage(nil, fieldKey, []byte(key)), fieldEntry, message)
}
