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

package quota

import (
	"math"
	"strconv"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
)

// Names says how Kubernetes names what Mesos has quotas of, besides cpus, mem and
// disk.
type Names struct {
	// GPU is the extended resource for gpus, "nvidia.com/gpu" if it is "".
	GPU v1.ResourceName
	// Extended is extended resources by their Mesos names.
	Extended map[string]v1.ResourceName
}

// kubernetes returns the name of a Mesos name in Kubernetes. It reports false if
// Kubernetes knows no such resource.
func (n *Names) kubernetes(mesos string) (v1.ResourceName, bool) {
	kind, ok := resources.KindOfMesos(mesos)
	switch {
	case !ok:
		name, known := n.Extended[mesos]
		return name, known
	case kind == resources.CPU:
		return v1.ResourceCPU, true
	case kind == resources.Memory:
		return v1.ResourceMemory, true
	case kind == resources.Disk:
		return v1.ResourceEphemeralStorage, true
	case n.GPU != "":
		return n.GPU, true
	}
	return "nvidia.com/gpu", true
}

// mesos returns all Mesos names that Kubernetes has a name for.
func (n *Names) mesos() []string {
	var names []string
	for k := range resources.NumKinds {
		names = append(names, k.MesosName())
	}
	for name := range n.Extended {
		names = append(names, name)
	}
	return names
}

// inBytes reports whether a Mesos name counts MiB, which Kubernetes counts in bytes.
func inBytes(mesos string) bool {
	return mesos == resources.Memory.MesosName() || mesos == resources.Disk.MesosName()
}

const mib = 1 << 20

// quantityOf returns an amount of a Mesos name as a quantity of Kubernetes. Amounts
// of memory and disk are rounded down to whole bytes, or up if asked so; those that
// exceed what a quantity can count become the largest.
func quantityOf(mesos string, milli int64, up bool) resource.Quantity {
	if !inBytes(mesos) {
		return *resource.NewMilliQuantity(milli, resource.DecimalSI)
	}
	whole, rest := milli/1000, milli%1000*mib
	bytes := rest / 1000
	if up && rest%1000 > 0 {
		bytes++
	}
	if whole > (math.MaxInt64-mib)/mib {
		return *resource.NewQuantity(math.MaxInt64, resource.BinarySI)
	}
	return *resource.NewQuantity(whole*mib+bytes, resource.BinarySI)
}

// amountIn returns a quantity as an amount of a Mesos name, rounded down, at most
// resources.MaxScalar and at least nothing.
func amountIn(mesos string, q resource.Quantity) int64 {
	if q.Sign() <= 0 {
		return 0
	}
	if most := quantityOf(mesos, resources.MaxScalar, false); q.Cmp(most) >= 0 {
		return resources.MaxScalar
	}
	if !inBytes(mesos) {
		milli := q.MilliValue() // rounds up
		if resource.NewMilliQuantity(milli, resource.DecimalSI).Cmp(q) > 0 {
			milli--
		}
		return milli
	}
	bytes := q.Value() // rounds up
	if resource.NewQuantity(bytes, resource.BinarySI).Cmp(q) > 0 {
		bytes--
	}
	return bytes/mib*1000 + bytes%mib*1000/mib
}

// decimal writes milli/1000 as Mesos does, without trailing zeros.
func decimal(milli int64) string {
	return strconv.FormatFloat(resources.ToMesosScalar(milli), 'f', -1, 64)
}
