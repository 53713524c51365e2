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

// Package maintenance knows which machines are to leave the service, and what that
// means for nodes, offers and pods.
//
// Mesos tells of it by the unavailability of offers and inverse offers, by the
// maintenance schedule, and by agents that are being drained or are deactivated;
// Kubernetes by nodes that are cordoned. The Book takes these in, in any order and
// with the time passed in, and says which nodes are to be marked, which offers to
// refuse and for how long, how to answer inverse offers, which pods have to go and
// when, which acknowledgements to hold back, and what to ask of the master's
// operator API. It does no I/O and has no clock. Whatever it asks for is undone when
// its reason is gone.
package maintenance
