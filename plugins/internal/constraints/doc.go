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

// Package constraints compiles what waiting pods require of their nodes to offer
// constraints: conditions on agents that the Mesos master heeds before it makes an
// offer.
//
// Constraints admit every agent that may be of use and as few others as can be told.
// What an agent is of use for is judged by its node's labels and taints; the master
// knows only the agent's host name and attributes. So agents are named by host where
// few are wanted or few are not, and told by their attributes where pods ask for those
// (see nodelabels), with exceptions by host name. Regular expressions are not used:
// how complex they may be is up to each master (--offer_constraints_re2_max_mem).
//
// The package does no I/O and reads no clock.
package constraints
