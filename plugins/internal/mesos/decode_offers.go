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
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Field numbers of v1 scheduler.proto and mesos.proto, as far as the scan reads
// them.
const (
	fieldOffersOffers = 1

	fieldOfferID             = 1
	fieldOfferFrameworkID    = 2
	fieldOfferAgentID        = 3
	fieldOfferHostname       = 4
	fieldOfferResources      = 5
	fieldOfferExecutorIDs    = 6
	fieldOfferUnavailability = 9
	fieldOfferAllocationInfo = 10

	fieldStart    = 1
	fieldDuration = 2

	// fieldValue is the only field of the id messages, Scalar, AllocationInfo, TimeInfo
	// and DurationInfo.
	fieldValue = 1
)

var (
	// errWire is a message that breaks the protobuf wire format.
	errWire = errors.New("malformed protobuf")
	// errOffer is an offer that is well-formed protobuf but not a usable offer.
	errOffer = errors.New("unusable offer")
)

// offerDecoder scans OFFERS straight into domain offers. It keeps its result and
// its strings between events: an allocator brings the same agents over and over.
type offerDecoder struct {
	names    *interner
	ports    *memo[resources.Ranges]
	flavours *memo[*resources.Flavour]
	out      []offers.Offer
	// role is the role of the last offer.
	role string
	// ids collects the offer ids of idBatch offers: one string per batch instead of
	// one per offer. A kept offer so keeps at most a batch of ids alive.
	ids   []byte
	ends  []int
	first int
}

const (
	idBatch = 64
	// keepOffers is how many offers the result keeps room for between events.
	keepOffers = 16384
)

func newOfferDecoder() *offerDecoder {
	return &offerDecoder{
		names:    newInterner(maxInterned),
		ports:    newMemo(maxPortSets, parseRanges),
		flavours: newMemo(maxFlavours, parseFlavour),
	}
}

// leftOut are the offers of a record that cannot be used.
type leftOut struct {
	count int
	// ids are those of them that have an id.
	ids []string
	// why is the reason for the last one.
	why error
}

// decode scans one Event.Offers message. The result is valid until the next
// call. An offer that cannot be used is left out; an error means that the message
// itself is broken.
func (d *offerDecoder) decode(b []byte) (list []offers.Offer, left leftOut, err error) {
	d.reset()
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return nil, left, err
		}
		b = rest
		if num != fieldOffersOffers {
			continue
		}
		if typ != protowire.BytesType {
			return nil, left, fmt.Errorf("%w: offers of wire type %d", errWire, typ)
		}
		if id, bad := d.offer(value); bad != nil {
			left.count++
			left.why = bad
			if len(id) > 0 {
				left.ids = append(left.ids, string(id))
			}
		}
	}
	d.nameBatch()
	return d.out, left, nil
}

func (d *offerDecoder) reset() {
	if cap(d.out) > keepOffers {
		d.out = nil
	}
	clear(d.out)
	d.out = d.out[:0]
	d.ids, d.ends, d.first = d.ids[:0], d.ends[:0], 0
}

// rawIDs are the ids of an offer that are no strings of its own.
type rawIDs struct{ offer, framework []byte }

// offer appends one offer to the result, or says why it cannot be used; then id
// is the offer's id, if it came so far.
func (d *offerDecoder) offer(b []byte) (id []byte, err error) {
	var o offers.Offer
	var ids rawIDs
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return ids.offer, err
		}
		b = rest
		if num > fieldOfferAllocationInfo {
			continue
		}
		if typ != protowire.BytesType {
			return ids.offer, fmt.Errorf("%w: field %d of an offer has wire type %d", errWire, num, typ)
		}
		if err := d.field(&o, &ids, num, value); err != nil {
			return ids.offer, err
		}
	}
	if len(ids.offer) == 0 || len(ids.framework) == 0 || o.AgentID == "" || o.Hostname == "" || o.Role == "" {
		return ids.offer, fmt.Errorf("%w: id, framework, agent, hostname or allocation role is missing", errOffer)
	}
	d.append(o, ids.offer)
	return ids.offer, nil
}

