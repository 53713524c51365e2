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

// Package faults puts faults between our scheduler and what it talks to: the Mesos
// master (Mesos, a proxy that knows calls and events) and the Kubernetes API server
// (Kubernetes, an http.RoundTripper). What happens is data: rules that say to which
// call or event which things are done, and that are counted. Both work over sockets
// and in memory, in virtual time.
package faults
