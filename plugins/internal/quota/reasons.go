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

import "github.com/kube-mesos/kube-mesos/plugins/internal/resources"

// Reasons of scheduler statuses. The scheduler counts nodes by reason, so each is a
// constant: roles and amounts are told by Book.Explain.
const (
	ReasonCPU    = reasonPrefix + "cpu"
	ReasonMemory = reasonPrefix + "memory"
	ReasonDisk   = reasonPrefix + "ephemeral-storage"
	ReasonGPU    = reasonPrefix + "gpu"
	ReasonOther  = reasonPrefix + "another resource"
)

const reasonPrefix = "Mesos quota of the role exhausted: "

// Reason returns the reason for what Book.Check says is lacking.
func Reason(lack string) string {
	switch lack {
	case resources.CPU.String():
		return ReasonCPU
	case resources.Memory.String():
		return ReasonMemory
	case resources.Disk.String():
		return ReasonDisk
	case resources.GPU.String():
		return ReasonGPU
	}
	return ReasonOther
}