// field reads one field of an offer.
func (d *offerDecoder) field(o *offers.Offer, ids *rawIDs, num protowire.Number, value []byte) (err error) {
	switch num {
	case fieldOfferID:
		ids.offer, err = consumeValue(value)
	case fieldOfferFrameworkID:
		ids.framework, err = consumeValue(value)
	case fieldOfferAgentID:
		o.AgentID, err = d.interned(value)
	case fieldOfferHostname:
		o.Hostname = d.names.intern(value)
	case fieldOfferResources:
		err = d.resource(o, value)
	case fieldOfferExecutorIDs:
		var executor string
		executor, err = d.interned(value)
		o.Executors = append(o.Executors, executor)
	case fieldOfferUnavailability:
		o.Unavailability, err = unavailabilityOf(value)
	case fieldOfferAllocationInfo:
		o.Role, err = d.roleOf(value)
	}
	return err
}

// append adds the offer; its id follows with the batch.
func (d *offerDecoder) append(o offers.Offer, id []byte) {
	d.out = append(d.out, o)
	d.ids = append(d.ids, id...)
	d.ends = append(d.ends, len(d.ids))
	if len(d.ends) == idBatch {
		d.nameBatch()
	}
}

// nameBatch gives the offers of the batch their ids.
func (d *offerDecoder) nameBatch() {
	all := string(d.ids)
	start := 0
	for i, end := range d.ends {
		d.out[d.first+i].ID = all[start:end]
		start = end
	}
	d.first = len(d.out)
	d.ids, d.ends = d.ids[:0], d.ends[:0]
}

// interned reads the one string of an id message. It must be there.
func (d *offerDecoder) interned(b []byte) (string, error) {
	value, err := consumeValue(b)
	if err == nil && len(value) == 0 {
		err = fmt.Errorf("%w: an empty id or role", errOffer)
	}
	return d.names.intern(value), err
}

// roleOf reads AllocationInfo. Offers of one role come in a row.
func (d *offerDecoder) roleOf(b []byte) (string, error) {
	value, err := consumeValue(b)
	if err == nil && len(value) > 0 && string(value) == d.role {
		return d.role, nil
	}
	d.role, err = d.interned(b)
	return d.role, err
}

// unavailabilityOf reads Unavailability; without a duration it has no end.
func unavailabilityOf(b []byte) (*offers.Unavailability, error) {
	var start, duration uint64
	var found bool
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return nil, err
		}
		b = rest
		switch {
		case num != fieldStart && num != fieldDuration:
		case typ != protowire.BytesType:
			return nil, fmt.Errorf("%w: field %d of an unavailability has wire type %d", errWire, num, typ)
		case num == fieldStart:
			start, found, err = nanoseconds(value)
		default:
			duration, _, err = nanoseconds(value)
		}
		if err != nil {
			return nil, err
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: an unavailability without a start", errOffer)
	}
	return windowOf(int64(start), int64(duration)), nil
}

// windowOf makes a window of nanoseconds. Masters refuse negative durations.
func windowOf(start, duration int64) *offers.Unavailability {
	return &offers.Unavailability{Start: time.Unix(0, start), Duration: time.Duration(max(0, duration))}
}

// nanoseconds reads the only field of TimeInfo and DurationInfo.
func nanoseconds(b []byte) (v uint64, found bool, err error) {
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return 0, false, err
		}
		b = rest
		if num != fieldValue {
			continue
		}
		var n int
		if v, n = protowire.ConsumeVarint(value); typ != protowire.VarintType || n < 0 {
			return 0, false, fmt.Errorf("%w: a time of an unavailability", errWire)
		}
		found = true
	}
	return v, found, nil
}
