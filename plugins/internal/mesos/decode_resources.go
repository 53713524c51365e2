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

	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kube-mesos/kube-mesos/plugins/internal/offers"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Field numbers and values of v1 mesos.proto's Resource and Value.
const (
	fieldResourceName         = 1
	fieldResourceType         = 2
	fieldResourceScalar       = 3
	fieldResourceRanges       = 4
	fieldResourceRole         = 6
	fieldResourceDisk         = 7
	fieldResourceReservation  = 8
	fieldResourceRevocable    = 9
	fieldResourceShared       = 10
	fieldResourceProviderID   = 12
	fieldResourceReservations = 13

	fieldRangeBegin = 1
	fieldRangeEnd   = 2

	valueTypeScalar = 0
	valueTypeRanges = 1
)

// resourceEntry is one entry of Offer.resources.
type resourceEntry struct {
	name   []byte
	scalar float64
	// ranges is the message Value.Ranges.
	ranges []byte
	// stack is all fields "reservations", with their tags.
	stack []byte
	// stackEnd is how many bytes followed the last of them.
	stackEnd             int
	kind                 uint64
	typed, hasScalar     bool
	revocable, untouched bool
}

// resource adds one entry to the offer, among the resources of its flavour. Left
// out is what no task of ours can ask for: shared resources, those of resource
// providers, disks with a source or a volume, sets, ranges other than ports, and
// the format from before the refinement of reservations, which no master sends to
// a framework with our capabilities.
func (d *offerDecoder) resource(o *offers.Offer, b []byte) error {
	var r resourceEntry
	if err := r.read(b); err != nil {
		return err
	}
	if len(r.name) == 0 || !r.typed || (r.kind == valueTypeScalar && !r.hasScalar) {
		return fmt.Errorf("%w: a resource without name, type or value", errOffer)
	}
	switch {
	case r.untouched:
		return nil
	case r.kind == valueTypeScalar:
		return d.addScalar(o, &r)
	case r.kind == valueTypeRanges && string(r.name) == resources.PortsName:
		return d.addPorts(o, &r)
	}
	return nil
}

func (d *offerDecoder) addScalar(o *offers.Offer, r *resourceEntry) error {
	kind, known := resources.KindOfMesos(string(r.name))
	amount, ok := resources.FromMesosScalar(r.scalar)
	if !known && (!ok || string(r.name) == resources.PortsName) {
		// Anything may bear another name, and none of it is needed as a rule.
		return nil
	}
	if !ok {
		return fmt.Errorf("%w: %s is %v", errOffer, kind.MesosName(), r.scalar)
	}
	if amount == 0 {
		return nil
	}
	free, err := d.bundle(o, r)
	if err != nil {
		return err
	}
	if !known {
		free.Scalars = free.Scalars.Add(resources.Scalars{{Name: d.names.intern(r.name), Milli: amount}})
		return nil
	}
	if amount > math.MaxInt64-free.Vector[kind] {
		return fmt.Errorf("%w: %s is %v", errOffer, kind.MesosName(), r.scalar)
	}
	free.Vector[kind] += amount
	return nil
}

func (d *offerDecoder) addPorts(o *offers.Offer, r *resourceEntry) error {
	ports, err := d.ports.get(r.ranges)
	if err != nil || len(ports) == 0 {
		return err
	}
	free, err := d.bundle(o, r)
	if err != nil {
		return err
	}
	if free.Ports == nil {
		free.Ports = ports
	} else {
		free.Ports = free.Ports.Add(ports)
	}
	return nil
}

// bundle is where resources of the entry's flavour are counted.
func (d *offerDecoder) bundle(o *offers.Offer, r *resourceEntry) (*resources.Bundle, error) {
	if !r.revocable && len(r.stack) == 0 {
		return &o.Unreserved, nil
	}
	flavour := resources.RevocableFlavour
	if len(r.stack) > 0 {
		var err error
		if flavour, err = d.flavours.get(r.stack); err != nil {
			return nil, err
		}
		if r.revocable {
			// No master makes such resources (Mesos Resources::validate).
			both := *flavour
			both.Revocable = true
			flavour = &both
		}
	}
	return bundleOf(&o.Special, flavour), nil
}

