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

// Package offers holds the Mesos offers that we have not spent yet: which agent
// has how much for us right now, which pods were promised a part of it, and
// which of those promises go out together in one ACCEPT.
//
// The life of an offer here:
//
//	Add ──> held ──Reserve──> in an open batch ──Flush──> spent (ACCEPT)
//	          │                     │
//	          ├──Sweep──> declined  ├──Release (last member)──> held
//	          └──Remove──> rescinded└──Remove──> members broken
//
// Reset voids everything, as the end of a subscription does (offers are void on
// disconnect, fail-over and master change, without any message).
//
// # Agents, roles and slots
//
// A Cache knows the agents, and each has an index. A Role has a slot at the same
// index for what that agent offered to it: all offers of one agent to one role are
// merged, a pod may use the sum of them, and one ACCEPT names them all. Offers to
// different roles never share an ACCEPT, so an agent may have one open batch for
// each role; nothing else is shared among roles but the agent, its node, what is
// withheld of it and whether it has GPUs. Roles come with the first offer or
// question and go with Drop.
//
// # Flavours
//
// A slot has a pool for each flavour (resources.Flavour): the unreserved resources,
// each reservation, and the revocable ones. A Want says which of them a pod may use
// and in which order; Reserve shares the need out over the pools at once, and those
// parts, which the batch tells again, are what the task must ask for. A reservation
// without labels is for every pod of its role, a labelled one for its owner
// (Config.Classify), and all others are nobody's. No pod gets revocable and regular
// resources of one name.
//
// If an offer is rescinded of which the open batch needs something, what is left is
// shared out anew among the members in the order in which they joined, so their parts
// may change until the batch is spent.
//
// # Writers and readers
//
// Writers take one short lock per offer or reservation, never for a whole
// event, so Reserve does not wait for a big OFFERS event. Readers (Select and
// Fits) take no lock at all: they read columns of atomics that may lag a writer
// by nanoseconds or mix two agents' moments. That is harmless, because Reserve
// checks again under the lock and is the only authority.
//
// The columns of a role show what every pod of it may have: the regular scalars that
// are unreserved or reserved without an owner, of agents that are not kept for pods
// with GPUs. They are exact for most pods. Wants of another sort (GPUs, ports, other
// scalars, revocable resources, reservations of an owner, reserved resources only)
// are rare and are judged by the pools, under the lock, some slots at a time.
//
// The package does no I/O and reads no clock: the time is passed in.
package offers
