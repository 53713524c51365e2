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

package resources

import (
	"math"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// UnsupportedResourceError says that a pod requests resources of which no Vector
// can hold a claim.
type UnsupportedResourceError struct {
	// Names of the resources, sorted, at least one.
	Names []v1.ResourceName
}

// Error names the resources and what is supported instead.
func (e *UnsupportedResourceError) Error() string {
	names := make([]string, len(e.Names))
	for i, name := range e.Names {
		names[i] = string(name)
	}
	return "pod requests resources that cannot be claimed from Mesos: " + strings.Join(names, ", ") +
		" (supported are cpu, memory and ephemeral-storage)"
}

// ForPod returns what a pod must hold of an agent before it may be bound there.
//
// It is the request kube-scheduler itself computes: the sum over the containers
// and sidecars or the largest init container's moment, if that is more; the
// pod-level request in its place where one is set; plus the pod's overhead. For
// a pod that runs and is being resized in place, the larger of what it requests
// and what the kubelet granted it counts. CPU is rounded up to the milli-core,
// memory and ephemeral-storage to 1/1000 MiB; what exceeds int64 becomes the
// largest int64, which fits nowhere.
//
// The defaults apply to each resource on its own and to the pod as a whole: a
// pod whose total of a resource is zero, be it left out everywhere or written as
// 0, claims the default of it. As soon as the total is more, by one container's
// request or the overhead alone, nothing is added for containers without one.
// Entries of defaults other than cpu, memory and ephemeral-storage are ignored.
//
// A request for more than zero of any other resource is an
// *UnsupportedResourceError.
func ForPod(pod *v1.Pod, defaults v1.ResourceList) (Vector, error) {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{
		// Without granted resources in the status, as in every pending pod, the
		// helper ignores it.
		UseStatusResources: len(pod.Status.ContainerStatuses)+len(pod.Status.InitContainerStatuses) > 0,
	})
	var need Vector
	var unsupported []v1.ResourceName
	for name, quantity := range requests {
		if kind, ok := kindOf(name); ok {
			need[kind] = ceilMilli(kind, quantity)
		} else if !quantity.IsZero() {
			unsupported = append(unsupported, name)
		}
	}
	if len(unsupported) > 0 {
		slices.Sort(unsupported)
		return Vector{}, &UnsupportedResourceError{Names: unsupported}
	}
	for name, quantity := range defaults {
		if kind, ok := kindOf(name); ok && need[kind] == 0 {
			need[kind] = ceilMilli(kind, quantity)
		}
	}
	return need, nil
}

// Requests returns what a pod of any scheduler requests of the kinds there are, as
// ForPod counts it, without defaults; other resources are left out.
func Requests(pod *v1.Pod) Vector {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{
		UseStatusResources: len(pod.Status.ContainerStatuses)+len(pod.Status.InitContainerStatuses) > 0,
	})
	var v Vector
	for name, quantity := range requests {
		if kind, ok := kindOf(name); ok {
			v[kind] = ceilMilli(kind, quantity)
		}
	}
	return v
}

// NodeAllocatable returns what a node's allocatable resources hold for pods,
// rounded down. Resources no Vector counts are left out; what exceeds int64
// becomes the largest int64, what is less than nothing becomes nothing.
func NodeAllocatable(allocatable v1.ResourceList) Vector {
	var v Vector
	for name, quantity := range allocatable {
		if kind, ok := kindOf(name); ok {
			v[kind] = floorMilli(kind, quantity)
		}
	}
	return v
}

func kindOf(name v1.ResourceName) (Kind, bool) {
	switch name {
	case v1.ResourceCPU:
		return CPU, true
	case v1.ResourceMemory:
		return Memory, true
	case v1.ResourceEphemeralStorage:
		return Disk, true
	}
	return 0, false
}

var (
	// Quantity.MilliValue and Quantity.Value do not say when they overflow (they
	// return 0 or wrap around), so that is checked before.
	maxMilli = *resource.NewMilliQuantity(math.MaxInt64, resource.DecimalSI)
	maxValue = *resource.NewQuantity(math.MaxInt64, resource.DecimalSI)
)

// ceilMilli returns a quantity of a kind (cores or bytes) in the kind's unit,
// rounded up. Less than nothing is nothing.
func ceilMilli(kind Kind, quantity resource.Quantity) int64 {
	if quantity.Sign() <= 0 {
		return 0
	}
	if kind == CPU {
		if quantity.Cmp(maxMilli) >= 0 {
			return math.MaxInt64
		}
		return quantity.MilliValue()
	}
	if quantity.Cmp(maxValue) >= 0 {
		return math.MaxInt64
	}
	whole, rest := milliMiB(quantity.Value())
	if rest {
		whole++
	}
	return whole
}

// floorMilli returns a quantity of a kind (cores or bytes) in the kind's unit,
// rounded down. Less than nothing is nothing.
func floorMilli(kind Kind, quantity resource.Quantity) int64 {
	up := ceilMilli(kind, quantity)
	if up == 0 || up == math.MaxInt64 {
		return up
	}
	if kind == CPU {
		if resource.NewMilliQuantity(up, resource.DecimalSI).Cmp(quantity) > 0 {
			return up - 1
		}
		return up
	}
	// Quantity.Value rounds up to whole bytes, so it may be one too many.
	bytes := quantity.Value()
	if resource.NewQuantity(bytes, resource.BinarySI).Cmp(quantity) > 0 {
		bytes--
	}
	whole, _ := milliMiB(bytes)
	return whole
}

// milliMiB returns bytes in whole 1/1000 MiB and whether bytes remain. The parts
// above and below one MiB are converted apart, so that nothing overflows: 2^43
// MiB times 1000 is well within int64.
func milliMiB(bytes int64) (whole int64, rest bool) {
	const mib = 1 << 20
	below := bytes % mib * 1000
	return bytes/mib*1000 + below/mib, below%mib != 0
}
