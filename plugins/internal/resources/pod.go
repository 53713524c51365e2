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

// UnsupportedResourceError says that a pod requests resources that no claim can
// hold.
type UnsupportedResourceError struct {
	// Names of the resources, sorted, at least one.
	Names []v1.ResourceName
	// Supported is the names that the table has.
	Supported []v1.ResourceName
}

// Error names the resources, what is supported instead, and how to change that.
func (e *UnsupportedResourceError) Error() string {
	return "pod requests resources that cannot be claimed from Mesos: " + joined(e.Names, ", ") +
		" (supported are " + joined(e.Supported, " and ") +
		"; the scheduler's args resources.gpus and resources.extended add GPUs and extended resources)"
}

// joined lists names, with last before the last.
func joined(names []v1.ResourceName, last string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(last)
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}

// ForPod returns what a pod must hold of an agent before it may be bound there.
//
// It is the request kube-scheduler itself computes: the sum over the containers
// and sidecars or the largest init container's moment, if that is more; the
// pod-level request in its place where one is set; plus the pod's overhead. For
// a pod that runs and is being resized in place, the larger of what it requests
// and what the kubelet granted it counts. CPU is rounded up to the milli-core,
// memory and ephemeral-storage to 1/1000 MiB, everything else to one; what exceeds
// int64 becomes the largest int64, which fits nowhere. If the table has host ports,
// they are those that kube-scheduler keeps apart, whatever their protocol and
// address: Mesos knows neither.
//
// The defaults apply to each resource on its own and to the pod as a whole: a
// pod whose total of a resource is zero, be it left out everywhere or written as
// 0, claims the default of it. As soon as the total is more, by one container's
// request or the overhead alone, nothing is added for containers without one.
// Entries of defaults other than cpu, memory and ephemeral-storage are ignored.
//
// A request for more than zero of a resource that the table does not have is an
// *UnsupportedResourceError.
func (t *Table) ForPod(pod *v1.Pod, defaults v1.ResourceList) (Bundle, error) {
	need, unsupported := t.requests(pod)
	if len(unsupported) > 0 {
		slices.Sort(unsupported)
		return Bundle{}, &UnsupportedResourceError{Names: unsupported, Supported: t.supported}
	}
	for name, quantity := range defaults {
		if kind, ok := kindOf(name); ok && need.Vector[kind] == 0 {
			need.Vector[kind] = ceilMilli(kind, quantity)
		}
	}
	return need, nil
}

// Requests returns what a pod of any scheduler requests of the resources that the
// table has, as ForPod counts it, without defaults; other resources are left out.
func (t *Table) Requests(pod *v1.Pod) Bundle {
	b, _ := t.requests(pod)
	return b
}

func (t *Table) requests(pod *v1.Pod) (b Bundle, unsupported []v1.ResourceName) {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{
		// Without granted resources in the status, as in every pending pod, the
		// helper ignores it.
		UseStatusResources: len(pod.Status.ContainerStatuses)+len(pod.Status.InitContainerStatuses) > 0,
	})
	b, unsupported = t.bundle(requests, true)
	if t.hostPorts {
		b.Ports = hostPorts(pod)
	}
	return b, unsupported
}

// NodeAllocatable returns what a node's allocatable resources hold for pods,
// rounded down. Resources that the table does not have are left out; what exceeds
// int64 becomes the largest int64, what is less than nothing becomes nothing. Nodes
// do not count ports.
func (t *Table) NodeAllocatable(allocatable v1.ResourceList) Bundle {
	b, _ := t.bundle(allocatable, false)
	return b
}

// bundle counts a list, rounded up or down, and returns the names besides that the
// table does not have and of which there is any.
func (t *Table) bundle(list v1.ResourceList, up bool) (b Bundle, others []v1.ResourceName) {
	var scalars []Scalar
	for name, quantity := range list {
		if kind, ok := kindOf(name); ok {
			if up {
				b.Vector[kind] = ceilMilli(kind, quantity)
			} else {
				b.Vector[kind] = floorMilli(kind, quantity)
			}
			continue
		}
		to, ok := t.more[name]
		if !ok {
			if !quantity.IsZero() {
				others = append(others, name)
			}
			continue
		}
		whole := floorWhole(quantity)
		if up {
			whole = ceilWhole(quantity)
		}
		if to.gpu {
			b.Vector[GPU] = addSaturated(b.Vector[GPU], whole)
		} else {
			scalars = append(scalars, Scalar{to.scalar, whole})
		}
	}
	b.Scalars = NewScalars(scalars...)
	return b, others
}

// hostPorts returns the ports of its node that a pod uses as long as it runs: those
// of its containers and sidecars, as kube-scheduler counts them (Kubernetes source,
// pkg/scheduler/util/utils.go, GetHostPorts). For a pod in the host's network the
// API server has set the hostPort of each port that it declares.
func hostPorts(pod *v1.Pod) Ranges {
	var ports []Range
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == v1.ContainerRestartPolicyAlways {
			ports = appendHostPorts(ports, c)
		}
	}
	for i := range pod.Spec.Containers {
		ports = appendHostPorts(ports, &pod.Spec.Containers[i])
	}
	return NewRanges(ports...)
}

func appendHostPorts(ports []Range, c *v1.Container) []Range {
	for i := range c.Ports {
		if port := c.Ports[i].HostPort; port > 0 {
			ports = append(ports, Range{uint64(port), uint64(port)})
		}
	}
	return ports
}

var defaultTable = NewTable(Options{})

// ForPod is Table.ForPod of a table with cpu, memory and ephemeral-storage alone.
func ForPod(pod *v1.Pod, defaults v1.ResourceList) (Vector, error) {
	need, err := defaultTable.ForPod(pod, defaults)
	return need.Vector, err
}

// Requests is Table.Requests of a table with cpu, memory and ephemeral-storage alone.
func Requests(pod *v1.Pod) Vector { return defaultTable.Requests(pod).Vector }

// NodeAllocatable is Table.NodeAllocatable of a table with cpu, memory and
// ephemeral-storage alone.
func NodeAllocatable(allocatable v1.ResourceList) Vector {
	return defaultTable.NodeAllocatable(allocatable).Vector
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
	// maxWhole is the most that is an int64 of 1/1000.
	maxWhole = *resource.NewQuantity(math.MaxInt64/1000, resource.DecimalSI)
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

// ceilWhole returns a quantity in 1/1000, rounded up to a whole one: Mesos and
// Kubernetes count devices in one piece, and the API server admits no other
// requests. Less than nothing is nothing.
func ceilWhole(quantity resource.Quantity) int64 {
	if quantity.Sign() <= 0 {
		return 0
	}
	// Value rounds up.
	if quantity.Cmp(maxWhole) > 0 {
		return math.MaxInt64
	}
	return quantity.Value() * 1000
}

// floorWhole returns a quantity in 1/1000, rounded down to a whole one. Less than
// nothing is nothing.
func floorWhole(quantity resource.Quantity) int64 {
	up := ceilWhole(quantity)
	if up > 0 && up != math.MaxInt64 && resource.NewQuantity(up/1000, resource.DecimalSI).Cmp(quantity) > 0 {
		return up - 1000
	}
	return up
}

// milliMiB returns bytes in whole 1/1000 MiB and whether bytes remain. The parts
// above and below one MiB are converted apart, so that nothing overflows: 2^43
// MiB times 1000 is well within int64.
func milliMiB(bytes int64) (whole int64, rest bool) {
	const mib = 1 << 20
	below := bytes % mib * 1000
	return bytes/mib*1000 + below/mib, below%mib != 0
}
