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
	mesosv1 "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// resourceJSON is a resource as the master's pages list it: the protobuf as JSON,
// with role and reservation beside reservations for older readers (Mesos
// convertResourceFormat, ENDPOINT).
type resourceJSON struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Scalar struct {
		Value float64 `json:"value"`
	} `json:"scalar"`
	Ranges struct {
		Range []struct {
			Begin uint64 `json:"begin"`
			End   uint64 `json:"end"`
		} `json:"range"`
	} `json:"ranges"`
	Reservations []reservationJSON `json:"reservations"`
	Revocable    *struct{}         `json:"revocable"`
	Shared       *struct{}         `json:"shared"`
	Disk         *struct{}         `json:"disk"`
	ProviderID   *struct{}         `json:"provider_id"`
}

type reservationJSON struct {
	Type      string  `json:"type"`
	Role      *string `json:"role"`
	Principal *string `json:"principal"`
	Labels    *struct {
		Labels []struct {
			Key   string  `json:"key"`
			Value *string `json:"value"`
		} `json:"labels"`
	} `json:"labels"`
}

// reservedPortions are the reserved ones of the resources, by flavour. An amount that
// is none is left out.
func reservedPortions(found []resourceJSON, flavours *memo[*resources.Flavour]) (list []resources.Portion) {
	for i := range found {
		r := &found[i]
		if len(r.Reservations) == 0 || r.Revocable != nil || r.Shared != nil || r.Disk != nil || r.ProviderID != nil {
			continue
		}
		bundle := r.bundle()
		if bundle.IsZero() {
			continue
		}
		wire, err := r.wire()
		if err != nil {
			continue
		}
		flavour, err := flavours.get(wire)
		if err != nil {
			continue
		}
		of := bundleOf(&list, flavour)
		*of = of.Add(bundle)
	}
	return list
}

func (r *resourceJSON) bundle() (b resources.Bundle) {
	amount, ok := resources.FromMesosScalar(r.Scalar.Value)
	switch kind, known := resources.KindOfMesos(r.Name); {
	case r.Type == mesosv1.RANGES.String() && r.Name == resources.PortsName:
		list := make([]resources.Range, 0, len(r.Ranges.Range))
		for _, one := range r.Ranges.Range {
			list = append(list, resources.Range{Begin: one.Begin, End: one.End})
		}
		b.Ports = resources.NewRanges(list...)
	case r.Type != mesosv1.SCALAR.String() || !ok || amount == 0 || r.Name == resources.PortsName:
	case known:
		b.Vector[kind] = amount
	default:
		b.Scalars = resources.Scalars{{Name: r.Name, Milli: amount}}
	}
	return b
}

// wire is the reservation stack as the master encodes it in offers: both encode the
// fields in the order of their numbers, so that a flavour is the same here and there.
func (r *resourceJSON) wire() ([]byte, error) {
	scalar := mesosv1.SCALAR
	all := mesosv1.Resource{Type: &scalar, Reservations: make([]mesosv1.Resource_ReservationInfo, len(r.Reservations))}
	for i, one := range r.Reservations {
		kind := mesosv1.Resource_ReservationInfo_Type(mesosv1.Resource_ReservationInfo_Type_value[one.Type])
		info := mesosv1.Resource_ReservationInfo{Type: &kind, Role: one.Role, Principal: one.Principal}
		if one.Labels != nil {
			info.Labels = &mesosv1.Labels{}
			for _, l := range one.Labels.Labels {
				info.Labels.Labels = append(info.Labels.Labels, mesosv1.Label{Key: l.Key, Value: l.Value})
			}
		}
		all.Reservations[i] = info
	}
	b, err := all.Marshal()
	if err != nil {
		return nil, err
	}
	return b[len(resourcePrefix):], nil
}
