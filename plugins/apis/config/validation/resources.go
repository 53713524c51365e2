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

package validation

import (
	"fmt"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	v1helper "k8s.io/kubernetes/pkg/apis/core/v1/helper"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
)

// extendedForm says what the name of an extended resource is.
const extendedForm = "must be the name of an extended resource, such as example.com/fpga, its domain not below kubernetes.io"

func validateResources(path *field.Path, resources *config.Resources) field.ErrorList {
	errs := oneOf(path.Child("hostPorts"), resources.HostPorts, config.HostPortsClaim, config.HostPortsIgnore)
	gpus := path.Child("gpus")
	errs = append(errs, validateExtended(path.Child("extended"), resources.Extended, gpus.Child("resourceName"), resources.GPUs.ResourceName)...)
	if name := resources.GPUs.ResourceName; name == "" {
		errs = append(errs, field.Required(gpus.Child("resourceName"), "the extended resource that pods request GPUs by, for example nvidia.com/gpu"))
	} else if !v1helper.IsExtendedResourceName(corev1.ResourceName(name)) {
		errs = append(errs, field.Invalid(gpus.Child("resourceName"), name, extendedForm))
	}
	return append(errs, oneOf(gpus.Child("agents"), resources.GPUs.Agents,
		config.GPUAgentsUnused, config.GPUAgentsForGPUPods, config.GPUAgentsForAllPods)...)
}

// validateExtended takes the path and the value of gpus.resourceName too, because
// a resource is claimed by one name only.
func validateExtended(path *field.Path, extended []config.ExtendedResource, gpuPath *field.Path, gpuName string) field.ErrorList {
	var errs field.ErrorList
	kubernetes, mesos := map[string]int{}, map[string]int{}
	for i, resource := range extended {
		left, right := path.Index(i).Child("kubernetes"), path.Index(i).Child("mesos")
		j, seen := kubernetes[resource.Kubernetes]
		switch {
		case !v1helper.IsExtendedResourceName(corev1.ResourceName(resource.Kubernetes)):
			errs = append(errs, field.Invalid(left, resource.Kubernetes, extendedForm))
		case resource.Kubernetes == gpuName:
			errs = append(errs, duplicate(left, resource.Kubernetes, fmt.Sprintf("is %s and so claimed as gpus", gpuPath)))
		case seen:
			errs = append(errs, duplicate(left, resource.Kubernetes, fmt.Sprintf("names the same resource as %s", path.Index(j))))
		default:
			kubernetes[resource.Kubernetes] = i
		}
		problem := scalarNameProblem(resource.Mesos)
		j, seen = mesos[resource.Mesos]
		switch {
		case resource.Mesos == "":
			errs = append(errs, field.Required(right, "the name of a scalar resource of the agents, for example fpgas"))
		case problem != "":
			errs = append(errs, field.Invalid(right, resource.Mesos, problem))
		case seen:
			errs = append(errs, duplicate(right, resource.Mesos, fmt.Sprintf("names the same resource as %s", path.Index(j))))
		default:
			mesos[resource.Mesos] = i
		}
	}
	return errs
}

// scalarNameProblem returns why a Mesos resource of that name is not there to be
// mapped, or "".
func scalarNameProblem(name string) string {
	switch name {
	case "cpus", "mem", "disk", "gpus", "ports":
		return "must not be cpus, mem, disk, gpus or ports: they are claimed for what pods request by Kubernetes' own names"
	}
	// These part names, roles and values in the text form of an agent's --resources
	// (Mesos source, common/resources.cpp, fromSimpleString).
	if strings.ContainsAny(name, ":;()") || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "must not contain colons, semicolons, parentheses or whitespace: they are no part of names in an agent's --resources"
	}
	return ""
}
