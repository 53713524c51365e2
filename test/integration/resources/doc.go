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

// Package resources tests what pods get of Mesos' resources: in which role and within
// which quota, of which kind (reserved for a role or for one pod, revocable, ports,
// GPUs and others), and more or less of them when a pod is resized. Files named
// example_* play the examples of docs/roles-and-quota.md and docs/revocable.md:
// exactly the files that users read, with the controllers of workloads played by the
// tests.
//
// It is one package because each that links a kube-apiserver costs a minute, and a
// package beside that of the other integration tests so that the two run together.
package resources
