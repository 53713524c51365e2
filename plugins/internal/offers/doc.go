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
// All offers of one agent are merged: a pod may use the sum of them, and one
// ACCEPT names them all. Reset voids everything, as the end of a subscription
// does (offers are void on disconnect, fail-over and master change, without any
// message).
//
// Writers take one short lock per offer or reservation, never for a whole
// event, so Reserve does not wait for a big OFFERS event. Readers (Select and
// Fits) take no lock at all: they read columns of atomics that may lag a writer
// by nanoseconds or mix two agents' moments. That is harmless, because Reserve
// checks again under the lock and is the only authority.
//
// The package does no I/O and reads no clock: the time is passed in.
package offers
