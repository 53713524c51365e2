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

// Package claims is the ledger of what each of our pods holds of a Mesos agent:
// claims, each kept by one placeholder task named "<pod UID>.<attempt>". A pod
// lives by one claim.
//
//	Reserved ──Launch──> Launching ──STARTING/RUNNING──> Held ──> (pod ends) Releasing ──terminal──> gone
//	   │                    │                             │ ▲
//	   └─Cancel─> gone      ├─never ran──> gone           │ └──Recovering (bound pod found at start)
//	                        └─timeout────> Releasing      ├──> Unreachable ──> Held | Lost
//	                                                      └──> Lost (Mesos ended the task: the pod is evicted)
//
// A bound pod that grew holds further claims, its extras, on the same agent. They
// go through the same phases but Lost, end with the claim that the pod lives by, and
// never decide about the pod: an extra that Mesos ends is forgotten and told of. An
// extra that is held may take the place of the claim that the pod lives by.
//
// The ledger is a state machine: it is told what happened and when, and answers
// with effects for others to carry out (kill, reconcile, evict, wake a waiter).
// It does no I/O and reads no clock. It is not safe for concurrent use.
//
// Nothing leaves the ledger on a guess. A task is forgotten when Mesos said that
// it ended, or that it knows nothing of it after we asked; a task that we cannot
// explain is looked up before it is killed.
package claims
