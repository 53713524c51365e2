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

// Package manifests embeds the project's example manifests, its RBAC rules and
// its scheduler configurations, so that programs and tests use exactly the
// files that users read.
package manifests

import "embed"

// Examples holds examples/*.yaml: workloads with schedulerName kube-mesos. Those in
// folders below need more than the scheduler's default configuration: where it is
// arguments of the plugin alone, those are in arguments.yaml.
//
//go:embed examples/*.yaml examples/*/*.yaml examples/*/*.json
var Examples embed.FS

// SchedulerConfig holds scheduler-config/*.yaml: KubeSchedulerConfiguration
// files.
//
//go:embed scheduler-config/*.yaml
var SchedulerConfig embed.FS

// RBAC is rbac.yaml: the service account of the scheduler and its rights.
//
//go:embed rbac.yaml
var RBAC []byte

// RBACCoscheduling is rbac-coscheduling.yaml: what Coscheduling needs beside RBAC.
//
//go:embed rbac-coscheduling.yaml
var RBACCoscheduling []byte

// RBACQuota is rbac-quota.yaml: what quotas that follow each other need beside RBAC.
//
//go:embed rbac-quota.yaml
var RBACQuota []byte
