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

// Package resources holds one fixed-point vector for what pods request and what
// Mesos offers.
//
// Every scalar is an integer count of 1/1000 of the Mesos unit: cores for CPU,
// MiB for memory and disk, devices for GPUs. That is the precision Mesos itself
// computes in (Mesos source, common/values.cpp: llround(value * 1000)), so a sum
// here and the same sum in the master never differ. What a pod requests is
// rounded up to it and what a node has is rounded down, so a claim never covers
// less than the pod asked for. Floating point occurs only where a scalar crosses
// the wire: FromMesosScalar and ToMesosScalar.
package resources
