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

import "strconv"

// Kind is one resource a Vector counts. Its value is the index in the Vector.
type Kind uint8

const (
	// CPU counts milli-cores.
	CPU Kind = iota
	// Memory counts 1/1000 MiB.
	Memory
	// Disk counts 1/1000 MiB; in Kubernetes it is ephemeral-storage.
	Disk
	// GPU counts 1/1000 devices.
	GPU
	// NumKinds is the number of kinds, and the length of a Vector.
	NumKinds
)

var mesosNames = [NumKinds]string{CPU: "cpus", Memory: "mem", Disk: "disk", GPU: "gpus"}

var kubernetesNames = [NumKinds]string{CPU: "cpu", Memory: "memory", Disk: "ephemeral-storage", GPU: "gpu"}

// MesosName returns the name of the kind in Mesos resources: "cpus", "mem",
// "disk" or "gpus".
func (k Kind) MesosName() string {
	if k >= NumKinds {
		return "unknown-" + strconv.Itoa(int(k))
	}
	return mesosNames[k]
}

// String returns the name of the kind that users of Kubernetes read: "cpu",
// "memory", "ephemeral-storage" or "gpu".
func (k Kind) String() string {
	if k >= NumKinds {
		return "unknown-" + strconv.Itoa(int(k))
	}
	return kubernetesNames[k]
}

// KindOfMesos returns the kind of a Mesos scalar resource by its name. It
// reports false for names no Vector counts, such as "ports" or a custom scalar.
func KindOfMesos(name string) (Kind, bool) {
	for k, mesosName := range mesosNames {
		if name == mesosName {
			return Kind(k), true
		}
	}
	return 0, false
}