// bundleOf finds the portion of a flavour, or makes one.
func bundleOf(list *[]resources.Portion, flavour *resources.Flavour) *resources.Bundle {
	for i := range *list {
		if (*list)[i].Flavour.Equal(flavour) {
			return &(*list)[i].Bundle
		}
	}
	*list = append(*list, resources.Portion{Flavour: flavour})
	return &(*list)[len(*list)-1].Bundle
}

// read reads all fields of an entry.
func (r *resourceEntry) read(b []byte) error {
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return err
		}
		if num == fieldResourceReservations {
			r.reserved(b, len(rest))
		}
		b = rest
		if err := r.field(num, typ, value); err != nil {
			return err
		}
	}
	return nil
}

// reserved keeps the field at the start of b, which ends where rest bytes are left.
// As a rule the stack is in one piece and can stay where it is.
func (r *resourceEntry) reserved(b []byte, rest int) {
	field := b[:len(b)-rest]
	switch {
	case len(r.stack) == 0:
		r.stack = field
	case r.stackEnd == len(b):
		r.stack = r.stack[:len(r.stack)+len(field)]
	default:
		r.stack = append(r.stack[:len(r.stack):len(r.stack)], field...)
		rest = -1
	}
	r.stackEnd = rest
}

// field reads one field of an entry.
func (r *resourceEntry) field(num protowire.Number, typ protowire.Type, value []byte) (err error) {
	want := protowire.BytesType
	switch num {
	case fieldResourceType:
		v, n := protowire.ConsumeVarint(value)
		if typ == protowire.VarintType && n > 0 {
			r.typed, r.kind = true, v
		}
		want = protowire.VarintType
	case fieldResourceName:
		r.name = value
	case fieldResourceScalar:
		r.hasScalar = true
		if typ == protowire.BytesType {
			r.scalar, err = consumeDouble(value)
		}
	case fieldResourceRanges:
		if len(r.ranges) > 0 {
			// Protobuf merges the pieces of a message.
			value = append(r.ranges[:len(r.ranges):len(r.ranges)], value...)
		}
		r.ranges = value
	case fieldResourceRole:
		r.untouched = r.untouched || string(value) != "*"
	case fieldResourceDisk, fieldResourceReservation, fieldResourceShared, fieldResourceProviderID:
		r.untouched = true
	case fieldResourceRevocable:
		r.revocable = true
	case fieldResourceReservations:
	default:
		return nil
	}
	if typ != want {
		return fmt.Errorf("%w: field %d of a resource has wire type %d", errWire, num, typ)
	}
	return err
}

// parseRanges reads Value.Ranges.
func parseRanges(b []byte) (resources.Ranges, error) {
	var list []resources.Range
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
			return nil, fmt.Errorf("%w: a range has wire type %d", errWire, typ)
		}
		one, err := parseRange(value)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return resources.NewRanges(list...), nil
}

func parseRange(b []byte) (r resources.Range, err error) {
	var begins, ends bool
	for len(b) > 0 {
		num, typ, rest, value, err := consumeField(b)
		if err != nil {
			return r, err
		}
		b = rest
		if num != fieldRangeBegin && num != fieldRangeEnd {
			continue
		}
		v, n := protowire.ConsumeVarint(value)
		if typ != protowire.VarintType || n < 0 {
			return r, fmt.Errorf("%w: an end of a range has wire type %d", errWire, typ)
		}
		if num == fieldRangeBegin {
			r.Begin, begins = v, true
		} else {
			r.End, ends = v, true
		}
	}
	if !begins || !ends {
		return r, fmt.Errorf("%w: a range with one end", errOffer)
	}
	return r, nil
}

// parseFlavour reads the fields "reservations" of a resource.
func parseFlavour(b []byte) (*resources.Flavour, error) {
	f := &resources.Flavour{Wire: string(b)}
	stack, err := parseStack(f.Wire)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOffer, err)
	}
	for _, r := range stack {
		one := resources.Reservation{
			Role: r.GetRole(), Principal: r.GetPrincipal(),
			Dynamic: r.GetType() == mesosv1.Resource_ReservationInfo_DYNAMIC,
		}
		for _, l := range r.GetLabels().GetLabels() {
			one.Labels = append(one.Labels, resources.Label{Key: l.Key, Value: l.GetValue()})
		}
		f.Reservations = append(f.Reservations, one)
	}
	return f, nil
}
