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
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// resizing is what a GROW_VOLUME or SHRINK_VOLUME does to resources, if it is
// valid (Mesos master/validation.cpp operation::validate, common/resources_utils.cpp
// getResourceConversions). role fills in for a missing allocation.
func resizing(op *mesos.Offer_Operation, role string) (resource.Conversion, error) {
	allocated := func(r *mesos.Resource) resource.Resources {
		rs := resource.Resources{resource.FromProto(r)}
		if r.AllocationInfo == nil && role != "" {
			rs = rs.WithAlloc(role)
		}
		return rs
	}
	if op.Type == mesos.Offer_Operation_GROW_VOLUME {
		g := op.GrowVolume
		if g == nil {
			return resource.Conversion{}, errors.New("Expecting 'grow_volume' to be present")
		}
		return growing(g, allocated(&g.Volume), allocated(&g.Addition))
	}
	s := op.ShrinkVolume
	if s == nil {
		return resource.Conversion{}, errors.New("Expecting 'shrink_volume' to be present")
	}
	return shrinking(s, allocated(&s.Volume))
}

func growing(g *mesos.Offer_Operation_GrowVolume, volume, addition resource.Resources) (c resource.Conversion, err error) {
	if err := resource.Validate(&g.Volume); err != nil {
		return c, fmt.Errorf("Invalid resource in the 'GrowVolume.volume' field: %w", err)
	}
	if err := resource.Validate(&g.Addition); err != nil {
		return c, fmt.Errorf("Invalid resource in the 'GrowVolume.addition' field: %w", err)
	}
	if addition[0].Milli <= 0 {
		return c, errors.New("The size of 'GrowVolume.addition' field must be greater than zero")
	}
	if err := resizable(&g.Volume, "Growing"); err != nil {
		return c, err
	}
	if len(volume.WithoutVolumes().Add(addition)) != 1 {
		return c, errors.New("Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields")
	}
	grown := volume.Clone()
	grown[0].Milli += addition[0].Milli
	return resource.Conversion{Consumed: volume.Add(addition), Converted: grown}, nil
}

func shrinking(s *mesos.Offer_Operation_ShrinkVolume, volume resource.Resources) (c resource.Conversion, err error) {
	if err := resource.Validate(&s.Volume); err != nil {
		return c, fmt.Errorf("Invalid resource in the 'ShrinkVolume.volume' field: %w", err)
	}
	less := resource.MilliOf(s.Subtract.Value)
	if less <= 0 {
		return c, errors.New("Value of 'ShrinkVolume.subtract' must be greater than zero")
	}
	if volume[0].Milli <= less {
		return c, errors.New("Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'")
	}
	if err := resizable(&s.Volume, "Shrinking"); err != nil {
		return c, err
	}
	if s.Volume.Disk.GetSource().GetType() == mesos.Resource_DiskInfo_Source_MOUNT {
		return c, errors.New("Shrinking a volume on a MOUNT disk is not supported")
	}
	shrunk := volume.Clone()
	shrunk[0].Milli -= less
	freed := volume.WithoutVolumes()
	freed[0].Milli = less
	return resource.Conversion{Consumed: volume, Converted: shrunk.Add(freed)}, nil
}

// resizable refuses what cannot be resized at all.
func resizable(volume *mesos.Resource, doing string) error {
	if err := persistentVolumes([]mesos.Resource{*volume}); err != nil {
		return err
	}
	switch {
	case volume.GetType() != mesos.SCALAR:
		return errors.New("A persistent volume must be a scalar")
	case volume.ProviderID != nil:
		return fmt.Errorf("%s a volume from a resource provider is not supported", doing)
	case volume.Shared != nil:
		return fmt.Errorf("%s a shared persistent volume is not supported", doing)
	}
	return nil
}

// resize runs a GROW_VOLUME or SHRINK_VOLUME: unlike those of other operations, its
// results cannot be used in the same ACCEPT; they are offered again once the agent
// has done it (Mesos protobuf::isSpeculativeOperation).
func (r *acceptance) resize(op *mesos.Offer_Operation) {
	c, err := resizing(op, r.role)
	if err != nil {
		r.rejectOperation(op, err.Error()+"; on agent "+r.agent.String())
		return
	}
	if _, err = r.left.Apply(c); err == nil {
		err = r.m.alloc.Convert(r.f.id, r.agent.id, c.Consumed, c.Converted)
	}
	if err != nil {
		r.rejectOperation(op, err.Error())
		return
	}
	r.left = r.left.Sub(c.Consumed)
	r.offered = r.offered.Sub(c.Consumed)
	r.m.apply(r.f, r.agent, op, c.Unallocated())
	r.m.recoverRes(r.f, r.agent, r.role, c.Converted, 0)
}

// operatorResize is GROW_VOLUME or SHRINK_VOLUME of an operator.
func (m *Master) operatorResize(c *master.Call) Response {
	var op mesos.Offer_Operation
	var agentID string
	if c.Type == master.Call_GROW_VOLUME {
		agentID = c.GrowVolume.GetAgentID().GetValue()
		op = mesos.Offer_Operation{Type: mesos.Offer_Operation_GROW_VOLUME, GrowVolume: &mesos.Offer_Operation_GrowVolume{
			Volume: c.GrowVolume.Volume, Addition: c.GrowVolume.Addition,
		}}
	} else {
		agentID = c.ShrinkVolume.GetAgentID().GetValue()
		op = mesos.Offer_Operation{Type: mesos.Offer_Operation_SHRINK_VOLUME, ShrinkVolume: &mesos.Offer_Operation_ShrinkVolume{
			Volume: c.ShrinkVolume.Volume, Subtract: c.ShrinkVolume.Subtract,
		}}
	}
	a := m.agents[agentID]
	if a == nil {
		return badRequest("No agent found with specified ID")
	}
	conversion, err := resizing(&op, "")
	if err != nil {
		return badRequest("Invalid " + op.Type.String() + " operation on agent " + a.String() + ": " + err.Error())
	}
	return m.convertFree(a, &op, conversion)
}
