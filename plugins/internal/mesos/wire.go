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

	"google.golang.org/protobuf/encoding/protowire"
)

// consumeField takes the first field off a message. value is the payload of a
// length-delimited field and the raw encoding of any other. Nearly all fields
// have a tag of one byte and a length of one or two: those are read here, all
// others and everything malformed by protowire.
func consumeField(b []byte) (num protowire.Number, typ protowire.Type, rest, value []byte, err error) {
	if len(b) >= 3 && b[0] < 0x80 && b[0] >= 8 {
		num, typ = protowire.Number(b[0]>>3), protowire.Type(b[0]&7)
		switch typ {
		case protowire.BytesType:
			n, start := int(b[1]), 2
			if n >= 0x80 && b[2] < 0x80 {
				n, start = n&0x7f|int(b[2])<<7, 3
			}
			if (n < 0x80 || start == 3) && n <= len(b)-start {
				return num, typ, b[start+n:], b[start : start+n], nil
			}
		case protowire.VarintType:
			if b[1] < 0x80 {
				return num, typ, b[2:], b[1:2], nil
			}
		case protowire.Fixed64Type:
			if len(b) >= 9 {
				return num, typ, b[9:], b[1:9], nil
			}
		}
	}
	return consumeAnyField(b)
}

// consumeAnyField is consumeField for every encoding.
func consumeAnyField(b []byte) (num protowire.Number, typ protowire.Type, rest, value []byte, err error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, nil, fmt.Errorf("%w: %w", errWire, protowire.ParseError(n))
	}
	b = b[n:]
	if typ == protowire.BytesType {
		value, n = protowire.ConsumeBytes(b)
		if n < 0 {
			return 0, 0, nil, nil, fmt.Errorf("%w: field %d: %w", errWire, num, protowire.ParseError(n))
		}
		return num, typ, b[n:], value, nil
	}
	n = protowire.ConsumeFieldValue(num, typ, b)
	if n < 0 {
		return 0, 0, nil, nil, fmt.Errorf("%w: field %d: %w", errWire, num, protowire.ParseError(n))
	}
	return num, typ, b[n:], b[:n], nil
}

// consumeValue reads field 1, length-delimited, of a message; nil if absent. Of
// several the last counts, as protobuf has it for a string.
func consumeValue(b []byte) (found []byte, err error) {
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return nil, err
		}
		b = rest
		if num != fieldValue {
			continue
		}
		if typ != protowire.BytesType {
			return nil, fmt.Errorf("%w: field %d has wire type %d", errWire, num, typ)
		}
		found = value
	}
	return found, nil
}

// consumeDouble reads field 1, a double, of a message. It must be there.
func consumeDouble(b []byte) (float64, error) {
	var bits uint64
	var seen bool
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return 0, err
		}
		b = rest
		if num != fieldValue {
			continue
		}
		v, n := protowire.ConsumeFixed64(value)
		if typ != protowire.Fixed64Type || n < 0 {
			return 0, fmt.Errorf("%w: a scalar has wire type %d", errWire, typ)
		}
		bits, seen = v, true
	}
	if !seen {
		return 0, fmt.Errorf("%w: a scalar without a value", errOffer)
	}
	return math.Float64frombits(bits), nil
}

const (
	// maxInterned bounds the interner: three names for each of 40,000 agents.
	maxInterned = 1 << 17
	// maxInternedBytes is the longest string worth keeping.
	maxInternedBytes = 255
	// maxPortSets and maxFlavours bound the memos of ports and of reservations.
	maxPortSets, maxFlavours = 1 << 15, 1 << 15
	// maxMemoBytes is the longest encoding worth keeping: some hundred holes in the
	// ports, or a reservation with many labels.
	maxMemoBytes = 1 << 10
)

// interner gives equal bytes the same string. It forgets everything when full:
// a cluster's names are few, so that happens only if ids change for long.
type interner struct {
	known map[string]string
	limit int
}

func newInterner(limit int) *interner {
	return &interner{known: map[string]string{}, limit: limit}
}

func (i *interner) intern(b []byte) string {
	if s, ok := i.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(b) > maxInternedBytes {
		return s
	}
	if len(i.known) >= i.limit {
		clear(i.known)
	}
	i.known[s] = s
	return s
}

// memo gives equal encodings the value that parse made of the first: values are
// shared and never changed. It forgets everything when full, as the interner does.
type memo[T any] struct {
	parse func([]byte) (T, error)
	known map[string]memoized[T]
	limit int
	// last most often comes again: agents are much alike.
	last memoized[T]
}

type memoized[T any] struct {
	encoding string
	value    T
}

func newMemo[T any](limit int, parse func([]byte) (T, error)) *memo[T] {
	return &memo[T]{parse: parse, known: map[string]memoized[T]{}, limit: limit}
}

func (m *memo[T]) get(b []byte) (T, error) {
	if len(b) > 0 && m.last.encoding == string(b) {
		return m.last.value, nil
	}
	if known, ok := m.known[string(b)]; ok {
		m.last = known
		return known.value, nil
	}
	value, err := m.parse(b)
	if err != nil || len(b) == 0 || len(b) > maxMemoBytes {
		return value, err
	}
	if len(m.known) >= m.limit {
		clear(m.known)
	}
	m.last = memoized[T]{string(b), value}
	m.known[m.last.encoding] = m.last
	return value, nil
}
