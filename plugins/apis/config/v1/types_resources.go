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

package v1

// HostPorts says whether the host ports of pods are claimed.
type HostPorts string

const (
	// HostPortsClaim claims a pod's host ports as Mesos ports: a pod is placed
	// only where they are offered.
	HostPortsClaim HostPorts = "Claim"
	// HostPortsIgnore leaves host ports to Kubernetes alone.
	HostPortsIgnore HostPorts = "Ignore"
)

// GPUAgents says which pods may be placed on agents with GPUs.
type GPUAgents string

const (
	// GPUAgentsUnused claims no GPUs. Agents with GPUs offer us nothing,
	// because we lack the capability GPU_RESOURCES (unless the master runs with
	// --filter_gpu_resources=false).
	GPUAgentsUnused GPUAgents = "Unused"
	// GPUAgentsForGPUPods places only pods that need GPUs on agents with GPUs.
	GPUAgentsForGPUPods GPUAgents = "ForGPUPods"
	// GPUAgentsForAllPods places pods of all kinds on agents with GPUs.
	GPUAgentsForAllPods GPUAgents = "ForAllPods"
)

// Resources says what of a pod's needs is claimed beside cpu, memory and
// ephemeral-storage, and under which names.
type Resources struct {
	// HostPorts says whether the host ports of pods are claimed. "Claim"
	// (default) or "Ignore".
	HostPorts HostPorts `json:"hostPorts,omitempty"`
	// Extended maps extended resources of Kubernetes to scalar resources of
	// Mesos. No two entries may have the same name on either side. Default:
	// none.
	// +listType=map
	// +listMapKey=kubernetes
	Extended []ExtendedResource `json:"extended,omitempty"`
	// GPUs says what of GPUs is claimed.
	GPUs GPUs `json:"gpus,omitempty"`
}

// ExtendedResource is a resource that has a name of its own in Kubernetes and
// in Mesos, and the same unit in both.
type ExtendedResource struct {
	// Kubernetes is the name of an extended resource, for example
	// "example.com/fpga".
	Kubernetes string `json:"kubernetes"`
	// Mesos is the name of a scalar resource of the agents, for example
	// "fpgas". Not cpus, mem, disk, gpus or ports.
	Mesos string `json:"mesos"`
}

// GPUs says what of GPUs is claimed.
type GPUs struct {
	// ResourceName is the extended resource that is claimed as the Mesos
	// resource gpus. Default "nvidia.com/gpu".
	ResourceName *string `json:"resourceName,omitempty"`
	// Agents says which pods may be placed on agents with GPUs. "Unused"
	// (default: none, such agents offer us nothing), "ForGPUPods" or
	// "ForAllPods".
	Agents GPUAgents `json:"agents,omitempty"`
}
