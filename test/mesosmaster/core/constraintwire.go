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

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of v1/scheduler.proto.
const (
	callType            = 2
	callSubscribe       = 3
	callUpdateFramework = 19
	offerConstraints    = 3 // in Subscribe and in UpdateFramework
)

// CallHasType tells whether the encoded Call has its type field at all: the
// generated type cannot tell an absent one from UNKNOWN (0).
func CallHasType(body []byte) (has bool, err error) {
	err = eachField(body, func(n protowire.Number, _ []byte, _ uint64) error {
		has = has || n == callType
		return nil
	})
	return has, err
}

// DecodeConstraints collects the offer constraints of an encoded Call, from all
// occurrences of the enclosing members, as protobuf merges them.
func DecodeConstraints(body []byte) (OfferConstraints, error) {
	c := OfferConstraints{}
	err := eachField(body, func(n protowire.Number, member []byte, _ uint64) error {
		if n != callSubscribe && n != callUpdateFramework {
			return nil
		}
		return eachField(member, func(n protowire.Number, b []byte, _ uint64) error {
			if n != offerConstraints {
				return nil
			}
			return eachField(b, func(n protowire.Number, entry []byte, _ uint64) error {
				if n != 1 {
					return nil
				}
				return decodeEntry(&c, entry)
			})
		})
	})
	return c, err
}

// eachField calls visit for each field: length-delimited ones with their bytes,
// varints with their value, others with neither.
func eachField(b []byte, visit func(n protowire.Number, data []byte, v uint64) error) error {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return fmt.Errorf("protobuf tag: %w", protowire.ParseError(size))
		}
		b = b[size:]
		var data []byte
		var v uint64
		switch typ {
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return fmt.Errorf("protobuf field %d: %w", n, protowire.ParseError(size))
		}
		b = b[size:]
		if err := visit(n, data, v); err != nil {
			return err
		}
	}
	return nil
}

func decodeEntry(c *OfferConstraints, entry []byte) error {
	role := ""
	rc := RoleConstraints{}
	err := eachField(entry, func(n protowire.Number, b []byte, _ uint64) error {
		switch n {
		case 1:
			role = string(b)
		case 2:
			return eachField(b, func(n protowire.Number, g []byte, _ uint64) error {
				if n != 1 {
					return nil
				}
				group, err := decodeGroup(g)
				rc.Groups = append(rc.Groups, group)
				return err
			})
		}
		return nil
	})
	if c.RoleConstraints == nil {
		c.RoleConstraints = map[string]RoleConstraints{}
	}
	c.RoleConstraints[role] = rc
	return err
}

func decodeGroup(b []byte) (ConstraintGroup, error) {
	g := ConstraintGroup{}
	err := eachField(b, func(n protowire.Number, b []byte, _ uint64) error {
		if n != 1 {
			return nil
		}
		ac := AttributeConstraint{}
		err := eachField(b, func(n protowire.Number, b []byte, _ uint64) error {
			switch n {
			case 1:
				ac.Selector = &ConstraintSelector{}
				return decodeSelector(ac.Selector, b)
			case 2:
				ac.Predicate = &ConstraintPredicate{}
				return decodePredicate(ac.Predicate, b)
			}
			return nil
		})
		if err == nil && (ac.Selector == nil || ac.Predicate == nil) {
			err = errors.New("attribute constraint without selector or predicate")
		}
		g.AttributeConstraints = append(g.AttributeConstraints, ac)
		return err
	})
	return g, err
}

func decodeSelector(s *ConstraintSelector, b []byte) error {
	names := map[uint64]string{0: "UNKNOWN", 1: "HOSTNAME", 2: "REGION", 3: "ZONE"}
	return eachField(b, func(n protowire.Number, b []byte, v uint64) error {
		switch n {
		case 1:
			if name, ok := names[v]; ok {
				s.PseudoAttribute, s.AttributeName = &name, nil
			}
		case 2:
			name := string(b)
			s.AttributeName, s.PseudoAttribute = &name, nil
		}
		return nil
	})
}

func decodePredicate(p *ConstraintPredicate, b []byte) error {
	return eachField(b, func(n protowire.Number, b []byte, _ uint64) error {
		operand := ""
		err := eachField(b, func(n protowire.Number, b []byte, _ uint64) error {
			if n == 1 {
				operand = string(b)
			}
			return nil
		})
		*p = ConstraintPredicate{} // a oneof: the last one counts
		switch n {
		case 1:
			p.Exists = &ConstraintEmpty{}
		case 2:
			p.NotExists = &ConstraintEmpty{}
		case 3:
			p.TextEquals = &ConstraintText{Value: operand}
		case 4:
			p.TextNotEquals = &ConstraintText{Value: operand}
		case 5:
			p.TextMatches = &ConstraintRegex{Regex: operand}
		case 6:
			p.TextNotMatches = &ConstraintRegex{Regex: operand}
		}
		return err
	})
}
