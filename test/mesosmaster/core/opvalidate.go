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

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// opValidator checks the operations of one ACCEPT, or of an operator if f is nil
// (Mesos master/validation.cpp operation::validate; texts as recorded where a
// recording has them).
type opValidator struct {
	agent     *agent
	f         *framework
	principal *string // of whoever asks, nil if not authenticated
	total     resource.Resources
}

func (v *opValidator) validate(op *mesos.Offer_Operation, list []mesos.Resource) error {
	if err := oneProvider(list); err != nil {
		return fmt.Errorf("Invalid resources: %w", err)
	}
	switch op.Type {
	case mesos.Offer_Operation_RESERVE:
		if v.f != nil && len(op.GetReserve().GetSource()) > 0 {
			return errors.New("Reservation updates are not yet implemented for the scheduler API.") //nolint:revive // the master's words
		}
		return each(list, v.reserve)
	case mesos.Offer_Operation_UNRESERVE:
		return each(list, v.unreserve)
	case mesos.Offer_Operation_CREATE:
		return v.create(list)
	default:
		return v.destroy(list)
	}
}

// oneProvider refuses resources of several providers, and, with the same words,
// an empty list: zero is not one.
func oneProvider(list []mesos.Resource) error {
	ids := map[string]bool{}
	for i := range list {
		ids[list[i].GetProviderID().GetValue()] = true
	}
	if len(ids) == 1 {
		return nil
	}
	text := ""
	for i, id := range sortedKeys(ids) {
		if i > 0 {
			text += ", "
		}
		text += id
	}
	return fmt.Errorf("The resources have multiple resource providers: %s", text)
}

func each(list []mesos.Resource, check func(resource.Resource) error) error {
	for i := range list {
		if err := check(resource.FromProto(&list[i])); err != nil {
			return err
		}
	}
	return nil
}

func (v *opValidator) reserve(r resource.Resource) error {
	if !r.Flavor.DynamicallyReserved() {
		return fmt.Errorf("Resource %s is not dynamically reserved", r.String())
	}
	if err := v.samePrincipal(r.Flavor.Principal()); err != nil {
		return err
	}
	if err := v.allocationRole(r); err != nil {
		return err
	}
	if r.Flavor.PersistenceID() != "" {
		return fmt.Errorf("A persistent volume %s must already be reserved", r.String())
	}
	if r.Flavor.Revocable() {
		return fmt.Errorf("Resource %s is revocable and cannot be reserved", r.String())
	}
	return nil
}

func (v *opValidator) samePrincipal(of *string) error {
	switch {
	case v.principal == nil:
		return nil
	case of == nil:
		return fmt.Errorf("A reserve operation was attempted by principal '%s', but there is a reserved resource in the request with no principal set", *v.principal)
	case *of != *v.principal:
		return fmt.Errorf("A reserve operation was attempted by authenticated principal '%s', but there is a reserved resource in the request with principal '%s'", *v.principal, *of)
	}
	return nil
}

// allocationRole: a framework reserves what is allocated to the role of the
// reservation, an operator what is allocated to none.
func (v *opValidator) allocationRole(r resource.Resource) error {
	switch {
	case v.f == nil && r.Alloc != "":
		return errors.New("A reserve operation was attempted with an allocated resource, but the operator API only allows reservations to be made to unallocated resources")
	case v.f == nil:
		return nil
	case r.Alloc != r.Flavor.Role():
		return fmt.Errorf("A reserve operation was attempted for a resource with role '%s', but the resource was allocated to role '%s'", r.Flavor.Role(), r.Alloc)
	case !v.f.roles[r.Alloc]:
		return fmt.Errorf("A reserve operation was attempted for a resource allocated to role '%s', but the framework only has roles '%s'", r.Alloc, braces(sortedKeys(v.f.roles)))
	}
	return nil
}

func (v *opValidator) unreserve(r resource.Resource) error {
	if !r.Flavor.DynamicallyReserved() {
		return fmt.Errorf("Resource %s is not dynamically reserved", r.String())
	}
	if r.Flavor.PersistenceID() != "" {
		return fmt.Errorf("A dynamically reserved persistent volume %s cannot be unreserved directly. Please destroy the persistent volume first then unreserve the resource", r.String())
	}
	return nil
}

// persistentVolumes refuses what is not a persistent volume.
func persistentVolumes(list []mesos.Resource) error {
	return each(list, func(r resource.Resource) error {
		d := r.Flavor.Disk()
		switch {
		case d == nil:
			return fmt.Errorf("Not a persistent volume: Resource %s does not have DiskInfo", r.String())
		case d.Persistence == nil:
			return errors.New("Not a persistent volume: 'persistence' is not set in DiskInfo")
		case d.Volume.GetMode() == mesos.RO:
			return errors.New("Not a persistent volume: Read-only persistent volume not supported")
		}
		if err := resource.ValidID(d.Persistence.ID); err != nil {
			return fmt.Errorf("Not a persistent volume: %w", err)
		}
		return nil
	})
}

func (v *opValidator) create(list []mesos.Resource) error {
	if err := persistentVolumes(list); err != nil {
		return err
	}
	seen := map[[2]string]bool{}
	for i := range v.total {
		seen[[2]string{v.total[i].Flavor.Role(), v.total[i].Flavor.PersistenceID()}] = true
	}
	return each(list, func(r resource.Resource) error {
		id := r.Flavor.PersistenceID()
		key := [2]string{r.Flavor.Role(), id}
		if seen[key] {
			return fmt.Errorf("Persistence ID '%s' is not unique", id)
		}
		seen[key] = true
		of := r.Flavor.Disk().GetPersistence().Principal
		switch {
		case v.principal == nil:
			return nil
		case of == nil:
			return fmt.Errorf("Create volume operation has been attempted by principal '%s', but there is a volume in the operation with no principal set in 'DiskInfo.Persistence'", *v.principal)
		case *of != *v.principal:
			return fmt.Errorf("Create volume operation has been attempted by principal '%s', but there is a volume in the operation with principal '%s' set in 'DiskInfo.Persistence'", *v.principal, *of)
		}
		return nil
	})
}

func (v *opValidator) destroy(list []mesos.Resource) error {
	if err := persistentVolumes(list); err != nil {
		return err
	}
	volumes := resource.FromProtos(list).WithAlloc("")
	if !v.total.Contains(volumes) {
		return errors.New("Persistent volumes not found")
	}
	for _, t := range v.agent.tasks {
		if used := t.res.WithAlloc(""); t.charged && len(used.Sub(volumes)) != len(used) {
			return errors.New("Persistent volumes in use")
		}
	}
	return nil
}
