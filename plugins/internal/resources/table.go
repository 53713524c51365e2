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
	"cmp"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
)

// Options says which resources pods may claim from Mesos beside cpu, memory and
// ephemeral-storage.
type Options struct {
	// GPU is the Kubernetes resource that Mesos counts as gpus, such as
	// nvidia.com/gpu; "" for none.
	GPU v1.ResourceName
	// Extended is Kubernetes resources by the name of the Mesos scalar that counts
	// them. One of Kubernetes is one of Mesos, and several may share a scalar. The
	// scalar gpus counts GPUs, as GPU does. Left out, so that pods that request them
	// are told, are entries that cannot be: cpu, memory and ephemeral-storage, and
	// what is mapped to cpus, mem, disk, ports or "".
	Extended map[v1.ResourceName]string
	// HostPorts makes the hostPorts of a pod part of what it claims. Without it
	// they are kube-scheduler's business alone.
	HostPorts bool
}

// Table is how the names of Kubernetes resources map to those of Mesos. It is never
// changed, so it may be used from many goroutines.
type Table struct {
	// more is what is mapped beside kindOf's names.
	more      map[v1.ResourceName]target
	hostPorts bool
	// supported is every name, for messages.
	supported []v1.ResourceName
	// kubernetes is the name of Kubernetes by that of Mesos.
	kubernetes map[string]string
}

// target is where a Table counts a resource: as a GPU, or as a scalar by this name.
type target struct {
	gpu    bool
	scalar string
}

// HostPortName is what users of Kubernetes call the resource ports of Mesos.
const HostPortName = "host port"

// NewTable returns the table of these options.
func NewTable(options Options) *Table {
	t := &Table{
		more:      map[v1.ResourceName]target{},
		hostPorts: options.HostPorts,
		supported: []v1.ResourceName{v1.ResourceCPU, v1.ResourceMemory, v1.ResourceEphemeralStorage},
		kubernetes: map[string]string{
			PortsName: HostPortName,
		},
	}
	if _, native := kindOf(options.GPU); !native && options.GPU != "" {
		t.put(options.GPU, target{gpu: true})
	}
	for _, name := range slices.Sorted(maps.Keys(options.Extended)) {
		if _, native := kindOf(name); native || name == "" || name == options.GPU {
			continue
		}
		scalar := options.Extended[name]
		switch kind, counted := KindOfMesos(scalar); {
		case counted && kind == GPU:
			t.put(name, target{gpu: true})
		case !counted && scalar != PortsName && scalar != "":
			t.put(name, target{scalar: scalar})
		}
	}
	t.nameKinds()
	return t
}

// nameKinds adds the kinds by the names that Mesos and FirstShort have for them.
// GPUs are called as the table maps them, if it does.
func (t *Table) nameKinds() {
	for k := range NumKinds {
		name := k.String()
		if k == GPU {
			name = cmp.Or(t.kubernetes[k.MesosName()], name)
		}
		for _, mesos := range []string{k.MesosName(), k.String()} {
			if _, taken := t.kubernetes[mesos]; !taken {
				t.kubernetes[mesos] = name
			}
		}
	}
}

func (t *Table) put(name v1.ResourceName, to target) {
	t.more[name] = to
	t.supported = append(t.supported, name)
	mesos := to.scalar
	if to.gpu {
		mesos = GPU.MesosName()
	}
	// Where several share one, the first stands for all.
	if _, taken := t.kubernetes[mesos]; !taken {
		t.kubernetes[mesos] = string(name)
	}
}

// MesosNameOf returns the Mesos resource that counts a Kubernetes resource: "cpus"
// for cpu. It reports false for what is not supported.
func (t *Table) MesosNameOf(name v1.ResourceName) (string, bool) {
	if kind, ok := kindOf(name); ok {
		return kind.MesosName(), true
	}
	to, ok := t.more[name]
	switch {
	case !ok:
		return "", false
	case to.gpu:
		return GPU.MesosName(), true
	}
	return to.scalar, true
}

// KubernetesNameOf returns what users of Kubernetes call a Mesos resource, and also
// what Bundle.FirstShort and Split call it: "cpu" for cpus, "nvidia.com/gpu" for
// gpus, HostPortName for ports. Names that no pod can request are returned as they
// are.
func (t *Table) KubernetesNameOf(mesos string) string {
	if name, ok := t.kubernetes[mesos]; ok {
		return name
	}
	return mesos
}

// Supported returns the names of the resources that pods may claim, in the order in
// which messages list them. Do not change it.
func (t *Table) Supported() []v1.ResourceName { return t.supported }
